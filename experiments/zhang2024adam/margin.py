r"""Which margin does Adam maximise?  sum exp(-y_i <a_i, x>): l-infinity at eps = 0, l2 once eps has acted.   (Zhang et al. 2024)

    x' = x - eta_k m / (sqrt(v) + eps),   eta_k = step / (k + 1)^power,   m and v the running means of g and g^2, unbiased

While eps is nothing beside sqrt(v), that is near descent by signs, and |x|_inf grows by 1 / margin_inf for each unit of
log(1/Loss). Gradients fall like exp(-margin): below eps what remains is gradient descent with momentum and steps eta / eps,
whose way is 1 / margin_2 long in l2. Before exp(-margin) is below eps, a run says nothing about eps.

v forgets by b2 a step. Where g^2 falls faster than that, the past divides it, by one number for all coordinates that differ
by their first gradients alone: no descent by signs. So eta_k margin_inf has to be below log(1/b2) / 2: at b2 = 0.999 that
takes more than 20,000 steps.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .claims import ENDED, MARGIN


def eta(count, step, power, horizon):
    """step / (k + 1)^power at steps k < horizon, then 0."""
    count = jnp.asarray(count).astype(float)
    return jnp.where(count < horizon, step / (count + 1) ** power, 0.0)


def cell(*, eps, power, b2, horizon, key, step=0.1, b1=0.9, rows=5, columns=10, max_steps=20_000):
    problem = ib.linear.gaussian(rows, columns, loss=ib.exponential)(key)
    steps = jax.tree_util.Partial(eta, step=step, power=power, horizon=horizon)
    return ib.Run(problem, ib.Euclidean(0.0), ib.Descent(steps, law=ib.adam(b1, b2, eps), max_steps=max_steps))


def records(dynamics):
    """Halves of halves of the run."""
    return ib.records_at(sorted({dynamics.end // 2**j for j in range(12)}))(dynamics)


# -- what theory says of a run -----------------------------------------------------------------------------------------


def best(operator, target):
    """The largest margins in l-infinity and l2, their certificates' doubt, and the l-infinity margin of l2's separator."""
    rows = target[:, None] * operator
    inf, two = (ib.min_norm_separator(rows, order) for order in (np.inf, 2))
    doubt = max(abs(inf.gap), abs(two.gap), inf.residual, two.residual)
    return {"inf": 1 / inf.value, "two": 1 / two.value, "doubt": doubt, "inf_of_two": 1 / np.max(abs(two.x))}


def read(x, operator, target, loss, clock, horizon, best_inf, best_two):
    """Over the last half of the steps, growth of |x|_inf and way in l2 a unit of log(1/Loss), times the largest margin."""
    middle, end = (min(int(np.searchsorted(clock, share * horizon)), len(clock) - 1) for share in (0.5, 1.0))
    least = np.min((x @ operator.T) * target, -1)
    inf, way = np.max(abs(x), -1), np.linalg.norm(x[end] - x[middle])
    level = np.log(loss[middle]) - np.log(loss[end])
    return {
        "inf": (inf[end] - inf[middle]) * best_inf / level, "two": way * best_two / level,
        "middle": least[middle], "short": 1 - least[end] / inf[end] / best_inf,
    }


def ratio(x, operator, target, best_inf):
    """The l-infinity margin, of the largest."""
    return np.min((x @ operator.T) * target, -1) / np.max(abs(x), -1) / best_inf


def memory(b2, step, power, horizon, best_inf):
    """log(1/b2) / 2 over eta margin_inf at a sixteenth of the steps"""
    return -np.log(b2) / 2 / (step * (horizon / 16) ** -power * best_inf)


PREDICTED = {
    "best": best, "grown": read, "memory": memory,
    "ratio": ratio,
    "acted": ib.batched(lambda grown_middle, eps: grown_middle + np.log(np.maximum(eps, 1e-300))),
}  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

def _short(ds):
    return (1 - ds.ratio).where(ds.clock > 0)


SERIES = dict(x="clock", by="eps", name=r"$\epsilon = {:g}$", accepts=ENDED)
figure = ib.Figure(
    id="margins",
    panels=[
        ib.panel(
            ib.curves_of(_short, of={"power": 0.5, "horizon": "largest", "b2": b2}, **SERIES),
            x="steps $k$", y=r"1 - margin / largest $\ell_\infty$ margin", log="xy", ylim=(5e-3, 1),
            title=rf"$\beta_2 = {b2:g}$",
        )
        for b2 in (0.95, 0.999)
    ],
    caption="Adam on separable data, exponential loss, steps like 1/sqrt(k): what the l-infinity margin lacks of the largest, "
    "medians and ranges over {seed.count} seeds. Left: a short memory; the margin comes to the largest at eps = 0 alone, "
    "and the others leave where exp(-margin) is about eps. Right: the usual memory, longer than gradients take to fall.",
    claims=[
        "adam-without-eps-comes-to-the-largest-l-infinity-margin", "adam-comes-to-the-largest-l-infinity-margin",
    ],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        eps=[0.0, 1e-8, 1e-6], power=[0.25, 0.5], b2=[0.95, 0.999], horizon=[2500.0, 5000.0, 10_000.0, 20_000.0], seed=range(8)
    ),
    facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor()},
    predict=PREDICTED,
    records=records,
    claims=MARGIN,
    figures=[figure],
    sizes={"paper": dict(seed=range(30))},
)  # fmt: skip
