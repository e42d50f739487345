r"""Which separator do GD, WN and rPGD choose?  sum l(y_i <a_i, x>), l logistic or exponential.   (Wu et al. 2020, App. D; Soudry et al. 2018)

No interpolator exists: the loss goes to 0 as x goes to infinity along the max-margin direction u,

    x = |u-part| u + x_perp,        x_perp -> a constant, so that  angle(x, u) ~ |x_perp| / |x|,  |x| ~ log(1/L) / margin.

Where every example is a support vector (K a = 1 has a > 0, K = y A A^T y), the constant is known: the forces balance
where exp(-z_i) is proportional to a_i, which fixes the part of x_perp in the row space, delta; gradient descent keeps
g0 w_perp(0) beside it, and weight normalisation forgets it like exp(-g^2/2c):

    |x_perp|^2 -> |delta|^2 + g0^2 |w_perp(0)|^2   (GD),        |delta|^2   (WN, rPGD).

A constant step takes 1/L steps to a loss L; a step over the loss takes log(1/L) of them. Runs to a given loss end at
log(1/L) = `depth`. The last grid follows log|w_perp| + g^2/2c to |w_perp| below the least number of float64.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib
from implicit_bias.evidence.curves import last
from implicit_bias.evidence.figures import COLOURS, Figure

from .claims import SAFETY, SOURCE

SOUDRY = "Soudry et al. 2018, Theorem 3"
LOSSES = {"logistic": ib.logistic, "exponential": ib.exponential}
STEPS = {"gd": 0.05, "wn": 2e-4, "rpgd": 2e-4}  # the Hessian of log L is at most that of x for GD, g^2 times it for WN


def cell(
    *,
    method,
    scale,
    key,
    depth=None,
    pace="over_loss",
    step=None,
    ratio=10.0,
    objective="logistic",
    cap=5_000,
    rows=6,
    columns=48,
):
    problem = ib.linear.gaussian(rows, columns, loss=LOSSES[objective])(key)
    weights = {"gd": ib.Euclidean(scale), "wn": ib.Polar(scale), "rpgd": ib.Sphere(scale)}[method]
    step = STEPS[method] if step is None else step
    return ib.Run(
        problem,
        weights,
        ib.Descent(
            ib.over_loss(step) if pace == "over_loss" else step,
            ratio=1.0 if method == "gd" else ratio,
            stop=None if depth is None else ib.loss_below(jnp.exp(-depth)),
            max_steps=cap if depth is None else 2_000_000,
        ),
    )


# -- facts: the balance of forces at infinity, where every example supports the separator ------------------------------


def _balance(snapshot):
    """B = diag(y) A, K = B B^T, and a = K^{-1} 1, which is the dual solution where it is positive."""
    labelled = snapshot.problem.target[:, None] * snapshot.problem.operator
    gram = labelled @ labelled.T
    return labelled, gram, jnp.linalg.solve(gram, jnp.ones(len(gram)))


def least_support(snapshot):
    """min_i a_i / mean a, a = K^{-1} 1: positive where every example is a support vector."""
    _, _, weights = _balance(snapshot)
    return jnp.min(weights) / jnp.mean(weights)


def offset(snapshot):
    """|delta|: the row-space part of x_perp at which exp(-z_i) is proportional to a_i; nan if some a_i is negative."""
    _, gram, weights = _balance(snapshot)
    level = -jnp.log(weights)
    along = jnp.sum(weights * level)  # u takes what all z_i have in common
    return jnp.sqrt(level @ jnp.linalg.solve(gram, level) - along**2 / jnp.sum(weights))


def relaxation(snapshot):
    """kappa: under gradient flow x_perp settles like exp(-kappa log(1/L)), the least curvature of log L over margin^2."""
    labelled, _, weights = _balance(snapshot)
    share = weights / jnp.sum(weights)
    basis, triangular = jnp.linalg.qr(labelled.T)
    along = basis.T @ (labelled.T @ share)
    project = jnp.eye(len(share)) - jnp.outer(along, along) / (along @ along)
    curvature = triangular @ (jnp.diag(share) - jnp.outer(share, share)) @ triangular.T
    return jnp.linalg.eigvalsh(project @ curvature @ project)[1] / (along @ along)  # [0] belongs to u


# -- claims ------------------------------------------------------------------------------------------------------------

TO_A_DEPTH, TO_THE_CAP, BELOW_FLOAT = "gd+wn+rpgd", "gd constant+over_loss", "wn"


def _descends(ds):
    return ds.method == "gd"


def _offset_law(ds):
    kept = (ds.scale * ds.w_perp) ** 2
    return np.sqrt(ds.offset**2 + kept.where(_descends(ds), 0.0))


def _offset(ds):
    return last(ds.norm) * np.sin(last(ds.angle))


def _settling(ds):
    """Relaxation times passed: kappa d log(1/L), times g^2/c = (margin log(1/L))^2/c under WN."""
    faster = ds.depth**2 / (3 * ds.ratio * ds.best_margin**2)
    return ds.relaxation * ds.depth * (1.0 + 0 * faster).where(_descends(ds), faster)


def _offset_tolerance(ds):
    law = _offset_law(ds)
    memory = np.exp(-_settling(ds)) * (ds.scale + law)
    lag = (ds.offset / (ds.relaxation * ds.depth)).where(~_descends(ds), 0.0)
    reference = _uncertainty(ds) * ds.depth / ds.best_margin
    return SAFETY * (memory + lag + law * np.exp(-ds.depth)) + reference


def _uncertainty(ds):
    """The angle that the certificate of the reference leaves open; a rounded gap may come out below 0."""
    return np.sqrt(np.maximum(ds.max_margin_gap, np.finfo(float).eps))


SETTLED = {
    "every example supports": lambda ds: ds.least_support - 1e-3,
    "settled to 1e-3": lambda ds: _settling(ds) - 7,
}

certified = ib.Claim(
    id="separator-is-certified",
    source="weak duality",
    statement="the relative duality gap of the reference separator u is at rounding",
    on=TO_A_DEPTH,
    residual=lambda ds: abs(ds.max_margin_gap),
    tolerance=lambda ds: 1e-13,
    because="a feasible pair of primal and dual, each a sum of a few rounded products; u is then exact to sqrt(gap)",
)

offset_law = ib.Claim(
    id="separator-offset",
    source=f"{SOURCE}, Appendix D with {SOUDRY} (derived)",
    statement="|x - <x,u>u|^2 -> |delta|^2 + g0^2 |w_perp(0)|^2 for GD, |delta|^2 for WN and rPGD",
    on=TO_A_DEPTH,
    hypotheses=lambda ds: {name: slack(ds) for name, slack in SETTLED.items()},
    residual=lambda ds: abs(_offset(ds) - _offset_law(ds)),
    tolerance=_offset_tolerance,
    because="memory of the start exp(-settling); WN balances across x, not u: |delta| / (kappa depth); certificate",
)

angle_decays = ib.Claim(
    id="angle-decays-like-1/log(1/L)",
    source=SOUDRY,
    statement="under GD the angle to the max-margin direction falls like 1/log(1/L), which is 1/log t",
    kind=ib.Exponent(against="depth", value=-1.0, within=0.1),
    on=TO_A_DEPTH,
    hypotheses=lambda ds: {"GD": _descends(ds) - 0.5} | {name: slack(ds) for name, slack in SETTLED.items()},
    residual=lambda ds: last(ds.angle),
    because="|x| = (log(1/L) + O(1)) / margin: the constant bends the slope by a few per cent at these depths",
)

margin_grows = ib.Claim(
    id="margin-approaches-the-largest",
    source=SOUDRY,
    statement="the margin of x/|x| approaches the largest that exists, like 1/log(1/L)",
    kind=ib.Limit(against="depth", towards="infinity"),
    on=TO_A_DEPTH,
    residual=lambda ds: 1 - last(ds.margin) / ds.best_margin,
    tolerance=lambda ds: SAFETY * np.log(ds.rows) / ds.depth + (_offset_law(ds) * ds.best_margin / ds.depth) ** 2,
    because="mean_a z - min z <= log m at balance, out of log(1/L), factor 2 off balance; 1 - cos(angle)",
)


def _among(ds, axis, *words):
    """The last angle at some words of an axis; nan where a request left them out."""
    return last(ds.angle).reindex({axis: list(words)})


forgets_the_start = ib.Claim(
    id="wn-nearer-to-max-margin-at-equal-loss",
    source=f"{SOURCE}, Appendix D (derived)",
    statement="at equal loss WN and rPGD are nearer to the max-margin direction than GD",
    kind=ib.Ordering(over="seed"),
    on=TO_A_DEPTH,
    residual=lambda ds: _among(ds, "method", "wn", "rpgd").max("method") - _among(ds, "method", "gd").max("method"),
    because="paired over seeds; GD keeps g0 w_perp(0), which WN forgets",
)

over_loss_is_faster = ib.Claim(
    id="step-over-loss-is-faster",
    source="Nacson et al. 2019 (by measurement)",
    statement="after equally many steps the angle is smaller with the step over the loss than with the constant step",
    kind=ib.Ordering(over="seed"),
    on=TO_THE_CAP,
    accepts=(ib.Status.ESCAPING,),
    residual=lambda ds: _among(ds, "pace", "over_loss").max("pace") - _among(ds, "pace", "constant").max("pace"),
    because="paired over seeds",
)


def _drift(ds):
    return abs(ds.log_invariant - ds.log_invariant.isel(record=0)).isel(record=-1)


below_float = ib.Claim(
    id="invariant-below-float64",
    source=f"{SOURCE}, Lemma 2.5 and Appendix D",
    statement="log|w_perp| + g^2/2c drifts in proportion to the step where |w_perp| itself is no number of float64",
    kind=ib.Exponent(against="step", value=1.0, within=0.1),
    on=BELOW_FLOAT,
    hypotheses=lambda ds: {"|w_perp| < 5e-324": np.log(5e-324) - last(ds.log_w_perp)},
    residual=_drift,
    because="first-order methods; the next order bends the slope by eta g margin, a few per cent",
)

# -- figures -----------------------------------------------------------------------------------------------------------

LOOKS = {
    "gd": ("GD", COLOURS["vermillion"], "s", "--"),
    "wn": ("WN", COLOURS["blue"], "o", "-"),
    "rpgd": ("rPGD", COLOURS["sky"], "x", ":"),
}
PACES = {
    "constant": ("constant step", COLOURS["orange"], "-."),
    "over_loss": ("step over the loss", COLOURS["green"], "-"),
}


def _one(data, name):
    """A grid with one objective: the figures show the first."""
    ds = data[name].to_dataset()
    return ds.isel(objective=0) if "objective" in ds.dims else ds


def _band(panel, x, values, colour, line):
    panel.fill_between(x, values.min("seed"), values.max("seed"), color=colour, alpha=0.18, lw=0)
    return panel.plot(x, values.median("seed"), line, color=colour, ms=4)


def _draw_pace(data):
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8))
    ds = _one(data, TO_THE_CAP).isel(scale=-1)
    ds = ds.isel({"method": 0})
    for pace, (label, colour, line) in PACES.items():
        if pace in ds.pace:
            (drawn,) = _band(
                left,
                ds.clock.isel(pace=0)[1:],
                ds.angle.sel(pace=pace).isel(record=slice(1, None)).transpose("record", "seed"),
                colour,
                line,
            )
            drawn.set_label(label)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="step $k$",
        ylabel="angle to max-margin direction",
        title=f"GD, $g_0 = {float(ds.scale):g}$",
    )
    left.legend(fontsize=8.5)
    ds = _one(data, TO_A_DEPTH).isel(scale=-1)
    law = np.arctan(_offset_law(ds) * ds.best_margin / ds.depth).where(ds.least_support > 0)
    for method, (label, colour, marker, line) in LOOKS.items():
        if method not in ds.method:
            continue
        here = {"method": method}
        angle = last(ds.angle).where(ds.least_support > 0).sel(here)
        low, middle, high = (angle.quantile(q, "seed") for q in (0, 0.5, 1))
        right.errorbar(
            ds.depth,
            middle,
            [middle - low, high - middle],
            fmt=marker,
            color=colour,
            label=f"{label}, measured",
            lw=1,
            capsize=2,
        )
        if method != "rpgd":
            right.plot(ds.depth, law.sel(here).median("seed"), line, color=colour, lw=1.2, label=f"{label}, law")
    right.set(
        xscale="log", yscale="log", xlabel=r"depth $\log(1/L)$", title=f"at equal loss, $g_0 = {float(ds.scale):g}$"
    )
    right.set_xticks(ds.depth.values, [f"{d:g}" for d in ds.depth.values])
    right.xaxis.set_minor_locator(NullLocator())
    right.set_ylim(bottom=0.2 * right.get_ylim()[0])  # room for the legend
    right.legend(fontsize=8.5, ncols=2, loc="lower left")
    return drawing


angles = Figure(
    id="angles",
    draw=_draw_pace,
    caption="Angle to the max-margin separator on separable data, logistic loss; median and range over seeds. Left: GD with "
    "one eta, constant or over the loss; both grow without end (status escaping). Right: runs to a loss e^-depth, with the "
    "lines |x_perp| margin / log(1/L) at infinity: GD keeps g0 w_perp(0), WN and rPGD forget it (and lag by 1/log(1/L)).",
    claims=[
        "separator-offset",
        "angle-decays-like-1/log(1/L)",
        "wn-nearer-to-max-margin-at-equal-loss",
        "step-over-loss-is-faster",
    ],
)


def _draw_below(data):
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8))
    ds = _one(data, BELOW_FLOAT).isel({"method": 0, "ratio": 0, "depth": 0})
    finest = ds.isel(step=int(ds.step.values.argmin()), scale=-1)
    for seed in range(finest.sizes["seed"]):
        run = finest.isel(seed=seed)
        size = (run.log_invariant - run.log_w_perp).values
        left.plot(size, run.log_w_perp, "o", color=COLOURS["blue"], ms=4, label=None if seed else r"WN, measured")
        ends = size[[0, -1]]
        left.plot(ends, run.log_invariant.values[0] - ends, color="black", lw=0.8, label=None if seed else "Lemma 2.5")
    left.axhline(np.log(5e-324), color="black", lw=0.8, ls=":")
    left.annotate(
        "least number of float64",
        (1, np.log(5e-324)),
        (-2, 4),
        ("axes fraction", "data"),
        "offset points",
        ha="right",
        fontsize=9,
    )
    left.set(xlabel=r"$g^2 / 2c$", ylabel=r"$\log|w_\perp|$", title="$c = " + f"{float(ds.ratio):g}$")
    left.legend(fontsize=8.5)
    drift = _drift(ds)
    for k, scale in enumerate(ds.scale.values):
        colour, marker = [(COLOURS["blue"], "o"), (COLOURS["orange"], "^")][k % 2]
        here = drift.sel(scale=scale)
        _band(right, ds.step, here.transpose("step", "seed"), colour, marker)
        right.plot([], [], marker, color=colour, label=f"$g_0 = {scale:g}$")
    anchor = float((drift / ds.step).median())
    right.plot(ds.step, anchor * ds.step, color="black", lw=1, label="slope 1")
    right.set(
        xscale="log", yscale="log", xlabel=r"step $\eta$", ylabel="drift of the invariant", title="drift at the end"
    )
    right.set_xticks(ds.step.values, [f"{s:g}" for s in ds.step.values])
    right.xaxis.set_minor_locator(NullLocator())
    right.legend(fontsize=8.5)
    return drawing


below = Figure(
    id="below-float64",
    draw=_draw_below,
    caption="log|w_perp| + g^2/2c under WN descent with the step over the loss, followed by sign and logarithm of the "
    "amplitude to where |w_perp| itself is no number of float64. Left: one line of slope -1 for each seed. Right: the "
    "drift at the end, out of a change of more than 700 in both terms, is in proportion to the step (median and range).",
    claims=["invariant-below-float64"],
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=["gd", "wn", "rpgd"], seed=range(8), scale=[0.5, 2.0], depth=[15.0, 30.0, 60.0])
    + ib.grid(method="gd", pace=["constant", "over_loss"], seed=range(8), scale=[0.5, 2.0])
    + ib.grid(method="wn", seed=range(8), scale=[0.5, 1.0], ratio=0.02, depth=7.0, step=[0.01, 5e-3, 2.5e-3]),
    facts={
        "w_perp": ib.orthogonal_size,
        "best_margin": ib.best_margin,
        "max_margin_gap": ib.max_margin_gap,
        "least_support": least_support,
        "offset": offset,
        "relaxation": relaxation,
    },
    observe={
        "norm": ib.norm(2),
        "angle": ib.angle_to(ib.max_margin),
        "margin": ib.margin,
        "log_w_perp": ib.orthogonal_log,
        "log_invariant": ib.log_invariant,
    },
    records=ib.log_records(24),
    claims=[certified, offset_law, angle_decays, margin_grows, forgets_the_start, over_loss_is_faster, below_float],
    figures=[angles, below],
    sizes={"paper": dict(objective=list(LOSSES), seed=range(50), scale=ib.logspace(0.25, 4, 9))},
)
