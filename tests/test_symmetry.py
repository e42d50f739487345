"""Exact rewritings: the run in m + 2 coordinates is the run in d, and rotated data and weights give the rotated run."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.symmetry import DiagonalLeastSquares, RowSpaceLinear, rewrite
from tests import cases

STEPS = 200
EQUIVARIANT = [name for name, law in cases.LAWS.items() if law.equivariant]
METHODS = ["Euclidean", "Polar", "Sphere"]


def descent(law, ratio=0.3):
    return ib.Descent(jnp.asarray(0.05), ratio=jnp.asarray(ratio), law=law)


def from_direction(name, direction):
    return eqx.tree_at(
        lambda p: p.direction, cases.PARAMETERIZATIONS[name](), jnp.asarray(direction), is_leaf=lambda x: x is None
    )


def path_of(run):
    """The weights (lifted) after each of STEPS steps: [STEPS, .]."""
    law, objective = run.dynamics, run.objective

    def step(state, count):
        theta, rule = state
        _, theta, rule = law.update(objective, theta, rule, count)
        whole = run.chart.lift(run.chart.settle(theta))
        return (theta, rule), jnp.concatenate([jnp.atleast_1d(leaf) for leaf in whole])

    held = law.hold(objective, run.theta)
    start = (held, law.begin(objective, held))
    return jax.lax.scan(step, start, jnp.arange(STEPS, dtype=jnp.int32))[1]


compiled_path = eqx.filter_jit(path_of)


def path(problem, parameterization, law, rewritten):
    dynamics = descent(law, 1.0 if isinstance(parameterization, ib.Euclidean) else 0.3)
    with cases.let_promote(law):
        run = cases.prepared(problem, parameterization, dynamics, rewritten)
        return np.asarray(compiled_path(run))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("loss", ["square", "logistic"])
@pytest.mark.parametrize("law", EQUIVARIANT)
def test_rewritten_run_is_the_run(law, loss, name):
    """The rewritten path, lifted, is the path in the original coordinates, at every step.

    1e-10: each step rounds to a few eps of numbers below 10, and 200 stable steps add up to less than 1e-12.
    """
    problem, law = cases.problem_of(cases.LOSSES[loss]), cases.LAWS[law]
    short = path(problem, cases.PARAMETERIZATIONS[name](), law, rewritten=True)
    full = path(problem, cases.PARAMETERIZATIONS[name](), law, rewritten=False)
    np.testing.assert_allclose(short, full, rtol=0, atol=1e-10)
    assert np.linalg.norm(full[-1] - full[0]) > 0.1  # it went somewhere


@pytest.fixture(scope="module")
def rotation():
    return np.linalg.qr(np.random.default_rng(0).standard_normal((cases.COLUMNS, cases.COLUMNS)))[0]


def rotated(problem, Q):
    """A Q^T x' with x' = Q x is A x."""
    return eqx.tree_at(lambda p: p.operator, problem, problem.operator @ Q.T)


def defect_of_rotation(law, name, Q):
    """max |p'(k) - Q p(k)| over the steps, in the original coordinates: the theorem behind the rewriting."""
    problem = cases.problem_of(ib.square)
    first = np.asarray(cases.prepared(problem, cases.PARAMETERIZATIONS["Euclidean"](1.0), descent(law), False).theta.x)
    plain = path(problem, from_direction(name, first), law, rewritten=False)
    turned = path(rotated(problem, Q), from_direction(name, Q @ first), law, rewritten=False)
    radial = plain.shape[1] - cases.COLUMNS
    expected = np.concatenate([plain[:, :radial], plain[:, radial:] @ Q.T], axis=1)
    return np.max(np.abs(turned - expected))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("law", EQUIVARIANT)
def test_equivariant_laws_rotate_with_the_data(law, name, rotation):
    """x'_0 = Q x_0 and A' = A Q^T give x'_k = Q x_k. Rounding as above: 1e-10."""
    assert defect_of_rotation(cases.LAWS[law], name, rotation) < 1e-10


@pytest.mark.parametrize("law", ["adam", "from_optax"])
def test_laws_that_act_on_each_coordinate_do_not(law, rotation):
    """The list of equivariant laws is not vacuous: Adam and RMSProp leave the rotated path by more than a hundredth."""
    assert not cases.LAWS[law].equivariant
    assert defect_of_rotation(cases.LAWS[law], "Euclidean", rotation) > 1e-2


@pytest.mark.parametrize("law", ["adam", "from_optax"])
def test_what_is_not_equivariant_is_left_as_it_is(law):
    """No rewriting, and the reason in its name."""
    problem, parameterization = cases.problem_of(ib.square), cases.PARAMETERIZATIONS["Polar"]()
    theta = parameterization.init(problem, cases.key())
    new = rewrite(problem, parameterization, descent(cases.LAWS[law]), theta)
    assert new.problem is problem and new.theta is theta
    assert "not rotation-equivariant" in new.name


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["square", "logistic", "log_cosh", "exponential"])
def test_lift_reproduces_the_first_weights(loss):
    """lift(split(w_0)) = w_0 to 1e-13 (50 times eps sqrt(d) |w_0|), for random data, seeds and sizes of w_perp.

    From none (w_0 in the row space, where the sign is 0 and the logarithm -inf or of rounding) to all of w_0.
    """
    rng = np.random.default_rng(3)
    for seed, (rows, columns) in enumerate([(1, 2), (3, 7), (5, 40), (20, 100)]):
        problem = ib.linear.gaussian(rows, columns, loss=cases.LOSSES[loss])(seed)
        A = np.asarray(problem.operator)
        inside, outside = A.T @ rng.standard_normal(rows), rng.standard_normal(columns)
        outside -= np.linalg.pinv(A) @ (A @ outside)
        inside, outside = inside / np.linalg.norm(inside), outside / np.linalg.norm(outside)
        for share in (0.0, 1e-14, 1e-7, 0.5, 1.0):
            direction = (1 - share) * inside + share * outside
            parameterization = ib.Polar(jnp.asarray(2.0), jnp.asarray(direction), jnp.asarray(3.0))
            theta = parameterization.init(problem, cases.key())
            new = rewrite(problem, parameterization, ib.Descent(0.1), theta)
            assert isinstance(new.problem, DiagonalLeastSquares if loss == "square" else RowSpaceLinear)
            assert new.theta.w.row.shape == (rows,)
            np.testing.assert_allclose(new.chart.lift(new.theta.w), theta.w, rtol=0, atol=1e-13)
            np.testing.assert_allclose(new.problem.loss(new.theta.w), problem.loss(theta.w), rtol=1e-11)
            if share >= 1e-7:  # the amplitude itself, to rounding of |w|
                size = 3 * share / np.linalg.norm(direction) if share else 0
                np.testing.assert_allclose(np.exp(new.theta.w.log), size, rtol=0, atol=1e-14)


def test_facts_are_the_same_in_both_coordinates():
    """|x*|, |w_perp(0)|/|w(0)|, the spectrum of A A^T and L(0), against NumPy; 1e-12 is eps times the condition number and 100."""
    problem, parameterization = cases.problem_of(ib.square), cases.PARAMETERIZATIONS["Polar, |w| = 2"]()
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    w = np.asarray(parameterization.init(problem, cases.key()).w)
    expected = {
        "min_norm_size": np.linalg.norm(np.linalg.pinv(A) @ y),
        "orthogonal_size": np.linalg.norm(w - np.linalg.pinv(A) @ (A @ w)) / np.linalg.norm(w),
        "lambda_min": np.linalg.eigvalsh(A @ A.T)[0],
        "lambda_max": np.linalg.eigvalsh(A @ A.T)[-1],
        "loss_at_zero": 0.5 * y @ y,
    }
    for rewritten in (True, False):
        start = cases.start_of(cases.prepared(problem, parameterization, ib.Descent(0.1), rewritten))
        for name, value in expected.items():
            np.testing.assert_allclose(cases.OBSERVABLES[name](start), value, rtol=1e-12)


# -- where w_perp has left the range of float64 -------------------------------------------------------------------

OBSERVE = (
    ("g", ib.size),
    ("log", ib.orthogonal_log),
    ("sign", ib.orthogonal_sign),
    ("invariant", ib.log_invariant),
    ("direction", ib.orthogonal_direction),
)


def in_the_plane_of(problem, share=0.8):
    """|w_perp(0)| = share, in a direction that the data cannot see."""
    A = np.asarray(problem.operator)
    inside = A.T @ np.ones(cases.ROWS)
    outside = np.eye(cases.COLUMNS)[0] - np.linalg.pinv(A) @ A[:, 0]
    inside, outside = inside / np.linalg.norm(inside), outside / np.linalg.norm(outside)
    return np.sqrt(1 - share**2) * inside + share * outside, outside


@pytest.mark.parametrize("name", ["Polar", "Sphere"])
def test_amplitude_is_exact_below_the_range_of_floats(name):
    """log |w_perp(t)| = log |w_perp(0)| + (g_0^2 - g^2)/2c (Lemma 2.5), at c = 1e-3 and g -> 2: far below log 5e-324 = -745.

    g_inf = g* = 2 to rounding then, so the end is known in closed form. 1e-6 relative: the flow's local tolerance 1e-10,
    relative to the logarithm, over some 10^4 steps.
    """
    problem = cases.problem_of(ib.square)
    first, outside = in_the_plane_of(problem)
    parameterization = from_direction(name, first)
    flow = ib.Flow(jnp.asarray(8e4), ratio=jnp.asarray(1e-3))
    run = cases.drive(problem, parameterization, flow, [0.0, 1e3, 8e4], OBSERVE)
    np.testing.assert_allclose(run["g"][-1], 2.0, rtol=0, atol=1e-9)
    np.testing.assert_allclose(run["log"][-1], np.log(0.8) + (0.5**2 - 2.0**2) / (2 * 1e-3), rtol=1e-6)  # -1875
    expected = np.log(0.8) + (0.5**2 - run["g"] ** 2) / (2 * 1e-3)
    np.testing.assert_allclose(run["log"], expected, rtol=1e-6)
    np.testing.assert_allclose(run["invariant"], run["invariant"][0], rtol=1e-6)
    np.testing.assert_array_equal(run["sign"], 1.0)
    np.testing.assert_allclose(run["direction"], np.outer(np.ones(3), outside), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["Polar", "Sphere"])
def test_amplitude_of_descent_is_exact_below_the_range_of_floats(name):
    """Descent multiplies w_perp by a factor at every step; the sum of their logarithms, from a NumPy loop in the row space.

    WN: 1 - eta (g/|w|^2) u.grad;  rPGD: 1/|v|. Once w_perp has underflowed the loop does not need it. The sum of 20,000
    logarithms rounds to 20,000 eps |sum| = 5e-9.
    """
    problem = cases.problem_of(ib.square)
    first, _ = in_the_plane_of(problem)
    count, step, ratio = 20_000, 0.2, 1e-3
    law = ib.Descent(jnp.asarray(step), ratio=jnp.asarray(ratio), max_steps=count)
    run = cases.drive(problem, from_direction(name, first), law, [0, 1000, count], OBSERVE)

    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    _, s, Vt = np.linalg.svd(A, full_matrices=False)
    g, row, log = 0.5, Vt @ first, np.log(0.8)
    B = A @ Vt.T
    for _ in range(count):
        square = row @ row + np.exp(2 * log)
        norm = np.sqrt(square)
        if name == "Polar":
            d = B.T @ (B @ (g * row / norm) - y)
            along = (row @ d) / norm
            row, factor = row - step * g / norm * (d - row / norm * along), 1 + step * g / square * along
            g = g - step * ratio * along
            log += np.log(abs(factor))
        else:
            d = B.T @ (B @ (g * row) - y)
            moved = row - step * g * d
            size = np.sqrt(moved @ moved + np.exp(2 * log))
            g = g - step * ratio * (row @ d)
            row, log = moved / size, log - np.log(size)
    assert log < -800
    np.testing.assert_allclose(run["log"][-1], log, rtol=1e-8)
    np.testing.assert_allclose(run["g"][-1], g, rtol=1e-10)
