"""The logarithm of Z, which for commuting measurements stays in their span, and the measurements themselves."""

import jax.numpy as jnp

from implicit_bias._lanes import one_by_one
from implicit_bias.problems.matrix import half


@one_by_one
def _log(z):
    values, vectors = jnp.linalg.eigh(z)
    return (vectors * jnp.log(jnp.maximum(values, jnp.finfo(z.dtype).tiny))[None, :]) @ vectors.T


def log_z(snapshot):
    """log Z, as a vector with the same inner products"""
    return half(_log(snapshot.pred))


def measured(snapshot):
    """A_i, as vectors with the same inner products. A fact."""
    return snapshot.problem.operator


def eigenvalues(snapshot):
    """b_i of commuting A_i = Q diag(b_i) Q^T, those on the range of X first. A fact."""
    problem = snapshot.problem
    matrices = jnp.stack([problem.backprojection(e) for e in jnp.eye(problem.operator.shape[0])])
    _, basis = jnp.linalg.eigh(matrices[-1])  # of distinct eigenvalues, as they are drawn
    on = jnp.sum((problem.left.T @ basis) ** 2, axis=0)
    basis = basis[:, jnp.argsort(-on)]
    return jnp.stack([jnp.sum(basis * (a @ basis), axis=0) for a in matrices])
