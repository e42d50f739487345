"""Is  log|w_perp| + g^2/(2c)  constant?  Under the flow, under descent, and for losses other than the square.   (Wu et al. 2020, Lemma 2.5, App. D)

The gradient of any loss of A x lies in range(A^T), so the argument of Lemma 2.5 holds for each of the four losses:
the flow conserves the invariant to the integrator's tolerance, descent to first order in the step.
"""

import numpy as np

import implicit_bias as ib

from . import claims, figures

LOSSES = {"square": ib.square, "log_cosh": ib.log_cosh, "logistic": ib.logistic, "exponential": ib.exponential}
END = 4.0


def cell(*, objective, law, scale, ratio, key, step=1e-2, rows=6, columns=15):
    of_predictions = LOSSES[objective]
    target_norm = 2.0 if objective in ("square", "log_cosh") else None
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm, loss=of_predictions)(key)
    dynamics = {
        "flow": ib.Flow(max_time=END, ratio=ratio, rtol=1e-11, atol=1e-13),
        "wn": ib.Descent(step, ratio=ratio, max_steps=1_000_000),
        "rpgd": ib.Descent(step, ratio=ratio, max_steps=1_000_000),
    }[law]
    return ib.Run(problem, ib.Sphere(scale) if law == "rpgd" else ib.Polar(scale), dynamics)


axes = dict(objective=list(LOSSES), seed=range(4), ratio=[0.3, 1.0, 3.0], scale=[0.3, 1.0])
study = ib.Study(
    cell=cell,
    grids=ib.grid(law="flow", **axes) + ib.grid(law=["wn", "rpgd"], **axes, step=[0.02, 0.01, 5e-3, 2.5e-3]),
    facts={"w_perp": ib.orthogonal_size},
    observe={"log_invariant": ib.log_invariant, "log_w_perp": ib.orthogonal_log, "g": ib.size},
    records=ib.time_records(np.linspace(0, END, 17)),
    claims=[claims.flow_conserves, claims.descent_drifts, claims.printed_invariant],
    figures=[figures.invariant],
    sizes={"paper": dict(seed=range(50), ratio=ib.logspace(0.1, 10, 9), scale=ib.logspace(0.1, 3, 9))},
)
