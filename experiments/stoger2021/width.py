r"""Does over-parameterisation help?  The time of phase I against the width of U.   (Stoeger & Soltanolkotabi 2021)

With as many columns as X has rank, a random start lies badly to one of X's directions now and then, and has to be
turned; with more columns that becomes rare.
"""

import implicit_bias as ib

from . import claims, figures


def cell(*, width, key, scale=1e-5, step=0.25, size=12, rank=2, measurements=1200, max_steps=80):
    problem = ib.matrix.gaussian(size, rank, measurements)(key)
    return ib.Run(problem, ib.Symmetric(scale, width), ib.Descent(step, max_steps=max_steps))


study = ib.Study(
    cell=cell,
    grids=ib.grid(width=[2, 4, 12], seed=range(32)),
    observe={"error": ib.relative_error, "misalignment": ib.misalignment},
    records=ib.records_at(range(1000)),
    claims=claims.widths,
    figures=[figures.width],
    sizes={"paper": dict(seed=range(200))},
)
