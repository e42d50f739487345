r"""What does it take to reach x*?  Freeze g at g0 < g*, let w turn, release g.   (Wu et al. 2020, Theorem 2.6 II)

With c = 0 the flow of w on the sphere is dw/dt = g0 P_w q. A point of rest has q = mu w: either mu != 0 and w lies in
the row space, or mu = 0 and A g0 w = y, which needs g0 >= g*. So for g0 < g* the orthogonal part of w dies out, like
exp(-g0 integral mu), and since w_perp never returns (Lemma 2.5) releasing g then leads to x*. If A A^T = I the point of
rest is w* itself. Beyond g* the flow can stop at an interpolator with w_perp != 0, and does.
"""

import numpy as np

import implicit_bias as ib
from implicit_bias.evidence.curves import among
from implicit_bias.evidence.figures import COLOURS, Figure

from . import observables
from .claims import SOURCE

RELEASE, END = 400.0, 4_000.0  # moments of the records, too


def cell(*, course, matrix, fraction, key, rows=6, columns=15, target_norm=2.0):
    sampler = {"orthonormal": ib.linear.orthonormal, "gaussian": ib.linear.gaussian}[matrix]
    problem = sampler(rows, columns, target_norm=target_norm)(key)
    flow = {
        "frozen": ib.Flow(max_time=RELEASE, ratio=0.0, rtol=1e-10, atol=1e-14),
        "released": ib.Flow(
            max_time=END, ratio=ib.two_stage(0.0, 1.0, RELEASE), stop=ib.loss_below(1e-20), rtol=1e-10, atol=1e-14
        ),
    }[course]
    return ib.Run(problem, ib.Polar(fraction * target_norm), flow)


def _below(ds):
    return {"g0 < g*": 1 - ds.fraction}


def _on(ds, **chosen):
    """Slack of a hypothesis on static axes: 1 for the named ones, -1 for the others."""
    (axis, name), = chosen.items()  # fmt: skip
    return {f"{axis}: {name}": among(ds[axis], name)}


def _settling(ds):
    """g0 mu T: how many times over log|w_perp| falls by 1 until T, at the rate of the end."""
    return ds.fraction * ds.target_norm * ds.along.isel(record=-1) * RELEASE


FALLEN = 18.0  # exp(-18) = 1.5e-8
AT_T = (ib.Status.CAPPED, ib.Status.STALLED)
SMALL = 1e-6


def _settled(ds):
    return {"g0 mu T > 18 at the end": _settling(ds) - FALLEN}


def _at_release(ds):
    """log|w_perp| when g is let go."""
    return ds.log_w_perp.where(ds.clock == RELEASE).max("record")


def _time_to_turn(ds):
    """For A A^T = I the rate is g0 (g* - g0) and known beforehand; it says g0 < g*, with a margin for a finite T."""
    return {"g0 (g* - g0) T > 18": ds.fraction * (1 - ds.fraction) * ds.target_norm**2 * RELEASE - FALLEN}


turns = ib.Claim(
    id="frozen-w-turns-to-w*",
    source=f"{SOURCE}, Theorem 2.6 II, A A^T = I, with its missing hypothesis g0 < g*",
    statement="c = 0, A A^T = I, g0 < g*: w tends to w*",
    on="frozen",
    accepts=AT_T,
    hypotheses=lambda ds: _time_to_turn(ds) | _on(ds, matrix="orthonormal"),
    residual=lambda ds: ds.angle.isel(record=-1),
    tolerance=lambda ds: SMALL,
    because="|w_perp| falls like exp(-g0 (g* - g0) t) and w_parallel turns at least as fast; T is 18 such times or more",
)

turns_anywhere = ib.Claim(
    id="frozen-w-turns-to-w*-for-any-A",
    source=f"{SOURCE}, Theorem 2.6 II (asked of a general A, of which the text says: not necessarily)",
    statement="c = 0, a general A, g0 < g*: w tends to w*",
    on="frozen",
    accepts=AT_T,
    hypotheses=lambda ds: _below(ds) | _settled(ds) | _on(ds, matrix="gaussian"),
    residual=lambda ds: ds.angle.isel(record=-1),
    tolerance=lambda ds: SMALL,
    because="as for A A^T = I",
    expected="refuted",
)

size_of_targets = ib.Claim(
    id="g*-is-the-size-of-y",
    source=f"{SOURCE}, Theorem 2.6 II (after it), A A^T = I",
    statement="|g*| = |y| where A A^T = I",
    on="frozen",
    accepts=AT_T,
    hypotheses=lambda ds: _on(ds, matrix="orthonormal"),
    residual=lambda ds: abs(ds.g_star - np.sqrt(2 * ds.loss_at_zero)) / ds.g_star,
    tolerance=lambda ds: 1e-13,
    because="|A^T y| = |y|; a few roundings",
)

orthogonal_dies = ib.Claim(
    id="frozen-w_perp-dies",
    source=f"{SOURCE}, Theorem 2.6 II, any A, with its missing hypothesis g0 < g*",
    statement="c = 0, g0 < g*: w_perp tends to 0",
    on="frozen",
    accepts=AT_T,
    hypotheses=lambda ds: _below(ds) | _settled(ds),
    residual=lambda ds: np.exp(ds.log_w_perp.isel(record=-1)),
    tolerance=lambda ds: SMALL,
    because="d log|w_perp|/dt = -g0 (w.q); runs whose own rate is too slow for T are outside, and counted",
)

released_ends = ib.Claim(
    id="released-ends-at-x*",
    source=f"{SOURCE}, Theorem 2.6 II with the restart, with its missing hypothesis g0 < g*",
    statement="c = 0 until w has turned, then c = 1: x tends to x*, for any A",
    on="released",
    hypotheses=lambda ds: _below(ds) | {"w had turned": np.log(SMALL) - _at_release(ds)},
    residual=lambda ds: ds.excess.isel(record=-1),
    tolerance=lambda ds: 2 * ds.target_norm * SMALL,
    because="|x - x*| = g |w_perp| by the row space's zero loss, and w_perp only shrinks while g grows to g*",
)

beyond = ib.Claim(
    id="released-ends-at-x*-as-printed",
    source=f"{SOURCE}, Theorem 2.6 II with the restart (as printed: no hypothesis on g0)",
    statement="c = 0 for any g0, then c = 1: x tends to x*",
    on="released",
    residual=lambda ds: ds.excess.isel(record=-1),
    tolerance=lambda ds: 2 * ds.target_norm * SMALL,
    because="as for g0 < g*",
    expected="refuted",
)


def _draw(data):
    import matplotlib.pyplot as plt

    drawing, panels = plt.subplots(1, 2, figsize=(9.6, 3.9), sharey=True)
    ds = data["released"].to_dataset().isel(course=0)
    for panel, matrix in zip(panels, ds.matrix.values):
        for fraction, colour in zip(ds.fraction.values, ("sky", "blue", "green", "vermillion")):
            # nearest, because a float label is a place on an axis
            runs = ds.sel(matrix=matrix).sel(fraction=fraction, method="nearest")
            for seed in ds.seed.values:
                run = runs.sel(seed=seed)
                label = rf"$g_0 = {fraction:g}\,g_*$" if seed == ds.seed.values[0] else None
                panel.plot(run.clock, np.exp(run.log_w_perp), "-", lw=1, color=COLOURS[colour], label=label, alpha=0.8)
        panel.axvline(RELEASE, color="black", lw=0.8, ls=":")
        panel.set(yscale="log", xscale="log", ylim=(1e-9, 2), xlabel="time $t$", title=TITLES[matrix])
    panels[0].set_ylabel(r"$|w_\perp|$")
    panels[0].legend(fontsize=8.5, loc="lower left")
    panels[0].text(0.98 * RELEASE, 2e-9, "released", rotation=90, ha="right", va="bottom", fontsize=8.5)
    return drawing


TITLES = {"orthonormal": "$A A^T = I$", "gaussian": "Gaussian $A$"}


def _caption(data):
    ds = data["released"].to_dataset().isel(course=0)
    far = ds.excess.isel(record=-1).where(ds.fraction > 1)
    return (
        f"What is left of w_perp while g is frozen at g0 (up to the dotted line) and after its release with c = 1, "
        f"{ds.sizes['seed']} seeds. Below g* it dies out and the run ends at x*. At {float(ds.fraction.max()):g} g* the "
        f"frozen flow stops at an interpolator, and the run ends {float(far.min()):.2f} to {float(far.max()):.2f} away "
        f"from x* (|x*| = {float(ds.target_norm):g})."
    )


figure = Figure(
    id="frozen", draw=_draw, caption=_caption, claims=["released-ends-at-x*", "released-ends-at-x*-as-printed"]
)

axes = dict(seed=range(6), matrix=["orthonormal", "gaussian"], fraction=[0.2, 0.5, 0.8, 1.3])
study = ib.Study(
    cell=cell,
    grids=ib.grid(course="frozen", **axes) + ib.grid(course="released", **axes),
    facts={"g_star": ib.min_norm_size, "loss_at_zero": ib.loss_at_zero},
    observe={
        "excess": ib.distance_to(ib.min_norm),
        "angle": ib.angle_to(ib.min_norm),
        "log_w_perp": ib.orthogonal_log,
        "along": observables.along,
    },
    records=ib.records_at([*np.geomspace(0.1, RELEASE, 60), *np.geomspace(RELEASE, END, 20)[1:-1]]),
    claims=[turns, turns_anywhere, size_of_targets, orthogonal_dies, released_ends, beyond],
    figures=[figure],
    sizes={"paper": dict(seed=range(200), fraction=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.1, 1.2, 1.3, 1.5])},
)
