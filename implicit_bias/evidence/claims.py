r"""A claim is an executable theorem; a verdict is what the machine makes of it.

    hypotheses : dataset -> {name: signed slack}      met where the slack is >= 0
    residual   : dataset -> number per run            what the theorem says is small, or not positive
    tolerance  : dataset -> number per run            from what limits the run: step, stop rule, rounding; `because` says

A run is *tested* if it is inside the hypotheses and ended with a status that the claim accepts. The rest is counted
and shown: runs outside, runs that ended badly, runs not computed. Verdicts: `supported`, `refuted`, `vacuous` (no run
inside the hypotheses), `unresolved` (too few of them ended as the claim needs).

Where a printed formula has a slip, two claims stand side by side: as printed (`expected="refuted"`) and corrected.

>>> import numpy as np, xarray as xr
>>> data = xr.Dataset({"status": ("scale", [1, 1]), "x": ("scale", [1.0, 1.1])}, {"scale": [0.1, 1.0]})
>>> claim = Claim(id="one", source="doctest", statement="x = 1", residual=lambda d: abs(d.x - 1),
...               tolerance=lambda d: 1e-3, because="it is an example")
>>> verdict = judge(claim, data)
>>> verdict.verdict, verdict.tested, round(verdict.worst), verdict.where
('refuted', 2, 100, {'scale': 1.0})
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import numpy as np

from .._errors import Mistake
from .._lazy import lazy
from .._results import Status
from .kinds import Finding, Identity, Kind

xr = lazy("xarray")

Data = Union["xr.Dataset", "xr.DataTree"]
VERDICTS = ("supported", "refuted", "vacuous", "unresolved")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """What a theorem says of a study's results."""

    id: str
    source: str
    statement: str
    residual: Callable[[Any], xr.DataArray]
    tolerance: Callable[[Any], xr.DataArray | float]
    because: str
    hypotheses: Callable[[Any], Mapping[str, xr.DataArray]] = lambda data: {}
    kind: Kind = Identity()
    accepts: tuple[Status, ...] = (Status.CONVERGED,)
    expected: str = "supported"
    on: str | None = None
    """The grid of a union it speaks of, by name; None where there is one grid."""

    def __post_init__(self):
        if self.expected not in VERDICTS:
            raise Mistake("expected", f"is {self.expected!r}", f"give one of {', '.join(VERDICTS)}")

    def of(self, data: Data) -> xr.Dataset | None:
        """The dataset that the claim speaks of; None where a request left its grid out."""
        if isinstance(data, xr.Dataset):
            return data if self.on in (None, data.attrs.get("grid", self.on)) else None
        if self.on is None:
            raise Mistake("on", f"claim {self.id} must name one of several grids", f"known: {', '.join(data.children)}")
        return data[self.on].to_dataset() if self.on in data.children else None


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A verdict with its evidence."""

    claim: Claim
    verdict: str
    tested: int
    inside: int
    outside: int
    ended_badly: int
    absent: int
    undefined: int
    finding: Finding | None
    outside_by: Mapping[str, int]
    left_out: bool = False
    """The request did not ask for the grid that the claim speaks of."""

    @property
    def worst(self) -> float:
        """Worst residual over tolerance; at most 1 where every tested run passes."""
        return self.finding.worst if self.finding else float("nan")

    @property
    def where(self) -> Mapping[str, Any]:
        return self.finding.where if self.finding else {}

    @property
    def measured(self) -> str:
        return self.finding.measured if self.finding else "no run to test"

    @property
    def as_expected(self) -> bool:
        return self.left_out or self.verdict == self.claim.expected


@dataclasses.dataclass(frozen=True)
class Weighed:
    """What a claim says of each run: arrays with the dims of `status`."""

    slacks: Mapping[str, xr.DataArray]
    residual: xr.DataArray
    tolerance: xr.DataArray
    computed: xr.DataArray
    accepted: xr.DataArray

    @property
    def defined(self) -> xr.DataArray:
        return self.residual.notnull() & self.tolerance.notnull()

    def met(self, but: str | None = None) -> xr.DataArray:
        """Runs that meet every hypothesis, but for one if it is named. A slack that is nan is not met."""
        met = xr.ones_like(self.computed)
        for name, slack in self.slacks.items():
            if name != but:
                met = met & (slack >= 0)
        return met


def weigh(claim: Claim, ds: xr.Dataset) -> Weighed:
    """Slacks, residual and tolerance of a claim, run by run."""
    status = ds["status"]
    return Weighed(
        slacks={name: _on_runs(slack, status, "min") for name, slack in claim.hypotheses(ds).items()},
        residual=_on_runs(claim.residual(ds), status, "max"),
        tolerance=_on_runs(claim.tolerance(ds), status, "min"),
        computed=status != Status.ABSENT,
        accepted=status.isin([int(s) for s in claim.accepts]),
    )


def judge(claim: Claim, data: Data) -> Judgement:
    """Judge one claim on results."""
    ds = claim.of(data)
    if ds is None:
        return Judgement(claim, "vacuous", 0, 0, 0, 0, 0, 0, None, {}, left_out=True)
    runs = weigh(claim, ds)
    met, computed, accepted, defined = runs.met(), runs.computed, runs.accepted, runs.defined
    inside = met & computed
    tested = inside & accepted & defined
    counts = {
        "tested": int(tested.sum()),
        "inside": int(inside.sum()),
        "outside": int((computed & ~met).sum()),
        "ended_badly": int((inside & ~accepted).sum()),
        "absent": int((~computed).sum()),
        "undefined": int((inside & accepted & ~defined).sum()),
        "outside_by": {name: int((computed & ~(slack >= 0)).sum()) for name, slack in runs.slacks.items()},
    }
    if not counts["inside"]:
        return Judgement(claim, "vacuous", finding=None, **counts)
    if not counts["tested"]:
        return Judgement(claim, "unresolved", finding=None, **counts)
    finding = claim.kind.find(runs.residual.where(tested), runs.tolerance.where(tested), tested)
    verdict = finding.verdict
    if verdict == "supported" and counts["undefined"]:
        verdict = "unresolved"  # a claim that says nothing of a run it covers has not been shown to hold there
    return Judgement(claim, verdict, finding=finding, **counts)


def judge_all(claims: Sequence[Claim], data: Data) -> list[Judgement]:
    return [judge(claim, data) for claim in claims]


def _on_runs(value: xr.DataArray | float, status: xr.DataArray, extreme: str) -> xr.DataArray:
    """One number per run: the worst along a trajectory where the claim speaks of every record.

    A nan at some record says that nothing is claimed there; nan at all of them says that of the run.
    """
    value = value if isinstance(value, xr.DataArray) else xr.DataArray(np.asarray(value, dtype=float))
    inner = [d for d in value.dims if d not in status.dims]
    if inner:
        value = getattr(value, extreme)(inner)
    return value.broadcast_like(status).transpose(*status.dims).astype(float)
