r"""What does it take to reach x*?  Freeze g at g0 < g*, let w turn, release g.   (Wu et al. 2020, Theorem 2.6 II)

With c = 0 the flow of w on the sphere is dw/dt = g0 P_w q. A point of rest has q = mu w: either mu != 0 and w lies in
the row space, or mu = 0 and A g0 w = y, which needs g0 >= g*. So for g0 < g* the orthogonal part of w dies out, like
exp(-g0 integral mu), and since w_perp never returns (Lemma 2.5) releasing g then leads to x*. If A A^T = I the point of
rest is w* itself. Beyond g* the flow can stop at an interpolator with w_perp != 0, and does.
"""

import numpy as np

import implicit_bias as ib

from . import figures, observables
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


FALLEN = 18.0  # exp(-18) = 1.5e-8
SMALL = 1e-6


def settling(fraction, target_norm, along):
    """g0 mu T: how many times over log|w_perp| falls by 1 until T, at the rate of the end."""
    return fraction * target_norm * along[-1] * RELEASE


def at_release(log_w_perp, clock):
    """log|w_perp| when g is let go."""
    return np.max(log_w_perp[clock == RELEASE]) if (clock == RELEASE).any() else np.nan


def beyond(excess, fraction):
    """|x - x*| at the end of a run from beyond g*."""
    return excess[-1] if fraction > 1 else np.nan


def _below(ds):
    return {"$g_0 < g_*$": 1 - ds.fraction}


def _settled(ds):
    return {r"$g_0 \mu T > 18$ at the end": ds.settling - FALLEN}


def _matrix(ds, name):
    return {f"matrix: {name}": ib.curves.among(ds.matrix, name)}


def _time_to_turn(ds):
    """For A A^T = I the rate is g0 (g* - g0) and known beforehand; it says g0 < g*, with a margin for a finite T."""
    return {"$g_0 (g_* - g_0) T > 18$": ds.fraction * (1 - ds.fraction) * ds.target_norm**2 * RELEASE - FALLEN}


frozen = ib.claims_with(on="frozen", accepts=(ib.Status.CAPPED, ib.Status.STALLED), tolerance=lambda ds: SMALL)
released = ib.claims_with(
    on="released", residual=lambda ds: ib.curves.last(ds.excess), tolerance=lambda ds: 2 * ds.target_norm * SMALL
)

CLAIMS = [
    frozen(
        id="frozen-w-turns-to-w*",
        source=f"{SOURCE}, Theorem 2.6 II, A A^T = I, with its missing hypothesis g0 < g*",
        statement=r"$c = 0$, $A A^\top = I$, $g_0 < g_*$: $w$ tends to $w_*$",
        hypotheses=lambda ds: _time_to_turn(ds) | _matrix(ds, "orthonormal"),
        residual=lambda ds: ib.curves.last(ds.angle),
        because="|w_perp| falls like exp(-g0 (g* - g0) t) and w_parallel turns at least as fast; T is 18 such times or more",
    ),
    frozen(
        id="frozen-w-turns-to-w*-for-any-A",
        source=f"{SOURCE}, Theorem 2.6 II (asked of a general A, of which the text says: not necessarily)",
        statement="$c = 0$, a general $A$, $g_0 < g_*$: $w$ tends to $w_*$",
        hypotheses=lambda ds: _below(ds) | _settled(ds) | _matrix(ds, "gaussian"),
        residual=lambda ds: ib.curves.last(ds.angle),
        because="as for A A^T = I",
        expected="refuted",
    ),
    frozen(
        id="g*-is-the-size-of-y",
        source=f"{SOURCE}, Theorem 2.6 II (after it), A A^T = I",
        statement=r"$|g_*| = |y|$ where $A A^\top = I$",
        hypotheses=lambda ds: _matrix(ds, "orthonormal"),
        residual=lambda ds: abs(ds.g_star - np.sqrt(2 * ds.loss_at_zero)) / ds.g_star,
        tolerance=lambda ds: 1e-13,
        because="|A^T y| = |y|; a few roundings",
    ),
    frozen(
        id="frozen-w_perp-dies",
        source=f"{SOURCE}, Theorem 2.6 II, any A, with its missing hypothesis g0 < g*",
        statement=r"$c = 0$, $g_0 < g_*$: $w_\perp$ tends to 0",
        hypotheses=lambda ds: _below(ds) | _settled(ds),
        residual=lambda ds: np.exp(ib.curves.last(ds.log_w_perp)),
        because="d log|w_perp|/dt = -g0 (w.q); runs whose own rate is too slow for T are outside, and counted",
    ),
    released(
        id="released-ends-at-x*",
        source=f"{SOURCE}, Theorem 2.6 II with the restart, with its missing hypothesis g0 < g*",
        statement="$c = 0$ until $w$ has turned, then $c = 1$: $x$ tends to $x_*$, for any $A$",
        hypotheses=lambda ds: _below(ds) | {"$w$ had turned": np.log(SMALL) - ds.at_release},
        because="|x - x*| = g |w_perp| by the row space's zero loss, and w_perp only shrinks while g grows to g*",
    ),
    released(
        id="released-ends-at-x*-as-printed",
        source=f"{SOURCE}, Theorem 2.6 II with the restart (as printed: no hypothesis on g0)",
        statement="$c = 0$ for any $g_0$, then $c = 1$: $x$ tends to $x_*$",
        because="as for g0 < g*",
        expected="refuted",
    ),
]

axes = dict(seed=range(6), matrix=["orthonormal", "gaussian"], fraction=[0.25, 0.5, 0.9, 1.1, 1.25, 1.5])
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
    predict={"settling": settling, "at_release": at_release, "beyond": beyond},
    records=ib.records_at([*np.geomspace(0.1, RELEASE, 60), *np.geomspace(RELEASE, END, 20)[1:-1]]),
    claims=CLAIMS,
    figures=[figures.frozen],
    sizes={"paper": dict(seed=range(200), fraction=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.1, 1.2, 1.3, 1.5])},
)
