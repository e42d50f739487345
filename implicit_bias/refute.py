"""`implicit-bias refute CLAIM`: find the claim and its runs, search, shrink, recheck, and say what was found.

What is looked for, and how, is told in `evidence.referee`; how a study's cell takes given arrays in `sweep.recast`; how
a run is done again in more digits in `evidence.recheck`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from . import catalogue
from ._errors import Mistake, nearest
from ._results import Status
from .catalogue import Entry
from .evidence import recheck as again
from .evidence import referee
from .evidence.claims import Claim
from .evidence.counterexample import Counterexample, exact
from .evidence.referee import Family, Found, Region
from .problems.linear import Linear
from .sweep.plan import show
from .sweep.recast import Form, Runs, Subject, form_of

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
        lines = [f"{self.study}: {self.claim.id}", f"  {self.claim.statement}", f"  {self.free}"]
        if self.counterexample is None:
            if self.tested:
                found = f"largest residual/tolerance {self.largest:.3g} ({self.where})"
            else:
                found = "no run was inside its hypotheses and ended as it accepts"
            lines.append(f"  not refuted in {self.runs:,} runs: {found}. This is no proof.")
            if self.recheck:
                lines.append(f"  {self.recheck}")
        else:
            lines += [
                f"  REFUTED after {self.runs:,} runs: residual/tolerance {self.counterexample.times:.3g} ({self.where})",
                f"  {self.recheck}",
                "",
                self.counterexample.python(),
                "",
                self.counterexample.latex(),
                "",
            ]
        if not self.as_expected:
            lines.append(f"  AGAINST EXPECTATION: the study expects {self.claim.expected}")
            if self.counterexample is not None:
                lines.append(f"  What fails is the claim with its tolerance, whose reason is: {self.claim.because}")
        return "\n".join(lines)


# -- which claim -------------------------------------------------------------------------------------------------------


def find_claim(text: str) -> tuple[Entry, Any, Claim]:
    """The study and the claim that `id` or `study:id` names."""
    where, colon, name = text.rpartition(":")
    if colon:
        entry = catalogue.find(where)
        study = catalogue.load(entry)
        known = {c.id: c for c in study.claims}
        if name not in known:
            raise Mistake("claim", f"{entry.name} has no claim {name!r}", nearest(name, known))
        return entry, study, known[name]
    found, known, broken = [], [], None
    for entry in catalogue.entries():
        try:
            study = catalogue.load(entry)
        except Mistake as mistake:  # a file that cannot be read is no obstacle to a claim of another
            broken = broken or mistake
            continue
        known += [c.id for c in study.claims]
        found += [(entry, study, c) for c in study.claims if c.id == text]
    if not found and broken is not None and Path(text).suffix != ".py":
        raise broken if not known else Mistake("claim", f"there is no claim {text!r}", nearest(text, known))
    if not found:
        raise Mistake("claim", f"there is no claim {text!r}", nearest(text, known))
    if len(found) > 1:
        names = " or ".join(f"{e.name}:{text}" for e, _, _ in found)
        raise Mistake("claim", f"{text} is a claim of {len(found)} studies", f"write {names}")
    return found[0]


def subject_of(study: Any, claim: Claim, settings: Mapping[str, Any]) -> Subject:
    """The grid that the claim speaks of."""
    grids, fixed = study.resolve(settings)
    chosen = [g for g in grids if claim.on in (None, g.title)]
    if not chosen:
        raise Mistake(
            "settings", f"leave out the grid {claim.on!r}, of which {claim.id} speaks", "leave its words as they are"
        )
    return Subject(study.recipe, chosen[0], fixed)


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
    return ", ".join([f"{form.rows} x {form.columns}", *said])


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
    referee.askable(claim)
    # a study in float32 is looked at in float64: what fails is then not its rounding
    with dataclasses.replace(study, precision="float64")._precision():
        return _refute(entry, study, claim, settings or {}, budget, np.random.default_rng(seed), tell)


def _refute(entry, study, claim, settings, budget, rng, tell) -> Outcome:
    whole = subject_of(study, claim, settings)
    spent, best, free, doubt = 0, None, "", ""
    sizes = referee.SIZES if _resizable(whole) else referee.SIZES[:1]
    patience = None if Status.CAPPED in claim.accepts else PATIENCE
    for rows, columns in sizes:
        tiny = whole.tiny(rows, columns)
        ranges = {n: (min(v), max(v)) for n, v in whole.numbers.items()}
        candidates = []
        for words in tiny.combinations:
            subject = tiny.only(words)
            form, reason = form_of(subject, rows, columns)
            free = _free(form, ranges, reason)
            family = family_of(whole, words, rng) if form.arrays else None
            runs, region = Runs(subject, form, patience), Region(form, ranges, family)
            found = referee.draw_and_test(claim, runs, region, budget, rng)
            spent += runs.count
            tell(f"{rows} x {columns}{_words(words)}: {runs.count} runs drawn, largest ratio {found.ratio:.3g}")
            if found.ratio > -np.inf:
                candidates.append(_Candidate(subject, runs, region, found))
            if found.ratio >= referee.CLEAR:
                break
        if not candidates:
            continue
        top = max(candidates, key=lambda c: c.found.ratio)
        form = top.runs.form
        before = top.runs.count
        found = referee.climb(claim, top.runs, top.region, top.found, rng)
        if top.runs.count > before:
            tell(f"{rows} x {columns}: climbed to {found.ratio:.3g} in {top.runs.count - before} runs")
        top = dataclasses.replace(top, found=found)
        if found.ratio > 1:
            square = _is_square(top)
            small = referee.shrink(claim, top.runs, top.region, found, square=square)
            top = dataclasses.replace(top, found=small)
            counterexample, doubt = _recheck(entry, claim, top)
            spent += top.runs.count - before
            if counterexample is not None:
                where = _show(form, top.found, top.subject.combinations[0])
                return Outcome(claim, entry.name, counterexample, doubt, small.ratio, where, True, spent, free)
        else:
            spent += top.runs.count - before
        if best is None or top.found.ratio > best.found.ratio:
            best = top
    if best is None:
        return Outcome(claim, entry.name, None, doubt, -np.inf, "", False, spent, free)
    where = _show(best.runs.form, best.found, best.subject.combinations[0])
    return Outcome(claim, entry.name, None, doubt, best.found.ratio, where, True, spent, free)


def _resizable(subject: Subject) -> bool:
    """Whether a greater size is another search: the cell takes a size, or the arrays are given."""
    return bool(subject.sizes(1, 2)) or form_of(subject, 1, 2)[0].arrays


def _words(words: Mapping[str, Any]) -> str:
    return "".join(f", {n}={show(v)}" for n, v in words.items())


def _free(form: Form, ranges: Mapping[str, tuple[float, float]], reason: str) -> str:
    axes = [
        f"{n} in [{low:g}, {high:g}]" if low < high else f"{n} = {low:g}"
        for n, (low, high) in ranges.items()
        if n in form.axes
    ]
    silent = [n for n in ranges if n not in form.axes]
    said = f"searched {', '.join([*axes, 'A, y and the start' if form.arrays else 'seeds'])}"
    if not form.arrays:
        said += f" (arrays as drawn: {reason})"
    return said + (f"; the arrays stand for {', '.join(silent)}" if silent else "")


def _is_square(candidate: _Candidate) -> bool:
    problem = candidate.runs.run(candidate.found.point).problem
    return isinstance(problem, Linear) and problem.of_predictions.__name__ == "square"


# -- the recheck -------------------------------------------------------------------------------------------------------


def motion_of(run: Any, start: Any, clock: Any) -> again.Motion:
    """A run as plain data: numbers as the rationals they were typed as, `start` along its first weights."""
    from .dynamics.descent import Descent
    from .dynamics.flow import Flow
    from .dynamics.schedules import TwoStage
    from .dynamics.stopping import LossBelow

    if not isinstance(run.problem, Linear):
        raise again.NotAvailable(f"problems of the kind {type(run.problem).__name__}")
    law = run.dynamics
    if type(law) not in (Flow, Descent):
        raise again.NotAvailable(f"the law {law.name}")
    if isinstance(law, Descent) and law.law.name != "gradient descent":
        raise again.NotAvailable(f"the rule {law.law.name}")

    def plain(name: str, value: Any) -> Fraction:
        if callable(value):
            raise again.NotAvailable(f"a schedule for {name}")
        return exact(float(value))

    ratio = law.ratio
    if isinstance(ratio, TwoStage):
        ratio = tuple(plain("ratio", v) for v in (ratio.first, ratio.second, ratio.switch))
    else:
        ratio = plain("ratio", ratio)
    if law.stop is not None and not isinstance(law.stop, LossBelow):
        raise again.NotAvailable(f"the stop rule {type(law.stop).__name__}")
    return again.Motion(
        loss=run.problem.of_predictions.__name__,
        weights=type(run.parameterization).__name__,
        law="flow" if isinstance(law, Flow) else "descent",
        A=[[exact(a) for a in row] for row in np.asarray(run.problem.operator, float)],
        y=[exact(v) for v in np.asarray(run.problem.target, float)],
        start=[exact(v) for v in start],
        scale=plain("scale", run.parameterization.scale),
        norm=plain("norm", getattr(run.parameterization, "norm", 1.0)),
        ratio=ratio,
        step=plain("step", law.step) if isinstance(law, Descent) else None,
        stop=None if law.stop is None else plain("stop", law.stop.threshold),
        end=plain("end", law.end),
        clock=[Fraction(float(t)) for t in np.asarray(clock)],
    )


def _recheck(entry: Entry, claim: Claim, top: _Candidate) -> tuple[Counterexample | None, str]:
    """The failure as data, with what was measured in 30 digits where that can be had; None where it does not fail there."""
    runs, point = top.runs, top.found.point
    form, (words,) = runs.form, top.subject.combinations
    values = form.unpack(point)
    run = runs.run(point)
    clock = np.asarray(top.subject.recipe.records(run.dynamics), float)
    data, opens = runs(point[None])
    precision, motion = "float64", None
    start = values["u"] if form.arrays else _direction(runs, run, int(point[-1]))
    try:
        motion = motion_of(run, start, clock)
        done = again.recheck(motion)
        moments = [
            ({n: np.array(w, float) for n, w in m.weights.items()}, (m.perp[0], float(m.perp[1])), m.steps, float(m.time),
             float(m.loss))
            for m in done.moments
        ]  # fmt: skip
        data = runs.measured(point, moments, referee.status_of(done.converged, data))
        judged = referee.score(claim, data, opens)
        if np.isnan(judged.residual[0]):
            raise again.NotAvailable("a claim that reads every step (a fold)")
        precision = f"run rechecked in {done.digits} digits, to {max(done.error, 1e-30):.0e}"
        said = f"rechecked in {done.digits} digits by another scheme (its own error {done.error:.0e}): residual "
        said += f"{judged.residual[0]:.9g}, tolerance {judged.tolerance[0]:.9g}"
        if not judged.ratio[0] > 1:
            return None, f"a run with ratio {top.found.ratio:.3g} was NOT CONFIRMED: {said}"
    except again.NotAvailable as reason:
        judged = referee.score(claim, data, opens)
        said = f"recheck in higher precision is not available for {reason}; the numbers are those of float64"
    ratio = motion.ratio if motion and motion.weights != "Euclidean" else None
    example = Counterexample(
        claim=claim,
        study=entry.name,
        words={n: getattr(v, "label", v) for n, v in words.items()},
        settings={n: v for n, v in top.subject.settings.items() if n not in ("rows", "columns") or not form.arrays},
        axes={n: exact(float(values[n])) for n in form.axes},
        A=[[exact(a) for a in row] for row in np.asarray(getattr(run.problem, "operator", np.zeros((0, 0))), float)],
        y=[exact(v) for v in np.asarray(getattr(run.problem, "target", np.zeros(0)), float)],
        start=[exact(v) for v in start],
        scale=motion.scale if motion else None,
        ratio=ratio,
        seed=None if form.arrays else int(point[-1]),
        residual=float(judged.residual[0]),
        tolerance=float(judged.tolerance[0]),
        slacks={n: float(s[0]) for n, s in judged.slacks.items()},
        precision=precision,
    )
    return example, said


def _direction(runs: Runs, run: Any, seed: int) -> np.ndarray:
    theta = runs.first_weights(run, seed)
    w = np.asarray(theta.w if hasattr(theta, "w") else theta.x, float)
    return w / np.linalg.norm(w)
