r"""Does U U^T from a small start find the least nuclear norm?  Commuting measurements, and others.   (Gunasekar et al. 2017)

The flow from U_0 = alpha I with commuting A_i ends where log(Z / alpha^2) lies in the span of the A_i, at every alpha:
the entropy's minimiser. As alpha -> 0 that is the solution of least nuclear norm, with an error like alpha^(2 delta),
delta the slack of the dual certificate: slow where the certificate is nearly tight. X is made with one. Of other A_i the
same was conjectured; with as few measurements as here, a small start finds a matrix of rank 1 that fits instead.
"""

import jax.numpy as jnp

import implicit_bias as ib

from . import claims, figures
from .observables import eigenvalues, log_z, measured

ALL = 64


def cell(
    *, operator, scale, key, slack=0.2, size=8, rank=2, max_time=5_000.0, stop=1e-20, rtol=1e-10, atol=1e-13
):
    # the fewest that tell the matrices on the range of X apart: with more, the flow is slow to settle between them
    draw, measurements = {
        "commuting": (ib.matrix.commuting, rank),
        "certified": (ib.matrix.certified, rank * (rank + 1) // 2),
    }[operator]
    problem = draw(size, rank, measurements, slack=slack)(key)
    flow = ib.Flow(max_time=max_time, stop=ib.loss_below(stop), rtol=rtol, atol=atol)
    return ib.Run(problem, ib.Symmetric(scale, size, jnp.eye(size)), flow)


axes = dict(seed=range(4), slack=[0.2, 0.5], scale=ib.logspace(1e-4, 1, 9))
study = ib.Study(
    cell=cell,
    grids=ib.grid(operator="commuting", **axes) + ib.grid(operator="certified", **axes),
    facts={"measured": measured, "eigenvalues": eigenvalues, "least": ib.truth_least},
    observe={"error": ib.relative_error, "spectrum": ib.spectrum(ALL), "log_z": log_z},
    records=ib.log_records(3),
    claims=[
        claims.entropy, claims.entropy_otherwise, claims.least_nuclear, claims.rate, claims.conjecture,
        claims.greedy, claims.large_start,
    ],
    figures=[figures.nuclear],
    sizes={"paper": dict(seed=range(50), slack=[0.1, 0.2, 0.5, 1.0], scale=ib.logspace(1e-5, 1, 16))},
)  # fmt: skip
