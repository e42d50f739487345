"""Closed times of deep linear nets against mpmath's quadrature, SciPy's flows of all layers, and Hessians by differences."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from implicit_bias.theory import deep_linear as theory

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("depth", [2, 3, 4, 6])
@pytest.mark.parametrize(("start", "target"), [(1e-2, 1.0), (1e-6, 0.3), (0.4, 2.5)])
def test_a_hitting_time_is_the_integral(depth, start, target):
    for level in (1.001 * start, 0.5 * target, 0.99 * target):
        with mpmath.workdps(30):
            power = 2 - mpmath.mpf(2) / depth
            pieces = np.geomspace(start, level, 6)
            due = mpmath.quad(lambda s: 1 / (depth * s**power * (target - s)), pieces)
        assert theory.hitting_time(level, start, target, depth) == pytest.approx(float(due), rel=1e-9)


@pytest.mark.parametrize("delta", [0.3, -2.0, 1e-4])
def test_the_time_of_an_unbalanced_pair_is_the_integral(delta):
    for z in (-0.1, 0.2, 1.4):
        due = mpmath.quad(lambda z: 1 / (mpmath.sqrt(delta**2 + 4 * z**2) * (1.5 - z)), [-0.2, -0.01, 0, 0.01, 0.5, z])
        if z < 0:
            due = mpmath.quad(lambda z: 1 / (mpmath.sqrt(delta**2 + 4 * z**2) * (1.5 - z)), [-0.2, z])
        assert theory.pair_time(z, -0.2, 1.5, delta) == pytest.approx(float(due), rel=1e-9)


def velocity(layers, slope):
    """-d loss / d W_j, W_1 first."""
    moves = []
    for j in range(len(layers)):
        after, before = np.eye(3), np.eye(3)
        for w in layers[j + 1 :]:
            after = w @ after
        for w in layers[:j]:
            before = w @ before
        moves.append(-after.T @ slope @ before.T)
    return moves


def product(layers):
    z = np.eye(3)
    for w in layers:
        z = w @ z
    return z


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_singular_values_of_a_flow_of_all_layers_move_as_said(depth):
    """Balanced, with vectors of their own; the derivative of the SVD is taken by differences of a SciPy flow."""
    u, v = (np.linalg.qr(RNG.standard_normal((3, 3)))[0] for _ in range(2))
    sizes, target = np.diag(np.array([0.9, 0.5, 0.2]) ** (1 / depth)), RNG.standard_normal((3, 3))
    layers = [sizes @ v.T, *[sizes] * (depth - 2), u @ sizes]

    def rhs(t, y):
        ws = list(y.reshape(depth, 3, 3))
        return np.array(velocity(ws, product(ws) - target)).ravel()

    h, start = 1e-3, np.array(layers).ravel()
    ends = [solve_ivp(rhs, (0, sign * h), start, rtol=1e-12, atol=1e-14).y[:, -1].reshape(depth, 3, 3) for sign in (1, -1)]
    seen = np.subtract(*(np.linalg.svd(product(list(e)), compute_uv=False) for e in ends)) / (2 * h)
    z = product(layers)
    left, s, right = np.linalg.svd(z)
    due = [-depth * s[r] ** (2 - 2 / depth) * left[:, r] @ (z - target) @ right[r] for r in range(3)]
    np.testing.assert_allclose(seen, due, rtol=1e-4)
    for after, before in zip(ends[0][1:], ends[0][:-1]):
        np.testing.assert_allclose(after.T @ after, before @ before.T, atol=1e-10)


def test_small_starts_learn_at_the_times_of_the_limit():
    for depth, start in ((2, 1e-40), (3, 1e-15), (6, 1e-8)):
        for level in (0.1, 0.4):
            due = theory.first_hitting_time(start, 0.5, depth)
            assert theory.hitting_time(level, start, 0.5, depth) == pytest.approx(float(due), rel=0.05)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_curvature_at_the_balanced_minimum(depth):
    values = np.array([1.7, 0.8, 0.3])
    start = np.array([np.diag(values ** (1 / depth))] * depth)
    target, h = np.diag(values), 1e-5

    def slope(y):
        ws = list(y.reshape(depth, 3, 3))
        return -np.array(velocity(ws, product(ws) - target)).ravel()

    y = start.ravel()
    hessian = np.array([(slope(y + h * e) - slope(y - h * e)) / (2 * h) for e in np.eye(y.size)])
    assert np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1] == pytest.approx(theory.curvature(1.7, depth), rel=1e-6)
