"""Diagonal networks: the map and its gradient against differentiation, the flow against SciPy in logarithms of u."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import implicit_bias as ib
from implicit_bias._errors import Mistake
from implicit_bias._charts import Flat
from implicit_bias.dynamics.base import Objective
from tests import cases

INNER = {"Euclidean": ib.Euclidean, "Polar": ib.Polar, "Sphere": ib.Sphere}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("inner", INNER)
def test_the_map_and_its_gradient(inner, depth, signed):
    """x = z^L or a^L - b^L in NumPy; the closed pullback is reverse-mode AD, to 1e-13."""
    problem = ib.linear.sparse(4, 7, 2)(0)
    n = 14 if signed else 7
    direction = jnp.asarray(np.random.default_rng(1).uniform(0.3, 1.0, n))
    net = ib.Power(INNER[inner](1.3, direction), depth, signed)
    theta = net.init(problem, cases.key())
    z = 1.3 * np.asarray(direction) / np.linalg.norm(direction)
    x = z[:7] ** depth - z[7:] ** depth if signed else z**depth
    np.testing.assert_allclose(net(theta), x, rtol=1e-12, atol=1e-14)
    loss, gradient = Objective(problem, net, Flat()).value_and_gradient(theta)
    assert float(loss) == pytest.approx(
        0.5 * np.sum((np.asarray(problem.operator) @ x - np.asarray(problem.target)) ** 2), rel=1e-11
    )
    expected = jax.grad(lambda theta: problem.loss(net(theta)))(theta)
    for one, other in zip(gradient, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    assert net.labels(theta) == net.inner.labels(theta) and not net.equivariant


def test_the_start_is_uniform_unless_a_direction_is_given():
    """z_0 = alpha (1, ..., 1) is scale = alpha sqrt(n): n = d, or 2 d for both branches, from where x = 0."""
    problem, alpha = ib.linear.sparse(4, 9, 2)(0), 0.2
    one = ib.Power(ib.Euclidean(alpha * 3), 3)
    np.testing.assert_allclose(one(one.init(problem, cases.key())), alpha**3, rtol=1e-14)
    both = ib.Power(ib.Polar(alpha * np.sqrt(18)), 2, signed=True)
    theta = both.init(problem, cases.key())
    np.testing.assert_allclose(both.layer(theta), alpha, rtol=1e-14)
    assert not np.asarray(both(theta)).any()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_depth_as_a_number_that_varies(depth):
    """sign(z) |z|^L: the whole power and its gradient where z > 0; with the sign of z elsewhere."""
    problem, direction = ib.linear.gaussian(4, 9)(0), jnp.asarray(np.random.default_rng(3).uniform(0.1, 1.0, 9))
    whole, real = (ib.Power(ib.Polar(0.7, direction), d) for d in (depth, jnp.asarray(float(depth))))
    theta = whole.init(problem, cases.key())
    np.testing.assert_allclose(real(theta), whole(theta), rtol=1e-13)
    for one, other in zip(*(net.pullback(theta, jnp.ones(9)) for net in (real, whole)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    turned = real(theta._replace(w=-theta.w))
    np.testing.assert_allclose(turned, -real(theta), rtol=1e-13)


def test_depth_one_is_the_linear_model():
    problem, direction = ib.linear.gaussian(4, 9)(0), jnp.asarray(np.random.default_rng(3).standard_normal(9))
    one = cases.drive(problem, ib.Power(ib.Polar(0.7, direction), 1), ib.Descent(0.05, ratio=0.5), [0, 40])
    other = cases.drive(problem, ib.Polar(0.7, direction), ib.Descent(0.05, ratio=0.5), [0, 40], rewritten=False)
    np.testing.assert_allclose(one["x"], other["x"], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("depth, ratio", [(2, 0.05), (3, 0.5)])
def test_a_relative_tolerance_follows_tiny_entries(depth, ratio):
    """d(log u)/dt = r^L (q u^{L-2} - S), dr/dt = c r^{L-1} S in the layers' own time, L times the net's.

    With `atol` out of the way the entries of u agree to 1e-8 of themselves with SciPy's integral of their logarithms,
    from 0.2 down to less than 1e-6 at L = 2.
    """
    problem, end, r0 = ib.linear.sparse(5, 12, 2, nonnegative=True)(1), 40.0, 0.6
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    flow = ib.Flow(end, ratio=ratio, rtol=1e-12, atol=1e-300)
    run = cases.drive(problem, ib.Power(ib.Polar(r0), depth), flow, [0.0, end], (("z", ib.layer),))

    def velocity(t, state):
        r, u = state[0], np.exp(state[1:])
        q = A.T @ (y - A @ (r * u) ** depth)
        s = q @ u**depth
        return depth * np.append(ratio * r ** (depth - 1) * s, r**depth * (q * u ** (depth - 2) - s))

    start = np.append(r0, np.full(12, np.log(1 / np.sqrt(12))))
    found = solve_ivp(velocity, (0, end), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    np.testing.assert_allclose(run["z"][-1], found[0] * np.exp(found[1:]), rtol=1e-8)
    assert depth == 3 or run["z"][-1].min() < 1e-6 < 0.2 < run["z"][-1].max()


def test_exponential_is_a_flow_of_x_squared():
    """dx/dt = -x^2 dL/dx: for one example and the exponential loss (1/x_i(0) - 1/x_i(t)) / a_i is one number."""
    a = np.array([2.0, 1.0])
    problem = ib.linear.fixed([a], [1.0], loss=ib.exponential)(0)
    net = ib.Exponential(jnp.asarray([1.0, 3.0]))
    run = cases.drive(problem, net, ib.Flow(1e3, rtol=1e-11), [0.0, 1.0, 1e3])
    moved = (1 / run["x"][0] - 1 / run["x"][1:]) / a
    np.testing.assert_allclose(moved[:, 0], moved[:, 1], rtol=1e-8)
    assert (moved > 0).all()


def test_mistakes():
    assert not all(bool(flag) for flag in ib.Power(ib.Euclidean(1.0), 0).requirements().values())
    with pytest.raises(Mistake, match="start"):
        ib.Exponential(jnp.ones(3)).init(cases.problem_of(ib.square), cases.key())
    assert not all(bool(flag) for flag in ib.Exponential(jnp.asarray([1.0, 0.0])).requirements().values())
