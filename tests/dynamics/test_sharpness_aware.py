"""SAM as a law and as a field: against loops by hand, and what it asks for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import implicit_bias as ib
from tests import cases

ORDERS = pytest.mark.parametrize("order", [2, np.inf, None])
RHO, STEP, STEPS = 0.2, 0.05, 40


def uphill(theta, gradient, order):
    """theta + rho d, in NumPy"""
    length = np.sqrt(sum(np.sum(d * d) for d in gradient))
    direction = {2: lambda d: d / length, np.inf: np.sign, None: lambda d: d}[order]
    return [w + RHO * direction(d) for w, d in zip(theta, gradient)]


@pytest.mark.slow
@ORDERS
def test_descent_against_a_loop(order):
    """x = g w/|w| for least squares, by its gradient in words: <u, q> and (g/|w|) (q - <u, q> u), q = A^T (A x - y)."""
    problem = cases.problem_of(ib.square)
    A, y = np.asarray(problem.operator), np.asarray(problem.target)

    def gradient(theta):
        g, w = theta
        u = w / np.linalg.norm(w)
        q = A.T @ (A @ (g * u) - y)
        return [u @ q, g / np.linalg.norm(w) * (q - (u @ q) * u)]

    net = cases.PARAMETERIZATIONS["Polar"]()
    descent = ib.Descent(STEP, law=ib.sharpness_aware(RHO, order=order), max_steps=STEPS)
    run = cases.drive(problem, net, descent, range(STEPS + 1))
    theta = [np.asarray(leaf) for leaf in net.init(problem, cases.key())]
    for k in range(STEPS):
        np.testing.assert_allclose(run["x"][k], theta[0] * theta[1] / np.linalg.norm(theta[1]), atol=1e-11)
        theta = [w - STEP * d for w, d in zip(theta, gradient(uphill(theta, gradient(theta), order)))]


@pytest.mark.slow
def test_flow_against_scipy():
    problem = cases.problem_of(ib.square)
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    grad = lambda x: A.T @ (A @ x - y)  # noqa: E731
    net = cases.PARAMETERIZATIONS["Euclidean"]()
    run = cases.drive(problem, net, ib.Flow(3.0, field=ib.SharpnessAware(RHO)), [0.0, 1.0, 3.0])
    exact = solve_ivp(
        lambda t, x: -grad(x + RHO * grad(x)), (0, 3), run["x"][0], t_eval=[0, 1, 3], rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(run["x"], exact.y.T, atol=1e-9)
    assert np.linalg.norm(run["x"][-1] - cases.drive(problem, net, ib.Flow(3.0), [0.0, 1.0, 3.0])["x"][-1]) > 1e-3


@ORDERS
def test_a_vanishing_gradient_is_no_perturbation(order):
    law, theta = ib.sharpness_aware(RHO, order=order), {"a": jnp.zeros(3), "b": jnp.zeros(())}
    update, memory = law.step(lambda at: at, theta, law.init(theta), None)
    assert memory is None and all(not jnp.any(leaf) for leaf in jax.tree.leaves(update))


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_perturbation_is_rho_at_any_gradient(size):
    """Whose square is 0, or infinite: x + rho (.6, .8), of a gradient that says where it was asked."""
    asked = []
    ib.sharpness_aware(RHO).step(lambda at: asked.append(at) or size * jnp.array([3.0, 4.0]), jnp.ones(2), None, None)
    np.testing.assert_allclose(asked[1], [1 + 0.6 * RHO, 1 + 0.8 * RHO], rtol=1e-14)


def test_both_gradients_are_of_one_batch():
    """A law asks twice within a step; the second answer is on the examples of the first."""
    problem = cases.problem_of(ib.square)
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    batch = ib.minibatch(1, cases.key())
    descent = ib.Descent(STEP, law=ib.sharpness_aware(RHO, order=None), batch=batch, max_steps=5)
    run = cases.drive(problem, cases.PARAMETERIZATIONS["Euclidean"](), descent, range(6))
    x = run["x"][0]
    for k in range(5):
        a, target = A[i := int(batch.draw(3, k)[0])], y[i]
        gradient = lambda x: 3 * a * (a @ x - target)  # noqa: B023, E731
        x = x - STEP * gradient(x + RHO * gradient(x))
        np.testing.assert_allclose(run["x"][k + 1], x, atol=1e-12)


def test_an_order_that_there_is_none_of():
    for make in (lambda: ib.sharpness_aware(0.1, order=1), lambda: ib.SharpnessAware(0.1, 3)):
        with pytest.raises(ib.Mistake, match="order: must be 2, inf or None"):
            make()
