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

from .claims import SOURCE, BySeed, truth

CAP, NEAR = 20_000, 1e-2
COLUMNS = 50
LARGE, SMALL, HUGE = 0.1, 0.01, 1.0
RATIOS = {2: 0.1, 3: 0.3}
"""c at each depth: smaller ones come nearer to l1 and take longer, at L = 3 longer than the cap."""


def cell(*, method, depth, alpha, step, ratio, key, rows=20, columns=COLUMNS, nonzeros=3, noise=0.0):
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise, nonnegative=True)(key)
    scale = alpha * np.sqrt(columns)
    normalised = method == "wn"  # gradient descent has no ratio, and is run once for each
    inner = ib.Polar(scale) if normalised else ib.Euclidean(scale)
    stop = ib.loss_below(1e-8)
    descent = ib.Descent(step, ratio=ratio if normalised else 1.0, stop=stop, max_steps=CAP, bound=1e6)
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
    """One number a seed: `method` at its depth's ratio, from the start nearest to alpha. nan if a request left it out."""
    one = values.reindex({"method": [method], "depth": [str(depth)]}).isel(depth=0)
    one = one.isel({"method": 0}, drop=True).sel(ratio=RATIOS[depth], method="nearest").drop_vars(["ratio", "depth"])
    return one if alpha is None else one.sel(alpha=alpha, method="nearest").drop_vars("alpha")


def _lead(of, depth, alpha=None):
    """log(WN / GD): negative where weight normalisation has less."""

    def residual(ds):
        wn, gd = (pick(ds[of], method, depth, alpha) for method in ("wn", "gd"))
        return np.log(wn / gd) if alpha is not None else np.log(wn.min("alpha") / gd.min("alpha"))

    return residual


def _both_recover(depth, alpha=None):
    def slacks(ds):
        counts = [pick(ds.steps_to_recover, method, depth, alpha) for method in ("wn", "gd")]
        counts = counts if alpha is not None else [c.min("alpha") for c in counts]
        return {"both get there within the cap": xr.where(counts[0].notnull() & counts[1].notnull(), 1.0, -1.0)}

    return slacks


PAIRED = dict(kind=ib.Ordering(over="seed"), summary=summary, tolerance=lambda ds: 1.0)


def _from_large_start(depth):
    return BySeed(
        id=f"smaller-error-from-a-large-start-depth-{depth}",
        source=f"{SOURCE}, abstract: the bias persists at practically large starts, in contrast to plain flow",
        statement=f"L = {depth}, alpha = {LARGE}: WN (c = {RATIOS[depth]}) ends nearer to the sparse vector than GD",
        residual=_lead("end_error", depth, LARGE),
        because="paired over seeds, each law at the best of three steps",
        **PAIRED,
    )


def _persists(depth):
    return BySeed(
        id=f"recovers-from-a-large-start-depth-{depth}",
        source=f"{SOURCE}, abstract: the bias persists at practically large starts",
        statement=f"L = {depth}, alpha = {LARGE}: WN (c = {RATIOS[depth]}) ends within 1 % of the sparse vector",
        kind=ib.Inequality(),
        summary=summary,
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
    residual=lambda ds: np.log(pick(ds.end_error, "wn", 2, LARGE) / ds.least),
    because="paired over seeds",
    **PAIRED,
)

from_any_start = BySeed(
    id="recovers-from-any-start",
    source=f"{SOURCE}, abstract: practically large starts (asked without s0 < Q)",
    statement=f"L = 2, alpha = {HUGE}, where s0 = {COLUMNS} > Q: WN ends within 1 % of the sparse vector",
    kind=ib.Inequality(),
    summary=summary,
    residual=lambda ds: pick(ds.end_error, "wn", 2, HUGE),
    tolerance=lambda ds: NEAR,
    because="the threshold of the statement",
    expected="refuted",
)

faster = BySeed(
    id="fewer-steps-from-a-small-start",
    source=f"{SOURCE}, abstract: faster convergence",
    statement=f"L = 2, alpha = {SMALL}: WN is within 1 % of the sparse vector after fewer steps than GD",
    hypotheses=_both_recover(2, SMALL),
    residual=_lead("steps_to_recover", 2, SMALL),
    because="paired over the seeds where both get there, each law at the best of three steps",
    **PAIRED,
)

fastest = [
    BySeed(
        id=f"fewer-steps-from-the-best-start-depth-{depth}",
        source=f"{SOURCE}, abstract: faster convergence",
        statement=f"L = {depth}: at the best start and step of each, WN is within 1 % after fewer steps than GD",
        hypotheses=_both_recover(depth),
        residual=_lead("steps_to_recover", depth),
        because="paired over the seeds where both get there",
        **PAIRED,
    )
    for depth in (2, 3)
]

slower_at_depth_3 = BySeed(
    id="more-steps-from-a-small-start-depth-3",
    source=f"{SOURCE}, abstract: faster convergence (by measurement: not at every depth and start)",
    statement=f"L = 3, alpha = {SMALL}: WN is within 1 % of the sparse vector after more steps than GD",
    hypotheses=_both_recover(3, SMALL),
    residual=lambda ds: -_lead("steps_to_recover", 3, SMALL)(ds),
    because="paired over the seeds where both get there, each law at the best of three steps",
    **PAIRED,
)

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

    drawing, panels = plt.subplots(2, 2, figsize=(9.2, 6.2), sharex=True, sharey="row")
    for (top, bottom), depth in zip(panels.T, RATIOS):
        for method in LOOKS:
            _series(top, pick(end_error(ds), method, depth), method, ds.sizes["seed"])
            _series(bottom, pick(steps_to_recover(ds), method, depth), method, ds.sizes["seed"])
        top.axhline(NEAR, color="black", lw=0.8, ls=":")
        top.set(xscale="log", yscale="log", title=f"$L = {depth}$, $c = {RATIOS[depth]}$")
        bottom.set(yscale="log", xlabel=r"first size of each entry, $\alpha$")
        bottom.axhline(CAP, color="black", lw=0.8)
    panels[0][0].set_ylabel(r"$|x - x_0| / |x_0|$ at the end")
    panels[1][0].set_ylabel("steps until it is below 1 %")
    panels[1][0].annotate("cap", (1, CAP), (-2, 3), ("axes fraction", "data"), "offset points", ha="right", fontsize=9)
    panels[0][0].annotate("1 %", (1, NEAR), (-2, 3), ("axes fraction", "data"), "offset points", ha="right", fontsize=9)
    panels[0][0].legend()
    return drawing


def _caption(ds):
    got = {m: steps_to_recover(ds) for m in ("gd",)}["gd"].notnull()
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
        f"{CAP:,} steps they do: {counts}."
    )


figure = Figure(
    id="recovery", draw=_draw, caption=_caption,
    claims=["smaller-error-from-a-large-start-depth-2", "fewer-steps-from-a-small-start", "recovers-from-any-start"],
)  # fmt: skip


def least_l2(snapshot):
    """|x* - x0|, x* the interpolator of least l2 norm. A fact."""
    difference = ib.min_norm(snapshot.problem) - ib.truth(snapshot.problem)
    return (difference @ difference) ** 0.5


study = ib.Study(
    cell=cell,
    grids=ib.grid(
        method=["gd", "wn"], depth=[2, 3], seed=range(12), ratio=list(RATIOS.values()), alpha=ib.logspace(1e-3, 1, 7),
        step=[0.3, 0.1, 0.03],
    ),
    facts={"truth": truth, "least_l2": least_l2},
    observe={"error": ib.distance_to(ib.truth)},
    records=ib.log_records(60),
    claims=[
        sparse_bias, *large_starts, persists, from_any_start, faster, *fastest, slower_at_depth_3,
    ],
    figures=[figure],
    sizes={"paper": dict(seed=range(50), rows=40, columns=100, nonzeros=5, alpha=ib.logspace(1e-3, 1, 16))},
)  # fmt: skip
