"""Linear problems of any shape: as many equations as unknowns, or more, against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from tests import cases


@pytest.mark.parametrize("rows", [1, 3, 5, 9])
def test_given_data_may_have_any_shape(rows):
    """Descent is NumPy's, record by record and loss by loss: of more rows than columns the least loss is not 0."""
    rng = np.random.default_rng(rows)
    a, y = rng.standard_normal((rows, 3)) / rows**0.5, rng.standard_normal(rows)
    problem = ib.linear.fixed(a, y)(0)
    assert all(bool(flag) for flag in problem.requirements().values())
    out = cases.drive(problem, ib.Euclidean(0.5), ib.Descent(0.1), [0, 1, 40])
    x = out["x"][0]
    for k in range(41):
        if k in (0, 1, 40):
            at = [0, 1, 40].index(k)
            np.testing.assert_allclose(out["x"][at], x, atol=1e-12)
            np.testing.assert_allclose(out["loss"][at], np.sum((a @ x - y) ** 2) / 2, rtol=1e-11)
        x = x - 0.1 * a.T @ (a @ x - y)


def test_one_equation_in_one_unknown():
    problem = ib.linear.fixed([[2.0]], [3.0])(0)
    np.testing.assert_allclose(ib.min_norm(problem), [1.5])
    np.testing.assert_allclose(ib.orthogonal_part(problem, jnp.ones(1)), [0.0], atol=1e-15)


def test_too_many_equations_have_no_interpolator():
    with pytest.raises(TypeError, match="3 equations in 2 unknowns"):
        ib.min_norm(ib.linear.fixed(np.eye(3, 2), np.ones(3))(0))


def test_samplers_still_ask_for_more_columns():
    with pytest.raises(ib.Mistake, match="fewer than columns"):
        ib.linear.gaussian(3, 3)
    with pytest.raises(ib.Mistake, match="at least one row"):
        ib.linear.fixed(np.zeros((0, 2)), np.zeros(0))
