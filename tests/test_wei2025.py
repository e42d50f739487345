"""Stiefel weight normalisation: the recursion of one angle and the flows in NumPy and SciPy, and what would be vacuous."""

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from experiments.wei2025.angle import mapped
from experiments.wei2025.escape import conserved
from experiments.wei2025.rates import aligned_off


def frame(rng, m, r):
    return np.linalg.qr(rng.standard_normal((m, r)))[0]


def gradient(x, target):
    """Of |X Theta X^T - M|^2 / 4 in X at Theta = X^T M X."""
    core = x.T @ target @ x
    return (x @ core @ x.T - target) @ x @ core


@pytest.mark.parametrize(
    "m, r, s, eta, overlap",
    [(12, 1, 1.0, 0.3, 1), (12, 3, 2.0, 0.4, 1), (40, 5, 0.7, 3.5, 1), (8, 6, 1.3, 0.9, 1), (9, 2, 1, 1, 1e-4)],
)
def test_one_angle(m, r, s, eta, overlap):
    """c' of the map against a step of the frame with SciPy's polar factor, any m, r, s, eta; also almost orthogonal to v."""
    rng = np.random.default_rng(m + r)
    v = frame(rng, m, 1)
    x = rng.standard_normal((m, r))
    x = scipy.linalg.polar(x - (1 - overlap) * v @ (v.T @ x))[0]
    target, rough, first = s * v @ v.T, 0.0, np.sum((x.T @ v) ** 2)
    for _ in range(50):
        c = np.sum((x.T @ v) ** 2)
        x = scipy.linalg.polar(x - eta * gradient(x, target))[0]
        new = np.sum((x.T @ v) ** 2)
        assert new == pytest.approx(mapped(c, eta * s**2), abs=1e-13)
        z = eta * s**2
        rough = max(rough, abs(new - c * (1 + z * c * (1 - c)) ** 2))  # without the polar factor's part
        core = x.T @ target @ x
        assert np.linalg.norm(x @ core @ x.T - target) ** 2 == pytest.approx(s**2 * (1 - new**2), abs=1e-13)
    assert rough > 1e-2 or first < 0.1  # the identity is no matter of small steps


@pytest.mark.parametrize("z, stable", [(0.5, True), (1.9, True), (1.99, True), (2.01, False), (2.5, False)])
def test_the_map_is_stable_below_two(z, stable):
    """1 - c' = (1 - z)^2 (1 - c) + ..., and where that grows the map stays away from 1."""
    e = 1e-6
    assert (1 - mapped(1 - e, z)) / e == pytest.approx((1 - z) ** 2, abs=1e-4)
    c = 0.37
    for _ in range(5000):
        c = mapped(c, z)
    assert (1 - c < 1e-10) == stable


def test_every_start_below_two_reaches_one():
    """4,000 starts and steps: the map has no other attractor, so that the claim needs no more than c > 0 and time."""
    rng = np.random.default_rng(0)
    c, z = rng.uniform(0.01, 1, 4000), rng.uniform(0.05, 1.95, 4000)
    for _ in range(4000):
        c = mapped(c, z)
    assert np.all(1 - c < 1e-10)


def test_the_flow_of_the_angle():
    """log(c/(1 - c)) - 1/c = 2 s^2 t + const, along the flow of a frame integrated by SciPy."""
    rng, (m, r, s) = np.random.default_rng(1), (10, 3, 1.4)
    v, x = frame(rng, m, 1), frame(rng, m, r)
    target = s * v @ v.T
    run = scipy.integrate.solve_ivp(
        lambda t, x: -gradient(x.reshape(m, r), target).ravel(), (0, 3), x.ravel(), rtol=1e-11, atol=1e-13, dense_output=True
    )
    t = np.linspace(0, 3, 7)
    c = np.array([np.sum((run.sol(u).reshape(m, r).T @ v) ** 2) for u in t])
    np.testing.assert_allclose(conserved(c) - conserved(c[0]), 2 * s**2 * t, rtol=1e-6)
    assert c[-1] > 0.5 > c[0]


def test_the_bound_on_the_time_to_leave():
    """1/c + log(1/c - 1) - 2 <= 1.2/c below 1/2: what `left` allows is enough."""
    c = np.geomspace(1e-12, 0.5, 2000)
    assert np.all(conserved(0.5) - conserved(c) <= 1.2 / c)


# -- without it --------------------------------------------------------------------------------------------------------


def plain(u, target, until):
    """The flow of |U U^T - M|^2 / 4, and |U U^T - M|_F at some times."""
    shape = u.shape
    run = scipy.integrate.solve_ivp(
        lambda t, u: -((w := u.reshape(shape)) @ w.T - target).dot(w).ravel(), (0, until), u.ravel(), rtol=1e-10, atol=1e-13,
        dense_output=True,
    )  # fmt: skip
    t = np.linspace(0, until, 9)
    return t, np.array([np.linalg.norm((w := run.sol(x).reshape(shape)) @ w.T - target) for x in t])


def test_aligned_eigenvalues():
    rng, values, scale, width = np.random.default_rng(2), np.array([1.0, 0.5]), 0.4, 4
    basis = frame(rng, 7, width)
    t, off = plain(scale * basis, (basis[:, :2] * values) @ basis[:, :2].T, 20.0)
    np.testing.assert_allclose(aligned_off(t, values, width, 2, scale), off, atol=1e-8)


def test_one_over_t_needs_more_columns_than_the_rank():
    """The trap: at r = k, sqrt(r - k) = 0, and an exponential decay agrees with the limit of 2 t |U U^T - M|."""
    rng, values = np.random.default_rng(3), np.array([1.0, 0.5])
    basis = frame(rng, 7, 2)
    target = (basis * values) @ basis.T
    t, off = plain(0.3 * rng.standard_normal((7, 4)), target, 400.0)
    assert 2 * t[-1] * off[-1] == pytest.approx(2**0.5, abs=0.02)
    t, off = plain(0.3 * rng.standard_normal((7, 2)), target, 40.0)
    assert 2 * t[-1] * off[-1] < 1e-4
    rate = -np.diff(np.log(off))[4:7] / np.diff(t)[4:7]
    np.testing.assert_allclose(2 * rate, 2 * 0.5, rtol=0.02)  # f like exp(-2 s t)
