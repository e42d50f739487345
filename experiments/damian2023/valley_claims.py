"""What is claimed of `valley`: the cycle, the balance of what stays, and what Jensen says of the mean curvature."""

import numpy as np

import implicit_bias as ib

SOURCE = "Damian et al. 2023, self-stabilisation (derived)"
STAYED = (ib.Status.CAPPED, ib.Status.STALLED)
Y, RATE, LOG, SQUARE = range(4)


def mean(ds, which):
    return ds.late.isel(late_0=which)


def variance(ds):
    """x^2 of the cycle, the variance of the central flow"""
    return 2 * ds.damping * (ds.top - 2)


def moved(ds):
    """log|x_K/x_0| and (y_0 - y_K)/eta, less their sums"""
    first, last = ds.point.isel(record=0), ds.point.isel(record=-1)
    x = np.log(abs(last / first)).isel(point_0=0) - ds["sum"].isel(sum_0=0)
    y = (first - last).isel(point_0=1) - ds["sum"].isel(sum_0=1)
    return np.maximum(abs(x), abs(y))


def on_the_cycle(ds):
    return {
        "$2 < Y < 5/2$": np.minimum(ds.top - 2, 2.5 - ds.top) - 1e-6, r"$\kappa < 2$": 2 - 1e-6 - ds.damping,
        "long enough to be on it": -ds.max_steps / 2 * np.log(ds.multiplier) - 40,
    }  # fmt: skip


def edge(ds):
    """Below it x dies."""
    return {"$Y > 2$": ds.top - 2 - 1e-6}


def beyond(ds):
    return {r"$Y \ge 2.504$": ds.top - 2.504, r"$y \ge 1$ at every step": ds.least - 1}


claim = ib.claims_with(source=SOURCE, on="gd", accepts=STAYED)
CLAIMS = [
    claim(
        id="steps-telescope", statement=r"$\log|x_K/x_0| = \sum \log|1 - y|$ and $y_0 - y_K = \sum (x^2/2 + \kappa (y - Y))$",
        hypotheses=lambda ds: {"$x$ has not underflown": abs(ds.point.isel(record=-1, point_0=0)) - 1e-290},
        residual=moved, tolerance=lambda ds: 1e-13 * ds.max_steps, because="rounding of a sum of K terms",
    ),
    claim(
        id="cycle-in-closed-form",
        statement=r"$2 < Y < 5/2$: $y = 2$ and $x^2 = 2 \kappa (Y - 2)$ over the second half, on average, and at the end",
        hypotheses=on_the_cycle, tolerance=lambda ds: 1e-10, because="rounding of means; the cycle attracts at its multiplier",
        residual=lambda ds: abs(mean(ds, Y) - 2) + abs(mean(ds, SQUARE) - variance(ds))
        + abs(ds.point.isel(record=-1, point_0=1) - 2),
    ),
    claim(
        id="orbits-that-stay-balance",
        statement=r"$Y > 2$: over the second half, mean $\log|1 - y| = 0$ and mean $x^2 = 2 \kappa (Y - y)$ with the mean "
        "$y$", hypotheses=edge,
        residual=lambda ds: np.maximum(
            abs(mean(ds, LOG)), abs(mean(ds, SQUARE) - 2 * ds.damping * (ds.top - mean(ds, Y)))
        ),
        tolerance=lambda ds: 60 / ds.max_steps,
        because="what the two ends of the half leave: log|x| and y move by less than 30, over K/2 steps",
    ),
    claim(
        id="mean-rate-is-at-least-one", kind=ib.Inequality(), statement=r"mean $|1 - y| \ge \exp$ mean $\log|1 - y|$",
        residual=lambda ds: np.exp(mean(ds, LOG)) - mean(ds, RATE), bound=lambda ds: mean(ds, RATE),
        tolerance=lambda ds: 1e-12, because="rounding of means",
    ),
    claim(
        id="mean-curvature-is-above-the-edge", kind=ib.Inequality(), hypotheses=beyond,
        statement=r"$Y \ge 2.504$, $y \ge 1$ throughout: the mean curvature is above $2/\eta$, by $10^{-3}$ or more",
        residual=lambda ds: 2 + 1e-3 - mean(ds, Y), bound=lambda ds: mean(ds, Y), tolerance=lambda ds: 0.0,
        because="what is claimed; Jensen gives 2 less what the ends leave",
    ),
    claim(
        id="mean-curvature-is-2-over-eta", source="Cohen et al. 2024, read as an equality", expected="refuted",
        statement=r"$Y > 2$: the mean curvature is $2/\eta$, to $10^{-3}$",
        hypotheses=edge, residual=lambda ds: mean(ds, Y) - 2, tolerance=lambda ds: 1e-3,
        because="what is asked: on the cycle it is known to 1e-10",
    ),
    ib.Claim(
        id="central-flow-rests-on-the-cycle", source="Cohen et al. 2024 (derived: exact without a fourth derivative)",
        on="central", accepts=STAYED, statement="$Y > 2$: the central flow ends at $x = 0$, $y = 2$",
        hypotheses=lambda ds: edge(ds) | {"time enough": ds.until * np.minimum(ds.damping * (ds.top - 2), 1) - 30},
        residual=lambda ds: abs(ds.point.isel(record=-1, point_0=0)) + abs(ds.point.isel(record=-1, point_0=1) - 2),
        tolerance=lambda ds: 1e3 * ds.rtol, because="what the integrator leaves of a contraction",
    ),
]  # fmt: skip
