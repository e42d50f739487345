r"""A claim is an executable theorem; a verdict is what the machine makes of it.

    hypotheses : dataset -> {name: signed slack}      met where the slack is >= 0
    residual   : dataset -> number per run            what the theorem says is small, or not positive
    tolerance  : dataset -> number per run            from what limits the run: step, stop rule, rounding; `because` says

A run is *tested* if it is inside the hypotheses and ended with a status that the claim accepts. The rest is counted
and shown: runs outside, runs that ended badly, runs not computed. Verdicts: `supported`, `refuted`, `vacuous` (no run
inside the hypotheses), `unresolved` (the runs do not decide, or too few of those inside were tested: see `share`).

A residual that has records is divided by its tolerance at each record; the worst record speaks for the run.

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
from .tex.formula import read
from .kinds import Finding, Identity, Inequality, Kind, Seen, over_tolerance, span
from .losses import distinct, is_short, lost_runs

xr = lazy("xarray")

Data = Union["xr.Dataset", "xr.DataTree"]
VERDICTS = ("supported", "refuted", "vacuous", "unresolved")
SHARE = 0.9
"""Of the runs inside the hypotheses, how many a claim has to test unless it says otherwise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """What a theorem says of a study's results."""

    id: str
    source: str
    statement: str
    """Words, with mathematics between dollars: see `tex`."""
    residual: Callable[[Any], xr.DataArray]
    tolerance: Callable[[Any], xr.DataArray | float] | None = None
    """Asked for where the kind has one in its verdict, and there alone."""
    because: str = ""
    """Why the tolerance is what it is, or what a kind has in its place."""
    bound: Callable[[Any], xr.DataArray | float] | None = None
    """The right side of an `Inequality` whose residual is left - right: the line then says how much of it left reaches."""
    hypotheses: Callable[[Any], Mapping[str, xr.DataArray]] = lambda data: {}
    kind: Kind = Identity()
    accepts: tuple[Status, ...] = (Status.CONVERGED,)
    expected: str = "supported"
    on: str | None = None
    """The grid of a union it speaks of, by name; None where there is one grid."""
    per: str | None = None
    """"seed" of a claim on a summary of all runs of a seed: what it tests, and counts, are seeds. A seed is computed if
    all of its runs are, and accepted if all of them ended as the claim accepts."""
    share: float = SHARE
    """The least share of the runs inside that has to be tested; `lost` says why where it is less than usual."""
    lost: str = ""
    remembered: str = ""
    """What memory alone says beside it: shown, never judged."""

    def __post_init__(self):
        if self.expected not in VERDICTS:
            raise Mistake("expected", f"is {self.expected!r}", f"give one of {', '.join(VERDICTS)}")
        read(self.statement, "statement", f"claim {self.id}: ")
        name = f"claim {self.id}: {self.kind.name}"
        if self.kind.uses_tolerance and self.tolerance is None:
            raise Mistake("tolerance", f"{name} is judged with one, and has none", "give tolerance= and because=")
        if self.kind.uses_tolerance and not self.because:
            raise Mistake("because", f"{name} has a tolerance without a reason", "say what limits the run")
        if not self.kind.uses_tolerance and self.tolerance is not None:
            raise Mistake("tolerance", f"{name} is not judged by one", "leave it out")
        if self.bound is not None and not isinstance(self.kind, Inequality):
            raise Mistake("bound", f"{name} has no right side", "use kind=Inequality(), or leave it out")
        if not 0 < self.share <= 1:
            raise Mistake("share", f"claim {self.id}: is {self.share}", "give a share above 0, and at most 1")
        if self.share < SHARE and not self.lost:
            raise Mistake("lost", f"claim {self.id}: tests less than {SHARE:.0%} of its runs", "say why runs are lost")

    @property
    def ratio_is(self) -> str:
        """What is at most 1 where a run passes."""
        return "left / (right + tolerance)" if self.bound is not None else "residual / tolerance"

    @property
    def reason(self) -> str:
        """How the kind decides, with the reason of its tolerance."""
        said = f"{self.kind.name}; tolerance: {self.because}" if self.tolerance else f"{self.kind.name}; {self.because}"
        return said.removesuffix("; ")

    def of(self, data: Data) -> xr.Dataset | None:
        """The dataset that the claim speaks of; None where a request left its grid out."""
        if isinstance(data, xr.Dataset):
            return data if self.on in (None, data.attrs.get("grid", self.on)) else None
        if self.on is None:
            raise Mistake("on", f"claim {self.id} must name one of several grids", f"known: {', '.join(data.children)}")
        return data[self.on].to_dataset() if self.on in data.children else None


def claims_with(**shared: Any) -> Callable[..., Claim]:
    """A maker of claims that share fields; what a claim says itself wins.

    >>> claim = claims_with(source="Wu et al. 2020", because="rounding", tolerance=lambda ds: 1e-9)
    >>> one = claim(id="one", statement="x = 0", residual=lambda ds: abs(ds.x))
    >>> two = claim(id="two", statement="y = 0", residual=lambda ds: abs(ds.y), source="folklore")
    >>> one.source, two.source, two.because
    ('Wu et al. 2020', 'folklore', 'rounding')
    """
    return lambda **own: Claim(**{**shared, **own})


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
    distinct: int = 0
    """Of the tested runs: a run that was counted again, because it ignores an axis, has the same bits."""
    remarks: tuple[str, ...] = ()
    """What belongs beside the measurement: the tolerance used, runs that were lost and where, what was remembered."""

    @property
    def worst(self) -> float:
        """Worst residual over tolerance; at most 1 where every tested run passes."""
        return self.finding.worst if self.finding else float("nan")

    @property
    def where(self) -> Mapping[str, Any]:
        return self.finding.where if self.finding else {}

    @property
    def measured(self) -> str:
        return "; ".join((self.finding.measured if self.finding else "no run to test", *self.remarks))

    @property
    def as_expected(self) -> bool:
        return self.left_out or self.verdict == self.claim.expected


@dataclasses.dataclass(frozen=True)
class Weighed:
    """What a claim says of each run: arrays with the dims of `status`."""

    slacks: Mapping[str, xr.DataArray]
    residual: xr.DataArray
    tolerance: xr.DataArray
    bound: xr.DataArray | None
    status: xr.DataArray
    computed: xr.DataArray
    accepted: xr.DataArray

    @property
    def defined(self) -> xr.DataArray:
        return self.residual.notnull() & self.tolerance.notnull()

    @property
    def ratio(self) -> xr.DataArray:
        """At most 1 where a run passes: see `Claim.ratio_is`."""
        return over_tolerance(self.residual, self.tolerance, self.bound)

    def met(self, but: str | None = None) -> xr.DataArray:
        """Runs that meet every hypothesis, but for one if it is named. A slack that is nan is not met."""
        met = xr.ones_like(self.computed)
        for name, slack in self.slacks.items():
            if name != but:
                met = met & (slack >= 0)
        return met


def weigh(claim: Claim, ds: xr.Dataset) -> Weighed:
    """Slacks, residual and tolerance of a claim, run by run; of a run with records, at its worst record."""
    status = ds["status"]
    computed, accepted = status != Status.ABSENT, status.isin([int(s) for s in claim.accepts])
    if claim.per is not None:
        others = [d for d in status.dims if d != claim.per]
        computed, accepted = computed.all(others), accepted.all(others)
    said = {"residual": claim.residual(ds), "tolerance": claim.tolerance(ds) if claim.tolerance else 1.0}
    if claim.bound is not None:
        said["bound"] = claim.bound(ds)
    if not claim.kind.signed:
        said["residual"] = abs(_array(said["residual"]))
    at_worst = _at_worst({name: _array(value) for name, value in said.items()}, computed)
    hypotheses = claim.hypotheses(ds)
    for name in hypotheses:
        read(name, "hypotheses", f"claim {claim.id}: ")
    return Weighed(
        slacks={name: _on_runs(slack, computed) for name, slack in hypotheses.items()},
        residual=at_worst["residual"],
        tolerance=at_worst["tolerance"],
        bound=at_worst.get("bound"),
        status=status,
        computed=computed,
        accepted=accepted,
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
    remarks = [f"{claim.remembered} (as remembered; not judged)"] if claim.remembered else []
    if counts["inside"] > counts["tested"]:
        remarks.insert(0, lost_runs(inside, tested, runs.status, accepted))
    if not counts["tested"]:
        return Judgement(claim, "unresolved", finding=None, remarks=tuple(remarks), **counts)
    seen = Seen(
        residual=runs.residual.where(tested),
        tolerance=runs.tolerance.where(tested),
        tested=tested,
        inside=inside,
        bound=None if runs.bound is None else runs.bound.where(tested),
    )
    finding = claim.kind.find(seen)
    verdict = finding.verdict
    if verdict == "supported" and counts["undefined"]:
        verdict = "unresolved"  # a claim that says nothing of a run it covers has not been shown to hold there
    fails_in_a_run = isinstance(claim.kind, Identity) and verdict == "refuted"
    if not fails_in_a_run and (short := is_short(inside, tested, claim.share, claim.kind.axis)):
        verdict = "unresolved"
        remarks.insert(0, short)
    if claim.tolerance is not None:
        remarks.insert(0, f"tolerance {span(seen.tolerance)}")
    different, numbers = distinct(ds, seen)
    if different < counts["tested"]:
        remarks.insert(0, f"{counts['tested']:,} runs are {different:,} distinct")
    if numbers < different:
        remarks.insert(0, f"{numbers:,} distinct number{'s' if numbers > 1 else ''}")
    return Judgement(claim, verdict, finding=finding, distinct=different, remarks=tuple(remarks), **counts)


def judge_all(claims: Sequence[Claim], data: Data) -> list[Judgement]:
    return [judge(claim, data) for claim in claims]


def _array(value: xr.DataArray | float) -> xr.DataArray:
    value = value if isinstance(value, xr.DataArray) else xr.DataArray(np.asarray(value, dtype=float))
    return value.drop_vars("clock", errors="ignore").astype(float)  # its moments are not those of the others


def _on_runs(slack: xr.DataArray | float, runs: xr.DataArray) -> xr.DataArray:
    """One slack per run: the least along a trajectory."""
    slack = _array(slack)
    slack = slack.min([d for d in slack.dims if d not in runs.dims])
    return slack.broadcast_like(runs).transpose(*runs.dims)


def _at_worst(said: Mapping[str, xr.DataArray], runs: xr.DataArray) -> dict[str, xr.DataArray]:
    """Residual, tolerance and bound per run, from the record at which residual over tolerance is greatest.

    A nan at some record says that nothing is claimed there; nan at all of them says that of the run.
    """
    inner = list(dict.fromkeys(d for value in said.values() for d in value.dims if d not in runs.dims))
    if inner:
        spread = dict(zip(said, xr.broadcast(*said.values())))
        spread = {name: value.stack(of_a_run=inner).drop_vars(["of_a_run", *inner]) for name, value in spread.items()}
        ratio = over_tolerance(spread["residual"], spread["tolerance"], spread.get("bound"))
        worst = ratio.fillna(-np.inf).argmax("of_a_run")
        known = ratio.notnull().any("of_a_run")
        said = {name: value.isel(of_a_run=worst).where(known) for name, value in spread.items()}
    return {name: value.broadcast_like(runs).transpose(*runs.dims) for name, value in said.items()}
