"""Factorisations of lanes on a CPU: one after another.

A batched LAPACK call of jaxlib (0.10.2) deals its matrices to XLA's pool of threads and waits for them, on a thread of
that pool. XLA runs what does not hang together side by side; as many such calls as the pool has threads wait for each
other for ever. On two cores an observable with two eigenvalue problems is enough, or one beside a fact. A call with one
matrix asks nobody. So under `vmap` a factorisation becomes a loop over the lanes, of calls with one matrix each, which is no
slower where blocks run side by side. Elsewhere (GPU, TPU) nothing is changed: there a batch is one kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.lax.linalg as lapack
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching

NAMES = (
    "cholesky", "eig", "eigh", "hessenberg", "householder_product", "lu", "ormqr", "qr", "schur", "svd", "triangular_solve",
    "tridiagonal",
)  # fmt: skip


@functools.cache
def one_after_another() -> None:
    """Of this process; jax knows the batches of its own factorisations by one table."""
    if jax.default_backend() == "cpu":
        for primitive in (getattr(lapack, f"{name}_p", None) for name in NAMES):
            if primitive is not None:
                batching.primitive_batchers[primitive] = functools.partial(_in_turn, primitive)


def _in_turn(primitive: Primitive, values: Sequence[Any], axes: Sequence[int | None], **how: Any) -> tuple[Any, Any]:
    lanes = [jnp.moveaxis(value, axis, 0) for value, axis in zip(values, axes) if axis is not None]

    def one(lane: Sequence[Any]) -> Any:
        own = iter(lane)
        return primitive.bind(*(value if axis is None else next(own) for value, axis in zip(values, axes)), **how)

    found = jax.lax.map(one, lanes)
    return (found, [0] * len(found)) if primitive.multiple_results else (found, 0)
