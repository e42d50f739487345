r"""Alignment, growth, refinement: the three phases of gradient descent on U U^T from a small start.   (Stoeger & Soltanolkotabi 2021)

I: U_t follows the power method (I + mu A*(y))^t U_0 and its r leading directions align with X. II: sigma_r(Z) grows
exponentially to that of X. III: the error contracts. A smaller start lengthens II and leaves I as it is.
"""

import implicit_bias as ib

from . import claims, figures
from .observables import power_gap, seen


def cell(*, scale, key, step=0.25, size=20, rank=2, width=10, measurements=1600, condition=2.0, max_steps=300):
    problem = ib.matrix.gaussian(size, rank, measurements, condition=condition)(key)
    return ib.Run(problem, ib.Symmetric(scale, width), ib.Descent(step, max_steps=max_steps))


study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(4), scale=ib.logspace(1e-6, 1e-3, 7)),
    facts={"least": ib.truth_least, "seen_least": ib.spectral_least},
    observe={
        "error": ib.relative_error,
        "misalignment": ib.misalignment,
        "signal": ib.signal,
        "rank_ratio": ib.rank_ratio,
        "power_gap": power_gap,
        "seen": seen,
    },
    records=ib.records_at(range(0, 1000, 2)),
    claims=claims.phases,
    figures=[figures.phases],
    sizes={"paper": dict(seed=range(50), scale=ib.logspace(1e-6, 1e-3, 13))},
)
