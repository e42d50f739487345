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

from . import figures, observables
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
    figures=[figures.decay],
    sizes={"paper": dict(seed=range(200), rows=200, columns=10_000)},
)
