"""What is claimed of `edge`: a law of every step, and what it says of means over many."""

import numpy as np

import implicit_bias as ib

FIRST, SECOND, THIRD = range(3)
SMALLEST = -600.0  # below, exp underflows
ALIVE = -10.0


def mean(ds, which):
    return ds.late.isel(late_0=which).rename(late_1="weight")


def log_size(ds, record):
    return np.log(abs(ds.z.isel(record=record).where(ds.z.isel(record=record) != 0))).rename(z_0="weight")


def alive(ds):
    """Weights above e^-10 at the middle and at the end, that moved by less than a factor of e in between."""
    first, last = log_size(ds, 1), log_size(ds, 2)
    return (first > ALIVE) & (last > ALIVE) & (abs(last - first) < 1)


def third_order(ds):
    """What is left out of log(1 - u) from its third order on; rounding of means."""
    return mean(ds, THIRD) + 1e-10


def ends(ds):
    """What the ends of the half leave of the mean of log|1 - u|; 0 of what has underflown."""
    return (2 * (log_size(ds, 2) - log_size(ds, 1)) / ds.max_steps).fillna(0)


def growth(ds):
    """The same of the one of a and b that grows, if one does."""
    both = ends(ds)
    return np.maximum(np.maximum(both, both.roll(weight=both.sizes["weight"] // 2)), 0)


def at_the_edge(ds):
    return {
        "it does not settle": mean(ds, SECOND).max("weight") - 1e-3, r"$|u| \le 0.9$": 0.9 - ds.largest,
        "steps enough to die": ds.max_steps - 4000,
    }  # fmt: skip


CAPPED = (ib.Status.CAPPED,)
claim = ib.claims_with(source="Damian et al. 2023, diagonal nets (derived)", accepts=CAPPED, hypotheses=at_the_edge)
CLAIMS = [
    claim(
        id="steps-multiply", accepts=(*CAPPED, ib.Status.STALLED),
        hypotheses=lambda ds: {"it does not diverge": 1 - 2.0 * (ds.status == int(ib.Status.DIVERGED))},
        statement=r"$\log|z_K/z_0| = \sum \log|1 \mp u|$ of each weight that has not underflown, at every step size",
        residual=lambda ds: (log_size(ds, 2) - log_size(ds, 0)).where(log_size(ds, 2) > SMALLEST)
        - ds.total.rename(total_0="weight"),
        tolerance=lambda ds: 1e-12 * ds.max_steps, because="rounding of a product of K factors, some of them near 0",
    ),
    claim(
        id="mean-gradient-is-that-of-a-lasso",
        statement=r"mean $u + u^2/2 = 0$ of each weight that is alive: mean $g_i = \mp w_i$, $w_i = \eta$ mean $g_i^2$",
        residual=lambda ds: (mean(ds, FIRST) + mean(ds, SECOND)).where(alive(ds)),
        tolerance=lambda ds: third_order(ds) + abs(ends(ds)),
        because="what log(1 - u) has beyond, |u|^3/3 / (1 - |u|), and log|z| at the ends of the half, over K/2",
    ),
    claim(
        id="dead-entries-are-inside", kind=ib.Inequality(), statement=r"$|\text{mean}\, g_i| \le w_i$ of every entry",
        residual=lambda ds: abs(mean(ds, FIRST)) - mean(ds, SECOND), bound=lambda ds: mean(ds, SECOND),
        tolerance=lambda ds: third_order(ds) + growth(ds),
        because="as for those alive",
    ),
    claim(
        id="mean-is-stationary", expected="refuted", source="asked: oscillations about a minimum average out",
        statement="the mean of $u$ is below a hundredth of its root mean square, of each weight that is alive",
        residual=lambda ds: (abs(mean(ds, FIRST)) / np.sqrt(2 * mean(ds, SECOND))).where(alive(ds)),
        tolerance=lambda ds: 0.01, because="what is asked",
    ),
]  # fmt: skip
