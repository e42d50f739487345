r"""Do WN and rPGD follow the same flow?  |x_descent(T) - x_flow(T)| = O(step).   (Wu et al. 2020, Lemma 2.2)

Both algorithms and the flow start from the same point; the flow is integrated to 1e-11, and
descent with step eta is read at the step nearest to T. As eta -> 0 both tend to dg/dt = c w.q, dw/dt = g P_w q.
"""

import numpy as np

import implicit_bias as ib
from implicit_bias.evidence.curves import among
from implicit_bias.evidence.figures import COLOURS, Figure

from .claims import ENDS_AT_T, SOURCE

END = 4.0


def cell(*, law, scale, key, ratio=1.0, step=1e-2, rows=6, columns=15, target_norm=2.0):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    weights = ib.Sphere(scale) if law == "rpgd" else ib.Polar(scale)
    flow = ib.Flow(max_time=END, ratio=ratio, rtol=1e-11, atol=1e-13)
    return ib.Run(problem, weights, flow if law == "flow" else ib.Descent(step, ratio=ratio, max_steps=1_000_000))


def _gap(ds):
    """|x - x_flow| at T for the two algorithms; nothing is claimed of the flow itself."""
    last = ds.x.isel(record=-1)
    gap = np.sqrt(((last - last.sel(law="flow")) ** 2).sum(last.dims[-1]))
    return gap.where(gap.law != "flow")


tends = ib.Claim(
    id="descent-tends-to-the-flow",
    source=f"{SOURCE}, Lemma 2.2",
    statement="WN and rPGD tend to one flow: |x(T) - x_flow(T)| is of first order in the step",
    kind=ib.Exponent(against="step", value=1.0, within=0.1),
    accepts=ENDS_AT_T,
    hypotheses=lambda ds: {"descent": -among(ds.law, "flow")},
    residual=_gap,
    because="first-order methods: at steps of 0.02 and less the next order bends the slope by a few per cent",
)


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, panel = plt.subplots(figsize=(5.2, 3.9))
    gap = _gap(ds)
    for law, colour, marker, label in (("wn", "blue", "o", "WN"), ("rpgd", "sky", "x", "rPGD")):
        curves = gap.sel(law=law).stack(run=[d for d in gap.dims if d not in ("law", "step")]).transpose("step", "run")
        panel.plot(gap.step, curves, "-", color=COLOURS[colour], lw=0.6, alpha=0.6)
        panel.plot(gap.step, curves.isel(run=0), marker, color=COLOURS[colour], label=label)
        panel.plot(gap.step, curves.isel(run=slice(1, None)), marker, color=COLOURS[colour])
    middle = float(np.exp(np.log(gap).mean()))
    centre = float(np.exp(np.log(gap.step).mean()))
    panel.plot(gap.step, 0.1 * middle * gap.step / centre, "k--", lw=1, label="slope 1")
    panel.set(xscale="log", yscale="log", xlabel=r"step $\eta$", ylabel=r"$|x_\eta(T) - x_{\mathrm{flow}}(T)|$")
    panel.set_xticks(gap.step.values, [f"{1e3 * step:g}" for step in gap.step.values])
    panel.xaxis.minorticks_off()
    panel.set_xlabel(r"step $\eta$, in thousandths")
    panel.legend(fontsize=8.5)
    return drawing


def _caption(ds):
    gap = _gap(ds)
    return (
        f"Distance between the descent iterate and the flow at T = {END:g}, for {ds.sizes['seed']} seeds and "
        f"{ds.sizes['scale']} first sizes; both algorithms come down to the same flow at first order "
        f"(from {float(gap.max()):.1e} to {float(gap.min()):.1e})."
    )


figure = Figure(id="common-flow", draw=_draw, caption=_caption, claims=["descent-tends-to-the-flow"])

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        law=["flow", "wn", "rpgd"], seed=range(4), scale=[0.3, 1.0, 2.5], step=[0.02, 0.01, 5e-3, 2.5e-3, 1.25e-3]
    ),
    observe={"x": ib.predictor()},
    records=ib.time_records([END]),
    claims=[tends],
    figures=[figure],
    sizes={"paper": dict(seed=range(100), scale=ib.logspace(0.1, 3, 16))},
)
