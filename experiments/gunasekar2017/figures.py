"""The figure of the Gunasekar et al. 2017 study."""

import numpy as np

import implicit_bias as ib
from implicit_bias.evidence.curves import last
from implicit_bias.evidence.figures import COLOURS, Figure

from . import claims

OPERATORS = {"commuting": ("commuting $A_i$", "-"), "certified": ("others", "--")}


def _draw(data):
    import matplotlib.pyplot as plt

    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.8, 3.9))
    for operator, (label, line) in OPERATORS.items():
        if operator not in data.children:
            continue
        ds = data[operator].to_dataset().isel(operator=0)
        error = last(ds.error).where(ds.status == ib.Status.CONVERGED)
        for slack, colour, marker in zip(ds.slack.values, ("blue", "vermillion", "green", "orange"), "osd^"):
            look = dict(color=COLOURS[colour], mfc=COLOURS[colour] if line == "-" else "white")
            one = error.sel(slack=slack).transpose("scale", "seed")
            left.plot(ds.scale, one.median("seed"), marker + line, label=rf"{label}, $\delta = {slack:g}$", **look)
            left.fill_between(ds.scale, one.min("seed"), one.max("seed"), color=COLOURS[colour], alpha=0.12, lw=0)
            if operator == "commuting":
                leading = claims.predicted(ds.sel(slack=[slack]))[0].squeeze("slack").median("seed")
                left.plot(ds.scale, leading, ":", color="black", lw=1, zorder=5)
                straight = one ** (1 / (2 * claims.slack(ds.sel(slack=[slack])).squeeze("slack")))
                right.plot(ds.scale, straight.transpose("scale", "seed"), marker, color=COLOURS[colour], alpha=0.7)
                right.plot([], [], marker, color=COLOURS[colour], label=rf"$\delta = {slack:g}$, one run")
                anchor = float(np.exp(np.log(straight.isel(scale=0)).mean())) / float(ds.scale[0])
                right.plot(ds.scale, anchor * ds.scale, "-", color=COLOURS[colour], lw=1, label="slope 1")
    left.plot([], [], ":", color="black", lw=1, label="leading order, derived")
    left.fill_between([], [], color="0.5", alpha=0.25, lw=0, label="range over seeds")
    for panel in (left, right):
        panel.set(xscale="log", yscale="log", xlabel=r"size of the start $\alpha$")
        panel.legend(fontsize=8.5)
    left.set_ylabel(r"$|Z - X| / |X|$ at the end of the flow")
    right.set_ylabel(r"$(|Z - X| / |X|)^{1/2\delta}$")
    return drawing


nuclear = Figure(
    id="least-nuclear-norm",
    draw=_draw,
    caption="Distance of the flow's limit from the solution X of least nuclear norm, against the size of the start "
    "alpha I; delta is the slack of the certificate of X. Left: for commuting measurements it tends to zero with alpha, "
    "slowly where the certificate is nearly tight, as the leading order says; for the others it does not, and the limit has rank 1 (median and range "
    "over seeds). Right: for commuting ones the error is the power alpha^(2 delta), delta found by linear programming.",
    claims=["least-nuclear-norm", "least-nuclear-norm-rate", "least-nuclear-norm-conjecture", "rank-one-instead"],
)
