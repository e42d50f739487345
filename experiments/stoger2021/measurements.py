r"""How many measurements does it take?  Recovery of a PSD matrix of rank r from a small start.   (Stoeger & Soltanolkotabi 2021)

Runs stop at a training loss of 1e-9. A matrix of rank r has n r - r(r-1)/2 degrees of freedom; nothing recovers from
fewer measurements than that, and a small start does from a few times as many.
"""

import implicit_bias as ib

from . import claims, figures

MOST = 78


def cell(*, rank, measurements, key, scale=1e-4, step=0.25, size=12, stop=1e-9, max_steps=1_000):
    problem = ib.matrix.of_the_first(ib.matrix.gaussian(size, rank, MOST)(key), measurements)
    descent = ib.Descent(step, stop=ib.loss_below(stop), max_steps=max_steps)
    return ib.Run(problem, ib.Symmetric(scale, size), descent)


study = ib.Study(
    cell=cell,
    grids=ib.grid(
        rank=[1, 2, 3], seed=range(24), measurements=[8.0, 16.0, 24.0, 36.0, 48.0, 60.0, 72.0]
    ),
    facts={"isometry_at_the_truth": ib.isometry_at_the_truth, "defect": ib.isometry_defect(2)},
    observe={"error": ib.relative_error},
    records=ib.log_records(3),
    claims=claims.counts,
    figures=[figures.phase_diagram],
    sizes={"paper": dict(seed=range(100))},
)  # fmt: skip
