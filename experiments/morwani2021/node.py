r"""Which weight wins under exponential weight normalisation?  w_i = exp(gamma_i), Loss = exp(-<w, a>).   (Morwani & Ramaswamy 2021)

One example a > 0 and a node for each weight: dw_i/dt = w_i^2 a_i Loss, so that

    (1/w_i(0) - 1/w_i(t)) / a_i      is one number for all i:

the weight with the largest a_i w_i(0) grows without bound, and each other one stops at 1/(1/w_l(0) - a_l/(a_k w_k(0))).
The loss falls like 1/(t log^2 t). It is the diagonal net of many layers: dx/dt = x^{2 - 2/L} q for L -> infinity.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import log_exponent
from implicit_bias.evidence.figures import COLOURS, Figure

SOURCE = "Morwani & Ramaswamy 2021"
END, MIDDLE = 180.0, 120.0
DATA = (2.0, 1.0)
STARTS = {"1, 1": [1.0, 1.0], "3, 1": [3.0, 1.0], "1, 3": [1.0, 3.0], "5, 1": [5.0, 1.0], "1, 5": [1.0, 5.0]}


def cell(*, start):
    problem = ib.linear.fixed([DATA], [1.0], loss=ib.exponential)(0)
    return ib.Run(problem, ib.Exponential(start), ib.Flow(np.exp(END), rtol=1e-11, max_steps=50_000))


def _data():
    return xr.DataArray(list(DATA), dims="w_0")


def _moved(ds):
    return (1 / ds.w.isel(record=0) - 1 / ds.w) / _data()


def _law(ds):
    """Where the loser is when the winner is where it is."""
    a = _data()
    wins = (a * ds.w.isel(record=0)).argmax("w_0")
    winner, loser = (ds.w.isel(w_0=i) for i in (wins, 1 - wins))
    share = a.isel(w_0=1 - wins) / a.isel(w_0=wins)
    predicted = 1 / (1 / loser.isel(record=0) - share * (1 / winner.isel(record=0) - 1 / winner))
    return winner, loser, predicted, 1 / (1 / loser.isel(record=0) - share / winner.isel(record=0))


ENDED = (ib.Status.ESCAPING, ib.Status.CAPPED)

invariant = ib.Claim(
    id="inverse-weights-move-together",
    source=f"{SOURCE}, the scalar example (derived)",
    statement="(1/w_i(0) - 1/w_i(t)) / a_i is the same for both weights",
    accepts=ENDED,
    residual=lambda ds: abs(_moved(ds).isel(w_0=0) - _moved(ds).isel(w_0=1)),
    tolerance=lambda ds: 1e-8,
    because="integrator at a relative 1e-11 a step",
)

loser = ib.Claim(
    id="the-loser-follows-the-winner",
    source=f"{SOURCE}, the scalar example (derived)",
    statement="w_l(t) = 1/(1/w_l(0) - (a_l/a_k)(1/w_k(0) - 1/w_k(t))), k = argmax a_i w_i(0)",
    accepts=ENDED,
    residual=lambda ds: abs(_law(ds)[1] / _law(ds)[2] - 1),
    tolerance=lambda ds: 1e-7,
    because="the invariant, solved for the loser",
)

stops = ib.Claim(
    id="the-loser-stays-below-its-limit",
    source=f"{SOURCE}, the scalar example (derived)",
    statement="w_l(t) < 1/(1/w_l(0) - a_l/(a_k w_k(0))), and within 10 % of it at log t = 180",
    kind=ib.Inequality(),
    accepts=ENDED,
    residual=lambda ds: abs(1 - (_law(ds)[1] / _law(ds)[3]).isel(record=-1) - 0.05),
    tolerance=lambda ds: 0.05,
    because="the winner has grown to log t / a_k only: its inverse is what the loser has still to make up",
)

rate = ib.Claim(
    id="loss-falls-like-1/(t-log^2-t)",
    source=f"{SOURCE}, abstract: the rate at any depth",
    statement="Loss t ~ (log t)^-2: the slope of log(Loss t) against log log t, from log t = 120 to 180",
    accepts=ENDED,
    residual=lambda ds: abs(log_exponent(ds, MIDDLE) + 2),
    tolerance=lambda ds: 0.12,
    because="corrections of relative size (log log t + a_l w_l) / log t",
)


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, panel = plt.subplots(figsize=(5.6, 3.9))
    _, loser, predicted, limit = _law(ds)
    palette = ["blue", "vermillion", "green", "orange", "black"]
    for i, (colour, marker) in enumerate(zip(palette, "os^vx")):
        if i < ds.sizes["start"]:
            one = ds.isel(start=i)
            t = np.log(one.clock.where(one.clock > 0))
            label = f"$w_0 = ({one.start.item()})$"
            panel.plot(t[1::4], loser.isel(start=i)[1::4], marker, color=COLOURS[colour], label=label)
            panel.plot(t[1:], predicted.isel(start=i)[1:], "-", lw=0.9, color=COLOURS[colour])
            panel.axhline(float(limit.isel(start=i)), ls=":", lw=0.8, color=COLOURS[colour])
    panel.set(xlabel=r"$\log t$", ylabel="the losing weight")
    panel.set_ylim(top=3.6)
    panel.legend(fontsize=8.5, ncols=3)
    return drawing


figure = Figure(
    id="loser",
    draw=_draw,
    caption="Two weights under exponential weight normalisation, one example a = (2, 1): the weight with the smaller a_i w_i(0) "
    "(points), where the invariant puts it given the other one (lines), and its limit (dotted).",
    claims=["inverse-weights-move-together", "the-loser-follows-the-winner"],
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(start=STARTS),
    observe={"w": ib.predictor()},
    records=ib.records_at(np.exp(np.linspace(0, END, 61))[:-1]),
    claims=[invariant, loser, stops, rate],
    figures=[figure],
)
