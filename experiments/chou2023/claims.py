r"""The claims on weight-normalised diagonal nets. Potentials and bounds are in `implicit_bias.theory.diagonal`.

Of the paper the abstract alone was at hand: a source that says "derived" names the statement that it makes precise.

What the flow conserves it conserves at every moment, so each statement about a limit holds of x at any time, with A x in
the place of y: x is where the flow would have ended had the data been A x. It is asked so, of the end of every run. One
that has fitted has A x = y, to its stop rule; one that was capped is tested on the data that it has reached: none is lost.

Tolerances. The integrator keeps each entry to a relative rtol a step, and thousands of steps add up like their root; the
start over rho moves with r by a relative r dr / c, hence the factor 1 + r^2/c.
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


def ends(ds):
    """z^L at the end: x for one branch, both branches of a signed net."""
    return along(ds, "depth", lambda ds, depth: last(ds.z) ** depth).rename({"z_0": "of_0"})


def reached(ds, x):
    """A x: the data that a run has reached, y where it has fitted."""
    return over_runs(ds, lambda A, x: np.einsum("...mn,...n->...m", A, x), stacked(ds), x, out=1)


def plain_from(ds, rho):
    """w^L at the end of the plain flow from z_0 / rho, on the data that the run has reached."""
    data = reached(ds, ends(ds))

    def one(ds, depth):
        start = ds.z.isel(record=0) / (rho.sel(depth=ds.depth) if hasattr(rho, "sel") else rho)
        now = data.sel(depth=ds.depth)
        return over_runs(ds, lambda A, y, w: theory.plain_limit(A, y, w, depth), stacked(ds), now, start, out=1)

    return along(ds, "depth", one)


def tolerance(ds):
    ratio = _ratio(ds)
    moved = 1.0 if ratio is None else 1 + last(ds["size"]) ** 2 / ratio
    return SAFETY * 1e2 * ds.rtol * moved * (1 + norm(ds, ends(ds)))


invariant = ib.Claim(
    id="layer-invariant",
    source=f"{SOURCE}, abstract: key invariants (derived)",
    statement="p = u exp(r^2/2c): p (L = 1), log p (L = 2), p^-(L-2) (L >= 3) moves inside range(A^T) only",
    accepts=ENDED,
    residual=_drift,
    tolerance=lambda ds: 1e4 * ds.rtol,
    because="integrator at a relative rtol a step, over thousands of steps that contract",
)

from_the_start_over_rho = ib.Claim(
    id="limit-is-plain-from-start-over-rho",
    source=f"{SOURCE}, abstract: the bias persists at large starts (derived)",
    statement="x is the limit of the plain flow from z_0/rho, rho = (r_0/r) exp((r^2 - r_0^2)/2c), on the data A x",
    accepts=ENDED,
    residual=lambda ds: norm(ds, ends(ds) - plain_from(ds, magnification(ds))),
    tolerance=tolerance,
    because="integrator: 200 rtol (1 + |x|) (1 + r^2/c)",
)


def _potential_minimiser(ds):
    start, data = ds.z.isel(record=0) ** 2, reached(ds, ends(ds))
    return over_runs(ds, theory.normalised_limit, stacked(ds), data, start, ds.ratio, out=1)


def _depth(ds, depth):
    """A slack that one depth alone meets."""
    return 0.5 - abs(ds.depth - depth)


potential_of_depth_two = ib.Claim(
    id="limit-minimises-the-potential-of-depth-2",
    source=f"{SOURCE}, abstract: bias towards sparse solutions (derived)",
    statement="L = 2: x minimises sum x_i log[(x_i/s)/(x0_i/s0)] + (s - s0)^2/2c, s = |x|_1, at its data A x, over x >= 0",
    accepts=ENDED,
    hypotheses=lambda ds: {"L = 2": _depth(ds, 2)},
    residual=lambda ds: norm(ds, ends(ds) - _potential_minimiser(ds)),
    tolerance=tolerance,
    because="as for the limit of the plain flow; the minimiser is found by Newton's method on the convex dual",
)

plain_limit = ib.Claim(
    id="plain-limit-minimises-its-potential",
    source="Woodworth et al. 2020 (derived for one branch)",
    statement="the plain flow is at the minimiser, at its data A x, of the potential with conjugate sum w^2/2",
    on="gd one",
    accepts=ENDED,
    residual=lambda ds: norm(ds, ends(ds) - plain_from(ds, 1.0)),
    tolerance=tolerance,
    because="integrator: 200 rtol (1 + |x|)",
)

nearer_to_l1 = ib.Claim(
    id="smaller-sum-than-plain-by-the-mean",
    source=f"{SOURCE}, abstract: bias towards sparse solutions (derived)",
    statement="sum x is below the plain flow's from the same start at the data A x iff c < LM(r^2, r_0^2) (r > r_0), c > LM else",
    kind=ib.Inequality(),
    on="wn one",
    accepts=ENDED,
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


def least_l1(ds, of="target"):
    """Q = min |x|_1 over A x = y, x >= 0 for one branch, with its doubt; of y, or of the data that a run has reached."""
    if of == "reached":
        ds = ds.assign(target=reached(ds, (last(ds.z) ** 2).rename({"z_0": "of_0"})).rename({"of_0": "target_0"}))
    return references.least_l1(ds, nonnegative=not two_branches(ds))


def gap(ds, least):
    """r^2 - Q at the end: at least |x|_1 - Q."""
    return last(ds["size"]) ** 2 - least


def bound(ds, which, least):
    return which(least, ds.scale**2, ds.ratio, ds.z.sizes["z_0"])


def _share_of(which):
    """(r^2 - Q) / bound, Q of the data reached."""

    def residual(ds):
        least = least_l1(ds, "reached")[0]
        return gap(ds, least) / bound(ds, which, least)

    return residual


def _one_and_rounding(which):
    def tolerance(ds):
        least, doubt = least_l1(ds, "reached")
        return 1 + (_drift_of_size(ds) + least * doubt) / bound(ds, which, least)

    return tolerance


def _drift_of_size(ds):
    return 1e4 * ds.rtol * (1 + ds.scale**2)


def _certified(ds):
    """The doubt of Q, or what a run ends below it in units in which the integrator loses 1e-10: the greater."""
    least, doubt = least_l1(ds, "reached")
    below = -gap(ds, least) / (_drift_of_size(ds) + least * doubt)
    return np.maximum(least_l1(ds)[1], 1e-10 * below)


least_is_certified = ib.Claim(
    id="least-l1-is-certified",
    source="linear programming duality (a check of the reference)",
    statement="the least l1 norm Q has a dual point of its value, and no net is below: r^2 >= Q of its data A x",
    accepts=ENDED,
    residual=_certified,
    tolerance=lambda ds: 1e-10,
    because="Q: a vertex from a linear solve on its support, 1e-10; r^2: integrator 1e4 rtol (1 + s0), doubt of Q of A x",
)

_BOUND = dict(kind=ib.Inequality(), accepts=ENDED, because="the bound; integrator 1e4 rtol (1 + s0), doubt of Q of A x")

gap_is_bounded = ib.Claim(
    id="l1-gap-bound",
    source=f"{SOURCE}, abstract: sparse bias (derived)",
    statement="L = 2, s0 = r_0^2 < Q: |x|_1 - Q <= r^2 - Q <= min(c Q log n/(Q - s0), sqrt(2 c Q log n)), Q of A x; share of it",
    hypotheses=lambda ds: {"s0 < Q": least_l1(ds, "reached")[0] - ds.scale**2},
    residual=_share_of(theory.simple_gap_bound),
    tolerance=_one_and_rounding(theory.simple_gap_bound),
    **_BOUND,
)

gap_is_bounded_everywhere = ib.Claim(
    id="l1-gap-bound-on-both-sides",
    source=f"{SOURCE}, abstract: sparse bias (derived)",
    statement="L = 2, any s0: r^2 - Q <= sqrt((Q - s0)^2 + 2 c Q log n) - (Q - s0), Q of A x; share of it",
    residual=_share_of(theory.gap_bound),
    tolerance=_one_and_rounding(theory.gap_bound),
    **_BOUND,
)

gap_beyond = ib.Claim(
    id="l1-gap-bound-without-its-hypothesis",
    source=f"{SOURCE}, abstract: practically large starts (asked without s0 < Q)",
    statement="L = 2, any s0: r^2 - Q <= sqrt(2 c Q log n), Q of A x; share of it",
    residual=_share_of(theory.simple_gap_bound),
    tolerance=_one_and_rounding(theory.simple_gap_bound),
    expected="refuted",
    **_BOUND,
)
