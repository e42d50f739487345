"""The keywords of a cell as a plan file writes them, and as a dataset shows them.

What a run was given decides what may be said of it, so every keyword is kept with its kind, bit for bit:

>>> encoded({"step": 0.1, "rows": 6, "depth": None, "shape": (12, 10)})["step"]
['float', '0x1.999999999999ap-4']
>>> decoded("step", ["float", "0x1.999999999999ap-4"])
0.1
>>> decoded("shape", ["numbers", "12.0 10.0"])[0], decoded("depth", ["none", ""])
('shape_0', nan)
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Written = Sequence[str]
"""[kind, text]: a plan file is JSON, which has neither the bits of a float nor a tuple."""


def defaults(cell: Callable[..., Any]) -> dict[str, Any]:
    """What a cell's keywords are where nothing is asked of them."""
    signature = inspect.signature(cell).parameters.items()
    return {name: p.default for name, p in signature if p.default is not p.empty and name != "key"}


def encoded(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Keywords by name, as text."""
    return {name: _encode(value) for name, value in sorted(values.items())}


def _encode(value: Any) -> list[str]:
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None:
            return ["none", ""]
        case bool():
            return ["flag", str(value)]
        case int():
            return ["int", str(value)]
        case float():
            return ["float", value.hex()]
        case str():
            return ["word", value]
        case _ if _numbers(value):
            return ["numbers", " ".join(repr(float(x)) for x in np.ravel(value))]
        case _:  # a loss, a law: its name is all that a page can show of it; its program says what it does
            return ["word", getattr(value, "__name__", type(value).__name__)]


def _numbers(value: Any) -> bool:
    if not isinstance(value, (tuple, list)) and not hasattr(value, "__array__"):
        return False
    try:
        return np.asarray(value).dtype.kind in "iufb" and np.ndim(value) == 1
    except (TypeError, ValueError):
        return False


_READ: dict[str, Callable[[str], Any]] = {
    "none": lambda text: math.nan,
    "flag": lambda text: {"True": True, "False": False}[text],
    "int": int,
    "float": float.fromhex,
    "word": str,
}


def decoded(name: str, written: Written) -> Any:
    """The value of a keyword as a coordinate; `ValueError` for what `encoded` has not written."""
    try:
        kind, text = written
        if kind == "numbers":
            return (f"{name}_0", [float(x) for x in text.split()])
        return _READ[kind](text)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"keyword {name} is of no kind") from error
