r"""The engine: one compiled block of runs, dealt to the devices of the host.

A program is two jitted functions of plain arrays,

    first   : (constants, *shared values)                      -> results              once per shared value
    advance : (constants, results, lanes, state, fresh, until[, which]) -> (state, outputs, holds)

with `width` lanes; `constants` are the arrays that the cell, its observables and facts have closed over; `fresh` starts
first, and `state` is then unread; `holds` says which requirements are met. Lanes share `results` unbatched (they are
then read once a block, not once a lane), or each lane brings its own where few runs share them and they are small
(`mixed`). Where blocks are short, a launch does several (`layout`): arrays then have an axis of `places` first, and `which`
says of each which results its block has, or -1. The block is the unit of bits: under one fingerprint neither its position,
nor its companions, nor its padding, nor the device or worker that ran it changes a run's bits.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ..._errors import Mistake
from ..._lanes import on_cpu, rows_major
from ..._results import Status
from ...dynamics.base import State
from ...observables.base import Watch
from . import cut
from ..work.checkpoint import Segments
from .code import Code, code_of, constants_digest
from .layout import Layout, each, of_places, side_by_side
from .memory import needed_bytes, with_margin
from ...linalg.lapack import one_after_another
from .prepare import Built, Traced

SMALL = 64 * 1024
"""Bytes of first-part results up to which lanes may each bring their own."""
FIRSTS_KEPT = 2**26
"""Bytes of first-part results that a program keeps: requirements are asked of them before the blocks read them."""


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
        one_after_another()
        self.traced = traced
        self.layout = layout
        self.axes = axes
        self._first, self._second = cut.split(traced.jaxpr, [a in traced.shared for a in traced.axes])
        self._close = close
        self._placed: dict[tuple[str, Any], list[Any]] = {}
        self._blank, self._needed = {}, {}  # by device
        self._firsts: dict[tuple, list[np.ndarray]] = {}

    # -- the two functions --------------------------------------------------------------------------------------

    def _build(self, results: Sequence[Any], lanes: Sequence[Any]) -> Built:
        return self.traced.rebuild(self._second(results, lanes))

    def _watch(self, built: Built) -> Watch:
        return Watch(run=built.prepared, clock=built.clock, observe=self.traced.observe)

    def _start(self, built: Built) -> State:
        run = built.prepared
        return run.dynamics.start(run.objective, run.theta, self._watch(built))

    def _advance(self, results, lanes, state, fresh, until) -> tuple[State, dict[str, Array], Array]:
        """One lane."""
        built = self._build(results, lanes)
        run, watch = built.prepared, self._watch(built)
        state = jax.lax.cond(fresh, lambda: self._start(built), lambda: state)
        state = run.dynamics.advance(run.objective, state, until, watch)
        outputs = watch.results(state)
        if both := sorted(n for n in outputs if n in built.facts or n.startswith("fact.")):
            raise Mistake("observe, facts", f"have two of the name {both[0]!r}", "rename one of them")
        outputs |= {f"fact.{n}": v for n, v in built.facts.items()}
        outputs |= {"status": state.status, "steps": state.steps, "time": state.time}
        outputs["clock"] = built.clock.astype(float)
        return state, outputs, built.holds

    @property
    def _results_axis(self) -> int | None:
        return 0 if self.layout.mixed else None

    def _advance_block(self, results, lanes, state, fresh, until):
        of_block = each(self.layout, self._advance, self._results_axis, 0, 0, None, None)
        return self._close(of_block(results, lanes, state, fresh, until))

    def _advance_blocks(self, results, lanes, state, fresh, until, which):
        if not on_cpu():
            advance = functools.partial(self._advance, fresh=fresh, until=until)
            return side_by_side(self.layout, advance, results, (lanes, state), which, self._close)

        def one(place: Array) -> Any:
            own = jax.tree.map(lambda x: x[place], (lanes, state))
            return self._advance_block(jax.tree.map(lambda x: x[which[place]], results), *own, fresh, until)

        return of_places(one, which)

    def _first_places(self, *values_and_which):
        *values, which = values_and_which
        return of_places(lambda place: self._first(*(value[place] for value in values)), which)

    # -- shapes -------------------------------------------------------------------------------------------------

    @cached_property
    def shapes(self) -> dict[str, tuple]:
        """The arguments of each function but for its constants, as shapes."""

        def lanes_of(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((self.layout.width, *shape.shape), shape.dtype)

        def places_of(tree: PyTree) -> PyTree:
            return jax.tree.map(lambda s: jax.ShapeDtypeStruct((places, *s.shape), s.dtype), tree)

        shared, places = [self.axes[a] for a in self.traced.shared], self.layout.places
        lanes = [lanes_of(self.axes[a]) for a in self.traced.lanes]
        results = self._first.results
        if self.layout.mixed:
            results = [lanes_of(r) for r in results]
        start = each(self.layout, lambda *a: self._start(self._build(*a)), self._results_axis, 0)
        state = jax.eval_shape(start, results, lanes)
        fresh = jax.ShapeDtypeStruct((), jnp.bool_)
        until = jax.ShapeDtypeStruct((), jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)
        if places == 1:
            return {"first": tuple(shared), "advance": (results, lanes, state, fresh, until)}
        which = jax.ShapeDtypeStruct((places,), jnp.int32)
        many = places_of((results, lanes, state))
        return {"first": (*places_of(shared), which), "advance": (*many, fresh, until, which)}

    @property
    def shared_bytes(self) -> int:
        """What `first` hands to a lane."""
        return sum(r.size * r.dtype.itemsize for r in self._first.results)

    @property
    def outputs(self) -> dict[str, jax.ShapeDtypeStruct]:
        """What a launch returns, with the lane axis first, or that of places before it."""
        return self.lifted["advance"].bare.out[1]

    # -- programs -----------------------------------------------------------------------------------------------

    @cached_property
    def lifted(self) -> dict[str, cut.Lifted]:
        """Each function, traced once, with its constants as arguments."""
        functions = {"first": self._first, "advance": self._advance_block}
        if self.layout.places > 1:
            functions = {"first": self._first_places, "advance": self._advance_blocks}
        return {name: cut.Lifted.of(f, *self.shapes[name]) for name, f in functions.items()}

    @cached_property
    def code(self) -> dict[str, Code]:
        return {name: code_of(lifted, self.shapes[name], once=name == "first") for name, lifted in self.lifted.items()}

    @cached_property
    def identity(self) -> str:
        """A hash of what the program computes, and of what from: its text, and the content of every constant."""
        digest = hashlib.sha256()
        for name, code in self.code.items():
            digest.update(f"{name} {code.text} {constants_digest(self.lifted[name].constants)}\n".encode())
        return digest.hexdigest()

    @property
    def constant_bytes(self) -> int:
        """The data that a block reads besides its lanes' own."""
        constants = {id(c): c for lifted in self.lifted.values() for c in lifted.constants}
        return sum(c.size * c.dtype.itemsize for c in constants.values())

    def compiled(self, name: str, device: Any) -> Callable:
        """The executable on one device, compiled once in a process; its constants are in place."""
        run = self.code[name].compiled(device)
        if (name, device) not in self._placed:
            self._placed[name, device] = jax.device_put(list(self.lifted[name].constants), device)
        return functools.partial(run, self._placed[name, device])

    def compile(self, devices: Sequence[Any]) -> None:
        """What a block needs on these devices. `first` runs on one device alone, and its results travel."""
        for device in devices:
            self.compiled("advance", device)

    def compile_seconds(self, device: Any) -> float | None:
        """How long compiling for a device would take, by another device's time; None if nothing is known."""
        return self.code["advance"].compile_seconds(device)

    @property
    def estimated_bytes(self) -> int:
        """What a launch needs, from shapes alone: arguments and outputs of `advance`, + 8 MB, x 1.2.

        And three arrays as large as the largest that building a run makes (A, its transpose, a factor); side by side, a lane's.
        """
        shapes = jax.tree.leaves((self.shapes["advance"], self.shapes["advance"][2], self.outputs))
        made = [v.aval for equation in self.traced.jaxpr.eqns for v in equation.outvars if hasattr(v.aval, "dtype")]
        sizes = [math.prod(a.shape) * getattr(a.dtype, "itemsize", 8) for a in made]
        held = self.constant_bytes + sum(s.size * s.dtype.itemsize for s in shapes)
        looked_up = 0 if on_cpu() or self.layout.places == 1 else self.layout.width * self.shared_bytes
        return with_margin(held + self.layout.places * (looked_up + 3 * max(sizes, default=0)))

    def needed_bytes(self, device: Any) -> int:
        """What a launch needs, from its executable, which takes milliseconds to say."""
        return self._needed.get(device) or self._needed.setdefault(device, needed_bytes(self.code["advance"].compiled(device)))

    # -- running ------------------------------------------------------------------------------------------------

    # NumPy arrays go straight to the executables, which put them where they belong: `device_put` costs more than that.

    def first(self, values: Sequence[np.ndarray], device: Any) -> list[np.ndarray]:
        """The work of one shared value, done on one device and brought back for all; the last few are kept."""
        key = (device, *(np.asarray(v).tobytes() for v in values))
        if (results := self._firsts.get(key)) is None:
            results = [np.asarray(x) for x in self.compiled("first", device)(*values)]
            if self.keeps:
                self._firsts[key] = results
        return results

    @property
    def keeps(self) -> bool:
        """Whether what is computed of another shared value will be kept."""
        return self.shared_bytes * self.layout.places * len(self._firsts) < FIRSTS_KEPT

    def forget(self) -> None:
        """What has been kept of the shared values."""
        self._firsts.clear()

    def blank_state(self, device: Any) -> Any:
        """What a fresh block is given and does not read; kept on the device."""
        if device not in self._blank:
            shapes = self.shapes["advance"][2]
            self._blank[device] = jax.device_put(jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes), device)
        return self._blank[device]

    @property
    def most_seconds(self) -> float:
        """How long a launch may take at most, roughly: 20 us a step, and a nanosecond for each operation of its lanes.

        Side by side a step takes 100 us, and what it computes a hundredth.
        """
        numbers, blocks = sum(x.size for x in jax.tree.leaves(self.shapes["advance"][2].theta)), self.layout.places
        work = blocks * 1e-9 * self.layout.width * self.traced.step.operations + 1e-8 * numbers
        return self.traced.most_steps * (blocks * 2e-5 + work if on_cpu() else 1e-4 + work / 100)

    def launch(
        self, results: Sequence[Any], lanes: Sequence[np.ndarray], device: Any, segments: Segments | None = None,
        which: np.ndarray | None = None,
    ) -> tuple[dict[str, jax.Array], jax.Array]:  # fmt: skip
        """Run one launch: its outputs, and whether each lane meets each requirement, as arrays still being computed.

        In `segments` it stops (and is waited for) on the way: the same bits. `which` is read where there are places.
        """
        given, more, code = (list(results), list(lanes)), [which] * (self.layout.places > 1), self.compiled("advance", device)

        def advance(state: Any, fresh: bool, until: float) -> Any:
            return code(*given, state, np.bool_(fresh), np.float64(until), *more)

        blank = self.blank_state(device)
        if segments is None:
            _, outputs, holds = advance(blank, True, np.inf)
            return outputs, holds
        state, until = segments.resumed(self.shapes["advance"][2]) or (None, 0.0)
        # up to where it stands: no step is taken, and the clock is known
        now, fresh = (blank, True) if state is None else (state, False)
        state, outputs, holds = advance(now, fresh, until)
        clock = np.asarray(outputs["clock"])
        for stop in segments.stops(until, float(np.where(np.isfinite(clock), clock, 0.0).max())):
            # a lane that does not meet a requirement may never end (a max_time of nan), and is refused by the caller
            if not ((np.asarray(outputs["status"]) == Status.RUNNING) & np.asarray(holds).all(-1)).any():
                break
            state, outputs, holds = advance(state, False, stop)
            jax.block_until_ready(state)
            segments.passed(state, stop)
        return outputs, holds

    def meets(self, results: Sequence[Any], lanes: Sequence[np.ndarray], device: Any, which: Any = None) -> np.ndarray:
        """[lanes, requirements], or with places before: whether each holds, before the first step; not where lanes mix."""
        code, constants = self._holds
        more = [which] * (self.layout.places > 1)
        return np.asarray(code.compiled(device)(constants, list(results), list(lanes), *more))

    @cached_property
    def _holds(self) -> tuple[Code, list[Array]]:
        second = self._second.only([self.traced.requirement_output])
        block = each(self.layout, lambda results, lanes: second(results, lanes)[0], None, 0)

        def places(results, lanes, which):
            return of_places(lambda at: block([r[which[at]] for r in results], [x[at] for x in lanes]), which)

        results, lanes, _, _, _, *which = self.shapes["advance"]
        shapes = (self._first.results if self.layout.mixed else results, lanes, *which)
        lifted = cut.Lifted.of(places if which else block, *shapes)
        return code_of(lifted, shapes, once=True), list(lifted.constants)
