r"""Where does the WN flow end?  G (1 - a exp((g0^2 - G)/c)) = g*^2,  |x| -> sqrt(G).   (Wu et al. 2020, Thm 2.6 I)

Equation (7) as printed puts g* in the place of g_inf and takes g_inf > 0. Both are judged beside the exact law, on a
map of the ratio c against the first size g0. Runs go to loss 1e-20, where the limit shows.

The size g turns negative from a start that is opposed to A^T y: while g >= 0, dg/dt = c (s - g |A w|^2) <= c s with
s = w.A^T y, and s moves by at most g0 |A^T y| |q| per unit of time, |q|^2 <= 2 lambda_max L0; so
g(t) <= g0 + c (s0 t + g0 |A^T y| |q| t^2 / 2), whose least value is below 0 if s0 < 0 and

    c s0^2 > 2 g0^2 |A^T y| sqrt(2 lambda_max L0).

What Fig. 1 says of the spread over seeds is a matter of a = |w_perp(0)|^2 alone: both |x| = sqrt(G) and GD's
sqrt(g*^2 + g0^2 a) grow with it, with slopes, for E = exp((g0^2 - G)/c),

    d sqrt(G) / da = sqrt(G) E / 2 (1 - a E + a E G/c),     d sqrt(g*^2 + g0^2 a) / da = g0^2 / 2 sqrt(g*^2 + g0^2 a).
"""

import numpy as np

import implicit_bias as ib

from . import observables
from .claims import FACTS, LIMITS, SAFETY, SOURCE, row
from .maps import crossing_map, limit_map

last, theory = ib.curves.last, ib.theory.weight_normalisation
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED, ib.Status.DIVERGED)


def cell(*, scale, ratio, key, rows=8, columns=20, target_norm=3.0, stop=1e-20):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    flow = ib.Flow(max_time=5_000.0, ratio=ratio, stop=ib.loss_below(stop), rtol=1e-12, atol=1e-14)
    return ib.Run(problem, ib.Polar(scale), flow)


# -- what theory says of a run -----------------------------------------------------------------------------------------


def printed_excess(scale, w_perp, g_star, ratio):
    """|x_inf - x*| by equation (7)."""
    return theory.printed_limit_excess(scale, w_perp, g_star, ratio)


def opposed(loss, pull_along, pull_size, lambda_max, scale, ratio):
    """c s0^2 - 2 g0^2 |A^T y| sqrt(2 lambda_max L0) where s0 < 0; above 0 the size must cross zero."""
    force = np.sqrt(2 * lambda_max * loss[..., 0])
    return np.where(pull_along < 0, ratio * pull_along**2 - 2 * scale**2 * pull_size * force, -1.0)


def contraction(limit_norm, limit_excess, w_perp, g_star, scale, ratio):
    """How much less |x| grows with a than under GD: d sqrt(g*^2 + g0^2 a) / da - d sqrt(G) / da."""
    part = (limit_excess / limit_norm) ** 2  # a E
    slope = limit_norm * part / (2 * w_perp**2 * (1 - part + part * limit_norm**2 / ratio))
    return scale**2 / (2 * theory.gradient_descent_limit_norm(scale, w_perp, g_star)) - slope


PREDICTED = {
    **LIMITS,
    "printed_excess": ib.batched(printed_excess),
    "descent_norm": ib.batched(lambda scale, w_perp, g_star: theory.gradient_descent_limit_norm(scale, w_perp, g_star)),
    "opposed": ib.batched(opposed),
    "contraction": ib.batched(contraction),
}

# -- claims ------------------------------------------------------------------------------------------------------------


def tolerance(ds):
    """The stop rule and the integrator (rtol 1e-12 a step, a few hundred steps that contract)."""
    return SAFETY * row(ds) * (1 + ds.limit_excess * ds.limit_norm / ds.ratio) + 1e-9 * ds.limit_norm


def sign(ds):
    return np.sign(last(ds.g))


def spread(ds, norm):
    """Standard deviation over seeds."""
    return ib.accepted(ds, norm).std("seed")


def several_seeds(ds):
    return {"3 seeds or more": ds.sizes["seed"] - 3.0}


def below_the_saddle(ds):
    return {"$L_0 < |y|^2/2$": ds.loss_at_zero - ds.loss[..., 0]}


OPPOSED = r"$w_0 \cdot A^\top y < 0$, $c (w_0 \cdot A^\top y)^2 > 2 g_0^2 |A^\top y| \sqrt{2 \lambda_{\max} L_0}$"
law = ib.claims_with(tolerance=tolerance)
signed = ib.claims_with(kind=ib.Inequality(), tolerance=lambda ds: 0.0, because="a sign is exact: |g_inf| >= g* > 0")
zero_loss = ib.claims_with(
    kind=ib.Inequality(),
    residual=lambda ds: last(ds.loss),
    tolerance=lambda ds: ds.stop * (1 + 1e-5),
)
spreads = ib.claims_with(
    kind=ib.Inequality(),
    hypotheses=several_seeds,
    residual=lambda ds: spread(ds, last(ds.norm)) - spread(ds, ds.descent_norm),
    tolerance=lambda ds: tolerance(ds).max("seed"),
    because="as for the exact law, at its worst seed: errors within d move a standard deviation by d at most",
)
CLAIMS = [
    law(
        id="limit-excess-exact",
        source=f"{SOURCE}, Theorem 2.6 I (corrected)",
        statement=r"$x_\infty = x_* + g_\infty w_\perp(0) \exp((g_0^2 - G)/2c)$, with the sign of $g_\infty$",
        residual=lambda ds: abs(sign(ds) * last(ds.excess) - sign(ds) * ds.limit_excess),
        because="stop rule: 2 row (1 + |x - x*| |x| / c); integrator 1e-9 |x|. |x_inf| = sqrt(G) is the same equation",
    ),
    law(
        id="limit-as-printed",
        source=f"{SOURCE}, eq. (7)",
        statement=r"$x_\infty = x_* + g_* w_\perp(0) \exp((g_0^2 - g_*^2)/2c)$",
        residual=lambda ds: abs(sign(ds) * last(ds.excess) - ds.printed_excess),
        because="as for the exact law",
        expected="refuted",
    ),
    signed(
        id="size-stays-positive-as-inferred",
        source=f"{SOURCE}, Theorem 2.6 I (inferred, not printed: eq. (7) has g* > 0 in the place of g_inf)",
        statement=r"$g_\infty > 0$ for every $g_0 > 0$, also from a start that is opposed to $A^\top y$",
        hypotheses=lambda ds: {OPPOSED: ds.opposed},
        residual=lambda ds: -sign(ds),
        expected="refuted",
    ),
    signed(
        id="size-turns-negative-from-an-opposed-start",
        source=f"{SOURCE}, Theorem 2.6 I with Lemma 2.3 (derived)",
        statement=r"$g_\infty < 0$ if $w_0 \cdot A^\top y < 0$ and "
        r"$c (w_0 \cdot A^\top y)^2 > 2 g_0^2 |A^\top y| \sqrt{2 \lambda_{\max} L_0}$",
        hypotheses=lambda ds: {OPPOSED: ds.opposed},
        residual=sign,
        because="g reaches 0 before w.A^T y can turn; there the loss is |y|^2/2, and below it g cannot come back",
    ),
    signed(
        id="size-keeps-its-sign-below-the-saddle",
        source=f"{SOURCE}, Lemma 2.3 (derived)",
        statement=r"$g_\infty > 0$ if the initial loss is below the loss at zero: $g = 0$ cannot be crossed, its loss "
        "is $|y|^2/2$",
        hypotheses=below_the_saddle,
        residual=lambda ds: -sign(ds),
    ),
    zero_loss(
        id="below-the-saddle-only-zero-loss",
        source=f"{SOURCE}, Lemma 2.3",
        statement="a run whose loss is below the loss at zero can end at zero loss only",
        accepts=ENDED,
        hypotheses=below_the_saddle,
        because="the stop rule, whose event is located to 1e-6; a run that rests or is cut off elsewhere counts "
        "against it",
    ),
    zero_loss(
        id="comes-to-rest-at-zero-loss",
        source=f"{SOURCE}, Theorem 2.6: zero loss, or rest in S",
        statement="from a random start every run that comes to rest does so at zero loss: $S$ is a strict saddle "
        "(`saddle`), whose starts have measure zero",
        accepts=(ib.Status.CONVERGED, ib.Status.STALLED, ib.Status.DIVERGED),
        because="the stop rule, whose event is located to 1e-6; a run that rests elsewhere, or diverges, counts "
        "against it",
    ),
    spreads(
        id="smaller-spread-than-gd-as-read",
        source=f"{SOURCE}, Fig. 1: smaller standard deviation (asked of every start and ratio)",
        statement=r"the standard deviation of $|x_\infty|$ over seeds is smaller under WN than under GD, at every "
        "$g_0$ and $c$",
        expected="refuted",
    ),
    spreads(
        id="smaller-spread-than-gd-where-the-law-contracts",
        source=f"{SOURCE}, Fig. 1: smaller standard deviation (derived: where)",
        statement=r"the standard deviation of $|x_\infty|$ over seeds is smaller under WN than under GD where "
        r"$d \sqrt{G}/da < d \sqrt{g_*^2 + g_0^2 a}/da$ at each seed, $a = |w_\perp(0)|^2$",
        hypotheses=lambda ds: {
            **several_seeds(ds),
            "$a$ moves $|x|$ less than under GD, at each seed": ds.contraction.min("seed"),
        },
    ),
]

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(16), ratio=ib.logspace(0.1, 100, 19), scale=ib.logspace(0.03, 6, 15)),
    facts={
        **FACTS,
        "lambda_max": ib.lambda_max,
        "loss_at_zero": ib.loss_at_zero,
        "pull_size": observables.pull_size,
        "pull_along": observables.pull_along,
    },
    observe={"norm": ib.norm(2), "excess": ib.distance_to(ib.min_norm), "g": ib.size, "log_w_perp": ib.orthogonal_log},
    predict=PREDICTED,
    records=ib.log_records(8),
    claims=CLAIMS,
    figures=[limit_map, crossing_map],
    sizes={"paper": dict(seed=range(50), ratio=ib.logspace(0.05, 100, 32), scale=ib.logspace(0.03, 10, 32))},
)
