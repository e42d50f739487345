r"""The claims on weight-normalised diagonal nets. Potentials and bounds are in `implicit_bias.theory.diagonal`.

Of the paper the abstract alone was at hand: a source that says "derived" names the statement that it makes precise.

Tolerances. A run that stops at loss tau has |A x - y| = sqrt(2 tau), which moves its limit by at most sensitivity times
that at a fixed start; the start over rho moves with r by a relative r dr / c, hence the factor 1 + r^2/c. The integrator
keeps each entry to a relative 1e-11 a step, 1e-8 over a thousand steps.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence import references
from implicit_bias.evidence.curves import last
from implicit_bias.evidence.runs import along, over_runs
from implicit_bias.theory import diagonal as theory
from implicit_bias.theory.weight_normalisation import logarithmic_mean

SOURCE = "Chou et al. 2023"
SAFETY = 2.0


def truth(snapshot):
    """The sparse vector that the data were made from. A fact."""
    return ib.truth(snapshot.problem)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BySeed(ib.Claim):
    """A claim on a summary of all runs of a seed: what it tests, and counts, are seeds."""

    summary: Callable[[xr.Dataset], dict[str, xr.DataArray]]

    def of(self, data):
        ds = super().of(data)
        if ds is None:
            return None
        absent = (ds.status == ib.Status.ABSENT).any([d for d in ds.status.dims if d != "seed"])
        status = xr.where(absent, int(ib.Status.ABSENT), int(ib.Status.CONVERGED))
        return xr.Dataset({"status": status, **self.summary(ds)}, attrs=ds.attrs)


# -- what the potentials need of a run: its stacked data, its start and its end ----------------------------------------


def two_branches(ds):
    return ds.z.sizes["z_0"] == 2 * ds.operator.sizes["operator_1"]


def stacked(ds):
    """A for one branch, [A, -A] for two: as many columns as the layer has entries."""
    two = two_branches(ds)
    return over_runs(ds, lambda A: np.concatenate([A, -A], -1) if two else A, ds.operator, out=2)


def norm(ds, x):
    return over_runs(ds, lambda x: np.linalg.norm(x, axis=-1), x)


def _null_part(A, v):
    """(I - pinv(A) A) v, through an orthonormal basis of the rows."""
    basis = np.linalg.svd(A, full_matrices=False)[2]
    for _ in range(2):
        v = v - np.einsum("...mn,...m->...n", basis, np.einsum("...mn,...n->...m", basis, v))
    return v


# -- limit -------------------------------------------------------------------------------------------------------------

LIMIT_STOP = 1e-18
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)


def _ratio(ds):
    return ds.ratio if (ds.method == "wn").all() else None


def _drift(ds):
    """|(I - Pi)(p_t - p_0)| / (|p_t| + |p_0|), p as it is conserved; the greatest over the records."""

    def one(ds, depth):
        def drift(A, z, size, z0, size0, ratio):
            now, then = (theory.conserved(w, depth, ratio, s[..., None]) for w, s in ((z, size), (z0, size0)))
            change = np.linalg.norm(_null_part(A, now - then), axis=-1)
            return change / (np.linalg.norm(now, axis=-1) + np.linalg.norm(then, axis=-1))

        first = ds.isel(record=0)
        ratio = ds.ratio.expand_dims("one", -1)
        moments = [
            over_runs(ds, drift, stacked(ds), now.z, now["size"], first.z, first["size"], ratio)
            for now in (ds.isel(record=i) for i in range(1, ds.sizes["record"]))
        ]
        return functools.reduce(np.maximum, moments)

    return along(ds, "depth", one)


def magnification(ds):
    return theory.magnification(ds["size"].isel(record=0), last(ds["size"]), ds.ratio)


def plain_from(ds, rho):
    """w^L at the end of the plain flow from z_0 / rho."""

    def one(ds, depth):
        start = ds.z.isel(record=0) / (rho.sel(depth=ds.depth) if hasattr(rho, "sel") else rho)
        return over_runs(ds, lambda A, y, w: theory.plain_limit(A, y, w, depth), stacked(ds), ds.target, start, out=1)

    return along(ds, "depth", one)


def ends(ds):
    """z^L at the end: x for one branch, both branches of a signed net."""
    return along(ds, "depth", lambda ds, depth: last(ds.z) ** depth).rename({"z_0": "of_0"})


def tolerance(ds, stop=LIMIT_STOP):
    ratio = _ratio(ds)
    moved = 1.0 if ratio is None else 1 + last(ds["size"]) ** 2 / ratio

    def one(ds, depth):
        return over_runs(ds, lambda A, w: theory.sensitivity(A, w, depth), stacked(ds), last(ds.z))

    return SAFETY * along(ds, "depth", one) * np.sqrt(2 * stop) * moved + 1e-7 * (1 + norm(ds, ends(ds)))


invariant = ib.Claim(
    id="layer-invariant",
    source=f"{SOURCE}, abstract: key invariants (derived)",
    statement="p = u exp(r^2/2c): p (L = 1), log p (L = 2), p^-(L-2) (L >= 3) moves inside range(A^T) only",
    accepts=ENDED,
    residual=_drift,
    tolerance=lambda ds: 1e-7,
    because="integrator at a relative 1e-11 a step, over at most 20,000 steps that contract",
)

from_the_start_over_rho = ib.Claim(
    id="limit-is-plain-from-start-over-rho",
    source=f"{SOURCE}, abstract: the bias persists at large starts (derived)",
    statement="x_inf is the limit of the plain flow from z_0/rho, rho = (r_0/r_inf) exp((r_inf^2 - r_0^2)/2c)",
    residual=lambda ds: norm(ds, ends(ds) - plain_from(ds, magnification(ds))),
    tolerance=tolerance,
    because="stop rule: sensitivity sqrt(2 tau) (1 + r^2/c); integrator 1e-7 (1 + |x|)",
)


def _potential_minimiser(ds):
    start = ds.z.isel(record=0) ** 2
    return over_runs(ds, theory.normalised_limit, stacked(ds), ds.target, start, ds.ratio, out=1)


def _depth(ds, depth):
    """A slack that one depth alone meets."""
    return 0.5 - abs(ds.depth - depth)


potential_of_depth_two = ib.Claim(
    id="limit-minimises-the-potential-of-depth-2",
    source=f"{SOURCE}, abstract: bias towards sparse solutions (derived)",
    statement="L = 2: x_inf minimises sum x_i log[(x_i/s)/(x0_i/s0)] + (s - s0)^2/2c over A x = y, x >= 0, s = |x|_1",
    hypotheses=lambda ds: {"L = 2": _depth(ds, 2)},
    residual=lambda ds: norm(ds, ends(ds) - _potential_minimiser(ds)),
    tolerance=tolerance,
    because="as for the limit of the plain flow; the minimiser is found by Newton's method on the convex dual",
)

plain_limit = ib.Claim(
    id="plain-limit-minimises-its-potential",
    source="Woodworth et al. 2020 (derived for one branch)",
    statement="the plain flow ends at the minimiser over A x = y of the potential with conjugate sum w^2/2",
    on="gd one",
    residual=lambda ds: norm(ds, ends(ds) - plain_from(ds, 1.0)),
    tolerance=tolerance,
    because="stop rule: sensitivity sqrt(2 tau); integrator 1e-7 (1 + |x|)",
)

nearer_to_l1 = ib.Claim(
    id="smaller-sum-than-plain-by-the-mean",
    source=f"{SOURCE}, abstract: bias towards sparse solutions (derived)",
    statement="sum x_inf is below the plain flow's from the same start iff c < LM(r_inf^2, r_0^2) (r_inf > r_0), c > LM else",
    kind=ib.Inequality(),
    on="wn one",
    residual=lambda ds: (ends(ds) - plain_from(ds, 1.0)).sum("of_0") * np.sign(_criterion(ds)),
    tolerance=tolerance,
    because="as for the limit of the plain flow: a run within its tolerance of a tie may end on either side",
)


def _criterion(ds):
    first, end = ds["size"].isel(record=0) ** 2, last(ds["size"]) ** 2
    return np.sign(end - first) * (logarithmic_mean(end, first) - ds.ratio)


BRANCHES = {"one": "", "two": "-signed"}


def on_branches(claim, grid="{}"):
    """A claim on the nets of one branch and of two."""
    return [dataclasses.replace(claim, id=claim.id + end, on=grid.format(name)) for name, end in BRANCHES.items()]


# -- gap ---------------------------------------------------------------------------------------------------------------

GAP_STOP = 1e-12


def least_l1(ds):
    """Q = min |x|_1 over A x = y, x >= 0 for one branch, with its doubt."""
    return references.least_l1(ds, nonnegative=not two_branches(ds))


def gap(ds):
    """r_inf^2 - Q: at least |x|_1 - Q."""
    return last(ds["size"]) ** 2 - least_l1(ds)[0]


def bound(ds, which):
    least, _ = least_l1(ds)
    return which(least, ds.scale**2, ds.ratio, ds.z.sizes["z_0"])


def _below_least(ds):
    return least_l1(ds)[0] - ds.scale**2


def gap_tolerance(ds):
    """The bounds hold at every time with A x for y; Q moves with y by at most |v| < 10, v its dual point."""
    return SAFETY * 10 * np.sqrt(2 * GAP_STOP) + 1e-7 * (1 + ds.scale**2)


least_is_certified = [
    dataclasses.replace(
        references.least_l1_is_certified(nonnegative=not end), id=f"least-l1-is-certified{end}", on=name
    )
    for name, end in BRANCHES.items()
]

gap_is_bounded = ib.Claim(
    id="l1-gap-bound",
    source=f"{SOURCE}, abstract: sparse bias (derived)",
    statement="L = 2, s0 = r_0^2 < Q: |x|_1 - Q <= r_inf^2 - Q <= min(c Q log n/(Q - s0), sqrt(2 c Q log n))",
    kind=ib.Inequality(),
    hypotheses=lambda ds: {"s0 < Q": _below_least(ds)},
    residual=lambda ds: gap(ds) - bound(ds, theory.simple_gap_bound),
    tolerance=gap_tolerance,
    because="stop rule: the bound holds for the data A x, and Q moves by at most |v| sqrt(2 tau); integrator 1e-7",
)

gap_is_bounded_everywhere = ib.Claim(
    id="l1-gap-bound-on-both-sides",
    source=f"{SOURCE}, abstract: sparse bias (derived)",
    statement="L = 2, any s0: r_inf^2 - Q <= sqrt((Q - s0)^2 + 2 c Q log n) - (Q - s0)",
    kind=ib.Inequality(),
    residual=lambda ds: gap(ds) - bound(ds, theory.gap_bound),
    tolerance=gap_tolerance,
    because="as for the bound below Q",
)

gap_beyond = ib.Claim(
    id="l1-gap-bound-without-its-hypothesis",
    source=f"{SOURCE}, abstract: practically large starts (asked without s0 < Q)",
    statement="L = 2, any s0: r_inf^2 - Q <= sqrt(2 c Q log n)",
    kind=ib.Inequality(),
    residual=lambda ds: gap(ds) - bound(ds, theory.simple_gap_bound),
    tolerance=gap_tolerance,
    because="as for the bound below Q",
    expected="refuted",
)

gap_is_not_negative = ib.Claim(
    id="l1-gap-is-not-negative",
    source="definition of Q",
    statement="r_inf^2 >= Q",
    kind=ib.Inequality(),
    residual=lambda ds: -gap(ds),
    tolerance=gap_tolerance,
    because="as for the bound",
)
