"""One step of descent on V W^T, seen from its two ends."""

import jax
import jax.numpy as jnp

from implicit_bias.theory.sensing import imbalance_steps, imbalances


def identity_gap(before, after):
    """|D' - D - mu^2 (W^T R^T R W - V^T R R^T V)|, R = A*(y - A(V W^T))"""
    old, new = before.theta, after.theta
    residual = -jax.grad(before.problem.loss)(before.pred)
    gradients = [-residual @ old.w, -(residual.T @ old.v).T]
    (change,) = imbalance_steps(gradients, before.dynamics.step)
    (first,), (second,) = imbalances(old.factors()), imbalances(new.factors())
    return jnp.linalg.norm(second - first - change)


def size(snapshot):
    """|V|^2 + |W|^2"""
    return jnp.sum(snapshot.theta.v**2) + jnp.sum(snapshot.theta.w**2)
