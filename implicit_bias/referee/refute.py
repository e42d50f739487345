"""`implicit-bias refute CLAIM`: its runs, search, shrink, recheck, and say what was found.

    a claim about single runs    arrays, start, axes and numbers of the cell for one run (`search`); then settings
    a claim about many           settings (`settings`): a request in which its kind's own test rejects, on fresh seeds

It ends near its time, and says what it did not try. How a study's cell takes given arrays is told in `recast` and
`given`; how a run is done again in more digits in `recheck`. A failure that was found is printed whatever becomes of that.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import catalogue
from .._errors import Mistake
from .._results import Status
from ..catalogue import Entry
from ..evidence.claims import Claim
from ..evidence.kinds import Identity
from ..evidence.tex import plain
from ..problems.linear import Linear
from ..session import guarded
from ..sweep.ask.batch import show
from .clock import Clock
from .confirm import Candidate, done_again, named
from .counterexample import Counterexample
from .given import Free, free_arrays
from .needed import Needed
from .recast import Form, Subject, form_of
from .region import Family, Region, beyond, is_choice
from .runs import Runs
from .search import CLEAR, Found, NotOfOneRun, climb, draw_and_test
from .settings import Fallen, search_settings
from .shrink import shrink

SIZES = ((1, 2), (1, 3), (2, 4))
"""Rows and columns, smallest first; from the second on, what is orthogonal to the rows has a direction."""
PATIENCE = 20_000
"""Steps after which a run counts as not tested, for claims that do not accept one that ends at its cap."""
DRAWS = 24
"""Problems of the study that are looked at for what they have in common."""
SINGLE = 0.65
"""Of the time, what may go into single runs; the rest is for settings."""


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
    fallen: Fallen | None = None
    """A setting in which the claim fails, where that was found."""
    looked: str = ""
    """What was seen of settings."""
    judged: bool = False
    """Whether one of them has runs inside the hypotheses."""
    clock: Clock = dataclasses.field(default_factory=Clock)

    @property
    def found(self) -> bool:
        return self.counterexample is not None or self.fallen is not None

    @property
    def as_expected(self) -> bool:
        return self.found == (self.claim.expected == "refuted")

    def text(self) -> str:
        lines = [f"{self.study}: {self.claim.id}", f"  {plain(self.claim.statement)}"]
        lines += [f"  {self.free}"] if self.free else []
        if self.counterexample is not None:
            lines += [
                f"  REFUTED after {self.runs:,} runs: residual/tolerance {self.counterexample.times:.3g} ({self.where})",
                f"  {self.recheck}",
                "",
                *self._shown(self.counterexample),
            ]
        elif self.fallen is not None:
            lines += self._of_the_setting(self.fallen)
        else:
            lines += self._nothing()
        if not self.as_expected:
            lines.append(f"  AGAINST EXPECTATION: the study expects {self.claim.expected}")
            if self.found and self.claim.because:
                lines.append(f"  What fails is the claim with its tolerance, whose reason is: {self.claim.because}")
        if self.clock.said:
            lines.append(f"  {self.clock.said}")
        return "\n".join(lines)

    def _nothing(self) -> list[str]:
        if self.tested:
            found = f"largest residual/tolerance {self.largest:.3g} ({self.where})"
        elif self.judged:
            found = "no setting refutes it"
        else:
            found = "no run was inside its hypotheses and ended as it accepts" if self.runs else "there was no time for one"
        lines = [f"  not refuted in {self.runs:,} runs: {found}. This is no proof."]
        lines += [f"  {self.looked}"] if self.looked else []
        if self.unconfirmed is not None:
            lines += [f"  {self.recheck}", "", *self._shown(self.unconfirmed)]
        return lines

    def _of_the_setting(self, fallen: Fallen) -> list[str]:
        where = ", ".join(f"{n}={show(v)}" for n, v in fallen.judgement.where.items())
        return [
            f"  REFUTED after {self.runs:,} runs, in a setting of the study: {fallen.setting}",
            f"  {fallen.judgement.claim.kind.name}: {fallen.judgement.measured}" + f" (worst at {where})" * bool(where),
            f"  chance of a false alarm: {fallen.chance}",
            "",
            *(f"  {command}" for command in fallen.commands),
            "",
        ]

    @staticmethod
    def _shown(example: Counterexample) -> list[str]:
        command = [f"  {example.command}", ""] if example.command else []
        return [example.python(), "", example.latex(), "", *command]


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


def _show(form: Form, found: Found, words: Mapping[str, Any], far: Sequence[str]) -> str:
    if not len(found.point):
        return "nothing tested"
    values = form.unpack(found.point)
    said = [f"{n}={show(v)}" for n, v in words.items()] + [f"{n}={float(values[n]):.4g}" for n in form.axes]
    if not form.arrays:
        said.append(f"seed={int(found.point[-1])}")
    said += [f"{n} given" for n, _ in form.parts]
    said += [f"beyond the study's own range of {' and '.join(far)}"] if far else []
    return ", ".join([*([f"{form.rows} x {form.columns}"] if form.rows else []), *said])


# -- the search --------------------------------------------------------------------------------------------------------


def refute(
    entry: Entry,
    study: Any,
    claim: Claim,
    settings: Mapping[str, Any] | None = None,
    *,
    budget: int = 512,
    seed: int = 0,
    minutes: float = 5.0,
    tell: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Search single runs from the smallest size, shrink and recheck the first failure; then, or of many runs, settings."""
    # a study in float32 is looked at in float64: what fails is then not its rounding
    with dataclasses.replace(study, precision="float64").in_precision():
        try:
            search = _Search(entry, claim, budget, np.random.default_rng(seed), tell, Clock(minutes))
            return search.refute(study, settings or {})
        except Mistake:
            raise
        except Exception as error:
            folder = entry.path.resolve().parent
            if _through(error, folder):
                raise Mistake("cell", catalogue.blame(error, folder), f"mend {entry.path.name}") from error
            raise Mistake(
                "referee",
                f"stopped on an exception of its own ({named(error)})",
                f"{entry.path.name} is not at fault: report it, with IMPLICIT_BIAS_TRACEBACK=1 set",
            ) from error


def _through(error: BaseException, folder: Path) -> bool:
    """Whether an exception passed through a file of the study's folder."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).resolve().parent == folder for frame in frames)


class _Search:
    """One search: what it was asked, and what it has spent."""

    def __init__(
        self, entry: Entry, claim: Claim, budget: int, rng: np.random.Generator, tell: Callable[[str], None], clock: Clock
    ):
        self.entry, self.claim, self.budget, self.rng, self.tell = entry, claim, budget, rng, tell
        self.patience = None if Status.CAPPED in claim.accepts else PATIENCE
        self.clock, self.whole = clock, clock
        self.spent, self.free, self.doubt, self.looked, self.judged = 0, "", "", "", False
        self.price = 0.0
        """The least seconds that a program took with its runs."""
        self.best: Candidate | None = None
        self.unconfirmed: Counterexample | None = None
        self.asked: Mapping[str, Any] = {}

    def refute(self, study: Any, settings: Mapping[str, Any]) -> Outcome:
        self.asked = settings
        whole = subject_of(study, self.claim, settings)
        if isinstance(self.claim.kind, Identity) and self.claim.per is None:
            self.clock = Clock(SINGLE * self.whole.minutes, self.whole.begun, self.whole.skipped)
            try:
                if (outcome := self.single(whole)) is not None:
                    return outcome
            except NotOfOneRun as reason:
                self.tell(f"not asked of single runs: {reason}")
            if self.unconfirmed is not None:  # settings are of float64, too, and of nothing that could tell
                return self.outcome(self.best, None, self.doubt)
        return self.in_settings(study, whole)

    def in_settings(self, study: Any, whole: Subject) -> Outcome:
        """Settings, in the time that is left."""
        found, search = search_settings(
            self.entry, study, self.claim, whole.grid, whole.settings, self.asked,
            clock=self.whole, rng=self.rng, most=max(4, self.budget // 8), tell=self.tell,
        )  # fmt: skip
        self.spent += search.judge.runs
        self.looked, self.judged = search.said, bool({*search.verdicts} - {"vacuous"})
        return self.outcome(self.best, None, self.doubt, fallen=found)

    def single(self, whole: Subject) -> Outcome | None:
        """A run that fails, or None; `best` and `unconfirmed` say what came near."""
        tiny = [(r, c, t) for r, c in SIZES if (t := self.own(lambda: whole.tiny(r, c))) is not None]
        if not tiny:
            tiny = [(*SIZES[0], whole)]
        elif tiny[0][2].settings == whole.settings and not self.own(lambda: form_of(whole, *SIZES[0]))[0].arrays:
            tiny = [(*SIZES[0], self.own(lambda: whole.small(self.asked)) or whole)]  # no size that is known by its name
        elif not self.own(lambda: _resizable(whole)):
            tiny = tiny[:1]
        for rows, columns, subject in tiny:
            if (outcome := self.at_a_size(whole, subject, rows, columns)) is not None:
                return outcome
        at_its_own = self.own(lambda: form_of(whole, *SIZES[0]))[0].arrays or any(t is not whole for *_, t in tiny)
        return self.at_a_size(whole, whole, 0, 0, drawn=True) if at_its_own else None

    def at_a_size(self, whole: Subject, subject: Subject, rows: int, columns: int, drawn: bool = False) -> Outcome | None:
        if self.clock.over:
            self.clock.skip(f"{rows} x {columns}" if rows else "the study's own size")
            return None
        top = self.drawn(whole, subject, rows, columns, drawn)
        if top is None:
            return None
        before = top.runs.count
        found = climb(self.claim, top.runs, top.region, top.found, self.rng, self.clock)
        if top.runs.count > before:
            self.tell(f"{_size(top.runs.form)}climbed to {found.ratio:.3g} in {top.runs.count - before} runs")
        if found.ratio > 1:
            short = Clock(min(0.5, max(self.whole.left, 0) / 60))
            found = shrink(self.claim, top.runs, top.region, found, square=_is_square(top, found), clock=short)
        top = dataclasses.replace(top, found=found)
        self.spent += top.runs.count - before
        if self.best is None or found.ratio > self.best.found.ratio:
            self.best = top
        if found.ratio > 1:
            example, said, confirmed = done_again(self.entry, self.claim, top, max(30.0, min(120.0, self.whole.left)))
            if confirmed:
                return self.outcome(top, example, said)
            if self.unconfirmed is None or example.times > self.unconfirmed.times:
                self.unconfirmed, self.doubt = example, said
        return None

    def own(self, act: Callable[[], Any]) -> Any:
        """What builds the user's cell: an exception in it is the cell's, wherever it comes up."""
        return guarded(self.entry, act)

    def drawn(self, whole: Subject, tiny: Subject, rows: int, columns: int, drawn: bool) -> Candidate | None:
        """Structured and random points at one size, over every choice of words; the best, or None if no run was tested."""
        candidates, nothing = [], None
        for words in tiny.combinations:
            if self.clock.left < 0.5 * self.price:
                self.clock.skip(_words(words) or "runs at this size")
                continue
            begun = self.clock.spent
            one = tiny.only(words)
            subject = self.own(lambda: one.moving(self.asked))
            usual = {n: float(one.keywords[n]) for n in subject.numbers if n not in one.numbers}
            ranges = {n: (min(v), max(v)) for n, v in subject.numbers.items()}
            choices = {n: sorted(map(float, v)) for n, v in whole.numbers.items() if is_choice(v)}
            limits = {n: beyond(*r) for n, r in ranges.items() if n not in (*choices, *usual, *self.asked)}
            for form, reason, free in self.forms(whole, subject, words, rows, columns, drawn):
                if self.clock.left < 0.5 * self.price:
                    self.clock.skip("given arrays")
                    continue
                self.free = _free(form, {n: r for n, r in ranges.items() if n not in usual}, choices, reason, usual)
                family = self.own(lambda: family_of(whole, words, self.rng)) if form.arrays else None
                runs = self.own(lambda: Runs(subject, form, self.patience, self.clock))
                runs.complete = Needed(self.claim, subject.predict)
                pool = free.draws if free is not None else ()
                region = Region(form, ranges, family, choices=choices, limits=limits, usual=usual, pool=pool)
                try:
                    budget = self.budget if form.arrays or form.parts else max(1, self.budget // 4)
                    found = draw_and_test(self.claim, runs, region, budget, self.rng, self.clock)
                except Mistake as mistake:
                    if "is nan for every run" not in str(mistake):
                        raise
                    nothing = mistake
                    continue
                self.spent += runs.count
                self.price = min(self.price or np.inf, self.clock.spent - begun)
                at = f"{_size(form)}{_words(words)}".rstrip(": ") or "as drawn"
                self.tell(f"{at}: {runs.count} runs drawn, largest ratio {found.ratio:.3g}")
                if found.ratio > -np.inf:
                    candidates.append(Candidate(subject, runs, region, found))
                if found.ratio > 1:
                    break
            if candidates and candidates[-1].found.ratio >= CLEAR:
                break
        if nothing is not None and not candidates:
            raise nothing
        return max(candidates, key=lambda c: c.found.ratio, default=None)

    def forms(
        self, whole: Subject, subject: Subject, words: Mapping[str, Any], rows: int, columns: int, drawn: bool
    ) -> Iterator[tuple[Form, str, Free | None]]:
        """How points may be laid out: given arrays of any size; or else as drawn, which a command repeats, then with given
        directions."""
        form, reason = (None, "") if drawn else self.own(lambda: form_of(subject, rows, columns))
        if form is not None and form.arrays:
            yield form, reason, None
            return
        size = (0, 0) if form is None else (form.rows, form.columns)
        make = lambda numbers, key: subject.run_with(words, numbers, key)  # noqa: E731
        free = self.own(lambda: free_arrays(make, subject.numbers))
        axes = tuple(subject.numbers)
        yield Form(axes, *size, arrays=False), reason or "the study's own", None
        if free.shapes:
            yield Form(axes, *size, arrays=False, parts=tuple(free.shapes.items())), free.why, free

    def outcome(
        self, top: Candidate | None, example: Counterexample | None, said: str, fallen: Fallen | None = None
    ) -> Outcome:
        far = [] if top is None or not len(top.found.point) else top.region.far(top.found.point)
        where = "" if top is None else _show(top.runs.form, top.found, top.subject.combinations[0], far)
        ratio = -np.inf if top is None else top.found.ratio
        unconfirmed = None if example is not None else self.unconfirmed
        return Outcome(
            self.claim, self.entry.name, example, unconfirmed, said, ratio, where, top is not None, self.spent, self.free,
            fallen, self.looked, self.judged, self.whole,
        )  # fmt: skip


def _resizable(subject: Subject) -> bool:
    """Whether a greater size is another search: the cell takes a size, or the arrays are given."""
    return bool(subject.sizes(1, 2)) or form_of(subject, 1, 2)[0].arrays


def _words(words: Mapping[str, Any]) -> str:
    return ", ".join(f"{n}={show(v)}" for n, v in words.items())


def _free(
    form: Form, ranges: Mapping[str, tuple[float, float]], choices: Mapping[str, Sequence[float]], reason: str,
    usual: Mapping[str, float] = {},
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
    parts = ["A, y and the start"] if form.arrays else [*(n for n, _ in form.parts), "seeds"]
    moved = [n for n in usual if n in form.axes]
    said = f"searched {', '.join([*axes, *moved, *parts])}"
    if not form.arrays:
        said += f" (arrays as drawn: {reason})" if not form.parts else f" ({reason})" * bool(reason)
    return said + (f"; the arrays stand for {', '.join(silent)}" if silent else "")


def _size(form: Form) -> str:
    """Of the arrays, where they have one."""
    return f"{form.rows} x {form.columns}: " if form.rows else ""


def _is_square(candidate: Candidate, found: Found) -> bool:
    problem = candidate.runs.run(found.point).problem
    return isinstance(problem, Linear) and problem.of_predictions.__name__ == "square"
