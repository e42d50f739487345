r"""Observables of matrices: error, singular values, alignment with the truth, imbalance of the factors.

Z is the predictor, X the truth of a `MatrixSensing` problem; its rank is r.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import Mistake
from .._types import Scalar
from ..parameterizations.factored import AsymmetricWeights, LayerWeights
from ..problems.matrix import MatrixPred, MatrixSensing
from ..problems.matrix import isometry_defect as defect
from ..theory.sensing import imbalances
from .base import Measure, Snapshot

PRODUCTS = (AsymmetricWeights, LayerWeights)
"""Weights whose predictor is the product of their `factors`."""


def _relative_error(snapshot: Snapshot) -> Scalar:
    truth = snapshot.problem.truth
    return jnp.linalg.norm(snapshot.pred - truth) / jnp.linalg.norm(truth)


relative_error = Measure(_relative_error, "|Z - X| / |X|, Frobenius norms")


def _imbalance(snapshot: Snapshot) -> Scalar:
    return jnp.sqrt(sum(jnp.sum(d * d) for d in imbalances(snapshot.theta.factors())))


imbalance = Measure(_imbalance, "|V^T V - W^T W|, Frobenius norm (over all neighbours in a product)", kinds=PRODUCTS)


def _imbalance_drift(snapshot: Snapshot) -> Scalar:
    now, first = imbalances(snapshot.theta.factors()), imbalances(snapshot.first.factors())
    return jnp.sqrt(sum(jnp.sum((d - d0) ** 2) for d, d0 in zip(now, first)))


imbalance_drift = Measure(_imbalance_drift, "|D(t) - D(0)|, D = V^T V - W^T W", kinds=PRODUCTS)


def _unit(pred: MatrixPred) -> tuple[MatrixPred, Scalar]:
    """A matrix of a reasonable size, and what it was divided by."""
    size = jnp.max(jnp.abs(pred))
    size = jnp.where(size > 0, size, 1.0)
    return pred / size, size


def singular_values_of(pred: MatrixPred, symmetric: bool) -> Float[Array, " values"]:
    """Descending. Those of a positive semidefinite matrix are its eigenvalues, which are cheaper."""
    return _singular_values(pred) if not symmetric else _eigenvalues(pred)


def _eigenvalues(pred: MatrixPred) -> Float[Array, " values"]:
    unit, size = _unit(pred)
    return size * jnp.linalg.eigvalsh(unit)[::-1]


def _singular_values(pred: MatrixPred) -> Float[Array, " values"]:
    unit, size = _unit(pred)
    return size * jnp.linalg.svd(unit, compute_uv=False)


def spectrum(count: int) -> Measure:
    """The leading `count` singular values of Z."""

    def measure(snapshot: Snapshot) -> Float[Array, " values"]:
        return singular_values_of(snapshot.pred, snapshot.parameterization.symmetric)[:count]

    return Measure(measure, f"the {count} leading singular values of Z")


def _rank(problem: MatrixSensing) -> int:
    """r, of a truth that has singular values."""
    if not problem.rank:
        raise Mistake("observe", "compares with the singular values of a truth that is 0", "leave it out, or use ib.spectrum")
    return problem.rank


def rank_ratio(snapshot: Snapshot) -> Scalar:
    """sigma_{r+1}(Z) / sigma_r(Z): how much there is besides rank r."""
    values = singular_values_of(snapshot.pred, snapshot.parameterization.symmetric)
    rank = _rank(snapshot.problem)
    return jnp.abs(values[rank]) / values[rank - 1]


def signal(snapshot: Snapshot) -> Scalar:
    """sigma_r(Z): the least of the singular values that the truth has."""
    values = singular_values_of(snapshot.pred, snapshot.parameterization.symmetric)
    return values[_rank(snapshot.problem) - 1]


def _eigenvectors(gram: MatrixPred) -> MatrixPred:
    """By ascending eigenvalue."""
    return jnp.linalg.eigh(_unit(gram)[0])[1]


def misalignment(snapshot: Snapshot) -> Scalar:
    """sin of the largest principal angle between the r leading left singular vectors of Z and the range of X."""
    problem, (unit, _) = snapshot.problem, _unit(snapshot.pred)
    leading = _eigenvectors(unit if snapshot.parameterization.symmetric else unit @ unit.T)[:, -_rank(problem) :]
    outside = leading - problem.left @ (problem.left.T @ leading)
    return jnp.sqrt(jnp.maximum(_eigenvalues(outside.T @ outside)[0], 0.0))


def truth_least(snapshot: Snapshot) -> Scalar:
    """The least singular value of X that is not zero. A fact."""
    return snapshot.problem.values[_rank(snapshot.problem) - 1]


def spectral_least(snapshot: Snapshot) -> Scalar:
    """sigma_r(A*(y)), of the spectral initialisation: what X's least singular value looks like to the data. A fact."""
    return jnp.linalg.svd(snapshot.problem.backprojection(), compute_uv=False)[_rank(snapshot.problem) - 1]


def isometry_defect(order: int) -> Measure:
    """A lower bound of the restricted isometry constant of that order, by search. A fact."""

    def measure(snapshot: Snapshot) -> Scalar:
        return defect(snapshot.problem, order)

    return Measure(measure, f"max | |A(Z)|^2 - 1 | over the |Z| = 1 of rank {order} found by search")


def isometry_at_the_truth(snapshot: Snapshot) -> Scalar:
    """|A(X)|^2 / |X|^2 - 1, which is 0 for an isometry. A fact."""
    problem: MatrixSensing = snapshot.problem
    seen = problem.predictions(problem.truth)
    return jnp.sum(seen * seen) / jnp.sum(problem.values * problem.values) - 1
