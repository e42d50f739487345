"""The trace of A from products with random vectors: XTrace (Epperly, Tropp and Webber 2024), which is matfree's."""

from __future__ import annotations

import jax
from jax.custom_batching import custom_vmap
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
    matvec = _in_turn(matvec, like)
    size = sum(leaf.size for leaf in jax.tree.leaves(like))
    vectors = max(1, min(products // 2, size))
    estimator = stochtrace.estimator_leave_one_out_mean_and_sem(
        stochtrace.leave_one_out_xtrace(), sampler=stochtrace.sampler_normal(like, num=vectors)
    )
    with jax.numpy_rank_promotion("allow"):  # matfree divides a matrix by a row
        return estimator(matvec, key)


def _in_turn(matvec: Matvec, like: PyTree) -> Matvec:
    """Vectors that matfree gives to `vmap` one after another: thirty products at once take the memory of thirty, and longer.

    As jax's `sequential_vmap`, which has no answer where nothing is batched, as in the outer of two `vmap`s.
    """
    apply, closed = jax.closure_convert(matvec, like)

    @custom_vmap
    def product(v: PyTree, closed: list[Array]) -> PyTree:
        return apply(v, *closed)

    @product.def_vmap
    def _(axis_size, in_batched, v, closed):
        del axis_size
        leaves, tree = jax.tree.flatten((v, closed))
        batched = jax.tree.leaves(in_batched)
        if not any(batched):
            return apply(v, *closed), jax.tree.map(lambda _: False, v)

        def one(some: list[Array]) -> PyTree:
            own = iter(some)
            v, closed = tree.unflatten([next(own) if b else leaf for leaf, b in zip(leaves, batched)])
            return apply(v, *closed)

        return jax.lax.map(one, [leaf for leaf, b in zip(leaves, batched) if b]), jax.tree.map(lambda _: True, v)

    return lambda v: product(v, closed)
