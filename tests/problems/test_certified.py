"""Certified references: optimality against other solvers and by duality; a wrong answer has a gap."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

import implicit_bias as ib

NONNEGATIVE = pytest.mark.parametrize("nonnegative", [False, True])


def least_over_bases(A, y, nonnegative):
    """The least l1 norm over all basic solutions: where a linear program has a solution, one of these is."""
    rows, columns = A.shape
    sizes = []
    for basis in itertools.combinations(range(columns), rows):
        x = np.linalg.solve(A[:, basis], y)
        if not nonnegative or (x >= 0).all():
            sizes.append(np.abs(x).sum())
    return min(sizes)


@NONNEGATIVE
def test_min_l1_against_all_bases(nonnegative):
    for seed in range(5):
        problem = ib.linear.sparse(3, 8, 4, nonnegative=True)(seed)
        A, y = np.asarray(problem.operator), np.asarray(problem.target)
        found = ib.min_l1(A, y, nonnegative)
        assert found.value == pytest.approx(least_over_bases(A, y, nonnegative), rel=1e-12)
        assert abs(found.gap) < 1e-12 and found.residual < 1e-13
        assert np.abs(found.x).sum() == pytest.approx(found.value) and (not nonnegative or (found.x >= 0).all())


@pytest.mark.parametrize("size", [1e-12, 1e-8, 1e8])
def test_min_l1_of_data_of_any_size(size):
    """The least norm is homogeneous, and so is its certificate: HiGHS takes what is below 1e-7 for zero."""
    problem = ib.linear.sparse(3, 8, 4, noise=0.1)(1)
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    one, found = ib.min_l1(A, y), ib.min_l1(A, size * y)
    np.testing.assert_allclose(found.x, size * one.x, rtol=1e-9, atol=1e-12 * size)
    assert found.value == pytest.approx(size * one.value, rel=1e-12)
    assert abs(found.gap) < 1e-12 and found.residual < 1e-13 * size
    assert ib.min_l1(A, 0 * y).value == 0


def test_min_l1_of_entries_of_very_different_sizes():
    """A vertex with entries down to 1e-9 of the largest is found to rounding."""
    rng = np.random.default_rng(2)
    A = rng.standard_normal((3, 8))
    for small in (1e-7, 1e-8, 1e-9):
        y = A[:, :3] @ np.array([1.0, small, -small])
        found = ib.min_l1(A, y)
        assert found.residual < 1e-13 and abs(found.gap) < 1e-11
        assert found.value == pytest.approx(least_over_bases(A, y, False), rel=1e-11)


def test_min_l1_recovers_a_sparse_truth_and_says_where_there_is_none():
    problem = ib.linear.sparse(20, 40, 3)(0)
    found = ib.min_l1(np.asarray(problem.operator), np.asarray(problem.target))
    np.testing.assert_allclose(found.x, ib.truth(problem), atol=1e-12)
    assert ib.min_l1(np.ones((1, 3)), -np.ones(1), nonnegative=True).gap == np.inf


@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_separators(order):
    """Feasible, certified, and never above what another solver finds from many starts."""
    for seed in range(4):
        problem = ib.linear.gaussian(5, 9, loss=ib.logistic)(seed)
        B = np.asarray(problem.target)[:, None] * np.asarray(problem.operator)
        found = ib.min_norm_separator(B, order)
        assert (B @ found.x).min() >= 1 - 1e-12 and -1e-12 < found.gap < 1e-10
        constraint = {"type": "ineq", "fun": lambda x, B=B: B @ x - 1}
        start = np.linalg.lstsq(B, 1.5 * np.ones(5), rcond=None)[0]
        rival = minimize(lambda x: np.linalg.norm(x, order), start, constraints=constraint, method="SLSQP")
        feasible = rival.x / min(1.0, (B @ rival.x).min())
        assert found.value <= np.linalg.norm(feasible, order) * (1 + 1e-9)
    if order == 2:
        np.testing.assert_allclose(found.x, ib.max_margin(problem), atol=1e-9)


def test_separators_say_where_there_is_none():
    opposed = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert [ib.min_norm_separator(opposed, order).gap for order in (1, 2, np.inf)] == [np.inf] * 3
    with pytest.raises(ValueError, match="order"):
        ib.min_norm_separator(opposed, 3)


@pytest.mark.slow
def test_sparse_sampler():
    """The truth fits up to the noise, has the asked sparsity, sizes and signs; noise changes no other draw."""
    import jax.numpy as jnp

    plain, noisy = ib.linear.sparse(8, 30, 5)(3), ib.linear.sparse(8, 30, 5, noise=0.1)(3)
    hidden = np.asarray(ib.truth(plain))
    assert (hidden != 0).sum() == 5 and (hidden < 0).any()
    assert (np.abs(hidden[hidden != 0]) >= 0.5).all() and (np.abs(hidden) <= 1.5).all()
    np.testing.assert_array_equal(hidden, ib.truth(noisy))
    np.testing.assert_array_equal(plain.operator, noisy.operator)
    assert 0.05 < np.std(noisy.target - noisy.operator @ hidden) < 0.2 and plain.loss(jnp.asarray(hidden)) < 1e-28
    np.testing.assert_array_equal(ib.truth(ib.linear.sparse(8, 30, 5, nonnegative=True)(3)), np.abs(hidden))
    places = [np.flatnonzero(ib.truth(ib.linear.sparse(8, 30, 5)(seed))) for seed in range(40)]
    assert len(np.unique(np.concatenate(places))) == 30
    with pytest.raises(TypeError, match="sparse"):
        ib.truth(ib.linear.gaussian(3, 7)(0))
    with pytest.raises(ib.Mistake, match="nonzeros"):
        ib.linear.sparse(3, 7, 0)


def test_lasso_against_its_optimality_and_a_slow_solver():
    """A_i.(y - A x) = w_i sign x_i, at most w_i where x_i = 0; and proximal gradient descent comes to the same point."""
    rng = np.random.default_rng(3)
    for rows, columns in ((3, 7), (5, 2), (4, 4)):
        A, y = rng.standard_normal((rows, columns)), rng.standard_normal(rows)
        weights = rng.uniform(0.05, 0.5, columns) * np.abs(A.T @ y).max()
        found = ib.lasso(A, y, weights)
        slope = A.T @ (y - A @ found.x)
        alive = found.x != 0
        np.testing.assert_allclose(slope[alive], (weights * np.sign(found.x))[alive], atol=1e-12)
        assert (np.abs(slope) <= weights + 1e-12).all() and -1e-12 < found.gap < 1e-11
        x, step = np.zeros(columns), 1 / np.linalg.norm(A, 2) ** 2
        for _ in range(20_000):
            moved = x + step * A.T @ (y - A @ x)
            x = np.sign(moved) * np.maximum(np.abs(moved) - step * weights, 0)
        np.testing.assert_allclose(found.x, x, atol=1e-9)
        assert found.value == pytest.approx(np.sum((A @ x - y) ** 2) / 2 + weights @ np.abs(x), rel=1e-12)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_lasso_of_data_of_any_size(size):
    rng = np.random.default_rng(4)
    A, y = rng.standard_normal((3, 8)), rng.standard_normal(3)
    one, found = ib.lasso(A, y, 0.3), ib.lasso(A, size * y, size * 0.3)
    np.testing.assert_allclose(found.x, size * one.x, rtol=1e-10)
    assert abs(found.gap) < 1e-11 and found.value == pytest.approx(size**2 * one.value, rel=1e-11)


def test_lasso_at_its_ends():
    rng = np.random.default_rng(5)
    A, y = rng.standard_normal((3, 8)), rng.standard_normal(3)
    assert not ib.lasso(A, y, 1.001 * np.abs(A.T @ y).max()).x.any() and ib.lasso(A, 0 * y, 1.0).value == 0
    np.testing.assert_allclose(ib.lasso(A, y, 1e-9).x, ib.min_l1(A, y).x, atol=1e-7)
    with pytest.raises(ValueError, match="weight"):
        ib.lasso(A, y, np.zeros(8))
