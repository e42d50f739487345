"""Observables of diagonal networks: a layer z of x = z^L; and the data, which their potentials need beside it."""

from __future__ import annotations

from jaxtyping import Array

from .. import _vectors
from .base import Measure, Snapshot


def _layer(snapshot: Snapshot) -> Array:
    return snapshot.parameterization.layer(snapshot.carried.theta)


def _layer_size(snapshot: Snapshot) -> Array:
    return _vectors.norm(_layer(snapshot))


layer = Measure(_layer, "z of x = z^L, both branches of a signed net")
layer_size = Measure(_layer_size, "|z|_2 of x = z^L: the size r of a normalised layer")


def operator(snapshot: Snapshot) -> Array:
    """A. A fact."""
    return snapshot.problem.operator


def target(snapshot: Snapshot) -> Array:
    """y. A fact."""
    return snapshot.problem.target
