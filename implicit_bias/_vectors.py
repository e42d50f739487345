r"""Vectors of R^d in two coordinate systems: whole, or split along a row space.

A loss of `A x` moves a point only inside `range(A^T)`, apart from stretching what is orthogonal to it. With an
orthonormal basis `V` of the row space (d x m) and the fixed unit direction `e` of the orthogonal part,

    w = V row + sign exp(log) e,        row in R^m,  sign in {-1, 0, 1},  log in [-inf, inf),

and m + 2 numbers carry w exactly. The amplitude is kept as a sign and a logarithm because weight normalisation
shrinks it like exp(-g^2 / 2c), which leaves the range of float64 near g^2 / 2c = 745.

Whatever a rotation-equivariant map does with `w` it does through `row` and the square of the amplitude, so the
gradient is taken there: with `square = exp(2 log)` and t = sign exp(log),

    d loss / dt = 2 t (d loss / d square),      (d loss / dt) / t = 2 d loss / d square,

and the *relative* gradient on the right needs no t: it is exact even where t has underflowed.

>>> import jax.numpy as jnp
>>> w = Split(row=jnp.array([3.0]), sign=jnp.array(1.0), log=jnp.log(4.0))
>>> round(float(norm(w)), 12), round(float(norm(scale(w, -0.5))), 12)
(5.0, 2.5)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ._types import Scalar


class Split(NamedTuple):
    """A vector as it is carried: row-space coefficients, and the orthogonal amplitude as sign and log."""

    row: Float[Array, " rows"]
    sign: Scalar
    log: Scalar


class Moving(NamedTuple):
    """A `Split` under way: its amplitude is sign exp(log) factor, with a few steps' factors not yet in the logarithm.

    A logarithm costs as much as a third of a step. `SETTLE` steps' factors are multiplied up first, which cannot leave
    the range of float64 (each would have to exceed 1e19), and taken in at every `SETTLE`-th step of the run's clock,
    so that where a run pauses changes no bit.
    """

    row: Float[Array, " rows"]
    sign: Scalar
    log: Scalar
    factor: Scalar


SETTLE = 16


class Coordinates(NamedTuple):
    """A vector as a rotation-equivariant map sees it, and the shape of its gradient."""

    row: Float[Array, " rows"]
    square: Scalar


class View(NamedTuple):
    """A vector as an update rule sees it: `perp` is the amplitude, or 1 where updates are relative to it."""

    row: Float[Array, " rows"]
    perp: Scalar


Vector = Split | Moving | Coordinates | Float[Array, " columns"]


def is_vector(x: object) -> bool:
    return isinstance(x, (Split, Moving, Coordinates, View))


def map_vectors(fn, *trees: PyTree) -> PyTree:
    """`jax.tree.map` that stops at vectors: `fn` sees a whole `Split`, or an array where the tree holds arrays."""
    return jax.tree.map(fn, *trees, is_leaf=is_vector)


def release(theta: PyTree) -> PyTree:
    """Every `Split` as the `Moving` that it is."""
    return map_vectors(lambda w: Moving(*w, jnp.ones_like(w.log)) if isinstance(w, Split) else w, theta)


def settle(theta: PyTree) -> PyTree:
    """Every `Moving` as the `Split` that it is."""

    def one(w):
        if not isinstance(w, Moving):
            return w
        return Split(w.row, w.sign * jnp.sign(w.factor), w.log + jnp.log(jnp.abs(w.factor)))

    return map_vectors(one, theta)


def square_norm(w: Vector) -> Scalar:
    match w:
        case Moving():
            return jnp.sum(w.row * w.row) + _square(w)
        case Split(row, _, log):
            return jnp.sum(row * row) + jnp.exp(2 * log)
        case Coordinates(row, square):
            return jnp.sum(row * row) + square
        case _:
            return jnp.sum(w * w)


def _square(w: Split | Moving) -> Scalar:
    """The amplitude's square."""
    square = jnp.exp(2 * w.log)
    return square * (w.factor * w.factor) if isinstance(w, Moving) else square


def norm(w: Vector) -> Scalar:
    return jnp.sqrt(square_norm(w))


def scale(w: Vector, factor: Scalar) -> Vector:
    match w:
        case Split(row, sign, log):
            return Split(factor * row, sign * jnp.sign(factor), log + jnp.log(jnp.abs(factor)))
        case Moving():
            return w._replace(row=factor * w.row, factor=factor * w.factor)
        case Coordinates(row, square):
            return Coordinates(factor * row, factor * factor * square)
        case _:
            return factor * w


def evaluate(theta: PyTree) -> PyTree:
    """Carried weights -> what the parameterization is evaluated (and differentiated) at."""
    return map_vectors(lambda w: Coordinates(w.row, _square(w)) if isinstance(w, (Split, Moving)) else w, theta)


def _amplitude(w: Moving) -> Scalar:
    return w.sign * jnp.exp(w.log) * w.factor


def view(theta: PyTree, relative: bool) -> PyTree:
    """Moving weights -> the parameters that an update rule sees."""

    def one(w):
        if not isinstance(w, Moving):
            return w
        return View(w.row, jnp.ones_like(w.log) if relative else _amplitude(w))

    return map_vectors(one, theta)


def view_gradient(gradient: PyTree, theta: PyTree, relative: bool) -> PyTree:
    """Gradient at `evaluate(theta)` -> the gradient of `view(theta)`."""

    def one(w, d):
        if not isinstance(w, Moving):
            return d
        slope = 2 * d.square
        return View(d.row, slope if relative else slope * _amplitude(w))

    return map_vectors(one, theta, gradient)


def apply(theta: PyTree, updates: PyTree, relative: bool) -> PyTree:
    """Add an update in `view` coordinates. Relative: t' = t (1 + u), exact in sign and log."""

    def one(w, u):
        if not isinstance(w, Moving):
            return w + u
        if relative:
            return w._replace(row=w.row + u.row, factor=w.factor * (1 + u.perp))
        perp = _amplitude(w) + u.perp
        return Moving(w.row + u.row, jnp.sign(perp), jnp.log(jnp.abs(perp)), jnp.ones_like(perp))

    return map_vectors(one, theta, updates)


def velocity(theta: PyTree, gradient: PyTree) -> PyTree:
    """Gradient at `evaluate(theta)` -> d theta / dt of the gradient flow, in carried coordinates (d log|t| / dt = -2 d)."""

    def one(w, d):
        return Split(-d.row, jnp.zeros_like(w.sign), -2 * d.square) if isinstance(w, Split) else -d

    return map_vectors(one, theta, gradient)


def tangent(w: Vector, v: Vector) -> Vector:
    """The part of a velocity `v` that is tangent to the unit sphere at `w`, |w| = 1."""
    if isinstance(w, Split):
        radial = jnp.sum(w.row * v.row) + jnp.exp(2 * w.log) * v.log
        return Split(v.row - radial * w.row, v.sign, v.log - radial)
    return v - jnp.sum(w * v) * w
