r"""How soon has steepest descent a large margin?  X' = X + eta argmax_{|d| <= 1} <d, G>, in any norm.   (Fan et al. 2025)

Several classes, rows b = (e_y - e_c) a^T, L = sum l(<b, X>), l exponential or logistic, G = sum w b with w = -l', and steps
eta_k = step / (R (k + 1)^power), where R = max |b|_* is in the dual norm. With D = |G|_* / sum w, at every step,

    exponential   log L' <= log L - eta D + eta^2 R^2 / 2
    logistic      log L' <= log L - eta D (sum w) / L + eta^2 R^2 exp(eta R) / 2

and D is at least the largest margin gamma. Summed up, from X = 0: the margin of X_k is between two numbers,

    [gamma S1 - R^2 S2 / 2 - log L_0] / S1  <=  min <b, X_k> / |X_k|  <=  gamma  <=  min_k D_k,      S_p = sum eta^p,

(logistic: sum w / L and exp(eta R) in the sums, and L_k beside log L_0), and D certifies gamma without a solver.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import common
from .claims import BOUNDS, ENDED


def cell(*, law, objective, power, key, step=1.0, examples=8, columns=5, classes=3, gap=0.5, max_steps=2000):
    problem = ib.multiclass.gaussian(examples, columns, classes, gap=gap, loss=common.LOSSES[objective])(key)
    reach = jnp.max(common.dual_norm(common.stacked(problem.operator, problem.shape), law))
    descent = ib.Descent(common.steps(step, power, reach=reach), law=common.LAWS[law], max_steps=max_steps)
    return ib.Run(problem, common.Free(), descent)


# -- one step ----------------------------------------------------------------------------------------------------------


def _forces(snapshot):
    """log L, sum w / L and D, from the margins: no derivative of the program enters."""
    problem, law = snapshot.problem, common.WORDS[snapshot.dynamics.law.name]
    margins = problem.margins(snapshot.x)
    if problem.of_predictions is ib.exponential:
        level, weights = jax.nn.logsumexp(-margins), jax.nn.softmax(-margins)
        share = jnp.ones_like(level)
    else:
        level, weights = jnp.log(jnp.sum(jax.nn.softplus(-margins))), jax.nn.sigmoid(-margins)
        share = jnp.sum(weights) / jnp.exp(level)
    gradient = common.stacked(weights @ problem.operator, problem.shape) / jnp.sum(weights)
    return level, share, common.dual_norm(gradient, law)


def dual(snapshot):
    """D = |G|_* / sum w"""
    return _forces(snapshot)[2]


def _reach(snapshot):
    """R, in the dual norm"""
    return snapshot.dynamics.step.keywords["reach"]


def _bend(snapshot, reach=_reach):
    """eta^2 R^2 / 2, for the logistic loss times exp(eta R)"""
    width = snapshot.dynamics.step(snapshot.steps) * reach(snapshot)
    return width**2 / 2 * (1.0 if snapshot.problem.of_predictions is ib.exponential else jnp.exp(width))


def _over(reach):
    def over(before, after):
        """log L' - log L + eta D (sum w) / L - eta^2 R^2 / 2"""
        level, share, steepness = _forces(before)
        return _forces(after)[0] - level + before.dynamics.step(before.steps) * steepness * share - _bend(before, reach)

    return over


def _sums(before, after):
    """eta (sum w) / L and eta^2 R^2 / 2"""
    del after
    return jnp.stack([before.dynamics.step(before.steps) * _forces(before)[1], _bend(before)])


# -- what theory says of a run -----------------------------------------------------------------------------------------


def largest(operator, law, classes, columns):
    """The largest margin, between two numbers."""
    return common.largest_margin(operator, law, (int(classes), int(columns)))


def below(clock, operator, law, largest_least, loss, step, power, classes, columns):
    """The lower bound of the exponential loss, from its formula; nan where it is not positive."""
    reach = np.max(common.dual_norm(common.stacked(operator, (int(classes), int(columns))), law))
    etas = step / reach / np.arange(1, clock[-1] + 1) ** power
    first, second = (np.append(0, np.cumsum(etas**p))[clock.astype(int)] for p in (1, 2))
    numerator = largest_least * first - reach**2 * second / 2 - np.log(loss[0])
    return np.where(numerator > 0, numerator / np.maximum(first, 1e-300), np.nan)


def below_at_the_end(sums, largest_least, loss, time):
    """The lower bound at the end, from the sums over the run's own steps, with L_k."""
    return (largest_least * sums[0] - sums[1] - np.log(loss[0]) - loss[-1]) / time


PREDICTED = {
    "largest": largest, "margin": common.margin, "below": below, "below_at_the_end": below_at_the_end,
    "certificate": ib.batched(lambda dual: np.minimum.accumulate(dual, -1)),
}  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------


def _of_the_largest(name):
    return lambda ds: (ds[name] / ds.largest_most).where(ds.clock > 0)


SERIES = dict(x="clock", by="law", of={"objective": "exponential", "power": 0.5}, accepts=ENDED)
figure = ib.Figure(
    id="bounds",
    panels=[
        ib.panel(
            ib.curves_of(_of_the_largest("margin"), **SERIES),
            ib.theory_of(_of_the_largest("below"), theory_label="bound from below, and least $D$ so far", **SERIES),
            ib.theory_of(_of_the_largest("certificate"), theory_label="bound from below, and least $D$ so far", **SERIES),
            ib.level(1, r"largest margin $\gamma$"),
            x="steps $k$", y=r"margin / $\gamma$", log="x", ylim=(0, 2.4),
        ),
    ],
    caption="Steepest descent in three norms, several classes, exponential loss, steps like 1/sqrt(k), medians and ranges over "
    "{seed.count} seeds: the margin in the norm of the steps, over the largest one, between its two bounds.",
    claims=["margin-is-above-its-bound", "dual-norm-certifies-the-margin"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        law=["signs", "l2", "spectral"], objective=["exponential", "logistic"], power=[0.0, 0.3, 0.5, 0.8], seed=range(6)
    ),
    facts={"operator": ib.operator},
    observe={
        "x": ib.predictor(), "dual": dual, "least_dual": ib.running_min(dual), "sums": ib.summed(_sums),
        "over": ib.worst_change(_over(_reach)),
        # R in the norm of the steps, where they are signs
        "over_own": ib.worst_change(_over(lambda snapshot: jnp.max(jnp.abs(snapshot.problem.operator)))),
    },
    predict=PREDICTED,
    records=ib.log_records(25),
    claims=BOUNDS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20))},
)  # fmt: skip
