"""What is claimed of every step, of the two thresholds, and of the first step."""

import numpy as np

import implicit_bias as ib

PAPER = "Lewkowycz et al. 2020"
ANY = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.DIVERGED)
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED)


def s0(ds):
    return ds.step * ds.curvature


def first(ds, name):
    return ds[name].isel(record=0)


def last(ds, name):
    return ds[name].isel(record=-1)


def no_target(ds):
    return {"$y = 0$": -abs(ds.target) + 0 * s0(ds)}


def below_4(ds):
    return no_target(ds) | {"$s_0 < 4$": 4 - 1e-6 - s0(ds)}


def catapults(ds):
    return below_4(ds) | {"$s_0 > 2$": s0(ds) - 2 - 1e-6} | started(ds)


def started(ds):
    """A small f has the steps to grow, and the stop rule does not take it for an end."""
    growth = 2 * np.log(np.maximum(abs(s0(ds) - 1), 1e-9)).where(s0(ds) > 2, np.inf)
    room = np.log(1 / first(ds, "z"))
    return {
        "a loss above the stop rule": first(ds, "loss") * ds.step**2 / ds.stop - 1,
        r"steps for a small $f$ to grow": ds.max_steps * growth - room - 20,
    }


def budget(ds):
    """s_0 / (4 - s_0): the most that z may sum to."""
    return s0(ds) / (4 - s0(ds))


def late(ds):
    """z at the end, times the steps since s was 2 or less; infinite if it never was."""
    since = ds.steps - ds.flat / ds.step
    return (last(ds, "z") * (since + 1)).where(np.isfinite(ds.flat), np.inf)


def ended(ds, *statuses):
    return ds.status.isin([int(s) for s in statuses]).astype(float)


def excess(ds):
    """z_0 - (s_0 - 2)"""
    return first(ds, "z") - (s0(ds) - 2)


def rises_first(ds):
    return (ds.loss.isel(record=1) > first(ds, "loss")).astype(float)


def tripled(ds):
    """z_k - 4 sin^2(3^k a), in units of 9^k: the largest derivative of a polynomial of degree 3^k with these bounds."""
    angle = np.arcsin(np.minimum(np.sqrt(first(ds, "z")) / 2, 1.0))
    k = ds.record.where((ds.record > 0) & (ds.record < ds.sizes["record"] - 1))
    return (ds.z - 4 * np.sin(3.0**k * angle) ** 2) / 9.0**k


DERIVED = f"{PAPER}, derived at every width"
claim = ib.claims_with(source=DERIVED, on="random", accepts=ANY)
every = ib.claims_with(
    source=DERIVED, on="random", accepts=ANY, kind=ib.Inequality(), tolerance=lambda ds: 0.0, because="exact",
)  # fmt: skip

count = ib.claims_with(
    source=DERIVED, on="random", accepts=ANY, tolerance=lambda ds: 0.0, because="a count of the runs that do otherwise",
)  # fmt: skip

CLAIMS = [
    claim(
        id="two-numbers-move-by-themselves",
        statement=r"$r' = (1 - \eta \lambda + \eta^2 r f) r$ and $\lambda' = \lambda - 4 \eta f r + \eta^2 r^2 \lambda$ at "
        "every step, whatever the width, the target and the end",
        residual=lambda ds: ds.recursion, tolerance=lambda ds: 1e-14, because="rounding of a step, relative to its terms",
    ),
    claim(
        id="curvature-pays-for-the-loss", hypotheses=below_4,
        statement=r"$s_0 - s_K = \sum_{k<K} (4 - s_k) z_k$, so that $s$ falls at every step",
        residual=lambda ds: np.maximum(abs(s0(ds) - last(ds, "s") - ds["sum"].isel(sum_0=1)), ds.grows),
        tolerance=lambda ds: 1e-15 * (100 + ds.steps) * (1 + s0(ds)), because="rounding of a sum of K terms",
    ),
    every(
        id="loss-has-a-budget", hypotheses=below_4,
        statement=r"$s_0 < 4$: $\sum_k z_k \le s_0 / (4 - s_0)$ over all steps, however many",
        residual=lambda ds: ds["sum"].isel(sum_0=0) - budget(ds), bound=budget,
        tolerance=lambda ds: 1e-13 * budget(ds), because="rounding of sums",
    ),
    every(
        id="loss-never-rises-below-2", hypotheses=lambda ds: no_target(ds) | {"$s_0 < 2$": 2 - 1e-6 - s0(ds)},
        statement="$s_0 < 2$: the loss falls at every step", residual=lambda ds: ds.rise,
    ),
    every(
        id="converges-below-4", hypotheses=lambda ds: below_4(ds) | started(ds),
        statement=r"$s_0 < 4$: $s \le 2$ at some step $T$, and $z_K \le 1/(K - T + 1)$ from there on (but for a null set)",
        residual=lambda ds: late(ds) - 1, bound=lambda ds: 1 + 0 * s0(ds),
    ),
    every(
        id="ends-where-descent-is-stable", hypotheses=catapults, accepts=ENDED,
        statement=r"$2 < s_0 < 4$: the end has $\eta \lambda \le 2$ (but for a null set)",
        residual=lambda ds: last(ds, "s") - 2,
    ),
    every(
        id="ends-where-descent-is-stable-from-every-start", hypotheses=catapults, accepts=ENDED, on="thin", expected="refuted",
        source=f"{DERIVED}, asked without the null set", residual=lambda ds: last(ds, "s") - 2,
        statement=r"$2 < s_0 < 4$: the end has $\eta \lambda \le 2$, also from $z_0 = s_0 - 1$, where a step lands on $f = 0$",
    ),
    count(
        id="diverges-above-4", statement="$s_0 > 4$: the run diverges (but for a null set)",
        source=f"{PAPER}, the threshold 4 (as read of infinite width; derived at every width)",
        hypotheses=lambda ds: no_target(ds) | started(ds) | {"$s_0 > 4$": s0(ds) - 4 - 1e-6},
        residual=lambda ds: 1 - ended(ds, ib.Status.DIVERGED),
    ),
    count(
        id="first-step-raises-the-loss", source=f"{DERIVED}: the window corrected",
        statement="$2 < s_0 < 4$: the first step raises the loss if and only if $z_0 < s_0 - 2$",
        hypotheses=lambda ds: below_4(ds) | {"$s_0 > 2$": s0(ds) - 2 - 1e-6, "no tie": abs(excess(ds)) - 1e-9},
        residual=lambda ds: abs(rises_first(ds) - (excess(ds) < 0)),
    ),
    count(
        id="loss-grows-between-2-and-4", source=f"{PAPER}, the catapult phase (as read)", expected="refuted",
        statement=r"$2/\lambda_0 < \eta < 4/\lambda_0$: the loss grows before it falls", hypotheses=catapults,
        residual=lambda ds: (ds.rise <= 0).astype(float),
    ),
    claim(
        id="chaos-at-4", statement=r"$s_0 = 4$: $z_k = 4 \sin^2(3^k a)$, $\sin^2 a = z_0/4$, over the first 8 steps",
        hypotheses=lambda ds: no_target(ds) | {"$s_0 = 4$": 1e-12 - abs(s0(ds) - 4)}, residual=tripled,
        tolerance=lambda ds: 1e-14, because="a rounding of the start grows ninefold at most with each step",
    ),
]  # fmt: skip
