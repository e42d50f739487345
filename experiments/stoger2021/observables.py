"""How far U_t is from the power method, and what the power method leaves out."""

import jax.numpy as jnp

from implicit_bias.theory.sensing import power_iterate


def power_gap(snapshot):
    """|U_t - (I + mu M)^t U_0| / |U_t|, M = A*(y)"""
    u, start = snapshot.theta.u, snapshot.first.u
    count = snapshot.steps.astype(u.dtype)
    predicted = power_iterate(snapshot.problem.backprojection(), snapshot.dynamics.step, count, start, jnp)
    return jnp.linalg.norm(u - predicted) / jnp.linalg.norm(u)


def seen(snapshot):
    """|A*A(Z)|, Frobenius norm: M - A*A(Z) is what moves U"""
    problem = snapshot.problem
    return jnp.linalg.norm(problem.backprojection(problem.predictions(snapshot.pred)))
