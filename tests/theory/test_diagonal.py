"""Potentials of diagonal networks against SciPy's flows and convex solvers, finite differences and KKT residuals."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

import implicit_bias as ib
from implicit_bias.theory import diagonal as theory

N = 13


def data(seed, rows=4, columns=N, signed=False):
    """(A, y) with a nonnegative interpolator of as many entries as rows, or [A, -A] and a signed one.

    Fewer entries would put the limits of small starts on a face, to which flows creep.
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((rows, columns)) / np.sqrt(rows)
    x = np.zeros(columns)
    x[:4] = [1.0, 0.7, -0.8 if signed else 0.8, 0.6]
    return (np.hstack([A, -A]) if signed else A), A @ x


def null(A):
    return np.eye(A.shape[1]) - np.linalg.pinv(A) @ A


def plain_flow(A, y, start, depth, end):
    def velocity(t, w):
        return A.T @ (y - A @ w**depth) * w ** (depth - 1)

    return solve_ivp(velocity, (0, end), start, method="LSODA", rtol=1e-11, atol=1e-14).y[:, -1]


def normalised_flow(A, y, start, depth, ratio, end):
    def velocity(t, state):
        r, u = state[0], state[1:]
        q = A.T @ (y - A @ (r * u) ** depth)
        s = q @ u**depth
        return np.append(ratio * r ** (depth - 1) * s, r**depth * (q * u ** (depth - 1) - u * s))

    size = np.linalg.norm(start)
    found = solve_ivp(velocity, (0, end), np.append(size, start / size), method="LSODA", rtol=1e-11, atol=1e-14)
    return found.y[0, -1] * found.y[1:, -1]


CASES = [(1, False), (2, False), (3, False), (4, False), (2, True), (3, True)]


@pytest.mark.parametrize("depth, signed", CASES)
def test_plain_limits(depth, signed):
    """The dual solve interpolates, is SciPy's flow at its end, and moves the conserved vector inside range(A^T)."""
    A, y = data(depth, signed=signed)
    start = np.random.default_rng(7).uniform(0.2, 0.5, A.shape[1])
    x = theory.plain_limit(A, y, start, depth)
    np.testing.assert_allclose(A @ x, y, atol=1e-13)
    w = plain_flow(A, y, start, depth, 2e3)
    np.testing.assert_allclose(w**depth, x, atol=2e-8)
    moved = theory.conserved(w, depth) - theory.conserved(start, depth)
    assert np.linalg.norm(null(A) @ moved) < 1e-7 * np.linalg.norm(moved)


def test_plain_limits_of_several_depths_at_once_are_those_of_one_after_the_other():
    A, y = data(3)
    start, depths = np.full(A.shape[1], 0.3), np.array([[1.0], [2.0], [3.0]])
    together = theory.plain_limit(A, np.stack([y, 2 * y]), start, depths)
    assert together.shape == (3, 2, A.shape[1])
    for depth, found in zip((1.0, 2.0, 3.0), together):
        np.testing.assert_allclose(A @ found[1], 2 * y, atol=1e-13)
        np.testing.assert_allclose(found, theory.plain_limit(A, np.stack([y, 2 * y]), start, depth), rtol=1e-12)


@pytest.mark.parametrize("depth, signed", CASES)
def test_normalised_limits_are_plain_ones_from_the_start_over_the_magnification(depth, signed):
    A, y = data(10 + depth, signed=signed)
    ratio, start = 0.4, np.full(A.shape[1], 0.3)
    w = normalised_flow(A, y, start, depth, ratio, 2e3)
    size0, size = np.linalg.norm(start), np.linalg.norm(w)
    rho = theory.magnification(size0, size, ratio)
    assert abs(rho - 1) > 0.05
    np.testing.assert_allclose(theory.plain_limit(A, y, start / rho, depth), w**depth, atol=1e-7)
    p = [theory.conserved(v, depth, ratio, np.linalg.norm(v)) for v in (start, w)]
    assert np.linalg.norm(null(A) @ (p[1] - p[0])) < 1e-7 * np.linalg.norm(p[1] - p[0])


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_the_potential_of_depth_two(ratio):
    """The dual solve against SLSQP on the primal, and against the flow; the KKT residual vanishes."""
    A, y = data(3)
    start = np.random.default_rng(5).uniform(0.1, 0.4, N) ** 2
    x = theory.normalised_limit(A, y, start, ratio)
    value = theory.normalised_potential(x, start, ratio)
    begin = np.maximum(theory.plain_limit(A, y, np.sqrt(start), 2), 1e-6)
    rival = minimize(
        lambda x: theory.normalised_potential(x, start, ratio), begin, method="SLSQP", bounds=[(1e-14, None)] * N,
        constraints={"type": "eq", "fun": lambda x: A @ x - y}, options={"ftol": 1e-15, "maxiter": 500},
    )  # fmt: skip
    assert value == pytest.approx(rival.fun, abs=1e-7)
    np.testing.assert_allclose(rival.x, x, atol=2e-4)
    np.testing.assert_allclose(normalised_flow(A, y, np.sqrt(start), 2, ratio, 5e3) ** 2, x, atol=1e-7)
    slope = np.log(x / x.sum() / (start / start.sum())) + (x.sum() - start.sum()) / ratio
    assert np.linalg.norm(null(A) @ slope) < 1e-9 * np.linalg.norm(slope)


def test_conjugates_by_finite_differences():
    """The gradient of Phi* is x, its Hessian F^T F: central differences to 1e-7."""
    A, _ = data(2)
    v, h = 0.1 * np.random.default_rng(0).standard_normal(4), 1e-5
    start = np.full(N, 0.5)
    duals = [theory._plain(A, start, depth) for depth in (1, 2, 3, 4)]
    duals.append(theory._normalised(A, start**2, np.asarray(0.7)))
    for dual in duals:
        there, steps = dual(A.T @ v), h * np.eye(4)
        slope = [(dual(A.T @ (v + e)).value - dual(A.T @ (v - e)).value) / (2 * h) for e in steps]
        np.testing.assert_allclose(slope, A @ there.x, atol=1e-7)
        bend = [A @ (dual(A.T @ (v + e)).x - dual(A.T @ (v - e)).x) / (2 * h) for e in steps]
        np.testing.assert_allclose(bend, there.factor.T @ there.factor, atol=1e-6)


def test_hyperbolic_entropy():
    """Its gradient by differences; its minimiser is the plain limit of depth 2; l1 and l2 at the ends of alpha."""
    A, y = data(4, signed=True)
    half = A[:, :N]
    x, h = np.random.default_rng(1).standard_normal(N), 1e-6
    slope = [
        (theory.hyperbolic_entropy(x + e, 0.3) - theory.hyperbolic_entropy(x - e, 0.3)) / (2 * h) for e in h * np.eye(N)
    ]
    np.testing.assert_allclose(slope, theory.hyperbolic_entropy_gradient(x, 0.3), atol=1e-8)
    assert theory.hyperbolic_entropy(1e-9 * x, 1.0) == pytest.approx(1e-18 * (x @ x) / 4, rel=1e-6)
    alphas = np.array([1e-8, 1e-3, 0.1, 1.0, 30.0])
    stacked = theory.plain_limit(A, y, alphas[:, None] * np.ones(2 * N), 2)
    found = stacked[:, :N] - stacked[:, N:]
    kernel = np.linalg.svd(half)[2][4:]
    for alpha, x in zip(alphas, found, strict=True):
        slope = theory.hyperbolic_entropy_gradient(x, alpha)
        assert np.linalg.norm(kernel @ slope) < 1e-7 * np.linalg.norm(slope)
        for e in 1e-3 * kernel:
            assert theory.hyperbolic_entropy(x, alpha) <= theory.hyperbolic_entropy(x + e, alpha) * (1 + 1e-12)
    least = ib.min_l1(half, y)
    sizes = np.abs(found).sum(-1) / least.value - 1
    assert (np.diff(sizes) > 0).all() and 0 < sizes[0] < 0.05
    np.testing.assert_allclose(found[-1], np.linalg.pinv(half) @ y, atol=1e-5)


def test_many_problems_at_once_are_single_ones():
    problems = [data(seed) for seed in range(5)]
    A, y = (np.stack(arrays) for arrays in zip(*problems, strict=True))
    start, ratio = np.full((3, 1, N), 0.1), np.array([0.2, 1.0, 3.0])[:, None]
    many = theory.normalised_limit(A, y, start**2, ratio)
    deep = theory.plain_limit(A, y, np.full((5, N), 0.1), 3)
    for j, (a, b) in enumerate(problems):
        for i in range(3):
            np.testing.assert_allclose(
                many[i, j], theory.normalised_limit(a, b, start[i, 0] ** 2, ratio[i, 0]), rtol=1e-6, atol=1e-10
            )
        np.testing.assert_allclose(deep[j], theory.plain_limit(a, b, np.full(N, 0.1), 3), rtol=1e-6, atol=1e-10)


def test_gap_bounds():
    """The sharper bound holds on both sides of s0 = Q, is below the simple one before it, and 2 (s0 - Q) for c -> 0."""
    for seed in range(6):
        A, y = data(seed, rows=4, columns=12)
        least = ib.min_l1(A, y, nonnegative=True).value
        for share in (0.05, 0.5, 0.99, 1.5, 5.0):
            for ratio in (1e-2, 0.3, 10.0):
                start = np.full(12, share * least / 12)
                gap = theory.normalised_limit(A, y, start, ratio).sum() - least
                bound = theory.gap_bound(least, share * least, ratio, 12)
                assert -1e-9 < gap <= bound + 1e-9
                if share < 1:
                    assert bound <= theory.simple_gap_bound(least, share * least, ratio, 12) * (1 + 1e-12)
    assert theory.gap_bound(1.0, 1.5, 1e-12, 12) == pytest.approx(1.0, abs=1e-6)
    assert theory.gap_bound(1.0, 0.5, 1e-12, 12) < 1e-10


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_gap_bounds_of_plain_nets(depth):
    """|x|_1 - Q from alpha (1, ..., 1), against the least l1 norm of the linear program; within a factor 100 at L = 2."""
    for seed in range(6):
        A, y = data(seed, signed=True)
        least = ib.min_l1(A[:, :N], y).value
        for alpha in (0.02, 0.1, 0.5):
            power = theory.plain_limit(A, y, np.full(2 * N, alpha), depth)
            x = power[:N] - power[N:]
            gap, bound = np.abs(x).sum() - least, theory.plain_gap_bound(x, least, alpha, depth)
            assert -1e-9 < gap <= bound
            assert depth > 2 or bound < 100 * gap
