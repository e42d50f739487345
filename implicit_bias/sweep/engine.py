r"""The engine: one compiled block of runs, dealt to the devices of the host.

A program is two jitted functions of plain arrays,

    first   : shared values                         -> results              once per shared value
    advance : (results, lanes, state, fresh, until) -> (state, outputs, holds)

with `width` lanes; `fresh` starts first, and `state` is then unread; `holds` says which requirements are met. Lanes
share `results` unbatched (they are then read once a block, not once a lane), or each lane brings its own where few runs
share them and they are small (`mixed`). The block is the unit of bits: under one fingerprint neither its position, nor
its companions, nor its padding, nor the device or worker that ran it changes a run's bits.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
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
from jaxtyping import PyTree

from .._lanes import rows_major
from .._results import Status
from ..dynamics.base import Objective
from ..observables.base import Watch
from . import cut
from .fingerprint import compiler_options
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

    def __init__(
        self,
        traced: Traced,
        layout: Layout,
        axes: dict[str, jax.ShapeDtypeStruct],
        close: Callable[[PyTree], PyTree] = rows_major,
    ):
        """`close` puts what leaves a block into the layouts that JAX expects."""
        self.traced = traced
        self.layout = layout
        self.axes = axes
        known = [a in traced.shared for a in traced.axes]
        first, second = cut.split(traced.jaxpr, known)
        self._compiled: dict[tuple[str, Any], Callable] = {}
        self._compile_seconds: dict[str, float] = {}
        self._blank: dict[Any, Any] = {}
        self._locks: dict[tuple[str, Any], threading.Lock] = defaultdict(threading.Lock)

        def build(results, lanes) -> Built:
            return traced.rebuild(second(results, lanes))

        def start(built: Built):
            run = built.prepared
            watch = Watch(run=run, clock=built.clock, observe=traced.observe)
            return run.dynamics.start(Objective(run.problem, run.parameterization), run.theta, watch)

        def advance(results, lanes, state, fresh, until):
            built = build(results, lanes)
            run = built.prepared
            watch = Watch(run=run, clock=built.clock, observe=traced.observe)
            state = jax.lax.cond(fresh, lambda: start(built), lambda: state)
            state = run.dynamics.advance(Objective(run.problem, run.parameterization), state, until, watch)
            outputs = state.records | watch.read(state.folds) | {f"fact.{n}": v for n, v in built.facts.items()}
            outputs |= {"status": state.status, "steps": state.steps, "time": state.time}
            outputs["clock"] = built.clock.astype(float)
            return state, outputs, built.holds

        shared_axis = 0 if layout.mixed else None

        def state_of(results, lanes):
            each = jax.vmap(lambda *a: start(build(*a)), in_axes=(shared_axis, 0), axis_size=layout.width)
            return each(results, lanes)  # axis_size: a study may have shared axes only

        def advance_block(results, lanes, state, fresh, until):
            each = jax.vmap(advance, in_axes=(shared_axis, 0, 0, None, None))
            return close(each(results, lanes, state, fresh, until))

        self._state_of = state_of
        self.functions = {"first": first, "advance": advance_block}

    # -- shapes -------------------------------------------------------------------------------------------------

    @cached_property
    def shapes(self) -> dict[str, tuple]:
        """The arguments of each function, as shapes."""

        def lanes_of(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((self.layout.width, *shape.shape), shape.dtype)

        shared = [self.axes[a] for a in self.traced.shared]
        lanes = [lanes_of(self.axes[a]) for a in self.traced.lanes]
        results = jax.eval_shape(self.functions["first"], *shared)
        if self.layout.mixed:
            results = [lanes_of(r) for r in results]
        state = jax.eval_shape(self._state_of, results, lanes)
        fresh = jax.ShapeDtypeStruct((), jnp.bool_)
        until = jax.ShapeDtypeStruct((), jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)
        return {"first": tuple(shared), "advance": (results, lanes, state, fresh, until)}

    @property
    def shared_bytes(self) -> int:
        """What `first` hands to a lane."""
        results = jax.eval_shape(self.functions["first"], *self.shapes["first"])
        return sum(r.size * r.dtype.itemsize for r in results)

    @cached_property
    def outputs(self) -> dict[str, jax.ShapeDtypeStruct]:
        """What a block returns, with the lane axis first."""
        return jax.eval_shape(self.functions["advance"], *self.shapes["advance"])[1]

    # -- programs -----------------------------------------------------------------------------------------------

    @cached_property
    def _lowered(self) -> dict[str, Any]:
        """For the first device; lowering costs as much as loading a compiled program."""
        return {name: jax.jit(f).lower(*self.shapes[name]) for name, f in self.functions.items()}

    def _lower(self, name: str, device: Any):
        if device == jax.local_devices()[0]:
            return self._lowered[name]
        sharding = SingleDeviceSharding(device)
        placed = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), self.shapes[name])
        return jax.jit(self.functions[name]).lower(*placed)

    @cached_property
    def identity(self) -> str:
        """A hash of the lowered programs with their constants: what they compute, and nothing else."""
        text = "\n".join(lowered.as_text() for lowered in self._lowered.values())
        return hashlib.sha256(re.sub(r"0x[0-9a-f]+", "0x", text).encode()).hexdigest()

    def compiled(self, name: str, device: Any) -> Callable:
        """The executable on one device, compiled once."""
        with self._locks[name, device]:
            if (name, device) not in self._compiled:
                begun = time.perf_counter()
                self._compiled[name, device] = self._lower(name, device).compile(compiler_options(device))
                self._compile_seconds[name] = time.perf_counter() - begun
            return self._compiled[name, device]

    def compile(self, devices: Sequence[Any]) -> None:
        """What a block needs on these devices. `first` runs on one device alone, and its results travel."""
        for device in devices:
            self.compiled("advance", device)

    def compile_seconds(self, device: Any) -> float | None:
        """How long compiling for a device would take, by another device's time; None if nothing is known."""
        return 0.0 if ("advance", device) in self._compiled else self._compile_seconds.get("advance")

    @property
    def estimated_bytes(self) -> int:
        """What a block needs, from shapes alone: arguments and outputs of `advance`, + 8 MB, x 1.2.

        And three arrays as large as the largest that building a run makes: A, its transpose, a factor of it.
        """
        shapes = jax.tree.leaves((self.shapes["advance"], self.shapes["advance"][2], self.outputs))
        made = [v.aval for equation in self.traced.jaxpr.eqns for v in equation.outvars if hasattr(v.aval, "dtype")]
        sizes = [math.prod(a.shape) * getattr(a.dtype, "itemsize", 8) for a in made]
        return _with_margin(sum(s.size * s.dtype.itemsize for s in shapes) + 3 * max(sizes, default=0))

    def needed_bytes(self, device: Any) -> int:
        """What a block needs, from its executable."""
        return needed_bytes(self.compiled("advance", device))

    # -- running ------------------------------------------------------------------------------------------------

    # NumPy arrays go straight to the executables, which put them where they belong: `device_put` costs more than that.

    def first(self, values: Sequence[np.ndarray], device: Any) -> list[np.ndarray]:
        """The work of one shared value, done on one device and brought back for all."""
        return [np.asarray(x) for x in self.compiled("first", device)(*values)]

    def blank_state(self, device: Any) -> Any:
        """What a fresh block is given and does not read; kept on the device."""
        if device not in self._blank:
            shapes = self.shapes["advance"][2]
            self._blank[device] = jax.device_put(jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes), device)
        return self._blank[device]

    def launch(
        self, results: Sequence[Any], lanes: Sequence[np.ndarray], device: Any, segment: float | None = None
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Run one block: its outputs, and whether each lane meets each requirement, as arrays still being computed.

        With `segment` the block advances that far along its clock at a time (and waits for each): the same bits.
        """
        results, lanes = list(results), list(lanes)
        advance = self.compiled("advance", device)
        state, fresh = self.blank_state(device), True
        until = np.float64(np.inf if segment is None else segment)
        while True:
            state, outputs, holds = advance(results, lanes, state, np.bool_(fresh), until)
            # a lane that does not meet a requirement may never end (a max_time of nan), and is refused by the caller
            if (
                segment is None
                or not ((np.asarray(outputs["status"]) == Status.RUNNING) & np.asarray(holds).all(-1)).any()
            ):
                return outputs, holds
            fresh = False
            until += segment

    def door_first(self, shared: Sequence[np.ndarray]) -> list[Any]:
        """What `door` needs of one shared value."""
        return self._door[0](*shared)

    def door(self, first: Sequence[Any], lanes: Sequence[np.ndarray]) -> np.ndarray:
        """[lanes, requirements]: whether each holds, before the first step."""
        return np.asarray(self._door[1](list(first), list(lanes)))

    @cached_property
    def _door(self) -> tuple[Callable, Callable]:
        known = [a in self.traced.shared for a in self.traced.axes]
        first, second = cut.split(self.traced.jaxpr, known, [self.traced.requirement_output])

        def holds(results, lanes):
            each = jax.vmap(lambda results, lanes: second(results, lanes)[0], (None, 0), axis_size=self.layout.width)
            return each(results, lanes)  # axis_size: a study may have shared axes only

        return jax.jit(first), jax.jit(holds)


def needed_bytes(executable: Any) -> int:
    """What an executable needs on each of its devices: arguments + output + temporaries, + 8 MB, x 1.2."""
    analysis = executable.memory_analysis()
    sizes = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    return _with_margin(sum(getattr(analysis, size, 0) for size in sizes))


def _with_margin(count: int) -> int:
    return int(1.2 * (count + 8 * 2**20))


def free_memory(device: Any) -> int | None:
    """Bytes that blocks on a device may still take; None where that cannot be found out."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats else _free_host_memory()


def _free_host_memory() -> int | None:
    try:
        with open("/proc/meminfo") as file:
            line = next(line for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024
