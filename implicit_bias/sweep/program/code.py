r"""The code of a program: its text, which names it, and its executables; one object in a process for one program.

The text is the lowered program. It has no data in it, which are its arguments, and it names the program on the disk and
among machines. To lower costs as much as to load an executable, so within a process a program is known by a walk over
its equations (`_Walk`): a study that is planned twice is lowered and compiled once.

>>> import jax
>>> shape = jax.ShapeDtypeStruct((), float)
>>> one, other, same = (code_of(Lifted.of(lambda x, k=k: k * x, shape), [shape]) for k in (2.0, 3.0, 2.0))
>>> one is same, one.text == other.text
(True, False)
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.extend import core
from jax.sharding import SingleDeviceSharding
from jaxtyping import PyTree

from ..._errors import Mistake
from .cut import Bare, Lifted, content_digest
from .fingerprint import compile_with, compiler_options

MOST_KEPT = 128
"""Programs that a process keeps; those longest unused go first."""


class Code:
    """A program without data, lowered and compiled, each once a device."""

    def __init__(self, bare: Bare, shapes: Sequence[PyTree], once: bool):
        """`shapes` are those of the constants, in a list, and of the other arguments; `once`: it takes no steps."""
        self._bare, self._shapes, self._once = bare, tuple(shapes), once
        self._executables: dict[Any, Callable] = {}
        self._seconds: float | None = None
        self._locks: dict[Any, threading.Lock] = defaultdict(threading.Lock)

    def _lower(self, shapes: Sequence[PyTree]) -> Any:
        def program(constants, *arguments):
            return self._bare(constants, *arguments)

        return jax.jit(program).lower(*shapes)

    @cached_property
    def _lowered(self) -> Any:
        """For the first device."""
        return self._lower(self._shapes)

    @cached_property
    def text(self) -> str:
        """A hash of the lowered program: what it computes, whatever from."""
        return hashlib.sha256(self._lowered.as_text().encode()).hexdigest()

    def compiled(self, device: Any) -> Callable:
        with self._locks[device]:
            if device not in self._executables:
                begun = time.perf_counter()
                options = compiler_options(device, self._once)
                self._executables[device] = compile_with(self._lowered_for(device), options)
                self._seconds = time.perf_counter() - begun
            return self._executables[device]

    def _lowered_for(self, device: Any) -> Any:
        if device == jax.local_devices()[0]:
            return self._lowered
        at = SingleDeviceSharding(device)
        return self._lower(jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=at), self._shapes))

    def compile_seconds(self, device: Any) -> float | None:
        """How long compiling for a device would take, by another device's time; None if nothing is known."""
        return 0.0 if device in self._executables else self._seconds


_kept: OrderedDict[tuple, Code] = OrderedDict()
_lock = threading.Lock()


def code_of(lifted: Lifted, shapes: Sequence[PyTree], once: bool = False) -> Code:
    """The code of a lifted function of arguments of these shapes; that of an equal one, if the process has it."""
    constants = [jax.ShapeDtypeStruct(c.shape, c.dtype) for c in lifted.constants]
    walk = _Walk()
    walk.closed(lifted.bare.program)
    walk.value((lifted.bare.places, *((s.shape, s.dtype) for s in jax.tree.leaves((constants, shapes)))))
    trees = jax.tree.structure((shapes, lifted.bare.out))
    key = (walk.digest.hexdigest(), tuple(walk.objects), trees, jax.local_devices()[0], once)
    with _lock:
        if key not in _kept:
            _kept[key] = Code(lifted.bare, (constants, *shapes), once)
        _kept.move_to_end(key)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
        return _kept[key]


_DERIVATIVES = {"jvp_jaxpr_fun", "jvp_fun", "fwd_jaxpr_thunk", "fwd", "bwd", "out_trees"}
"""Parameters of equations that differentiation reads; a program that is traced is past it."""
_CALLBACKS = {"pure_callback", "io_callback"}


class _Walk:
    """A digest of a program's equations, and the objects in them that only they themselves can compare."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.objects: list[Any] = []

    def word(self, *words: Any) -> None:
        self.digest.update(repr(words).encode())

    def closed(self, program: core.ClosedJaxpr) -> None:
        self.equations(program.jaxpr)
        self.value(tuple(program.consts))

    def equations(self, jaxpr: core.Jaxpr) -> None:
        numbers: dict[Any, int] = {}

        def made(variables: Sequence[Any]) -> None:
            for v in variables:
                self.word(numbers.setdefault(v, len(numbers)), str(v.aval), getattr(v.aval, "weak_type", None))

        def read(variables: Sequence[Any]) -> None:
            for v in variables:
                if isinstance(v, core.Literal):
                    self.value(v.val)
                    self.word(str(v.aval))
                else:
                    self.word(numbers[v])

        made([*jaxpr.constvars, *jaxpr.invars])
        for eqn in jaxpr.eqns:
            name = eqn.primitive.name
            if name in _CALLBACKS:
                what = f"calls back into Python ({name}), where no identity can follow what a run is"
                raise Mistake("cell", what, "write it in jax.numpy")
            self.word(name)
            read(eqn.invars)
            self.value({k: v for k, v in eqn.params.items() if k not in _DERIVATIVES})
            made(eqn.outvars)
        read(jaxpr.outvars)

    def value(self, x: Any) -> None:
        self.word(type(x).__qualname__)
        if isinstance(x, (bool, int, str, bytes, float, complex, np.dtype, type(None), enum.Enum)):
            self.word(x)  # the repr of a float is exact
        elif isinstance(x, core.ClosedJaxpr):
            self.closed(x)
        elif isinstance(x, core.Jaxpr):
            self.equations(x)
        elif isinstance(x, (tuple, list)):
            self.word(len(x))
            for one in x:
                self.value(one)
        elif isinstance(x, Mapping):
            self.word(len(x))
            for name, one in x.items():
                self.word(name)
                self.value(one)
        elif hasattr(x, "dtype") and hasattr(x, "shape") and hasattr(x, "__array__"):
            self.word(str(x.dtype), x.shape)
            self.digest.update(np.ascontiguousarray(x).tobytes())
        else:
            self.word(len(self.objects))
            self.objects.append(x if _hashable(x) else _Same(x))


def _hashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return False
    return True


@dataclasses.dataclass(frozen=True, eq=False)
class _Same:
    """Equal to itself alone, and kept, so that no other object gets its address."""

    what: Any


def constants_digest(constants: Sequence[Any]) -> str:
    """A hash of the content, dtype and shape of every constant, in order."""
    return hashlib.sha256(" ".join(content_digest(c) for c in constants).encode()).hexdigest()
