r"""Observables of separable problems: the margin min_i y_i <a_i, x> / |x|, beside the largest one that exists."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array

from .. import _vectors
from .._types import Scalar
from ..problems.margin import max_margin, separator
from .base import Measure, Snapshot


def _margin(snapshot: Snapshot) -> Scalar:
    problem, pred = snapshot.carried.problem, snapshot.carried.pred
    return jnp.min(problem.margins(pred)) / _vectors.norm(pred)


margin = Measure(_margin, "min_i y_i <a_i, x> / |x|")


def best_margin(snapshot: Snapshot) -> Array:
    """The largest margin of a unit vector, 1 / |max_margin(A, y)|. A fact."""
    return 1 / _vectors.norm(max_margin(snapshot.carried.problem))


def max_margin_gap(snapshot: Snapshot) -> Array:
    """Relative duality gap of `max_margin`: its angle to the exact separator is at most about sqrt(gap). A fact."""
    return separator(snapshot.carried.problem).gap
