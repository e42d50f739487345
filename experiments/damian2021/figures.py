"""The mean iterate, the fits that it might tend to, and its Lasso."""

import implicit_bias as ib

from .claims import CAPPED, average

NORMS = r"$|A_i| = {first.largest:g}, 1, 1, {first.largest:g}$"


def _distances(place, title):
    shown = dict(x="step", of={"first": place}, accepts=CAPPED, join=False)
    return ib.panel(
        ib.curves_of(
            "off_least_l1", label=r"to the least $\ell_1$ norm", looks={None: dict(colour="vermillion", marker="s")}, **shown
        ),
        ib.curves_of(
            "off_least_weight", label=r"to the least $\Sigma |A_i|^2 |x_i|$", theory="lasso_off", theory_label="of the Lasso",
            looks={None: dict(colour="blue", marker="o")}, **shown,
        ),
        x=r"step $\eta$", y=r"distance of the mean iterate", title=title, log="xy",
    )  # fmt: skip


def off(ds):
    """The greatest entry of the average over seeds of what the mean iterate is off its Lasso."""
    return average(ds, "off_lasso")[0].max("entry")


figure = ib.Figure(
    id="lasso",
    panels=[
        _distances("largest", NORMS),
        _distances("least", "columns of one norm"),
        ib.panel(
            ib.curves_of(
                off, x="step", of={"first": "largest"}, band="draw", theory="next_orders_moved", accepts=CAPPED,
                theory_label="the next two orders", label="measured", join=False,
            ),
            x=r"step $\eta$", y=r"off the Lasso, mean over seeds", title=NORMS, log="xy",
        ),
    ],
    caption="The mean iterate of descent with fresh label noise, over the second half of {max_steps} steps: {draw.count} "
    "problems in the plane and {seed.count} seeds of noise. Left: with columns of several norms it tends to the fit of least "
    "weighted l1 norm, along the Lasso with the penalty eta sigma^2 sum |A_i|^2 |x_i| (line), and stays away from the fit of "
    "least l1 norm, which is the sparsest. Middle: with columns of one norm the two fits are one. Right: what the mean iterate "
    "is off the Lasso of several norms, its greatest entry, averaged over seeds, and what the next two orders of weights say.",
    claims=["mean-solves-the-weighted-lasso", "least-weight-for-small-steps", "least-l1-for-small-steps"],
)  # fmt: skip
