"""Scale invariance and decay: the laws in NumPy, what would make them vacuous, and the constants that noise has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import implicit_bias as ib
from experiments.li2020intrinsic import measures
from experiments.li2020intrinsic.equilibrium import settled
from experiments.li2020intrinsic.momentum import autoregression
from experiments.li2020intrinsic.noise import Isotropic, Perpendicular
from tests import cases

STEPS, RATE = 60, 0.3
EVERY = np.arange(STEPS + 1)


def from_norms(before, after):
    """log cos by the law of norms, a |W| / |W'|, and not from <W, W'>"""
    norms = [jnp.sqrt(measures.inner(measures.rows(s), measures.rows(s))) for s in (before, after)]
    return jnp.mean(jnp.log((1 - RATE) * norms[0] / norms[1]))


OBSERVED = (
    ("w", lambda snapshot: measures.rows(snapshot)), ("log_norm", measures.log_norm),
    ("turned", ib.summed(measures.log_cos)), ("from_norms", ib.summed(from_norms)),
)  # fmt: skip


def driven(law=None, batch=1):
    """Rows of 3 units on 8 examples, decayed; the second layer is frozen."""
    key = jax.random.split(jax.random.key(0))
    x, y = jax.random.normal(key[0], (8, 5)), jax.random.normal(key[1], (8,))
    net = ib.RowNormalised(ib.mlp((3,)), ("layer1",))
    law = ib.decayed(RATE, on="layer1") if law is None else law
    some = ib.minibatch(batch, cases.key()) if batch else None
    descent = ib.Descent(1.0, law=law, rates={"layer2": 0.0}, batch=some, max_steps=STEPS)
    return cases.drive(ib.supervised(x, y, "square"), net, descent, EVERY, OBSERVED)


def off(found, turned="turned"):
    """What is left of sum log cos = K log(1 - eta lam) - log(|W_K| / |W_0|)."""
    return abs(found[turned] - STEPS * np.log(1 - RATE) + found["log_norm"][-1] - found["log_norm"][0])


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 0])
def test_the_laws_on_the_path_itself(batch):
    """From the rows at every step, in NumPy: norms, angles, and their sum."""
    found = driven(batch=batch)
    w, new, a = found["w"][:-1], found["w"][1:], 1 - RATE
    square, after, d = np.sum(w**2, axis=1), np.sum(new**2, axis=1), new - a * w
    np.testing.assert_allclose(after, a**2 * square + np.sum(d**2, axis=1), rtol=1e-12)
    cos = np.sum(w * new, axis=1) / np.sqrt(square * after)
    np.testing.assert_allclose(cos, a * np.sqrt(square / after), rtol=1e-11)
    np.testing.assert_allclose(found["turned"], np.sum(np.mean(np.log(cos), axis=1)), rtol=1e-12)
    assert off(found) < 1e-11 and np.ptp(cos) > 0.1  # the angles vary, and their mean is known


MOMENTUM = ib.chain(ib.heavy_ball(0.9), ib.decayed(RATE, on="layer1"))


@pytest.mark.slow
def test_a_cosine_from_the_norms_would_pass_whatever_the_run_does():
    """The trap: under momentum d is not orthogonal to W and the law fails, which a cosine from the norms does not see."""
    found = driven(MOMENTUM)
    assert off(found) > 1
    assert off(found, "from_norms") < 1e-11


# -- noise of constant strength ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [0.01, 0.1, 0.3, 0.6, 0.9])
def test_the_equilibrium_of_the_norm_and_how_fast(x):
    """n' = a^2 n + c/n by iteration: its limit, its multiplier, the cosine, and what the first order leaves out."""
    a, step, strength = 1 - x, 0.5, 2.0
    lam, n = x / step, 3.7
    steps = [n := a**2 * n + step**2 * strength / n for _ in range(4000)]
    exact = step * strength / (lam * (2 - x))
    assert steps[-1] ** 2 == pytest.approx(exact, rel=1e-12)
    assert a * np.sqrt(steps[-2] / steps[-1]) == pytest.approx(1 - x, rel=1e-12)
    small = 1e-5 * steps[-1]
    moved = a**2 * (steps[-1] + small) + step**2 * strength / (steps[-1] + small) - steps[-1]
    assert moved / small == pytest.approx(2 * a**2 - 1, abs=1e-3)
    assert exact / (step * strength / (2 * lam)) == pytest.approx(1 / (1 - x / 2), rel=1e-12)


def test_printed_and_exact_at_six_tenths():
    assert 1 / (1 - 0.6 / 2) == pytest.approx(1.43, abs=0.005)  # 43 %
    assert (np.sqrt(2 * 0.6), np.arccos(1 - 0.6)) == pytest.approx((1.095, 1.159), abs=1e-3)


@pytest.mark.parametrize("x", [0.003, 0.1, 0.6])
@pytest.mark.parametrize("first", [1e-4, 1.0, 1e4])
def test_time_to_settle_is_enough(x, first):
    """Where the slack is just above 0, half of the run brings |n - n_*| to e^-20 of n_*, from far starts on both sides."""
    a = 1 - x
    due = settled.function(norm=np.sqrt(np.array([[first]])), exact=np.ones(1), intrinsic=x, max_steps=0.0)[0]
    n = first  # n_* = 1
    for _ in range(int(-due) + 1):
        n = a**2 * n + (1 - a**2) / n
    assert abs(n - 1) < np.exp(-20)


def test_noise_is_what_it_says():
    theta = ib.Euclidean(3.0).init(ib.linear.gaussian(1, 50)(0), cases.key())
    u, _ = Perpendicular(2.0).step(None, theta, None, jax.random.key(0))
    assert abs(np.dot(u.x, theta.x)) < 1e-14
    assert np.linalg.norm(u.x) * np.linalg.norm(theta.x) == pytest.approx(np.sqrt(2.0), rel=1e-14)
    v, _ = Isotropic().step(None, theta, None, jax.random.key(0))
    assert np.std(v.x) == pytest.approx(1, abs=0.3)


# -- momentum ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x, b", [(0.7, 0.0), (0.1, 0.9), (0.03, 0.5), (0.6, 0.9)])
def test_the_constants_of_momentum_from_the_stationary_covariance(x, b):
    """(W, m)' = F (W, m) + noise has the covariance of a Lyapunov equation: cosine, norm and the printed sine."""
    a, step = 1 - x, 0.5
    F, noise = np.array([[a, -step * b], [0, b]]), np.array([-step, 1.0])
    cov = scipy.linalg.solve_discrete_lyapunov(F, np.outer(noise, noise))
    cos = (cov @ F.T)[0, 0] / cov[0, 0]
    found = autoregression(intrinsic=x, momentum=b, dimension=100, max_steps=1000)
    assert found["cos"] == pytest.approx(cos, rel=1e-10) == pytest.approx((a + b) / (1 + a * b), rel=1e-10)
    assert cov[0, 0] / (step**2 * cov[1, 1]) == pytest.approx((1 + a * b) / ((1 - a**2) * (1 - a * b)), rel=1e-10)
    sine = np.sqrt((1 - a**2) * (1 - b**2)) / (1 + a * b)
    assert sine == pytest.approx(np.sin(np.arccos(cos)), rel=1e-10)
    assert np.sqrt(2 * (1 - cos)) / sine == pytest.approx(1 / np.sqrt((1 + cos) / 2), rel=1e-10)  # chord over sine


def test_sine_and_chord_where_they_were_read():
    """At a = 0.3 without momentum: .9539 as printed, 1.1832 the chord."""
    cos = autoregression(intrinsic=0.7, momentum=0.0, dimension=100, max_steps=1000)["cos"]
    assert (np.sqrt(1 - cos**2), np.sqrt(2 * (1 - cos))) == pytest.approx((0.9539, 1.1832), abs=1e-4)


def test_standard_errors_are_those_of_repeated_runs():
    """Bartlett's formula and the error of a mean square, against 600 autoregressions of 2,000 numbers each."""
    x, b, length = 0.3, 0.5, 2000
    a, rng = 1 - x, np.random.default_rng(0)
    u = rng.standard_normal((length + 200, 600))
    m, w, path = np.zeros(600), np.zeros(600), []
    for row in u:
        m = b * m + row
        w = a * w - m
        path.append(w)
    path = np.array(path[200:])
    r = np.sum(path[1:] * path[:-1], axis=0) / np.sum(path**2, axis=0)
    found = autoregression(intrinsic=x, momentum=b, dimension=1, max_steps=2 * length)
    assert np.std(r) == pytest.approx(found["of_cos"], rel=0.12)
    square = np.mean(path**2, axis=0)
    assert np.std(square) / np.mean(square) == pytest.approx(found["of_square"], rel=0.12)
