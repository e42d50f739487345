r"""Is the curvature 2/eta on average?  L = y x^2/2 + kappa (y - Y)^2/2: the curvature y is a weight.   (Damian et al. 2023)

A step is x' = (1 - eta y) x, y' = y - eta (x^2/2 + kappa (y - Y)); of eta x, eta y and eta kappa it is one with eta = 1, which
is what is run. Both telescope: over K steps

    log|x_K/x_0| = sum log|1 - y|,        y_0 - y_K = sum (x^2/2 + kappa (y - Y)),

so that of an orbit that stays, mean log|1 - y| = 0 and mean x^2 = 2 kappa (Y - mean y). The loss has no fourth derivative,
and its cycle of two is where the central flow rests: y = 2, x^2 = 2 kappa (Y - 2), stable up to Y = 5/2 for every kappa < 2:
its multipliers, of one step and up to the sign of x, have product 1 - kappa (5 - 2 Y) and sum 2 - kappa. Beyond, y varies;
by Jensen

    mean |1 - y| >= exp mean log|1 - y| = 1:        where y stays above 1, the mean curvature is above 2/eta.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .valley_claims import CLAIMS, SQUARE, STAYED, Y, mean, variance


def loss(point, kappa, top):
    x, y = point
    return y * x**2 / 2 + kappa * (y - top) ** 2 / 2


def cell(*, method, top, damping, key, max_steps=20_000, until=600.0, rtol=1e-9):
    """`top` is Y and `damping` kappa, for steps of 1: descent starts near the minimum, the flow below the edge."""
    problem = ib.toy(loss, 2, kappa=damping, top=top)
    x = jax.random.uniform(ib.stream(key, "start"), minval=0.02, maxval=0.2) * jnp.sqrt(damping)
    start = jnp.stack([x, jnp.asarray(1.5 if method == "central" else top, dtype=float)])
    law = ib.Descent(1.0, max_steps=max_steps)
    if method == "central":
        law = ib.Flow(until, field=ib.Central(1.0), rtol=rtol, atol=1e-2 * rtol)
    return ib.Run(problem, ib.Euclidean(jnp.linalg.norm(start), start), law)


# -- what is read from a run -------------------------------------------------------------------------------------------


def point(snapshot):
    """x, y"""
    return snapshot.theta.x


def telescoped(before, after):
    """log|1 - y|, and x^2/2 + kappa (y - Y)"""
    x, y = before.theta.x
    kappa, top = (before.problem.numbers[n] for n in ("kappa", "top"))
    return jnp.stack([jnp.log(jnp.abs(1 - y)), x**2 / 2 + kappa * (y - top)])


def of_a_step(before, after):
    """y, |1 - y|, log|1 - y|, x^2"""
    x, y = before.theta.x
    return jnp.stack([y, jnp.abs(1 - y), jnp.log(jnp.abs(1 - y)), x**2])


def late(before):
    """the second half of the run"""
    return 2 * before.steps >= before.dynamics.max_steps


@ib.batched
def multiplier(top, damping):
    """The larger |multiplier| of the cycle of two, of one step"""
    product, half = 1 - damping * (5 - 2 * top), 1 - damping / 2
    root = np.sqrt((half**2 - product).astype(complex))
    return np.maximum(abs(half + root), abs(half - root))


# -- figure ------------------------------------------------------------------------------------------------------------

BY = dict(x="top", by="damping", name=r"$\kappa = {:g}$", accepts=STAYED, on="gd")
figure = ib.Figure(
    id="valley",
    panels=[
        ib.panel(
            ib.curves_of(lambda ds: mean(ds, Y), **BY), ib.level(2.0, "central flow", on="gd"), ib.across(2.5, on="gd"),
            x=r"$Y$", y="mean curvature $y$",
        ),
        ib.panel(
            ib.curves_of(lambda ds: mean(ds, SQUARE) / ds.damping, join=False, **BY),
            ib.theory_of(
                lambda ds: variance(ds) / ds.damping + 0 * ds.status, x="top", on="gd", label="central flow",
                looks={None: dict(colour="black", line="--")},
            ),
            x=r"$Y$", y=r"mean of $x^2 / \kappa$",
        ),
    ],
    caption="Descent in a valley whose curvature is a weight, means over the second half of {max_steps} steps, medians and "
    "ranges over {seed.count} starts. Left: the mean curvature is 2/eta = 2 up to Y = 5/2, the vertical line, and above it "
    "beyond. Right: the variance across the valley, over kappa, with that of the central flow.",
    claims=["cycle-in-closed-form", "mean-curvature-is-above-the-edge", "mean-curvature-is-2-over-eta"],
)  # fmt: skip

TOPS = [2.05, 2.2, 2.3, 2.4, 2.45, 2.49, 2.51, 2.53, 2.55, 2.6, 2.65, 2.7]
study = ib.Study(
    cell=cell,
    grids=ib.grid(method="gd", top=TOPS, damping=[0.3, 1.0, 1.5], seed=range(4))
    + ib.grid(method="central", top=TOPS, damping=[0.3, 1.0, 1.5], seed=range(2)),
    observe={
        "point": point, "sum": ib.summed(telescoped), "late": ib.mean_change(of_a_step, late),
        "least": ib.running_min(lambda snapshot: snapshot.theta.x[1]),
    },
    predict={"multiplier": multiplier},
    records=ib.linear_records(3),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20))},
)  # fmt: skip
