r"""How fast does the WN flow fit?  dL/dt = -(c (w.q)^2 + g^2 |P_w q|^2), and L <= eps by the time T.   (Wu et al. 2020, Lemma 2.4, Thm 2.7)

The identity holds at every point of a trajectory and gives -max(g^2, c) |q|^2 <= dL/dt <= -min(g^2, c) |q|^2, where
|q|^2 >= 2 lambda_min L. Theorem 2.7 bounds g^2 from below, in two ways:

    by the invariant   g_t^2 >= g0^2 + 2c log|w_perp(0)|                       where the right side is positive
    by the loss        d(g^2)/dt = c (|y|^2 - |r|^2 - g^2 |Aw|^2) >= c lambda_max (delta - g^2),
                       delta = (|y|^2 - |A g0 w0 - y|^2) / lambda_max           where delta > 0

and each bound on g^2 is a bound on the time at which the loss reaches eps. The second one as printed takes another time
for g^2 to grow, and is no bound for every eps (`slow`); half of delta is reached after log(2 (1 - g0^2/delta)) / (c lambda_max), which the derived bound uses.
"""

import matplotlib.ticker
import numpy as np

import implicit_bias as ib
from implicit_bias.evidence.figures import COLOURS, Figure

from . import observables
from .claims import SOURCE

ROUNDING = 1e-9  # an inner product of cancelling terms, with the scale of the terms taken out


def cell(*, scale, ratio, key, rows=6, columns=15, target_norm=2.0, stop=1e-8):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    flow = ib.Flow(max_time=20_000.0, ratio=ratio, stop=ib.loss_below(stop), rtol=1e-9)
    return ib.Run(problem, ib.Polar(scale), flow)


def _faster(ds):
    """max(g^2, c) |q|^2, the most that the loss can lose per unit of time."""
    return np.maximum(ds.g**2, ds.ratio) * ds.slope_square


def _identity_gap(ds):
    derived = -(ds.ratio * ds.along**2 + ds.g**2 * (ds.slope_square - ds.along**2))
    return abs(ds.loss_rate - derived) / _faster(ds)


def _bounds_gap(ds):
    slower = np.minimum(ds.g**2, ds.ratio) * ds.slope_square
    return np.maximum(ds.loss_rate + slower, -_faster(ds) - ds.loss_rate) / _faster(ds)


rate_identity = ib.Claim(
    id="loss-rate-identity",
    source=f"{SOURCE}, Lemma 2.4 (derived)",
    statement="dL/dt = -(c (w.q)^2 + g^2 |P_w q|^2) at every point of the flow",
    residual=_identity_gap,
    tolerance=lambda ds: ROUNDING,
    because="exact; rounding, relative to max(g^2, c) |q|^2",
)

size_rate = ib.Claim(
    id="size-moves-with-the-residual",
    source=f"{SOURCE}, eq. (4) (corrected: with the opposite sign)",
    statement="dg/dt = +c w^T A^T r, r = y - A g w, at every point of the flow",
    residual=lambda ds: abs(ds.size_rate - ds.ratio * ds.along) / (ds.ratio * np.sqrt(ds.slope_square)),
    tolerance=lambda ds: ROUNDING,
    because="exact; rounding, relative to c |q|",
)

printed_size_rate = ib.Claim(
    id="size-moves-with-the-residual-as-printed",
    source=f"{SOURCE}, eq. (4) (as printed)",
    statement="dg/dt = -c w^T A^T r, r = y - A g w: the loss would rise along it, by Lemma 2.4 with the sign turned",
    residual=lambda ds: abs(ds.size_rate + ds.ratio * ds.along) / (ds.ratio * np.sqrt(ds.slope_square)),
    tolerance=lambda ds: ROUNDING,
    because="as for the corrected sign",
    expected="refuted",
)

geometric = ib.Claim(
    id="loss-decays-at-the-rate-of-the-least-size",
    source=f"{SOURCE}, Lemma 2.4, last sentence (with its constant 2 lambda_min)",
    statement="if g_t >= C > 0 for all t, L(t) <= L0 exp(-2 lambda_min min(C^2, c) t)",
    kind=ib.Inequality(),
    hypotheses=lambda ds: {"C^2 >= 0.01 c": _least_size(ds) ** 2 - 0.01 * ds.ratio},
    residual=lambda ds: at_every_eps(ds, _time_by_the_least_size),
    tolerance=lambda ds: 1.0 + 1e-6,
    because="dL/dt <= -min(g^2, c) |q|^2 and |q|^2 >= 2 lambda_min L; the loss is known to 1e-9 and the event to 1e-6",
)

rate_bounds = ib.Claim(
    id="loss-rate-bounds",
    source=f"{SOURCE}, Lemma 2.4",
    statement="-max(g^2, c) |q|^2 <= dL/dt <= -min(g^2, c) |q|^2 at every point of the flow",
    kind=ib.Inequality(),
    residual=_bounds_gap,
    tolerance=lambda ds: ROUNDING,
    because="exact; rounding, relative to max(g^2, c) |q|^2",
)


def _least_size(ds):
    """C: the least |g| of all steps."""
    return ds.least_size


def _time_by_the_least_size(ds, eps):
    drop = np.log(ds.loss.isel(record=0) / eps)
    return drop / (2 * ds.lambda_min * np.minimum(_least_size(ds) ** 2, ds.ratio))


def _invariant_bound(ds):
    """g0^2 + 2 c log|w_perp(0)|, under which g_t^2 never falls."""
    return ds.scale**2 + 2 * ds.ratio * np.log(ds.w_perp)


def _delta(ds):
    return 2 * (ds.loss_at_zero - ds.loss.isel(record=0)) / ds.lambda_max


def _first_time(ds, eps):
    drop = np.log(ds.loss.isel(record=0) / eps)
    return drop / (ds.lambda_min * np.minimum(_invariant_bound(ds), ds.ratio))


def _first_time_halved(ds, eps):
    return _first_time(ds, eps) / 2


def _second_time_as_printed(ds, eps):
    drop, delta = np.log(ds.loss.isel(record=0) / eps), _delta(ds).where(_delta(ds) > 0)
    grow = (2 - np.log(ds.scale / delta)).where(ds.scale < delta, 0.0) / ds.lambda_max
    return drop / (ds.lambda_min * np.minimum(delta, ds.ratio)) + grow


def _second_time(ds, eps):
    drop, delta = np.log(ds.loss.isel(record=0) / eps), _delta(ds)
    grow = np.log(np.maximum(2 * (1 - ds.scale**2 / delta), 1.0)) / (ds.ratio * ds.lambda_max)
    return drop / (ds.lambda_min * np.minimum(delta, 2 * ds.ratio)) + grow


def at_every_eps(ds, bound):
    """t / T(L(t)) along the run: the time of each loss over the bound for it, eps = L(t) for every eps up to L0."""
    later = (ds.clock > 0) & (ds.loss < ds.loss.isel(record=0))
    return (np.minimum(ds.clock, ds.time) / bound(ds, ds.loss)).where(later)  # at rest after the stop


BY_INVARIANT = {"g0^2 > 2c log(1/|w_perp|)": _invariant_bound}
BY_LOSS = {"L0 < |y|^2/2": _delta}


def _hitting(id, source, statement, hypotheses, bound, **expected):
    """`t <= T(eps)` for every eps: the greatest t / T is its tightness."""
    return ib.Claim(
        id=id,
        source=source,
        statement=statement,
        kind=ib.Inequality(),
        hypotheses=lambda ds: {name: slack(ds) for name, slack in hypotheses.items()},
        residual=lambda ds: at_every_eps(ds, bound),
        tolerance=lambda ds: 1.0,
        because="the bound itself: t / T is its tightness, at every recorded loss between L0 and the stop",
        **expected,
    )


first_rate = _hitting(
    "fits-in-time-by-the-invariant",
    f"{SOURCE}, Theorem 2.7, first rate",
    "for every eps, L <= eps by T = log(L0/eps) / (lambda_min min(g0^2 + 2c log|w_perp|, c))",
    BY_INVARIANT,
    _first_time,
)

first_rate_halved = _hitting(
    "fits-in-half-the-time-by-the-invariant",
    f"{SOURCE}, Theorem 2.7, first rate (derived: the loss decays twice as fast as the residual)",
    "for every eps, L <= eps by T/2",
    BY_INVARIANT,
    _first_time_halved,
)

second_rate_derived = _hitting(
    "fits-in-time-by-the-loss-derived",
    f"{SOURCE}, Theorem 2.7, second rate (derived)",
    "for every eps, L <= eps by T = log(L0/eps) / (lambda_min min(delta, 2c)) + log(2 (1 - g0^2/delta))+ / (c lambda_max)",
    BY_LOSS,
    _second_time,
)


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, panels = plt.subplots(1, 2, figsize=(9.6, 3.9), sharey=True)
    bounds = [
        ("by the invariant", _invariant_bound(ds) > 0, _first_time(ds, ds.stop), _first_time_halved(ds, ds.stop), "printed", "half of it"),
        ("by the loss", _delta(ds) > 0, _second_time_as_printed(ds, ds.stop), _second_time(ds, ds.stop), "as it reads", "derived"),
    ]
    for panel, (title, inside, printed, derived, word, sharper) in zip(panels, bounds):
        for bound, colour, marker, label in (
            (printed, COLOURS["sky"], "o", word),
            (derived, COLOURS["vermillion"], "x", sharper),
        ):
            shown = bound.where(inside & (ds.status == ib.Status.CONVERGED))
            time = ds.time.broadcast_like(shown).transpose(*shown.dims)
            panel.plot(shown.values.ravel(), time.values.ravel(), marker, ms=3.5, color=colour, label=label, alpha=0.75)
        panel.set(xscale="log", yscale="log", xlabel="bound $T$", title=title)
        low, high = panel.get_xlim()
        panel.plot([low, high], [low, high], "k-", lw=0.8)
        panel.annotate("$t = T$", (high, high), (-4, -4), textcoords="offset points", ha="right", va="top")
        panel.set(xlim=(low, high))
        panel.legend(loc="lower right", fontsize=8.5)
        panel.xaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=6))
    panels[0].set_ylabel(rf"time at which $L = {float(ds.stop):g}$")
    return drawing


def _tightest(ds, bound):
    inside = (_invariant_bound(ds) if bound in (_first_time, _first_time_halved) else _delta(ds)) > 0
    return float(at_every_eps(ds, bound).where(inside & (ds.status == ib.Status.CONVERGED)).max())


def _caption(ds):
    return (
        f"The time at which the loss of the WN flow reaches {float(ds.stop):g} against the bounds of Theorem 2.7, one point for each of "
        f"the {int((_invariant_bound(ds) > 0).sum())} (left) and {int((_delta(ds) > 0).sum())} (right) runs inside the "
        f"bound's own condition. A point below the line obeys the bound. Greatest t / T over every eps, from the first loss on: by the invariant "
        f"{_tightest(ds, _first_time):.2f} as printed and {_tightest(ds, _first_time_halved):.2f} halved; by "
        f"the loss {_tightest(ds, _second_time_as_printed):.2f} as it reads and {_tightest(ds, _second_time):.2f} derived."
    )


times = Figure(
    id="hitting-times", draw=_draw, caption=_caption,
    claims=["fits-in-time-by-the-invariant", "fits-in-time-by-the-loss-derived"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(8), ratio=ib.logspace(0.1, 10, 7), scale=ib.logspace(0.1, 4, 8)),
    facts={
        "w_perp": ib.orthogonal_size,
        "lambda_min": ib.lambda_min,
        "lambda_max": ib.lambda_max,
        "loss_at_zero": ib.loss_at_zero,
    },
    observe={
        "g": ib.size,
        "loss_rate": observables.loss_rate,
        "size_rate": observables.size_rate,
        "least_size": ib.running_min(lambda s: abs(s.theta.g)),
        "along": observables.along,
        "slope_square": observables.slope_square,
    },
    records=ib.records_at(np.geomspace(1e-3, 1.5e4, 72)),
    claims=[size_rate, printed_size_rate, rate_identity, rate_bounds, geometric, first_rate, first_rate_halved, second_rate_derived],
    figures=[times],
    sizes={"paper": dict(seed=range(200), ratio=ib.logspace(0.05, 20, 16), scale=ib.logspace(0.05, 8, 32))},
)
