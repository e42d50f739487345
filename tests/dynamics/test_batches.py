"""Mini-batches: the draws, the estimate, and what a run may and may not do with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias._charts import Flat
from implicit_bias.dynamics.base import Objective
from implicit_bias.symmetry import rewrite
from tests import cases

STEPS, STEP, SIZE = 60, 0.05, 2


def batch(size=SIZE, seed=0):
    return ib.minibatch(size, cases.key(seed))


def drawn(seed, count, size=SIZE, examples=cases.ROWS):
    """The draw as the definition says it."""
    key = jax.random.fold_in(ib.stream(cases.key(seed), "batch"), count)
    return np.asarray(jax.random.randint(key, (size,), 0, examples))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["square", "logistic"])
@pytest.mark.parametrize("stop", [None, 1e-300])
def test_every_step_against_a_loop(loss, stop):
    """x' = x - eta (m / size) sum over the drawn rows of a_i l'(a_i x, y_i); SGD of the predictor itself."""
    problem = cases.problem_of(cases.LOSSES[loss])
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    slope = {"square": lambda z, y: z - y, "logistic": lambda z, y: -y / (1 + np.exp(y * z))}[loss]
    rule = None if stop is None else ib.loss_below(stop)
    law = ib.Descent(STEP, batch=batch(), stop=rule, max_steps=STEPS)
    run = cases.drive(problem, cases.PARAMETERIZATIONS["Euclidean"](), law, range(STEPS + 1))
    path = [run["x"][0]]
    for k in range(STEPS):
        rows, x = drawn(0, k), path[-1]
        path.append(x - STEP * len(y) / SIZE * A[rows].T @ slope(A[rows] @ x, y[rows]))
    np.testing.assert_allclose(run["x"], path, rtol=0, atol=1e-12)
    assert len({tuple(drawn(0, k)) for k in range(STEPS)}) > 3  # it did draw


def test_epochs_meet_each_example_once():
    """Without replacement: the batches of an epoch are disjoint, of other epochs others; what is left over waits."""
    batches = ib.minibatch(3, cases.key(0), replace=False)
    draws = np.asarray(jax.vmap(lambda count: batches.draw(10, count))(jnp.arange(30)))
    epochs = draws.reshape(10, 9)
    assert all(len({*epoch}) == 9 and {*epoch} <= {*range(10)} for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 10 and {*epochs.ravel().tolist()} == {*range(10)}
    assert batches.name == "epochs in batches of 3"


@pytest.mark.parametrize("replace", [False, True])
def test_a_batch_larger_than_the_data_is_one_line(replace):
    with pytest.raises(ib.Mistake, match="size: of a batch is 4, and there are 3 examples"):
        ib.minibatch(4, cases.key(0), replace=replace).draw(3, 0)


@pytest.mark.slow
def test_the_estimate_is_unbiased():
    """Its mean over 4000 draws is the gradient, within 4 standard errors, for each of g and w."""
    problem, weights = cases.problem_of(ib.logistic), cases.PARAMETERIZATIONS["Polar"]()
    objective, theta = Objective(problem, weights, Flat()), weights.init(problem, cases.key())
    flat = lambda tree: jnp.concatenate([jnp.atleast_1d(x) for x in tree])  # noqa: E731
    draw = jax.jit(jax.vmap(lambda k: flat(batch().gradient(objective, theta, k))))
    estimates = np.asarray(draw(jnp.arange(4000)))
    exact = np.asarray(flat(objective.value_and_gradient(theta)[1]))
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert np.all(abs(estimates.mean(axis=0) - exact) < 4 * error)
    assert np.all(error < 0.1 * np.linalg.norm(exact))


@pytest.mark.slow
def test_every_run_of_a_seed_meets_the_same_batches():
    """Lanes of other scales do not change a run, to rounding; another seed does."""
    problem = cases.problem_of(ib.square)

    def make(scale):
        return problem, cases.PARAMETERIZATIONS["Polar"](scale), ib.Descent(STEP, batch=batch(), max_steps=STEPS)

    lanes = cases.drive_lanes(make, [0.3, 0.5, 2.0], [0, STEPS])
    alone = cases.drive(*make(0.5), [0, STEPS])
    np.testing.assert_allclose(lanes["x"][1], alone["x"], rtol=0, atol=1e-13)
    law = ib.Descent(STEP, batch=batch(seed=1), max_steps=STEPS)
    other = cases.drive(problem, cases.PARAMETERIZATIONS["Polar"](0.5), law, [0, STEPS])
    assert np.linalg.norm(other["x"][1] - alone["x"][1]) > 1e-3


@pytest.mark.slow
def test_segments_give_the_bits_of_the_whole_run():
    problem, weights = cases.problem_of(ib.square), cases.PARAMETERIZATIONS["Polar"]()
    for law in (
        ib.Descent(STEP, batch=batch(), max_steps=200),
        ib.Descent(STEP, batch=batch(), stop=ib.loss_below(1e-3), max_steps=2000),
    ):
        clock = [0, 70, law.max_steps]
        whole = cases.drive_in_segments(problem, weights, law, clock, np.inf)
        parts = cases.drive_in_segments(problem, weights, law, clock, 17.5)
        for one, other in zip(cases.leaves(whole), cases.leaves(parts), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_interpolation_is_reached_and_the_stop_rule_sees_every_example():
    """y is in the range of A, so that all examples' gradients vanish together: no step size need go to zero."""
    problem = cases.problem_of(ib.square)
    law = ib.Descent(STEP, batch=batch(1), stop=ib.loss_below(1e-8), max_steps=20_000)
    run = cases.drive(problem, cases.PARAMETERIZATIONS["Polar"](), law, [0, 20_000])
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    assert run["status"] == ib.Status.CONVERGED
    loss = 0.5 * np.sum((A @ run["x"][-1] - y) ** 2)
    assert loss < 1e-8
    np.testing.assert_allclose(run["loss"][-1], loss, rtol=1e-6)


@pytest.mark.slow
def test_a_batch_without_a_gradient_is_no_stall():
    """x fits the first example; where the first draws are of that one, nothing moves, and the run goes on."""
    problem = ib.linear.fixed([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [1.0, 1.0])(0)
    seed = next(s for s in range(50) if all(drawn(s, k, 1, 2)[0] == 0 for k in range(3)))
    weights = ib.Euclidean(1.0, jnp.array([1.0, 0.0, 0.0]))
    run = cases.drive(problem, weights, ib.Descent(0.5, batch=batch(1, seed), max_steps=40), [0, 1, 3, 40])
    np.testing.assert_array_equal(run["x"][2], run["x"][0])
    assert run["status"] == ib.Status.CAPPED and run["x"][-1, 1] > 0.5


def test_it_stays_in_the_original_coordinates():
    problem, weights = cases.problem_of(ib.square), cases.PARAMETERIZATIONS["Polar"]()
    theta = weights.init(problem, cases.key())
    assert "examples are drawn" in rewrite(problem, weights, ib.Descent(STEP, batch=batch()), theta).name
    assert "diagonal" in rewrite(problem, weights, ib.Descent(STEP), theta).name


def test_a_batch_needs_an_example():
    with pytest.raises(ib.Mistake, match="size"):
        ib.minibatch(0, 0)


# -- label noise --------------------------------------------------------------------------------------------------


def noise_of(count, seed=0, shape=(cases.ROWS,)):
    """xi of a step, as the definition says it."""
    return np.asarray(jax.random.normal(jax.random.fold_in(ib.stream(cases.key(seed), "label noise"), count), shape))


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, 2])
def test_label_noise_against_a_loop(size):
    """x' = x - eta A^T (A x - y - sigma xi_k), or of the rows of a batch; the loss is that of y."""
    problem, sigma = cases.problem_of(ib.square), 0.3
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    law = ib.Descent(STEP, batch=ib.label_noise(sigma, cases.key(), batch=size and batch(size)), max_steps=STEPS)
    run = cases.drive(problem, cases.PARAMETERIZATIONS["Euclidean"](), law, range(STEPS + 1))
    path = [run["x"][0]]
    for k in range(STEPS):
        rows = np.arange(len(y)) if size is None else drawn(0, k, size)
        x, noisy = path[-1], y + sigma * noise_of(k)
        path.append(x - STEP * len(y) / len(rows) * A[rows].T @ (A[rows] @ x - noisy[rows]))
    np.testing.assert_allclose(run["x"], path, rtol=0, atol=1e-12)
    np.testing.assert_allclose(run["loss"], [0.5 * np.sum((A @ x - y) ** 2) for x in path], rtol=0, atol=1e-12)


def test_label_noise_is_of_the_seed_and_the_step_alone():
    noise = ib.label_noise(0.5, cases.key())
    draws = np.stack([noise.draw((4,), k) for k in range(400)])
    assert len(np.unique(draws[:, 0])) == 400
    np.testing.assert_array_equal(draws[7], ib.label_noise(jnp.asarray(2.0), cases.key()).draw((4,), 7))
    assert not np.array_equal(draws[7], ib.label_noise(0.5, cases.key(1)).draw((4,), 7))
    assert abs(draws.mean()) < 4 / np.sqrt(1600) and abs(draws.std() - 1) < 4 / np.sqrt(3200)
    assert ib.Descent(STEP, batch=noise).name == "gradient descent on noisy targets"


def test_label_noise_on_any_problem_with_numbers_as_targets():
    double = lambda y: 2 * y  # noqa: E731
    shown = ib.matrix.gaussian((4, 3), 2, 7)(0)
    np.testing.assert_array_equal(shown.relabelled(double).target, 2 * shown.target)
    inputs = jnp.ones((3, 2))
    numbers = ib.supervised(inputs, jnp.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(numbers.relabelled(double).targets, [2.0, 4.0, 6.0])
    labels = ib.supervised(inputs, jnp.array([1.0, -1.0, 1.0]), "logistic")
    classes = ib.supervised(inputs, jnp.array([0, 1, 2]), "cross_entropy", classes=3)
    for problem in (cases.problem_of(ib.logistic), labels, classes):
        with pytest.raises(TypeError, match="no targets that are numbers"):
            problem.relabelled(double)
