r"""Is the margin largest in the norm of the steps?  X' = X - eta_k d, d by signs, l2, spectral and Muon.   (Fan et al. 2025)

Steepest descent in a norm, with steps eta_k = step / sqrt(k + 1), comes to the largest margin min <b, X> / |X| in that norm,
by the bound of `bounds` like log K / sqrt K. Its direction has <d, G> = |d| |G|_*, in the dual norm.

Muon has five Newton-Schulz steps in the place of the polar factor of spectral descent, of a running mean of gradients
(`muon`, as optax runs it, its eps 0) or of the gradient itself (`newton-schulz`): singular values of d are near 1, not 1.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import common
from .claims import ENDED, NORMS

LAWS = common.LAWS | {
    "muon": ib.muon(eps=0.0),
    "newton-schulz": ib.muon(momentum=0.0, eps=0.0, nesterov=False),
}


def cell(*, law, horizon, key, step=0.3, power=0.5, examples=8, columns=5, classes=3, gap=0.5, max_steps=3200):
    problem = ib.multiclass.gaussian(examples, columns, classes, gap=gap)(key)
    descent = ib.Descent(common.steps(step, power, horizon), law=LAWS[law], max_steps=max_steps)
    return ib.Run(problem, common.Free(), descent)


def _gradient(snapshot):
    problem = snapshot.problem
    weights = jax.nn.softmax(-problem.margins(snapshot.x))
    return -common.stacked(weights @ problem.operator, problem.shape)


def slant(snapshot):
    """1 - <d, G> / (|d| |G|_*) of the next step"""
    law, gradient = snapshot.dynamics.law, _gradient(snapshot)
    direction, _ = law.step(lambda _: snapshot.loss * gradient, snapshot.theta, snapshot.memory, None)
    word = common.WORDS.get(law.name, "spectral")
    size = common.norm(direction, word) * common.dual_norm(gradient, word)
    return 1 - jnp.sum(gradient * direction) / size


# -- what is read from a run -------------------------------------------------------------------------------------------


def largest(operator, law, classes, columns):
    """The largest margin in the law's own norm, between two numbers."""
    return common.largest_margin(operator, law, (int(classes), int(columns)))


def largest_spectral(operator, classes, columns):
    """The same in the spectral norm."""
    return common.largest_margin(operator, "spectral", (int(classes), int(columns)))


def spectral(x, operator):
    """min <b, X> / |X| in the spectral norm"""
    return common.margin(x, operator, "spectral")


PREDICTED = {
    "largest": largest, "margin": common.margin, "largest_spectral": largest_spectral, "spectral": spectral,
    "rate": ib.batched(lambda horizon: np.log(horizon) / np.sqrt(horizon)),
}  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------


def _short(margin, largest):
    return lambda ds: (1 - ds[margin] / ds[largest]).where(ds.clock > 0)


SERIES = dict(x="clock", of={"horizon": "largest"}, accepts=ENDED)
figure = ib.Figure(
    id="norms",
    panels=[
        ib.panel(
            ib.curves_of(_short("spectral", "largest_spectral_most"), by="law", **SERIES),
            x="steps $k$", y="1 - spectral margin / largest", log="xy", ylim=(3e-3, 2),
        ),
        ib.panel(
            ib.curves_of(_short("margin", "largest_most"), by="law", **SERIES),
            x="steps $k$", y="1 - margin / largest, in the own norm", log="xy", ylim=(3e-3, 2),
        ),
    ],
    caption="Several classes, exponential loss, steps like 1/sqrt(k), medians and ranges over {seed.count} seeds. Left: what "
    "the spectral margin lacks of the largest; Muon, whose steps are near the polar factor, lags behind it. Right: what the "
    "margin lacks in the norm of the steps, of Muon the spectral one.",
    claims=["margin-comes-to-the-largest", "muon-lags-behind-spectral-descent"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(law=[*LAWS], horizon=[50.0, 200.0, 800.0, 3200.0], seed=range(12)),
    facts={"operator": ib.operator},
    observe={"x": ib.predictor(), "slant": slant},
    predict=PREDICTED,
    records=ib.log_records(17),
    claims=NORMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(30))},
)  # fmt: skip
