"""Figures of `limit` and `phases`."""

import implicit_bias as ib

from .claims import ENDED

theory = ib.theory.diagonal


# -- limit -------------------------------------------------------------------------------------------------------------

WN = dict(on="wn one", of={"method": "wn", "branches": "one"}, accepts=ENDED)


def _sums(limit, label, colour, marker):
    """Of every run: the sum of a plain flow's limit against that of its own."""
    return ib.curves_of(
        lambda ds: ds[limit].sum(f"{limit}_0"), x=lambda ds: ds.x.sum("x_0"), label=label,
        looks={None: dict(colour=colour, marker=marker)}, **WN,
    )  # fmt: skip


def _diagonal(axes, ds):
    axes.axline((1, 1), slope=1, color="black", lw=0.9, zorder=1.5)


def _signs(axes, ds):
    """The sum is less than the plain flow's for rho > 1, and more for rho < 1: nothing lies in the shaded quadrants."""
    axes.set_yscale("symlog", linthresh=1e-4)
    for low, high, least, most in ((1e-9, 1, 0.0, 0.5), (1, 1e9, 0.5, 1.0)):
        axes.axvspan(low, high, least, most, color="0.92", lw=0, zorder=0.5)


def _of_the_minimiser(ds):
    """Of the minimiser of the potential of depth 2, from the data alone."""
    return theory.magnification(ds.scale, ds.minimiser.sum("minimiser_0") ** 0.5, ds.ratio)


def magnification():
    """Limits beside those of the plain flow, from the start over rho and from the start, and rho."""
    return ib.Figure(
        id="magnification",
        panels=[
            ib.panel(
                _sums("plain", "from $z_0$", "vermillion", "s"),
                _sums("over_rho", r"from $z_0 / \rho$", "blue", "o"),
                ib.figures.drawn(_diagonal, on="wn one"),
                x=r"weight normalisation, $\Sigma x$", y=r"plain flow, $\Sigma x$", title="limits", log="xy",
            ),
            ib.panel(
                ib.curves_of(
                    lambda ds: ds.more / ds.plain.sum("plain_0"), x="rho", by="depth", name="$L = {:g}$", **WN
                ),
                ib.level(0.0, on="wn one", line="-"), ib.across(1.0, on="wn one", line="-"),
                ib.figures.drawn(_signs, on="wn one"),
                x=r"magnification $\rho$", y=r"$\Sigma x / \Sigma x_{\mathrm{plain}} - 1$", title="from the same start",
                log="x", xlim=(0.2, 300.0), ylim=(-3.0, 3.0),
            ),
            ib.panel(
                ib.curves_of(
                    "rho", x="ratio", by="scale", name="$r_0 = {:.2g}$",
                    theory=_of_the_minimiser, theory_label="of the minimiser",
                    **{**WN, "of": {**WN["of"], "depth": 2.0}},
                ),
                ib.level(1.0, on="wn one"),
                x="ratio $c$", y=r"magnification $\rho$", title="$L = 2$", log="xy",
            ),
        ],
        caption="Weight-normalised nets of one branch, where every run has ended: {depth.count} depths, "
        "{scale.count} starts, {ratio.count} ratios, {seed.count} seeds, on the data A x that it has reached. Left: "
        "the sum of x beside that of the plain flow's limit, computed from the data: from the start over rho they "
        "are one (distances of x are {off_over_rho.median:.1g} in the median, {off_over_rho.largest:.1g} at most), "
        "from the same start they are not. Middle: by how much the sum is off that from the same start (linear below "
        "1e-4): less where rho is above 1 and more where it is below, never in the shaded quadrants. Right: rho, "
        "median and range over seeds, and what the potential's minimiser says (lines).",
        claims=["limit-is-plain-from-start-over-rho", "smaller-sum-than-plain-by-the-mean"],
    )  # fmt: skip


# -- phases ------------------------------------------------------------------------------------------------------------

ALPHA = r"first size of each entry, $\alpha$"


def found(ds):
    """1 of the runs that have fitted with the right support, 0 of all others."""
    return ds.success.fillna(0.0)


def in_the_middle(ds):
    """The share of the starts of the first claim."""
    return found(ds).where((ds.alpha >= 0.0099) & (ds.alpha <= 0.301)).mean("alpha")


BOUNDS = {
    r"$s_0 = |x_0|_1$": lambda ds: abs(ds.truth).sum("truth_0") - ds.columns * ds.alpha**2,
    r"least $\ell_1$ finds $x_0$, 1 in 2": lambda ds: ds.least_l1_finds.mean("seed") - 0.5,
}


def _map(method, title):
    shown = ib.map_of(
        found, x="alpha", y="rows", of={"method": method}, limits=(0, 1), accepts=None, contour=BOUNDS,
        label="support found, share",
    )  # fmt: skip
    return ib.panel(shown, x=ALPHA, y="measurements", title=title, legend="lower left")


METHODS = dict(by="method", middle="mean", spread="error", accepts=None)
BESIDE = dict(METHODS, by=None, looks={None: dict(colour="black", marker="^", line=":")}, of={"method": "wn"})


def phases(fitted, claims):
    """Maps of the share that finds the support, and the two margins that its claims speak of."""
    return ib.Figure(
        id="phases",
        panels=[
            [_map("gd", "GD"), _map("wn", "WN, $c = {ratio:g}$")],
            [
                ib.panel(
                    ib.curves_of(lambda ds: found(ds).mean("rows"), x="alpha", **METHODS),
                    ib.curves_of(lambda ds: 1 - ds.fitted.mean("rows"), x="alpha", label="WN, not fitted", **BESIDE),
                    ib.level(0.5, "1/2"),
                    *(ib.across(end) for end in (0.01, 0.3)),
                    x=ALPHA, y="share of the runs of all $m$", log="x", ylim=(0, 1.02),
                ),
                ib.panel(
                    ib.curves_of(in_the_middle, x="rows", **METHODS),
                    ib.curves_of("least_l1_finds", x="rows", label=r"least $\ell_1$", **BESIDE),
                    x="measurements $m$", y=r"share, $0.01 \leq \alpha \leq 0.3$", ylim=(0, 1.02), legend="lower right",
                ),
            ],
        ],
        height=3.0,
        caption="Runs of descent that find the support of a nonnegative vector with {nonzeros} of {columns} entries, "
        "as a share of all runs of {seed.count} seeds: one that has not fitted within {max_steps:,} steps (to a loss "
        f"of {fitted:g}) has found nothing. Top: by the size of the start and the number of measurements; lines: "
        "where s0 = {columns} alpha^2 is |x0|_1, and where the interpolator of least l1 norm is the vector for half "
        "of the seeds. Bottom left: over all m; between the dotted lines, WN finds more; from alpha = 1 less than "
        "half. Bottom right: over the starts between the dotted lines, beside least l1.",
        claims=claims,
    )  # fmt: skip
