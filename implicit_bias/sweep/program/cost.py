"""What a step of one run costs, read off its traced program, and how many runs a block therefore holds.

A step of a few hundred numbers is mostly the time between two operations, and one that multiplies a shared matrix by a
vector mostly the time to read the matrix: both cost many lanes as much as one. A step that multiplies matrices by
matrices fills a core by itself, as one with a factorisation does, of which a core does one lane after another; lanes of
it only wait for each other and for the copies that fill up the block.

>>> import jax, jax.numpy as jnp
>>> cost_of(jax.make_jaxpr(lambda A, x: jnp.tanh(A @ x))(jnp.ones((20, 50)), jnp.ones(50)).jaxpr)
Cost(operations=2000.0, read=1050.0)
>>> cost_of(jax.make_jaxpr(jnp.linalg.eigh)(jnp.ones((26, 26))).jaxpr)
Cost(operations=180760.0, read=676.0)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from jax.extend import core

from ...linalg import lapack


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of products of arrays; what works on them entry by entry is cheap beside it, or small."""

    operations: float
    """Additions and multiplications."""
    read: float
    """Entries of the factors."""


CALL, EACH = 5e3, 10.0
"""A factorisation of m x n numbers, as operations: what the call costs (some microseconds), and for each m n min(m, n)."""


DENSE = 6.0
"""Operations for each entry read from which on products are of matrices with matrices; of a matrix with a vector: 2.

A layer of 5 inputs, 64 units and one output on 40 examples has 7.7, and a lane of it is no slower alone.
"""


def lanes_of(step: Cost, widest: int, room: float) -> int:
    """Lanes of a block: as many as there may be, or, of dense steps, a power of two that fills its `room` of operations.

    >>> lanes_of(Cost(2020.0, 1050.0), 64, 1e5), lanes_of(Cost(2e4, 1e3), 64, 1e5), lanes_of(Cost(2e9, 1e6), 64, 1e5)
    (64, 4, 1)
    """
    if step.operations <= DENSE * step.read:
        return widest
    return min(widest, 2 ** math.floor(math.log2(max(1.0, room / step.operations))))


def cost_of(jaxpr: core.Jaxpr) -> Cost:
    """The body of a loop whose length is not known counts once."""
    each = [_of_equation(eqn) for eqn in jaxpr.eqns]
    return Cost(float(sum(c.operations for c in each)), float(sum(c.read for c in each)))


def _of_equation(eqn: Any) -> Cost:
    inner = [cost_of(j) for j in _called(eqn)]
    if inner and eqn.primitive.name == "cond":
        return max(inner, key=lambda cost: cost.operations)
    if inner:
        times = eqn.params.get("length", 1)
        return Cost(times * sum(c.operations for c in inner), times * sum(c.read for c in inner))
    if eqn.primitive.name in lapack.NAMES:
        *batch, m, n = eqn.invars[0].aval.shape
        return Cost(math.prod(batch) * (CALL + EACH * m * n * min(m, n)), math.prod([*batch, m, n]))
    if eqn.primitive.name not in ("dot_general", "conv_general_dilated"):
        return Cost(0.0, 0.0)
    return Cost(_operations(eqn), sum(math.prod(v.aval.shape) for v in eqn.invars))


def _operations(eqn: Any) -> float:
    size, (left, right) = math.prod(eqn.outvars[0].aval.shape), (v.aval.shape for v in eqn.invars)
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return 2.0 * size * math.prod(left[i] for i in contracted)
    return 2.0 * size * math.prod(right) / right[eqn.params["dimension_numbers"].rhs_spec[0]]


def _called(eqn: Any) -> Iterator[core.Jaxpr]:
    for value in eqn.params.values():
        for one in value if isinstance(value, (tuple, list)) else [value]:
            if isinstance(one, core.ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, core.Jaxpr):
                yield one
