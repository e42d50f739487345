"""The figures of the Stoeger and Soltanolkotabi 2021 studies."""

import numpy as np

from implicit_bias.evidence.figures import COLOURS, Figure, edges
from implicit_bias.theory import sensing as theory

from .._sensing import figure_of_the_start, steps_per_log
from . import claims


def _plt():
    import matplotlib.pyplot as plt

    return plt


# -- phases --------------------------------------------------------------------------------------------------------

CURVES = (
    ("misalignment", r"misalignment $\sin\angle(L_t, X)$", "orange", "-"),
    ("signal", r"growth $\sigma_r(Z) / \sigma_r(X)$", "blue", "--"),
    ("error", r"error $|Z - X| / |X|$", "vermillion", "-."),
    ("power_gap", "distance to the power method", "green", ":"),
)


def _draw_phases(ds):
    plt = _plt()
    drawing, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.0), width_ratios=(1.5, 1))
    run = ds.isel(seed=0, scale=int(ds.scale.values.argmin()))
    ends = [float(end) for end in claims.ends(run)]
    for name, label, colour, line in CURVES:
        curve = run[name] / run.least if name == "signal" else run[name]
        if name == "power_gap":
            curve = curve.where(run.clock <= ends[1])
        left.plot(run.clock, curve, line, color=COLOURS[colour], label=label)
    last = 1.25 * ends[2]
    for name, begin, end, grey in zip(("I", "II", "III"), [0, *ends], ends, ("0.80", "0.90", "0.96")):
        left.axvspan(begin, end, color=grey, lw=0, zorder=0)
        left.annotate(name, ((begin + end) / 2, 1), (0, 4), ("data", "axes fraction"), "offset points", ha="center")
    left.set(yscale="log", ylim=(1e-13, 3), xlim=(0, last), xlabel="steps")
    left.set_ylabel(rf"one run, $\alpha = {float(run.scale):.0e}$".replace("e-06", r"\times 10^{-6}"))
    left.legend(fontsize=8.5, loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")
    begin = 0.0
    looks = (("I, alignment", "orange", "o"), ("II, growth", "blue", "s"), ("III, refinement", "vermillion", "^"))
    for (label, colour, marker), end in zip(looks, claims.ends(ds)):
        length = (end - begin).transpose("scale", "seed")
        right.fill_between(ds.scale, length.min("seed"), length.max("seed"), color=COLOURS[colour], alpha=0.2, lw=0)
        right.plot(ds.scale, length.median("seed"), marker, color=COLOURS[colour], label=label)
        begin = end
    first, second, _ = claims.ends(ds)
    slope = float(steps_per_log(ds).mean())
    middle = float((second - first).mean() + slope * np.log(ds.scale).mean())
    right.plot(
        ds.scale, middle - slope * np.log(ds.scale), "k-", lw=1, label=rf"slope $1/\ln(1+\mu\sigma_r) = {slope:.3g}$"
    )
    right.fill_between([], [], color="0.5", alpha=0.3, lw=0, label="range over seeds")
    right.set(xscale="log", ylim=(0, None), xlabel=r"size of the start $\alpha$", ylabel="length of the phase, steps")
    right.legend(fontsize=8.5)
    return drawing


phases = Figure(
    id="phases",
    draw=_draw_phases,
    caption="Left: one run of gradient descent on U U^T, phases shaded. In I the leading directions align with X while Z "
    "is still tiny, and U follows the power method; in II sigma_r(Z) grows like a power; in III the error contracts. "
    "Right: the length of each phase against the size of the start, median and range over seeds: I and III do not depend on "
    "it, II does by the slope drawn.",
    claims=["three-phases-in-order", "phase-I-is-the-power-method", "phase-I-does-not-depend-on-alpha",
            "phase-II-per-log-alpha"],
)  # fmt: skip

# -- recovery ------------------------------------------------------------------------------------------------------

error = figure_of_the_start(
    "psd-error-against-alpha",
    claims.of_the_start,
    product=r"UU^\top",
    bound="21/16",
    remembered=theory.REMEMBERED_SYMMETRIC,
    caveat=" under a restricted isometry that this m does not give",
)

# -- width ---------------------------------------------------------------------------------------------------------


def _draw_width(ds):
    plt = _plt()
    drawing, panel = plt.subplots(figsize=(5.4, 3.9))
    steps = claims.turned(ds).transpose("width", "seed")
    width = ds.width.astype(float)
    panel.plot(width, steps, "o", color=COLOURS["sky"], ms=3, alpha=0.6)
    panel.plot([], [], "o", color=COLOURS["sky"], ms=3, label="one run")
    panel.errorbar(
        width, steps.mean("seed"), 2 * steps.std("seed") / np.sqrt(ds.sizes["seed"]), fmt="s-", color=COLOURS["blue"],
        capsize=3, label="mean, two standard errors",
    )  # fmt: skip
    panel.set(xscale="log", ylim=(0, None), xlabel="width of $U$", ylabel="length of phase I, steps")
    panel.set_xticks(width.values, [str(w) for w in ds.width.values])
    panel.minorticks_off()
    panel.legend(fontsize=8.5)
    return drawing


width = Figure(
    id="width",
    draw=_draw_width,
    caption="Steps until the leading directions of U U^T align with X (sin of the angle below 1/4), against the number of "
    "columns of U, from the same alpha: with as many columns as X has rank, some starts lie badly; with more it is rare.",
    claims=["width-shortens-phase-I", "more-width-shortens-phase-I-further"],
)

# -- measurements --------------------------------------------------------------------------------------------------


def _draw_diagram(ds):
    plt = _plt()
    drawing, (left, right) = plt.subplots(1, 2, figsize=(10.2, 3.9))
    share = (ds.error.isel(record=-1) <= claims.RECOVERED).mean("seed").transpose("rank", "measurements")
    ranks = ds["rank"].astype(int).values
    places = np.arange(ds.sizes["measurements"])
    mesh = left.pcolormesh(edges(places), edges(ranks), share, cmap="cividis", vmin=0, vmax=1)
    free = claims.freedom(ds)
    m = ds.measurements.values
    for factor, line, name in ((1, "--", "degrees of freedom"), (3, ":", "three times as many")):
        place = np.interp(factor * free.values, m, places, right=np.nan)
        for rank, x in zip(ranks, place):
            left.plot([x, x], [rank - 0.5, rank + 0.5], line, color="white", lw=1.8)
        left.plot([], [], line, color="0.35", lw=1.8, label=name)
    left.set_xticks(places, [f"{x:g}" for x in m])
    left.set_yticks(ranks)
    left.grid(False)
    left.set(xlabel="measurements $m$", ylabel="rank of $X$")
    left.legend(fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    drawing.colorbar(mesh, ax=left, label="share of seeds recovered").outline.set_visible(False)
    for rank, colour, marker in zip(ds["rank"].values, ("blue", "orange", "green"), "osd"):
        error = ds.error.isel(record=-1).sel(rank=rank).transpose("measurements", "seed")
        x = m / float(claims.freedom(ds.sel(rank=rank)))
        low, high = (error.quantile(q, "seed") for q in (0.1, 0.9))
        right.fill_between(x, low, high, color=COLOURS[colour], alpha=0.2, lw=0)
        right.plot(x, error.median("seed"), marker + "-", color=COLOURS[colour], label=f"rank {rank}")
    right.axhline(claims.RECOVERED, color="black", lw=0.8, ls=":", label="counts as recovered")
    right.fill_between([], [], color="0.5", alpha=0.3, lw=0, label="middle 80 % of seeds")
    right.set(yscale="log", xlabel="measurements over degrees of freedom", ylabel="$|Z - X| / |X|$ at the stop")
    right.legend(fontsize=8.5)
    return drawing


def _caption_diagram(ds):
    size = int(ds["size"])
    return (
        f"Recovery of a PSD matrix of {size} x {size} from m Gaussian measurements, from alpha = {float(ds.scale):g}, stopped "
        f"at a training loss of {float(ds.stop):g}; {ds.sizes['seed']} seeds. Left: the share with an error of at most "
        f"{claims.RECOVERED:.0%}. Right: the error itself, median and middle 80 %."
    )


phase_diagram = Figure(
    id="phase-diagram", draw=_draw_diagram, caption=_caption_diagram,
    claims=["enough-measurements-recover", "too-few-measurements-do-not"],
)  # fmt: skip
