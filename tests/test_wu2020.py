"""What the studies of Wu et al. 2020 rest on, against NumPy and SciPy: the update of rPGD, and a counterexample to Theorem 2.7."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import implicit_bias as ib
from experiments.wu2020 import observables
from implicit_bias import catalogue
from implicit_bias.evidence.claims import judge_all
from implicit_bias.theory import weight_normalisation as theory
from tests import cases


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_a_step_of_rpgd_is_a_decay_and_a_step_along_the_gradient(scale):
    """x' = (1 - lambda) x - s grad L(x), lambda = 1 - g'/(g |v|), s = eta g g'/|v|: the study's lambda_t, in NumPy."""
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(4, 9)), rng.normal(size=9)
    w, g, c, eta = x / np.linalg.norm(x), scale, 0.7, 0.02
    slope = A.T @ (A @ (g * w) - rng.normal(size=4))
    v = w - eta * g * slope
    length, new_g = np.linalg.norm(v), g - c * eta * w @ slope
    decay, pace = 1 - new_g / (g * length), eta * g * new_g / length
    np.testing.assert_allclose(new_g * v / length, (1 - decay) * g * w - pace * slope, rtol=1e-13)
    first, second = eta * (-w @ slope) * (g**2 - c) / g, (eta * g) ** 2 * slope @ slope / (2 * length)
    assert abs(decay - first) <= second + abs(first * (1 / length - 1)) + 1e-15


def test_the_second_rate_as_printed_is_no_bound_for_eps_near_the_first_loss():
    """A = diag(1, 1/2) with a column of zeros, g0 = 0.1, c = 1: at t = 0.001 the loss is where T = 0.00028 puts it."""
    A = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    w = np.array([0.5, 0.04, np.sqrt(1 - 0.25 - 0.0016)])
    g0, c = 0.1, 1.0
    y = A @ (g0 * w) + np.array([0.0, 20.0])

    def velocity(time, state):
        g, u = state[0], state[1:]
        q = A.T @ (y - A @ (g * u))
        return np.concatenate([[c * (u @ q)], g * (q - u * (u @ q))])

    end = solve_ivp(velocity, (0, 1e-3), np.append(g0, w), rtol=1e-12, atol=1e-15, method="DOP853").y[:, -1]
    first, last = (np.sum((A @ (g * u) - y) ** 2) / 2 for g, u in ((g0, w), (end[0], end[1:])))
    delta = y @ y - 2 * first  # lambda_max = 1
    assert 0 < delta < g0  # so the printed bound has no time to grow
    printed = np.log(first / last) / (0.25 * min(delta, c))
    derived = np.log(first / last) / (0.25 * min(delta, 2 * c)) + np.log(2 * (1 - g0**2 / delta)) / c
    assert 1e-3 / printed == pytest.approx(3.54, abs=0.01)
    assert 1e-3 < derived


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("wu2020/robustness", dict(step=5e-2, seed=range(4), scale=[0.1, 1.0, 4.0])),
        ("wu2020/discrete", dict(step=5e-2, seed=range(2), scale=[0.5, 2.0])),
        ("wu2020/limit", dict(rows=10, seed=range(3), ratio=[0.3, 30.0], scale=[0.1, 1.0])),
    ],
    ids=["robustness at ten times the step", "discrete at 25 times the step", "limit with ten rows"],
)
def test_settings_that_once_turned_a_verdict(name, settings):
    study = catalogue.load(catalogue.find(name))
    found = judge_all(study.claims, study.run(**settings))
    against = [(j.claim.id, j.verdict, j.measured) for j in found if j.verdict in ("supported", "refuted") and not j.as_expected]
    assert not against and any(j.verdict == "supported" for j in found)


@pytest.mark.parametrize("rewritten", [False, True])
def test_the_velocity_of_a_snapshot_is_that_of_gradient_flow(rewritten):
    """dg/dt and dw/dt of equation (4), in NumPy; and -dL/dt = (dg/dt)^2/c + |dw/dt|^2, which `loss_rate` differentiates."""
    rng = np.random.default_rng(3)
    A, y, u = rng.normal(size=(2, 5)), rng.normal(size=2), rng.normal(size=5)
    g, w, c = 0.7, u / np.linalg.norm(u), 0.3
    run = cases.prepared(ib.linear.fixed(A, y)(0), ib.Polar(g, jnp.asarray(w)), ib.Flow(10.0, ratio=c), rewritten)
    first = cases.start_of(run)
    dg, *dw = theory.flow(A, y, c)(0.0, np.array([g, *w]))
    np.testing.assert_allclose(first.velocity.g, dg, rtol=1e-13)
    rate = -(dg**2) / c - np.sum(np.square(dw))
    np.testing.assert_allclose(observables.loss_rate(first), rate, rtol=1e-13)
    np.testing.assert_allclose(first.velocity.w, dw, rtol=1e-12)
