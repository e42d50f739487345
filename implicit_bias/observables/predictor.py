r"""Observables of the predictor: loss, norms, distance and angle to a reference solution.

Norms and distances are invariant under the exact rewritings, so they are read off in m + 1 coordinates; what is not
(the l1 norm, the predictor itself) is measured after the lift.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array

from .. import _vectors
from .._errors import Mistake
from .._types import Pred, Scalar
from ..problems.base import AbstractProblem, min_norm, singular_values
from .base import Measure, Snapshot

Reference = Callable[[AbstractProblem], Pred]


def _loss(snapshot: Snapshot) -> Scalar:
    return snapshot.loss


loss = Measure(_loss, "training loss")


def norm(order: float = 2) -> Measure:
    """|x|_p of the predictor."""
    if order == 2:
        return Measure(lambda s: _vectors.norm(s.carried.pred), "|x|_2")
    if not order >= 1:
        raise Mistake("norm", f"needs an order of at least 1, got {order}", "use norm(1), norm(2) or norm(inf)")
    return Measure(lambda s: jnp.linalg.norm(s.x, order), f"|x|_{order:g}")


def predictor() -> Measure:
    """x itself, in the original coordinates."""
    return Measure(lambda s: s.x, "predictor x")


def distance_to(reference: Reference) -> Measure:
    """|x - reference(problem)|_2, for a reference in the row space such as `min_norm`."""

    def measure(snapshot: Snapshot) -> Scalar:
        carried = snapshot.carried
        return _vectors.norm(_vectors.difference(carried.pred, reference(carried.problem)))

    return Measure(measure, f"|x - {reference.__name__}(A, y)|_2")


def angle_to(reference: Reference = min_norm) -> Measure:
    """The angle between x and a reference in the row space, in radians; nan while x = 0.

    From 2 atan2(|u - v|, |u + v|) of the unit vectors, which keeps its digits at small angles, as arccos does not.
    """

    def unit(v: Pred) -> Pred:
        return _vectors.scale(v, 1 / _vectors.norm(v))

    def measure(snapshot: Snapshot) -> Scalar:
        u, v = unit(snapshot.carried.pred), unit(reference(snapshot.carried.problem))
        near = _vectors.norm(_vectors.difference(u, v))
        far = _vectors.norm(_vectors.difference(u, _vectors.opposite(v)))
        return 2 * jnp.arctan2(near, far)

    return Measure(measure, f"angle(x, {reference.__name__}(A, y)) in radians")


def min_norm_size(snapshot: Snapshot) -> Array:
    """g* = |x*|: the least l2 norm among the predictors of zero loss. A fact: it depends on the data alone."""
    return _vectors.norm(min_norm(snapshot.carried.problem))


def lambda_min(snapshot: Snapshot) -> Scalar:
    """The least eigenvalue of A A^T. A fact."""
    return singular_values(snapshot.carried.problem)[-1] ** 2


def lambda_max(snapshot: Snapshot) -> Scalar:
    """The greatest eigenvalue of A A^T. A fact."""
    return singular_values(snapshot.carried.problem)[0] ** 2


def loss_at_zero(snapshot: Snapshot) -> Scalar:
    """The training loss of the predictor 0: |y|^2 / 2 for least squares. A fact."""
    zero = _vectors.scale(snapshot.carried.pred, jnp.zeros(()))
    return snapshot.carried.problem.loss(snapshot.run.chart.evaluate(zero))
