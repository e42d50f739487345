r"""Does lambda = gamma / (1 - beta)^2 define the path of momentum?  To first order in a step of time.   (Papazov et al. 2024)

Heavy ball of step gamma and momentum beta, in the time t = k eps, eps = gamma / (1 - beta), on x = a^2 - b^2, beside

    lambda w'' + w' + grad f(w) = 0,      lambda = gamma / (1 - beta)^2 = eps / (1 - beta),   w'(0) = 0.

Expand w(t +- eps) in a step: w' + (eps / 2) (1 + beta) / (1 - beta) w'' + grad f = O(eps^2); and what is at rest is the step
before the first, w(-eps) = w(0). So the flow that heavy ball follows to second order has

    lambda_c = gamma (1 + beta) / (2 (1 - beta)^2) = lambda - eps / 2,      w'(0) = -eps grad f / (2 lambda_c + eps),

and with either of the two alone the distance is of first order. Runs of one lambda are of one path in the limit beta -> 1.
Of the paper the abstract alone was at hand; lambda_c and the start are derived.
"""

import numpy as np

import implicit_bias as ib

from . import figures
from .claims import CLAIMS, TIMES

FLOWS = {"printed": (0.0, 0.0), "matched": (0.0, 1.0), "corrected": (1.0, 0.0), "corrected and matched": (1.0, 1.0)}
"""Whether the inertia is lambda_c, and whether the start has the velocity that goes with it."""
INTERVALS = [0.08, 0.04, 0.02, 0.01, 0.005]


def cell(*, law, flow, inertia, interval, key, alpha=0.1, rows=3, columns=6, target_norm=1.5, rtol=1e-11):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), 2, signed=True)
    if law == "heavy ball":  # in theta' = theta - eps v', v' = beta v + (1 - beta) grad f, a step is one of time
        beta = 1 - interval / inertia
        steps = ib.Descent(interval, law=ib.heavy_ball(beta), rates={"weights": 1 - beta}, max_steps=1_000_000)
        return ib.Run(problem, net, steps)
    corrected, matched = flow
    mass = inertia - corrected * interval / 2
    field = ib.Inertial(1.0, mass, push=matched * interval / (2 * mass + interval))
    return ib.Run(problem, net, ib.Flow(TIMES[-1], field=field, rtol=rtol, atol=1e-3 * rtol))


study = ib.Study(
    cell=cell,
    grids=ib.grid(law=["heavy ball", "flow"], flow=FLOWS, inertia=[0.2, 0.4], seed=range(6), interval=INTERVALS),
    observe={"z": ib.layer},
    predict={"moment": lambda loss: TIMES + 0 * loss},
    records=ib.time_records(TIMES),
    claims=CLAIMS,
    figures=[figures.collapse],
    sizes={"paper": dict(seed=range(50), rows=10, columns=30)},
)
