"""The numbers of a step of gradient descent that the derived inequalities are made of: see `convexity`."""

import jax
import jax.numpy as jnp

from .network import curvature_bound, last_of, least_row


def smoothness(depth, width, radius, row, output, loss):
    """(B, G^2, beta)"""
    bound = curvature_bound(depth, width, radius, row, output, jnp)
    slope = radius**2 * (1 + depth * output**2 / (width * row**2))
    return bound, slope, slope + jnp.sqrt(2 * loss) * bound


def of_step(before, after):
    """(alpha, eta beta, rho, eta, |D|^2) of gradient descent, whose D is -eta grad L."""
    weights, new = before.theta, after.theta
    last, hidden = last_of(weights), len(weights) - 1
    output = jnp.maximum(jnp.linalg.norm(last), jnp.linalg.norm(last_of(new)))
    radius = jnp.max(jnp.linalg.norm(before.problem.inputs, axis=1))
    bound, slope, beta = smoothness(hidden, last.shape[0], radius, least_row(before), output, before.loss)
    moved = sum(jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(new), jax.tree.leaves(weights)))
    eta = before.dynamics.step
    steep = moved / eta**2
    alpha = steep / (2 * before.loss) - jnp.sqrt(2 * before.loss) * bound - 2 / 3 * jnp.sqrt(slope * moved) * bound
    return alpha, eta * beta, steep / before.loss, eta, moved


def positive(before, after):
    """1 where alpha > 0"""
    return (of_step(before, after)[0] > 0).astype(float)


def convexity_gap(before, after):
    """(L + <grad L, D> + alpha |D|^2 / 2 - L') / L"""
    alpha, _, _, eta, moved = of_step(before, after)
    return 1 + (-moved / eta + alpha * moved / 2 - after.loss) / before.loss


def log_factor(before, after):
    """log(1 - eta (1 - eta beta / 2) rho)"""
    _, smooth, rho, eta, _ = of_step(before, after)
    return jnp.log1p(-eta * (1 - smooth / 2) * rho)


def descent(before, after):
    """L' / L - (1 - eta (1 - eta beta / 2) rho)"""
    return after.loss / before.loss - jnp.exp(log_factor(before, after))


def step_times_beta(before, after):
    """eta beta"""
    return of_step(before, after)[1]
