r"""How fast does the WN flow fit?  dL/dt = -(c (w.q)^2 + g^2 |P_w q|^2), and L <= eps by the time T.   (Wu et al. 2020, Lemma 2.4, Thm 2.7)

The identity holds at every point of a trajectory and gives -max(g^2, c) |q|^2 <= dL/dt <= -min(g^2, c) |q|^2, where
|q|^2 >= 2 lambda_min L. Theorem 2.7 bounds g^2 from below, in two ways:

    by the invariant   g_t^2 >= g0^2 + 2c log|w_perp(0)|                       where the right side is positive
    by the loss        d(g^2)/dt = c (|y|^2 - |r|^2 - g^2 |Aw|^2) >= c lambda_max (delta - g^2),
                       delta = (|y|^2 - |A g0 w0 - y|^2) / lambda_max           where delta > 0

and each bound on g^2 is a bound on the time at which the loss reaches eps. The second one as printed takes another time
for g^2 to grow, and is no bound for every eps (`slow`); half of delta is reached after log(2 (1 - g0^2/delta)) / (c lambda_max), which the derived bound uses.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib

from . import observables
from .claims import SOURCE

ROUNDING = 1e-9  # an inner product of cancelling terms, with the scale of the terms taken out


def cell(*, scale, ratio, key, rows=6, columns=15, target_norm=2.0, stop=1e-8):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    flow = ib.Flow(max_time=20_000.0, ratio=ratio, stop=ib.loss_below(stop), rtol=1e-9)
    return ib.Run(problem, ib.Polar(scale), flow)


# -- what theory says of a run: every bound is T(eps) = log(L0/eps) / pace + delay, of a pace and a delay of its own ---


def invariant_bound(scale, ratio, w_perp):
    """g0^2 + 2c log|w_perp(0)|, under which g_t^2 never falls."""
    return scale**2 + 2 * ratio * np.log(w_perp)


def delta(loss_at_zero, loss, lambda_max):
    """(|y|^2 - |A g0 w0 - y|^2) / lambda_max."""
    return 2 * (loss_at_zero - loss[..., 0]) / lambda_max


def by_the_least_size(least_size, lambda_min, ratio):
    """C is the least |g| of all steps."""
    return {"pace": 2 * lambda_min * np.minimum(least_size**2, ratio), "delay": 0.0}


def by_the_invariant(invariant_bound, lambda_min, ratio):
    return {"pace": lambda_min * np.minimum(invariant_bound, ratio), "delay": 0.0}


def by_the_invariant_halved(by_the_invariant_pace):
    return {"pace": 2 * by_the_invariant_pace, "delay": 0.0}


def by_the_loss_as_printed(delta, scale, lambda_min, lambda_max, ratio):
    delta = np.where(delta > 0, delta, np.nan)
    grow = np.where(scale < delta, 2 - np.log(scale / delta), 0.0)
    return {"pace": lambda_min * np.minimum(delta, ratio), "delay": grow / lambda_max}


def by_the_loss(delta, scale, lambda_min, lambda_max, ratio):
    """Half of delta is reached after log(2 (1 - g0^2/delta)) / (c lambda_max)."""
    grow = np.log(np.maximum(2 * (1 - scale**2 / delta), 1.0))
    return {"pace": lambda_min * np.minimum(delta, 2 * ratio), "delay": grow / (ratio * lambda_max)}


BOUNDS = (by_the_least_size, by_the_invariant, by_the_invariant_halved, by_the_loss_as_printed, by_the_loss)
PREDICTED = {f.__name__: ib.batched(f) for f in (invariant_bound, delta, *BOUNDS)}


def time_to(ds, bound, eps):
    """T(eps)."""
    return np.log(ds.loss.isel(record=0) / eps) / ds[f"{bound}_pace"] + ds[f"{bound}_delay"]


def at_every_eps(ds, bound):
    """t / T(L(t)) along the run: the time of each loss over the bound for it, eps = L(t) for every eps up to L0."""
    later = (ds.clock > 0) & (ds.loss < ds.loss.isel(record=0))
    return (np.minimum(ds.clock, ds.time) / time_to(ds, bound, ds.loss)).where(later)  # at rest after the stop


# -- claims ------------------------------------------------------------------------------------------------------------

BY_INVARIANT = {r"$g_0^2 > 2c \log(1/|w_\perp|)$": lambda ds: ds.invariant_bound}
BY_LOSS = {"$L_0 < |y|^2/2$": lambda ds: ds.delta}


def hitting(id, source, statement, hypotheses, bound, **expected):
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


def _faster(ds):
    """max(g^2, c) |q|^2, the most that the loss can lose per unit of time."""
    return np.maximum(ds.g**2, ds.ratio) * ds.slope_square


def _identity_gap(ds):
    derived = -(ds.ratio * ds.along**2 + ds.g**2 * (ds.slope_square - ds.along**2))
    return abs(ds.loss_rate - derived) / _faster(ds)


def _bounds_gap(ds):
    slower = np.minimum(ds.g**2, ds.ratio) * ds.slope_square
    return np.maximum(ds.loss_rate + slower, -_faster(ds) - ds.loss_rate) / _faster(ds)


exact = ib.claims_with(tolerance=lambda ds: ROUNDING)

CLAIMS = [
    exact(
        id="size-moves-with-the-residual",
        source=f"{SOURCE}, eq. (4) (corrected: with the opposite sign)",
        statement=r"$dg/dt = +c w^\top A^\top r$, $r = y - A g w$, at every point of the flow",
        residual=lambda ds: abs(ds.size_rate - ds.ratio * ds.along) / (ds.ratio * np.sqrt(ds.slope_square)),
        because="exact; rounding, relative to c |q|",
    ),
    exact(
        id="size-moves-with-the-residual-as-printed",
        source=f"{SOURCE}, eq. (4) (as printed)",
        statement=r"$dg/dt = -c w^\top A^\top r$, $r = y - A g w$: the loss would rise along it, by Lemma 2.4 with "
        "the sign turned",
        residual=lambda ds: abs(ds.size_rate + ds.ratio * ds.along) / (ds.ratio * np.sqrt(ds.slope_square)),
        because="as for the corrected sign",
        expected="refuted",
    ),
    exact(
        id="loss-rate-identity",
        source=f"{SOURCE}, Lemma 2.4 (derived)",
        statement=r"$dL/dt = -(c (w \cdot q)^2 + g^2 |P_w q|^2)$ at every point of the flow",
        residual=_identity_gap,
        because="exact; rounding, relative to max(g^2, c) |q|^2",
    ),
    exact(
        id="loss-rate-bounds",
        source=f"{SOURCE}, Lemma 2.4",
        statement=r"$-\max(g^2, c) |q|^2 \le dL/dt \le -\min(g^2, c) |q|^2$ at every point of the flow",
        kind=ib.Inequality(),
        residual=_bounds_gap,
        because="exact; rounding, relative to max(g^2, c) |q|^2",
    ),
    ib.Claim(
        id="loss-decays-at-the-rate-of-the-least-size",
        source=f"{SOURCE}, Lemma 2.4, last sentence (with its constant 2 lambda_min)",
        statement=r"if $g_t \ge C > 0$ for all $t$, $L(t) \le L_0 \exp(-2 \lambda_{\min} \min(C^2, c) t)$",
        kind=ib.Inequality(),
        hypotheses=lambda ds: {r"$C^2 \ge 0.01 c$": ds.least_size**2 - 0.01 * ds.ratio},
        residual=lambda ds: at_every_eps(ds, "by_the_least_size"),
        tolerance=lambda ds: 1.0 + 1e-6,
        because="dL/dt <= -min(g^2, c) |q|^2 and |q|^2 >= 2 lambda_min L; the loss is known to 1e-9 and the event to 1e-6",
    ),
    hitting(
        "fits-in-time-by-the-invariant",
        f"{SOURCE}, Theorem 2.7, first rate",
        r"for every $\varepsilon$, $L \le \varepsilon$ by "
        r"$T = \log(L_0/\varepsilon) / (\lambda_{\min} \min(g_0^2 + 2c \log|w_\perp|, c))$",
        BY_INVARIANT,
        "by_the_invariant",
    ),
    hitting(
        "fits-in-half-the-time-by-the-invariant",
        f"{SOURCE}, Theorem 2.7, first rate (derived: the loss decays twice as fast as the residual)",
        r"for every $\varepsilon$, $L \le \varepsilon$ by $T/2$",
        BY_INVARIANT,
        "by_the_invariant_halved",
    ),
    hitting(
        "fits-in-time-by-the-loss-derived",
        f"{SOURCE}, Theorem 2.7, second rate (derived)",
        r"for every $\varepsilon$, $L \le \varepsilon$ by $T = \log(L_0/\varepsilon) / (\lambda_{\min} \min(\delta, "
        r"2c)) + \log(2 (1 - g_0^2/\delta))_+ / (c \lambda_{\max})$",
        BY_LOSS,
        "by_the_loss",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------


FALL = ib.logspace(0.2, 18.0, 24)  # log(L0/eps), that every run sees


def tightness(ds, bound, inside):
    """t / T(eps) over log(L0/eps), of each run inside the bound's own condition."""
    fallen = np.log(ds.loss.isel(record=0) / ds.loss)
    ratio = ib.accepted(ds, at_every_eps(ds, bound)).where(ds[inside] > 0)
    of_runs = [a.stack(runs=ds.status.dims).transpose("runs", "record").values for a in (fallen, ratio)]
    known = [(x[np.isfinite(y)], y[np.isfinite(y)]) for x, y in zip(*of_runs) if np.isfinite(y).any()]
    found = [np.interp(FALL, x, y, left=np.nan, right=np.nan) for x, y in known]
    return xr.DataArray(np.reshape(found, (-1, len(FALL))), {"fallen": list(FALL)}, ("runs", "fallen"))


def _ratios(bound, inside, label, colour, marker):
    """Of the run that comes closest to the bound, and of the median run."""

    def of(how, run, line):
        return ib.curves_of(
            lambda ds: getattr(tightness(ds, bound, inside), how)("runs"),
            x=lambda ds: xr.DataArray(list(FALL), dims="fallen"),
            looks={None: ib.figures.Look(f"{label}, {run} run", colour, marker, line)}, open=how == "median",
        )  # fmt: skip

    return [of("max", "worst", "-"), of("median", "median", ":")]


def _panel(title, *ratios):
    return ib.panel(
        *sum(ratios, []), ib.level(1.0, "the bound", line="-"), title=title, log="xy", ylim=(None, 2),
        x=r"fall of the loss, $\log(L_0 / \epsilon)$", y=r"time until $L = \epsilon$, over the bound $T(\epsilon)$",
    )  # fmt: skip


def _caption(ds):
    def most(bound, inside):
        return float(ib.accepted(ds, at_every_eps(ds, bound).where(ds[inside] > 0)).max())

    invariant, loss = (int((ds[name] > 0).sum()) for name in ("invariant_bound", "delta"))
    return (
        f"The time at which the loss of the WN flow reaches eps over the bounds T(eps) of Theorem 2.7 for it, down to "
        f"{float(ds.stop):g}: below 1 the bound holds. The greatest and the median of the runs inside the bound's "
        "own condition, "
        f"{invariant} (left) and {loss} (right) of {ds.status.size}. At most, over all eps: by the invariant "
        f"{most('by_the_invariant', 'invariant_bound'):.2f} as printed and "
        f"{most('by_the_invariant_halved', 'invariant_bound'):.2f} halved; by the loss "
        f"{most('by_the_loss_as_printed', 'delta'):.2f} as it reads, which from other starts is no bound (`slow`), and "
        f"{most('by_the_loss', 'delta'):.2f} derived."
    )


figure = ib.Figure(
    id="hitting-times",
    panels=[
        _panel(
            "by the invariant",
            _ratios("by_the_invariant", "invariant_bound", "$T$ as printed", "vermillion", "s"),
            _ratios("by_the_invariant_halved", "invariant_bound", "$T/2$", "blue", "o"),
        ),
        _panel(
            "by the loss",
            _ratios("by_the_loss_as_printed", "delta", "$T$ as it reads", "vermillion", "s"),
            _ratios("by_the_loss", "delta", "$T$ derived", "blue", "o"),
        ),
    ],
    share="y",
    caption=_caption,
    claims=[
        "fits-in-time-by-the-invariant", "fits-in-half-the-time-by-the-invariant", "fits-in-time-by-the-loss-derived",
    ],
)

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
    predict=PREDICTED,
    records=ib.records_at(np.geomspace(1e-3, 1.5e4, 72)),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(200), ratio=ib.logspace(0.05, 20, 16), scale=ib.logspace(0.05, 8, 32))},
)
