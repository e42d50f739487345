r"""What does one step add to V^T V - W^T W?  mu^2 (W^T R^T R W - V^T R R^T V), exactly.   (Soltanolkotabi et al. 2023)

At every step of runs from small and large starts, with steps up to where descent still converges.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .._sensing import ANY_END

theory = ib.theory.sensing


def cell(*, scale, step, key, shape=(12, 10), rank=2, width=6, measurements=80):
    problem = ib.matrix.gaussian(shape, rank, measurements)(key)
    return ib.Run(problem, ib.Asymmetric(scale, width), ib.Descent(step, max_steps=200))


def identity_gap(before, after):
    """|D' - D - mu^2 (W^T R^T R W - V^T R R^T V)|, R = A*(y - A(V W^T))"""
    old, new = before.theta, after.theta
    residual = -jax.grad(before.problem.loss)(before.pred)
    gradients = [-residual @ old.w, -(residual.T @ old.v).T]
    (change,) = theory.imbalance_steps(gradients, before.dynamics.step)
    (first,), (second,) = theory.imbalances(old.factors()), theory.imbalances(new.factors())
    return jnp.linalg.norm(second - first - change)


def size(snapshot):
    """|V|^2 + |W|^2"""
    return jnp.sum(snapshot.theta.v**2) + jnp.sum(snapshot.theta.w**2)


one_step = ib.Claim(
    id="one-step-of-the-imbalance",
    source="Soltanolkotabi et al. 2023, coupling of the factors (derived: exact)",
    statement=r"$D(\text{next}) - D = \mu^2 (W^\top R^\top R W - V^\top R R^\top V)$ at every step of descent, "
    r"$D = V^\top V - W^\top W$",
    accepts=ANY_END,
    residual=lambda ds: ds.identity_gap,
    tolerance=lambda ds: 1e-14 * np.maximum(1, ds.largest),
    because="exact; rounding of a step, of numbers as large as |V|^2 + |W|^2",
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(4), scale=[1e-6, 1e-3, 0.1, 1.0], step=[0.01, 0.1, 0.25]),
    observe={"identity_gap": ib.worst_change(identity_gap), "largest": ib.running_max(size)},
    records=ib.linear_records(2),
    claims=[one_step],
    sizes={"paper": dict(seed=range(100))},
)
