r"""How many measurements does it take?  Recovery of a PSD matrix of rank r from a small start.   (Stoeger & Soltanolkotabi 2021)

Runs stop at a training loss of 1e-9. A matrix of rank r has n r - r(r-1)/2 degrees of freedom; nothing recovers from
fewer measurements than that, and a small start does from a few times as many.
"""

import numpy as np

import implicit_bias as ib

from .._sensing import ANY_END, of_rank_one

MOST = 78
RECOVERED = 0.05


def cell(*, part, rank, measurements, key, scale=1e-4, step=0.25, size=12, stop=1e-9, max_steps=1_000):
    del part  # a name of the grid: few cells with seeds enough for claims, many with fewer for the map
    problem = ib.matrix.of_the_first(ib.matrix.gaussian(size, rank, MOST)(key), measurements)
    descent = ib.Descent(step, stop=ib.loss_below(stop), max_steps=max_steps)
    return ib.Run(problem, ib.Symmetric(scale, size), descent)


def freedom(size, rank):
    """Degrees of freedom of a symmetric matrix of rank r."""
    rank = float(rank)
    return size * rank - rank * (rank - 1) / 2


# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Stoeger & Soltanolkotabi 2021"


def _runs_long(ds):
    """A direction of size 1 grows by 1 + mu a step: three times from alpha to 1."""
    grown = ds.max_steps * np.log1p(ds.step) + 3 * np.log(ds.scale)
    return {r"$\alpha \le 0.001$": np.log(1.001e-3) - np.log(ds.scale), "steps enough to grow": grown}


def _band(ds):
    """The 95 % quantile of | chi^2_m / m - 1 |, from below by the two tails apart."""
    from scipy import stats

    low, high = (stats.chi2.ppf(p, ds.measurements) / ds.measurements for p in (0.025, 0.975))
    return np.maximum(1 - low, high - 1)


claim = ib.claims_with(kind=ib.Probability(level=0.8), accepts=ANY_END, on="judged")

CLAIMS = [
    claim(
        id="enough-measurements-recover",
        source=f"{SOURCE}, main theorem (the order n r of m; constant measured)",
        statement="from three times as many measurements as degrees of freedom, $X$ is recovered (to 5 %) with "
        "probability 0.8",
        hypotheses=lambda ds: _runs_long(ds) | {r"$m \ge 3$ (degrees of freedom)": ds.measurements - 3 * ds.freedom},
        residual=lambda ds: ib.curves.last(ds.error),
        tolerance=lambda ds: RECOVERED,
        because="what counts as recovered",
    ),
    claim(
        id="too-few-measurements-do-not",
        source=f"{SOURCE}, main theorem (derived converse: counting)",
        statement="from fewer measurements than degrees of freedom, the error stays above 5 % with probability 0.8",
        hypotheses=lambda ds: _runs_long(ds) | {"$m <$ degrees of freedom": ds.freedom - ds.measurements - 1},
        residual=lambda ds: RECOVERED - ib.curves.last(ds.error),
        tolerance=lambda ds: 0.0,
        because="what counts as recovered",
    ),
    claim(
        id="measurements-keep-a-norm",
        source=f"{SOURCE}, restricted isometry (derived: its pointwise part, exact)",
        statement="$m |A(X)|^2 / |X|^2$ is chi-square with $m$ degrees of freedom: within its 95 % band with "
        "probability 0.75",
        kind=ib.Probability(level=0.75),
        accepts=(*ANY_END, ib.Status.DIVERGED),
        hypotheses=lambda ds: {"$m = 24$": 0.5 - abs(ds.measurements - 24)} | of_rank_one(ds),
        residual=lambda ds: abs(ds.isometry_at_the_truth),
        tolerance=_band,
        because="exact; every seed counts once, and 24 of them show 0.75 where the truth is above 0.95",
    ),
    claim(
        id="recovers-without-restricted-isometry",
        source=f"{SOURCE}, main theorem (its hypothesis is sufficient, not necessary; derived)",
        statement="$r = 1$: the restricted isometry constant of order 2 is above $1/2$ with probability 0.8, at $m$ "
        "that recover, too",
        hypotheses=of_rank_one,
        residual=lambda ds: 0.5 - ds.defect,
        tolerance=lambda ds: 0.0,
        because="a search bounds the constant from below, so what it finds is certain",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

def recovered(ds):
    return (ib.curves.last(ds.error) <= RECOVERED).astype(float)


OVER = dict(x=lambda ds: ds.measurements / ds.freedom, by="rank", name="rank {}", on="judged", accepts=None)

figure = ib.Figure(
    id="phase-diagram",
    panels=[
        ib.panel(
            ib.map_of(
                recovered, x="measurements", y="rank", on="mapped", accepts=None,
                label="share of seeds recovered", limits=(0, 1),
                contour={
                    "degrees of freedom": lambda ds: ds.measurements - ds.freedom,
                    "three times as many": lambda ds: ds.measurements - 3 * ds.freedom,
                },
            ),
            x="measurements $m$", y="rank of $X$", legend="upper left",
        ),
        ib.panel(
            ib.curves_of(recovered, middle="mean", spread="share", **OVER),
            *(ib.across(count, on="judged") for count in (1.0, 3.0)),
            *(ib.level(share, on="judged") for share in (0.2, 0.8)),
            x="$m$ / degrees of freedom", y="share of seeds recovered", ylim=(-0.02, 1.02),
        ),
        ib.panel(
            ib.curves_of("error", spread="middle 80 %", **OVER),
            ib.level(RECOVERED, "counts as recovered", on="judged"),
            x="$m$ / degrees of freedom", y="$|Z - X| / |X|$ at the stop", log="y",
        ),
    ],
    caption="Recovery of a PSD matrix of {size} x {size} from m Gaussian measurements, from alpha = {scale:g}, "
    f"stopped at a training loss of {{stop:g}}. Left: the share of {{seed.count}} seeds with an error of at most "
    f"{RECOVERED:.0%}. Middle: that share of the runs that the claims judge, fewer ranks and three times as many seeds, "
    "against measurements over degrees of freedom; by the claims it is at most 0.2 left of the first dotted line, and at least 0.8 from the second on. "
    "Right: the error itself of these runs, median and middle 80 %.",
    claims=["enough-measurements-recover", "too-few-measurements-do-not"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        part="judged", rank=[1, 2, 3], seed=range(24), measurements=[8.0, 16.0, 24.0, 36.0, 48.0, 60.0, 72.0]
    )
    + ib.grid(part="mapped", rank=[1, 2, 3, 4, 5, 6], seed=range(8), measurements=ib.linspace(6.0, 78.0, 19)),
    facts={"isometry_at_the_truth": ib.isometry_at_the_truth, "defect": ib.isometry_defect(2)},
    observe={"error": ib.relative_error},
    predict={"freedom": freedom},
    records=ib.log_records(3),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(100))},
)  # fmt: skip
