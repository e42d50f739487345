r"""Exact rewritings: a run in d coordinates that really lives in m + 1.

A loss that depends on x through A x only, under a rotation-equivariant parameterization and law, gives the same run
in rotated coordinates. Rotate so that the first m axes span range(A^T) and the next one carries the orthogonal part
of w_0: everything else stays zero for ever.

    square loss     A = U diag(s) V^T:  1/2 |A x - y|^2 = 1/2 |s * (V^T x) - U^T y|^2       O(m) a step
    other losses    A^T = V R:          l(A x, y) = l(R^T (V^T x), y)                       O(m^2) a step

against O(m d) in the original coordinates; both are exact to rounding. The orthogonal part keeps its direction for
ever and is carried as sign and log (see `_vectors`). Adam acts on each coordinate alone, so it is not equivariant
and its runs are left as they are.

What rewrites a problem alone (`condense`: the same loss of the same predictor, from fewer numbers) needs none of this:
the weights are untouched, and it is exact under every parameterization and law that looks at all examples.
"""

from __future__ import annotations

import abc
from functools import singledispatch

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._types import Pred, Requirements, Scalar, Targets, Theta
from ._vectors import Coordinates, Split
from .dynamics.base import AbstractDynamics
from .parameterizations.base import AbstractParameterization
from .problems.base import AbstractProblem, condense, min_norm, orthogonal_part, singular_values
from .problems.linear import Linear
from .problems.margin import max_margin, separator
from .problems.losses import SEPARABLE, Loss, square


class AbstractLift(eqx.Module):
    """The way back: rewritten predictors in the coordinates the user knows."""

    @abc.abstractmethod
    def __call__(self, pred: Pred) -> Pred: ...


class Identity(AbstractLift):
    def __call__(self, pred: Pred) -> Pred:
        return pred


class RowSpace(AbstractLift):
    """x = V row + sign exp(log) e."""

    basis: Float[Array, "columns rows"]
    direction: Float[Array, " columns"]

    def __call__(self, pred: Split) -> Float[Array, " columns"]:
        return self.basis @ pred.row + pred.sign * jnp.exp(pred.log) * self.direction


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
    lift: AbstractLift
    name: str = eqx.field(static=True)


def obstacle(parameterization: AbstractParameterization, dynamics: AbstractDynamics) -> str | None:
    """Why a run cannot be rewritten, or None."""
    if not parameterization.equivariant:
        return f"{type(parameterization).__name__} is not rotation-equivariant"
    if not dynamics.equivariant:
        return f"the law {dynamics.name} is not rotation-equivariant"
    if dynamics.draws_examples:
        return "examples are drawn, and a rewriting may mix them"
    return None


def rewrite(
    problem: AbstractProblem,
    parameterization: AbstractParameterization,
    dynamics: AbstractDynamics,
    theta: Theta,
) -> Rewriting:
    """The same run in the fewest coordinates that are known to be exact. `plan` shows the name."""
    if not dynamics.draws_examples and (smaller := condense(problem, parameterization.symmetric)) is not None:
        return Rewriting(smaller[0], theta, Identity(), smaller[1])
    reason = obstacle(parameterization, dynamics)
    if reason is not None:
        return Rewriting(problem, theta, Identity(), f"original coordinates: {reason}")
    return _rewrite(problem, theta)


@singledispatch
def _rewrite(problem: AbstractProblem, theta: Theta) -> Rewriting:
    return Rewriting(
        problem, theta, Identity(), f"original coordinates: no rewriting of {type(problem).__name__} is known"
    )


@_rewrite.register
def _(problem: Linear, theta: Theta) -> Rewriting:
    if problem.of_predictions is square:
        left, singular, right = jnp.linalg.svd(problem.operator, full_matrices=False)
        basis = right.T
        reduced = DiagonalLeastSquares(singular, left.T @ problem.target)
        name = f"diagonal: {problem.dimension} -> {singular.shape[0]} + 1 coordinates"
    else:
        basis, triangular = jnp.linalg.qr(problem.operator.T)
        reduced = RowSpaceLinear(triangular.T, problem.target, problem.of_predictions)
        name = f"row space: {problem.dimension} -> {triangular.shape[0]} + 1 coordinates"

    def split(w: Array) -> Split:
        # Two passes of Gram-Schmidt: |basis^T perp| is then at rounding of |perp|, not of |w|.
        row = basis.T @ w
        perp = w - basis @ row
        slip = basis.T @ perp
        size = jnp.linalg.norm(perp - basis @ slip)
        return Split(row + slip, jnp.where(size > 0, 1.0, 0.0), jnp.log(size))

    def is_weight(w) -> bool:
        return jnp.shape(w) == (problem.dimension,)

    vectors = [w for w in theta if is_weight(w)]
    (first,) = vectors  # one vector of weights: its orthogonal part has one direction
    perp = orthogonal_part(problem, first)
    size = jnp.linalg.norm(perp)
    direction = perp / jnp.where(size > 0, size, 1.0)
    theta = type(theta)(*(split(w) if is_weight(w) else w for w in theta))
    return Rewriting(reduced, theta, RowSpace(basis, direction), name)


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


def difference_from_row_space(pred: Pred, reference: Pred) -> Pred:
    """pred - reference, for a reference in the row space (such as `min_norm`)."""
    if isinstance(pred, Split):
        return Split(pred.row - reference.row, pred.sign, pred.log)
    return pred - reference
