"""The trace of A from products with random vectors: XTrace (Epperly, Tropp and Webber 2024), which is matfree's."""

from __future__ import annotations

import jax
from jaxtyping import Array, Float, Key, PyTree
from matfree import stochtrace

from .lapack import one_after_another
from .products import Matvec


def trace(
    matvec: Matvec, like: PyTree, key: Key[Array, ""], *, products: int = 60
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(trace, standard error), from about that many products; exact, with error 0, where they reach the count of weights.

    >>> import jax.numpy as jnp
    >>> value, error = trace(lambda v: jnp.array([1.0, 2.0, 3.0]) * v, jnp.zeros(3), jax.random.key(0))
    >>> float(value), float(error)
    (6.0, 0.0)
    """
    one_after_another()
    size = sum(leaf.size for leaf in jax.tree.leaves(like))
    vectors = max(1, min(products // 2, size))
    estimator = stochtrace.estimator_leave_one_out_mean_and_sem(
        stochtrace.leave_one_out_xtrace(), sampler=stochtrace.sampler_normal(like, num=vectors)
    )
    with jax.numpy_rank_promotion("allow"):  # matfree divides a matrix by a row
        return estimator(matvec, key)
