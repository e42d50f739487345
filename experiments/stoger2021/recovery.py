r"""How exact, how soon, of what rank is U U^T, by the size of its start?   (Stoeger & Soltanolkotabi 2021)

Gradient descent from a Gaussian start of size alpha, and the same for A*A = I, where the answers are exact. The error is
read at three times the first moment at which it is 10 %: its exponent depends on that moment and on m.

Of the paper only the abstract was at hand: what is tested is derived; its own exponent 21/16, under a restricted
isometry that this m does not give, is remembered, and said beside the claim.
"""

import implicit_bias as ib

from .. import _sensing

STEPS = {"population": 780, "gaussian": 240}
"""Three times the time to an error of 10 % from the smallest start, at the step below."""


def cell(
    *, operator, scale, key, condition=1.0, step=0.25, size=30, rank=2, width=20, measurements=360, max_steps=None
):
    problem = {
        "gaussian": lambda: ib.matrix.gaussian(size, rank, measurements, condition=condition)(key),
        "population": lambda: ib.matrix.population(size, rank, condition=condition)(key),
    }[operator]()
    return ib.Run(problem, ib.Symmetric(scale, width), ib.Descent(step, max_steps=max_steps or STEPS[operator]))


ITS = dict(bound="21/16", prefix="psd-")

figure = _sensing.figure_of_the_start("psd-error-against-alpha", product=r"UU^\top", **ITS)

starts = ib.logspace(1e-6, 1e-1, 16)
study = ib.Study(
    cell=cell,
    grids=ib.grid(operator="population", seed=range(2), condition=[1.0, 4.0], scale=starts)
    + ib.grid(operator="gaussian", seed=range(4), rank=1, scale=[*starts, 0.5]),
    facts=_sensing.FACTS,
    observe=_sensing.OBSERVED,
    predict=_sensing.PREDICTED,
    records=ib.records_at(range(0, 3000, 2)),
    claims=_sensing.claims_of_the_start("Stoeger & Soltanolkotabi 2021", **ITS),
    figures=[figure],
    sizes={"paper": dict(seed=range(50), scale=ib.logspace(1e-6, 1e-1, 41))},
)  # fmt: skip
