"""Closed forms of matrix sensing against plain NumPy runs, SciPy's solvers and brute force."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize, root

from implicit_bias.theory import sensing as theory

RNG = np.random.default_rng(3)


def test_one_step_of_the_imbalance():
    """mu^2 (W^T R^T R W - V^T R R^T V), from a step made by hand; and for three factors."""
    v, w, r, mu = RNG.standard_normal((5, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal((5, 4)), 0.3
    new_v, new_w = v + mu * r @ w, w + mu * r.T @ v
    change = (new_v.T @ new_v - new_w.T @ new_w) - (v.T @ v - w.T @ w)
    (said,) = theory.imbalance_steps([-r @ w, -(r.T @ v).T], mu)
    np.testing.assert_allclose(said, change, atol=1e-13)
    np.testing.assert_allclose(said, mu**2 * (w.T @ r.T @ r @ w - v.T @ r @ r.T @ v), atol=1e-13)
    a, b, c = RNG.standard_normal((5, 2)), RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4))
    slopes = [r @ (b @ c).T, a.T @ r @ c.T, (a @ b).T @ r]
    moved = [f - mu * g for f, g in zip((a, b, c), slopes)]
    both = zip(theory.imbalances(moved), theory.imbalances([a, b, c]), theory.imbalance_steps(slopes, mu))
    for after, before, said in both:
        np.testing.assert_allclose(after - before, said, atol=1e-12)


def test_power_iterate_is_the_power():
    m = RNG.standard_normal((6, 6))
    m, start = m + m.T, RNG.standard_normal((6, 3))
    expected = np.linalg.matrix_power(np.eye(6) + 0.1 * m, 17) @ start
    np.testing.assert_allclose(theory.power_iterate(m, 0.1, 17, start), expected, rtol=1e-10)


@pytest.mark.parametrize(("least", "expected"), [(1.0, 4.481), (1 / 4, 16.49), (1 / 9, 36.50)])
def test_steps_per_log_of_a_run_by_hand(least, expected):
    """U U^T with A*A = I, X = diag(1, least, 0): steps to 10 % from 1e-6 and 1e-5, a decade apart."""
    x, mu = np.diag([1.0, least, 0.0]), 0.25

    def steps(alpha):
        u, count = alpha * np.array([[1.0, 0.2], [0.3, 1.0], [0.5, -0.4]]), 0
        while np.linalg.norm(u @ u.T - x) > 0.1 * np.linalg.norm(x) * least:
            u, count = u + mu * (x - u @ u.T) @ u, count + 1
        return count

    slope = (steps(1e-7) - steps(1e-4)) / np.log(1e3)
    assert float(theory.steps_per_log(mu, least)) == pytest.approx(expected, abs=0.01)
    assert slope == pytest.approx(expected, abs=1 / np.log(1e3))  # one step of counting at each end


def test_certificate_slack_by_brute_force():
    """One free direction of nu (three measurements, rank 2): a fine grid along it."""
    rows = RNG.standard_normal((3, 6))
    rows[0, :2] = 1
    rows[0, 2:] = np.minimum(rows[0, 2:], 0.7)
    particular = np.array([1.0, 0, 0])
    null = np.linalg.svd(rows[:, :2].T)[2][-1]
    grid = particular[:, None] + null[:, None] * np.linspace(-20, 20, 400_001)
    best = (rows[:, 2:].T @ grid).max(axis=0).min()
    assert theory.certificate_slack(rows, 2) == pytest.approx(1 - best, abs=1e-3)
    assert theory.certificate_slack(rows, 2) >= 0.3 - 1e-12


def test_the_commuting_flow_ends_at_least_entropy():
    """In the common eigenbasis: U' = -2 R U by SciPy; its end minimises the entropy, and log(l / alpha^2) is in range(B^T)."""
    rows, truth, alpha = np.array([[1.0, 1, 0.5, -0.3], [1, -1, 0.2, 0.4]]), np.array([1.0, 0.4, 0, 0]), 0.1
    target = rows @ truth

    def velocity(t, u):
        return -(rows.T @ (rows @ u**2 - target)) * u

    end = solve_ivp(velocity, (0, 2000), np.full(4, alpha), rtol=1e-10, atol=1e-13).y[:, -1] ** 2
    assert np.abs(rows @ end - target).max() < 1e-8
    null = np.linalg.svd(rows)[2][2:]
    assert np.linalg.norm(null @ np.log(end / alpha**2)) < 1e-6
    assert np.linalg.norm(null @ np.log(end * [1, 1, 1, 1.1] / alpha**2)) > 1e-2

    def entropy(free):
        point = end + null.T @ free
        return np.inf if (point <= 0).any() else np.sum(point * np.log(point / alpha**2) - point)

    found = minimize(entropy, np.zeros(2), method="Nelder-Mead", options=dict(xatol=1e-10, fatol=1e-14))
    assert np.abs(null.T @ found.x).max() < 1e-4


def test_the_error_of_a_small_start_is_that_of_the_entropy_minimiser_to_its_own_next_order():
    """The minimiser of sum l log(l / alpha^2) - l over B l = y by a convex solver of its dual, not by the formula."""
    rng = np.random.default_rng(3)
    values = np.array([[1.0, 1.0, 0.6, 0.3, -0.5], [1.0, -1.0, 0.2, -0.4, 0.1]])
    truth = np.array([1.0, 1.0, 0, 0, 0])
    for scale in (1e-2, 1e-3, 1e-4):
        dual = root(
            lambda s: values @ (scale**2 * np.exp(values.T @ s)) - values @ truth,
            np.linalg.solve(values[:, :2].T, np.full(2, -2 * np.log(scale))) + 0.01 * rng.standard_normal(2),
            tol=1e-13,
        )
        assert dual.success
        found = scale**2 * np.exp(values.T @ dual.x)
        error, next_order = theory.small_start_error(values, 2, scale)
        assert abs(np.linalg.norm(found - truth) / np.linalg.norm(truth) / error - 1) <= next_order < 0.2
