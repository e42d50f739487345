r"""Which saddles does a diagonal net visit, and when?  x = a^2 - b^2, a = b = alpha -> 0.   (Pesme & Flammarion 2023)

With l = log(1/2 alpha^2), tau = 4t/l and s = log(a/b)/l the flow is ds/dtau = A^T (y - A x). For l -> infinity it rests at
saddles and jumps between them at times that an exact homotopy gives (`theory.saddles`), and stays at an interpolator of
least l1 norm. How far it is from there at a finite l, at a time tau after the jump of tau_k, is a matter of its margin

    m = min( mu_k (tau - tau_k),  1 - |s_i(tau)| of the entries that are 0 at the saddle ),

mu_k the least eigenvalue of X^1/2 A^T A X^1/2, X = diag |x_k|, on the support: what is left of the jump falls like
exp(-l mu_k (tau - tau_k)), and off the support |x_i| = exp(-l (1 - |s_i|))/2 or less. An entry that leaves the support
starts from |s_i| = 1 at a speed v_i that may be slow, and two that arrive together are told apart by large l alone: both
are slow in l, and the exponents below are claimed where l is large enough for the run's own data.
"""

import numpy as np

import implicit_bias as ib

from . import limits
from .figures import stairs

LEVEL = 0.05  # of an entry that has arrived; any number below all saddles' entries has the same exponent


def cell(*, ell, key, rows=4, columns=7, target_norm=2.0, duration=12.0, rtol=1e-9):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    alpha = np.sqrt(0.5) * np.e ** (-ell / 2)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), 2, signed=True)
    return ib.Run(problem, net, ib.Flow(duration * ell / 4, rtol=rtol, atol=1e-300))


def arrived(snapshot):
    """Which |x_i| are above the level."""
    return abs(snapshot.x) > LEVEL


def level(snapshot):
    """The level from which on an entry counts as arrived."""
    return LEVEL + 0 * snapshot.loss


# -- what theory says of a run -----------------------------------------------------------------------------------------

PREDICTED = {
    "tau": ib.batched(lambda clock, ell: 4 * clock / ell[..., None]),
    "s": ib.batched(lambda z, ell: np.subtract(*np.split(np.log(z), 2, -1)) / ell[..., None, None]),
    "limit": limits.limit, "least_l1": limits.least_l1, "arrival": limits.arrival, "apart": limits.apart,
    "asleep": limits.asleep,
    "rests": ib.batched(lambda limit_margin, ell: np.where(ell[..., None] * limit_margin >= 20, 1.0, 0.0)),
    "leave": limits.leave, "leave_due": lambda limit_x, rests, level: limits.leave(limit_x, rests, level),
    "differ": lambda limit_x, limit_nested, rests: np.max(abs(limit_x - limit_nested)[rests > 0], initial=0.0),
    "off": lambda x, limit_x: np.max(abs(x - limit_x), -1),
    "off_nested": lambda x, limit_nested: np.max(abs(x - limit_nested), -1),
    "off_s": lambda s, limit_s: np.max(abs(s - limit_s)),
    "late": lambda arrived, arrival, ell: np.max(abs(4 * arrived / ell - arrival)[np.isfinite(arrival)], initial=0.0),
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Pesme & Flammarion 2023, abstract"
ENDED = (ib.Status.CAPPED, ib.Status.STALLED)
claim = ib.claims_with(source=SOURCE, accepts=ENDED)


def told_apart(ds):
    return {r"at every jump $1 - |s_i| \ge 5/l$ of the entries that are 0 and do not arrive": ds.ell * ds.apart - 5}


def at_rest(off):
    """At the records at which l m is 20 or more, and its size is below that of the solution."""
    return lambda ds: (ds[off] / ds.limit_norm).where(ds.rests > 0)


_rests = ib.claims_with(
    accepts=ENDED, tolerance=lambda ds: 1e-4,
    because="exp(-20) times what a jump leaves: exp(C mu), where it is late by C/l and settles at the rate l mu",
)  # fmt: skip
_first_order = ib.claims_with(
    source=f"{SOURCE}, with its rate (derived)", accepts=ENDED, kind=ib.Exponent(against="ell", value=-1.0, within=0.1),
    because="log x is of order 1, and k of order l; entries that arrive nearly together bend it at the least l",
    hypotheses=told_apart,
)  # fmt: skip
CLAIMS = [
    claim(
        id="the-last-saddle-has-the-least-l1-norm",
        statement="the homotopy ends at an interpolator of the least $l_1$ norm",
        residual=lambda ds: (ds.limit_norm - ds.least_l1_norm) / ds.least_l1_norm,
        tolerance=lambda ds: 1e-9 + ds.least_l1_doubt,
        because="linear solves on the support; the least norm is a linear program's, to its certificate",
    ),
    _rests(id="the-flow-rests-at-the-saddles", source=f"{SOURCE}, with its margin (derived)",
           statement=r"where $l m \ge 20$ the flow is at the minimiser over the entries with $|s_i| = 1$, of their signs",
           residual=at_rest("off")),
    _rests(id="least-squares-of-those-that-came", source=f"{SOURCE}: minimisers on an active set, read without signs",
           statement=r"where $l m \ge 20$ the flow is at the least squares solution on the entries that have come",
           residual=at_rest("off_nested"), expected="refuted",
           hypotheses=lambda ds: {"signs matter at a rest that is seen": ds.differ / ds.limit_norm - 0.01}),
    claim(
        id="supports-are-nested",
        source="one entry after another, as incremental learning is often told; the abstract says that it need not be so",
        statement="no entry that is there at one rest is gone at a later one",
        hypotheses=lambda ds: {"one should leave between two rests that are seen": ds.leave_due - 1},
        kind=ib.Inequality(), residual=lambda ds: ds.leave, tolerance=lambda ds: 0.0,
        because="a count", expected="refuted",
    ),
    claim(
        id="rests-flatten", source=f"{SOURCE}, with its margin (derived)",
        statement=r"the greatest $|x - x_k|_\infty$ of all times with $m \ge 1/10$ vanishes as $l \to \infty$",
        kind=ib.Limit(against="ell", towards="infinity"),
        residual=lambda ds: ds.off.where(ds.limit_margin >= 0.1).max("record"), tolerance=lambda ds: 1e-3,
        because="it falls like exp(-l m), to exp(-40) at l = 400 or what the integrator leaves",
    ),
    _first_order(id="s-follows-its-limit", residual=lambda ds: ds.off_s,
                 statement=r"the greatest $|s - s_\infty|$ of all entries and times falls like $1/l$"),
    _first_order(id="jumps-are-in-time", residual=lambda ds: ds.late,
                 statement=r"every entry arrives at the homotopy's $\tau_k$, to an error that falls like $1/l$"),
    claim(
        id="what-is-asleep-is-small", source=f"{SOURCE} (derived)",
        statement=r"$|x_i| \le \exp(-l (1 - |s_i|)) / 2$, of $s$ projected to $\operatorname{range}(A^\top)$",
        kind=ib.Inequality(), residual=lambda ds: ds.asleep, tolerance=lambda ds: 1e5 * ds.rtol,
        because="the integrator keeps log a and log b to a relative rtol a step, over thousands of steps",
    ),
]  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(16), ell=[25.0, 50.0, 100.0, 200.0, 400.0]),
    facts={"operator": ib.operator, "target": ib.target, "level": level},
    observe={"x": ib.predictor(), "z": ib.layer, "arrived": ib.first_time(arrived)},
    predict=PREDICTED,
    records=ib.linear_records(241),
    claims=CLAIMS,
    figures=[stairs(ENDED)],
    sizes={"paper": dict(seed=range(100), rows=8, columns=20, duration=40.0)},
)
