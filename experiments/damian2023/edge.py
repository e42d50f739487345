r"""What is the mean gradient at the edge?  That of a Lasso: x = a^2 - b^2, |A x - y|^2 / 2.   (Damian et al. 2023, derived)

Every step of descent multiplies, a' = a (1 - u), b' = b (1 + u), u = 2 eta g, g = A^T (A x - y), so that for each weight z

    log|z_K/z_0| = sum log|1 -+ u|,

whatever the step does. A weight that stays between positive bounds has mean log|1 -+ u| = 0, one that dies has less: with
log(1 - u) = -u - u^2/2 - O(u^3), and g linear in x, the mean of x satisfies the conditions of a Lasso,

    mean g_i = -/+ w_i where a or b is alive,   |mean g_i| <= w_i where both are dead,     w_i = eta mean g_i^2:

large steps that do not settle weigh each entry by what they make it oscillate.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .edge_claims import CAPPED, CLAIMS, FIRST, SECOND, alive, at_the_edge, mean


def cell(*, step, key, alpha=0.3, rows=3, columns=5, max_steps=8000):
    problem = ib.linear.orthonormal(rows, columns, target_norm=1.0)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), 2, signed=True)
    return ib.Run(problem, net, ib.Descent(step, max_steps=max_steps))


# -- what is summed over every step ------------------------------------------------------------------------------------


def turn(before):
    """u for each a, -u for each b"""
    problem = before.problem
    u = 2 * before.dynamics.step * problem.operator.T @ (problem.operator @ before.x - problem.target)
    return jnp.concatenate([u, -u])


def log_rate(before, after):
    """log|1 -+ u|"""
    return jnp.log(jnp.abs(1 - turn(before)))


def powers(before, after):
    """u, u^2/2 and |u|^3/3 / (1 - |u|), with the sign that each weight sees"""
    u = turn(before)
    return jnp.stack([u, u**2 / 2, jnp.abs(u) ** 3 / 3 / (1 - jnp.abs(u))])


def late(before):
    """the second half of the run"""
    return 2 * before.steps >= before.dynamics.max_steps


def largest(before, after):
    """the largest |u| of a step in the second half"""
    return jnp.where(late(before), jnp.max(jnp.abs(turn(before))), 0.0)


# -- figure ------------------------------------------------------------------------------------------------------------


def at_edge(ds, of):
    """-mean u over mean u^2/2, of the runs that the claims speak of."""
    told = mean(ds, SECOND) > 20 / ds.max_steps  # in half a run one that dies has lost a factor of e^10, or more
    value = (-mean(ds, FIRST) / mean(ds, SECOND)).where(of & told)
    for slack in at_the_edge(ds).values():
        value = value.where(slack >= 0)
    return value


SERIES = dict(x=lambda ds: mean(ds, SECOND), accepts=CAPPED)
figure = ib.Figure(
    id="lasso",
    panels=[
        ib.panel(
            ib.curves_of(lambda ds: at_edge(ds, alive(ds)), label="alive", **SERIES),
            ib.curves_of(
                lambda ds: at_edge(ds, ~alive(ds)), label="dead", open=True,
                looks={None: dict(colour="vermillion", marker="^")}, **SERIES,
            ),
            ib.level(1.0, "Lasso: alive at 1"), ib.level(-1.0, "dead above -1"),
            x=r"mean $u^2/2 = 2 \eta w_i$", y=r"$-$mean $u$ / mean $u^2/2$", log="x", ylim=(-1.5, 1.5),
        ),
    ],
    caption="Diagonal nets at the edge, {seed.count} problems, steps {step.least:g} to {step.largest:g}. A point for each "
    "weight a or b: its mean gradient, against the weight that its own oscillation has in a Lasso. In a Lasso those alive "
    "are at 1, up to the third order in u, and dead ones between -1 and 1.",
    claims=["mean-gradient-is-that-of-a-lasso", "dead-entries-are-inside", "mean-is-stationary"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(step=[0.8, 0.9, 1.0, 1.1], seed=range(12)),
    observe={
        "z": ib.layer, "total": ib.summed(log_rate), "late": ib.mean_change(powers, late), "largest": ib.worst_change(largest),
    },
    records=ib.linear_records(3),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(50), max_steps=40_000)},
)  # fmt: skip
