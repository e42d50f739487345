r"""The engine: one compiled block of runs, dealt to the devices of the host.

A program is three jitted functions of plain arrays,

    first   : shared values                     -> results          once per shared value
    start   : (results, lanes)                  -> state
    advance : (results, lanes, state, until)    -> (state, outputs)

with `width` lanes. Lanes share `results` unbatched (they are then read once a block, not once a lane), or each lane
brings its own where few runs share them and they are small (`mixed`). The block is the unit of bits: under one
fingerprint neither its position, nor its companions, nor its padding, nor the device or worker that ran it changes a
run's bits.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from .._lanes import rows_major
from .._results import Status
from ..dynamics.base import Objective
from ..observables.base import Watch
from . import cut
from .prepare import Built, Traced

SMALL = 64 * 1024
"""Bytes of first-part results up to which lanes may each bring their own."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the runs of one program are laid out in blocks."""

    width: int
    mixed: bool


class Program:
    """The compiled block of one traced cell."""

    def __init__(self, traced: Traced, layout: Layout, axes: dict[str, jax.ShapeDtypeStruct]):
        self.traced = traced
        self.layout = layout
        self._axes = axes
        known = [a in traced.shared for a in traced.axes]
        first, second = cut.split(traced.jaxpr, known)
        self._compiled: dict[tuple[str, Any], Callable] = {}
        self._compile_seconds: dict[str, float] = {}
        self._locks: dict[tuple[str, Any], threading.Lock] = defaultdict(threading.Lock)

        def build(results, lanes) -> Built:
            return traced.rebuild(second(results, lanes))

        def start(results, lanes):
            built = build(results, lanes)
            run = built.prepared
            watch = Watch(run=run, clock=built.clock, observe=traced.observe)
            return run.dynamics.start(Objective(run.problem, run.parameterization), run.theta, watch)

        def advance(results, lanes, state, until):
            built = build(results, lanes)
            run = built.prepared
            watch = Watch(run=run, clock=built.clock, observe=traced.observe)
            state = run.dynamics.advance(Objective(run.problem, run.parameterization), state, until, watch)
            outputs = state.records | watch.read(state.folds) | {f"fact.{n}": v for n, v in built.facts.items()}
            outputs |= {"status": state.status, "steps": state.steps, "time": state.time}
            outputs["clock"] = built.clock.astype(float)
            return state, outputs

        shared_axis = 0 if layout.mixed else None

        def start_block(results, lanes):
            # axis_size: a study may have shared axes only
            batched = jax.vmap(start, in_axes=(shared_axis, 0), axis_size=layout.width)
            return rows_major(batched(results, lanes))

        def advance_block(results, lanes, state, until):
            return rows_major(jax.vmap(advance, in_axes=(shared_axis, 0, 0, None))(results, lanes, state, until))

        self._functions = {"first": first, "start": start_block, "advance": advance_block}

    # -- shapes -------------------------------------------------------------------------------------------------

    @cached_property
    def _shapes(self) -> dict[str, tuple]:
        """The arguments of each function, as shapes."""

        def lanes_of(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((self.layout.width, *shape.shape), shape.dtype)

        shared = [self._axes[a] for a in self.traced.shared]
        lanes = [lanes_of(self._axes[a]) for a in self.traced.lanes]
        results = jax.eval_shape(self._functions["first"], *shared)
        if self.layout.mixed:
            results = [lanes_of(r) for r in results]
        state = jax.eval_shape(self._functions["start"], results, lanes)
        until = jax.ShapeDtypeStruct((), jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)
        return {"first": tuple(shared), "start": (results, lanes), "advance": (results, lanes, state, until)}

    @property
    def shared_bytes(self) -> int:
        """What `first` hands to a lane."""
        results = jax.eval_shape(self._functions["first"], *self._shapes["first"])
        return sum(r.size * r.dtype.itemsize for r in results)

    @cached_property
    def outputs(self) -> dict[str, jax.ShapeDtypeStruct]:
        """What a block returns, with the lane axis first."""
        return jax.eval_shape(self._functions["advance"], *self._shapes["advance"])[1]

    # -- programs -----------------------------------------------------------------------------------------------

    def _lower(self, name: str, device: Any = None):
        shapes = self._shapes[name]
        if device is not None:
            sharding = SingleDeviceSharding(device)
            shapes = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), shapes)
        return jax.jit(self._functions[name]).lower(*shapes)

    @cached_property
    def identity(self) -> str:
        """A hash of the three lowered programs with their constants: what they compute, and nothing else."""
        text = "\n".join(self._lower(name).as_text() for name in self._functions)
        return hashlib.sha256(re.sub(r"0x[0-9a-f]+", "0x", text).encode()).hexdigest()

    def compiled(self, name: str, device: Any) -> Callable:
        """The executable on one device, compiled once."""
        with self._locks[name, device]:
            if (name, device) not in self._compiled:
                begun = time.perf_counter()
                self._compiled[name, device] = self._lower(name, device).compile()
                self._compile_seconds[name] = time.perf_counter() - begun
            return self._compiled[name, device]

    def compile(self, devices: Sequence[Any]) -> None:
        """What a block needs on these devices. `first` runs on one device alone, and its results travel."""
        for device in devices:
            for name in ("start", "advance"):
                self.compiled(name, device)

    def compile_seconds(self, device: Any) -> float | None:
        """How long compiling for a device would take, by another device's time; None if nothing is known."""
        if all((name, device) in self._compiled for name in ("start", "advance")):
            return 0.0
        if not {"start", "advance"} <= self._compile_seconds.keys():
            return None
        return self._compile_seconds["start"] + self._compile_seconds["advance"]

    @property
    def estimated_bytes(self) -> int:
        """What a block needs, from shapes alone: arguments and outputs of `advance`, + 8 MB, x 1.2."""
        shapes = jax.tree.leaves((self._shapes["advance"], self._shapes["advance"][2], self.outputs))
        return _with_margin(sum(s.size * s.dtype.itemsize for s in shapes))

    def needed_bytes(self, device: Any) -> int:
        """What a block needs, from its executables: arguments + output + temporaries, + 8 MB, x 1.2."""
        needs = 0
        for name in ("start", "advance"):
            analysis = self.compiled(name, device).memory_analysis()
            sizes = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
            needs = max(needs, sum(getattr(analysis, size, 0) for size in sizes))
        return _with_margin(needs)

    # -- running ------------------------------------------------------------------------------------------------

    # NumPy arrays go straight to the executables, which put them where they belong: `device_put` costs more than that.

    def first(self, values: Sequence[np.ndarray], device: Any) -> list[np.ndarray]:
        """The work of one shared value, done on one device and brought back for all."""
        return [np.asarray(x) for x in self.compiled("first", device)(*values)]

    def launch(
        self, results: Sequence[Any], lanes: Sequence[np.ndarray], device: Any, segment: float | None = None
    ) -> dict[str, jax.Array]:
        """Run one block; returns at once, with arrays that are still being computed.

        With `segment` the block advances that far along its clock at a time (and waits for each): the same bits.
        """
        results, lanes = list(results), list(lanes)
        state = self.compiled("start", device)(results, lanes)
        advance = self.compiled("advance", device)
        until = np.float64(np.inf if segment is None else segment)
        while True:
            state, outputs = advance(results, lanes, state, until)
            if segment is None or not (np.asarray(outputs["status"]) == Status.RUNNING).any():
                return outputs
            until += segment

    def requirements(self, shared: Sequence[np.ndarray], lanes: Sequence[np.ndarray]) -> np.ndarray:
        """[lanes, requirements]: whether each holds. The door, before the first step."""
        return np.asarray(self._door(list(shared), list(lanes)))

    @cached_property
    def _door(self) -> Callable:
        known = [a in self.traced.shared for a in self.traced.axes]
        first, second = cut.split(self.traced.jaxpr, known, [self.traced.requirement_output])

        def holds(shared, lanes):
            return jax.vmap(lambda results, lanes: second(results, lanes)[0], in_axes=(None, 0))(first(*shared), lanes)

        return jax.jit(holds)


def _with_margin(count: int) -> int:
    return int(1.2 * (count + 8 * 2**20))
