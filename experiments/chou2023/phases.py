r"""From how many measurements, and from which starts, is the support found?  x = w^2, with and without WN.   (Chou et al. 2023)

A phase diagram over the first size alpha of each entry and the number of rows of A: a run succeeds if the entries above
a quarter of the sparse vector's least are its support. Least l1 (a linear program) says where success can be expected
at all. A run that has not fitted within the cap is no failure of the bias: it is counted apart.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.figures import Figure, edges
from implicit_bias.evidence.runs import over_runs

from .claims import SOURCE, BySeed, truth

FITTED = 1e-4


def cell(
    *, method, rows, alpha, key, ratio=0.1, step=0.1, columns=40, nonzeros=3, noise=0.0, stop=1e-8, max_steps=5_000
):
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise, nonnegative=True)(key)
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


def fitted(ds):
    """|A x - y|^2 / 2 below FITTED: later changes of x are below a few per cent."""
    return ds.loss.isel(record=-1) < FITTED


def found(ds):
    """1 or 0; nan for runs that have not fitted."""
    return ds.found.isel(record=-1).astype(float).where(fitted(ds))


def least_l1_finds(ds):
    """Whether the nonnegative interpolator of least l1 norm is the sparse vector, by seed and rows."""
    parts = []
    for rows in ds.rows.values:
        at, m = ds.sel(rows=rows), int(rows)

        def one(A, y, hidden, m=m):
            return float(np.abs(ib.min_l1(A[:m], y[:m], nonnegative=True).x - hidden).max() < 1e-6)

        parts.append(over_runs(at, one, at.operator, at.target, at.truth, one_by_one=True))
    return xr.concat(parts, ds.rows)


def _share(ds, method, low, high, unfitted):
    """Of the runs of a seed with low <= alpha <= high: the share that found the support; `unfitted` counts one so."""
    one = ds.found.fillna(unfitted).reindex({"method": [method]}).isel({"method": 0}, drop=True)
    inside = (ds.alpha >= low) & (ds.alpha <= high)
    return one.where(inside).mean(["alpha", "rows"])


def _lead(low, high):
    return lambda ds: _share(ds, "gd", low, high, 1.0) - _share(ds, "wn", low, high, 0.0)


def summary(ds):
    return {"found": found(ds)}


wider = BySeed(
    id="finds-the-support-from-more-starts",
    source=f"{SOURCE}, abstract: the bias persists at practically large starts, in contrast to plain flow",
    statement="from alpha in [0.01, 0.3] a larger share of the runs finds the support with WN than without",
    kind=ib.Ordering(over="seed"),
    summary=summary,
    residual=_lead(0.0099, 0.301),
    because="paired over seeds; a run that has not fitted within the cap counts against the claim",
)

beyond = BySeed(
    id="finds-the-support-from-more-huge-starts",
    source=f"{SOURCE}, abstract (asked without s0 < Q)",
    statement="from alpha = 1, where s0 > Q, half of the runs with WN find the support",
    kind=ib.Inequality(),
    summary=lambda ds: {**summary(ds), "truth": ds.truth},
    hypotheses=lambda ds: {"s0 > Q": ds.columns - abs(ds.truth).sum("truth_0")},
    residual=lambda ds: 1 - _share(ds, "wn", 0.99, 10.0, 1.0),
    tolerance=lambda ds: 0.5,
    because="the threshold of the statement; a run that has not fitted counts for the claim",
    expected="refuted",
)


def _draw(ds):
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap

    drawing, panels = plt.subplots(1, 2, figsize=(9.4, 3.7), sharey=True)
    rows = ds.rows.astype(int)
    for panel, (method, label) in zip(panels, (("gd", "GD"), ("wn", f"WN, $c = {ds.ratio.item():g}$"))):
        one = ds.sel({"method": method})
        share, missing = found(one).mean("seed"), (~fitted(one)).mean("seed")
        at = np.arange(rows.size)
        across, up = edges(ds.alpha.values, log=True), edges(at)
        mesh = panel.pcolormesh(across, up, share.transpose("rows", "alpha"), vmin=0, vmax=1, cmap="cividis")
        # hatched where more than half of the runs have not fitted within the cap
        lost = np.where(missing.transpose("rows", "alpha") > 0.5, 1.0, np.nan)
        panel.pcolor(across, up, lost, cmap=ListedColormap(["none"]), hatch="////", edgecolor="0.6", lw=0)
        panel.set(xscale="log", xlabel=r"first size of each entry, $\alpha$", title=label)
        panel.set_yticks(at, [f"{m}" for m in rows.values])
        panel.grid(False)
    panels[0].set_ylabel("measurements")
    expected = least_l1_finds(ds).isel({"method": 0}).mean("seed")
    for i, share in enumerate(expected.values):
        panels[1].annotate(f"{share:.0%}", (1.02, i), xycoords=("axes fraction", "data"), va="center", fontsize=8.5)
    panels[1].annotate(
        "least\n$\\ell_1$", (1.02, len(expected) - 0.35), xycoords=("axes fraction", "data"), fontsize=8.5
    )
    drawing.colorbar(mesh, ax=panels, label="share that found the support", pad=0.09)
    return drawing


def _caption(ds):
    lost = int((~fitted(ds)).sum())
    return (
        f"Share of {ds.sizes['seed']} seeds whose run found the support of a nonnegative vector with {int(ds.nonzeros)} of {int(ds.columns)} entries, by the "
        f"size of the start and the number of measurements. {lost} of {ds.status.size} runs had not fitted (loss {FITTED:g}) within "
        f"{int(ds.max_steps):,} steps and are left out; hatched where that is more than half, white where it is all. At the right: how often the interpolator of least l1 "
        f"norm is the vector."
    )


figure = Figure(id="phases", draw=_draw, caption=_caption, claims=[wider.id, beyond.id])

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=["gd", "wn"], rows=[8, 12, 16, 20], seed=range(8), alpha=ib.logspace(1e-3, 1, 13)),
    facts={"operator": ib.operator, "target": ib.target, "truth": truth},
    observe={"found": support_found},
    records=ib.log_records(2),
    claims=[wider, beyond],
    figures=[figure],
    sizes={"paper": dict(seed=range(50), rows=[6, 8, 10, 12, 14, 16, 18, 20, 24], alpha=ib.logspace(1e-3, 1, 25))},
)  # fmt: skip
