r"""How exact, how soon, of what rank is V W^T, by the size of its start?   (Soltanolkotabi et al. 2023)

Gradient descent from Gaussian factors of size alpha, and the same for A*A = I. Moments are multiples of the first at
which the error is 10 %: the statement is of stopping early, and the exponent of the error depends on when.
Under sensing r = 1: what X does not see grows like the start to the power 1 - (sqrt(n1) + sqrt(n2)) |X| / sqrt(m), so
that with m < n1 n2 and n about 24 there is room for one direction only.

Of the paper only the abstract was at hand: what is tested is derived; its own exponent 3/5 is remembered, and said
beside the claim.
"""

import implicit_bias as ib

from .. import _sensing


def cell(
    *, operator, scale, key, condition=1.0, step=0.25, shape=(26, 22), rank=2, width=20, measurements=400, max_steps=390
):
    problem = {
        "gaussian": lambda: ib.matrix.gaussian(shape, rank, measurements, condition=condition)(key),
        "population": lambda: ib.matrix.population(shape, rank, condition=condition)(key),
    }[operator]()
    return ib.Run(problem, ib.Asymmetric(scale, width), ib.Descent(step, max_steps=max_steps))


figure = _sensing.figure_of_the_start("error-against-alpha", product=r"VW^\top", bound="3/5")

starts = ib.logspace(1e-6, 1e-1, 16)
study = ib.Study(
    cell=cell,
    grids=ib.grid(operator="population", seed=range(2), condition=[1.0, 2.0], scale=starts)
    + ib.grid(operator="gaussian", seed=range(4), rank=1, scale=[*starts, 0.5]),
    facts=_sensing.FACTS,
    observe=_sensing.OBSERVED,
    predict=_sensing.PREDICTED,
    records=ib.records_at(range(0, 3000, 3)),
    claims=_sensing.claims_of_the_start("Soltanolkotabi et al. 2023", bound="3/5"),
    figures=[figure],
    sizes={"paper": dict(seed=range(50), scale=[*ib.logspace(1e-6, 1e-1, 41), 0.5])},
)  # fmt: skip
