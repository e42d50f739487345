r"""Do WN and rPGD follow the same flow?  |x_descent(T) - x_flow(T)| = O(step).   (Wu et al. 2020, Lemma 2.2)

Both algorithms and the flow start from the same point; the flow is integrated to 1e-11, and
descent with step eta is read at the step nearest to T. As eta -> 0 both tend to dg/dt = c w.q, dw/dt = g P_w q.
"""

import numpy as np

import implicit_bias as ib

from .claims import ENDS_AT_T, SOURCE, WEIGHTS

END = 4.0


def cell(*, law, scale, key, ratio=1.0, step=1e-2, rows=6, columns=15, target_norm=2.0):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    flow = ib.Flow(max_time=END, ratio=ratio, rtol=1e-11, atol=1e-13)
    descent = ib.Descent(step, ratio=ratio, max_steps=1_000_000)
    return ib.Run(problem, WEIGHTS["rpgd" if law == "rpgd" else "wn"](scale), flow if law == "flow" else descent)


def gap(ds):
    """|x - x_flow| at T for the two algorithms; nothing is claimed of the flow itself."""
    end = ib.curves.last(ds.x)
    off = np.sqrt(((end - end.sel(law="flow")) ** 2).sum("x_0"))
    return off.where(off.law != "flow")


tends = ib.Claim(
    id="descent-tends-to-the-flow",
    source=f"{SOURCE}, Lemma 2.2",
    statement=r"WN and rPGD tend to one flow: $|x(T) - x_{\text{flow}}(T)|$ is of first order in the step",
    kind=ib.Exponent(against="step", value=1.0, within=0.1),
    accepts=ENDS_AT_T,
    hypotheses=lambda ds: {"descent": -ib.curves.among(ds.law, "flow")},
    residual=gap,
    because="first-order methods: at steps of 0.02 and less the next order bends the slope by a few per cent",
)

def moved(ds):
    """The gap of the two algorithms alone."""
    return gap(ds).drop_sel(law="flow")


def quotient(ds):
    """gap / step over what it is at the least step: 1 at every step if the gap is of first order."""
    over_step = moved(ds) / ds.step
    return over_step / over_step.sel(step=ds.step.min())


figure = ib.Figure(
    id="common-flow",
    panels=[
        ib.panel(
            ib.curves_of(moved, x="step", by="law", of={"scale": "last"}, join=False, accepts=ENDS_AT_T),
            ib.guide(1.0, series="each"),
            title="$g_0 = {scale:g}$", log="xy", x=r"step $\eta$", y=r"$|x_\eta(T) - x_{\mathrm{flow}}(T)|$",
        ),
        ib.panel(
            ib.curves_of(quotient, x="step", by="scale", name="$g_0 = {:g}$", band=["seed", "law"], accepts=ENDS_AT_T),
            ib.level(1.0),
            title="first order: a level", log="x", x=r"step $\eta$",
            y=r"gap over $\eta$, over that at the least $\eta$",
        ),
    ],
    caption=lambda ds: (
        f"Distance between the descent iterate and the flow at T = {END:g}. Left: from the largest first size, "
        "median and range "
        f"over {ds.sizes['seed']} seeds, with lines of slope 1. Right: the distance over the step, divided by "
        "what it is at the "
        f"least step, of both algorithms: a level at first order, of which the next order bends off by at most "
        f"{float(abs(quotient(ds) - 1).max()):.0%} (the distance itself is {float(gap(ds).min()):.1e} to "
        f"{float(gap(ds).max()):.1e})."
    ),
    claims=[tends.id],
)  # fmt: skip

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
