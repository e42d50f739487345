r"""The chart of a row space: vectors of R^d, split along it.

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

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _vectors
from .._charts import AbstractChart
from .._errors import Mistake
from .._types import Pred, Scalar, Theta
from .._vectors import norm, scale, square_norm


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


# -- the algebra --------------------------------------------------------------------------------------------------


def _square(w: Split | Moving) -> Scalar:
    """The amplitude's square."""
    square = jnp.exp(2 * w.log)
    return square * (w.factor * w.factor) if isinstance(w, Moving) else square


def _amplitude(w: Moving) -> Scalar:
    return w.sign * jnp.exp(w.log) * w.factor


@square_norm.register
def _(w: Split) -> Scalar:
    return jnp.sum(w.row * w.row) + jnp.exp(2 * w.log)


@square_norm.register
def _(w: Moving) -> Scalar:
    return jnp.sum(w.row * w.row) + _square(w)


@square_norm.register
def _(w: Coordinates) -> Scalar:
    return jnp.sum(w.row * w.row) + w.square


@scale.register
def _(w: Split, factor: Scalar) -> Split:
    return Split(factor * w.row, w.sign * jnp.sign(factor), w.log + jnp.log(jnp.abs(factor)))


@scale.register
def _(w: Moving, factor: Scalar) -> Moving:
    return w._replace(row=factor * w.row, factor=factor * w.factor)


@scale.register
def _(w: Coordinates, factor: Scalar) -> Coordinates:
    return Coordinates(factor * w.row, factor * factor * w.square)


@_vectors.along.register
def _(w: Coordinates, gradient: Coordinates) -> Scalar:
    return jnp.sum(gradient.row * w.row)  # a rewritten loss does not see the orthogonal part


@_vectors.along.register
def _(w: Split, gradient: Split) -> Scalar:
    return jnp.sum(gradient.row * w.row)


@_vectors.turned.register
def _(w: Coordinates, gradient: Coordinates, factor: Scalar, turn: Scalar) -> Coordinates:
    # the gradient has no orthogonal part, and d|w|^2 / d square = 1
    return Coordinates(factor * (gradient.row - turn * w.row), -factor * turn / 2)


@_vectors.tangent.register
def _(w: Split, v: Split) -> Split:
    radial = jnp.sum(w.row * v.row) + jnp.exp(2 * w.log) * v.log
    return Split(v.row - radial * w.row, v.sign, v.log - radial)


@_vectors.square_speed.register
def _(w: Split, v: Split) -> Scalar:
    return jnp.sum(v.row * v.row) + (v.log * jnp.exp(w.log)) ** 2  # the orthogonal part is d log|t| / dt


@_vectors.difference.register
def _(w: Split, reference: Split) -> Split:
    return Split(w.row - reference.row, w.sign, w.log)


@_vectors.opposite.register
def _(reference: Split) -> Split:
    return reference._replace(row=-reference.row)


@_vectors.log_size.register
def _(perp: Split) -> Scalar:
    return jnp.where(perp.sign == 0, -jnp.inf, perp.log)


@_vectors.agreement.register
def _(perp: Split, first: Split) -> Scalar:
    return perp.sign * first.sign


@_vectors.unit.register
def _(perp: Split) -> Split:
    return Split(perp.row, perp.sign, jnp.zeros_like(perp.log))


# -- the chart ----------------------------------------------------------------------------------------------------

_NOTHING = -1e3
"""The logarithm of an amplitude whose square underflows, in the place of -inf; its sign 0 says that there is none."""


class RowSpace(AbstractChart):
    """w = V row + sign exp(log) e."""

    basis: Float[Array, "columns rows"]
    direction: Float[Array, " columns"]

    def split(self, w: Float[Array, " columns"]) -> Split:
        # Two passes of Gram-Schmidt: |basis^T perp| is then at rounding of |perp|, not of |w|.
        row = self.basis.T @ w
        perp = w - self.basis @ row
        slip = self.basis.T @ perp
        size = jnp.linalg.norm(perp - self.basis @ slip)
        return Split(row + slip, jnp.where(size > 0, 1.0, 0.0), jnp.log(size))

    def hold(self, theta: Theta) -> PyTree:
        """Every `Split` as the `Moving` that it is."""
        return map_vectors(lambda w: Moving(*w, jnp.ones_like(w.log)) if isinstance(w, Split) else w, theta)

    def integrable(self, theta: Theta) -> PyTree:
        """With a finite logarithm where there is no orthogonal part: a controller's norms would be nan."""

        def one(w):
            return w._replace(log=jnp.where(w.sign == 0, _NOTHING, w.log)) if isinstance(w, Split) else w

        return map_vectors(one, theta)

    def settle(self, carried: PyTree) -> Theta:
        """Every `Moving` as the `Split` that it is."""

        def one(w):
            if not isinstance(w, Moving):
                return w
            return Split(w.row, w.sign * jnp.sign(w.factor), w.log + jnp.log(jnp.abs(w.factor)))

        return map_vectors(one, carried)

    def evaluate(self, carried: PyTree) -> PyTree:
        return map_vectors(
            lambda w: Coordinates(w.row, _square(w)) if isinstance(w, (Split, Moving)) else w, carried
        )

    def cotangent(self, function: Callable[[Pred], Scalar], pred: Coordinates) -> tuple[Scalar, Coordinates]:
        """Rewritten losses see the row part alone."""
        loss, row = jax.value_and_grad(lambda row: function(pred._replace(row=row)))(pred.row)
        return loss, Coordinates(row, jnp.zeros_like(pred.square))

    def point(self, carried: PyTree, relative: bool) -> PyTree:
        def one(w):
            if not isinstance(w, Moving):
                return w
            return View(w.row, jnp.ones_like(w.log) if relative else _amplitude(w))

        return map_vectors(one, carried)

    def at(self, carried: PyTree, point: PyTree) -> PyTree:
        def one(w, p):
            if not isinstance(w, Moving):
                return p
            return Moving(p.row, jnp.sign(p.perp), jnp.log(jnp.abs(p.perp)), jnp.ones_like(p.perp))

        return map_vectors(one, carried, point)

    def pull(self, gradient: PyTree, carried: PyTree, relative: bool) -> PyTree:
        def one(w, d):
            if not isinstance(w, Moving):
                return d
            slope = 2 * d.square
            return View(d.row, slope if relative else slope * _amplitude(w))

        return map_vectors(one, carried, gradient)

    def move(self, carried: PyTree, update: PyTree, relative: bool) -> PyTree:
        """Relative: t' = t (1 + u), exact in sign and log."""

        def one(w, u):
            if not isinstance(w, Moving):
                return w + u
            if relative:
                return w._replace(row=w.row + u.row, factor=w.factor * (1 + u.perp))
            perp = _amplitude(w) + u.perp
            return Moving(w.row + u.row, jnp.sign(perp), jnp.log(jnp.abs(perp)), jnp.ones_like(perp))

        return map_vectors(one, carried, update)

    def velocity(self, carried: PyTree, gradient: PyTree) -> PyTree:
        """d log|t| / dt = -2 d loss / d square."""

        def one(w, d):
            return Split(-d.row, jnp.zeros_like(w.sign), -2 * d.square) if isinstance(w, Split) else -d

        return map_vectors(one, carried, gradient)

    def lift(self, theta: PyTree) -> PyTree:
        def one(w):
            if not isinstance(w, Split):
                return w
            return self.basis @ w.row + w.sign * jnp.exp(w.log) * self.direction

        return map_vectors(one, theta)

    def lift_memory(self, memory: PyTree) -> PyTree:
        """A `View` is a point or an update: linear in its amplitude, which is no multiple where a law has a memory."""

        def one(w):
            if isinstance(w, View):
                return self.basis @ w.row + w.perp * self.direction
            if is_vector(w):
                what = "is carried in rewritten coordinates"
                raise Mistake("snapshot.memory", what, "say equivariant = False of the law or field")
            return w

        return map_vectors(one, memory)
