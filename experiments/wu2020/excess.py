r"""Where does weight normalisation help?  |x_inf - x*| over (c, g0), against gradient descent from the same point.   (Wu et al. 2020, after Theorem 2.6)

The text says that WN ends closer to x* than GD if g0 <= g*, and that GD ends at x* + g* w_perp(0). It ends at
x* + g0 w_perp(0) (`robustness`), so the sentence can be read against either; with a = |w_perp(0)|^2 and the limit law
G (1 - a exp((g0^2 - G)/c)) = g*^2, |x_inf - x*|^2 = G - g*^2, WN is closer

    than x* + g0 w_perp(0)   if and only if   c < LM,  where G > g0^2,   and c > LM where G < g0^2,   LM = LM(G, g0^2),
    than x* + g* w_perp(0)   if and only if   c < (g*^2 (1 + a) - g0^2) / log(1 + a),

LM the logarithmic mean. The second: G (1 - a exp(..)) grows with G where it is positive, so G < g*^2 (1 + a) if and
only if it is above g*^2 there. Since log(1 + a) <= a, c <= g*^2 is enough for the sentence as printed; for GD's true
limit no c is: LM tends to 0 with g0. This is the map that the paper does not have.
"""

import numpy as np

import implicit_bias as ib

from .claims import BECAUSE_OF_DESCENT, FACTS, LIMITS, SOURCE, WEIGHTS, descent_tolerance
from .maps import excess_map

theory = ib.theory.weight_normalisation


def cell(*, method, scale, key, ratio=1.0, rows=8, columns=20, target_norm=2.0, step=2e-3, stop=1e-9):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    descent = ib.Descent(step, ratio=ratio, stop=ib.loss_below(stop), max_steps=400_000)
    return ib.Run(problem, WEIGHTS[method](scale), descent)


def gain(excess, w_perp, scale):
    """How much closer to x* than the limit of GD."""
    return theory.gradient_descent_limit_excess(scale, w_perp) - excess[..., -1]


def printed_gain(excess, w_perp, g_star):
    """How much closer to x* than the limit of GD as printed."""
    return theory.gradient_descent_limit_excess(g_star, w_perp) - excess[..., -1]


PREDICTED = {
    **LIMITS,
    "gain": ib.batched(gain),
    "printed_gain": ib.batched(printed_gain),
    "closer": ib.batched(lambda scale, w_perp, g_star, ratio: theory.closer_than_descent(scale, w_perp, g_star, ratio)),
    "printed_closer": ib.batched(
        lambda scale, w_perp, g_star, ratio: theory.closer_than_printed_descent(scale, w_perp, g_star, ratio)
    ),
}


def _as_printed(ds, distance):
    """For g0 <= g*; and where no run here is to end farther, by the limit law, the sentence is true of these runs."""
    farther = (ds.limit_excess - distance) / descent_tolerance(ds) - 2
    return {
        r"$g_0 \le g_*$": ds.g_star - ds.scale,
        "a run here ends farther, by the limit law": farther.where(ds.scale <= ds.g_star).max(),
    }


claim = ib.claims_with(
    kind=ib.Inequality(),
    tolerance=descent_tolerance,
    because=f"{BECAUSE_OF_DESCENT}. A run within its tolerance of a tie may end on either side",
)
CLAIMS = [
    claim(
        id="excess-boundary-is-the-logarithmic-mean",
        source=f"{SOURCE}, after Theorem 2.6 (corrected)",
        statement=r"$|x_{\mathrm{GD}} - x_*| - |x_{\mathrm{WN}} - x_*|$, GD at its true limit $x_* + g_0 w_\perp(0)$, "
        "has the sign of "
        r"$\mathrm{LM}(G, g_0^2) - c$ where $G > g_0^2$, of $c - \mathrm{LM}$ where $G < g_0^2$, and is 0 at "
        r"$c = \mathrm{LM}$ and at $G = g_0^2$",
        residual=lambda ds: -np.sign(ds.closer) * ds.gain,
    ),
    claim(
        id="closer-than-gd-as-printed",
        source=f"{SOURCE}, after Theorem 2.6 (as printed)",
        statement=r"WN ends closer to $x_*$ than GD whenever $g_0 \le g_*$; GD at its true limit "
        r"$x_* + g_0 w_\perp(0)$",
        hypotheses=lambda ds: _as_printed(ds, ds.scale * ds.w_perp),
        residual=lambda ds: -ds.gain,
        expected="refuted",
    ),
    claim(
        id="closer-than-printed-gd-as-printed",
        source=f"{SOURCE}, after Theorem 2.6 (as printed, and so is what it compares with)",
        statement=r"WN ends closer to $x_*$ than GD whenever $g_0 \le g_*$; GD at its limit as printed, "
        r"$x_* + g_* w_\perp(0)$",
        hypotheses=lambda ds: _as_printed(ds, ds.g_star * ds.w_perp),
        residual=lambda ds: -ds.printed_gain,
        expected="refuted",
    ),
    claim(
        id="closer-than-printed-gd-below-its-ratio",
        source=f"{SOURCE}, after Theorem 2.6 (derived: where the sentence as printed is true)",
        statement=r"$g_* |w_\perp(0)| - |x_{\mathrm{WN}} - x_*|$ has the sign of "
        r"$(g_*^2 (1 + a) - g_0^2) / \log(1 + a) - c$, "
        r"$a = |w_\perp(0)|^2$: WN ends closer to $x_*$ than GD's limit as printed for every $g_0 \le g_*$ if "
        r"$c \le g_*^2$",
        residual=lambda ds: -np.sign(ds.printed_closer) * ds.printed_gain,
    ),
]


study = ib.Study(
    cell=cell,
    grids=ib.grid(
        method=["wn", "rpgd"], seed=range(4), scale=ib.logspace(0.1, 4, 14),
        ratio=ib.logspace(0.1, 10**1.5, 21),
    ),
    facts=FACTS,
    observe={"excess": ib.distance_to(ib.min_norm)},
    predict=PREDICTED,
    records=ib.log_records(3),
    claims=CLAIMS,
    figures=[excess_map],
    sizes={
        "paper": dict(
            seed=range(200), scale=ib.logspace(0.03, 6, 128), ratio=ib.logspace(0.03, 30, 16), rows=200, columns=10_000
        )
    },
)
