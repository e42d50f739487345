r"""Which weight wins under exponential weight normalisation?  w_i = exp(gamma_i), Loss = exp(-<w, a>).   (Morwani & Ramaswamy 2021)

One example a > 0 and a node for each weight: dw_i/dt = w_i^2 a_i Loss, so that

    (1/w_i(0) - 1/w_i(t)) / a_i      is one number for all i:

the weight with the largest a_i w_i(0) grows without bound, and each other one stops at 1/(1/w_l(0) - a_l/(a_k w_k(0))).
The loss falls like 1/(t log^2 t). It is the diagonal net of many layers: dx/dt = x^{2 - 2/L} q for L -> infinity.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import slope
from implicit_bias.evidence.figures import COLOURS, Figure

SOURCE = "Morwani & Ramaswamy 2021"
DATA = (2.0, 1.0)
STARTS = {"1, 1": [1.0, 1.0], "3, 1": [3.0, 1.0], "1, 3": [1.0, 3.0], "5, 1": [5.0, 1.0], "1, 5": [1.0, 5.0]}


def cell(*, start, log_time=180.0, rtol=1e-11):
    problem = ib.linear.fixed([DATA], [1.0], loss=ib.exponential)(0)
    return ib.Run(problem, ib.Exponential(start), ib.Flow(np.exp(log_time), rtol=rtol, max_steps=50_000))


def records(dynamics):
    """Even in log t."""
    return ib.records_at(np.exp(np.linspace(0, np.log(dynamics.end), 61))[:-1])(dynamics)


def _data():
    return xr.DataArray(list(DATA), dims="w_0")


def _moved(ds):
    return (1 / ds.w.isel(record=0) - 1 / ds.w) / _data()


def _roles(ds):
    """The winner and the loser, and (a_k, a_l)."""
    a = _data()
    wins = (a * ds.w.isel(record=0)).argmax("w_0")
    return [ds.w.isel(w_0=i) for i in (wins, 1 - wins)], [a.isel(w_0=i) for i in (wins, 1 - wins)]


def _law(ds):
    """The loser; where it is when the winner is where it is; its limit."""
    (winner, loser), (a_winner, a_loser) = _roles(ds)
    share = a_loser / a_winner
    predicted = 1 / (1 / loser.isel(record=0) - share * (1 / winner.isel(record=0) - 1 / winner))
    return loser, predicted, 1 / (1 / loser.isel(record=0) - share / winner.isel(record=0))


def _still_to_come(ds):
    """1 - w_l / its limit, at the end."""
    loser, _, limit = _law(ds)
    return 1 - (loser / limit).isel(record=-1)


def _slowest_winner(ds):
    """A bound from below of a_k w_k at the end.

    d(1/Loss)/dt = sum a_i^2 w_i^2 >= (a_k w_k(0))^2, so that a_k w_k = log(1/Loss) - a_l w_l is at least this.
    """
    (winner, _), (a_winner, a_loser) = _roles(ds)
    return ds.log_time + 2 * np.log(a_winner * winner.isel(record=0)) - a_loser * _law(ds)[2]


ENDED = (ib.Status.ESCAPING, ib.Status.CAPPED)

invariant = ib.Claim(
    id="inverse-weights-move-together",
    source=f"{SOURCE}, the scalar example (derived)",
    statement="(1/w_i(0) - 1/w_i(t)) / a_i is the same for both weights",
    accepts=ENDED,
    residual=lambda ds: abs(_moved(ds).isel(w_0=0) - _moved(ds).isel(w_0=1)),
    tolerance=lambda ds: 1e3 * ds.rtol,
    because="integrator at a relative rtol a step",
)

loser = ib.Claim(
    id="the-loser-follows-the-winner",
    source=f"{SOURCE}, the scalar example (derived)",
    statement="w_l(t) = 1/(1/w_l(0) - (a_l/a_k)(1/w_k(0) - 1/w_k(t))), k = argmax a_i w_i(0)",
    accepts=ENDED,
    residual=lambda ds: abs(_law(ds)[0] / _law(ds)[1] - 1),
    tolerance=lambda ds: 1e4 * ds.rtol,
    because="the invariant, solved for the loser",
)

def _latest(ds):
    return _roles(ds)[1][1] * _law(ds)[2] / _slowest_winner(ds)


stops = ib.Claim(
    id="the-loser-stays-below-its-limit",
    source=f"{SOURCE}, the scalar example (derived)",
    statement="w_l(t) < w = 1/(1/w_l(0) - a_l/(a_k w_k(0))), by a share of at most a_l w / [log t + 2 log(a_k w_k(0)) - a_l w]",
    kind=ib.Inequality(),
    accepts=ENDED,
    hypotheses=lambda ds: {"log t + 2 log(a_k w_k(0)) > a_l w": _slowest_winner(ds)},
    # the share has to lie between 0 and the bound: its distance from the middle of the two
    residual=lambda ds: abs(2 * _still_to_come(ds) / _latest(ds) - 1),
    tolerance=lambda ds: 1.0,
    because="the bound, from d(1/Loss)/dt >= (a_k w_k(0))^2",
)

def _late(ds):
    """The last third of log t."""
    return ds.log_time * 2 / 3


def _power(ds):
    """The slope of log(Loss t) against log(a_k w_k) over the last third."""
    (winner, _), (a_winner, _) = _roles(ds)
    clock = ds.clock.where(ds.clock >= np.exp(_late(ds)))
    return slope(np.log(ds.loss) + np.log(clock), np.log(a_winner * winner), "record")


def _bend(ds):
    """Of that slope from -2: with W = a_k w_k, 1/Loss = integral of W^2 + (a_l w_l)^2 = t W^2 [1 - 2/W + (a_l w/W)^2 + ...]."""
    start, loser = _late(ds), _roles(ds)[1][1] * _law(ds)[2]
    return 4 / start + 2 * (loser / start) ** 2


rate = ib.Claim(
    id="loss-falls-like-1/(t-log^2-t)",
    source=f"{SOURCE}, abstract: the rate at any depth",
    statement="Loss t ~ W^-2, W = a_k w_k = log(1/Loss) - a_l w_l ~ log t: the slope of its logarithms, last third of log t",
    accepts=ENDED,
    residual=lambda ds: abs(_power(ds) + 2),
    tolerance=_bend,
    because="next order: 4 / T + 2 (a_l w / T)^2, T where the last third begins, w the limit of the loser",
)


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, panel = plt.subplots(figsize=(5.6, 3.9))
    loser, predicted, limit = _law(ds)
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
    records=records,
    claims=[invariant, loser, stops, rate],
    figures=[figure],
)
