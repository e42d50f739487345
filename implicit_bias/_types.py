"""The shape vocabulary: `rows` (measurements m), `columns` (parameters d), and what a seam accepts."""

from __future__ import annotations

from typing import TypeAlias

from jaxtyping import Array, Bool, Float, Int, Num, PyTree

Scalar: TypeAlias = Float[Array, ""]
Flag: TypeAlias = Bool[Array, ""]
Count: TypeAlias = Int[Array, ""]
Clock: TypeAlias = Num[Array, ""]
ScalarLike: TypeAlias = Float[Array, ""] | float
Matrix: TypeAlias = Float[Array, "rows columns"]
Targets: TypeAlias = Float[Array, " rows"]
Theta: TypeAlias = PyTree
Pred: TypeAlias = PyTree
Requirements: TypeAlias = "dict[tuple[str, str, str], Flag]"
"""(field, what is wrong, remedy) -> holds? Evaluated for every run before the first step."""
