r"""Is rPGD a weight decay that adapts to the data?  x' = (1 - lambda_t) x - s_t grad L(x).   (Wu et al. 2020, Appendix A, reconstructed)

With v = w - eta g grad L(x) before the projection and g' = g - c eta w.grad L(x), x' = g' v/|v| reads

    lambda_t = 1 - g' / (g |v|),      s_t = eta g g' / |v|.

That form is algebra (a test holds it to rounding), and so is: lambda_t > 0, a decay, if and only if g'/g < |v|. What it
says of a run is its first order in eta, with q = -grad L(x): where g grows, rPGD decays if g^2 > c and stretches if
g^2 < c. The rest, lambda_t - eta (w.q) (g^2 - c)/g, is (|v| - 1 - eta g w.q) / |v|, which lies in
[0, (eta g |q|)^2 / 2|v|], and the first order times 1/|v| - 1.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import observables
from .claims import ENDS_AT_T, ROUNDING, SOURCE

ENDS = (*ENDS_AT_T, ib.Status.STALLED)  # the end of the run, or a point that no step moves


def cell(*, scale, key, ratio=1.0, step=0.02, rows=8, columns=20, target_norm=3.0):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    return ib.Run(problem, ib.Sphere(scale), ib.Descent(step, ratio=ratio, max_steps=3_000))


def decay(snapshot):
    """lambda_t at a point, from that point alone."""
    step, ratio = snapshot.dynamics.step, snapshot.dynamics.ratio
    g, w, slope = snapshot.theta.g, snapshot.theta.w, observables.slope(snapshot)
    v = jnp.linalg.norm(w - step * g * slope)
    new_g = g - ratio * step * (w @ slope)
    return 1 - new_g / (g * v)


def growth(step, g, along):
    """eta g (w.q)"""
    return step * g * along


def first_order(step, g, along, ratio):
    """eta (w.q) (g^2 - c) / g"""
    return step * along * (g**2 - ratio) / g


def second_order(step, g, slope_square, growth, first_order):
    """(eta g |q|)^2 / 2|v| + |first order| |1/|v| - 1|, |v|^2 = 1 + 2 eta g w.q + (eta g |q|)^2"""
    square = (step * g) ** 2 * slope_square
    length = np.sqrt(1 + 2 * growth + square)
    return square / (2 * length) + abs(first_order * (1 / length - 1))


claim = ib.claims_with(accepts=ENDS)
CLAIMS = [
    claim(
        id="rpgd-decays-while-g-grows-beyond-sqrt(c)",
        source=f"{SOURCE}, Appendix A (derived)",
        statement=r"$\lambda_t = \eta (w \cdot q) (g^2 - c)/g + O(\eta^2)$: where $g$ grows it is a decay if "
        "$g^2 > c$ and a stretch if $g^2 < c$",
        hypotheses=lambda ds: {r"$1 + \eta g w \cdot q > 0$": (1 + ds.growth).min("record")},
        residual=lambda ds: abs(ds["lambda"] - ds.first_order) / (ds.second_order + ROUNDING),
        tolerance=lambda ds: 1.0,
        because="the second order, bounded: (eta g |q|)^2 / 2|v| + |first order| |1/|v| - 1|; rounding 1e-12",
    ),
    claim(
        id="rpgd-decay-is-positive-as-one-might-read",
        source=f"{SOURCE}, Appendix A (the reading that lambda_t is a decay)",
        statement=r"$\lambda_t \ge 0$ at every step",
        kind=ib.Inequality(),
        residual=lambda ds: -ds["lambda"],
        tolerance=lambda ds: ROUNDING,
        because="a sign, up to rounding at convergence",
        expected="refuted",
    ),
]


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


def law(axes, ds):
    square = np.geomspace(*of_runs_inside(ds, ds.g**2 / ds.ratio).quantile([0.0, 1.0]).values, 200)
    axes.plot(square, 1 - 1 / square, color="black", lw=1.2, label="$1 - c / g^2$")


def rest(ds):
    return abs(ds["lambda"] - ds.first_order) / (ds.second_order + ROUNDING)


def _caption(ds):
    moving = of_runs_inside(ds, ds["lambda"].where(abs(ds.growth) > 1e-9))
    decided = moving.notnull() & (abs(ds.first_order) > ds.second_order).isel(record=slice(1, None))
    return (
        f"The decay lambda_t of rPGD's step in the form x' = (1 - lambda_t) x - s_t grad L(x), at the recorded moments of the "
        f"{int((moving.notnull().any('record')).sum())} of {ds.status.size} runs with 1 + eta g w.q > 0, |x*| = "
        f"{float(ds.target_norm):g}. Left: over eta g w.q, which is positive where g grows: 1 - c/g^2 to first order, so that a "
        f"growing g comes with a stretch (lambda_t < 0) while g^2 < c and with a decay after that. At {int(decided.sum())} of "
        f"{int(moving.notnull().sum())} moments the first order is larger than the bound on the rest, and decides the sign. "
        f"Right: the rest over that bound. Of all recorded moments, {negative(ds):.0f} % are a stretch."
    )


figure = ib.Figure(
    id="decay",
    panels=[
        ib.panel(
            moments(False, "rest may be larger", "orange", "x"),
            moments(True, "first order is larger", "blue", "."),
            ib.figures.drawn(law, accepts=None),
            ib.level(0.0), ib.across(1.0, "$g^2 = c$"),
            x="$g^2 / c$", y=r"$\lambda_t / (\eta\, g\, w^T q)$", log="x", title="growing $g$: stretch below 0, decay above",
        ),
        ib.panel(
            ib.curves_of(lambda ds: of_runs_inside(ds, rest(ds)).max("seed").dropna("scale", how="all"), x=lambda ds: ds.clock[1:], by="scale", name="$g_0 = {:g}$", accepts=None),
            ib.level(1.0, "the bound", line="-"),
            x="step", y="$|\\lambda_t - $ first order| over the bound", title="worst of the seeds", log="x", ylim=(0, 1.15),
        ),
    ],
    caption=_caption,
    claims=[claim.id for claim in CLAIMS],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(8), scale=[0.3, 1.0, 3.0, 6.0]),
    observe={
        "lambda": ib.Measure(decay, "lambda_t = 1 - g'/(g |v|), the decay of the step that follows", ("g", "w")),
        "g": ib.size,
        "along": observables.along,
        "slope_square": observables.slope_square,
    },
    predict={"growth": growth, "first_order": first_order, "second_order": second_order},
    records=ib.log_records(60),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(200), rows=200, columns=10_000)},
)
