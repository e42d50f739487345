r"""The claims of Gunasekar et al. 2017 that this study judges. Formulas are in `implicit_bias.theory.sensing`."""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import last
from implicit_bias.theory import sensing as theory

SOURCE = "Gunasekar et al. 2017"
STOP = 1e-20
RANK = 2


def small(ds):
    return {"alpha <= 0.01": np.log(1.001e-2) - np.log(ds.scale)}


def excess(ds):
    """tr Z / tr X - 1: above the least nuclear norm, which is that of X."""
    return last(ds.spectrum).sum(last(ds.spectrum).dims[-1]) / RANK - 1


def outside(ds):
    """The part of log(Z / alpha^2) outside the span of the A_i, over the whole."""

    def one(log, rows, scale):
        size = round((np.sqrt(8 * log.shape[-1] + 1) - 1) / 2)
        i, j = np.triu_indices(size)
        log = log - np.where(i == j, 2 * np.log(scale)[..., None], 0.0)
        basis, _ = np.linalg.qr(np.swapaxes(rows, -1, -2))
        inside = np.einsum("...pm,...qm,...q->...p", basis, basis, log)
        return np.linalg.norm(log - inside, axis=-1) / np.linalg.norm(log, axis=-1)

    log, rows = last(ds.log_z), ds.measured
    return xr.apply_ufunc(one, log, rows, ds.scale, input_core_dims=[log.dims[-1:], rows.dims[-2:], []])


def slack(ds):
    """delta of each problem, by linear programming."""
    values = ds.eigenvalues
    return xr.apply_ufunc(
        lambda b: theory.certificate_slack(b, RANK), values, input_core_dims=[values.dims[-2:]], vectorize=True
    )


entropy = ib.Claim(
    id="log-in-the-span-of-the-measurements",
    source=f"{SOURCE}, Theorem 1 (derived: at every alpha)",
    statement="for commuting A_i the flow from alpha I ends with log(Z / alpha^2) in the span of the A_i",
    on="commuting",
    residual=outside,
    tolerance=lambda ds: 1e-6 + 1e-15 / last(ds.spectrum).min(last(ds.spectrum).dims[-1]),
    because="integrator at rtol 1e-10; rounding of Z, over its least eigenvalue, in the logarithm of that",
)

entropy_otherwise = ib.Claim(
    id="log-in-the-span-without-commuting",
    source=f"{SOURCE}, Theorem 1 without its hypothesis",
    statement="the same for A_i that do not commute",
    on="certified",
    residual=outside,
    tolerance=lambda ds: 1e-5,
    because="as for commuting ones",
    expected="refuted",
)

least_nuclear = ib.Claim(
    id="least-nuclear-norm",
    source=f"{SOURCE}, Theorem 1",
    statement="for commuting A_i, Z tends to the solution of least nuclear norm as alpha -> 0",
    kind=ib.Limit(against="scale"),
    on="commuting",
    residual=lambda ds: last(ds.error),
    tolerance=lambda ds: 0.1,
    because="slow where the certificate is nearly tight: 0.0001^0.4 is 0.025",
)

rate = ib.Claim(
    id="least-nuclear-norm-rate",
    source=f"{SOURCE}, Theorem 1 (rate derived)",
    statement="for commuting A_i, |Z - X|^(1 / 2 delta) is proportional to alpha, delta the slack of the best certificate",
    kind=ib.Exponent(against="scale", value=1.0, within=0.15),
    on="commuting",
    hypotheses=small,
    residual=lambda ds: last(ds.error) ** (1 / (2 * slack(ds))),
    tolerance=lambda ds: 1.0,
    because="the next eigenvalue off X is smaller by a power of alpha that may be small",
)

conjecture = ib.Claim(
    id="least-nuclear-norm-conjecture",
    source=f"{SOURCE}, the conjecture",
    statement="for A_i that do not commute, Z tends to the solution of least nuclear norm as alpha -> 0: |Z - X| <= |X|/10",
    kind=ib.Inequality(),
    on="certified",
    hypotheses=lambda ds: {"the smallest alpha": 1.001 * float(ds.scale.min()) - ds.scale},
    residual=lambda ds: last(ds.error),
    tolerance=lambda ds: 0.1,
    because="what commuting ones give at that alpha",
    expected="refuted",
)

greedy = ib.Claim(
    id="rank-one-instead",
    source=f"{SOURCE}, the conjecture (what is seen instead)",
    statement="for these A_i, sigma_2(Z) / sigma_1(Z) tends to zero as alpha -> 0, though the least nuclear norm has rank 2",
    kind=ib.Limit(against="scale"),
    on="certified",
    hypotheses=small,
    residual=lambda ds: (
        last(ds.spectrum).isel({last(ds.spectrum).dims[-1]: 1}, drop=True)
        / last(ds.spectrum).isel({last(ds.spectrum).dims[-1]: 0}, drop=True)
    ),
    tolerance=lambda ds: 1e-2,
    because="seen down to alpha = 1e-4; three measurements leave room for many matrices of rank 1",
)

large_start = ib.Claim(
    id="large-start-is-not-least-nuclear",
    source=f"{SOURCE}, the role of small initialisation (control)",
    statement="from alpha = 1 the error is at least three times that of the smallest start",
    kind=ib.Inequality(),
    on="commuting",
    hypotheses=lambda ds: {"alpha = 1": np.log(ds.scale) + 1e-9},
    residual=lambda ds: 3 * last(ds.error).isel(scale=int(ds.scale.values.argmin()), drop=True) - last(ds.error),
    tolerance=lambda ds: 0.0,
    because="a factor of three",
)
