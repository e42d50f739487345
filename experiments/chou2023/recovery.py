r"""Does weight normalisation find the sparse solution from practically large starts, and sooner?  (Chou et al. 2023, abstract)

Descent on x = w^L from w_0 = alpha (1, ..., 1), with and without weight normalisation, on 20 measurements of 3 entries
out of 50. The abstract's three statements are asked of the end of the run and of the steps until |x - x0| < |x0|/100,
each at the best of three steps. Steps, sizes and counts are choices made here: the paper's were not at hand. A run that
does not get there in time is no number: it is left out of means and counted.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.evidence.runs import over_runs

from .claims import SOURCE, BySeed, truth

NEAR = 1e-2
SMALL, LARGE, HUGE = 0.001, 0.1, 1.0
RATIOS = {2: 0.1, 3: 0.3}
"""c at each depth: smaller ones come nearer to l1 and take longer, at L = 3 longer than the cap."""
FRESH = 12
"""Statements found by measurement were found on the seeds below this one, and are judged on the others."""


def cell(
    *, method, depth, alpha, step, ratio, key, rows=20, columns=50, nonzeros=3, noise=0.0, stop=1e-8, max_steps=20_000
):
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise, nonnegative=True)(key)
    scale = alpha * np.sqrt(columns)
    normalised = method == "wn"  # gradient descent has no ratio, and is run once for each
    inner = ib.Polar(scale) if normalised else ib.Euclidean(scale)
    rate = ratio if normalised else 1.0
    descent = ib.Descent(step, ratio=rate, stop=ib.loss_below(stop), max_steps=max_steps, bound=1e6)
    return ib.Run(problem, ib.Power(inner, depth), descent)


# -- what is read from the runs ----------------------------------------------------------------------------------------


def relative_error(ds):
    return ds.error / np.sqrt((ds.truth**2).sum("truth_0"))


def end_error(ds):
    """|x - x0| / |x0| at the end, at the best step; a run that diverged is no candidate."""
    return relative_error(ds).isel(record=-1).where(ds.status != ib.Status.DIVERGED).min("step")


def steps_to_recover(ds):
    """Steps until |x - x0| < |x0| / 100 at the best step, to the resolution of the records; nan where none got there."""
    clock = np.minimum(ds.clock, ds.steps)
    return clock.where(relative_error(ds) < NEAR).min("record").min("step")


def summary(ds):
    return {"end_error": end_error(ds), "steps_to_recover": steps_to_recover(ds), "least": least_error(ds)}


def least_error(ds):
    """|x* - x0| / |x0|, x* the interpolator of least l2 norm."""
    return ds.least_l2 / np.sqrt((ds.truth**2).sum("truth_0"))


def pick(values, method, depth, alpha=None):
    """One number a seed: `method` at its depth's ratio, from alpha. nan where a request left one of them out."""
    one = values.reindex({"method": [method], "depth": [str(depth)]}).isel(depth=0)
    one = one.isel({"method": 0}, drop=True).drop_vars("depth")
    one = one.reindex(ratio=[RATIOS[depth]], method="nearest", tolerance=1e-9).isel(ratio=0, drop=True)
    if alpha is None:
        return one
    return one.reindex(alpha=[alpha], method="nearest", tolerance=0.02 * alpha).isel(alpha=0, drop=True)


def _asked(depth, alpha):
    """Slack: whether the request has the ratio and the start that a claim speaks of."""
    return lambda ds: {"its c and alpha": _slack(pick(ds.end_error, "wn", depth, alpha).notnull())}


def _least_l1_finds(ds):
    """Slack: whether the nonnegative interpolator of least l1 norm is within half of 1 % of the sparse vector."""

    def off(A, y, hidden):
        return np.linalg.norm(ib.min_l1(A, y, nonnegative=True).x - hidden) / np.linalg.norm(hidden)

    drawn = (v.isel({"method": 0, "depth": 0}, missing_dims="ignore") for v in (ds.operator, ds.target, ds.truth))
    return NEAR / 2 - over_runs(ds, off, *drawn, one_by_one=True)  # a seed's data are those of all methods and depths


def _slack(holds):
    return xr.where(holds, 1.0, -1.0)


def _nearer(depth):
    """log(WN / GD) of the errors at the end: negative where weight normalisation has less."""
    return lambda ds: np.log(pick(ds.end_error, "wn", depth, LARGE) / pick(ds.end_error, "gd", depth, LARGE))


def who_is_first(ds, depth):
    """-1 where WN is within 1 % of the sparse vector after fewer steps than GD, 1 after more, 0 for a tie.

    Not to get there within the cap is later than to get there; nan where neither does.
    """
    wn, gd = (pick(ds.steps_to_recover, method, depth).fillna(np.inf) for method in ("wn", "gd"))
    return xr.where(np.isinf(wn) & np.isinf(gd), np.nan, xr.where(wn < gd, -1.0, xr.where(wn > gd, 1.0, 0.0)))


def _from(depth, low, high):
    """Of the starts low <= alpha <= high, the share at which GD is first less that at which WN is."""

    def lead(ds):
        return who_is_first(ds, depth).where((ds.alpha > 0.98 * low) & (ds.alpha < 1.02 * high)).mean("alpha")

    return lead


def _from_the_best(depth):
    """log(WN / GD) of the steps from the best start of each, a law that has not got there within the cap counted at it."""

    def lead(ds):
        wn, gd = (pick(ds.steps_to_recover, m, depth).min("alpha") for m in ("wn", "gd"))
        cap = float(ds.max_steps)
        return np.log(wn.fillna(cap) / gd.fillna(cap)).where(wn.notnull() | gd.notnull())

    return lead


def _compared(lead):
    def slacks(ds):
        return {"one of them gets there": _slack(lead(ds).notnull()), "fresh seeds": ds.seed - (FRESH - 0.5)}

    return slacks


PAIRED = dict(kind=ib.Ordering(over="seed"), summary=summary)


def _from_large_start(depth):
    return BySeed(
        id=f"smaller-error-from-a-large-start-depth-{depth}",
        source=f"{SOURCE}, abstract: the bias persists at practically large starts, in contrast to plain flow",
        statement=f"L = {depth}, alpha = {LARGE}: WN (c = {RATIOS[depth]}) ends nearer to the sparse vector than GD",
        hypotheses=_asked(depth, LARGE),
        residual=_nearer(depth),
        because="paired over seeds, each law at the best of three steps",
        **PAIRED,
    )


def _persists(depth):
    return BySeed(
        id=f"recovers-from-a-large-start-depth-{depth}",
        source=f"{SOURCE}, abstract: the bias persists at practically large starts",
        statement=f"L = {depth}, alpha = {LARGE}: WN (c = {RATIOS[depth]}) ends within 1 % of the sparse vector",
        summary=lambda ds: {**summary(ds), **{name: ds[name] for name in ("operator", "target", "truth")}},
        hypotheses=lambda ds: {**_asked(depth, LARGE)(ds), "least l1 finds it": _least_l1_finds(ds)},
        residual=lambda ds: pick(ds.end_error, "wn", depth, LARGE),
        tolerance=lambda ds: NEAR,
        because="the threshold of the statement",
    )


large_starts = [_from_large_start(2), _from_large_start(3)]
persists = _persists(2)

sparse_bias = BySeed(
    id="nearer-to-the-sparse-vector-than-least-squares",
    source=f"{SOURCE}, abstract: bias towards sparse solutions",
    statement=f"L = 2, alpha = {LARGE}: WN ends nearer to the sparse vector than the interpolator of least l2 norm is",
    hypotheses=_asked(2, LARGE),
    residual=lambda ds: np.log(pick(ds.end_error, "wn", 2, LARGE) / ds.least),
    because="paired over seeds",
    **PAIRED,
)

def _beyond_least(ds):
    """Slack of s0 = columns alpha^2 > |x0|_1 >= Q."""
    return {**_asked(2, HUGE)(ds), "s0 > Q": ds.columns * HUGE**2 - abs(ds.truth).sum("truth_0")}


from_any_start = BySeed(
    id="recovers-from-any-start",
    source=f"{SOURCE}, abstract: practically large starts (asked without s0 < Q)",
    statement=f"L = 2, alpha = {HUGE}, where s0 > Q: WN ends within 1 % of the sparse vector",
    kind=ib.Inequality(),
    summary=lambda ds: {**summary(ds), "truth": ds.truth},
    hypotheses=_beyond_least,
    residual=lambda ds: pick(ds.end_error, "wn", 2, HUGE),
    tolerance=lambda ds: NEAR,
    because="the threshold of the statement",
    expected="refuted",
)

faster_everywhere = [
    BySeed(
        id=f"fewer-steps-from-every-start-depth-{depth}",
        source=f"{SOURCE}, abstract: faster convergence (asked of the whole grid)",
        statement=f"L = {depth}: WN is within 1 % after no more steps than GD, from every alpha, {SMALL} among them",
        kind=ib.Inequality(),
        summary=summary,
        hypotheses=lambda ds, depth=depth: {
            "one of them gets there": _slack(who_is_first(ds, depth).notnull().any("alpha")),
            f"alpha = {SMALL} is asked": _slack(pick(ds.end_error, "gd", depth, SMALL).notnull()),
        },
        residual=lambda ds, depth=depth: who_is_first(ds, depth).max("alpha"),
        tolerance=lambda ds: 0.5,
        because="1 where GD is first, at the best of three steps of each; steps are told apart to a record",
        expected="refuted",
    )
    for depth in (2, 3)
]


def _by_measurement(name, statement, lead):
    return BySeed(
        id=name,
        source=f"{SOURCE}, abstract: faster convergence (by measurement: not at every depth and start)",
        statement=statement,
        hypotheses=_compared(lead),
        residual=lead,
        because=f"paired over seeds from {FRESH} on, that did not suggest it; each law at the best of three steps",
        **PAIRED,
    )


where_faster = [
    _by_measurement(
        "fewer-steps-from-middle-starts-depth-2",
        "L = 2: from most alpha in [0.01, 0.1] WN is within 1 % of the sparse vector after fewer steps than GD",
        _from(2, 0.01, 0.1),
    ),
    _by_measurement(
        "more-steps-from-small-starts-depth-3",
        "L = 3: from most alpha in [0.001, 0.01] WN is within 1 % of the sparse vector after more steps than GD",
        lambda ds: -_from(3, 0.001, 0.01)(ds),
    ),
    _by_measurement(  # at L = 3 it is 20 % fewer, +- 30 %, and which start is best hangs on the grid
        "fewer-steps-from-the-best-start-depth-2",
        "L = 2: at the best start and step of each, WN is within 1 % after fewer steps than GD",
        _from_the_best(2),
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

LOOKS = {"gd": ("GD", COLOURS["vermillion"], "s", "--"), "wn": ("WN", COLOURS["blue"], "o", "-")}


def _series(panel, values, method, count):
    """Median and range over the seeds that have a number; an open marker where some have none."""
    label, colour, marker, line = LOOKS[method]
    known = values.notnull().sum("seed")
    panel.fill_between(values.alpha, values.min("seed"), values.max("seed"), color=colour, alpha=0.15, lw=0)
    panel.plot(values.alpha, values.median("seed"), line, color=colour)
    for fill, chosen in ((colour, known == count), ("white", known < count)):
        panel.plot(values.alpha, values.median("seed").where(chosen), marker, color=colour, mfc=fill)
    panel.plot([], [], marker + line, color=colour, label=label)


def _draw(ds):
    import matplotlib.pyplot as plt

    cap = int(ds.max_steps)
    drawing, panels = plt.subplots(2, 2, figsize=(9.2, 6.2), sharex=True, sharey="row")
    for (top, bottom), depth in zip(panels.T, RATIOS):
        for method in LOOKS:
            _series(top, pick(end_error(ds), method, depth), method, ds.sizes["seed"])
            _series(bottom, pick(steps_to_recover(ds), method, depth), method, ds.sizes["seed"])
        top.axhline(NEAR, color="black", lw=0.8, ls=":")
        top.set(xscale="log", yscale="log", title=f"$L = {depth}$, $c = {RATIOS[depth]}$")
        bottom.set(yscale="log", xlabel=r"first size of each entry, $\alpha$")
        bottom.axhline(cap, color="black", lw=0.8)
    panels[0][0].set_ylabel(r"$|x - x_0| / |x_0|$ at the end")
    panels[1][0].set_ylabel("steps until it is below 1 %")
    panels[1][0].annotate("cap", (1, cap), (-2, 3), ("axes fraction", "data"), "offset points", ha="right", fontsize=9)
    panels[0][0].annotate("1 %", (1, NEAR), (-2, 3), ("axes fraction", "data"), "offset points", ha="right", fontsize=9)
    panels[0][0].fill_between([], [], color="0.4", alpha=0.15, lw=0, label="range over seeds")
    panels[0][0].legend()
    return drawing


def _caption(ds):
    got = steps_to_recover(ds).notnull()
    counts = ", ".join(
        f"{'WN' if m == 'wn' else 'GD'} at L = {d} from {int(pick(got.astype(float), m, d).sum())} of "
        f"{pick(got, m, d).size} starts"
        for d in RATIOS
        for m in LOOKS
    )
    return (
        f"Descent on x = w^L from w = alpha (1, ..., 1), best of {ds.sizes['step']} steps, median and range over "
        f"{ds.sizes['seed']} seeds. Top: relative distance to the sparse vector at the end of the run. Bottom: steps "
        f"until it is below 1 %, over the seeds that get there; an open marker says that some do not. Within "
        f"{int(ds.max_steps):,} steps they do: {counts}."
    )


figure = Figure(
    id="recovery", draw=_draw, caption=_caption,
    claims=["smaller-error-from-a-large-start-depth-2", "fewer-steps-from-every-start-depth-2", "recovers-from-any-start"],
)  # fmt: skip


def least_l2(snapshot):
    """|x* - x0|, x* the interpolator of least l2 norm. A fact."""
    difference = ib.min_norm(snapshot.problem) - ib.truth(snapshot.problem)
    return (difference @ difference) ** 0.5


study = ib.Study(
    cell=cell,
    grids=ib.grid(
        method=["gd", "wn"], depth=[2, 3], seed=range(FRESH, 2 * FRESH), ratio=list(RATIOS.values()), alpha=ib.logspace(1e-3, 1, 7),
        step=[0.3, 0.1, 0.03],
    ),
    facts={"operator": ib.operator, "target": ib.target, "truth": truth, "least_l2": least_l2},
    observe={"error": ib.distance_to(ib.truth)},
    records=ib.log_records(60),
    claims=[
        sparse_bias, *large_starts, persists, from_any_start, *faster_everywhere, *where_faster,
    ],
    figures=[figure],
    sizes={"paper": dict(seed=range(FRESH, 50 + FRESH), rows=40, columns=100, nonzeros=5, alpha=ib.logspace(1e-3, 1, 16))},
)  # fmt: skip
