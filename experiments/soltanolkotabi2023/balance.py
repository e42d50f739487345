r"""Do the factors of V W^T stay balanced?  D = V^T V - W^T W under the flow and under descent.   (Soltanolkotabi et al. 2023)

The flow conserves D, for two factors and for more. A step mu of descent adds mu^2 (W^T R^T R W - V^T R R^T V) exactly:
a start of size alpha^2 << mu is soon forgotten, and max |D| saturates at the order of mu, whatever alpha. With
A*A = I the two terms cancel but for the order of alpha^2, and D follows alpha^2, whatever mu.
"""

import numpy as np

import implicit_bias as ib

from . import claims, figures

END = 40.0


def cell(
    *, law, scale, key, model="factors", operator="gaussian", step=0.2, shape=(12, 10), rank=2, width=6, measurements=64,
    max_time=END, rtol=1e-11, atol=1e-13,
):  # fmt: skip
    problem = {
        "gaussian": lambda: ib.matrix.gaussian(shape, rank, measurements)(key),
        "population": lambda: ib.matrix.population(shape, rank)(key),
    }[operator]()
    weights = {"factors": lambda: ib.Asymmetric(scale, width), "layers": lambda: ib.DeepLinear(scale, 3, width)}[
        model
    ]()
    flow = ib.Flow(max_time=max_time, rtol=rtol, atol=atol)
    return ib.Run(problem, weights, flow if law == "flow" else ib.Descent(step, max_steps=100_000))


study = ib.Study(
    cell=cell,
    grids=ib.grid(law="flow", model=["factors", "layers"], seed=range(3), scale=[0.1, 0.3, 1.0])
    + ib.grid(
        law="descent", operator=["gaussian", "population"], seed=range(8),
        scale=ib.logspace(1e-6, 1e-2, 5), step=[0.2, 0.1, 0.05],
    ),
    facts={"first_imbalance": ib.imbalance},
    observe={
        "error": ib.relative_error,
        "imbalance_drift": ib.imbalance_drift,
        "imbalance": ib.imbalance,
        "largest_imbalance": ib.running_max(ib.imbalance),
    },
    records=ib.time_records(np.linspace(0, END, 21)),
    claims=[
        claims.flow_conserves, *claims.orders, claims.descent_conserves,
    ],
    figures=[figures.balance],
    sizes={"paper": dict(seed=range(50), scale=ib.logspace(1e-6, 1e-2, 9))},
)  # fmt: skip
