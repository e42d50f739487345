r"""Settings: whole requests of a study on which a claim about many runs fails by its kind's own test.

A setting is what `implicit-bias run STUDY name=value ...` asks for. They are proposed from the study's own (`proposed`):
each axis and each number of the cell alone, halved and doubled, a tenth and ten times, at 0 and at 1, a size at another or
just below it, the halves of an axis; then two changes together, those first that brought the claim nearer to its fall.
Numbers vary in one compiled program where the cell lets them.

    look       on some seeds: refuted at 95 %?  Many settings are looked at, so that some are by chance
    confirm    on seeds that no search has seen. The k-th confirmation asks for the confidence 1 - ALARM / (k (k + 1)),
               so that whatever number of settings comes to it, the chance of a false alarm is at most ALARM in all

A claim about single runs is judged in a setting as everywhere: one run beyond its tolerance refutes it, and no chance
is in it. One that reads the runs of several seeds together (a mean within some standard errors) goes to fresh seeds, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .._errors import Mistake
from .._files import RESULTS
from ..catalogue import Entry
from ..evidence.claims import Claim, Judgement, judge, weigh
from ..evidence.intervals import CONFIDENCE, at_confidence
from ..evidence.kinds import Identity, Probability
from ..sweep.ask.document import LAPTOP, command
from ..sweep.ask.grid import Grid, Grids, Labelled
from ..sweep.ask.keywords import defaults
from ..sweep.ask.batch import is_traced, show
from ..sweep.ask.plan import Plan, at_values
from ..sweep.keep.dataset import open_results
from ..sweep.keep.store import Store
from ..sweep.work.execute import Stop, execute
from .clock import Clock
from .needed import Needed
from .proposed import Setting, between, singles, thinned, together
from .recast import Subject, is_seed

ALARM = 0.01
"""The chance that a true claim is refuted by what its seeds drew, over all confirmations of one search."""
LOOK, FRESH = 10_000, 20_000
"""The first seeds of a look, and of a confirmation: far from those that a study was written on."""
LOOKS, CONFIRMS = 10, 24
"""Seeds of each, at least; of a probability, which a seed tells one bit of, four times as many."""
LADDER = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Confidences at which a claim may fall: how near it is to falling where it does not."""


@dataclasses.dataclass(frozen=True)
class Fallen:
    """A setting in which the claim fails on fresh seeds."""

    setting: Setting
    judgement: Judgement
    commands: tuple[str, ...]
    chance: str
    data: Any


# -- running and judging one -------------------------------------------------------------------------------------------


class OutOfTime(Exception):
    pass


class Judge:
    """A study's claim in any setting, on any seeds."""

    def __init__(self, study: Any, claim: Claim, grid: Grid, fixed: Mapping[str, Any], clock: Clock, folder: str):
        self.study, self.claim, self.grid, self.fixed, self.clock = study, claim, grid, dict(fixed), clock
        self.store, self.needed = Store(folder), Needed(claim, study.predict)
        self.keywords = {n: v for n, v in {**defaults(study.cell), **fixed}.items() if n not in grid.axes}
        moving = Subject(study.recipe, grid, self.fixed).moving(()).numbers
        self.moving = [n for n in moving if n not in grid.axes]
        """Numbers of the cell that its program takes, and does not have in it."""
        self._plans: dict[str, Plan] = {}
        self.runs = 0

    @property
    def seeds(self) -> list[str]:
        """The axes along which there are fresh draws: `seed`, and streams of it that have several."""
        return [n for n, v in self.grid.axes.items() if n == "seed" or is_seed(n) and len(v) > 1]

    def seed_by_seed(self, data: Any) -> bool:
        """Whether each seed has a residual of its own, so that one that fails does so whatever the others drew."""
        return {*self.seeds} <= {*getattr(self.claim.residual(data), "dims", ())}

    def data(self, setting: Setting, seeds: Sequence[int]) -> Any:
        """Results as the study's own would be, of the claim's grid alone."""
        axes = {n: (self.keywords[n],) for n in self.moving} | dict(self.grid.axes) | dict(setting.values)
        axes |= dict.fromkeys(self.seeds, tuple(seeds))
        fixed = {**self.fixed, **{n: v[0] for n, v in axes.items() if n not in self.grid.axes and n not in self.moving}}
        axes = {n: v for n, v in axes.items() if n in self.grid.axes or n in self.moving}
        fixed = {n: v for n, v in fixed.items() if n not in axes}
        return self._data(self._plan(axes, fixed))

    def _plan(self, axes: Mapping[str, tuple[Any, ...]], fixed: Mapping[str, Any]) -> Plan:
        """Traced once for all settings that differ in numbers alone."""
        static = {n: v for n, v in axes.items() if not is_traced(n, v)}
        shapes = {n: any(isinstance(x, Labelled) for x in v) for n, v in axes.items()}
        key = repr((sorted(fixed.items(), key=lambda item: item[0]), sorted(static.items()), sorted(shapes.items())))
        if key not in self._plans:
            study = dataclasses.replace(self.study, grids=Grids([Grid(axes)]), sizes={}, claims=(), figures=(), predict={})
            self._plans[key] = study.plan(fixed)
        plan = at_values(self._plans[key], {n: v for n, v in axes.items() if n not in static})
        plan.look_up(self.store)
        return plan

    def _data(self, plan: Plan) -> Any:
        self.store.prepare()
        if plan.missing:
            stop = Stop()
            alarm = threading.Timer(min(max(self.clock.left, 0.1), threading.TIMEOUT_MAX), stop.ask)
            alarm.daemon = True
            alarm.start()
            try:
                outcome = execute(plan, self.store, stop=stop)
            finally:
                alarm.cancel()
            if outcome.failed:
                raise Mistake("cell", next(iter(outcome.failed.values())), "mend the cell")
            if stop.asked:
                raise OutOfTime
            self.runs += plan.missing
        data = open_results(self.store.write_plan(*plan.document()))
        data = data.isel({n: 0 for n in self.moving})  # a keyword with one value is a number of the dataset
        if self.claim.on is not None:
            data.attrs["grid"] = self.claim.on
        return data

    def __call__(self, setting: Setting, seeds: Sequence[int], confidence: float | None = None) -> tuple[Judgement, Any]:
        """With a `confidence`, as a user's own `check` would, with every prediction of the study."""
        data = self.data(setting, seeds)
        data = self.needed(data) if confidence is None else self.study.complete(data)
        with at_confidence(confidence or CONFIDENCE), np.errstate(all="ignore"):
            return judge(self.claim, data), data

    def narrowed(self, data: Any) -> Grid:
        """The grid without the values of its axes at which the claim says nothing, where nothing else reads them."""
        inside = weigh(self.claim, data)
        inside = inside.met() & inside.computed
        verdict, axes = judge(self.claim, data).verdict, dict(self.grid.axes)
        for name in (n for n in inside.dims if n in axes and not is_seed(n)):
            heard = inside.any([d for d in inside.dims if d != name]).values
            if heard.all() or not heard.any():
                continue
            fewer = data.isel({name: np.flatnonzero(heard)})
            try:
                if judge(self.claim, fewer).verdict != verdict:
                    continue
            except Exception:  # the residual reads what the hypotheses leave out
                continue
            data, inside = fewer, inside.isel({name: np.flatnonzero(heard)})
            axes[name] = tuple(v for v, keep in zip(axes[name], heard) if keep)
        return Grid(axes, self.grid.title)

    def nearness(self, data: Any) -> int:
        """How many confidences of the ladder refute it."""
        found = 0
        for level in LADDER:
            with at_confidence(level), np.errstate(all="ignore"):
                if judge(self.claim, data).verdict != "refuted":
                    break
            found += 1
        return found


# -- the search --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Search:
    """Settings looked at, and those that came to a confirmation."""

    judge: Judge
    entry: Entry
    asked: Mapping[str, Any]
    """The user's own words, which are kept."""
    clock: Clock
    rng: np.random.Generator
    most: int
    tell: Callable[[str], None]
    looked: int = 0
    confirmed: int = 0
    verdicts: dict[str, int] = dataclasses.field(default_factory=dict)
    nearest: tuple[int, str] = (-1, "")
    took: dict[bool, float] = dataclasses.field(default_factory=dict)
    """Seconds of the last look: of one that needs a program of its own, and of one that does not."""
    own: Setting = Setting({})
    """The values of the study's axes that are looked at, where they are not all."""

    @property
    def said(self) -> str:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.items())
        near = f"; nearest to falling: {self.nearest[1]}" if self.nearest[0] > 0 else ""
        return f"{self.looked} settings looked at ({verdicts or 'none was judged'}), {self.confirmed} came to fresh seeds{near}"

    def find(self) -> Fallen | None:
        scored: list[tuple[int, Setting]] = []
        self._narrow()
        for setting in self._proposals(scored):
            if self.clock.left < self._price(setting):
                if len(setting.values) < 2:
                    self.clock.skip(str(setting))
                    continue
                break
            if self.looked >= self.most:
                break
            begun = self.clock.spent
            try:
                near = self._look(setting)
            except OutOfTime:
                self.clock.skip(str(setting))
                continue
            finally:
                self.took[setting.moves_only and bool(setting.values)] = self.clock.spent - begun
            if near is None:
                continue
            scored.append((near, setting))
            if near > self.nearest[0]:
                self.nearest = (near, str(setting))
            if near > LADDER.index(0.95):
                try:
                    fallen = self._confirm(setting)
                except OutOfTime:
                    self.clock.skip(f"a confirmation of {setting}")
                    continue
                if fallen is not None:
                    return fallen
        return None

    def _price(self, setting: Setting) -> float:
        """What a look will take at least, by the last of its like: one that will not be done in time is not begun."""
        moves = setting.moves_only and bool(setting.values)
        return 0.7 * self.took.get(moves, 0.0 if self.took else 0.1 * 60 * self.clock.minutes)

    def _narrow(self) -> None:
        """To as few values as the claim can be judged on."""
        judge, whole = self.judge, self.judge.grid
        if self.clock.left < self._price(Setting({})):
            return
        for grid in (thinned(whole, judge.claim.kind.axis, self.asked), whole):
            judge.grid = grid
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                judgement, data = judge(Setting({}), self._seeds(LOOK, LOOKS))
                if judgement.verdict != "vacuous":
                    judge.grid = between(judge.narrowed(data), whole, judge.claim.kind.axis)
                    break
        own = {n: v for n, v in judge.grid.axes.items() if v != whole.axes[n]}
        self.own = Setting({n: v for n, v in own.items() if not is_seed(n)})

    def _proposals(self, scored: list[tuple[int, Setting]]) -> Iterator[Setting]:
        judge = self.judge
        free = {n: v for n, v in judge.grid.axes.items() if n not in self.asked}
        keywords = {n: v for n, v in judge.keywords.items() if n not in self.asked}
        alone = list(singles(free, keywords, judge.claim.kind.axis))
        yield Setting({})
        yield from alone
        pairs = [p for a, b in itertools.combinations(alone, 2) if (p := together(a, b))]
        near = {str(s): score for score, s in scored}
        rank = {id(p): sum(near.get(str(Setting({n: v})), -1) for n, v in p.values.items()) for p in pairs}
        order = self.rng.permutation(len(pairs))
        yield from sorted((pairs[i] for i in order), key=lambda p: (-rank[id(p)], not p.moves_only))

    def _seeds(self, begin: int, least: int) -> range:
        least *= 4 if isinstance(self.judge.claim.kind, Probability) else 1
        own = max((len(self.judge.grid.axes[n]) for n in self.judge.seeds), default=1)
        return range(begin, begin + max(least, min(own, 2 * least)))

    def _look(self, setting: Setting) -> int | None:
        """None where the study has no such setting, or the claim says nothing of it."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                judgement, data = self.judge(setting, self._seeds(LOOK, LOOKS))
                self.looked += 1
                self.verdicts[judgement.verdict] = self.verdicts.get(judgement.verdict, 0) + 1
                if judgement.verdict == "vacuous":
                    return None
                near = self.judge.nearness(data)
        except OutOfTime:
            raise
        except Exception as error:
            if not setting.values and isinstance(error, Mistake):
                raise  # the study itself cannot be run
            return None
        measured = f" ({judgement.measured[:100]})" * (judgement.verdict == "refuted")
        self.tell(f"looked at {setting}: {judgement.verdict}{measured}")
        return near

    def _confirm(self, setting: Setting) -> Fallen | None:
        judge, single = self.judge, isinstance(self.judge.claim.kind, Identity)
        seeds, confidence = self._seeds(LOOK, LOOKS), CONFIDENCE
        if not judge.seeds:
            chance = "none: this study has no axis of seeds"
        elif single and judge.seed_by_seed(judge.needed(judge.data(setting, seeds))):
            chance = "none: a failing run is a failing run"
        else:
            self.confirmed += 1
            level = ALARM / (self.confirmed * (self.confirmed + 1))
            seeds, confidence = self._seeds(FRESH, CONFIRMS), 1 - level
            on = f"on fresh seeds {seeds.start}..{seeds.stop - 1}"
            looked = f"{self.looked} settings looked at, {self.confirmed} on fresh seeds"
            chance = f"at most {level:.2g} in this confirmation, {on}; at most {ALARM:g} in this search ({looked})"
            if single:
                chance = f"that which its own tolerance leaves to what several seeds draw together, {on} ({looked})"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            judgement, data = judge(setting, seeds, confidence)
        if judgement.verdict != "refuted":
            self.tell(f"{setting}: not refuted on fresh seeds ({judgement.verdict})")
            return None
        setting = Setting({**self.own.values, **setting.values})
        words = {n: _text(v) for n, v in {**self.asked, **setting.values}.items()}
        words |= dict.fromkeys(judge.seeds, f"{seeds.start}..{seeds.stop - 1}")
        run = command(self.entry.typed, words, LAPTOP, RESULTS, "refuted")
        return Fallen(setting, judgement, (run, f"implicit-bias check {self.entry.name}@refuted"), chance, data)


def _text(values: Any) -> str:
    """Values as a command takes them, with every digit."""
    several = not isinstance(values, (str, bytes)) and hasattr(values, "__iter__")
    return ",".join(repr(float(v)) if isinstance(v, float) else show(v) for v in (values if several else [values]))


def search_settings(
    entry: Entry, study: Any, claim: Claim, grid: Grid, fixed: Mapping[str, Any], asked: Mapping[str, Any],
    *, clock: Clock, rng: np.random.Generator, most: int, tell: Callable[[str], None],
) -> tuple[Fallen | None, Search]:  # fmt: skip
    """The first setting in which the claim falls and is confirmed to, and what was looked at."""
    with tempfile.TemporaryDirectory() as folder:
        search = Search(Judge(study, claim, grid, fixed, clock, folder), entry, asked, clock, rng, most, tell)
        found = search.find()
        if found is not None:
            found = dataclasses.replace(found, data=found.data.load())
        return found, search
