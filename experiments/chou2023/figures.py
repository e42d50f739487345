"""The figures of the limit and of the l1 gap: theory as lines, measurement as points."""

import numpy as np

from implicit_bias import Status
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.theory import diagonal as theory

from . import claims

DEPTHS = {1.0: ("black", "v"), 2.0: ("blue", "o"), 3.0: ("vermillion", "s"), 4.0: ("green", "^")}
FLOOR = 1e-13


def _plt():
    import matplotlib.pyplot as plt

    return plt


def _one(data, name):
    """A grid without the axes that have one word."""
    ds = data[name].to_dataset()
    return ds.isel({axis: 0 for axis in ("method", "branches") if axis in ds.dims}, drop=True)


def _draw_magnification(data):
    plt = _plt()
    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.0))
    ds = _one(data, "wn one")
    good = ds.status == Status.CONVERGED
    rho, size = claims.magnification(ds).where(good), claims.norm(ds, claims.ends(ds))
    for divisor, filled in ((rho, True), (1.0, False)):
        gap = np.maximum(claims.norm(ds, claims.ends(ds) - claims.plain_from(ds, divisor)) / size, FLOOR).where(good)
        for depth in ds.depth.values:
            colour, marker = COLOURS[DEPTHS[float(depth)][0]], DEPTHS[float(depth)][1]
            one = gap.sel(depth=depth)
            middle = one.median(["seed", "scale"])
            style = dict(color=colour, mfc=colour if filled else "white", label=f"$L = {depth:g}$" if filled else None)
            left.plot(ds.ratio, middle, marker, ls="-" if filled else "--", lw=0.9, **style)
    left.plot([], [], "o", color="0.4", label=r"to the plain limit from $z_0/\rho$")
    left.plot([], [], "o", color="0.4", mfc="white", label="to the plain limit from $z_0$")
    left.set(
        xscale="log", yscale="log", xlabel="ratio $c$", ylabel=r"$|x_\infty - x_{\mathrm{plain}}| / |x_\infty|$, median"
    )
    left.set_ylim(FLOOR / 3, 300)
    left.legend(fontsize=8, ncols=2, loc="center")
    for scale, line in zip(ds.scale.values, ("-", "--", ":")):
        for depth in ds.depth.values:
            colour, marker = COLOURS[DEPTHS[float(depth)][0]], DEPTHS[float(depth)][1]
            one = rho.sel(depth=depth, scale=scale).median("seed")
            right.plot(ds.ratio, one, marker, ls=line, lw=1.1, ms=3.5, color=colour)
        right.plot([], [], ls=line, color="0.4", label=f"$r_0 = {scale:g}$")
    right.axhline(1, color="black", lw=0.8)
    right.set(xscale="log", yscale="log", xlabel="ratio $c$", ylabel=r"magnification $\rho$")
    right.legend(fontsize=8.5)
    return drawing


def _caption_magnification(data):
    ds = data["wn one"].to_dataset()
    lost = int((ds.status != Status.CONVERGED).sum())
    return (
        f"Limits of weight-normalised nets of one branch. Left: their relative distance to the limit of the plain flow "
        f"from the same start (open) and from the start divided by rho (filled), computed from the data; medians over "
        f"{ds.sizes['seed']} seeds and {ds.sizes['scale']} starts. Right: rho as measured, by depth (colours as at the "
        f"left); above 1 weight normalisation acts as a smaller start, below 1 as a larger one. {lost} of "
        f"{ds.status.size} runs were capped, mostly deep nets at small c, and are left out."
    )


magnification = Figure(
    id="magnification", draw=_draw_magnification, caption=_caption_magnification,
    claims=["limit-is-plain-from-start-over-rho", "smaller-sum-than-plain-by-the-mean"],
)  # fmt: skip


def _draw_gap(data):
    plt = _plt()
    ds = _one(data, "one")
    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.0))
    good = ds.status == Status.CONVERGED
    least = claims.least_l1(ds)[0]
    gap, bound = (claims.gap(ds, least) / least).where(good), claims.bound(ds, theory.gap_bound, least) / least
    palette = [COLOURS[name] for name in ("blue", "green", "orange", "vermillion")]
    chosen = ds.scale.values[np.unique(np.linspace(0, ds.sizes["scale"] - 1, 4).astype(int))]
    for scale, colour, marker in zip(chosen, palette, "o^sv"):
        one = gap.sel(scale=scale)
        left.plot(ds.ratio, one.where(one > 1e-6).median("seed"), marker, color=colour, label=f"$s_0 = {scale**2:.2g}$")
        left.plot(ds.ratio, bound.sel(scale=scale).median("seed"), "-", lw=1.1, color=colour)
    left.set(xscale="log", yscale="log", xlabel="ratio $c$", ylabel=r"$(r_\infty^2 - Q) / Q$, median")
    left.set_ylim(bottom=1e-6)
    left.legend(fontsize=8.5)
    every = range(0, ds.sizes["ratio"], max(1, ds.sizes["ratio"] // 2))
    for ratio, colour, marker in zip(ds.ratio.values[list(every)], palette, "o^sv"):
        one, over = gap.sel(ratio=ratio), (ds.scale**2 / least).broadcast_like(gap.sel(ratio=ratio))
        right.plot(over.values.ravel(), one.values.ravel(), marker, color=colour, label=f"$c = {ratio:.2g}$", ms=4)
    share = np.geomspace(float((ds.scale**2 / least).min()), float((ds.scale**2 / least).max()), 200)
    right.plot(share, 2 * np.maximum(share - 1, 0), "k-", lw=1, label="bound as $c \\to 0$")
    right.axvline(1, color="0.5", lw=0.8, ls=":")
    right.set(xscale="log", xlabel=r"$s_0 / Q$", ylabel=r"$(r_\infty^2 - Q) / Q$")
    right.set_yscale("symlog", linthresh=1e-2)
    right.set_ylim(bottom=-1e-3)
    right.legend(fontsize=8.5)
    return drawing


def _caption_gap(data):
    ds = data["one"].to_dataset()
    good = ds.status == Status.CONVERGED
    least = claims.least_l1(ds)[0]
    gap, below = claims.gap(ds, least).where(good), ds.scale**2 < least
    loose = (claims.bound(ds, theory.gap_bound, least) / gap).where(below & (gap > 0))
    return (
        f"How far r_inf^2 = |x|_1 ends above the least l1 norm Q, nets x = w^2, {ds.sizes['seed']} seeds. Left: against c, medians with "
        f"the bound sqrt((Q - s0)^2 + 2 c Q log n) - (Q - s0) (lines). Right: every run, against the size of the start; "
        f"from beyond s0 = Q small ratios do not help. From below, the bound is {float(loose.min()):.2g} to "
        f"{float(loose.max()):.2g} times what is seen (median {float(loose.median()):.2g}): true, and far from sharp. "
        f"{int((~good).sum())} of {ds.status.size} runs were capped and are left out."
    )


gap = Figure(
    id="l1-gap", draw=_draw_gap, caption=_caption_gap,
    claims=["l1-gap-bound", "l1-gap-bound-on-both-sides", "l1-gap-bound-without-its-hypothesis"],
)  # fmt: skip
