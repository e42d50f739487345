"""Matrix sensing: operators against NumPy, exact rewritings, certificates, the search for a violated isometry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

import implicit_bias as ib
from implicit_bias.problems.base import condense
from implicit_bias.problems.matrix import half, isometry_defect, of_the_first, whole
from implicit_bias.symmetry import rewrite
from tests import cases

SAMPLERS = {
    "symmetric": ib.matrix.gaussian(5, 2, 9, condition=3.0),
    "asymmetric": ib.matrix.gaussian((5, 4), 2, 9, condition=3.0),
    "many, symmetric": ib.matrix.gaussian(5, 2, 40, condition=3.0),
    "many, asymmetric": ib.matrix.gaussian((5, 4), 2, 40, condition=3.0),
    "population": ib.matrix.population(5, 2, condition=3.0),
    "completion": ib.matrix.completion((5, 4), 2, 9, condition=3.0),
    "completion, symmetric": ib.matrix.completion(5, 2, 9, condition=3.0),
    "commuting": ib.matrix.commuting(5, 2, 3, condition=3.0),
    "certified": ib.matrix.certified(5, 2, 4, condition=3.0),
}


def a_matrix(problem, seed=0):
    z = np.random.default_rng(seed).standard_normal(problem.shape)
    return (z + z.T) / 2 if problem.weight == 0.5 else z


@pytest.mark.parametrize("name", SAMPLERS)
def test_loss_is_that_of_the_matrices(name):
    """weight/2 sum (<A_i, Z> - <A_i, X>)^2, and A* is the adjoint of A; X has the spectrum asked for."""
    problem = SAMPLERS[name](1)
    size = problem.dimension
    rows = np.eye(size) if problem.operator is None else np.asarray(problem.operator)
    z, x = a_matrix(problem), np.asarray(problem.truth)
    residual = rows @ (z - x).ravel()
    np.testing.assert_allclose(problem.loss(jnp.asarray(z)), problem.weight / 2 * residual @ residual, rtol=1e-12)
    np.testing.assert_allclose(problem.backprojection().ravel(), rows.T @ (rows @ x.ravel()), atol=1e-13)
    spectrum = np.linalg.svd(x, compute_uv=False)
    np.testing.assert_allclose(spectrum[:3], [1, 1 / 3, 0], atol=1e-14)
    assert float(problem.loss(problem.truth)) < 1e-25
    assert all(bool(flag) for flag in problem.requirements().values())


@pytest.mark.parametrize("name", ["symmetric", "asymmetric"])
def test_gaussian_measurements_keep_norms_on_average(name):
    """E |A(Z)|^2 = |Z|^2: over 4000 rows the mean is within five standard errors, sqrt(2 / 4000)."""
    shape = 5 if name == "symmetric" else (5, 4)
    problem = ib.matrix.gaussian(shape, 1, 4000)(0)
    z = a_matrix(problem)
    seen = problem.predictions(jnp.asarray(z))
    assert abs(float(seen @ seen) / np.sum(z * z) - 1) < 5 * np.sqrt(2 / 4000)


def test_half_keeps_inner_products():
    rng = np.random.default_rng(0)
    a, b = ((m + m.T) / 2 for m in rng.standard_normal((2, 6, 6)))
    np.testing.assert_allclose(half(jnp.asarray(a)) @ half(jnp.asarray(b)), np.sum(a * b), rtol=1e-13)
    np.testing.assert_array_equal(np.round(whole(half(jnp.asarray(a)), 6), 14), np.round(a, 14))


REWRITTEN = {
    "symmetric": "half: 25 -> 15 entries",
    "many, symmetric": "half: 25 -> 15 entries, triangular: 40 -> 15 measurements",
    "many, asymmetric": "triangular: 40 -> 20 measurements",
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_condensed_loss_is_the_loss(name):
    """Of every predictor (symmetric where U U^T is), with noise in y too, and A*(y) with it."""
    problem = SAMPLERS[name](2)
    noise = 0.1 * jax.random.normal(jax.random.key(0), problem.target.shape)
    problem = ib.matrix.MatrixSensing(
        problem.operator, problem.target + noise, problem.left, problem.values, problem.right, 0.0, problem.weight
    )
    smaller, said = condense(problem, problem.weight == 0.5)
    assert said == REWRITTEN[name]
    for seed in range(3):
        z = jnp.asarray(a_matrix(problem, seed))
        np.testing.assert_allclose(smaller.loss(z), problem.loss(z), rtol=1e-12)
    np.testing.assert_allclose(smaller.backprojection(), problem.backprojection(), atol=1e-13)


LAW = cases.LAWS["adam"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["many, symmetric", "many, asymmetric"])
def test_condensed_run_is_the_run(name):
    """To 1e-10 at every record, under a law that is not equivariant: the weights are untouched."""
    problem = SAMPLERS[name](3)
    weights = ib.Symmetric(0.3, 3) if problem.weight == 0.5 else ib.Asymmetric(0.3, 3)
    descent = ib.Descent(0.05, law=LAW, max_steps=60)
    observe = (("x", ib.predictor()), ("loss", ib.loss))
    with cases.let_promote(LAW):
        short, full = (
            cases.drive(problem, weights, descent, [0, 20, 60], observe, rewritten=flag) for flag in (True, False)
        )
    np.testing.assert_allclose(short["x"], full["x"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(short["loss"], full["loss"], rtol=0, atol=1e-10)


def test_batches_are_left_alone():
    """A rewriting mixes examples, so a law that draws them sees the original ones."""
    problem, weights = SAMPLERS["many, asymmetric"](0), ib.Asymmetric(0.3, 3)
    theta = weights.init(problem, cases.key())
    drawn = ib.Descent(0.1, batch=ib.minibatch(2, cases.key()))
    assert rewrite(problem, weights, drawn, theta).problem is problem
    assert rewrite(problem, weights, ib.Descent(0.1), theta).problem is not problem


@pytest.mark.slow
def test_commuting_measurements_commute_and_the_truth_has_least_trace():
    """Against HiGHS: min sum l over B l = y, l >= 0, in the common eigenbasis, where pinching allows to look."""
    for seed in range(5):
        problem = ib.matrix.commuting(6, 2, 3, slack=0.2)(seed)
        matrices = np.asarray(problem.operator).reshape(3, 6, 6)
        for a in matrices:
            np.testing.assert_allclose(a @ matrices[1], matrices[1] @ a, atol=1e-13)
        _, basis = np.linalg.eigh(matrices[1])
        rows = np.einsum("ji,kjl,li->ki", basis, matrices, basis)
        found = linprog(np.ones(6), A_eq=rows, b_eq=np.asarray(problem.target), bounds=(0, None))
        np.testing.assert_allclose(found.fun, np.sum(problem.values), rtol=1e-9)
        np.testing.assert_allclose((basis * found.x) @ basis.T, problem.truth, atol=1e-8)


def test_certificate_of_measurements_that_do_not_commute():
    """<A_1, Z> <= tr Z for Z >= 0, with equality for X: eigenvalues of A_1 are 1 on X and at most 1 - slack off it."""
    problem = ib.matrix.certified(6, 2, 4, slack=0.25)(0)
    first = np.sqrt(4) * np.asarray(problem.operator[0]).reshape(6, 6)
    np.testing.assert_allclose(first @ problem.left, problem.left, atol=1e-13)
    values = np.linalg.eigvalsh(first)
    np.testing.assert_allclose(values[-3:], [0.75, 1, 1], atol=1e-13)
    second, third = np.asarray(problem.operator[1:3]).reshape(2, 6, 6)
    assert np.abs(second @ third - third @ second).max() > 0.1


@pytest.mark.slow
def test_isometry_defect_is_a_lower_bound_that_is_reached():
    """Of full order it is |A*A - I|; of order 1 and dimension 2 the maximum over a fine grid of unit rank-1 matrices."""
    problem = ib.matrix.gaussian((4, 3), 1, 20)(0)
    gram = np.asarray(problem.operator).T @ np.asarray(problem.operator)
    sharp = np.abs(np.linalg.eigvalsh(gram) - 1).max()
    assert 0.95 * sharp < float(isometry_defect(problem, 3, iterations=200)) <= sharp * (1 + 1e-12)
    flat = ib.matrix.gaussian((2, 2), 1, 6)(1)
    angle = np.linspace(0, np.pi, 400)
    units = np.stack([np.cos(angle), np.sin(angle)])
    z = np.einsum("ia,jb->abij", units, units).reshape(-1, 4)
    worst = np.abs(np.sum((z @ np.asarray(flat.operator).T) ** 2, axis=1) - 1).max()
    assert 0.9 * worst < float(isometry_defect(flat, 1, iterations=100)) < worst * (1 + 1e-3)


def test_the_first_measurements():
    """A count that is traced: the loss of the first rows, scaled as `gaussian` scales that many."""
    problem = ib.matrix.gaussian(4, 1, 9)(0)
    z = jnp.asarray(a_matrix(problem))
    few = of_the_first(problem, 5.0)
    rows = np.asarray(problem.operator)[:5] * np.sqrt(9 / 5)
    residual = rows @ np.ravel(z - problem.truth)
    np.testing.assert_allclose(few.loss(z), residual @ residual / 4, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ib.matrix.gaussian(4, 5, 9), "rank"),
        (lambda: ib.matrix.gaussian((4, 3), 4, 9), "rank"),
        (lambda: ib.matrix.gaussian(4, 1, 0), "measurements"),
        (lambda: ib.matrix.completion((4, 3), 1, 13), "measurements"),
        (lambda: ib.matrix.commuting(4, 2, 1), "measurements"),
        (lambda: ib.matrix.fixed(np.zeros((2, 3, 3)), np.eye(2)), "A, X"),
        (lambda: of_the_first(ib.matrix.population(3, 1)(0), 2.0), "problem"),
    ],
)
def test_mistakes_name_the_field(make, field):
    with pytest.raises(ib.Mistake) as found:
        make()
    assert found.value.field == field


def test_fixed_data():
    truth = np.diag([2.0, 1.0, 0.0])
    problem = ib.matrix.fixed(np.random.default_rng(0).standard_normal((4, 3, 3)), truth)(0)
    assert problem.rank == 2 and problem.weight == 0.5
    np.testing.assert_allclose(problem.truth, truth, atol=1e-14)


def test_a_truth_of_zero():
    """y = 0: the loss is |A(Z)|^2 / 2, a run moves, and what compares with singular values of the truth says why it cannot."""
    problem = ib.matrix.fixed([[[1.0, 0.0]]], [[0.0, 0.0]])(0)
    assert problem.rank == 0 and problem.weight == 1.0
    assert all(bool(flag) for flag in problem.requirements().values())
    np.testing.assert_array_equal(problem.truth, np.zeros((1, 2)))
    np.testing.assert_allclose(problem.loss(jnp.array([[3.0, 5.0]])), 4.5)
    out = cases.drive(problem, ib.Asymmetric(0.5, 2), ib.Descent(0.1), [0, 50], (("loss", ib.loss), ("s", ib.spectrum(1))))
    assert 0 < out["loss"][1] < out["loss"][0]
    for measure in (ib.rank_ratio, ib.signal, ib.misalignment):
        with pytest.raises(ib.Mistake, match="truth that is 0"):
            cases.drive(problem, ib.Asymmetric(0.5, 2), ib.Descent(0.1), [0, 1], (("it", measure),))


@pytest.mark.parametrize(("weight", "loss"), [(None, 1.0), (1.0, 2.0), (0.5, 1.0)])
def test_the_weight_of_given_data(weight, loss):
    """1/2 of a symmetric truth, a number among them, unless one is given."""
    np.testing.assert_allclose(ib.matrix.fixed([[[1.0]]], [[0.0]], weight=weight)(0).loss(jnp.array([[2.0]])), loss)


def test_a_triangular_operator_is_multiplied_in_strips():
    """276 unknowns are more than `SHORT`: loss, predictions, gradient and adjoint are those of the whole square."""
    problem, name = condense(ib.matrix.gaussian(23, 2, 300)(0), symmetric=True)
    assert problem.upper and len(problem._strips) == 4 and name.endswith("triangular: 300 -> 276 measurements")
    R, z = np.asarray(problem.operator), jnp.asarray(a_matrix(problem))
    assert not np.tril(R, -1).any()
    residual = R @ np.asarray(half(z)) - np.asarray(problem.target)
    np.testing.assert_allclose(problem.predictions(z), residual + problem.target, rtol=0, atol=1e-12)
    np.testing.assert_allclose(half(problem.backprojection(jnp.asarray(residual))), R.T @ residual, rtol=0, atol=1e-11)
    gradient = jax.grad(problem.loss)(z)
    np.testing.assert_allclose(half((gradient + gradient.T) / 2), problem.weight * R.T @ residual, rtol=0, atol=1e-11)
