r"""Where can the WN flow rest?  Zero loss, or g = 0 with w orthogonal to A^T y: a strict saddle.   (Wu et al. 2020, Lemma 2.3)

Near the saddle, with s = <w, A^T y>, a = |A w|^2 and B = |A^T y|, the flow is linear,

    d/dt (g, s) = [[-c a, c], [B^2, 0]] (g, s),      rate of escape  = (-c a + sqrt(c^2 a^2 + 4 c B^2)) / 2 > 0.

Runs start at g = 1e-8 and s = 0 up to rounding: what grows first is this mode alone.
"""

import jax
import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.figures import COLOURS, Figure

from . import observables
from .claims import SOURCE

LOW, HIGH, END = 1e-5, 1e-3, 5_000.0


def cell(*, scale, ratio, key, rows=6, columns=15, target_norm=2.0, stop=1e-12):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    pull = problem.operator.T @ problem.target
    drawn = jax.random.normal(key.stream("direction"), (columns,))
    direction = drawn - pull * (pull @ drawn) / (pull @ pull)
    flow = ib.Flow(max_time=END, ratio=ratio, stop=ib.loss_below(stop), rtol=1e-10, atol=1e-16)
    return ib.Run(problem, ib.Polar(scale, direction), flow)


def data_size(snapshot):
    """a = |A w|^2 at the start, from the loss of x = g w: L(x) + L(-x) - 2 L(0) = g^2 a."""
    w = snapshot.theta.w
    losses = [snapshot.problem.loss(size * w) for size in (1.0, -1.0, 0.0)]
    return losses[0] + losses[1] - 2 * losses[2]


def escape_rate(ds):
    """The positive eigenvalue of the linearised flow."""
    decay = ds.ratio * ds.data_size
    return (-decay + np.sqrt(decay**2 + 4 * ds.ratio * ds.pull_size**2)) / 2


def _early(ds):
    size = abs(ds.g)
    return (size > LOW) & (size < HIGH)


def measured_rate(ds):
    """Slope of log|g| between LOW and HIGH: a line through the records there."""
    inside = _early(ds)
    t = ds.clock.where(inside)
    y = np.log(abs(ds.g)).where(inside)
    dt, dy = t - t.mean("record"), y - y.mean("record")
    return (dt * dy).sum("record") / (dt**2).sum("record")


escapes = ib.Claim(
    id="escape-rate-of-the-saddle",
    source=f"{SOURCE}, Lemma 2.3 (derived: the saddle is strict)",
    statement="log|g| grows at the rate (-c a + sqrt(c^2 a^2 + 4 c B^2))/2 as the flow leaves g = 0, <w, A^T y> = 0",
    hypotheses=lambda ds: {"3 records or more between 1e-5 and 1e-3": _early(ds).sum("record") - 3.0},
    residual=lambda ds: abs(measured_rate(ds) / escape_rate(ds) - 1),
    tolerance=lambda ds: 1e-3 + 10 * (ds.scale / LOW) ** 2,
    because="the decaying mode is below (g0/1e-5)^2 there; what the flow bends by is of the order of s^2 <= (g rate/c)^2",
)

reaches_zero_loss = ib.Claim(
    id="the-saddle-is-left",
    source=f"{SOURCE}, Lemma 2.3",
    statement="a run that starts beside the saddle ends with zero loss",
    kind=ib.Inequality(),
    accepts=(ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED),
    hypotheses=lambda ds: {
        "rate of escape x T > 60": escape_rate(ds) * END - 60,
        "c lambda_min T > 60": ds.ratio * ds.lambda_min * END - 60,
    },
    residual=lambda ds: ds.loss.isel(record=-1),
    tolerance=lambda ds: ds.stop * (1 + 1e-5),
    because="the stop rule; runs that would rest elsewhere end at the cap and count against it",
)


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9))
    one = ds.isel(scale=0, seed=0)
    colours = [COLOURS["blue"], COLOURS["sky"], COLOURS["vermillion"], COLOURS["green"], COLOURS["black"]]
    for i, ratio in enumerate(one.ratio.values[:: max(1, one.sizes["ratio"] // 3)]):
        run, colour = one.sel(ratio=ratio), colours[i % len(colours)]
        left.plot(run.clock, abs(run.g), "o", ms=3, color=colour, label=f"$c = {ratio:.2g}$")
        clock = run.clock.where(abs(run.g) < 0.5)
        anchor = int(np.argmax(abs(run.g).values > LOW))
        line = abs(run.g)[anchor] * np.exp(escape_rate(run) * (clock - run.clock[anchor]))
        left.plot(clock, line, "-", lw=0.9, color=colour)
    left.set(yscale="log", xlabel="time $t$", ylabel="$|g|$", ylim=(3e-9, 8), xlim=(0, 15), title="one seed")
    left.legend(fontsize=8.5, loc="lower right")
    closed, measured = xr.broadcast(escape_rate(ds), measured_rate(ds))
    right.plot(closed.values.ravel(), measured.values.ravel(), "o", ms=4, color=COLOURS["blue"])
    low, high = float(escape_rate(ds).min()), float(escape_rate(ds).max())
    right.plot([low, high], [low, high], "k-", lw=0.8)
    right.set(xscale="log", yscale="log", xlabel="rate of escape, closed form", ylabel="slope of $\\log|g|$, measured")
    right.set(title="all seeds and ratios")
    return drawing


def _caption(ds):
    gap = float(abs(measured_rate(ds) / escape_rate(ds) - 1).max())
    return (
        f"Leaving the saddle g = 0, w orthogonal to A^T y. Left: |g| along three flows from g = 1e-8 (points) and the "
        f"closed-form rate through the first point above 1e-5 (lines). Right: the slope of log|g| between 1e-5 and 1e-3 "
        f"against the closed form, {ds.status.size} runs; they differ by {gap:.1e} at most."
    )


figure = Figure(id="escape", draw=_draw, caption=_caption, claims=["escape-rate-of-the-saddle"])

study = ib.Study(
    cell=cell,
    grids=ib.grid(scale=[1e-8], seed=range(8), ratio=ib.logspace(0.1, 4, 8)),
    facts={"pull_size": observables.pull_size, "data_size": data_size, "lambda_min": ib.lambda_min},
    observe={"g": ib.size},
    records=ib.records_at([*np.linspace(0.1, 40, 400), *np.geomspace(41, END, 40)[:-1]]),
    claims=[escapes, reaches_zero_loss],
    figures=[figure],
    sizes={"paper": dict(seed=range(200), ratio=ib.logspace(0.03, 10, 24))},
)
