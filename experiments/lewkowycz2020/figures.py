"""What happens over the plane of curvature and step, over that of curvature and start, and where it ends."""

import numpy as np

import implicit_bias as ib

from .claims import ANY, ENDED, ended, excess, last, s0


def outcome(ds):
    """0: falls at every step; 1: rises, and converges; 2: diverges."""
    return (ds.rise > 0).astype(float).where(ended(ds, ib.Status.DIVERGED) == 0, 2.0)


def height(ds):
    """log10 of the largest loss over the first."""
    return np.log10(ds.highest / ds.loss.isel(record=0)).where(ended(ds, ib.Status.DIVERGED) == 0)


figure = ib.Figure(
    id="thresholds",
    panels=[
        ib.panel(
            ib.map_of(
                outcome, x="curvature", y="step", on="plane", accepts=ANY, label="0 falls, 1 rises first, 2 diverges",
                contour={r"$\eta \lambda_0 = 2$": lambda ds: s0(ds) - 2, r"$\eta \lambda_0 = 4$": lambda ds: s0(ds) - 4},
            ),
            x=r"curvature at the start, $\lambda_0$", y=r"step $\eta$",
        ),
        ib.panel(
            ib.map_of(
                height, x="curvature", y="share", on="window", accepts=ENDED, label=r"$\log_{10}$ largest loss / first",
                contour={"$z_0 = s_0 - 2$": excess},
            ),
            x=r"$s_0 = \eta \lambda_0$", y=r"start, $2 |f_0| / \lambda_0$",
        ),
        ib.panel(
            ib.curves_of(lambda ds: last(ds, "s"), x=s0, on="plane", accepts=ENDED, label="end of a run"),
            ib.level(2.0, r"$2/\eta$", on="plane"),
            x=r"$s_0 = \eta \lambda_0$", y=r"$\eta \lambda$ at the end", xlim=(0, 4.2), ylim=(0, 2.2),
        ),
    ],
    caption="f = <v, w> with y = 0. Left: what the loss does, from |f_0| at 0.3 of its largest. Middle: how high it rises, "
    "against the start; left of s_0 = 2 and above the line it does not at the first step, and grey runs diverge. "
    "Right: the curvature at the end, times the step, of the runs of the left panel that did not diverge.",
    claims=["converges-below-4", "diverges-above-4", "first-step-raises-the-loss", "loss-grows-between-2-and-4"],
)  # fmt: skip
