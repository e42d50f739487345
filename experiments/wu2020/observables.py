r"""What the lemmas of Wu et al. speak of, at one moment of a run:  q = -dL/dx, the first-order data of the loss.

With u = w/|w|, all of it is read from the gradient of the loss in its prediction;
`loss_rate` alone differentiates along the law's own velocity, so that identities between the two are tests.
"""

import jax
import jax.numpy as jnp

from implicit_bias import Measure, Snapshot


def slope(snapshot: Snapshot, pred=None):
    """grad L at the predictor, or at another one."""
    return jax.grad(snapshot.problem.loss)(snapshot.pred if pred is None else pred)


def _along(snapshot: Snapshot):
    w = snapshot.theta.w
    return -(w @ slope(snapshot)) / jnp.linalg.norm(w)


def _loss_rate(snapshot: Snapshot):
    def loss(theta):
        return snapshot.problem.loss(snapshot.parameterization(theta))

    return jax.jvp(loss, (snapshot.theta,), (snapshot.velocity,))[1]


def at_zero(snapshot: Snapshot):
    """-A^T y = grad L(0)."""
    return slope(snapshot, jnp.zeros_like(snapshot.pred))


def pull_size(snapshot: Snapshot):
    """B = |A^T y|, the size of the loss's gradient at zero. A fact."""
    return jnp.linalg.norm(at_zero(snapshot))


def pull_along(snapshot: Snapshot):
    """s0 = w0.A^T y / |w0|. A fact."""
    w = snapshot.first.w
    return -(w @ at_zero(snapshot)) / jnp.linalg.norm(w)


size_rate = Measure(lambda s: s.velocity.g, "dg/dt along the flow", needs=("g", "w"))
loss_rate = Measure(_loss_rate, "dL/dt along the flow, by forward differentiation", needs=("g", "w"))
along = Measure(_along, "u^T q, q = -dL/dx", needs=("g", "w"))
slope_square = Measure(lambda s: slope(s) @ slope(s), "|q|^2, q = -dL/dx", needs=("g", "w"))
