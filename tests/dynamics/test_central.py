"""The central flow: where it rests, how it slides along the edge, and that it is gradient flow below."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import implicit_bias as ib
from implicit_bias.dynamics import central
from implicit_bias.dynamics.base import Landscape
from tests import cases

M, CENTRE, STEP = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([6.0, 9.0]), 0.2


def slope(point, m, centre):
    """(p + q) x^2 / 2 + (z - centre)^T M (z - centre) / 2, z = (p, q): the curvature across x = 0 is p + q."""
    off = point[1:] - centre
    return (point[1] + point[2]) * point[0] ** 2 / 2 + off @ m @ off / 2


def path(field, times, **options):
    start = jnp.array([1e-8, 1.0, 2.0])
    problem = ib.toy(slope, 3, m=M, centre=CENTRE)
    flow = ib.Flow(times[-1], field=field, rtol=1e-9, atol=1e-11, **options)
    return cases.drive(problem, ib.Euclidean(jnp.linalg.norm(start), start), flow, times)["weights"]


def reference(times):
    """z' = -M (z - centre) up to p + q = 2 / step, then its projection on p + q = const."""
    along = np.array([1.0, -1.0]) / np.sqrt(2)

    def free(t, z):
        return -M @ (z - CENTRE)

    def met(t, z):
        return z[0] + z[1] - 2 / STEP

    met.terminal = True
    first = solve_ivp(free, (0, times[-1]), [1.0, 2.0], events=met, rtol=1e-11, atol=1e-12, dense_output=True)
    t0, z0 = first.t[-1], first.y[:, -1]
    rate, pull = along @ M @ along, along @ M @ (z0 - CENTRE)

    def at(t):
        return first.sol(t) if t < t0 else z0 - along * pull / rate * (1 - np.exp(-rate * (t - t0)))

    return np.array([at(t) for t in times]), t0


def test_it_slides_along_the_edge():
    """Against the closed form, to first order in the delay."""
    times = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6]
    exact, met = reference(times)
    assert 0.1 < met < 1.0
    errors = [np.abs(path(ib.Central(STEP, delay=delay), times)[:, 1:] - exact).max() for delay in (0.4, 0.1, 0.025)]
    assert errors[0] < 0.3 and errors[2] < 0.02
    assert errors[1] < 0.5 * errors[0] and errors[2] < 0.5 * errors[1]
    along_gradient = path(ib.GradientField(), times)[:, 1:]
    assert np.abs(along_gradient - exact).max() > 1


def test_below_the_edge_it_is_gradient_flow():
    times = [0.0, 0.5, 2.0]
    np.testing.assert_allclose(path(ib.Central(0.01), times), path(ib.GradientField(), times), rtol=1e-7, atol=1e-9)


def test_rates_are_steps_and_clocks():
    """A rate of 2 is a step twice as large, and time twice as fast."""
    times = np.array([0.0, 0.2, 0.5, 1.0])
    fast = path(ib.Central(STEP / 2), times, rates={"weights": 2.0})
    np.testing.assert_allclose(fast, path(ib.Central(STEP), 2 * times), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("edge", [0.4, 0.51, 0.6, 0.9])
def test_where_it_rests_in_one_dimension(edge):
    """L = (a^2 - 1)^2 / 2: a^2 = max(1, (1/eta + 1)/3), whatever the delay."""
    problem = ib.linear.fixed([[1.0]], [1.0])(0)
    net = ib.Power(ib.Euclidean(jnp.asarray(0.4)), 2)
    for delay in (1.0, 3.0):
        flow = ib.Flow(400.0, field=ib.Central(edge, delay=delay), rtol=1e-8, atol=1e-10)
        end = cases.drive(problem, net, flow, [0.0, 400.0])["weights"][-1, 0]
        np.testing.assert_allclose(end**2, 1.0 if edge < 0.5 else (1 / edge + 1) / 3, rtol=1e-6)


def test_lanczos_gives_the_velocity_of_the_whole_matrix(monkeypatch):
    problem = ib.supervised(np.random.default_rng(0).normal(size=(6, 3)), np.arange(6.0) % 2, "square")
    net = ib.mlp((4,), jnp.tanh, bias=True, scale=2.0)
    run = cases.prepared(problem, net, ib.Flow(1.0, field=ib.Central(5.0, delay=0.01)))
    landscape = Landscape(run.objective, {})

    def velocity():
        return jax.flatten_util.ravel_pytree(run.dynamics.field(landscape, jnp.zeros(()), run.theta, None))[0]

    exact, free = velocity(), -jax.flatten_util.ravel_pytree(landscape.value_and_gradient(run.theta)[1])[0]
    assert np.abs(exact - free).max() > 1e-2  # it is at work
    monkeypatch.setattr(central, "_FEW", 0)
    np.testing.assert_allclose(velocity(), exact, atol=1e-6)


def test_what_it_asks_for():
    asked = {what: bool(ok) for (what, _, _), ok in ib.Central(-1.0, delay=0.0).requirements().items()}
    assert asked == {"step": False, "delay": False}
