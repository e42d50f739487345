"""Folds: statements about every step, not only about the recorded ones.

>>> import implicit_bias as ib
>>> always(lambda before, after: after.loss <= before.loss).definition
'holds at every step: <lambda>'
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._types import Count, Flag, Scalar, Theta
from .base import AbstractFold, Observable, Snapshot, applies_to, definition


class _Extreme(AbstractFold):
    of: Observable = eqx.field(static=True)
    pick: Callable = eqx.field(static=True)
    word: str = eqx.field(static=True)

    def init(self, first: Snapshot) -> Scalar:
        return jnp.asarray(self.of(first))

    def update(self, carry: Scalar, before: Snapshot, after: Snapshot) -> Scalar:
        del before
        return self.pick(carry, self.of(after))

    def read(self, carry: Scalar) -> Array:
        return carry

    @property
    def definition(self) -> str:
        return f"{self.word} over every step of {definition(self.of)}"

    def applies_to(self, theta: Theta) -> bool:
        return applies_to(self.of, theta)


def running_min(of: Observable) -> AbstractFold:
    """The least value an observable takes at any step; nan if it is ever nan."""
    return _Extreme(of, jnp.minimum, "minimum")


def running_max(of: Observable) -> AbstractFold:
    """The greatest value an observable takes at any step; nan if it is ever nan."""
    return _Extreme(of, jnp.maximum, "maximum")


class _FirstTime(AbstractFold):
    event: Callable[[Snapshot], Array] = eqx.field(static=True)

    def init(self, first: Snapshot) -> Array:
        return jnp.where(self.event(first), first.time, jnp.inf)

    def update(self, carry: Array, before: Snapshot, after: Snapshot) -> Array:
        del before
        return jnp.where(jnp.isinf(carry) & self.event(after), after.time, carry)

    def read(self, carry: Array) -> Array:
        return carry

    @property
    def definition(self) -> str:
        return f"first time t at which: {definition(self.event)} (inf if never)"


def first_time(event: Callable[[Snapshot], Array]) -> AbstractFold:
    """The time t of the first step at which `event(snapshot)` holds, of each of its entries; inf if none."""
    return _FirstTime(event)


class _Always(AbstractFold):
    holds: Callable[[Snapshot, Snapshot], Flag] = eqx.field(static=True)

    def init(self, first: Snapshot) -> Count:
        del first
        return jnp.zeros((), dtype=jnp.int32)

    def update(self, carry: Count, before: Snapshot, after: Snapshot) -> Count:
        return carry + (~self.holds(before, after)).astype(carry.dtype)

    def read(self, carry: Count) -> Array:
        return carry == 0

    @property
    def definition(self) -> str:
        return f"holds at every step: {definition(self.holds)}"


def always(holds: Callable[[Snapshot, Snapshot], Flag]) -> AbstractFold:
    """Whether `holds(before, after)` is true at every step."""
    return _Always(holds)


class _WorstChange(AbstractFold):
    of: Callable[[Snapshot, Snapshot], Scalar] = eqx.field(static=True)

    def init(self, first: Snapshot) -> Scalar:
        return jnp.full_like(first.loss, -jnp.inf)

    def update(self, carry: Scalar, before: Snapshot, after: Snapshot) -> Scalar:
        return jnp.maximum(carry, self.of(before, after))

    def read(self, carry: Scalar) -> Array:
        return carry

    @property
    def definition(self) -> str:
        return f"maximum over every step of: {definition(self.of)}"


def worst_change(of: Callable[[Snapshot, Snapshot], Scalar]) -> AbstractFold:
    """The greatest `of(before, after)` over every step, for identities of one step; nan if it is ever nan."""
    return _WorstChange(of)


class _Summed(AbstractFold):
    of: Callable[[Snapshot, Snapshot], Array] = eqx.field(static=True)

    def init(self, first: Snapshot) -> Array:
        like = eqx.filter_eval_shape(self.of, first, first)
        return jnp.zeros(like.shape, int if like.dtype == bool else like.dtype)  # flags are counted

    def update(self, carry: Array, before: Snapshot, after: Snapshot) -> Array:
        return carry + self.of(before, after).astype(carry.dtype)

    def read(self, carry: Array) -> Array:
        return carry

    @property
    def definition(self) -> str:
        return f"sum over every step of: {definition(self.of)}"


def summed(of: Callable[[Snapshot, Snapshot], Array]) -> AbstractFold:
    """The sum of `of(before, after)`, of any shape, over every step so far; of flags their count."""
    return _Summed(of)


class _MeanChange(AbstractFold):
    of: Callable[[Snapshot, Snapshot], Array] = eqx.field(static=True)
    when: Callable[[Snapshot], Flag] | None = eqx.field(static=True)

    def init(self, first: Snapshot) -> tuple[Array, Count]:
        like = eqx.filter_eval_shape(self.of, first, first)
        return jnp.zeros(like.shape, like.dtype), jnp.zeros((), dtype=jnp.int32)

    def update(self, carry: tuple[Array, Count], before: Snapshot, after: Snapshot) -> tuple[Array, Count]:
        total, count = carry
        counts = jnp.asarray(True) if self.when is None else self.when(before)
        return jnp.where(counts, total + self.of(before, after), total), count + counts.astype(count.dtype)

    def read(self, carry: tuple[Array, Count]) -> Array:
        total, count = carry
        return total / count.astype(total.dtype)

    @property
    def definition(self) -> str:
        where = "" if self.when is None else f" at which {definition(self.when)}"
        return f"mean over the steps{where} of: {definition(self.of)}"


def mean_change(
    of: Callable[[Snapshot, Snapshot], Array], when: Callable[[Snapshot], Flag] | None = None
) -> AbstractFold:
    """The mean of `of(before, after)`, of any shape, over the steps at which `when(before)` holds; nan if there is none."""
    return _MeanChange(of, when)
