"""What is asked of each point, and the answer: on the side that was asked for, on the other, or no number.

    recovered>0.5    error<1e-3    error=1e-3    gain       a variable of the results against a level (0 if none is given)
    CLAIM                                                   residual over tolerance of each run, against 1
    CLAIM:HYPOTHESIS                                        the slack of a hypothesis, against 0

A point has as many runs as there are seeds. Its side is that of their mean, or of the share of them that is asked for:
`median` is half of them, `worst` all. A run that did not end as accepted, or is outside the hypotheses, is no number; a
point of which less than 0.9 of the runs are numbers has none, and where a share is asked for, one whose lost runs could
turn it. It is never averaged in.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .._errors import Mistake, message_of, nearest, one_line
from .._results import Status
from ..evidence.claims import SHARE, Claim, weigh
from ..evidence.intervals import share as share_of
from ..evidence.intervals import student
from ..evidence.kinds import Identity, Probability
from ..evidence.tex import plain

YES, NO, NONE = 1, -1, 0
POINT = "point"


@dataclasses.dataclass(frozen=True)
class Rule:
    """How the runs of a point make its side: their mean, or at least a share of them."""

    share: float | None = None
    """None: the mean."""

    @classmethod
    def of(cls, word: str) -> Rule:
        """
        >>> Rule.of("mean"), Rule.of("median"), Rule.of("90%")
        (Rule(share=None), Rule(share=0.5), Rule(share=0.9))
        """
        known = {"mean": None, "median": 0.5, "worst": 1.0}
        if word in known:
            return cls(known[word])
        try:
            share = float(word.removesuffix("%")) / 100
        except ValueError:
            share = float("nan")
        if not word.endswith("%") or not 0 < share <= 1:
            raise Mistake("how", f"{word!r} makes no side of several seeds", "write mean, median, worst or a share, 90%")
        return cls(share)

    def middle(self, differences: np.ndarray) -> np.ndarray:
        """[runs, points] -> the number of each point whose sign is its side, nan where nothing is known."""
        known = np.isfinite(differences) | np.isinf(differences)
        count = known.sum(0)
        with np.errstate(invalid="ignore"):
            if self.share is None:
                mean = np.where(known, differences, 0.0).sum(0) / np.maximum(count, 1)
                return np.where(count > 0, mean, np.nan)
        falling = -np.sort(np.where(known, -differences, np.inf), axis=0)  # unknown ones last
        at = np.clip(np.ceil(self.share * count - 1e-9).astype(int) - 1, 0, None)
        return np.where(count > 0, np.take_along_axis(falling, at[None], 0)[0], np.nan)

    def sides(self, differences: np.ndarray, closed: bool) -> np.ndarray:
        """[runs, points] -> side of each point. `closed` counts a difference of 0 as asked for."""
        total, known = len(differences), ~np.isnan(differences)
        count = known.sum(0)
        with np.errstate(invalid="ignore"):
            if self.share is None:
                middle = self.middle(differences)
                yes = middle >= 0 if closed else middle > 0
                lost = (count < SHARE * total) | np.isnan(middle)
                return np.where(lost, NONE, np.where(yes, YES, NO)).astype(np.int8)
            yes = (differences >= 0 if closed else differences > 0).sum(0)
        need = self.share * total - 1e-9
        return np.where(yes >= need, YES, np.where(yes + total - count < need, NO, NONE)).astype(np.int8)

    def undecided(self, differences: np.ndarray, closed: bool) -> np.ndarray:
        """Where the 95 % interval over runs of one point each has both sides (Student's t, or Clopper and Pearson), whatever
        the runs without a number would have been; so it has where too few have one."""
        total, known = len(differences), ~np.isnan(differences)
        count = known.sum(0)
        if self.share is None:
            few = np.maximum(count, 2)
            middle = self.middle(differences)
            with np.errstate(invalid="ignore"):
                square = (np.where(known, differences - middle, 0.0) ** 2).sum(0) / (few - 1)
            times = np.array([student(max(n - 1, 1)) for n in range(total + 1)])
            wide = (count > 1) & (abs(middle) <= times[count] * np.sqrt(square / few))
            return wide | (count < SHARE * total) | np.isnan(middle)
        with np.errstate(invalid="ignore"):
            yes = (differences >= 0 if closed else differences > 0).sum(0)
        pairs = [*zip(yes.tolist(), (yes + total - count).tolist())]
        open_ = {pair: self._open(*pair, total) for pair in {*pairs}}
        return np.array([open_[pair] for pair in pairs], bool)

    def _open(self, least: int, most: int, of: int) -> bool:
        """Whether from `least` to `most` of so many leave it open if the share is reached. All are never seen to be all."""
        share = min(self.share, 1 - 1e-9)
        return of > 0 and share_of(least, of).low <= share <= share_of(most, of).high

    def decides(self, runs: int) -> bool:
        """Whether so many runs can tell both sides apart."""
        return runs > 1 if self.share is None else not (self._open(0, 0, runs) or self._open(runs, runs, runs))

    def why_not(self, runs: int) -> str:
        if runs == 1:
            return "the width of the last halving: one seed tells nothing of others"
        enough = next((n for n in range(runs, 1000) if self.decides(n)), None)
        need = f"at least {enough} are needed" if enough else "no number of seeds shows that all are"
        return f"the width of the last halving: {runs} seeds are too few for an interval of {self}; {need}"

    def __str__(self) -> str:
        return {None: "the mean", 0.5: "the median", 1.0: "every one"}.get(self.share, f"at least {self.share or 0:.0%}")


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of each run, as a number whose sign is the answer."""

    said: str
    yes: str
    no: str
    claim: Claim | None = None
    hypothesis: str | None = None
    variable: str = ""
    level: float = 0.0
    above: bool = True
    closed: bool = False
    accepts: Sequence[Status] = (Status.CONVERGED,)

    @property
    def rule(self) -> Rule:
        """What makes a side of several seeds, unless the user says otherwise: of a claim on a share of the runs, that share."""
        if self.claim is None:
            return Rule()
        level = isinstance(self.claim.kind, Probability) and self.hypothesis is None
        return Rule(self.claim.kind.level if level else 0.5)

    def differences(self, ds: xr.Dataset) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """([runs of a point, points], reason -> which of them are no numbers for it), from results with a `point`."""
        others = [d for d in ds["status"].dims if d != POINT]
        runs = xr.ones_like(ds["status"], dtype=bool)
        status = ds["status"]
        reasons: dict[str, xr.DataArray] = {}
        if self.claim is None:
            found, accepted = self._of_variable(ds), status.isin([int(s) for s in self.accepts])
        else:
            weighed = self._weighed(ds)
            accepted = weighed.accepted
            if self.hypothesis is not None:
                found = {plain(name): slack for name, slack in weighed.slacks.items()}[plain(self.hypothesis)]
            else:
                found = 1 - weighed.ratio
                reasons["outside the hypotheses"] = ~weighed.met()
        found = found.broadcast_like(runs).where(accepted)
        for code in np.unique(status.values):
            if not accepted.where(status == int(code), True).all():
                reasons[Status(int(code)).label] = (status == int(code)) & ~accepted
        for reason in reasons.values():
            found = found.where(~reason)
        reasons["undefined"] = found.isnull()

        def flat(array: xr.DataArray) -> np.ndarray:
            return array.broadcast_like(runs).transpose(*others, POINT).values.reshape(-1, ds.sizes[POINT])

        left, counted = np.ones(flat(found).shape, bool), {}
        for reason, lost in reasons.items():  # the first of them is why
            counted[reason] = flat(lost).astype(bool) & left
            left &= ~counted[reason]
        return flat(found).astype(float), counted

    def _of_variable(self, ds: xr.Dataset) -> xr.DataArray:
        value = self.number(ds, self.variable)
        return value - self.level if self.above else self.level - value

    def shown(self, difference: np.ndarray) -> np.ndarray:
        """The number that was asked about: the variable, residual over tolerance, or a slack."""
        if self.claim is not None:
            return difference if self.hypothesis is not None else 1 - difference
        return self.level + difference if self.above else self.level - difference

    @staticmethod
    def number(ds: xr.Dataset, name: str) -> xr.DataArray:
        """A variable with one number a run, at the last record."""
        if name not in ds.data_vars:
            raise Mistake("WHAT", f"results have no {name!r}", nearest(name, numbers_of(ds)))
        found = ds[name].isel(record=-1) if "record" in ds[name].dims else ds[name]
        if not {*found.dims} <= {*ds["status"].dims}:
            what = f"{name!r} has {found.size // ds['status'].size or found.size} numbers a run"
            raise Mistake("WHAT", what, nearest(name, numbers_of(ds)))
        return found.astype(float)

    def _weighed(self, ds: xr.Dataset) -> Any:
        try:
            weighed = weigh(self.claim, ds)
            if POINT not in weighed.computed.dims:
                raise ValueError("it is one number of all runs")
        except Mistake:
            raise
        except Exception as error:
            what = f"{self.claim.id} cannot be asked of each point alone ({one_line(message_of(error), most=120)})"
            raise Mistake("claim", what, "refine over axes that it does not compare runs along") from error
        names = [plain(name) for name in weighed.slacks]  # as a terminal shows them, and as they are typed
        if self.hypothesis is not None and plain(self.hypothesis) not in names:
            known = nearest(plain(self.hypothesis), names)
            raise Mistake("claim", f"{self.claim.id} has no hypothesis {self.hypothesis!r}", known)
        return weighed

    def alone(self, ds: xr.Dataset) -> None:
        """Of some points, the answer without the others is the answer among them; a mistake else."""
        among, _ = self.differences(ds)
        for k in {0, ds.sizes[POINT] // 2, ds.sizes[POINT] - 1}:
            single, _ = self.differences(ds.isel({POINT: [k]}))
            if not np.allclose(single[:, 0], among[:, k], rtol=1e-6, atol=1e-12, equal_nan=True):
                what = f"{self.said} is another at a point alone than among others: it compares runs with one another"
                raise Mistake("WHAT", what, "ask for what one run can tell")


def numbers_of(ds: xr.Dataset) -> list[str]:
    """Variables with one number a run."""
    inside = {*ds["status"].dims, "record"}
    return [str(n) for n in ds.data_vars if {*ds[n].dims} <= inside and n not in ("status", "clock")]


_LEVEL = re.compile(r"(?P<name>.+?)\s*(?P<sign><=|>=|<|>|=)\s*(?P<level>.+)")


def question(study: Any, text: str, accepts: str | Sequence[Status] | None = None) -> Question:
    """What the words mean, as far as the study tells before a run."""
    claims = {claim.id: claim for claim in study.claims}
    head, colon, hypothesis = text.partition(":")
    if text in claims or (colon and head in claims):
        claim = claims[text if text in claims else head]
        if not isinstance(claim.kind, (Identity, Probability)) or claim.per is not None:
            kind = f"a summary of a {claim.per}" if claim.per else f"its kind is {claim.kind.name}"
            what = f"{claim.id} is about many runs together ({kind}), so that no run has a side"
            raise Mistake("claim", what, "take an identity, an inequality, or a variable with a level: error<1e-3")
        if accepts is not None:
            raise Mistake("accepts", f"{claim.id} says itself which ends of a run it accepts", "leave --accepts out")
        if colon and text not in claims:
            return Question(text, f"{text} is met", f"{text} is not met", claim, hypothesis, closed=True)
        return Question(text, f"{text} holds", f"{text} fails", claim, closed=True)
    found = _LEVEL.fullmatch(text)
    name, sign, word = (found["name"], found["sign"], found["level"]) if found else (text, ">", "0")
    try:
        level = float(word)
    except ValueError:
        raise Mistake("WHAT", f"{word!r} is no number for {name}", f"write '{name}{sign}0.5'") from None
    known = ["loss", "steps", "time", *study.observe, *study.facts, *study.predict]
    if not any(name == k or name.startswith((f"{k}.", f"{k}_")) for k in known):
        raise Mistake("WHAT", f"the study has no variable and no claim {name!r}", nearest(name, [*known, *claims]))
    above, closed = not sign.startswith("<"), sign in ("<=", ">=")
    opposite = {">": "<=", "<": ">=", "=": "<=", ">=": "<", "<=": ">"}[sign]
    shown = ">" if sign == "=" else sign
    return Question(
        text, f"{name} {shown} {level:g}", f"{name} {opposite} {level:g}",
        variable=name, level=level, above=above, closed=closed, accepts=_accepted(study, accepts),
    )  # fmt: skip


def _accepted(study: Any, given: str | Sequence[Status] | None) -> tuple[Status, ...]:
    """Which ends of a run are numbers: those named, or those that some claim of the study accepts."""
    if given is None:
        return tuple(sorted({Status.CONVERGED, *(s for claim in study.claims for s in claim.accepts)}))
    words = given.split(",") if isinstance(given, str) else [getattr(s, "label", s) for s in given]
    known = {s.label: s for s in Status if s > Status.RUNNING}
    for word in words:
        if word not in known:
            raise Mistake("accepts", f"{word!r} is no end of a run", nearest(str(word), known))
    return tuple(known[word] for word in words)


def said_of(counts: Mapping[str, int]) -> str:
    """Reasons with their numbers, the most frequent first."""
    return ", ".join(f"{n:,} {reason}" for reason, n in Counter(counts).most_common() if n)
