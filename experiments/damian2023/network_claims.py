"""What is claimed of `network`: where descent is nearest to which flow."""

import numpy as np

import implicit_bias as ib


def curvature(ds, which=0):
    """An eigenvalue of the Hessian, over 2/eta."""
    return ds.curvatures.isel(curvatures_0=which) * ds.step / 2


def apart(ds, method):
    """|w - w of descent| at equal times."""
    off = ib.curves.at(ds["middle.weights"], method=method) - ib.curves.at(ds["middle.weights"], method="gd")
    return np.sqrt((off**2).sum("middle.weights_0"))


def nearer(ds):
    """How much nearer descent is to the central flow than to the gradient flow, below 0 where it is."""
    return apart(ds, "central") - apart(ds, "flow")


def highest(ds):
    """The record at which descent's curvature is largest."""
    return ib.curves.at(curvature(ds), method="gd").argmax("record")


def peak(ds, method, which=0):
    return ib.curves.at(curvature(ds, which), method=method).max("record")


def met(ds):
    """The first record at which descent's curvature is a tenth above the edge, or more."""
    return (ib.curves.at(curvature(ds), method="gd") >= 1.1).argmax("record")


def beyond(ds):
    """The flow leaves the edge far behind, and descent has had the time to be pushed back."""
    return {
        r"the flow ends at 1.2 $(2/\eta)$ or more": -1.2 + ib.curves.last(ib.curves.at(curvature(ds), method="flow")),
        r"descent goes to 1.1 $(2/\eta)$ or more": peak(ds, "gd") - 1.1,
        "it turns back three records before the end, or more": ds.sizes["record"] - 4 - highest(ds),
        r"the second eigenvalue of the central flow stays below $2/\eta$": 1.02 - peak(ds, "central", 1),
    }  # fmt: skip


CAPPED = (ib.Status.CAPPED,)
claim = ib.claims_with(source="Cohen et al. 2024 (measured)", accepts=CAPPED, per="seed")  # of its three runs
ordered = ib.claims_with(
    source="Cohen et al. 2024 (measured)", accepts=CAPPED, per="seed", hypotheses=beyond, kind=ib.Ordering(),
    because="over seeds",
)  # fmt: skip
CLAIMS = [
    claim(
        id="central-flow-stays-at-the-edge", kind=ib.Inequality(),
        statement=r"one eigenvalue at the edge: the curvature of the central flow is at most $2/\eta$, to 1 %, at every record",
        hypotheses=lambda ds: {r"its second eigenvalue stays below 0.99 $(2/\eta)$": 0.99 - peak(ds, "central", 1)},
        residual=lambda ds: peak(ds, "central") - 1, tolerance=lambda ds: 0.01, bound=lambda ds: 1.0,
        because="the integrator at rtol, and the delay; where two are at the edge, 2 % and more",
    ),
    ordered(
        id="ends-nearer-the-central-flow",
        statement="at the end the midpoint of descent is nearer to the central flow than to the gradient flow",
        residual=lambda ds: ib.curves.last(nearer(ds)),
    ),
    ordered(
        id="follows-the-gradient-flow-beyond-the-edge",
        statement=r"where its curvature is first 1.1 $(2/\eta)$, it is nearer to the gradient flow: it has still to oscillate",
        residual=lambda ds: -nearer(ds).isel(record=met(ds)),
    ),
    ordered(
        id="turns-from-the-gradient-flow", statement="the distance to the gradient flow grows from there to the end",
        residual=lambda ds: apart(ds, "flow").isel(record=met(ds)) - ib.curves.last(apart(ds, "flow")),
    ),
]  # fmt: skip
