"""The homotopy of saddles against linear programs, SciPy's flows at a large l, and problems where nothing interacts."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import linprog

from implicit_bias.theory import saddles as theory


def data(seed, rows=4, columns=7):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((rows, columns)) / np.sqrt(rows)
    return A, A @ rng.standard_normal(columns)


def least(A, y, start):
    """min sum |x| - sign(x_0) x over A x = y, as a linear program."""
    cost = np.concatenate([1 - np.sign(start), 1 + np.sign(start)])
    found = linprog(cost, A_eq=np.hstack([A, -A]), b_eq=y, method="highs-ds")
    assert found.status == 0
    return found.fun


def test_it_ends_at_the_least_l1_norm_and_s_certifies_it():
    left = wrong = 0
    for seed in range(60):
        A, y = data(seed)
        path = theory.homotopy(A, y)
        x, s = path.x[-1], path.s[-1]
        assert np.abs(A @ x - y).max() < 1e-9 and np.abs(s).max() < 1 + 1e-12
        assert np.abs(s - np.linalg.pinv(A) @ A @ s).max() < 1e-9 and s @ x == pytest.approx(np.abs(x).sum(), rel=1e-12)
        assert np.abs(x).sum() == pytest.approx(least(A, y, np.zeros(7)), rel=1e-7)
        assert (np.diff(path.tau) > 0).all()
        on = path.x != 0
        left += (on[:-1] & ~on[1:]).any()
        nested = theory.homotopy(A, y, signs=False).x[-1]
        assert np.abs(A @ nested - y).max() < 1e-9
        wrong += np.abs(nested).sum() > np.abs(x).sum() * (1 + 1e-6)
    assert left >= 10 and wrong >= 10  # the rule of signs is tested on something


def test_every_saddle_is_the_minimiser_of_its_signs():
    for seed in range(20):
        A, y = data(seed)
        for _, x, s, v in zip(*theory.homotopy(A, y)):
            assert (x * s >= 0).all() and (np.abs(s[x != 0]) == 1).all() and np.abs(v[x != 0]).max(initial=0) == 0
            np.testing.assert_allclose(v, A.T @ (y - A @ x), atol=1e-9)
            at_one = (np.abs(s) == 1) & (x == 0)
            assert (v[at_one] * s[at_one] <= 1e-9).all()


def test_where_nothing_interacts_nothing_is_tested():
    """Orthogonal columns: entry i comes at 1/|v_i| and stays, with its sign or without."""
    A, y = np.eye(3, 5), np.array([1.0, -0.5, 2.0])
    path, nested = theory.homotopy(A, y), theory.homotopy(A, y, signs=False)
    np.testing.assert_allclose(path.tau, [0, 0.5, 1, 2])
    np.testing.assert_array_equal(path.x, nested.x)
    np.testing.assert_allclose(path.x[-1], [1, -0.5, 2, 0, 0])


@pytest.mark.parametrize("seed", [2, 13])
def test_a_flow_is_on_the_staircase(seed):
    """k' = 4 A^T (y - A x), x = exp(-l) sinh(k), by SciPy at l = 200: the clock is tau = 4 t / l, of a^2 - b^2."""
    A, y = data(seed)
    path, ell = theory.homotopy(A, y), 200.0
    tau = np.linspace(0, 6, 60)

    def rhs(t, k):
        up, down = np.exp(np.minimum([k - ell, -k - ell], 3))  # of a trial step that is refused
        return 4 * A.T @ (y - A @ (up - down) / 2)

    s = solve_ivp(rhs, (0, 6 * ell / 4), np.zeros(7), "RK45", t_eval=tau * ell / 4, rtol=1e-6, atol=1e-6).y.T / ell
    assert len(path.tau) > 3 and path.tau[2] < 6
    assert np.abs(s - path.s_at(tau)).max() < 0.05
    assert np.abs(s - path.s_at(2 * tau)).max() > 0.2  # the clock of u v


def test_fine_tuning_ends_at_the_least_cost():
    rng = np.random.default_rng(1)
    kept = 0
    for seed in range(60):
        A, y = data(seed, 4, 9)
        start = np.zeros(9)
        start[rng.permutation(9)[:2]] = rng.choice([-1, 1], 2) * rng.uniform(0.5, 1.5, 2)
        x = theory.homotopy(A, y, start).x[-1]
        assert np.abs(A @ x - y).max() < 1e-8
        assert theory.tuning_cost(x, start) == pytest.approx(least(A, y, start), abs=1e-7)
        kept += np.abs(x).sum() > np.abs(theory.homotopy(A, y).x[-1]).sum() + 1e-6
    assert kept > 20  # the start matters


def test_the_bound_of_a_finite_start_holds_for_a_flow_and_is_of_order_one_over_l():
    A, y = data(5, 4, 9)
    start = np.zeros(9)
    start[[1, 4]] = 1.0, -0.7
    bounds = []
    for ell in (20.0, 40.0):
        square = np.exp(-ell) / 2
        a = np.sqrt((np.abs(start) + np.hypot(start, 2 * square)) / 2)
        a, b = np.where(start >= 0, a, square / a), np.where(start >= 0, square / a, a)

        def rhs(t, logs):
            a, b = np.exp(np.split(logs, 2))
            g = A.T @ (A @ (a**2 - b**2) - y)
            return np.concatenate([-2 * g, 2 * g])

        end = solve_ivp(rhs, (0, 10 * ell), np.log(np.concatenate([a, b])), "LSODA", rtol=1e-10, atol=1e-10).y[:, -1]
        x = np.exp(2 * end[:9]) - np.exp(2 * end[9:])
        above = theory.tuning_cost(x, start) - least(A, A @ x, start)
        bounds.append(theory.tuning_bound(A, x, start, ell))
        assert -1e-8 < above <= bounds[-1] + 1e-8
    assert bounds[1] == pytest.approx(bounds[0] / 2, rel=0.3)
