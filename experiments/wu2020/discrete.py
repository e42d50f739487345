r"""What survives of the theory in discrete steps, and under other laws?  |w'|^2 = |w|^2 + eta^2 |grad_w h|^2.   (Wu et al. 2020, Sect. 2)

The flow conserves |w|; a step of WN adds exactly eta^2 |grad_w h|^2 to its square, because grad_w h is orthogonal to w.
Theorem 2.6 I is a statement on gradient descent with small steps. Mini-batch SGD, heavy ball and Adam run here beside
it from the same starts and are *outside its hypotheses*: counted, drawn, and never evidence for or against it. What
SGD does share is the direction of w_perp, because its steps lie in the span of the data and w. Those of Adam do not.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib
from implicit_bias import _vectors
from implicit_bias.evidence.curves import among, last
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.theory import weight_normalisation as theory

from .claims import SOURCE, descent_tolerance, law

LAWS = {
    "gd": ib.gradient_descent,
    "heavy_ball": lambda: ib.heavy_ball(0.9),
    "adam": ib.adam,
    "sgd": ib.gradient_descent,
}


def cell(
    *, law, scale, key, step=2e-3, ratio=1.0, batch=3, stop=1e-9, rows=10, columns=25, target_norm=1.5
):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    descent = ib.Descent(
        step,
        ratio=ratio,
        law=LAWS[law](),
        batch=ib.minibatch(batch, key) if law == "sgd" else None,
        stop=ib.loss_below(stop),
        max_steps=60_000,
    )
    return ib.Run(problem, ib.Polar(scale), descent)


def growth_gap(before, after):
    """(|w'|^2 - |w|^2 - eta^2 |grad_w h|^2) / |w'|^2 for the gradient of the whole loss at the old point."""
    run, theta = before.run, before.carried.theta
    _, gradient = run.objective.value_and_gradient(theta)
    force = _vectors.square_speed(theta.w, run.chart.velocity(theta, gradient).w)
    new, old = _vectors.square_norm(after.carried.theta.w), _vectors.square_norm(theta.w)
    return jnp.abs(new - old - run.dynamics.step**2 * force) / new


def _growth(ds):
    return last(ds.weight_norm) ** 2 - 1


ROUNDING = 32 * np.finfo(float).eps

norm_grows = ib.Claim(
    id="weight-norm-identity",
    source=f"{SOURCE}, Section 2 (derived)",
    statement="|w'|^2 = |w|^2 + eta^2 |grad_w h|^2 at every step of WN by gradient descent",
    hypotheses=lambda ds: {
        "gradient descent": among(ds.law, "gd"),
        "|w| grew visibly": _growth(ds) - 1e6 * ROUNDING,
    },
    residual=lambda ds: ds.growth_gap,
    tolerance=lambda ds: ROUNDING,
    because="exact; sums of a dozen rounded squares, relative to |w|^2, at the worst of all steps: 32 eps",
)

norm_constant = ib.Claim(
    id="weight-norm-constant-in-steps",
    source=f"{SOURCE}, Section 2: |w| is constant under the flow (here asked of steps)",
    statement="|w| = 1 at the end of descent",
    hypotheses=lambda ds: {"gradient descent": among(ds.law, "gd")},
    residual=_growth,
    tolerance=lambda ds: ROUNDING,
    because="as for the identity",
    expected="refuted",
)


limit_law = ib.Claim(
    id="limit-law-of-gradient-descent",
    source=f"{SOURCE}, Theorem 2.6 I (corrected)",
    statement="|x| -> sqrt(G), G (1 - a exp((g0^2 - G)/c)) = g*^2, under gradient descent; other laws are outside",
    hypotheses=lambda ds: {"gradient descent": among(ds.law, "gd")},
    residual=lambda ds: abs(last(ds.norm) - theory.limit_norm(**law(ds))),
    tolerance=descent_tolerance,
    because="stop rule: row (1 + |x - x*| |x| / c); step: |x - x*| (eta / 2) L0 max(1, |x|^2 / c); factor 2",
)


def _turned(ds):
    """|e - e_0| for the unit vector e along w_perp, up to the sign that g and w_perp share."""
    first, now = ds.direction.isel(record=0), ds.direction.isel(record=-1)
    inner = [d for d in first.dims if d.startswith("direction")]
    return np.minimum(np.sqrt(((now - first) ** 2).sum(inner)), np.sqrt(((now + first) ** 2).sum(inner)))


def _turn_tolerance(ds):
    return np.sqrt(ds.steps) * np.finfo(float).eps * 10 / np.exp(last(ds.log_w_perp))


span_kept = ib.Claim(
    id="orthogonal-direction-is-kept",
    source=f"{SOURCE}, Lemma 2.5 (the argument, for each step)",
    statement="w_perp keeps its direction under mini-batch SGD: each step lies in the span of the data and w",
    hypotheses=lambda ds: {"mini-batch SGD": among(ds.law, "sgd")},
    residual=_turned,
    tolerance=_turn_tolerance,
    because="exact; rounding of 10 eps |w| a step at random, over |w_perp|. GD and heavy ball are run in coordinates "
    "that hold one orthogonal direction, so that they would show nothing",
)

adam_turns = ib.Claim(
    id="orthogonal-direction-is-kept-by-adam",
    source=f"{SOURCE}, Lemma 2.5 (asked of a law that leaves the span)",
    statement="w_perp keeps its direction under Adam",
    hypotheses=lambda ds: {"Adam": among(ds.law, "adam")},
    residual=_turned,
    tolerance=_turn_tolerance,
    because="as for SGD",
    expected="refuted",
)

LOOKS = {
    "gd": ("gradient descent", COLOURS["blue"], "o"),
    "sgd": ("mini-batch SGD", COLOURS["sky"], "x"),
    "heavy_ball": ("heavy ball 0.9", COLOURS["orange"], "^"),
    "adam": ("Adam", COLOURS["vermillion"], "s"),
}


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8))
    size = last(ds.norm).where(ds.status == ib.Status.CONVERGED)
    turned = np.maximum(_turned(ds), 1e-17)
    for name, (label, colour, marker) in LOOKS.items():
        if name not in ds.law:
            continue
        mean, spread = size.sel(law=name).mean("seed"), size.sel(law=name).std("seed")
        left.fill_between(ds.scale, mean - spread, mean + spread, color=colour, alpha=0.18, lw=0)
        left.plot(ds.scale, mean, marker, color=colour, label=label, mew=1.3, zorder=3)
        right.fill_between(
            ds.scale,
            *(getattr(turned.sel(law=name), m)("seed") for m in ("min", "max")),
            color=colour,
            alpha=0.18,
            lw=0,
        )
        right.plot(ds.scale, turned.sel(law=name).median("seed"), marker + "-", color=colour, lw=0.8, mew=1.3)
    exact = theory.limit_norm(**law(ds.isel(law=0))).mean("seed")
    left.plot(ds.scale, exact, color="black", lw=1.2, label="exact law of gradient descent", zorder=2)
    left.axhline(float(ds.g_star.mean()), color="black", lw=0.8, ls=":")
    left.annotate(
        r"$|x_*|$", (1, float(ds.g_star.mean())), (4, 0), ("axes fraction", "data"), "offset points", va="center"
    )
    left.set(
        xscale="log",
        xlabel=r"initial size $|x_0| = g_0$",
        ylabel=r"size of the solution $|\hat{x}|$",
        title="where each law ends",
    )
    left.legend(fontsize=8.5)
    right.set(
        xscale="log",
        yscale="log",
        xlabel=r"initial size $g_0$",
        ylabel=r"$|e - e_0|$, $e = w_\perp / |w_\perp|$",
        title="turn of the orthogonal direction",
    )
    return drawing


laws = Figure(
    id="laws",
    draw=_draw,
    caption=lambda ds: (
        f"Weight normalisation under four laws from the same starts, to loss {float(ds.stop):g} (SGD in batches of {int(ds.batch)}). Left: size of the interpolator, "
        f"mean and standard deviation over {ds.sizes['seed']} seeds, against the exact law of Theorem 2.6 I, which speaks of "
        "gradient descent alone: the runs of the other laws are outside its hypotheses and enter no verdict on it. Right: "
        "how far the direction of w_perp has turned, median and range over seeds: SGD keeps it to rounding, Adam does not; "
        "gradient descent and heavy ball are run in coordinates that hold one such direction (1e-17 stands for 0). "
        f"{int((ds.status != ib.Status.CONVERGED).sum())} of {ds.status.size} runs did not converge."
    ),
    claims=["limit-law-of-gradient-descent", "orthogonal-direction-is-kept", "orthogonal-direction-is-kept-by-adam"],
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(law=list(LAWS), seed=range(5), scale=ib.logspace(0.1, 3, 8)),
    facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size, "lambda_min": ib.lambda_min},
    observe={
        "norm": ib.norm(2),
        "weight_norm": ib.weight_norm,
        "log_w_perp": ib.orthogonal_log,
        "direction": ib.orthogonal_direction,
        "growth_gap": ib.worst_change(growth_gap),
    },
    records=ib.log_records(8),
    claims=[norm_grows, norm_constant, limit_law, span_kept, adam_turns],
    figures=[laws],
    sizes={"paper": dict(seed=range(100), scale=ib.logspace(0.03, 6, 24))},
)
