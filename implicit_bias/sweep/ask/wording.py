"""What a user has written of a run, as one digest: results tell by it whether their study has been edited since.

Of the cell, of the facts and of what is observed:

    a function of the user's     its instructions, its defaults, what it closes over, and by name what it reads of its
                                 module and of the user's other modules; and so on from there
    a function of a library's    its name; of one that the library has made, its defaults and what it closes over
    an object                    its class and its fields; an array, its numbers

Claims, figures, comments and layout are no part of it, and nothing is traced for it. Studies of one wording do the same;
those of two may, too (names of variables count), which their programs tell when they are planned. What a function
imports as it runs is seen by its name alone.

>>> def cell(scale, rows=6):
...     return rows * scale
>>> before = wording(cell)
>>> def cell(scale, rows=6):
...     "Says more."
...     return rows * scale  # and this
>>> wording(cell) == before
True
>>> def cell(scale, rows=6):
...     return rows * scale + 1
>>> wording(cell) == before
False
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import os
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..._files import is_users


def wording(*parts: Any) -> str:
    """A digest, behind the Python whose instructions it has read; of nothing where the parts are too deep to follow."""
    reader = _Reader()
    try:
        reader.read(parts)
    except RecursionError:
        return ""
    text = "\0".join(reader.words).encode(errors="surrogateescape")
    return f"{sys.implementation.cache_tag}-{sys.flags.optimize} {hashlib.sha256(text).hexdigest()[:16]}"


def same(before: str, now: str) -> bool:
    """Whether two are of one wording, as far as can be told: another Python writes other instructions, old plans none."""
    return not before or not now or before == now or before.partition(" ")[0] != now.partition(" ")[0]


_CHECKERS = ("jaxtyping", "beartype", "typeguard")
"""What they wrap does what it did."""


class _Reader:
    def __init__(self) -> None:
        self.words: list[str] = []
        self.seen: dict[int, tuple[int, Any]] = {}  # by identity; the object, so that its identity stays its own

    def read(self, value: Any) -> None:
        while isinstance(value, types.FunctionType) and hasattr(value, "__wrapped__") and _checks(value):
            value = value.__wrapped__
        match value:
            case None | bool() | int() | float() | complex() | str() | bytes() | types.EllipsisType():
                return self.words.append(f"{type(value).__name__} {value!r}")
            case types.CodeType():
                return self._code(value)
            case np.generic() | range() | slice():
                return self.words.append(repr(value))
        if id(value) in self.seen:
            return self.words.append(f"again {self.seen[id(value)][0]}")
        self.seen[id(value)] = len(self.seen), value
        match value:
            case types.FunctionType():
                self._function(value)
            case types.MethodType():
                self._all("method", value.__func__, value.__self__)
            case types.ModuleType():
                file = getattr(value, "__file__", None) or ""
                self.words.append(f"module {os.path.basename(file) if file and is_users(file) else value.__name__}")
            case staticmethod() | classmethod():
                self._all(type(value).__name__, value.__func__)
            case property():
                self._all("property", value.fget, value.fset)
            case functools.partial():
                self._all("partial", value.func, value.args, value.keywords)
            case type():
                self._class(value)
            case Mapping():
                self._all(type(value).__name__, *sorted(value.items(), key=lambda item: str(item[0])))
            case tuple() | list():
                self._all(type(value).__name__, *value)
            case set() | frozenset():
                self._all(type(value).__name__, *sorted(value, key=repr))
            case _:
                self._object(value)

    def _all(self, name: str, *values: Any) -> None:
        self.words.append(f"{name} {len(values)}")
        for value in values:
            self.read(value)

    def _code(self, code: types.CodeType) -> None:
        """Instructions by what they load: a doc string is a constant that none does."""
        self.words.append(f"code {code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} {code.co_flags & 12}")  # 12: *, **
        for instruction in dis.get_instructions(code):
            self.words.append(instruction.opname)
            if instruction.arg is not None:
                self.read(instruction.argval)

    def _function(self, function: types.FunctionType) -> None:
        self.words.append(f"function {function.__qualname__}")
        code, of_module = function.__code__, "<locals>" not in function.__qualname__
        if not is_users(code.co_filename) and of_module and not is_users(_file(function.__module__)):
            return self.words.append(f"of {function.__module__}")
        held = [_content(cell) for cell in function.__closure__ or ()]
        self._all("with", function.__defaults__, function.__kwdefaults__, *held)
        if not is_users(code.co_filename):
            return self.words.append(f"of {function.__module__}")
        self._code(code)
        self._names(_names(code), function.__globals__)

    def _names(self, names: Iterable[str], where: Mapping[str, Any]) -> None:
        """What names stand for in a module; of a module of the user's, what they stand for there."""
        names = sorted(names)
        entered: set[int] = set()

        def within(where: Mapping[str, Any]) -> None:
            for name in names:
                if name not in where:
                    continue
                self.words.append(f"name {name}")
                self.read(value := where[name])
                file = getattr(value, "__file__", None) if isinstance(value, types.ModuleType) else None
                if file and is_users(file) and id(value) not in entered:
                    entered.add(id(value))
                    within(vars(value))

        within(where)

    def _class(self, one: type) -> None:
        self.words.append(f"class {one.__qualname__}")
        if not is_users(_file(one.__module__)):
            return self.words.append(f"of {one.__module__}")
        self._all("bases", *one.__bases__)
        for name, value in sorted(vars(one).items()):
            plain = isinstance(value, (bool, int, float, str, tuple, property)) and not name.startswith("__")
            if plain or isinstance(value, (types.FunctionType, staticmethod, classmethod)):
                self.words.append(f"has {name}")
                self.read(value)

    def _object(self, value: Any) -> None:
        self.read(type(value))
        if hasattr(value, "__array__"):
            try:
                array = np.ascontiguousarray(value)
            except (TypeError, ValueError):
                return
            if array.dtype.kind in "biufc":
                self.words.append(f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}")
        elif dataclasses.is_dataclass(value):
            names = [f.name for f in dataclasses.fields(value) if f.init and not f.name.startswith("_")]
            self._all("fields", *((name, getattr(value, name, None)) for name in names))
        elif hasattr(value, "__wrapped__"):
            self.read(value.__wrapped__)
        elif isinstance(getattr(value, "__dict__", None), dict):
            self._all("fields", *((n, v) for n, v in sorted(vars(value).items()) if not n.startswith("_")))
        elif callable(value):
            self.words.append(f"{getattr(value, '__module__', '')} {getattr(value, '__qualname__', '')}")


def _checks(function: types.FunctionType) -> bool:
    return function.__globals__.get("__name__", "").partition(".")[0] in _CHECKERS


def _file(module: str) -> str:
    """Where a module is; of one that is in no file, Python itself."""
    return getattr(sys.modules.get(module), "__file__", None) or sys.executable


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _names(code: types.CodeType) -> set[str]:
    """The names that instructions read, of functions inside too."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return {*code.co_names}.union(*map(_names, inner))
