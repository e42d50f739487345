"""Reading a traced program: which outputs depend on which inputs, where to cut it in two, and its data apart from it.

>>> import jax
>>> program = jax.make_jaxpr(lambda seed, scale: (jax.numpy.sin(seed), jax.numpy.sin(seed) * scale))(1.0, 2.0)
>>> dependence(program, ("seed", "scale"))
[('seed',), ('seed', 'scale')]
>>> first, second = split(program, [True, False])
>>> [round(float(x), 3) for x in second(first(1.0), [2.0])]
[0.841, 1.683]

Arrays that a function has closed over are data and no program: `Lifted` has them as arguments.

>>> weights = jax.numpy.array([1.0, 2.0])
>>> lifted = Lifted.of(lambda x: (weights * x).sum(), jax.ShapeDtypeStruct((), float))
>>> len(lifted.constants), float(lifted.bare(lifted.constants, 3.0)), float(lifted.bare([weights + 1], 3.0))
(1, 9.0, 15.0)
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, PyTree


def dependence(program: core.ClosedJaxpr, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """For each output, the named inputs it depends on. A call inside the program counts as one equation."""
    jaxpr = program.jaxpr
    of = {v: frozenset([n]) for v, n in zip(jaxpr.invars, names)}

    def look(v) -> frozenset[str]:
        return frozenset() if isinstance(v, core.Literal) else of.get(v, frozenset())

    for eqn in jaxpr.eqns:
        union = frozenset().union(*(look(v) for v in eqn.invars))
        of.update(dict.fromkeys(eqn.outvars, union))
    return [tuple(n for n in names if n in look(v)) for v in jaxpr.outvars]


@dataclasses.dataclass(frozen=True)
class First:
    """`first(*known inputs)`: what follows from them alone, and only what the rest needs."""

    part: core.ClosedJaxpr

    def __call__(self, *known: Any) -> list[Any]:
        return core.jaxpr_as_fun(self.part)(*known)

    @property
    def results(self) -> list[jax.ShapeDtypeStruct]:
        return [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in self.part.out_avals]


@dataclasses.dataclass(frozen=True)
class Second:
    """`second(first's results, unknown inputs)`: the chosen outputs."""

    part: core.ClosedJaxpr

    def __call__(self, results: Sequence[Any], unknown: Sequence[Any]) -> list[Any]:
        return [jnp.asarray(x) for x in core.jaxpr_as_fun(self.part)(*results, *unknown)]

    def only(self, outputs: Sequence[int]) -> Second:
        """The same with fewer outputs, of the same results."""
        jaxpr = self.part.jaxpr
        outvars = [jaxpr.outvars[i] for i in outputs]
        return Second(_part(self.part, jaxpr.invars, outvars, _live(jaxpr.eqns, outvars)))


def split(
    program: core.ClosedJaxpr, known: Sequence[bool], outputs: Sequence[int] | None = None
) -> tuple[First, Second]:
    """Cut a program where its known inputs end."""
    program = core.ClosedJaxpr(program.jaxpr, [jnp.asarray(c) for c in program.consts])  # NumPy's cannot be indexed by tracers
    jaxpr = program.jaxpr
    outvars = [jaxpr.outvars[i] for i in outputs] if outputs is not None else list(jaxpr.outvars)
    unknown_vars = {v for v, k in zip(jaxpr.invars, known) if not k}

    early, late = [], []
    for eqn in _live(jaxpr.eqns, outvars):
        if unknown_vars.intersection(_variables(eqn.invars)):
            unknown_vars.update(eqn.outvars)
            late.append(eqn)
        else:
            early.append(eqn)

    made_late = {v for eqn in late for v in eqn.outvars}
    wanted = dict.fromkeys(v for vs in [*(e.invars for e in late), outvars] for v in _variables(vs))
    at_hand = made_late | unknown_vars | set(jaxpr.constvars)  # each part has the constants that it reads
    passed = [v for v in wanted if v not in at_hand]

    first = _part(program, [v for v, k in zip(jaxpr.invars, known) if k], passed, early)
    second = _part(program, [*passed, *(v for v, k in zip(jaxpr.invars, known) if not k)], outvars, late)
    return First(first), Second(second)


def _variables(vs: Sequence[Any]) -> list:
    return [v for v in vs if not isinstance(v, core.Literal)]


def _live(eqns: Sequence[Any], outvars: Sequence[Any]) -> list:
    """The equations that some output needs."""
    needed, live = set(_variables(outvars)), []
    for eqn in reversed(eqns):
        if needed.intersection(eqn.outvars):
            live.append(eqn)
            needed.update(_variables(eqn.invars))
    return live[::-1]


def _part(
    program: core.ClosedJaxpr, invars: Sequence[Any], outvars: Sequence[Any], eqns: Sequence[Any]
) -> core.ClosedJaxpr:
    jaxpr = program.jaxpr
    read = {v for vs in [*(e.invars for e in eqns), outvars] for v in _variables(vs)}
    constants = [(v, c) for v, c in zip(jaxpr.constvars, program.consts) if v in read]
    # Without debug info: it names the arguments of the whole program, which the part does not have.
    info = jaxpr.debug_info._replace(arg_names=None, result_paths=None)
    piece = jaxpr.replace(
        constvars=[v for v, _ in constants], invars=list(invars), outvars=list(outvars), eqns=list(eqns), debug_info=info
    )
    return core.ClosedJaxpr(piece, [c for _, c in constants])


@dataclasses.dataclass(frozen=True, eq=False)
class Bare:
    """A program without data: `bare(constants, *arguments)`."""

    program: core.ClosedJaxpr
    """Its first inputs are constants, and it has none of its own."""
    places: tuple[int, ...]
    """Which of the constants each of them is: an array that is met twice is handed over once."""
    out: PyTree
    """Shapes and dtypes of what it returns."""

    def __call__(self, constants: Sequence[Any], *arguments: PyTree) -> PyTree:
        given = [constants[i] for i in self.places]
        leaves = core.jaxpr_as_fun(self.program)(*given, *jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(self.out), leaves)


@dataclasses.dataclass(frozen=True, eq=False)
class Lifted:
    """A function traced once: its program, and the arrays that it had closed over."""

    bare: Bare
    constants: tuple[Array, ...]

    @classmethod
    def of(cls, function: Callable[..., PyTree], *shapes: PyTree) -> Lifted:
        traced = jax.jit(lambda *arguments: function(*arguments)).trace(*shapes)
        jaxpr, constants = traced.jaxpr.jaxpr, [jnp.asarray(c) for c in traced.jaxpr.consts]
        info = jaxpr.debug_info._replace(arg_names=None, result_paths=None)
        jaxpr = jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars], debug_info=info)
        firsts: dict[Any, int] = {}
        places = [firsts.setdefault(_content(c), len(firsts)) for c in constants]
        out = jax.tree.map(lambda o: jax.ShapeDtypeStruct(o.shape, o.dtype), traced.out_info)
        distinct = tuple(constants[places.index(i)] for i in range(len(firsts)))
        return cls(Bare(core.ClosedJaxpr(jaxpr, []), tuple(places), out), distinct)


def content_digest(array: Array) -> str:
    """A hash of an array's dtype, shape and bytes."""
    said = f"{array.dtype} {array.shape} "
    keys = jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key)
    data = np.ascontiguousarray(jax.random.key_data(array) if keys else array)
    return hashlib.sha256(said.encode() + memoryview(data.reshape(-1).view(np.uint8))).hexdigest()


_SMALL = 2**20
"""Bytes up to which constants are compared by content."""


def _content(array: Array) -> Any:
    return content_digest(array) if array.size * array.dtype.itemsize <= _SMALL else id(array)
