r"""The claims of Gunasekar et al. 2017 that this study judges. Formulas are in `implicit_bias.theory.sensing`."""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import last
from implicit_bias.theory import sensing as theory

SOURCE = "Gunasekar et al. 2017"


def small(ds):
    return {"alpha <= 0.01": np.log(1.001e-2) - np.log(ds.scale)}


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


def least(ds):
    """The least eigenvalue of Z."""
    return last(ds.spectrum).min(last(ds.spectrum).dims[-1])


def slack(ds):
    """delta of each problem, by linear programming."""
    values = ds.eigenvalues
    return xr.apply_ufunc(
        lambda eigenvalues, rank: theory.certificate_slack(eigenvalues, int(rank)),
        values, ds["rank"], input_core_dims=[values.dims[-2:], []], vectorize=True
    )


def predicted(ds):
    """|Z - X| / |X| to leading order in alpha, and the next order over it."""
    values = ds.eigenvalues
    return xr.apply_ufunc(
        lambda eigenvalues, rank, scale: theory.small_start_error(eigenvalues, int(rank), float(scale)),
        values, ds["rank"], ds.scale, input_core_dims=[values.dims[-2:], [], []],
        output_core_dims=[[], []], vectorize=True,
    )  # fmt: skip


def _smallest_is_small(ds):
    return {"the smallest alpha <= 0.01": np.log(1.001e-2) - np.log(ds.scale.min())}


entropy = ib.Claim(
    id="log-in-the-span-of-the-measurements",
    source=f"{SOURCE}, Theorem 1 (derived: at every alpha)",
    statement="for commuting A_i the flow from alpha I ends with log(Z / alpha^2) in the span of the A_i",
    on="commuting",
    residual=outside,
    tolerance=lambda ds: 1e3 * (ds.rtol + ds.atol / np.sqrt(least(ds))) + 1e-15 / least(ds),
    because="up to 1,000 steps within rtol |U| + atol; rounding of Z, over its least eigenvalue, in the logarithm of that",
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
    source=f"{SOURCE}, Theorem 1 (leading order derived)",
    statement="for commuting A_i, Z tends to the solution X of least nuclear norm as alpha -> 0: |Z - X| is the sum in "
    "squares of powers of alpha, from alpha^(2 delta) on, that the certificate gives",
    on="commuting",
    hypotheses=lambda ds: {"next order <= 1/2": 0.5 - predicted(ds)[1]},
    residual=lambda ds: abs(last(ds.error) / predicted(ds)[0] - 1),
    tolerance=lambda ds: predicted(ds)[1] + 100 * np.sqrt(ds.stop) / predicted(ds)[0],
    because="the next order, |W|^2 |l_off|; what a loss at the stop leaves of Z",
)

rate = ib.Claim(
    id="least-nuclear-norm-rate",
    source=f"{SOURCE}, Theorem 1 (rate derived)",
    statement="for commuting A_i, |Z - X|^(1 / 2 delta) is proportional to alpha, delta the slack of the best certificate",
    kind=ib.Exponent(against="scale", value=1.0, within=0.15),
    on="commuting",
    hypotheses=small,
    residual=lambda ds: last(ds.error) ** (1 / (2 * slack(ds))),
    because="the next eigenvalue off X is smaller by a power of alpha that may be small",
)

conjecture = ib.Claim(
    id="least-nuclear-norm-conjecture",
    source=f"{SOURCE}, the conjecture",
    statement="for A_i that do not commute, Z tends to the solution of least nuclear norm as alpha -> 0: |Z - X| <= |X|/10",
    kind=ib.Inequality(),
    on="certified",
    hypotheses=lambda ds: {"the smallest alpha": 1.001 * float(ds.scale.min()) - ds.scale} | _smallest_is_small(ds),
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
    hypotheses=lambda ds: small(ds) | {"measurements <= n": ds["size"] - ds["rank"] * (ds["rank"] + 1) / 2},
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
    hypotheses=lambda ds: {"alpha = 1": np.log(ds.scale) + 1e-9} | _smallest_is_small(ds),
    residual=lambda ds: 3 * last(ds.error).isel(scale=int(ds.scale.values.argmin()), drop=True) - last(ds.error),
    tolerance=lambda ds: 0.0,
    because="a factor of three",
)
