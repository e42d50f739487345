"""The step counts of rPGD against plain NumPy iteration, and the law with step 1/g^2 against the same."""

import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias._errors import Mistake
from implicit_bias.theory import projected_descent as theory

G_STAR = 2.0


def problem(seed, rows=4, columns=11):
    """A A^T = I, |x*| = 2, and a unit start: (A, y, w0)."""
    rng = np.random.default_rng(seed)
    A = np.linalg.qr(rng.normal(size=(columns, rows)))[0].T
    y = rng.normal(size=rows)
    w = rng.normal(size=columns)
    return A, y * G_STAR / np.linalg.norm(y), w / np.linalg.norm(w)


def iterate(A, y, w, g, gammas):
    """rPGD with the step 1/g^2 for w and the given steps for g: |w_perp|, g and |v| after each."""
    perp = lambda w: np.linalg.norm(w - A.T @ np.linalg.solve(A @ A.T, A @ w))  # noqa: E731
    found = [(perp(w), g, np.nan)]
    for gamma in gammas:
        q = A.T @ (y - A @ (g * w))
        v, g = w + q / g, g + gamma * (w @ q)
        w = v / np.linalg.norm(v)
        found.append((perp(w), g, np.linalg.norm(v)))
    return np.array(found).T


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("eps", [1e-2, 1e-6])
def test_the_first_phase_ends_at_exactly_the_predicted_step(fraction, eps):
    for seed in range(5):
        A, y, w = problem(seed)
        perp, _, _ = iterate(A, y, w, fraction * G_STAR, np.zeros(600))
        assert theory.turning_steps(fraction * G_STAR, G_STAR, perp[0], eps) == np.argmax(perp <= eps)


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_both_phases_end_in_time(fraction, rho):
    eps, gamma, g0 = 1e-3, 0.25, fraction * G_STAR
    for seed in range(5):
        A, y, w = problem(seed)
        start = iterate(A, y, w, g0, [])[0][0]
        turn = int(theory.turning_bound(g0, G_STAR, start, eps, rho))
        slow = theory.growth_step(g0, G_STAR, turn, rho)
        grow = int(theory.growing_steps(g0, G_STAR, eps, gamma))
        perp, g, _ = iterate(A, y, w, g0, [slow] * turn + [gamma] * grow)
        assert perp[turn] <= eps and g[turn] ** 2 <= G_STAR**2 - rho * (G_STAR**2 - g0**2)
        assert (G_STAR - g[-1] * np.sqrt(1 - perp[-1] ** 2)) ** 2 <= 3 * eps * G_STAR**2


def test_the_printed_order_is_no_bound():
    """At g0 = g*/10 it allows a tenth of a step."""
    assert theory.printed_turning_order(0.2, G_STAR, 1e-3) < 0.1 < theory.turning_steps(0.2, G_STAR, 0.9, 1e-3)


@pytest.mark.parametrize("delta", [0.1, 1.0])
def test_projection_is_as_fast_as_the_derived_bound(delta):
    """General A with lambda_max = 1: |v| >= 1 + delta + lambda_min at every step."""
    rng = np.random.default_rng(3)
    for smallest in (0.1, 0.6):
        A, y, w = problem(5)
        A = np.diag(np.sqrt(np.linspace(smallest, 1, 4))) @ A
        y = A @ rng.normal(size=11)
        y *= G_STAR / np.linalg.norm(np.linalg.lstsq(A, y, rcond=None)[0])
        perp, _, length = iterate(A, y, w, G_STAR * smallest / (2 + delta), np.zeros(60))
        assert np.nanmin(length) >= 1 + delta + smallest - 1e-12
        count = np.argmax(perp <= 1e-6)
        assert 0 < count <= theory.projection_steps(perp[0], 1e-6, delta + smallest)
        assert count <= theory.projection_steps(perp[0], 1e-6, delta)


@pytest.mark.slow
def test_the_law_takes_these_steps():
    A, y, w = problem(7)
    gammas = [0.01, 0.05, 0.02, 0.0, 0.1]
    perp, g, _ = iterate(A, y, w, 0.6, gammas)

    def cell(*, scale, key):
        del key
        descent = ib.Descent(
            1.0, ratio=lambda count: jnp.asarray(gammas)[count], law=ib.over_size_squared(), max_steps=len(gammas)
        )
        return ib.Run(ib.linear.fixed(A, y)(0), ib.Sphere(scale, jnp.asarray(w)), descent)

    study = ib.Study(
        cell=cell,
        grids=ib.grid(scale=[0.6]),
        observe={"g": ib.size, "log_w_perp": ib.orthogonal_log},
        records=ib.linear_records(len(gammas) + 1),
    )
    ds = study.run()
    np.testing.assert_allclose(ds.g.values[0], g, rtol=1e-13)
    np.testing.assert_allclose(ds.log_w_perp.values[0], np.log(perp), rtol=1e-12, atol=1e-12)


def test_the_law_needs_a_size():
    def cell(*, scale, key):
        descent = ib.Descent(0.1, law=ib.over_size_squared(), max_steps=3)
        return ib.Run(ib.linear.gaussian(2, 5)(key), ib.Euclidean(scale), descent)

    study = ib.Study(cell=cell, grids=ib.grid(scale=[0.6]), records=ib.log_records(2))
    with pytest.raises(Mistake, match="divides by g"):
        study.run()
