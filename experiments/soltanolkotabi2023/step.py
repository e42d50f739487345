r"""What does one step add to V^T V - W^T W?  mu^2 (W^T R^T R W - V^T R R^T V), exactly.   (Soltanolkotabi et al. 2023)

At every step of runs from small and large starts, with steps up to where descent still converges.
"""

import implicit_bias as ib

from . import claims
from .observables import identity_gap, size


def cell(*, scale, step, key, shape=(12, 10), rank=2, width=6, measurements=80):
    problem = ib.matrix.gaussian(shape, rank, measurements)(key)
    return ib.Run(problem, ib.Asymmetric(scale, width), ib.Descent(step, max_steps=200))


study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(4), scale=[1e-6, 1e-3, 0.1, 1.0], step=[0.01, 0.1, 0.25]),
    observe={"identity_gap": ib.worst_change(identity_gap), "largest": ib.running_max(size)},
    records=ib.linear_records(2),
    claims=[claims.one_step],
    sizes={"paper": dict(seed=range(100))},
)
