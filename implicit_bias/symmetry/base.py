r"""Exact rewritings: a run in d coordinates that really lives in m + 1.

A loss that depends on x through A x only, under a rotation-equivariant parameterization and law, gives the same run
in rotated coordinates. Rotate so that the first m axes span range(A^T) and the next one carries the orthogonal part
of w_0: everything else stays zero for ever.

    square loss     A = U diag(s) V^T:  1/2 |A x - y|^2 = 1/2 |s * (V^T x) - U^T y|^2       O(m) a step
    other losses    A^T = V R:          l(A x, y) = l(R^T (V^T x), y)                       O(m^2) a step

against O(m d) in the original coordinates; both are exact to rounding. The orthogonal part keeps its direction for
ever and is carried as sign and log (see `row_space`). Adam acts on each coordinate alone, so it is not equivariant
and its runs are left as they are.

What rewrites a problem alone (`condense`: the same loss of the same predictor, from fewer numbers) needs none of this:
the weights are untouched, and it is exact under every parameterization and law that looks at all examples.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._charts import AbstractChart, Flat
from .._types import Requirements, Scalar, Targets, Theta
from ..dynamics.base import AbstractDynamics, AbstractPenalty
from ..parameterizations.base import AbstractParameterization
from ..problems.base import AbstractProblem, condense, min_norm, orthogonal_part, singular_values
from ..problems.linear import Linear
from ..problems.losses import SEPARABLE, Loss, square
from ..problems.margin import max_margin, separator
from .row_space import Coordinates, RowSpace, Split


class DiagonalLeastSquares(AbstractProblem):
    """1/2 |s * row - b|^2: least squares in singular coordinates."""

    singular: Targets
    target: Targets

    @property
    def dimension(self) -> int:
        return self.singular.shape[0]

    def loss(self, pred: Coordinates | Split) -> Scalar:
        return square(self.singular * pred.row, self.target)

    def requirements(self) -> Requirements:
        return {}


class RowSpaceLinear(AbstractProblem):
    """l(R^T row, y): any smooth loss of A x in the coordinates of A's row space."""

    operator: Float[Array, "rows rows"]
    target: Targets
    of_predictions: Loss = eqx.field(static=True)

    @property
    def separable(self) -> bool:
        return self.of_predictions in SEPARABLE

    @property
    def dimension(self) -> int:
        return self.operator.shape[0]

    def loss(self, pred: Coordinates | Split) -> Scalar:
        return self.of_predictions(self.operator @ pred.row, self.target)

    def margins(self, pred: Coordinates | Split) -> Targets:
        return self.target * (self.operator @ pred.row)

    def requirements(self) -> Requirements:
        return {}


class Rewriting(eqx.Module):
    problem: AbstractProblem
    theta: Theta
    chart: AbstractChart
    original: AbstractProblem
    """The problem in the coordinates the user knows."""
    name: str = eqx.field(static=True)


def obstacle(
    parameterization: AbstractParameterization,
    dynamics: AbstractDynamics,
    penalty: Callable[[Theta], Scalar] | None = None,
) -> str | None:
    """Why a run cannot be rewritten, or None."""
    if not parameterization.equivariant:
        return f"{type(parameterization).__name__} is not rotation-equivariant"
    if not dynamics.equivariant:
        return f"the law {dynamics.name} is not rotation-equivariant"
    if penalty is not None and not (isinstance(penalty, AbstractPenalty) and penalty.equivariant):
        return "the penalty is not known to be rotation-equivariant"
    if dynamics.draws_examples:
        return "examples are drawn, and a rewriting may mix them"
    return None


def rewrite(
    problem: AbstractProblem,
    parameterization: AbstractParameterization,
    dynamics: AbstractDynamics,
    theta: Theta,
    penalty: Callable[[Theta], Scalar] | None = None,
) -> Rewriting:
    """The same run in the fewest coordinates that are known to be exact. `plan` shows the name."""
    if not dynamics.draws_examples and (smaller := condense(problem, parameterization.symmetric)) is not None:
        return Rewriting(smaller[0], theta, Flat(), smaller[0], smaller[1])
    reason = obstacle(parameterization, dynamics, penalty)
    if reason is not None:
        return Rewriting(problem, theta, Flat(), problem, f"original coordinates: {reason}")
    return _rewrite(problem, theta)


@singledispatch
def _rewrite(problem: AbstractProblem, theta: Theta) -> Rewriting:
    return Rewriting(
        problem, theta, Flat(), problem, f"original coordinates: no rewriting of {type(problem).__name__} is known"
    )


@_rewrite.register
def _(problem: Linear, theta: Theta) -> Rewriting:
    rows, columns = problem.operator.shape
    if rows >= columns:
        return Rewriting(problem, theta, Flat(), problem, "original coordinates: the data see every coordinate")
    vectors = [w for w in jax.tree.leaves(theta) if jnp.shape(w) == (problem.dimension,)]
    if len(vectors) != 1:
        return Rewriting(
            problem, theta, Flat(), problem, f"original coordinates: {len(vectors)} vectors of weights, not one"
        )
    (weight,) = vectors  # its orthogonal part has one direction
    basis, triangular = jnp.linalg.qr(problem.operator.T)
    if problem.of_predictions is square:  # A = left singular inner basis^T: of m x m, which a GPU does many at a time
        left, singular, inner = jnp.linalg.svd(triangular.T)
        basis = basis @ inner.T
        reduced = DiagonalLeastSquares(singular, left.T @ problem.target)
        name = f"diagonal: {problem.dimension} -> {singular.shape[0]} + 1 coordinates"
    else:
        reduced = RowSpaceLinear(triangular.T, problem.target, problem.of_predictions)
        name = f"row space: {problem.dimension} -> {triangular.shape[0]} + 1 coordinates"

    chart = RowSpace(basis, _orthogonal_direction(problem, weight))
    theta = jax.tree.map(lambda w: chart.split(w) if w is weight else w, theta)
    return Rewriting(reduced, theta, chart, problem, name)


def _orthogonal_direction(problem: Linear, weight: Array) -> Array:
    perp = orthogonal_part(problem, weight)
    size = jnp.linalg.norm(perp)
    return perp / jnp.where(size > 0, size, 1.0)


@min_norm.register
def _(problem: DiagonalLeastSquares) -> Split:
    row = problem.target / problem.singular
    return Split(row, jnp.zeros_like(row[0]), jnp.full_like(row[0], -jnp.inf))


@max_margin.register
def _(problem: RowSpaceLinear) -> Split:
    row = separator(problem).x
    return Split(row, jnp.zeros_like(row[0]), jnp.full_like(row[0], -jnp.inf))


@orthogonal_part.register(DiagonalLeastSquares)
@orthogonal_part.register(RowSpaceLinear)
def _(problem: AbstractProblem, pred: Split) -> Split:
    del problem
    return Split(jnp.zeros_like(pred.row), pred.sign, pred.log)


@singular_values.register
def _(problem: DiagonalLeastSquares) -> Targets:
    return problem.singular


@singular_values.register
def _(problem: RowSpaceLinear) -> Targets:
    return jnp.linalg.svd(problem.operator, compute_uv=False)
