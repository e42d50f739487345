r"""What the lemmas of Wu et al. speak of, at one moment of a run:  q = -dL/dx, the first-order data of the loss.

With u = w/|w|, all of it is read from the gradient of the loss in its prediction, in whatever coordinates the run has;
`loss_rate` alone differentiates along the law's own velocity, so that identities between the two are tests.
"""

import jax
import jax.numpy as jnp

from implicit_bias import Measure, Snapshot, _vectors
from implicit_bias.dynamics import schedules
from implicit_bias.dynamics.base import Objective, scale_radial


def slope(snapshot: Snapshot, pred=None):
    """grad L at the predictor, or at another one; in rewritten coordinates its row part, which is all there is."""
    pred = snapshot.pred if pred is None else pred
    if isinstance(pred, _vectors.Split):
        return jax.grad(lambda row: snapshot.problem.loss(pred._replace(row=row)))(pred.row)
    return jax.grad(snapshot.problem.loss)(pred)


def _along(snapshot: Snapshot):
    w = snapshot.theta.w
    row = w.row if isinstance(w, _vectors.Split) else w
    return -(row @ slope(snapshot)) / _vectors.norm(w)


def _velocity(snapshot: Snapshot):
    dynamics, weights = snapshot.dynamics, snapshot.parameterization
    _, gradient = Objective(snapshot.problem, weights).value_and_gradient(snapshot.theta)
    gradient = scale_radial(weights, schedules.at(dynamics.ratio, snapshot.time), gradient)
    return weights.tangent(snapshot.theta, _vectors.velocity(snapshot.theta, gradient))


def _loss_rate(snapshot: Snapshot):
    objective = Objective(snapshot.problem, snapshot.parameterization)
    return jax.jvp(objective, (snapshot.theta,), (_velocity(snapshot),))[1]


def at_zero(snapshot: Snapshot):
    """-A^T y = grad L(0), in the coordinates of the run."""
    return slope(snapshot, jax.tree.map(jnp.zeros_like, snapshot.pred))


def pull_size(snapshot: Snapshot):
    """B = |A^T y|, the size of the loss's gradient at zero. A fact."""
    return jnp.linalg.norm(at_zero(snapshot))


def pull_along(snapshot: Snapshot):
    """s0 = w0.A^T y / |w0|. A fact."""
    w = snapshot.run.theta.w
    row = w.row if isinstance(w, _vectors.Split) else w
    return -(row @ at_zero(snapshot)) / _vectors.norm(w)


def _size_rate(snapshot: Snapshot):
    return _velocity(snapshot).g


size_rate = Measure(_size_rate, "dg/dt along the flow", needs=("g", "w"))
loss_rate = Measure(_loss_rate, "dL/dt along the flow, by forward differentiation", needs=("g", "w"))
along = Measure(_along, "u^T q, q = -dL/dx", needs=("g", "w"))
slope_square = Measure(lambda s: slope(s) @ slope(s), "|q|^2, q = -dL/dx", needs=("g", "w"))
