r"""Which weight wins under exponential weight normalisation?  w_i = exp(gamma_i), Loss = exp(-<w, a>).   (Morwani & Ramaswamy 2021)

One example a > 0 and a node for each weight: dw_i/dt = w_i^2 a_i Loss, so that

    (1/w_i(0) - 1/w_i(t)) / a_i      is one number for all i:

the weight with the largest a_i w_i(0) grows without bound, and each other one stops at 1/(1/w_l(0) - a_l/(a_k w_k(0))).
The loss falls like 1/(t log^2 t). It is the diagonal net of many layers: dx/dt = x^{2 - 2/L} q for L -> infinity.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

DATA = np.array([2.0, 1.0])
STARTS = {"1, 1": [1.0, 1.0], "3, 1": [3.0, 1.0], "1, 3": [1.0, 3.0], "5, 1": [5.0, 1.0], "1, 5": [1.0, 5.0]}


def cell(*, start, log_time=180.0, rtol=1e-11):
    problem = ib.linear.fixed([DATA], [1.0], loss=ib.exponential)(0)
    return ib.Run(problem, ib.Exponential(start), ib.Flow(jnp.exp(log_time), rtol=rtol, max_steps=50_000))


# -- what theory says of a run -----------------------------------------------------------------------------------------


def race(w):
    """a_k w_k of the winner; the loser, where it is when the winner is where it is, its limit, and a_l times that."""
    k = np.argmax(DATA * w[0])
    (a_winner, a_loser), (winner, loser) = DATA[[k, 1 - k]], w.T[[k, 1 - k]]
    share = a_loser / a_winner
    limit = 1 / (1 / loser[0] - share / winner[0])
    expected = 1 / (1 / loser[0] - share * (1 / winner[0] - 1 / winner))
    return dict(winner=a_winner * winner, loser=loser, expected=expected, limit=limit, rest=a_loser * limit)


def slowest_winner(race_winner, race_rest, log_time):
    """A bound from below of a_k w_k at the end.

    d(1/Loss)/dt = sum a_i^2 w_i^2 >= (a_k w_k(0))^2, so that a_k w_k = log(1/Loss) - a_l w_l is at least this.
    """
    return log_time + 2 * np.log(race_winner[0]) - race_rest


def late(log_time):
    """Where the last third of log t begins."""
    return log_time * 2 / 3


def bend(race_rest, log_time):
    """Of a slope from -2: with W = a_k w_k, 1/Loss = integral of W^2 + (a_l w_l)^2 = t W^2 [1 - 2/W + (a_l w/W)^2 + ...]."""
    return 4 / late(log_time) + 2 * (race_rest / late(log_time)) ** 2


PREDICTED = {
    "race": race, "slowest_winner": slowest_winner, "bend": bend,
    "apart": lambda w: abs(np.subtract(*((1 / w[0] - 1 / w) / DATA).T)),
    "still_to_come": lambda race_loser, race_limit: 1 - race_loser[-1] / race_limit,
    "latest": lambda race_rest, slowest_winner: race_rest / slowest_winner,
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Morwani & Ramaswamy 2021"
ENDED = (ib.Status.ESCAPING, ib.Status.CAPPED)
claim = ib.claims_with(accepts=ENDED, source=f"{SOURCE}, the scalar example (derived)")


def _power(ds):
    """The slope of log(Loss t) against log(a_k w_k) over the last third."""
    clock = ds.clock.where(ds.clock >= np.exp(late(ds.log_time)))
    return ib.curves.slope(np.log(ds.loss) + np.log(clock), np.log(ds.race_winner), "record")


CLAIMS = [
    claim(
        id="inverse-weights-move-together",
        statement="$(1/w_i(0) - 1/w_i(t)) / a_i$ is the same for both weights",
        residual=lambda ds: ds.apart,
        tolerance=lambda ds: 1e3 * ds.rtol,
        because="integrator at a relative rtol a step",
    ),
    claim(
        id="the-loser-follows-the-winner",
        statement=r"$w_l(t) = 1/(1/w_l(0) - (a_l/a_k)(1/w_k(0) - 1/w_k(t)))$, $k = \argmax a_i w_i(0)$",
        residual=lambda ds: abs(ds.race_loser / ds.race_expected - 1),
        tolerance=lambda ds: 1e4 * ds.rtol,
        because="the invariant, solved for the loser",
    ),
    claim(
        id="the-loser-stays-below-its-limit",
        statement=r"$w_l(t) < w = 1/(1/w_l(0) - a_l/(a_k w_k(0)))$, by a share of at most "
        r"$a_l w / [\log t + 2 \log(a_k w_k(0)) - a_l w]$",
        kind=ib.Inequality(),
        hypotheses=lambda ds: {r"$\log t + 2 \log(a_k w_k(0)) > a_l w$": ds.slowest_winner},
        # the share has to lie between 0 and the bound: its distance from the middle of the two
        residual=lambda ds: abs(2 * ds.still_to_come / ds.latest - 1),
        tolerance=lambda ds: 1.0,
        because="the bound, from d(1/Loss)/dt >= (a_k w_k(0))^2",
    ),
    claim(
        id="loss-falls-like-1/(t-log^2-t)",
        source=f"{SOURCE}, abstract: the rate at any depth",
        statement=r"$\mathrm{Loss}\, t \sim W^{-2}$, $W = a_k w_k = \log(1/\mathrm{Loss}) - a_l w_l \sim \log t$: "
        r"the slope of its logarithms, last third of $\log t$",
        residual=lambda ds: abs(_power(ds) + 2),
        tolerance=lambda ds: ds.bend,
        because="next order: 4 / T + 2 (a_l w / T)^2, T where the last third begins, w the limit of the loser",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------


def _log_time(ds):
    return np.log(ds.clock.where(ds.clock > 0))


def _now_and_then(read):
    return lambda ds: read(ds).isel(record=slice(1, None, 4))


figure = ib.Figure(
    id="loser",
    panels=[
        ib.panel(
            ib.runs_of(
                _now_and_then(lambda ds: ds.race_loser), x=_now_and_then(_log_time),
                by="start", name="$w_0 = ({})$", join=False, accepts=ENDED,
            ),
            ib.theory_of("race_expected", x=_log_time, by="start", line="-", label="by the invariant"),
            ib.theory_of("race_limit", x=_log_time, by="start", line=":", label="limit"),
            x=r"$\log t$", y="the losing weight", ylim=(None, 3.6), legend="upper center", columns=3,
        ),
    ],
    caption="Two weights under exponential weight normalisation, one example a = (2, 1): the weight with the smaller a_i w_i(0) "
    "(points), where the invariant puts it given the other one (lines), and its limit (dotted).",
    claims=["inverse-weights-move-together", "the-loser-follows-the-winner"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(start=STARTS),
    observe={"w": ib.predictor()},
    predict=PREDICTED,
    records=ib.log_records(62, first=1.0),
    claims=CLAIMS,
    figures=[figure],
)
