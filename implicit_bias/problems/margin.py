r"""The maximum-margin separator of labelled rows: B = diag(y) A, and

    min |x|^2 / 2  over  B x >= 1        primal:  x,  of margin 1/|x|
    max 1.a - a.K a / 2  over  a >= 0    dual:    K = B B^T,  x = B^T a

solved in the m dual variables by an interior-point method of a fixed number of Newton steps, so that it is part of a
traced program, and a linear solve on the support that it finds. What that returns is feasible for both sides, which
makes the difference of the two values a certificate: |x - x*|^2 / 2 is at most that difference, because the primal is
strongly convex.

>>> import implicit_bias as ib
>>> problem = ib.linear.fixed([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [1.0, -1.0], loss=ib.logistic)(0)
>>> [round(float(v), 6) for v in max_margin(problem)]
[0.5, -1.0, 0.0]
"""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Pred, Scalar
from .base import AbstractProblem
from .linear import Linear

NEWTON_STEPS = 40
"""The gap falls tenfold a step where steps are long: from 1 to rounding, with as many steps again to spare."""
SHORTEN = 0.99
"""Of the way to the boundary."""


def _dual(gram: Float[Array, "rows rows"]) -> Float[Array, " rows"]:
    """argmax 1.a - a.K a / 2 over a >= 0: the support from the central path  a_i s_i = mu,  s = K a - 1; then a."""
    count = gram.shape[0]
    unit = jnp.trace(gram) / count
    gram = gram / unit
    fixed = jax.lax.stop_gradient(gram)
    least = jnp.finfo(gram.dtype).eps ** 2  # mu stays in the range of single precision

    def room(v: Array, dv: Array) -> Scalar:
        shrinks = dv < 0
        return jnp.min(jnp.where(shrinks, -SHORTEN * v / jnp.where(shrinks, dv, -1.0), 1.0), initial=1.0)

    def newton(_, at):
        a, s = at
        mu = jnp.maximum(0.1 * jnp.mean(a * s), least)
        factor = jax.scipy.linalg.cho_factor(fixed + jnp.diag(s / a))
        da = jax.scipy.linalg.cho_solve(factor, 1 - fixed @ a + mu / a)
        ds = (mu - s * da) / a - s
        length = jnp.minimum(room(a, da), room(s, ds))
        return a + length * da, s + length * ds

    ones = jnp.ones(count)
    a, s = jax.lax.fori_loop(0, NEWTON_STEPS, newton, (ones, ones))
    # On the support K a = 1 exactly; it is also what there is to differentiate, since the support does not move.
    supports = (a > s).astype(gram.dtype)
    matrix = supports[:, None] * gram * supports[None, :] + jnp.diag(1 - supports)
    return jnp.maximum(jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix), supports), 0.0) / unit


class Separator(NamedTuple):
    x: Float[Array, " columns"]
    """In the coordinates of the problem's operator, scaled to have its least margin at 1."""
    gap: Scalar
    """(primal - dual) / primal: |x - x*| <= sqrt(gap) |x|. Infinite if x separates nothing."""


def separator(problem: AbstractProblem) -> Separator:
    """The maximum-margin separator, with its certificate."""
    if not problem.separable:
        raise TypeError("a margin is defined for the losses of labels: logistic and exponential")
    labelled = problem.target[:, None] * problem.operator
    weights = _dual(labelled @ labelled.T)
    direction = labelled.T @ weights
    least = jnp.min(labelled @ direction)
    x = direction / least
    primal, dual = jnp.sum(x * x) / 2, jnp.sum(weights) - jnp.sum(direction * direction) / 2
    return Separator(x, jnp.where(least > 0, (primal - dual) / primal, jnp.inf))


@singledispatch
def max_margin(problem: AbstractProblem) -> Pred:
    """The predictor of least l2 norm with every margin y_i <a_i, x> at least 1: the direction of maximum margin.

    In the coordinates of the problem it is given, as a reference for `angle_to` and `distance_to`.
    """
    raise TypeError(f"{type(problem).__name__} has no maximum-margin separator that is known")


@max_margin.register
def _(problem: Linear) -> Float[Array, " columns"]:
    return separator(problem).x
