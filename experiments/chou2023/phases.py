r"""From how many measurements, and from which starts, is the support found?  x = w^2, with and without WN.   (Chou et al. 2023)

A phase diagram over the first size alpha of each entry and the number of rows of A: a run succeeds if the entries above
a quarter of the sparse vector's least are its support. Least l1 (a linear program) says where success can be expected
at all. A run that has not fitted within the cap is no failure of the bias: it is counted apart.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import figures
from .claims import ENDED, SOURCE, truth

FITTED = 1e-4


class Measured(ib.linear.Linear):
    """Least squares on some of the measurements drawn: the others are zero rows, so that their number is traced."""

    rows: float = 1.0

    def requirements(self):
        drawn = self.operator.shape[0]
        return {("rows", f"must be from 1 to {drawn}", "ask for fewer, or raise most"): (self.rows >= 1) & (self.rows <= drawn)}


def measured(rows, most, columns, nonzeros, noise, key):
    """The first `rows` of `most` measurements, A_ij ~ N(0, 1/rows)."""
    whole = ib.linear.sparse(most, columns, nonzeros, noise=noise, nonnegative=True)(key)
    kept = jnp.where(jnp.arange(most, dtype=float) < rows, jnp.sqrt(most / rows), 0.0)
    return Measured(kept[:, None] * whole.operator, kept * whole.target, whole.of_predictions, whole.made_from, rows)


def cell(
    *, method, rows, alpha, key, ratio=0.1, step=0.1, columns=40, nonzeros=3, noise=0.0, stop=1e-8, max_steps=5_000,
    most=24,
):  # fmt: skip
    problem = measured(rows, most, columns, nonzeros, noise, key)
    scale = alpha * np.sqrt(columns)
    inner, rate = (ib.Polar(scale), ratio) if method == "wn" else (ib.Euclidean(scale), 1.0)
    descent = ib.Descent(step, ratio=rate, stop=ib.loss_below(stop), max_steps=max_steps, bound=1e6)
    return ib.Run(problem, ib.Power(inner, 2), descent)


def support_found(snapshot):
    """Whether the entries above a quarter of the least nonzero one of the sparse vector are its support."""
    import jax.numpy as jnp

    hidden = ib.truth(snapshot.problem)
    least = jnp.min(jnp.where(hidden != 0, jnp.abs(hidden), jnp.inf))
    return jnp.all((jnp.abs(snapshot.x) > least / 4) == (hidden != 0))


def fitted(loss):
    """1 where |A x - y|^2 / 2 is below 1e-4: later changes of x are below a few per cent."""
    return float(loss[-1] < FITTED)


def success(found, fitted):
    """1 or 0, whether the support is found; nan of runs that have not fitted."""
    return float(found[-1]) if fitted else np.nan


def least_l1_finds(operator, target, truth, rows):
    """1 where the nonnegative interpolator of least l1 norm is the sparse vector."""
    m = int(rows)
    return float(np.max(abs(ib.min_l1(operator[:m], target[:m], nonnegative=True).x - truth)) < 1e-6)


def share(ds, method, low, high, unfitted):
    """Of the runs of a seed with low <= alpha <= high: the share that found the support; `unfitted` counts one so."""
    success = ib.curves.at(ds.success.fillna(unfitted), method=method)
    return ib.by_seed(success.where((ds.alpha >= low) & (ds.alpha <= high)))


def fitted_share(ds, method, low):
    """Of the runs of a seed from alpha >= low: the share that has fitted."""
    return ib.by_seed(ib.curves.at(ds.fitted, method=method).where(ds.alpha >= low))


# However a run has ended, it has found the support, has not, or has not fitted, and is counted so.
claim = ib.claims_with(per="seed", accepts=(*ENDED, ib.Status.DIVERGED))

wider = claim(
    id="finds-the-support-from-more-starts",
    source=f"{SOURCE}, abstract: the bias persists at practically large starts, in contrast to plain flow",
    statement=r"from $\alpha \in [0.01, 0.3]$ a larger share of the runs finds the support with WN than without",
    kind=ib.Ordering(over="seed"),
    residual=lambda ds: share(ds, "gd", 0.0099, 0.301, 1.0) - share(ds, "wn", 0.0099, 0.301, 0.0),
    because="paired over seeds; a run that has not fitted within the cap counts against the claim",
)

beyond = claim(
    id="finds-the-support-from-more-huge-starts",
    source=f"{SOURCE}, abstract (asked without s0 < Q)",
    statement=r"from $\alpha = 1$, where $s_0 > Q$, half of the runs with WN find the support",
    kind=ib.Inequality(),
    hypotheses=lambda ds: {
        "$s_0 > Q$": ds.columns - abs(ds.truth).sum("truth_0"),
        "three in four have fitted": fitted_share(ds, "wn", 0.99) - 0.75,
    },
    residual=lambda ds: 1 - share(ds, "wn", 0.99, 10.0, 1.0),
    tolerance=lambda ds: 0.5,
    because="the threshold of the statement; a run that has not fitted counts for the claim",
    expected="refuted",
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=["gd", "wn"], rows=ib.linspace(5.0, 20.0, 16), seed=range(12), alpha=ib.logspace(1e-3, 1, 19)),
    facts={"operator": ib.operator, "target": ib.target, "truth": truth},
    observe={"found": support_found},
    predict={"fitted": fitted, "success": success, "least_l1_finds": least_l1_finds},
    records=ib.log_records(2),
    claims=[wider, beyond],
    figures=[figures.phases(FITTED, [wider.id, beyond.id])],
    sizes={"paper": dict(seed=range(50), rows=[6, 8, 10, 12, 14, 16, 18, 20, 24], alpha=ib.logspace(1e-3, 1, 25))},
)  # fmt: skip
