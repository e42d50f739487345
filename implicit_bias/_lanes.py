"""What the loop of one run needs to know of its companions, as identities with a `vmap` rule.

`any_lane` and `min_lane` return something *unbatched* under `vmap`, so that a `while_loop`'s predicate stays a scalar
and JAX adds no select of its own over the whole carry: a loop freezes its lanes where it needs to. `lanes_last` lays
a batched array out with the lane axis last in memory, which is how the reductions over a short vector vectorise over
lanes. Called outside `vmap`, each is the identity. `counted` is a loop whose count the lanes share.

`rows_major` must close every jitted function that used `lanes_last`: a constrained layout that leaves a jitted
function gives silently wrong numbers in the next operation (jax 0.10.2, CPU).

>>> import jax, jax.numpy as jnp
>>> def halve(x):  # runs until every lane is below 1, and freezes each lane itself
...     return jax.lax.while_loop(lambda x: any_lane(x >= 1), lambda x: jnp.where(x >= 1, x / 2, x), x)
>>> jax.vmap(halve)(jnp.array([8.0, 3.0, 0.5])).tolist()
[0.5, 0.75, 0.5]
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, PyTree

LONGEST_SHORT_VECTOR = 32
"""Up to this many numbers a lane, lanes last is faster (20 coordinates: 1.2x); beyond about 40 it is slower."""


@custom_vmap
def any_lane(flag: Array) -> Array:
    """Whether the flag is set in any lane; unbatched."""
    return flag


@any_lane.def_vmap
def _(axis_size, in_batched, flag):
    del axis_size
    return (jnp.any(flag, axis=0) if in_batched[0] else flag), False


@custom_vmap
def min_lane(number: Array) -> Array:
    """The least over the lanes; unbatched."""
    return number


@min_lane.def_vmap
def _(axis_size, in_batched, number):
    del axis_size
    return (jnp.min(number, axis=0) if in_batched[0] else number), False


def on_cpu() -> bool:
    """Whether programs run on a CPU: it does blocks one after another, since its cache holds one, and a GPU side by side."""
    return jax.default_backend() == "cpu"


def counted(start: Array, stop: Array, most: int, one: Callable[[Array, PyTree], PyTree], carry: PyTree) -> PyTree:
    """`one` at each count from `start` to `stop`, at most so many; unbatched counts.

    A GPU asks the host after each round of a loop whose end is not known before (20 us a step for 8 us of kernels). So
    there a whole stretch is a loop of known length.
    """
    if on_cpu():
        return jax.lax.fori_loop(start, stop, one, carry)

    def whole(carry: PyTree) -> PyTree:
        return jax.lax.fori_loop(0, most, lambda i, carry: one(start + i.astype(start.dtype), carry), carry)

    def rest(carry: PyTree) -> PyTree:
        return jax.lax.fori_loop(start, stop, one, carry)

    return jax.lax.cond(stop - start == most, whole, rest, carry)


@custom_vmap
def lanes_last(tree: PyTree) -> PyTree:
    """The identity; under `vmap`, with the lane axis last in memory for short vectors."""
    return tree


@lanes_last.def_vmap
def _(axis_size, in_batched, tree):
    del axis_size
    (batched,) = in_batched

    def one(x, is_batched):
        if not is_batched or x.ndim < 2 or x[0].size > LONGEST_SHORT_VECTOR:
            return x
        return with_layout_constraint(x, Layout((*range(1, x.ndim), 0)))

    return jax.tree.map(one, tree, batched), batched


def rows_major(tree: PyTree) -> PyTree:
    """Every array back in the layout that the rest of JAX expects of it."""
    return jax.tree.map(lambda x: with_layout_constraint(x, Layout(tuple(range(x.ndim)))), tree)
