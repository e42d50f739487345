r"""How long does gradient descent follow the flow?  Until the flow's sharpness meets 2/eta.   (Cohen et al. 2021)

Up to the moment at which the flow's curvature is 2/eta, descent of step eta is where the flow is at the time t = eta k, to
a few per cent; from then on it stays at the edge, and the flow goes on to curvatures that the step could not follow.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .network import hard_to_fit, network, random_labels


def cell(*, method, step, key, examples=100, scale=0.5, data="digits", max_steps=1200, rtol=1e-6):
    law = ib.Descent(step, max_steps=max_steps)
    if method == "flow":
        law = ib.Flow(step * max_steps, rtol=rtol, atol=1e-2 * rtol)
    return ib.Run(random_labels(key, examples, data), network(scale), law)


def weights(snapshot):
    """All weights in one vector."""
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(snapshot.theta)])


# -- what is read from the runs ----------------------------------------------------------------------------------------


def curvature(ds):
    """Sharpness over 2/eta."""
    return ds["sharpness.value"] * ds.step / 2


def apart(ds):
    """|w - w of the flow| / |w of the flow| at equal times."""
    flow = ib.curves.at(ds["weights"], method="flow")
    off = ib.curves.at(ds["weights"], method="gd") - flow
    size = next(d for d in flow.dims if str(d).startswith("weights"))
    return np.sqrt((off**2).sum(size) / (flow**2).sum(size))


def crossing(ds):
    """The first record at which the flow's curvature is 2/eta or more; nan if there is none."""
    beyond = ib.curves.at(curvature(ds), method="flow") >= 1
    return beyond.argmax("record").where(beyond.any("record"))


def before(ds):
    """Records before the crossing."""
    return ds.record < crossing(ds)


def after(ds):
    """The record four after the crossing."""
    return ds.record == crossing(ds) + 4


def at_the_end(ds, method):
    return ib.curves.last(ib.curves.at(curvature(ds), method=method))


CAPPED = (ib.Status.CAPPED,)
claim = ib.claims_with(
    source="Cohen et al. 2021, gradient flow beside gradient descent (as read)",
    accepts=CAPPED,
    hypotheses=lambda ds: hard_to_fit(ds)
    | {
        r"the flow crosses $2/\eta$ five records before the end": ds.sizes["record"] - 5.5 - crossing(ds),
        "1200 steps or more": ds.max_steps - 1200,
    },
)
CLAIMS = [
    claim(
        id="descent-follows-the-flow-up-to-the-edge",
        statement=r"at every record before the flow's curvature is $2/\eta$, descent is within 3 % of the flow",
        residual=lambda ds: apart(ds).where(before(ds)).max("record"),
        tolerance=lambda ds: 0.03,
        because="the error of Euler's method at these steps: 1 to 2 % of the weights",
    ),
    claim(
        id="descent-leaves-the-flow-at-the-edge",
        statement=r"four records after the flow's curvature is $2/\eta$, descent is further from the flow than at any "
        "time before",
        kind=ib.Ordering(over="seed"),
        residual=lambda ds: (apart(ds).where(before(ds)).max("record") - apart(ds).where(after(ds)).max("record")),
        because="over seeds, at each step",
    ),
    claim(
        id="the-flow-goes-on",
        statement="at the end the flow's curvature is above that of descent by a tenth of it, or more",
        kind=ib.Inequality(),
        residual=lambda ds: 1.1 * at_the_end(ds, "gd") - at_the_end(ds, "flow"),
        tolerance=lambda ds: 0.0,
        bound=lambda ds: at_the_end(ds, "flow"),
        because="what is claimed",
    ),
]

figure = ib.Figure(
    id="flow",
    panels=[
        ib.panel(
            ib.curves_of(curvature, x="time_of", by="method", of={"step": "largest"}, accepts=CAPPED),
            ib.level(1, r"$2/\eta$"),
            x="time $t$", y=r"curvature / $(2/\eta)$", ylim=(0, None),
        ),
        ib.panel(
            ib.curves_of(apart, x="share", by="step", name=r"$\eta = {:g}$", accepts=CAPPED),
            x="share of the run", y=r"$|w - w_\mathrm{flow}| / |w_\mathrm{flow}|$", log="y", ylim=(1e-3, 1),
        ),
    ],
    caption="Gradient descent beside the flow, a tanh network on {examples} digits with random labels, medians and ranges over "
    "{seed.count} seeds. Left: curvature over 2/eta at the largest eta. Right: the distance of the two at equal times, which "
    "is the error of Euler's method until the flow's curvature is 2/eta.",
    claims=["descent-follows-the-flow-up-to-the-edge", "descent-leaves-the-flow-at-the-edge"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=["gd", "flow"], step=[0.2, 0.4], seed=range(10)),
    observe={"sharpness": ib.sharpness(tolerance=1e-4), "weights": weights},
    predict={
        "share": ib.batched(lambda clock: clock / clock[..., -1:]),
        "time_of": ib.batched(lambda share, step, max_steps: share * (step * max_steps)[..., None]),
    },
    records=ib.linear_records(25),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), max_steps=6000)},
)
