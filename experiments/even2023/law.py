r"""Where do large steps, single examples and momentum end?  One exact law for a, b of x = a^2 - b^2.   (Even et al. 2023)

theta' = theta - eta m',  m' = beta m + G (heavy ball; Nesterov: theta' = theta - eta (G + beta m')), G = (2 a g, -2 b g) for
any g in range(A^T): of all examples, of one, of noisy labels. With p = z'/z of each weight z of a and b, and

    R(p) = (p - 1) - beta (1 - 1/p) - (1 - beta) log|p|,          for Nesterov less  eta beta (G/z) (1/p - 1),

    (1 - beta) log|z_K/z_0| + sum_{k<K} R(p_k) - eta beta^nu m_K/z_K = -/+ 2 eta sum_{k<K} g_k,       nu = 1 (Nesterov: 2),

at every K and step, through changes of sign: p - 1 is -2 eta g + beta (1 - 1/p) of the step before; sum. So a run ends where
the plain flow ends from |z_0| e^{-E}, on the data A x, with what it has *given up* of its start,

    E = [sum R - eta beta^nu m_K/z_K] / (1 - beta):

|a b| is that of the start times e^{-(E_a + E_b)}, a gain of each entry, and E_a - E_b is a shift of log|a/b|. For beta = 0,
E_a + E_b = -sum log|1 - (2 eta g)^2|.

Of the paper the abstract alone was at hand; the law is derived. That x is 2 |a b| sinh log|a/b| is no law: what is asked is
that log|a/b| moves, but for its shift, inside range(A^T).
"""

import numpy as np

import implicit_bias as ib

from . import figures
from .claims import CLAIMS
from .given import OBSERVED, PREDICTED


def cell(*, law, gradient, momentum, step, key, alpha=0.1, rows=4, columns=9, noise=0.05, stop=1e-26, max_steps=6_000):
    draws = {
        "full": lambda: None, "one example": lambda: ib.minibatch(1, key), "noisy labels": lambda: ib.label_noise(noise, key),
    }  # fmt: skip
    problem = ib.linear.gaussian(rows, columns, target_norm=2.0)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), 2, signed=True)
    descent = ib.Descent(
        step / rows if gradient == "one example" else step,  # a batch stands for all rows: rows times its own gradient
        law=ib.heavy_ball(momentum, nesterov=law == "nesterov"),
        batch=draws[gradient](),
        stop=ib.loss_below(stop),
        max_steps=max_steps,
    )
    return ib.Run(problem, net, descent)


study = ib.Study(
    cell=cell,
    grids=ib.grid(
        law=["heavy ball", "nesterov"], gradient=["full", "one example", "noisy labels"], momentum=[0.0, 0.8, 0.9],
        seed=range(4), step=[0.0025, 0.005, 0.01, 0.02, 0.04, 0.08],
    ),
    facts={"operator": ib.operator, "target": ib.target},
    observe=OBSERVED,
    predict=PREDICTED,
    records=ib.log_records(4),
    claims=CLAIMS,
    figures=[figures.law],
    sizes={"paper": dict(seed=range(20), rows=10, columns=30, max_steps=40_000)},
)
