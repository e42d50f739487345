r"""Where does fine-tuning end?  x = a^2 - b^2 from x_0, a b = alpha^2 -> 0.   (Decleves, Boursier & Flammarion 2026)

From weights that were trained before, x_0 with few entries, and a b = alpha^2 entry by entry, the flow on new data ends for
alpha -> 0 at an interpolator that minimises (what keeps its sign is free)

    sum |x_i| over the entries with x_0i = 0,  plus  sum |x_i| - sign(x_0i) x_i  over the others,

by way of saddles: the homotopy of `staircase` from s = sign(x_0). At a finite l = log(1/2 alpha^2) an explicit bound of order
1/l holds at all times, on the data A x that the flow has reached.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .figures import tuning

theory = ib.theory.saddles


def cell(*, ell, key, rows=4, columns=9, kept=2, target_norm=2.0, duration=20.0, stop=1e-16, rtol=1e-9):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    places = jax.random.permutation(ib.stream(key, "support"), columns) < kept
    sizes = jax.random.uniform(ib.stream(key, "sizes"), (columns,), minval=0.5, maxval=1.5)
    start = jnp.where(places, jax.random.rademacher(ib.stream(key, "signs"), (columns,), float) * sizes, 0.0)
    square = jnp.e ** (-ell) / 2  # alpha^2, = a b
    large = jnp.sqrt((abs(start) + jnp.hypot(start, 2 * square)) / 2)
    small = jnp.where(start == 0, large, square / large)
    both = jnp.concatenate([jnp.where(start >= 0, large, small), jnp.where(start >= 0, small, large)])
    net = ib.Power(ib.Euclidean(jnp.linalg.norm(both), both), 2, signed=True)
    flow = ib.Flow(duration * ell / 4, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300)
    return ib.Run(problem, net, flow)


# -- what theory says of a run: all at its end, on the data A x that it has reached ------------------------------------


def start(x, ell):
    """x_0, without what is left of rounding in a - b."""
    return np.where(abs(x[0]) > np.exp(-ell / 2), x[0], 0.0)


def end(operator, x, start):
    """The last saddle."""
    return theory.homotopy(operator, operator @ x[-1], start).x[-1]


def outside(operator, z, ell):
    """The part of (log|a/b| - log|a_0/b_0|)/l outside range(A^T), the greatest of the entries and times."""
    moved = np.subtract(*np.split(np.log(z / z[0]), 2, -1)) / ell
    basis = np.linalg.svd(operator, full_matrices=False)[2]
    return np.max(abs(moved - moved @ basis.T @ basis))


PREDICTED = {
    "start": start, "end": end, "outside": outside,
    "cost": lambda x, start: theory.tuning_cost(x[-1], start),
    "least": lambda end, start: theory.tuning_cost(end, start),
    "bound": lambda operator, x, start, ell: theory.tuning_bound(operator, x[-1], start, ell),
    "above": lambda cost, least: cost - least,
    "off": lambda x, end: np.max(abs(x[-1] - end)),
    "least_l1": lambda operator, x: ib.min_l1(operator, operator @ x[-1]).value,
    "above_l1": lambda x, least_l1: np.sum(abs(x[-1])) / least_l1 - 1,
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Decleves, Boursier & Flammarion 2026, Proposition 2"
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)
claim = ib.claims_with(accepts=ENDED)


def few(ds):
    return {"fewer entries than rows are kept": ds.rows - ds.kept - 1}


CLAIMS = [
    claim(
        id="tuning-moves-in-the-rows", source=f"{SOURCE} (derived)",
        statement=r"$\operatorname{arcsinh}(x/2\alpha^2) - \operatorname{arcsinh}(x_0/2\alpha^2)$ is in "
        r"$\operatorname{range}(A^\top)$ at every time",
        residual=lambda ds: ds.outside, tolerance=lambda ds: 1e3 * ds.rtol,
        because="the integrator keeps log a and log b to a relative rtol a step, over thousands of steps",
    ),
    claim(
        id="tuning-cost-within-its-bound", source=f"{SOURCE}, with its rate (derived)",
        statement=r"the cost $\sum |x_i| - \operatorname{sign}(x_{0i}) x_i$ is above the least at the data $A x$ by a bound of "
        "order $1/l$ or less, with its constants",
        kind=ib.Inequality(), hypotheses=few,
        residual=lambda ds: ds.above - ds.bound, bound=lambda ds: ds.bound, tolerance=lambda ds: 1e3 * ds.rtol,
        because="the integrator, as above",
    ),
    claim(
        id="tuning-ends-at-the-last-saddle", source=f"{SOURCE}, and the homotopy from sign(x_0) (derived)",
        statement=r"$x$ tends to the homotopy's last saddle as $l \to \infty$",
        kind=ib.Limit(against="ell", towards="infinity"), hypotheses=few,
        residual=lambda ds: ds.off, tolerance=lambda ds: 0.02,
        because="what l = 200 leaves where two entries almost tie; most runs are at 1e-5",
    ),
    claim(
        id="tuning-forgets-its-start", source="a small start, read as a b -> 0 alone",
        statement=r"for $l \ge 100$ the end has the least $l_1$ norm, to $1/100$ of it, whatever $x_0$ was",
        hypotheses=lambda ds: {r"$l \ge 100$": ds.ell - 100},
        residual=lambda ds: ds.above_l1, tolerance=lambda ds: 0.01, because="what is claimed", expected="refuted",
    ),
]  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(12), ell=[25.0, 50.0, 100.0, 200.0]),
    facts={"operator": ib.operator},
    observe={"x": ib.predictor(), "z": ib.layer},
    predict=PREDICTED,
    records=ib.log_records(6),
    claims=CLAIMS,
    figures=[tuning(ENDED)],
    sizes={"paper": dict(seed=range(100), rows=8, columns=20, kept=3)},
)
