"""How the runs of a program lie in its lanes, blocks and launches, and functions of one as functions of all.

    each           of a lane   -> of a block: vmap
    of_places      of a block  -> of a launch: one after another, or (elsewhere than on a CPU) vmap
    side_by_side   of a lane   -> of a launch: one vmap, in which a lane looks up what its block shares
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..._lanes import on_cpu


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the runs of one program are laid out in blocks."""

    width: int
    places: int = 1
    """Blocks of a launch."""
    mixed: bool = False
    """Each lane brings its own results of the first part."""
    narrow: bool = False
    """A lane is so heavy that the block holds fewer than it could."""


def each(layout: Layout, function: Callable, *lane_axes: int | None) -> Callable:
    """A function of one lane, over the lanes of a block. A lane alone is not batched: its `cond`s are real."""
    if layout.width == 1:

        def alone(*arguments: PyTree) -> PyTree:
            given = [a if axis is None else jax.tree.map(lambda x: x[0], a) for a, axis in zip(arguments, lane_axes)]
            return jax.tree.map(lambda x: jnp.asarray(x)[None], function(*given))

        return alone
    return jax.vmap(function, in_axes=lane_axes, axis_size=layout.width)  # axis_size: all axes may be shared


def of_places(function: Callable[[Array], PyTree], which: Array) -> PyTree:
    """A function of each place that holds a block; in turn, the others' are zeros."""
    if not on_cpu():
        return jax.vmap(function)(jnp.arange(len(which), dtype=which.dtype))
    shapes = jax.eval_shape(function, jnp.zeros((), which.dtype))
    empty = jax.tree.map(lambda s: jnp.zeros((len(which), *s.shape), s.dtype), shapes)

    def one(place: Array, found: PyTree) -> PyTree:
        return jax.tree.map(lambda buffer, x: buffer.at[place].set(x), found, function(place))

    return jax.lax.fori_loop(0, jnp.sum(which >= 0, dtype=which.dtype), one, empty)


def side_by_side(
    layout: Layout, function: Callable[..., PyTree], results: PyTree, own: PyTree, which: Array,
    close: Callable[[PyTree], PyTree],
) -> PyTree:  # fmt: skip
    """A function of what a lane shares and of its own, over all lanes of a launch; `close` is that of a program."""

    def lane(of: Array, one: PyTree) -> PyTree:
        return function(jax.tree.map(lambda x: x[of], results), *one)

    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), own)
    found = close(jax.vmap(lane)(jnp.repeat(jnp.maximum(which, 0), layout.width), flat))
    return jax.tree.map(lambda x: x.reshape(layout.places, layout.width, *x.shape[1:]), found)
