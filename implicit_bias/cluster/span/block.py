r"""A block on the devices of several processes: large arrays in parts, the rest whole on each.

What is large is split along its longest axis that the devices divide:

    A [rows, columns]                 columns / devices on each
    theta, the law's state, records   likewise
    outputs                           whole, on each

A step then costs a sum over the devices of A's products (and a signed diagonal net, whose halves lie on different
devices, an exchange of its weights). Long factorisations are done in parts (`factorisations`), so that A is nowhere whole, unless
the cell itself was given it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from ..._errors import Mistake, written_bytes
from ..._lanes import LONGEST_SHORT_VECTOR, rows_major
from ...sweep.program.engine import SMALL, Program
from ...sweep.program.memory import free_memory, needed_bytes
from ...sweep.program.fingerprint import compile_with, compiler_options
from ...sweep.ask.batch import Batch, Launch, check_holds
from .factorisations import in_parts

AXIS = "devices"


def split_axis(shape: Sequence[int], itemsize: int, devices: int) -> int | None:
    """The longest axis that the devices divide; None for a small array, which each of them has whole.

    >>> split_axis((16, 4096), 8, 2), split_axis((16, 4097), 8, 2), split_axis((16, 8), 8, 2)
    (1, 0, None)
    """
    if np.prod(shape, dtype=float) * itemsize <= SMALL:
        return None
    return max((k for k in range(len(shape)) if shape[k] % devices == 0), key=lambda k: shape[k], default=None)


def _close(tree: PyTree) -> PyTree:
    """`rows_major` where `lanes_last` was: a layout asked of a split array would gather it."""
    return jax.tree.map(lambda x: rows_major(x) if x[0].size <= LONGEST_SHORT_VECTOR else x, tree)


class Split:
    """A program over the devices of all processes."""

    def __init__(self, program: Program, mesh: Mesh):
        def hold(blocks):
            return jax.lax.with_sharding_constraint(blocks, NamedSharding(mesh, PartitionSpec(AXIS)))

        self._mesh, traced = mesh, program.traced
        parted = dataclasses.replace(traced, jaxpr=in_parts(traced.jaxpr, mesh.size, hold))
        self.program = Program(parted, program.layout, program.axes, _close)

    def split(self, shapes: PyTree) -> PyTree:
        """Where arrays of these shapes lie: the large ones in parts."""

        def one(s: jax.ShapeDtypeStruct) -> NamedSharding:
            axis = split_axis(s.shape, s.dtype.itemsize, self._mesh.size)
            names = () if axis is None else (*[None] * axis, AXIS)
            return NamedSharding(self._mesh, PartitionSpec(*names))

        return jax.tree.map(one, shapes)

    def whole(self, shapes: PyTree) -> PyTree:
        return jax.tree.map(lambda _: NamedSharding(self._mesh, PartitionSpec()), shapes)

    @cached_property
    def first(self) -> functools.partial:
        shared = self.program.shapes["first"]
        return self._compile("first", self.whole(shared), self.split(self.program.lifted["first"].bare.out))

    @cached_property
    def advance(self) -> functools.partial:
        results, lanes, state, *numbers = self.program.shapes["advance"]
        state_after, outputs, holds = self.program.lifted["advance"].bare.out
        there = (self.split(results), self.whole(lanes), self.split(state), *self.whole(numbers))
        back = (self.split(state_after), self.whole(outputs), self.whole(holds))
        return self._compile("advance", there, back)

    def _compile(self, name: str, there: PyTree, back: PyTree) -> functools.partial:
        """An executable of all arguments but the constants, of which the large ones lie in parts, too."""
        lifted = self.program.lifted[name]
        constants = [np.asarray(c) for c in lifted.constants]
        at = self.split(constants)
        shapes, where = (constants, *self.program.shapes[name]), (at, *there)
        placed = jax.tree.map(lambda s, at: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=at), shapes, where)
        lowered = jax.jit(lifted.bare, out_shardings=back).lower(*placed)
        options = compiler_options(self._mesh.devices.flat[0], once=name == "first")
        return functools.partial(compile_with(lowered, options), _put(constants, at))

    def check_memory(self) -> None:
        """Refuse what would not fit: devices of a CPU share its memory."""
        device = jax.local_devices()[0]
        at_once = jax.local_device_count() if device.platform == "cpu" else 1
        needs = at_once * max(needed_bytes(part.func) for part in (self.first, self.advance))
        free = free_memory(device)
        if free is not None and needs > free:
            what = f"this host's part of a block needs {written_bytes(needs)}, {written_bytes(free)} are free"
            raise Mistake("memory", what, "start more processes, or ask for fewer rows, columns or records")

    def results(self, batch: Batch, launch: Launch) -> list[Any]:
        """The first part's results for these lanes; where lanes mix, each has its own."""
        found = []
        for run in launch.firsts:
            values = batch.shared_values([run])
            found.append(self.first(*_put(values, self.whole(values))))
        if not self.program.layout.mixed:
            return found[0]
        stacked = [np.stack([np.asarray(found[i][k]) for i in launch.which]) for k in range(len(found[0]))]
        return _put(stacked, self.split(stacked))

    def block(self, batch: Batch, launch: Launch, results: list[Any]) -> dict[str, np.ndarray]:
        values = batch.lane_values(launch)
        values = _put(values, self.whole(values))
        _, _, state, fresh, until = self.program.shapes["advance"]

        def advance(state: PyTree, fresh_: bool, until_: float) -> tuple:
            given = [np.asarray(fresh_, fresh.dtype), np.asarray(until_, until.dtype)]
            return self.advance(results, values, state, *_put(given, self.whole(given)))

        # no step is taken up to 0: the requirements, which no host could ask alone
        state, _, holds = advance(_put(state, self.split(state)), True, 0.0)
        check_holds(batch, launch.lanes, np.asarray(holds))
        _, outputs, _ = advance(state, False, np.inf)
        return {name: np.asarray(array) for name, array in outputs.items()}

    def tile(self, batch: Batch, runs: list[int], done: Callable[[np.ndarray], None]) -> dict[str, np.ndarray]:
        """The arrays of some runs, block by block; `done` hears of each. A value that many blocks have is made once."""
        parts, known, results = [], None, []
        for block in batch.launches(runs):
            launch, value = batch.arranged(block), batch.value_of[block[0]]
            if self.program.layout.mixed or value != known:
                known, results = value, self.results(batch, launch)
            outputs = self.block(batch, launch, results)
            parts.append({name: launch.of(array) for name, array in outputs.items()})
            done(parts[-1]["status"])
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _put(tree: PyTree, shardings: PyTree) -> PyTree:
    """Arrays that every process has, or zeros of these shapes, over the devices of all."""

    def one(x: np.ndarray | jax.ShapeDtypeStruct, at: NamedSharding) -> jax.Array:
        dtype = jax.dtypes.canonicalize_dtype(x.dtype)

        def part(index: tuple[slice, ...]) -> np.ndarray:
            if isinstance(x, np.ndarray):
                return x[index].astype(dtype)
            return np.zeros([len(range(*i.indices(n))) for i, n in zip(index, x.shape)], dtype)

        return jax.make_array_from_callback(x.shape, at, part)

    return jax.tree.map(one, tree, shardings)
