r"""Where does weight normalisation help?  |x_inf - x*| over (c, g0), against gradient descent from the same point.   (Wu et al. 2020, after Theorem 2.6)

The text says "closer to x* than GD if g0 < g*". With G = g_inf^2 the limit law gives |x_inf - x*|^2 = G a exp((g0^2 - G)/c),
against g0^2 a for GD: a tie where c = LM(G, g0^2), the logarithmic mean, and at g0 = g_inf. This is the map that the
paper does not have.
"""

import matplotlib.colors
import numpy as np

import implicit_bias as ib
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.theory import weight_normalisation as theory

from .claims import SOURCE, descent_tolerance, law


def cell(*, method, scale, key, ratio=1.0, rows=8, columns=20, target_norm=2.0, step=2e-3, stop=1e-9):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    weights = {"gd": ib.Euclidean(scale), "wn": ib.Polar(scale), "rpgd": ib.Sphere(scale)}[method]
    return ib.Run(problem, weights, ib.Descent(step, ratio=ratio, stop=ib.loss_below(stop), max_steps=400_000))


def _gain(ds):
    """How much closer than GD, by the limits: positive where WN is closer."""
    return theory.gradient_descent_limit_excess(ds.scale, ds.w_perp) - ds.excess.isel(record=-1)


ties = ib.Claim(
    id="excess-boundary-is-the-logarithmic-mean",
    source=f"{SOURCE}, after Theorem 2.6 (corrected)",
    statement="the sign of |x_GD - x*| - |x_WN - x*| is that of c < LM(G, g0^2) where G > g0^2, of c > LM where G < g0^2",
    kind=ib.Inequality(),
    on="wn+rpgd",
    residual=lambda ds: -np.sign(theory.closer_than_descent(**law(ds))) * _gain(ds),
    tolerance=descent_tolerance,
    because="stop rule and step, as for the limit law: a run within its tolerance of a tie may end on either side",
)


def _last(ds):
    return ds.excess.isel(record=-1).where(ds.status == ib.Status.CONVERGED)


def _draw(data):
    import matplotlib.pyplot as plt

    drawing, panels = plt.subplots(1, 3, figsize=(12.6, 3.9), sharey=True)
    both, gd = data["wn+rpgd"].to_dataset(), data["gd"].to_dataset().isel(method=0)
    descent = _last(gd)
    for panel, (method, title) in zip(panels, (("wn", "WN"), ("rpgd", "rPGD"))):
        ratio = np.log10(_last(both.sel({"method": method})) / descent).mean("seed").transpose("ratio", "scale")
        mesh = panel.pcolormesh(
            ratio.scale, ratio.ratio, ratio, cmap="RdBu_r", norm=matplotlib.colors.TwoSlopeNorm(0, -2, 1),
            shading="nearest", edgecolors="face", lw=0.3,
        )  # fmt: skip
        runs = both.sel({"method": method})
        slack = theory.closer_than_descent(**law(runs)).mean("seed").transpose("ratio", "scale")
        panel.contour(slack.scale, slack.ratio, slack, levels=[0], colors="black", linewidths=1.4)
        panel.axvline(float(both.target_norm), color="black", lw=0.8, ls=":")
        panel.set(xscale="log", yscale="log", xlabel="initial size $g_0$", title=f"{title} against GD")
        panel.grid(False)
    panels[0].set_ylabel("ratio of rates $c$")
    drawing.colorbar(mesh, ax=panels[:2].tolist(), label=r"$\log_{10}$ of $|x - x_*|$ over GD's", extend="min")
    wn = _last(both.sel({"method": "wn"})).mean("seed").transpose("ratio", "scale")
    mesh = panels[2].pcolormesh(
        wn.scale, wn.ratio, wn, cmap="cividis", norm=matplotlib.colors.LogNorm(1e-3, float(wn.max())),
        shading="nearest", edgecolors="face", lw=0.3,
    )  # fmt: skip
    panels[2].set(xscale="log", yscale="log", xlabel="initial size $g_0$", title="WN alone")
    panels[2].axvline(float(both.target_norm), color=COLOURS["orange"], lw=0.8, ls=":")
    panels[2].grid(False)
    drawing.colorbar(mesh, ax=panels[2], label="$|x - x_*|$", extend="min")
    return drawing


def _caption(data):
    both = data["wn+rpgd"].to_dataset()
    lost = int((both.status != ib.Status.CONVERGED).sum())
    return (
        f"Distance of the solution from x* over the ratio c and the first size g0, |x*| = {float(both.target_norm):g}, mean of "
        f"{both.sizes['seed']} seeds. Left and middle: against GD from the same start (blue: closer, red: farther), with "
        f"the exact boundary c = LM(g_inf^2, g0^2) and g0 = g_inf in black and g0 = g* dotted. Right: the distance itself. "
        f"{lost} runs did not converge and are left out of the means."
    )


figure = Figure(id="excess-map", draw=_draw, caption=_caption, claims=["excess-boundary-is-the-logarithmic-mean"])

axes = dict(seed=range(4), scale=ib.logspace(0.1, 4, 16))
study = ib.Study(
    cell=cell,
    grids=ib.grid(method="gd", **axes) + ib.grid(method=["wn", "rpgd"], **axes, ratio=ib.logspace(0.1, 10, 12)),
    facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size, "lambda_min": ib.lambda_min},
    observe={"excess": ib.distance_to(ib.min_norm)},
    records=ib.log_records(3),
    claims=[ties],
    figures=[figure],
    sizes={
        "paper": dict(
            seed=range(200), scale=ib.logspace(0.03, 6, 128), ratio=ib.logspace(0.03, 30, 16), rows=200, columns=10_000
        )
    },
)
