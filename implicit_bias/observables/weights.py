r"""Observables of the weights: size, |w|, the orthogonal part and the invariant of Lemma 2.5.

    log_invariant = log |w_perp| + g^2 / (2 c |w_0|^2)

is constant under the WN flow and drifts by O(step) under descent. Its logarithmic form is the one to watch: at
c = 0.1 and g = 2.6 the factor exp(g^2 / 2c) is 5e14, and rounding in |w_perp| looks like a drift of 500 %.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _vectors
from .._types import Scalar
from .._vectors import Vector
from ..dynamics import schedules
from ..parameterizations.polar import weight_vector
from ..problems.base import orthogonal_part
from .base import Measure, Snapshot


def _orthogonal(snapshot: Snapshot) -> Vector:
    return orthogonal_part(snapshot.carried.problem, weight_vector(snapshot.carried.theta))


def _first_orthogonal(snapshot: Snapshot) -> Vector:
    return orthogonal_part(snapshot.carried.problem, weight_vector(snapshot.carried.first))


def _size(snapshot: Snapshot) -> Scalar:
    return snapshot.theta.g


def _weight_norm(snapshot: Snapshot) -> Scalar:
    return _vectors.norm(weight_vector(snapshot.carried.theta))


def _orthogonal_log(snapshot: Snapshot) -> Scalar:
    return _vectors.log_size(_orthogonal(snapshot))


def _orthogonal_sign(snapshot: Snapshot) -> Scalar:
    return _vectors.agreement(_orthogonal(snapshot), _first_orthogonal(snapshot))


def _orthogonal_direction(snapshot: Snapshot) -> Float[Array, " columns"]:
    return snapshot.run.chart.lift(_vectors.unit(_orthogonal(snapshot)))


def _log_invariant(snapshot: Snapshot) -> Scalar:
    clock = snapshot.time if snapshot.dynamics.unit == "t" else snapshot.steps
    ratio = schedules.at(snapshot.dynamics.ratio, clock)
    effective = ratio * snapshot.parameterization.norm**2
    return _orthogonal_log(snapshot) + snapshot.theta.g**2 / (2 * effective)


size = Measure(_size, "g, the signed size of the predictor", needs=("g",))
weight_norm = Measure(_weight_norm, "|w| (of x where the predictor is its own weight)")
orthogonal_log = Measure(_orthogonal_log, "log |w_perp|, w_perp = (I - pinv(A) A) w")
orthogonal_sign = Measure(_orthogonal_sign, "sign of w_perp along its first direction")
orthogonal_direction = Measure(_orthogonal_direction, "unit vector along w_perp, in the original coordinates")
log_invariant = Measure(_log_invariant, "log |w_perp| + g^2 / (2 c |w_0|^2)", needs=("g", "w"))


def orthogonal_size(snapshot: Snapshot) -> Array:
    """|w_perp(0)| / |w(0)|: how much of the first direction the data cannot see. A fact."""
    first = weight_vector(snapshot.carried.first)
    return jnp.exp(_vectors.log_size(_first_orthogonal(snapshot))) / _vectors.norm(first)
