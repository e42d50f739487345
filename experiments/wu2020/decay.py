r"""Is rPGD a weight decay that adapts to the data?  x' = (1 - lambda_t) x - s_t grad L(x).   (Wu et al. 2020, Appendix A, reconstructed)

With v = w - eta g grad L(x) before the projection and g' = g - c eta w.grad L(x), x' = g' v/|v| reads

    lambda_t = 1 - g' / (g |v|),      s_t = eta g g' / |v|.

That form is algebra (a test holds it to rounding), and so is: lambda_t > 0, a decay, if and only if g'/g < |v|. What it
says of a run is its first order in eta, with q = -grad L(x): where g grows, rPGD decays if g^2 > c and stretches if
g^2 < c.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib
from implicit_bias.dynamics import schedules
from implicit_bias.evidence.figures import COLOURS, Figure

from . import observables
from .claims import ENDS_AT_T, ROUNDING, SOURCE

ENDS = (*ENDS_AT_T, ib.Status.STALLED)  # the end of the run, or a point that no step moves


def cell(*, scale, key, ratio=1.0, step=0.02, rows=8, columns=20, target_norm=3.0):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    return ib.Run(problem, ib.Sphere(scale), ib.Descent(step, ratio=ratio, max_steps=3_000))


def _decay(snapshot):
    """lambda_t at a point, from that point alone."""
    step, ratio = snapshot.dynamics.step, schedules.at(snapshot.dynamics.ratio, snapshot.steps)
    g, w, slope = snapshot.theta.g, snapshot.theta.w, observables.slope(snapshot)
    v = jnp.linalg.norm(w - step * g * slope)
    new_g = g - ratio * step * (w @ slope)
    return 1 - new_g / (g * v)


decay = ib.Measure(_decay, "lambda_t = 1 - g'/(g |v|), the decay of the step that follows", ("g", "w"))


def _growth(ds):
    """eta g (w.q) and |v|, v = w + eta g q before the projection."""
    first = ds.step * ds.g * ds.along
    return first, np.sqrt(1 + 2 * first + (ds.step * ds.g) ** 2 * ds.slope_square)


def _first_order(ds):
    """eta (w.q) (g^2 - c) / g"""
    return ds.step * ds.along * (ds.g**2 - ds.ratio) / ds.g


def _second_order(ds):
    """lambda_t - eta (w.q) (g^2 - c)/g is (|v| - 1 - eta g w.q) / |v|, in [0, (eta g |q|)^2 / 2|v|], and that times (1/|v| - 1)."""
    _, length = _growth(ds)
    return (ds.step * ds.g) ** 2 * ds.slope_square / (2 * length) + abs(_first_order(ds) * (1 / length - 1))


by_size = ib.Claim(
    id="rpgd-decays-while-g-grows-beyond-sqrt(c)",
    source=f"{SOURCE}, Appendix A (derived)",
    statement="lambda_t = eta (w.q) (g^2 - c)/g + O(eta^2): where g grows it is a decay if g^2 > c and a stretch if g^2 < c",
    accepts=ENDS,
    hypotheses=lambda ds: {"1 + eta g w.q > 0": (1 + _growth(ds)[0]).min("record")},
    residual=lambda ds: abs(ds["lambda"] - _first_order(ds)) / (_second_order(ds) + ROUNDING),
    tolerance=lambda ds: 1.0,
    because="the second order, bounded: (eta g |q|)^2 / 2|v| + |first order| |1/|v| - 1|; rounding 1e-12",
)

decays = ib.Claim(
    id="rpgd-decay-is-positive-as-one-might-read",
    source=f"{SOURCE}, Appendix A (the reading that lambda_t is a decay)",
    statement="lambda_t >= 0 at every step",
    kind=ib.Inequality(),
    accepts=ENDS,
    residual=lambda ds: -ds["lambda"],
    tolerance=lambda ds: ROUNDING,
    because="a sign, up to rounding at convergence",
    expected="refuted",
)


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, panel = plt.subplots(figsize=(5.6, 3.9))
    colours = [COLOURS["blue"], COLOURS["sky"], COLOURS["green"], COLOURS["vermillion"]]
    for scale, colour in zip(ds.scale.values, colours):
        runs = ds.sel(scale=scale)
        clock = runs.clock.isel(seed=0) if "seed" in runs.clock.dims else runs.clock
        lam = runs["lambda"].transpose("record", "seed")
        panel.fill_between(clock[1:], lam.min("seed")[1:], lam.max("seed")[1:], color=colour, alpha=0.18, lw=0)
        panel.plot(clock[1:], lam.median("seed")[1:], color=colour, label=f"$g_0 = {scale:g}$")
    panel.axhline(0, color="black", lw=0.8)
    panel.set(xscale="log", xlabel="step", ylabel=r"$\lambda_t$")
    panel.set_yscale("symlog", linthresh=1e-4)
    panel.legend(fontsize=8.5)
    return drawing


def _caption(ds):
    negative = float((ds["lambda"].isel(record=slice(1, None)) < -ROUNDING).mean())
    return (
        f"The decay lambda_t of rPGD's step in the form x' = (1 - lambda_t) x - s_t grad L(x), along the run: median and "
        f"range over {ds.sizes['seed']} seeds, |x*| = 3. It is negative, a stretch, at {100 * negative:.0f} % of the "
        f"recorded moments: wherever g grows faster than |v|."
    )


figure = Figure(id="decay", draw=_draw, caption=_caption, claims=["rpgd-decays-while-g-grows-beyond-sqrt(c)", "rpgd-decay-is-positive-as-one-might-read"])

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(8), scale=[0.3, 1.0, 3.0, 6.0]),
    observe={"lambda": decay, "g": ib.size, "along": observables.along, "slope_square": observables.slope_square},
    records=ib.log_records(60),
    claims=[by_size, decays],
    figures=[figure],
    sizes={"paper": dict(seed=range(200), rows=200, columns=10_000)},
)
