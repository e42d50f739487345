"""What the papers prove, as functions of a run's own numbers: closed forms, potentials, minimisers, invariants.

Each file opens with its theorem, the hypotheses and the equation number, and says where the print and the exact
statement differ. The functions are array-agnostic: NumPy arrays when evidence is judged, `jnp` arrays inside a run.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["deep_linear", "diagonal", "projected_descent", "saddles", "sensing", "weight_normalisation"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f".{name}", __name__)
