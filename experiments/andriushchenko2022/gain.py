r"""Where does SAM end on a diagonal net?  As if from |a b| exp(-8 int rho g g~ dt).   (Andriushchenko & Flammarion 2022)

x = a^2 - b^2, |A x - y|^2 / 2, g the gradient in x and g~ that at the perturbed weights (1 + 2 rho_t g) a, (1 - 2 rho_t g) b:

    a' / a = -2 (1 + 2 rho_t g) g~,     b' / b = 2 (1 - 2 rho_t g) g~,

so along the flow (log|a b|)' = -8 rho_t g g~, and (log|a / b|)' = -4 g~ is in range(A^T). A step of descent, by the ratios p
and s, adds the terms R(p) = p - 1 - log|p| of plain descent. Where a run fits it is therefore the minimiser over A x = y of
the hyperbolic entropy of

    |a b| = alpha^2 exp(-8 eta sum rho_t g g~ - sum (R(p) + R(s))),     log|a / b| = -sum (R(p) - R(s)),

exactly, at any step and any rho_t; for 1-SAM, where each example has a perturbation of its own, with the sum over examples.
SAM as it is run, rho_t = rho / |grad|, obeys the same law and never fits: `order=None` has a constant rho_t.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import figures
from .gain_claims import CLAIMS
from .nets import gained, gradients, law

theory = ib.theory.diagonal


class Counted(ib.AbstractField):
    """The field of SAM; its memory is 1 and the integral of rho g g~."""

    inner: ib.SharpnessAware
    autonomous = True

    @property
    def name(self):
        return self.inner.name

    def init(self, theta):
        return jnp.ones(theta.x.size // 2)  # and 1, of which an integrator's relative tolerance is one

    def __call__(self, objective, t, theta, memory):
        return self.inner(objective, t, theta, None)

    def remember(self, objective, t, theta, memory):
        problem = objective.objective.problem
        return gradients(problem.operator, problem.target, theta.x, self.inner.rho)[1]


def cell(
    *, method, rho, key, rows=4, columns=9, nonzeros=2, alpha=0.4, step=0.02, stop=1e-16, rtol=1e-10, max_steps=3_000,
):  # fmt: skip
    problem = ib.linear.sparse(rows, columns, nonzeros)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), 2, signed=True)
    if method == "flow":
        field = Counted(ib.SharpnessAware(rho))
        return ib.Run(problem, net, ib.Flow(step * max_steps, field=field, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300))
    rule = law(method, problem, rho)
    return ib.Run(problem, net, ib.Descent(step, law=rule, stop=ib.loss_below(stop), max_steps=max_steps))


def integral(snapshot):
    """the integral of rho g g~ along a flow"""
    return snapshot.memory - 1 if snapshot.dynamics.unit == "t" else 0 * snapshot.x


# -- what theory says of a run -----------------------------------------------------------------------------------------


def counted(method, integral, sums):
    """What log|a b| has lost, what of it is SAM's, and what log|a / b| has got outside range(A^T)"""
    if method == "flow":
        return {"lost": 8 * integral[-1], "sam": 8 * integral[-1], "turned": 0 * integral[-1], "size": 1.0}
    sam, both, apart = sums
    return {"lost": sam + both, "sam": sam, "turned": -apart, "size": 1 + np.sum(abs(sums))}


def log_start(z):
    """log|a b| at the end over that at the start, entry by entry"""
    a, b = np.split(np.log(abs(z[-1] / z[0])), 2)
    return {"change": a + b, "apart": a - b}


def outside(operator, log_start_apart, counted_turned):
    """The greatest entry outside range(A^T) of log|a / b|, and of it less what descent turns"""
    basis = np.linalg.svd(operator, full_matrices=False)[2]
    plain, kappa = (v - basis.T @ (basis @ v) for v in (log_start_apart, log_start_apart - counted_turned))
    return {"plain": np.max(abs(plain)), "kappa": np.max(abs(kappa))}


def limit(operator, z, x, counted_lost, counted_turned):
    """The minimiser of the hyperbolic entropy of the start with its gain, at the data A x of the end; and of the start"""
    branches = np.concatenate([operator, -operator], -1)
    gain = np.exp(np.concatenate([-counted_lost + counted_turned, -counted_lost - counted_turned]) / 2)
    ends = [theory.plain_limit(branches, operator @ x[-1], z[0] * f, 2) for f in (gain, 1.0)]
    return dict(zip(("gained", "plain"), (np.subtract(*np.split(end, 2)) for end in ends)))


PREDICTED = {
    "counted": counted, "log_start": log_start, "outside": outside, "limit": limit,
    "off_gain": lambda log_start_change, counted_lost: np.max(abs(log_start_change + counted_lost)),
    "off_limit": lambda x, limit_gained: np.linalg.norm(x[-1] - limit_gained),
    "off_plain": lambda x, limit_plain: np.linalg.norm(x[-1] - limit_plain),
    "reach": lambda z: 1 + np.sum(z[-1] ** 2),
    "least_gain": lambda counted_sam: np.min(counted_sam),
}  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(method="flow", rho=[0.0, 0.02, 0.05, 0.1], seed=range(4))
    + ib.grid(method=["full", "one", "sam"], rho=[0.0, 0.02, 0.05, 0.1], seed=range(4)),
    facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor(), "z": ib.layer, "integral": integral, "sums": ib.summed(gained)},
    predict=PREDICTED,
    records=ib.log_records(4),
    claims=CLAIMS,
    figures=[figures.gain],
)
