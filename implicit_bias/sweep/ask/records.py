"""When to look: records are in the units of the law's clock, and always hold the start and the end.

>>> from implicit_bias.dynamics.descent import Descent
>>> log_records(5)(Descent(0.1, max_steps=1000)).tolist()
[0, 1, 10, 100, 1000]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..._errors import Mistake
from ...dynamics.base import AbstractDynamics

Records = Callable[[AbstractDynamics], Array]


def _clock(dynamics: AbstractDynamics, inner: np.ndarray | Array) -> Array:
    if dynamics.unit == "steps":
        steps = np.unique(np.concatenate([[0], np.asarray(inner), [dynamics.end]]).astype(np.int64))
        return jnp.asarray(steps[steps <= dynamics.end], dtype=jnp.int32)
    end = jnp.asarray(dynamics.end, dtype=float)
    if isinstance(dynamics.end, (int, float)):
        inner = np.asarray(inner)[np.asarray(inner) < dynamics.end]
    return jnp.concatenate([jnp.zeros(1), jnp.minimum(jnp.asarray(inner, dtype=float), end), end[None]])


def log_records(count: int, first: float | None = None) -> Records:
    """0, then `count - 1` moments equally spaced in the logarithm: steps from 1, or t from end / 10^4; or from `first`."""
    if count < 2:
        raise Mistake("records", f"log_records needs at least 2, got {count}", "2 records are the start and the end")
    if first is not None and not first > 0:
        raise Mistake("records", f"log_records from {first}", "give a first moment above 0")

    def clock(dynamics: AbstractDynamics) -> Array:
        shares = np.linspace(0, 1, count - 1)
        if dynamics.unit == "steps":
            start = 1 if first is None else first
            return _clock(dynamics, np.round(start * (dynamics.end / start) ** shares))
        start = 1e-4 * dynamics.end if first is None else first
        return _clock(dynamics, start * (dynamics.end / start) ** shares[:-1])

    return clock


def linear_records(count: int) -> Records:
    """`count` moments equally spaced from 0 to the end."""
    if count < 2:
        raise Mistake("records", f"linear_records needs at least 2, got {count}", "2 records are the start and the end")

    def clock(dynamics: AbstractDynamics) -> Array:
        inner = np.linspace(0, 1, count)[1:-1]
        return _clock(dynamics, np.round(dynamics.end * inner) if dynamics.unit == "steps" else dynamics.end * inner)

    return clock


def records_at(moments: Iterable[float]) -> Records:
    """The given moments, in steps under descent and in t under flow, with the start and the end."""
    moments = np.asarray(sorted(moments), dtype=float)
    if moments.ndim != 1 or (moments < 0).any() or (np.diff(moments) <= 0).any():
        raise Mistake("records", "need ascending moments from 0", "sort them and remove repetitions")
    return lambda dynamics: _clock(dynamics, moments[moments > 0] if dynamics.unit == "t" else moments)


def time_records(times: Iterable[float]) -> Records:
    """The given times t, under every law: descent looks at the nearest step, and the run ends at the last of them."""
    times = np.asarray(sorted({0.0, *map(float, times)}), dtype=float)
    if times[0] < 0 or len(times) < 2:
        raise Mistake("records", "need times above 0", "give at least one")
    return lambda dynamics: dynamics.clock_at(jnp.asarray(times))
