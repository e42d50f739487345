"""The figures of `decay` and `frozen`."""

import numpy as np

import implicit_bias as ib

from .claims import ROUNDING

# -- decay: lambda_t of a step of rPGD, and its first order -------------------------------------------------------------


def negative(ds):
    """The share of recorded moments, in per cent."""
    return 100 * float((ds["lambda"].isel(record=slice(1, None)) < -ROUNDING).mean())


def of_runs_inside(ds, value):
    """Moments after the first step, of the runs that the claim speaks of."""
    return value.where((1 + ds.growth).min("record") >= 0).isel(record=slice(1, None))


def moments(decided, *look):
    """lambda_t / (eta g w.q), where its first order is larger, or not, than the bound on the rest."""

    def share(ds):
        moving = abs(ds.growth) > 1e-9
        larger = abs(ds.first_order) > ds.second_order
        return of_runs_inside(ds, (ds["lambda"] / ds.growth).where(moving & (larger == decided)))

    return ib.runs_of(
        share, x=lambda ds: of_runs_inside(ds, ds.g**2 / ds.ratio), join=False, accepts=None,
        looks={None: ib.figures.Look(*look)},
    )  # fmt: skip


def first_order_law(axes, ds):
    square = np.geomspace(*of_runs_inside(ds, ds.g**2 / ds.ratio).quantile([0.0, 1.0]).values, 200)
    axes.plot(square, 1 - 1 / square, color="black", lw=1.2, label="$1 - c / g^2$")


def rest(ds):
    return abs(ds["lambda"] - ds.first_order) / (ds.second_order + ROUNDING)


def _decay_caption(ds):
    moving = of_runs_inside(ds, ds["lambda"].where(abs(ds.growth) > 1e-9))
    decided = moving.notnull() & (abs(ds.first_order) > ds.second_order).isel(record=slice(1, None))
    return (
        "The decay lambda_t of rPGD's step in the form x' = (1 - lambda_t) x - s_t grad L(x), at the recorded "
        "moments of the "
        f"{int((moving.notnull().any('record')).sum())} of {ds.status.size} runs with 1 + eta g w.q > 0, |x*| = "
        f"{float(ds.target_norm):g}. Left: over eta g w.q, which is positive where g grows: 1 - c/g^2 to first "
        "order, so that a "
        "growing g comes with a stretch (lambda_t < 0) while g^2 < c and with a decay after that. At "
        f"{int(decided.sum())} of "
        f"{int(moving.notnull().sum())} moments the first order is larger than the bound on the rest, and decides "
        "the sign. "
        f"Right: the rest over that bound. Of all recorded moments, {negative(ds):.0f} % are a stretch."
    )


decay = ib.Figure(
    id="decay",
    panels=[
        ib.panel(
            moments(False, "rest may be larger", "orange", "x"),
            moments(True, "first order is larger", "blue", "."),
            ib.figures.drawn(first_order_law, accepts=None),
            ib.level(0.0), ib.across(1.0, "$g^2 = c$"),
            x="$g^2 / c$", y=r"$\lambda_t / (\eta\, g\, w^T q)$", log="x",
            title="growing $g$: stretch below 0, decay above",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: of_runs_inside(ds, rest(ds)).max("seed").dropna("scale", how="all"),
                x=lambda ds: ds.clock[1:], by="scale", name="$g_0 = {:g}$", accepts=None,
            ),
            ib.level(1.0, "the bound", line="-"),
            x="step", y="$|\\lambda_t - $ first order| over the bound", title="worst of the seeds",
            log="x", ylim=(0, 1.15),
        ),
    ],
    caption=_decay_caption,
    claims=["rpgd-decays-while-g-grows-beyond-sqrt(c)", "rpgd-decay-is-positive-as-one-might-read"],
)  # fmt: skip


# -- frozen: g held, then released -------------------------------------------------------------------------------------

MATRICES = {"orthonormal": ("$A A^T = I$", "blue", "o", "-"), "gaussian": ("Gaussian $A$", "vermillion", "x", "--")}
by_matrix = dict(x="fraction", by="matrix", looks=MATRICES, join=False, accepts=None)
turning = dict(x="clock", by="fraction", name=r"$g_0 = {:g}\,g_*$", on="frozen", accepts=None)
turning["of"] = {"matrix": "orthonormal"}


def rate_of_the_end(ds):
    """exp(-g0 (g* - g0) t) through t = 15."""
    at, rate = np.argmin(abs(ds.clock.values - 15.0)), ds.fraction * (1 - ds.fraction) * ds.target_norm**2
    log = ds.log_w_perp.isel(record=at) - rate * (ds.clock - ds.clock[at])
    return np.exp(log.where((rate > 0) & (ds.clock > 2)))


def where_it_stops(axes, ds):
    """A g0 w = y with q = 0 leaves |w_perp|^2 = 1 - (g*/g0)^2."""
    fraction = np.linspace(float(ds.fraction.min()), float(ds.fraction.max()), 200)
    away = np.sqrt(np.maximum(fraction**2 - 1, 0))
    axes.plot(fraction, away, "k-", lw=1.2, zorder=1.8, label=r"0, then $\sqrt{(g_0/g_*)^2 - 1}$")


frozen = ib.Figure(
    id="frozen",
    panels=[
        ib.panel(
            ib.curves_of(lambda ds: np.exp(ds.log_w_perp), **turning),
            ib.theory_of(rate_of_the_end, label="rate $g_0 (g_* - g_0)$", **turning),
            x="time $t$, $g$ frozen", y=r"$|w_\perp|$", title="$A A^T = I$", log="y", xlim=(0, 40), ylim=(1e-9, 3),
        ),
        ib.panel(
            ib.runs_of("angle", on="frozen", **by_matrix),
            ib.across(1.0, "$g_*$", on="frozen"),
            x="$g_0 / g_*$", y="angle of $w$ to $x_*$", title="when $g$ is released", log="y",
        ),
        ib.panel(
            ib.runs_of(lambda ds: ds.excess / ds.target_norm, on="released", **by_matrix),
            ib.figures.drawn(where_it_stops, on="released", accepts=None),
            ib.across(1.0, "$g_*$", on="released"),
            x="$g_0 / g_*$", y="$|x - x_*| / g_*$", title="at the end",
        ),
    ],
    caption="g frozen at g0, then released with c = 1; {seed.count} seeds. Left, median and range: for g0 < g* "
    "the orthogonal "
    "part dies out at the rate g0 (g* - g0); beyond g* it stays. Middle: by the time of the release w points at x* if "
    "A A^T = I and g0 < g*, and not for a general A. Right: nevertheless every run from g0 < g* ends at x*, for "
    "either A; "
    "from beyond g* the frozen flow stops at an interpolator, with |w_perp|^2 = 1 - (g*/g0)^2, which no release "
    "leaves.",
    claims=[
        "frozen-w-turns-to-w*", "frozen-w-turns-to-w*-for-any-A", "released-ends-at-x*",
        "released-ends-at-x*-as-printed",
    ],
)  # fmt: skip
