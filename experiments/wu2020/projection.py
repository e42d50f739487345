r"""How fast does projection alone forget w_perp?  |w_perp'| = |w_perp| / |v|,  |v| >= 1 + delta + lambda_min.   (Wu et al. 2020, Prop. 3.3)

General A with lambda_max = 1, g fixed at g0 = g* lambda_min / (2 + delta), step 1/g0^2. The eigenvalues of A A^T are
equally spaced from lambda_min to 1.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.theory import projected_descent as theory

from . import observables
from .claims import ENDS_AT_T, SOURCE

EPS = 1e-6


def cell(*, smallest, delta, key, rows=8, columns=20, target_norm=1.0):
    eigenvalues = smallest + (1 - smallest) * jnp.linspace(0.0, 1.0, rows)
    problem = ib.linear.with_spectrum(jnp.sqrt(eigenvalues), columns, target_norm=target_norm)(key)
    g0 = target_norm * smallest / (2 + delta)
    descent = ib.Descent(1.0, ratio=0.0, law=ib.over_size_squared(), max_steps=400)
    return ib.Run(problem, ib.Sphere(g0), descent)


def length_before_projection(snapshot):
    """|v|, v = w - (1/g) grad L(g w)"""
    w, g = snapshot.theta.w, snapshot.theta.g
    return jnp.linalg.norm(w - observables.slope(snapshot) / g)


def turned(snapshot):
    """|w_perp| <= eps"""
    return ib.orthogonal_log(snapshot) <= np.log(EPS)


def _bound(growth):
    return lambda ds: theory.projection_steps(ds.w_perp, EPS, growth(ds))


def _length(id, source, statement, least, because):
    return ib.Claim(
        id=id, source=source, statement=statement, kind=ib.Inequality(), accepts=ENDS_AT_T,
        residual=lambda ds: least(ds) - ds.length, tolerance=lambda ds: 1e-12, because=because,
    )  # fmt: skip


def _count(id, source, statement, growth):
    return ib.Claim(
        id=id, source=source, statement=statement, kind=ib.Inequality(), accepts=ENDS_AT_T,
        residual=lambda ds: ds.turned, tolerance=_bound(growth), because="a count of steps",
    )  # fmt: skip


printed_length = _length(
    "projection-length",
    f"{SOURCE}, Proposition 3.3",
    "|v| >= 1 + delta at every step",
    lambda ds: 1 + ds.delta,
    "exact; rounding",
)
derived_length = _length(
    "projection-length-derived",
    f"{SOURCE}, Proposition 3.3 (derived)",
    "|v| >= 1 + delta + lambda_min at every step",
    lambda ds: 1 + ds.delta + ds.smallest,
    "exact: |v| >= lambda_min g*/g0 - (1 - lambda_min); rounding",
)
printed_count = _count(
    "projection-count",
    f"{SOURCE}, Proposition 3.3",
    "|w_perp| <= eps after log(|w_perp(0)|/eps) / log(1 + delta) steps",
    lambda ds: ds.delta,
)
derived_count = _count(
    "projection-count-derived",
    f"{SOURCE}, Proposition 3.3 (derived)",
    "|w_perp| <= eps after log(|w_perp(0)|/eps) / log(1 + delta + lambda_min) steps",
    lambda ds: ds.delta + ds.smallest,
)


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9))
    for smallest, colour in zip(ds.smallest.values, ("vermillion", "green", "blue", "sky")):
        runs = ds.sel(smallest=smallest)
        label = rf"$\lambda_{{\min}} = {smallest:g}$"
        left.plot(
            runs.delta, runs.turned.transpose("delta", "seed").mean("seed"), "o", color=COLOURS[colour], label=label
        )
        derived = _bound(lambda ds: ds.delta + ds.smallest)(runs).max("seed")
        left.plot(runs.delta, derived.broadcast_like(runs.delta), "-", lw=1, color=COLOURS[colour])
        right.plot(runs.delta, runs.length.transpose("delta", "seed").min("seed"), "o", color=COLOURS[colour])
        right.plot(runs.delta, 1 + runs.delta + runs.smallest, "-", lw=1, color=COLOURS[colour])
    printed = _bound(lambda ds: ds.delta)(ds).max(["seed", "smallest"])
    left.plot(ds.delta, printed, "k:", label="printed bound")
    right.plot(ds.delta, 1 + ds.delta, "k:")
    left.set(xscale="log", yscale="log", xlabel=r"$\delta$", ylabel=r"steps until $|w_\perp| \leq 10^{-6}$")
    right.set(xscale="log", yscale="log", xlabel=r"$\delta$", ylabel=r"least $|v|$ over all steps")
    left.legend(fontsize=8.5)
    return drawing


def _caption(ds):
    ratio = (ds.turned / _bound(lambda ds: ds.delta)(ds)).max()
    sharper = (ds.turned / _bound(lambda ds: ds.delta + ds.smallest)(ds)).max()
    return (
        f"Projection with g fixed at g* lambda_min / (2 + delta). Left: mean number of steps until w_perp has died out "
        f"(points), the bound of Proposition 3.3 (dotted) and the derived bound (lines); steps over bound are at most "
        f"{float(ratio):.2f} and {float(sharper):.2f}. Right: the least |v| of {ds.sizes['seed']} seeds, with "
        f"1 + delta (dotted) and 1 + delta + lambda_min (lines)."
    )


figure = Figure(id="projection", draw=_draw, caption=_caption, claims=["projection-count", "projection-length-derived"])

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(16), smallest=[0.03, 0.1, 0.3, 0.8], delta=[0.1, 0.3, 1.0, 3.0]),
    facts={"w_perp": ib.orthogonal_size},
    observe={"length": ib.running_min(length_before_projection), "turned": ib.first_time(turned)},
    records=ib.log_records(3),
    claims=[printed_length, derived_length, printed_count, derived_count],
    figures=[figure],
    sizes={"paper": dict(seed=range(200), smallest=ib.logspace(0.01, 0.9, 16), delta=ib.logspace(0.03, 10, 16))},
)
