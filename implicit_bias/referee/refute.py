"""`implicit-bias refute CLAIM`: its runs, search, shrink, recheck, and say what was found.

What is looked for, and how, is told in `search`; how a study's cell takes given arrays in `recast`; how a run is done
again in more digits in `recheck`. A failure that was found is printed whatever becomes of its recheck.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import catalogue
from .._errors import Mistake, message_of
from .._results import Status
from ..catalogue import Entry
from ..evidence.claims import Claim
from ..evidence.tex import plain
from ..problems.linear import Linear
from ..session import guarded
from ..sweep.ask.plan import show
from . import recheck as again
from .counterexample import Counterexample, exact
from .motion import motion_of
from .recast import Form, Subject, form_of
from .region import Family, Region, is_choice
from .runs import Runs
from .search import CLEAR, Found, askable, climb, draw_and_test, score
from .shrink import shrink

SIZES = ((1, 2), (1, 3), (2, 4))
"""Rows and columns, smallest first; from the second on, what is orthogonal to the rows has a direction."""
PATIENCE = 20_000
"""Steps after which a run counts as not tested, for claims that do not accept one that ends at its cap."""
DRAWS = 24
"""Problems of the study that are looked at for what they have in common."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the referee found, and what it cost."""

    claim: Claim
    study: str
    counterexample: Counterexample | None
    unconfirmed: Counterexample | None
    """The worst failure in float64 that its recheck did not show."""
    recheck: str
    largest: float
    where: str
    tested: bool
    """Whether any run could be tested at all."""
    runs: int
    free: str

    @property
    def as_expected(self) -> bool:
        return (self.counterexample is not None) == (self.claim.expected == "refuted")

    def text(self) -> str:
        lines = [f"{self.study}: {self.claim.id}", f"  {plain(self.claim.statement)}", f"  {self.free}"]
        if self.counterexample is None:
            if self.tested:
                found = f"largest residual/tolerance {self.largest:.3g} ({self.where})"
            else:
                found = "no run was inside its hypotheses and ended as it accepts"
            lines.append(f"  not refuted in {self.runs:,} runs: {found}. This is no proof.")
            if self.unconfirmed is not None:
                lines += [f"  {self.recheck}", "", *self._shown(self.unconfirmed)]
        else:
            lines += [
                f"  REFUTED after {self.runs:,} runs: residual/tolerance {self.counterexample.times:.3g} ({self.where})",
                f"  {self.recheck}",
                "",
                *self._shown(self.counterexample),
            ]
        if not self.as_expected:
            lines.append(f"  AGAINST EXPECTATION: the study expects {self.claim.expected}")
            if self.counterexample is not None:
                lines.append(f"  What fails is the claim with its tolerance, whose reason is: {self.claim.because}")
        return "\n".join(lines)

    @staticmethod
    def _shown(example: Counterexample) -> list[str]:
        return [example.python(), "", example.latex(), ""]


# -- which runs --------------------------------------------------------------------------------------------------------


def subject_of(study: Any, claim: Claim, settings: Mapping[str, Any]) -> Subject:
    """The grid that the claim speaks of."""
    grids, fixed = study.resolve(settings)
    chosen = [g for g in grids if claim.on in (None, g.title)]
    if not chosen:
        raise Mistake(
            "settings", f"leave out the grid {claim.on!r}, of which {claim.id} speaks", "leave its words as they are"
        )
    return Subject(study.recipe, chosen[0], fixed, study.predict)


# -- where to look -----------------------------------------------------------------------------------------------------


def family_of(subject: Subject, combination: Mapping[str, Any], rng: np.random.Generator) -> Family:
    """What the study's own problems, at its own size, have in common."""
    axes = {n: v for n, v in subject.numbers.items()}
    seeds = subject.grid.axes.get("seed", (0,))
    draws, labels = [], False
    seen = set()
    for _ in range(DRAWS):
        seed, numbers = int(rng.choice(seeds)), {n: float(rng.choice(v)) for n, v in axes.items()}
        problem = subject.run(combination, numbers, seed).problem
        labels = problem.separable
        A, y = np.asarray(problem.operator, float), np.asarray(problem.target, float)
        if (A.tobytes(), y.tobytes()) not in seen:
            seen.add((A.tobytes(), y.tobytes()))
            draws.append((A, y))
    return Family.of(draws, labels=bool(labels))


def _show(form: Form, found: Found, words: Mapping[str, Any]) -> str:
    if not len(found.point):
        return "nothing tested"
    values = form.unpack(found.point)
    said = [f"{n}={show(v)}" for n, v in words.items()] + [f"{n}={float(values[n]):.4g}" for n in form.axes]
    if not form.arrays:
        said.append(f"seed={int(found.point[-1])}")
    return ", ".join([*([f"{form.rows} x {form.columns}"] if form.rows else []), *said])


# -- the search --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Candidate:
    subject: Subject
    runs: Runs
    region: Region
    found: Found


def refute(
    entry: Entry,
    study: Any,
    claim: Claim,
    settings: Mapping[str, Any] | None = None,
    *,
    budget: int = 512,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Search sizes from the smallest; shrink and recheck the first failure."""
    askable(claim)
    # a study in float32 is looked at in float64: what fails is then not its rounding
    with dataclasses.replace(study, precision="float64").in_precision():
        try:
            return _Search(entry, claim, budget, np.random.default_rng(seed), tell).refute(study, settings or {})
        except Mistake:
            raise
        except Exception as error:
            folder = entry.path.resolve().parent
            if _through(error, folder):
                raise Mistake("cell", catalogue.blame(error, folder), f"mend {entry.path.name}") from error
            raise Mistake(
                "referee",
                f"stopped on an exception of its own ({_named(error)})",
                f"{entry.path.name} is not at fault: report it, with IMPLICIT_BIAS_TRACEBACK=1 set",
            ) from error


def _through(error: BaseException, folder: Path) -> bool:
    """Whether an exception passed through a file of the study's folder."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).resolve().parent == folder for frame in frames)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(message_of(error).split())[:200]}"


class _Search:
    """One search: what it was asked, and what it has spent."""

    def __init__(
        self, entry: Entry, claim: Claim, budget: int, rng: np.random.Generator, tell: Callable[[str], None]
    ):
        self.entry, self.claim, self.budget, self.rng, self.tell = entry, claim, budget, rng, tell
        self.patience = None if Status.CAPPED in claim.accepts else PATIENCE
        self.spent, self.free, self.doubt = 0, "", ""
        self.best: _Candidate | None = None
        self.unconfirmed: Counterexample | None = None

    def refute(self, study: Any, settings: Mapping[str, Any]) -> Outcome:
        whole = subject_of(study, self.claim, settings)
        sizes = [(r, c, tiny) for r, c in SIZES if (tiny := self.own(lambda: whole.tiny(r, c))) is not None]
        if not sizes:
            sizes = [(*SIZES[0], whole)]
        elif not self.own(lambda: _resizable(whole)):
            sizes = sizes[:1]
        for rows, columns, tiny in sizes:
            top = self.drawn(whole, tiny, rows, columns)
            if top is None:
                continue
            before = top.runs.count
            found = climb(self.claim, top.runs, top.region, top.found, self.rng)
            if top.runs.count > before:
                self.tell(f"{_size(top.runs.form)}climbed to {found.ratio:.3g} in {top.runs.count - before} runs")
            if found.ratio > 1:
                found = shrink(self.claim, top.runs, top.region, found, square=_is_square(top, found))
            top = dataclasses.replace(top, found=found)
            self.spent += top.runs.count - before
            if self.best is None or found.ratio > self.best.found.ratio:
                self.best = top
            if found.ratio > 1:
                example, said, confirmed = done_again(self.entry, self.claim, top)
                if confirmed:
                    return self.outcome(top, example, said)
                if self.unconfirmed is None or example.times > self.unconfirmed.times:
                    self.unconfirmed, self.doubt = example, said
        return self.outcome(self.best, None, self.doubt)

    def own(self, act: Callable[[], Any]) -> Any:
        """What builds the user's cell: an exception in it is the cell's, wherever it comes up."""
        return guarded(self.entry, act)

    def drawn(self, whole: Subject, tiny: Subject, rows: int, columns: int) -> _Candidate | None:
        """Random search at one size, over every choice of words; the best, or None if no run was tested."""
        ranges = {n: (min(v), max(v)) for n, v in whole.numbers.items()}
        choices = {n: sorted(map(float, v)) for n, v in whole.numbers.items() if is_choice(v)}
        candidates = []
        for words in tiny.combinations:
            subject = tiny.only(words)
            form, reason = self.own(lambda: form_of(subject, rows, columns))
            self.free = _free(form, ranges, choices, reason)
            family = self.own(lambda: family_of(whole, words, self.rng)) if form.arrays else None
            runs = self.own(lambda: Runs(subject, form, self.patience))
            region = Region(form, ranges, family, choices=choices)
            found = draw_and_test(self.claim, runs, region, self.budget, self.rng)
            self.spent += runs.count
            at = f"{_size(form)}{_words(words)}".rstrip(": ") or "as drawn"
            self.tell(f"{at}: {runs.count} runs drawn, largest ratio {found.ratio:.3g}")
            if found.ratio > -np.inf:
                candidates.append(_Candidate(subject, runs, region, found))
            if found.ratio >= CLEAR:
                break
        return max(candidates, key=lambda c: c.found.ratio, default=None)

    def outcome(self, top: _Candidate | None, example: Counterexample | None, said: str) -> Outcome:
        where = "" if top is None else _show(top.runs.form, top.found, top.subject.combinations[0])
        ratio = -np.inf if top is None else top.found.ratio
        unconfirmed = None if example is not None else self.unconfirmed
        return Outcome(
            self.claim, self.entry.name, example, unconfirmed, said, ratio, where, top is not None, self.spent, self.free
        )


def _resizable(subject: Subject) -> bool:
    """Whether a greater size is another search: the cell takes a size, or the arrays are given."""
    return bool(subject.sizes(1, 2)) or form_of(subject, 1, 2)[0].arrays


def _words(words: Mapping[str, Any]) -> str:
    return ", ".join(f"{n}={show(v)}" for n, v in words.items())


def _free(
    form: Form, ranges: Mapping[str, tuple[float, float]], choices: Mapping[str, Sequence[float]], reason: str
) -> str:
    axes = [
        f"{n} = {' or '.join(f'{v:g}' for v in choices[n])}"
        if n in choices
        else f"{n} in [{low:g}, {high:g}]"
        if low < high
        else f"{n} = {low:g}"
        for n, (low, high) in ranges.items()
        if n in form.axes
    ]
    silent = [n for n in ranges if n not in form.axes]
    said = f"searched {', '.join([*axes, 'A, y and the start' if form.arrays else 'seeds'])}"
    if not form.arrays:
        said += f" (arrays as drawn: {reason})"
    return said + (f"; the arrays stand for {', '.join(silent)}" if silent else "")


def _size(form: Form) -> str:
    """Of the arrays, where they have one."""
    return f"{form.rows} x {form.columns}: " if form.rows else ""


def _is_square(candidate: _Candidate, found: Found) -> bool:
    problem = candidate.runs.run(found.point).problem
    return isinstance(problem, Linear) and problem.of_predictions.__name__ == "square"


# -- the recheck -------------------------------------------------------------------------------------------------------


def done_again(entry: Entry, claim: Claim, top: _Candidate) -> tuple[Counterexample, str, bool]:
    """The failure as data, what its recheck showed in words, and whether it still fails.

    With the numbers of 30 digits where those can be had, and of float64 where not. Whatever the recheck comes upon, the
    failure that was found is not lost.
    """
    runs, point = top.runs, top.found.point
    run = runs.run(point)
    data, opens = runs(point[None])
    judged, precision, motion = score(claim, data, opens), "float64", None
    confirmed, first = True, f"residual {judged.residual[0]:.9g}, tolerance {judged.tolerance[0]:.9g}"
    try:
        motion = _motion(top, run)
        done = again.recheck(motion)
        measured = score(claim, runs.measured(point, done.moments, status_of(done.converged, data)), opens)
        if np.isnan(measured.residual[0]):
            raise again.NotAvailable("a claim that reads every step (a fold)")
        said = f"rechecked in {done.digits} digits by another scheme (its own error {done.error:.0e}): residual "
        said += f"{measured.residual[0]:.9g}, tolerance {measured.tolerance[0]:.9g}"
        confirmed = bool(measured.ratio[0] > 1)
        if confirmed:
            precision = f"run rechecked in {done.digits} digits, to {max(done.error, 1e-30):.0e}"
            judged = measured
        else:
            precision = "float64, not confirmed in 30 digits"
            said = f"a run with ratio {top.found.ratio:.3g} in float64 ({first}) was NOT CONFIRMED: {said}"
    except again.NotAvailable as reason:
        said = f"recheck in higher precision is not available for {reason}; the numbers are those of float64"
    except Exception as error:  # a defect of the recheck must not cost the failure that was found
        said = f"the recheck stopped on an exception of its own ({_named(error)}); the numbers are those of float64"
    return _example(entry, claim, top, run, motion, judged, precision), said, confirmed


def _motion(top: _Candidate, run: Any) -> again.Motion:
    form, values = top.runs.form, top.runs.form.unpack(top.found.point)
    theta = top.runs.first_weights(run, 0 if form.arrays else int(values["seed"][0]))
    clock = np.asarray(top.subject.recipe.records(run.dynamics), float)
    return motion_of(run, theta, clock, values["u"] if form.arrays else None)


def status_of(converged: bool, data: Any) -> int:
    """A status for a rechecked run: that of the run itself where it ended at its cap."""
    if converged:
        return int(Status.CONVERGED)
    own = int(data["status"].values.ravel()[0])
    return own if own in (Status.ESCAPING, Status.STALLED) else int(Status.CAPPED)


def _example(entry, claim, top: _Candidate, run: Any, motion: again.Motion | None, judged, precision) -> Counterexample:
    form, (words,) = top.runs.form, top.subject.combinations
    values = form.unpack(top.found.point)
    arrays: dict[str, Any] = {"A": None, "y": None, "start": None}
    if motion is not None:
        arrays = dict(A=motion.A, y=motion.y, start=motion.start)
    elif form.arrays:
        A, y, u = (values[n] for n in "Ayu")
        arrays = dict(A=[[exact(a) for a in row] for row in A], y=[*map(exact, y)], start=[*map(exact, u)])
    whole = top.subject.settings
    return Counterexample(
        claim=claim,
        study=entry.name,
        words={n: getattr(v, "label", v) for n, v in words.items()},
        settings={n: v for n, v in whole.items() if n not in ("rows", "columns") or not form.arrays},
        axes={n: exact(float(values[n])) for n in form.axes},
        **arrays,
        scale=motion.scale if motion else None,
        ratio=motion.ratio if motion and motion.weights != "Euclidean" else None,
        seed=None if form.arrays else int(values["seed"][0]),
        residual=float(judged.residual[0]),
        tolerance=float(judged.tolerance[0]),
        slacks={n: float(s[0]) for n, s in judged.slacks.items()},
        precision=precision,
    )
