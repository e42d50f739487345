r"""Is a hypothesis needed? Leave it out, and look where the claim first fails.

For a claim with hypotheses h_1, ..., h_k as signed slacks, and one of them, h_j, the runs *outside h_j* are those that
the claim would test but for h_j:

    O_j = {runs: h_i >= 0 for i != j,  h_j < 0,  ended as the claim accepts,  residual and tolerance defined}.

A slack that is nan puts a run neither inside nor outside: it is counted as `unknown`. A tolerance below 0 counts as
undefined: a bound that turns negative outside (log of a slack, or its inverse) claims nothing there. Verdicts:

    needed             some run of O_j has residual > tolerance; the first is the one whose slack is nearest to 0
    not shown needed   no run of O_j fails: on this grid the claim holds without h_j
    untested           O_j is empty: the grid never leaves the hypothesis
    fails inside too   the claim is refuted inside its hypotheses, so failures outside say nothing of h_j
    unresolved         (of kinds that judge many runs together) the runs decide neither

`needed` is said of the statement, run by run, on this grid: it is evidence that h_j cannot be dropped, not that its
boundary is the best one. For that look at the first failure: `nearer` runs lie between it and the boundary and pass.

A kind that judges many runs together (exponent, limit, ordering, probability, up to a constant) finds again, on O_j and
on all runs with h_j left out, because either alone can be blind: among many runs inside, a few outside are diluted; and
the runs outside alone may have too few values of an axis. `needed` if it refutes the claim on either; else
`not shown needed` if it supports it on either.

>>> import numpy as np, xarray as xr
>>> from implicit_bias.evidence.claims import Claim, Inequality
>>> x = np.array([0.5, 0.9, 1.1, 1.5, 2.0])
>>> data = xr.Dataset({"status": ("x", np.ones(5, int))}, {"x": x})
>>> claim = Claim(id="square", source="doctest", statement="x^2 <= 2 if x <= 1", residual=lambda d: d.x**2 - 2,
...               kind=Inequality(), tolerance=lambda d: 0.1, because="example", hypotheses=lambda d: {"x <= 1": 1 - d.x})
>>> (found,) = sharpness(claim, data)
>>> found.verdict, found.outside, found.failed, found.first.where, round(found.first.slack, 6), found.first.nearer
('needed', 3, 2, {'x': 1.5}, -0.5, 1)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


from .._lazy import lazy
from .claims import Claim, Data, Weighed, judge, weigh
from .kinds import Identity, Probability, over_tolerance, worst_run

xr = lazy("xarray")


@dataclasses.dataclass(frozen=True)
class Failure:
    """The failing run nearest to the boundary of the hypothesis; among equals, the one that fails most."""

    where: Mapping[str, Any]
    slack: float
    ratio: float
    """Residual over tolerance."""
    nearer: int
    """Runs outside with a slack nearer to 0. All of them pass."""


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """What a claim does where one of its hypotheses is not met."""

    claim: Claim
    hypothesis: str
    verdict: str
    outside: int
    failed: int | None
    """None of a kind that judges many runs together."""
    first: Failure | None
    ended_badly: int
    undefined: int
    unknown: int
    measured: str


def without(claim: Claim, *names: str) -> Claim:
    """The claim with some of its hypotheses left out."""

    def others(data):
        return {name: slack for name, slack in claim.hypotheses(data).items() if name not in names}

    return dataclasses.replace(claim, hypotheses=others)


def outside_of(claim: Claim, name: str) -> Claim:
    """The claim with one hypothesis turned round: all others met, and this one violated."""

    def violated(data):
        slacks = weigh(claim, data).slacks
        return {**slacks, name: xr.where(slacks[name] < 0, 1.0, -1.0)}

    return dataclasses.replace(claim, hypotheses=violated)


def sharpness(claim: Claim, data: Data) -> list[LeftOut]:
    """Leave out each hypothesis of the claim in turn; empty where it has none, or where its grid was not asked for."""
    ds = claim.of(data)
    if ds is None:
        return []
    refuted = judge(claim, ds).verdict == "refuted"
    return [_leave_out(claim, ds, name, refuted) for name in claim.hypotheses(ds)]


def _leave_out(claim: Claim, ds: xr.Dataset, name: str, refuted_inside: bool) -> LeftOut:
    sane = dataclasses.replace(claim, tolerance=lambda data: _not_negative(claim, data)) if claim.tolerance else claim
    beyond, runs = judge(outside_of(sane, name), ds), weigh(sane, ds)
    unknown = int((runs.met(but=name) & runs.computed & runs.slacks[name].isnull()).sum())
    run_by_run = isinstance(claim.kind, (Identity, Probability))
    failed, first = _failures(runs, name) if run_by_run else (None, None)
    if not beyond.tested:
        verdict, measured = "untested", "no run outside"
    elif refuted_inside:
        verdict, measured = "fails inside too", beyond.measured
    elif isinstance(claim.kind, Identity):
        verdict, measured = "needed" if failed else "not shown needed", beyond.measured
    else:
        looks = [("outside", beyond), ("left out", judge(without(sane, name), ds))]
        sought = {"refuted": "needed", "supported": "not shown needed"}
        decided = [(sought[kind], where, look) for kind in sought for where, look in looks if look.verdict == kind]
        verdict, where, look = decided[0] if decided else ("unresolved", *looks[0])
        measured = f"{where}: {look.measured}"
    return LeftOut(
        claim, name, verdict, beyond.tested, failed, first, beyond.ended_badly, beyond.undefined, unknown, measured
    )


def _not_negative(claim: Claim, ds: xr.Dataset) -> xr.DataArray:
    tolerance = weigh(claim, ds).tolerance
    return tolerance.where(tolerance >= 0)


def _failures(runs: Weighed, name: str) -> tuple[int, Failure | None]:
    """How many runs outside fail, and the first of them."""
    slack = runs.slacks[name]
    tested = runs.met(but=name) & (slack < 0) & runs.computed & runs.accepted & runs.defined
    fails = tested & (runs.residual > runs.tolerance)
    if not fails.any():
        return 0, None
    nearest = float(slack.where(fails).max())
    ratio, where = worst_run(over_tolerance(runs.residual, runs.tolerance).where(fails & (slack == nearest)))
    return int(fails.sum()), Failure(where, nearest, ratio, nearer=int((tested & (slack > nearest)).sum()))
