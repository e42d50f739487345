r"""Does descent at the edge follow the central flow?  A small tanh network, measured.   (Damian et al. 2023; Cohen et al. 2024)

Three runs from one start: descent, read at the midpoint of each step, which an oscillation of period two leaves in place;
gradient flow; and the central flow, which a variance along the one unstable direction holds at curvature 2/eta. They are
compared at equal times t = eta k. The central flow is a heuristic of third order: nothing here is an identity.
"""

import jax
import jax.numpy as jnp

import implicit_bias as ib

from .network_claims import CAPPED, CLAIMS, apart, beyond, curvature


def cell(*, method, step, key, examples=12, inputs=3, width=5, scale=0.5, max_steps=160, rtol=1e-3):
    """Random inputs with random labels of -1 and 1, and a network of one output."""
    x = jax.random.normal(ib.stream(key, "inputs"), (examples, inputs))
    y = jnp.where(jax.random.bernoulli(ib.stream(key, "labels"), shape=(examples,)), 1.0, -1.0)
    law = ib.Descent(step, max_steps=max_steps)
    if method != "gd":
        field = ib.Central(step) if method == "central" else ib.GradientField()
        law = ib.Flow(step * max_steps, field=field, rtol=rtol, atol=1e-2 * rtol)
    return ib.Run(ib.supervised(x, y, "square"), ib.mlp((width,), jnp.tanh, bias=True, scale=scale), law)


def middle(snapshot):
    """The weights of a flow; of descent, halfway along the next step."""
    theta = snapshot.theta
    if snapshot.dynamics.unit == "steps":
        theta = jax.tree.map(lambda w, v: w + snapshot.dynamics.step / 2 * v, theta, snapshot.velocity)
    return {
        "weights": jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(theta)]),
        "loss": snapshot.in_users_coordinates(theta),
    }


def curvatures(snapshot):
    """the two largest eigenvalues of the Hessian, from all of its entries: there are few weights"""
    matvec = ib.linalg.hvp(snapshot.in_users_coordinates.total, snapshot.theta)
    return jnp.linalg.eigvalsh(ib.linalg.dense(matvec, snapshot.theta))[:-3:-1]


# -- figure ------------------------------------------------------------------------------------------------------------


LOOKS = {
    "gd": dict(colour="blue", label="descent"), "flow": dict(colour="orange", line=":", label="gradient flow"),
    "central": dict(colour="green", line="--", label="central flow"),
}  # fmt: skip
SHOWN = dict(x="time_of", accepts=CAPPED)


def inside(ds, method):
    """How far descent is from a flow, in the runs that the orderings speak of."""
    value = apart(ds, method)
    for slack in beyond(ds).values():
        value = value.where(slack >= 0)
    return value


figure = ib.Figure(
    id="central",
    panels=[
        ib.panel(
            ib.curves_of(curvature, by="method", looks=LOOKS, of={"seed": 1}, **SHOWN), ib.level(1, r"$2/\eta$"),
            x="time $t$", y=r"curvature / $(2/\eta)$", ylim=(0, None),
        ),
        ib.panel(
            ib.curves_of(lambda ds: inside(ds, "flow"), looks={None: LOOKS["flow"]}, **SHOWN),
            ib.curves_of(lambda ds: inside(ds, "central"), looks={None: LOOKS["central"]}, **SHOWN),
            x="time $t$", y="distance of descent", log="y", ylim=(1e-2, None),
        ),
    ],
    caption="A tanh network of {width} units on {examples} random labels, eta = {step.least:g}. Left: the largest eigenvalue "
    "of the Hessian over 2/eta, of seed 1. Right: how far the midpoints of descent are from each flow at equal times, "
    "medians and ranges over the seeds whose flow leaves the edge behind. Descent goes on beyond the edge until its "
    "oscillation has grown, and then turns to the central flow.",
    claims=["ends-nearer-the-central-flow", "follows-the-gradient-flow-beyond-the-edge", "turns-from-the-gradient-flow"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=["gd", "flow", "central"], step=[0.8], seed=range(14)),
    observe={"middle": middle, "curvatures": curvatures},
    predict={
        "share": ib.batched(lambda clock: clock / clock[..., -1:]),
        "time_of": ib.batched(lambda share, step, max_steps: share * (step * max_steps)[..., None]),
    },
    records=ib.linear_records(17),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(24), max_steps=1000)},
)
