"""Maps over the first size g0 and the ratio c of Wu et al. 2020: where laws change sign; the figures of `limit` and `excess`."""

import numpy as np

import implicit_bias as ib

theory = ib.theory.weight_normalisation
last = ib.curves.last

plane = dict(x="initial size $g_0$", y="ratio $c$")


def frontier(slack, label):
    """The line where slack(g0, |w_perp|, g*, c) of the median seed is zero, finer than the cells of the map."""

    def draw(axes, ds):
        g0, ratio = (np.geomspace(float(ds[name].min()), float(ds[name].max()), 300) for name in ("scale", "ratio"))
        at = slack(g0, float(ds.w_perp.median()), float(ds.g_star.median()), ratio[:, None])
        if at.min() < 0 < at.max():
            axes.contour(g0, ratio, at, levels=[0.0], colors="white", linewidths=1.5)
        axes.plot([], [], color="0.35", lw=1.5, label=label)

    return ib.figures.drawn(draw, accepts=None)


# -- limit-map: both laws for |x_inf - x*| -----------------------------------------------------------------------------


def off(ds, law):
    """log(|x_perp| / law) of |x_perp| = |g| |w_perp|, which falls to e^-45, far below rounding."""
    return ib.accepted(ds, np.log(abs(last(ds.g))) + last(ds.log_w_perp) - np.log(ds[law]))


def errors_of(law, *look):
    """The worst of the seeds in each cell, against the size that the exact law gives."""
    return ib.curves_of(
        lambda ds: abs(off(ds, law)).max("seed"), x=lambda ds: ds.limit_excess.median("seed"),
        looks={None: ib.figures.Look(*look)},
    )  # fmt: skip


limit_map = ib.Figure(
    id="limit-map",
    panels=[
        ib.panel(
            ib.map_of(
                lambda ds: -off(ds, "printed_excess") / np.log(10),
                x="scale", y="ratio", how="median", limits=(-0.4, 0.4), label=r"$\log_{10}$ of printed over measured",
            ),
            frontier(
                lambda g0, a, g_star, c: theory.logarithmic_mean(theory.limit_square(g0, a, g_star, c), g_star**2) - c,
                r"$c = \mathrm{LM}(G, g_*^2)$",
            ),
            ib.across("g_star", "$g_*$", colour="white"),
            title=r"eq. (7) as printed, over the measured $|x - x_*|$", **plane,
        ),
        ib.panel(
            errors_of("limit_excess", "exact law", "blue", "o"),
            errors_of("printed_excess", "eq. (7) as printed", "vermillion", "x"),
            title="both laws, one point for each $(g_0, c)$", log="xy",
            x="$|x - x_*|$ by the exact law", y=r"worst $|\log(\mathrm{measured} / \mathrm{law})|$",
        ),
    ],
    caption="Where the WN flow ends, run to loss {stop:g}, against both laws for |x - x*|. Left: the printed law "
    "over what "
    "is measured, median of {seed.count} seeds. It is too large (yellow: by a factor of 2.5 or more) below the line "
    "c = LM(G, g*^2), LM the logarithmic mean, too small above it (blue), and right to the eye where c and g0 "
    "are small. "
    "Right: the worst of the seeds in each cell. The exact law holds on the whole map to what the stop rule "
    "leaves, at all "
    "sizes of the excess; the printed one where the excess is next to nothing.",
    claims=["limit-as-printed", "limit-excess-exact"],
)  # fmt: skip


# -- crossing-map: the sign of g ---------------------------------------------------------------------------------------


def ended(ds):
    """g_inf / g*, of which the sign is the claim."""
    return ib.accepted(ds, last(ds.g) / ds.g_star)


def opposed_start(ds):
    """c s0^2 / (2 g0^2 |A^T y| sqrt(2 lambda_max L0)) of a start with s0 < 0: beyond 1 the size must turn negative."""
    force = 2 * ds.scale**2 * ds.pull_size * np.sqrt(2 * ds.lambda_max * ds.loss.isel(record=0))
    return (ds.ratio * ds.pull_along**2 / force).where(ds.pull_along < 0)


def _crossing_caption(ds):
    required, negative = opposed_start(ds), ended(ds) < 0
    highest = float(required.where(ended(ds) > 0).max())
    return (
        f"The sign of g at the end, from g0 > 0: {int(negative.sum()):,} of {negative.size:,} runs end with g < "
        "0. Left: the "
        f"share of seeds that do, of the {int((ds.pull_along < 0).sum())} of {ds.sizes['seed']} that start "
        "opposed to A^T y, "
        "with the lines beyond which one, and all, must. Middle: g_inf of each run of those seeds. Beyond 1 all "
        f"{int((required > 1).sum())} have crossed, as they must; that is enough, and not needed: the last that "
        "has not is at "
        f"{highest:.2f}. Right: the least g_inf over c of each start of all seeds: none that starts below the "
        "loss at zero "
        "crosses. Where g_inf < 0, x_inf = x* - sqrt(G) w_perp(0) exp(...), and a formula that takes g_inf > 0 "
        "is off by "
        "twice the excess."
    )


dots = dict(looks={None: {"colour": "blue", "marker": "."}})
crossing_map = ib.Figure(
    id="crossing-map",
    panels=[
        ib.panel(
            ib.map_of(
                lambda ds: (ended(ds) < 0).astype(float).where(ds.pull_along < 0),
                x="scale", y="ratio", limits=(0, 1), label=r"share with $g_\infty < 0$",
                contour={
                    "one must cross": lambda ds: np.log(opposed_start(ds).max("seed")),
                    "all must cross": lambda ds: np.log(opposed_start(ds).min("seed")),
                },
            ),
            title="opposed starts, $s_0 < 0$", **plane,
        ),
        ib.panel(
            ib.curves_of(ended, x=opposed_start, **dots),
            ib.level(0.0, line="-"), ib.across(1.0, "must cross"),
            title="opposed starts", log="x", xlim=(1e-4, None), ylim=(None, 2.5), y=r"$g_\infty / g_*$",
            x=r"$c\, s_0^2 / (2 g_0^2 |A^T y| \sqrt{2 \lambda_{\max} L_0})$",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: ended(ds).min("ratio"),
                x=lambda ds: (ds.loss.isel(record=0) / ds.loss_at_zero).median("ratio"), **dots,
            ),
            ib.level(0.0, line="-"), ib.across(1.0, "loss at zero"),
            title="all starts", ylim=(None, 2.5), x="first loss over the loss at zero",
            y=r"least $g_\infty / g_*$ over $c$",
        ),
    ],
    caption=_crossing_caption,
    claims=[
        "size-stays-positive-as-inferred", "size-turns-negative-from-an-opposed-start",
        "size-keeps-its-sign-below-the-saddle",
    ],
)  # fmt: skip


# -- excess-map: against gradient descent ------------------------------------------------------------------------------


def map_against(distance, slack, line, title):
    """log10 of WN's distance over that of a limit of GD."""
    return ib.panel(
        ib.map_of(
            lambda ds: np.log10(ib.curves.last(ds.excess) / distance(ds)),
            of={"method": "wn"}, x="scale", y="ratio", how="median", limits=(-1, 1),
            label=r"$\log_{10}$ of $|x - x_*|$ over GD's",
        ),
        frontier(slack, line),
        ib.across("g_star", "$g_*$", colour="white"),
        title=title, **plane,
    )  # fmt: skip


def section(ds, excess):
    """Over GD's distance, at a few ratios."""
    over = excess / (ds.scale * ds.w_perp)
    if "ratio" not in over.dims:
        return over
    return over.sel(ratio=np.unique(ds.ratio.sel(ratio=[0.3, 1, 3, 10], method="nearest")))


def ends(ds):
    return section(ds, ib.curves.last(ds.excess))


excess_map = ib.Figure(
    id="excess-map",
    panels=[
        map_against(lambda ds: ds.scale * ds.w_perp, theory.closer_than_descent, "as far as GD", "WN against GD"),
        ib.panel(
            ib.curves_of(
                ends, of={"method": "wn"}, x="scale", by="ratio", name="WN, $c = {:.2g}$",
                theory=lambda ds: section(ds, ds.limit_excess), theory_label="exact law",
            ),
            ib.curves_of(
                lambda ds: ends(ds).median("seed"), of={"method": "rpgd"}, x=lambda ds: ds.scale + 0 * ds.ratio,
                looks={None: ib.figures.Look("rPGD, median", "black", "x")},
            ),
            ib.level(1.0),
            title="sections", log="xy", x=plane["x"], y="$|x - x_*|$ over GD's",
        ),
        map_against(
            lambda ds: ds.g_star * ds.w_perp, theory.closer_than_printed_descent, "as far as GD as printed",
            "WN against GD as printed",
        ),
    ],
    caption="Distance of the solution from x* over that of GD from the same start, |x*| = {target_norm:g}, "
    "{seed.count} seeds. "
    "Left: WN over g0 |w_perp|, where GD ends, median over seeds, and the exact boundary, c = LM(G, g0^2) and g0 = g_inf, as a "
    "line: yellow is "
    "farther. Middle: sections of that map, medians and ranges, with the exact law; rPGD ends where WN does. "
    "Right: over "
    "g* |w_perp|, where GD ends as printed. Colours end at a tenth and ten times GD's.",
    claims=["excess-boundary-is-the-logarithmic-mean", "closer-than-printed-gd-below-its-ratio"],
)  # fmt: skip
