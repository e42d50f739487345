"""The maximum-margin separator against Lawson and Hanson's active-set method for  min |x|  over  B x >= 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import nnls

import implicit_bias as ib
from implicit_bias.problems import margin
from tests import cases


def least_distance(labelled):
    """Least-distance programming (Lawson & Hanson 1974, ch. 23): with r = [B^T; 1^T] u - [0; 1], x = -r_x / r_1."""
    rows, columns = labelled.shape
    system = np.vstack([labelled.T, np.ones(rows)])
    weights, _ = nnls(system, np.eye(columns + 1)[-1])
    residual = system @ weights - np.eye(columns + 1)[-1]
    return -residual[:-1] / residual[-1], weights


@pytest.mark.parametrize("rows, columns", [(1, 3), (4, 9), (8, 10), (12, 60)])
def test_against_an_active_set_method(rows, columns):
    """To the rounding of an ill-conditioned support (1e5 eps); 8 x 10 has examples that support nothing."""
    idle = 0
    for seed in range(6):
        problem = ib.linear.gaussian(rows, columns, loss=ib.logistic)(seed)
        labelled = np.asarray(problem.target)[:, None] * np.asarray(problem.operator)
        expected, weights = least_distance(labelled)
        found = jax.jit(margin.separator)(problem)
        x = np.asarray(found.x)
        assert -1e-14 < found.gap < 1e-13
        assert np.min(labelled @ x) > 1 - 1e-13
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-11 * np.linalg.norm(expected))
        idle += np.sum(weights == 0)
    assert idle > 0 if (rows, columns) == (8, 10) else True


@pytest.mark.slow
def test_the_certificate_bounds_the_error(monkeypatch):
    """|x - x*|^2 <= gap |x|^2, also after so few Newton steps that the support is not yet the right one."""
    gaps = []
    for seed in range(6):
        problem = ib.linear.gaussian(16, 18, loss=ib.logistic)(seed)
        expected, _ = least_distance(np.asarray(problem.target)[:, None] * np.asarray(problem.operator))
        for steps in (3, 6, 40):
            monkeypatch.setattr(margin, "NEWTON_STEPS", steps)
            found = margin.separator(problem)
            error = np.linalg.norm(found.x - expected)
            assert error <= np.sqrt(max(found.gap, 0.0)) * np.linalg.norm(found.x) + 1e-11 * np.linalg.norm(expected)
            gaps.append((steps, float(found.gap)))
    assert any(1e-3 < gap < 1 for _, gap in gaps)
    assert max(abs(gap) for steps, gap in gaps if steps == 40) < 1e-13


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
def test_margin_and_angle_before_and_after_rewriting(name):
    """Rewritten and original coordinates give one number, and NumPy the same."""
    problem = cases.problem_of(ib.exponential)
    measured = {"x": ib.predictor(), **cases.SEPARABLE}
    clock = [0, 10, 40]
    one, other = (
        cases.drive(
            problem, cases.PARAMETERIZATIONS[name](), ib.Descent(0.1), clock, tuple(measured.items()), rewritten=r
        )
        for r in (True, False)
    )
    labelled = np.asarray(problem.target)[:, None] * np.asarray(problem.operator)
    best, _ = least_distance(labelled)
    for k, x in enumerate(one["x"]):
        size = np.linalg.norm(x)
        np.testing.assert_allclose(one["margin"][k], np.min(labelled @ x) / size, rtol=0, atol=1e-12)
        cosine = best @ x / np.linalg.norm(best) / size
        np.testing.assert_allclose(np.cos(one["max_margin"][k]), cosine, rtol=0, atol=1e-10)
    for quantity in ("margin", "best_margin", "max_margin"):
        np.testing.assert_allclose(one[quantity], other[quantity], rtol=0, atol=1e-10)
    np.testing.assert_allclose(one["best_margin"], 1 / np.linalg.norm(best), rtol=1e-10)


def test_a_loss_of_targets_has_no_margin():
    with pytest.raises(TypeError, match="labels"):
        ib.max_margin(cases.problem_of(ib.square))
    with pytest.raises(TypeError, match="margin"):
        ib.max_margin(jnp.zeros(3))


@pytest.mark.slow
def test_gradient_of_the_largest_margin():
    """d(1/|x*|): central differences at 1e-6 leave 1e-9, with idle examples in the data."""
    problem = ib.linear.gaussian(8, 10, loss=ib.logistic)(1)

    def best(operator):
        return 1 / jnp.linalg.norm(ib.max_margin(ib.linear.Linear(operator, problem.target, ib.logistic)))

    turn = np.random.default_rng(0).standard_normal(problem.operator.shape)
    slope = jnp.sum(jax.grad(best)(problem.operator) * turn)
    ahead, behind = (best(problem.operator + h * turn) for h in (1e-6, -1e-6))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, rtol=0, atol=1e-7)
