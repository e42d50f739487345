"""What parameterizations and observables do with a vector of weights, dispatched on how the vector is carried.

Here for an array; `symmetry.row_space` registers the vectors that it splits along a row space.

>>> import jax.numpy as jnp
>>> float(norm(jnp.array([3.0, 4.0])))
5.0
"""

from __future__ import annotations

from functools import singledispatch

import jax.numpy as jnp
from jaxtyping import PyTree

from ._types import Scalar

Vector = PyTree
"""An array, or a vector that a chart carries in parts."""


@singledispatch
def square_norm(w: Vector) -> Scalar:
    return jnp.sum(w * w)


def is_vector(x: object) -> bool:
    """Whether a pytree is one vector that a chart carries in parts."""
    return type(x) is not object and type(x) in square_norm.registry


def norm(w: Vector) -> Scalar:
    return jnp.sqrt(square_norm(w))


@singledispatch
def scale(w: Vector, factor: Scalar) -> Vector:
    return factor * w


@singledispatch
def along(w: Vector, gradient: Vector) -> Scalar:
    """<gradient, w> for the gradient of a loss in its predictor."""
    return jnp.sum(gradient * w)


@singledispatch
def turned(w: Vector, gradient: Vector, factor: Scalar, turn: Scalar) -> Vector:
    """factor (gradient - turn w), as a gradient at w: of a loss in its predictor, less its part along w."""
    return factor * (gradient - turn * w)


@singledispatch
def tangent(w: Vector, v: Vector) -> Vector:
    """The part of a velocity `v` that is tangent to the unit sphere at `w`, |w| = 1."""
    return v - jnp.sum(w * v) * w


@singledispatch
def square_speed(w: Vector, v: Vector) -> Scalar:
    """|v|^2 of a velocity v at w."""
    return square_norm(v)


@singledispatch
def difference(w: Vector, reference: Vector) -> Vector:
    """w - reference, for a reference in the row space (such as `min_norm`)."""
    return w - reference


@singledispatch
def opposite(reference: Vector) -> Vector:
    """-reference, for a reference in the row space."""
    return -reference


@singledispatch
def log_size(perp: Vector) -> Scalar:
    """log |perp| of an orthogonal part: -inf where there is none."""
    return jnp.log(norm(perp))


@singledispatch
def agreement(perp: Vector, first: Vector) -> Scalar:
    """The sign of <perp, first>, for two orthogonal parts of one run."""
    return jnp.sign(jnp.sum(perp * first))


@singledispatch
def unit(perp: Vector) -> Vector:
    """perp / |perp|, for an orthogonal part."""
    return perp / norm(perp)
