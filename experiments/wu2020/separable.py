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

from .claims import SAFETY, SOURCE

SOUDRY = "Soudry et al. 2018, Theorem 3"
LOSSES = {"logistic": ib.logistic, "exponential": ib.exponential}
STEPS = {"gd": 0.05, "wn": 2e-4, "rpgd": 2e-4}  # the Hessian of log L is at most that of x for GD, g^2 times it for WN


def cell(
    *, method, scale, key, depth=None, pace="over_loss", step=None, ratio=10.0, objective="logistic", cap=5_000,
    rows=6, columns=48,
):  # fmt: skip
    problem = ib.linear.gaussian(rows, columns, loss=LOSSES[objective])(key)
    weights = {"gd": ib.Euclidean(scale), "wn": ib.Polar(scale), "rpgd": ib.Sphere(scale)}[method]
    step = STEPS[method] if step is None else step
    descent = ib.Descent(
        ib.over_loss(step) if pace == "over_loss" else step,
        ratio=1.0 if method == "gd" else ratio,
        stop=None if depth is None else ib.loss_below(jnp.exp(-depth)),
        max_steps=cap if depth is None else 2_000_000,
    )
    return ib.Run(problem, weights, descent)


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


# -- what theory says of a run -----------------------------------------------------------------------------------------


def offset_law(method, offset, scale, w_perp):
    """|x_perp| at infinity: of GD with g0 w_perp(0), of the others without."""
    return np.hypot(offset, scale * w_perp if method == "gd" else 0.0)


def settling(method, relaxation, depth, ratio, best_margin):
    """Relaxation times passed: kappa d log(1/L), times g^2/c = (margin log(1/L))^2/c under WN."""
    return relaxation * depth * (1.0 if method == "gd" else depth**2 / (3 * ratio * best_margin**2))


def offset_doubt(method, offset_law, settling, offset, scale, relaxation, depth, max_margin_gap, best_margin):
    """Memory of the start, what WN lags by, the next order; and the angle that the certificate leaves open."""
    memory = np.exp(-settling) * (scale + offset_law)
    lag = 0.0 if method == "gd" else offset / (relaxation * depth)
    angle = np.sqrt(max(max_margin_gap, np.finfo(float).eps))  # a rounded gap may come out below 0
    return SAFETY * (memory + lag + offset_law * np.exp(-depth)) + angle * depth / best_margin


def angle_law(offset_law, best_margin, depth, least_support):
    """The angle at a loss e^-depth, where every example supports."""
    return np.arctan(offset_law * best_margin / depth) if least_support > 0 else np.nan


PREDICTED = {
    "offset_law": offset_law,
    "settling": settling,
    "offset_doubt": offset_doubt,
    "angle_law": angle_law,
    "offset_seen": lambda norm, angle: norm[-1] * np.sin(angle[-1]),
    "drift": lambda log_invariant: abs(log_invariant[-1] - log_invariant[0]),
    "half_square": ib.batched(lambda log_invariant, log_w_perp: log_invariant - log_w_perp),
}

# -- claims ------------------------------------------------------------------------------------------------------------

TO_A_DEPTH, TO_THE_CAP, BELOW_FLOAT = "gd+wn+rpgd", "gd constant+over_loss", "wn"

claim = ib.claims_with(on=TO_A_DEPTH)


def _settled(ds):
    return {"every example supports": ds.least_support - 1e-3, "settled to $10^{-3}$": ds.settling - 7}


def _angle(ds, axis, *words):
    """The last angle, the greatest of some words of an axis; nan where a request left them out."""
    return ib.curves.last(ds.angle).where(ds[axis].isin(words)).max(axis)


CLAIMS = [
    claim(
        id="separator-is-certified",
        source="weak duality",
        statement="the relative duality gap of the reference separator $u$ is at rounding",
        residual=lambda ds: abs(ds.max_margin_gap),
        tolerance=lambda ds: 1e-13,
        because="a feasible pair of primal and dual, each a sum of a few rounded products; u is then exact to sqrt(gap)",
    ),
    claim(
        id="separator-offset",
        source=f"{SOURCE}, Appendix D with {SOUDRY} (derived)",
        statement=r"$|x - \langle x, u \rangle u|^2 \to |\delta|^2 + g_0^2 |w_\perp(0)|^2$ for GD, $|\delta|^2$ for "
        "WN and rPGD",
        hypotheses=_settled,
        residual=lambda ds: abs(ds.offset_seen - ds.offset_law),
        tolerance=lambda ds: ds.offset_doubt,
        because="memory of the start exp(-settling); WN balances across x, not u: |delta| / (kappa depth); certificate",
    ),
    claim(
        id="angle-decays-like-1/log(1/L)",
        source=SOUDRY,
        statement=r"under GD the angle to the max-margin direction falls like $1/\log(1/L)$, which is $1/\log t$",
        kind=ib.Exponent(against="depth", value=-1.0, within=0.1),
        hypotheses=lambda ds: {"GD": ib.curves.among(ds.method, "gd")} | _settled(ds),
        residual=lambda ds: ib.curves.last(ds.angle),
        because="|x| = (log(1/L) + O(1)) / margin: the constant bends the slope by a few per cent at these depths",
    ),
    claim(
        id="margin-approaches-the-largest",
        source=SOUDRY,
        statement=r"the margin of $x/|x|$ approaches the largest that exists, like $1/\log(1/L)$",
        kind=ib.Limit(against="depth", towards="infinity"),
        residual=lambda ds: 1 - ib.curves.last(ds.margin) / ds.best_margin,
        tolerance=lambda ds: SAFETY * np.log(ds.rows) / ds.depth + (ds.offset_law * ds.best_margin / ds.depth) ** 2,
        because="mean_a z - min z <= log m at balance, out of log(1/L), factor 2 off balance; 1 - cos(angle)",
    ),
    claim(
        id="wn-nearer-to-max-margin-at-equal-loss",
        source=f"{SOURCE}, Appendix D (derived)",
        statement="at equal loss WN and rPGD are nearer to the max-margin direction than GD",
        kind=ib.Ordering(over="seed"),
        residual=lambda ds: _angle(ds, "method", "wn", "rpgd") - _angle(ds, "method", "gd"),
        because="paired over seeds; GD keeps g0 w_perp(0), which WN forgets",
    ),
    claim(
        id="step-over-loss-is-faster",
        source="Nacson et al. 2019 (by measurement)",
        statement="after equally many steps the angle is smaller with the step over the loss than with the constant step",
        kind=ib.Ordering(over="seed"),
        on=TO_THE_CAP,
        accepts=(ib.Status.ESCAPING,),
        residual=lambda ds: _angle(ds, "pace", "over_loss") - _angle(ds, "pace", "constant"),
        because="paired over seeds",
    ),
    claim(
        id="invariant-below-float64",
        source=f"{SOURCE}, Lemma 2.5 and Appendix D",
        statement=r"$\log|w_\perp| + g^2/2c$ drifts in proportion to the step where $|w_\perp|$ itself is no number "
        "of float64",
        kind=ib.Exponent(against="step", value=1.0, within=0.1),
        on=BELOW_FLOAT,
        hypotheses=lambda ds: {r"$|w_\perp|$ < 5e-324": np.log(5e-324) - ib.curves.last(ds.log_w_perp)},
        residual=lambda ds: ds.drift,
        because="first-order methods; the next order bends the slope by eta g margin, a few per cent",
    ),
]

# -- figures -----------------------------------------------------------------------------------------------------------

FIRST = {"objective": "first", "ratio": "first"}
PACES = {
    "constant": ib.figures.Look("constant step", "orange", "o", "-."),
    "over_loss": ib.figures.Look("step over the loss", "green", "o", "-"),
}

angles = ib.Figure(
    id="angles",
    panels=[
        ib.panel(
            ib.curves_of(
                lambda ds: ds.angle.where(ds.clock > 0), x="clock", by="pace", on=TO_THE_CAP, looks=PACES, accepts=None,
                of={**FIRST, "method": "gd", "scale": "last"},
            ),
            x="step $k$", y="angle to max-margin direction", title="GD, $g_0 = {scale:g}$", log="xy",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: ib.curves.last(ds.angle).where(ds.least_support > 0), x="depth", by="method", on=TO_A_DEPTH,
                of={**FIRST, "scale": "last"}, theory="angle_law", theory_label="law", accepts=None,
            ),
            x=r"depth $\log(1/L)$", y="angle to max-margin direction", title="at equal loss, $g_0 = {scale:g}$", log="xy",
            legend="lower left",
        ),
    ],
    caption="Angle to the max-margin separator on separable data, logistic loss; median and range over seeds. Left: GD with "
    "one eta, constant or over the loss; both grow without end (status escaping). Right: runs to a loss e^-depth, with the "
    "lines |x_perp| margin / log(1/L) at infinity: GD keeps g0 w_perp(0), WN and rPGD forget it (and lag by 1/log(1/L)).",
    claims=[
        "separator-offset", "angle-decays-like-1/log(1/L)", "wn-nearer-to-max-margin-at-equal-loss",
        "step-over-loss-is-faster",
    ],
)  # fmt: skip

LEAST = np.log(5e-324)
WN = {**FIRST, "method": "wn", "depth": "first"}
FINEST = dict(on=BELOW_FLOAT, of={**WN, "step": "least", "scale": "last"}, accepts=None)

below = ib.Figure(
    id="below-float64",
    panels=[
        ib.panel(
            ib.runs_of("log_w_perp", x="half_square", join=False, label="WN, measured", **FINEST),
            ib.runs_of(
                lambda ds: ds.log_invariant.isel(record=0) - ds.half_square, x="half_square",
                looks={None: ib.figures.Look("Lemma 2.5", "black")}, **FINEST,
            ),
            ib.level(LEAST, "least number of float64", on=BELOW_FLOAT),
            x="$g^2 / 2c$", y=r"$\log|w_\perp|$", title="$c = {ratio:g}$",
        ),
        ib.panel(
            ib.curves_of(
                "drift", x="step", by="scale", name="$g_0 = {:g}$", on=BELOW_FLOAT, of=WN, join=False, accepts=None,
            ),
            ib.guide(1.0, "slope {:g}", series="each", on=BELOW_FLOAT),
            x=r"step $\eta$", y="drift of the invariant", title="drift at the end", log="xy",
        ),
    ],
    caption="log|w_perp| + g^2/2c under WN descent with the step over the loss, followed by sign and logarithm of the "
    "amplitude to where |w_perp| itself is no number of float64. Left: the line of slope -1 from each seed's start; they lie together. Right: the "
    "drift at the end, out of a change of more than 700 in both terms, is in proportion to the step (median and range).",
    claims=["invariant-below-float64"],
)  # fmt: skip

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
    predict=PREDICTED,
    records=ib.log_records(24),
    claims=CLAIMS,
    figures=[angles, below],
    sizes={"paper": dict(objective=list(LOSSES), seed=range(50), scale=ib.logspace(0.25, 4, 9))},
)
