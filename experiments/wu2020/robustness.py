"""Which interpolator does weight normalisation choose?  x = g w/|w|,  |Ax - y|^2 / 2.   (Wu et al. 2020, Fig. 1, Thm 2.6)

GD, WN and rPGD start from the same point x0 = g0 u and stop at loss 1e-5. The paper's effect, a solution near the one
of least norm for a wide range of g0, shows where |x*|^2 is large against c (|x*| = 3, c = 1) and reverses where it is
not (|x*| = 0.6).
"""

import numpy as np

import implicit_bias as ib

from .claims import BECAUSE_OF_DESCENT, FACTS, LIMITS, ROUNDING, SOURCE, WEIGHTS, descent_tolerance, row

theory = ib.theory.weight_normalisation


def cell(*, scale, method, key, ratio=1.0, rows=20, columns=50, target_norm=3.0, step=5e-3, stop=1e-5):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    weights = WEIGHTS[method]
    return ib.Run(problem, weights(scale), ib.Descent(step, ratio=ratio, stop=ib.loss_below(stop), max_steps=200_000))


def size_of_descent(scale, w_perp, g_star):
    """|x* + g0 w_perp(0)|"""
    return theory.gradient_descent_limit_norm(scale, w_perp, g_star)


def size_of_descent_as_printed(w_perp, g_star):
    """|x* + g* w_perp(0)|"""
    return theory.gradient_descent_limit_norm(g_star, w_perp, g_star)


descent = ib.claims_with(on="gd", tolerance=lambda ds: row(ds) + ROUNDING)
CLAIMS = [
    descent(
        id="gradient-descent-limit",
        source=f"{SOURCE}, after Theorem 2.6 (corrected: g0 in the place of g*)",
        statement=r"GD ends at $x_* + g_0 w_\perp(0)$: $|x| = \sqrt{g_*^2 + g_0^2 |w_\perp(0)|^2}$",
        residual=lambda ds: abs(ib.curves.last(ds.norm) - ds.descent_norm),
        because="the stop rule leaves |x - x_inf| <= sqrt(2 tau / lambda_min); the law itself is exact at every step",
    ),
    descent(
        id="gradient-descent-limit-as-printed",
        source=f"{SOURCE}, after Theorem 2.6 (as printed)",
        statement=r"GD ends at $x_* + g_* w_\perp(0)$: $|x| = \sqrt{g_*^2 + g_*^2 |w_\perp(0)|^2}$",
        hypotheses=lambda ds: {"$g_0$ is not $g_*$": abs(np.log(ds.scale / ds.g_star)) - 0.1},
        residual=lambda ds: abs(ib.curves.last(ds.norm) - ds.printed_descent_norm),
        because="as for the exact limit; the two agree at g0 = g* alone",
        expected="refuted",
    ),
    ib.Claim(
        id="weight-normalisation-limit",
        source=f"{SOURCE}, Theorem 2.6 I (corrected) and Lemma 2.2",
        statement=r"WN and rPGD end at $|x| = \sqrt{G}$, $G (1 - a \exp((g_0^2 - G)/c)) = g_*^2$, $a = |w_\perp(0)|^2$",
        on="wn+rpgd",
        residual=lambda ds: abs(ib.curves.last(ds.norm) - ds.limit_norm),
        tolerance=descent_tolerance,
        because=BECAUSE_OF_DESCENT,
    ),
]

series = dict(x="scale", by="method", middle="mean", spread="deviation", theory_label="exact law")
figure_1 = ib.Figure(
    id="figure-1",
    panels=[
        ib.panel(
            ib.curves_of("norm", on="gd", theory="descent_norm", **series),
            ib.curves_of("norm", on="wn+rpgd", of={"method": "wn", "ratio": "first"}, theory="limit_norm", **series),
            ib.curves_of("norm", on="wn+rpgd", of={"method": "rpgd", "ratio": "first"}, join=False, **series),
            ib.level("target_norm", "$|x_*|$", on="gd"),
            facet="target_norm", title="$|x_*| = {target_norm:g}$, $c = {ratio:g}$", log="x",
            x="initial size $|x_0| = g_0$", y=r"size of the solution $|\hat{x}|$",
        )
    ],
    caption="Size of the interpolator that each method reaches from the same x0 = g0 u, against g0; mean and standard "
    "deviation over {seed.count} seeds, stopped at loss {stop:g}. Lines: sqrt(g0^2 |w_perp|^2 + g*^2) for GD, and "
    "sqrt(G), G (1 - |w_perp|^2 exp((g0^2 - G)/c)) = g*^2, for WN and rPGD. Left: the paper's effect, WN and rPGD stay "
    "near |x*| for a wide range of g0. Right: with |x*|^2 below c it reverses, and WN from a small start is far from "
    "x*.",
    claims=[claim.id for claim in CLAIMS],
)  # fmt: skip

axes = dict(seed=range(16), target_norm=[3.0, 0.6], scale=ib.logspace(1e-2, 4, 24))
study = ib.Study(
    cell=cell,
    grids=ib.grid(method="gd", **axes) + ib.grid(method=["wn", "rpgd"], **axes, ratio=1.0),
    facts=FACTS,
    observe={"norm": ib.norm(2)},
    predict={
        "descent_norm": ib.batched(size_of_descent),
        "printed_descent_norm": ib.batched(size_of_descent_as_printed),
        **LIMITS,
    },
    records=ib.log_records(12),
    claims=CLAIMS,
    figures=[figure_1],
    sizes={"paper": dict(seed=range(200), scale=ib.logspace(1e-3, 10, 128), rows=200, columns=10_000)},
)
