"""Figures of `law` and `orderings`."""

import implicit_bias as ib

from .claims import ENDED
from .given import KNOWN

DESCENT = {"law": "heavy ball", "gradient": "full", "momentum": 0.0}
STARTS = [
    ("whole", "plain flow, from $z_0$", "vermillion", "s"),
    ("unshifted", "its gain alone", "orange", "^"),
    ("left", "from $|z_0| e^{-E}$", "blue", "o"),
]


def _look(colour, marker):
    return {None: dict(colour=colour, marker=marker)}


def _off(start, label, colour, marker):
    """The distance of the end from the limit of the plain flow."""
    what = "off" if start == "left" else f"off_{start}"
    return ib.curves_of(what, x="step", label=label, looks=_look(colour, marker), of=DESCENT, accepts=ENDED, join=False)


def sure(ds, value):
    """Of runs whose limit is known."""
    return value.where(ds.allowed < KNOWN)


def _no_better(axes, ds):
    axes.axline((1, 1), slope=1, color="black", lw=0.9, ls="--", zorder=1.5, label="no better than the plain flow")


law = ib.Figure(
    id="gain",
    panels=[
        ib.panel(
            *(_off(*one) for one in STARTS),
            *(ib.guide(power, "slope {:g}", series=i, within=(0, 0.021)) for i, power in enumerate((1.0, 2.0))),
            title="gradient descent", x=r"step $\eta$", y="distance from the limit of the flow", log="xy", legend="center",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: sure(ds, ds.off), x=lambda ds: sure(ds, ds.off_whole), by="gradient", above=1e-17, accepts=ENDED
            ),
            ib.figures.drawn(_no_better),
            title="every run", x="distance from that of the flow from $z_0$", y=r"distance, from $|z_0| e^{-E}$", log="xy",
            ylim=(1e-17, 1e4), legend="upper left",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: sure(ds, ds.shrinks_mean), x="step", by="momentum",
                name=r"$\beta = {:g}$", of={"law": "heavy ball", "gradient": "full"}, accepts=ENDED,
            ),
            ib.level(0.0, line="-"),
            title="what is left of the start", x=r"step $\eta$", y=r"mean of $\log|a b / a_0 b_0|$", log="x",
        ),
    ],
    caption="Where runs end, {seed.count} seeds. Left: distance of gradient descent from the limit of the plain flow on the "
    "data that it has reached, from its own start (of first order in the step), from that with the gain of each entry (of "
    "second), and from all that the law leaves of it: rounding, at any step. Middle: the last against the first for every run "
    "of heavy ball and Nesterov, with momentum and without. Right: what is left of the start under a heavy ball and full "
    "gradients. Descent shrinks it while no |2 eta g| exceeds sqrt 2; momentum makes it larger.",
    claims=["limit-with-gain", "gain-without-shift", "start-shrinks-as-read"],
)  # fmt: skip


METHODS = {"gd": ("all examples", "blue", "o"), "sgd": ("single examples", "vermillion", "s")}
OVER_SEEDS = dict(x="share", by="method", looks=METHODS, middle="mean", spread="error", accepts=ENDED)
GAINS = [("gain_on", "on the support of $x_*$", "blue", "o"), ("gain_off", "off it", "orange", "^")]


def _gains(method):
    gains = [
        ib.curves_of(
            gain, x="share", label=label, looks=_look(*look), of={"method": method}, middle="mean", spread="error",
            accepts=ENDED,
        )
        for gain, label, *look in GAINS
    ]  # fmt: skip
    what = r"mean of $-\log|a b / a_0 b_0|$"
    return ib.panel(*gains, title=METHODS[method][0], x="step times $L$", y=what, log="xy", ylim=(0.015, 1.2))


orderings = ib.Figure(
    id="help-or-hurt",
    panels=[
        ib.panel(
            ib.curves_of("more", **OVER_SEEDS), ib.level(0.0, "limit of small steps", line="-"),
            x="step times $L$", y=r"$|x - x_*|$ less that of small steps", log="x",
        ),
        _gains("gd"), _gains("sgd"),
    ],
    caption="Descent on all examples and on single ones from one start of alpha = {alpha:g}, {rows} x {columns} with "
    "{nonzeros} nonzeros, means with two standard errors over {seed.count} seeds. Left: how much farther from x* a run ends "
    "than the limit of small steps. Others: the gain, by which |ab| has shrunk, on the support of x* and off it: that of "
    "single examples is the more even one.",
    claims=["large-steps-hurt-descent", "large-steps-help-single-examples", "gain-of-single-examples-is-more-even"],
)  # fmt: skip
