r"""The search: every kind of law on one quantity, fitted on one part and judged on the other."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import xarray as xr

from .._errors import Mistake
from .._results import Status
from ..evidence.tex import plain
from ..refine.axes import axis_of
from ..refine.search import only
from ..refine.sides import question
from ..sweep.ask.keywords import defaults
from ..sweep.keep.dataset import open_results
from ..sweep.keep.store import Store
from ..sweep.work.execute import Progress
from . import collapse, forms, laws
from .candidate import Candidate, of_collapse, of_form, of_limit, of_power, of_two_powers
from .measured import Measured, measured
from .verdict import Judged, judged

POINTS = {1: 12, 2: 8, 3: 6}
"""Values of an axis, by the number of axes."""
SEEDS = 16
LEAST_SEEDS = 4
DECADES = 30.0
BETTER = 0.5
"""A law of more numbers has to be so much nearer than a power law is."""


@dataclasses.dataclass(frozen=True, repr=False)
class Found:
    """What was looked at, and what became of each candidate, the best that survives first."""

    study: str
    measured: Measured
    judged: Sequence[Judged]
    data: xr.Dataset

    @property
    def survivors(self) -> list[Judged]:
        return sorted((j for j in self.judged if j.survives), key=lambda j: j.score)

    def __repr__(self) -> str:
        return str(self)

    @property
    def best(self) -> Judged | None:
        return next(iter(self.survivors), None)

    def __str__(self) -> str:
        m = self.measured
        over = ", ".join(f"{n} {low:.4g} .. {high:.4g}" for n, (low, high) in m.range.items())
        seeds = f"{int(m.fitted.sum())} seeds fitted, {int((~m.fitted).sum())} kept back"
        points = f"{int(m.inner.sum())} of {len(m.inner)} points fitted" + f"; {m.left_out} without a number" * bool(m.left_out)
        lines = [f"{self.study}: {m.name} (q) over {over}; {seeds}; {points}"]
        for j in self._few(self.survivors):
            lines += [f"  survives      {plain(f'${j.candidate.said}$')}   [{j.candidate.sort}]", *self._numbers(j)]
        for j in self._few(sorted((j for j in self.judged if not j.survives), key=lambda j: j.score)):
            lines += [f"  does not      {plain(f'${j.candidate.said}$')}   [{j.candidate.sort}]", f"      {j.why}"]
        if not m.positive:
            lines.append("  q is not above 0 in every run: only limits are looked for (--above X leaves out numbers up to X)")
        if self.best is None:
            lines.append("  no law is found: nothing held on what was kept back")
        else:
            lines += ["", self.best.python]
        return "\n".join(lines)

    @staticmethod
    def _few(judged: Sequence[Judged]) -> list[Judged]:
        """Of each sort, the nearest two."""
        return [j for i, j in enumerate(judged) if sum(k.candidate.sort == j.candidate.sort for k in judged[:i]) < 2]

    @staticmethod
    def _numbers(j: Judged) -> list[str]:
        shown = [f"{n} {v:.6g} +- {h:.2g}" for n, (v, h) in j.candidate.numbers.items()]
        off = f"off by {j.rms:.2g} (root mean square over points of the mean over seeds that were kept back)"
        return [f"      {', '.join(shown)}"] * bool(shown) + [f"      {off}"]


def looked_for(m: Measured) -> list[Candidate]:
    """All candidates that can be fitted."""
    x, q = m.to_fit()
    found: list[Candidate] = []
    if not (m.x > 0).all():
        axis = m.axes[int((m.x <= 0).any(0).argmax())]
        raise Mistake(axis, "has values that are not positive", "a power of it needs above 0")
    u = np.log(x)
    plainly = np.inf  # how far a power law is off, in q
    if m.positive:
        v = np.log(q)
        power = laws.fit(laws.Power(len(m.axes)), u, v)
        if power is not None:
            found.append(of_power(power, m.axes))
            said = power(u) + np.nanmean(v - power(u))
            plainly = float(np.sqrt(np.mean((np.nanmean(q, axis=0) - np.exp(said)) ** 2)))
        worse = BETTER * (power.rms if power is not None else np.inf)
        for sign in (1, -1):
            two = laws.fit(laws.TwoPowers(len(m.axes), sign), u, v, below=worse)
            if two is not None and _seen(two, u):
                found.append(of_two_powers(two, m.axes))
        for way in _ways(q):
            found += [of_form(f, m) for f in forms.search(x, _whole(q), way)]
        one = collapse.fit(u, v, below=worse)
        if one is not None:
            found.append(of_collapse(one, m))
    for sign in (1, -1):
        limit = laws.fit(laws.Limit(len(m.axes), sign), u, q, free=False, below=BETTER * plainly)
        if limit is None:
            continue
        end, half = abs(limit.values[0]), limit.halves[0]
        if max(half, 1e-9 * m.reach) < end < 10 * np.nanmax(abs(q)):
            found.append(of_limit(limit, m.axes))
    return list({c.said: c for c in reversed(found)}.values())[::-1]  # a number that was rounded may say what another says


def _seen(two: laws.Fit, u: np.ndarray) -> bool:
    """Whether its powers are known, at least of the one that is seen alone: the other may be a correction to it."""
    halves = np.split(two.halves[:-1], 2)
    beyond = two.law.beyond(two.values, u)
    seen = [(beyond < -0.5).sum() > 1, (beyond > 0.5).sum() > 1]
    return any(s and (h < 0.5).all() for s, h in zip(seen, halves)) and bool((two.halves[:-1] < 2).all())


def _whole(q: np.ndarray) -> np.ndarray:
    """Without holes: the curve and the factor of the seed in the place of a lost run."""
    curve, offset = laws.curve_of(np.log(q))
    return np.where(np.isfinite(q), q, np.exp(offset[:, None] + curve))


def _ways(q: np.ndarray) -> list[str]:
    """How seeds may differ: alike if their factors are no further apart than their noise."""
    curve, offset = laws.curve_of(np.log(q))
    noise = np.nanstd(np.log(q) - offset[:, None] - curve)
    alike = offset.std() <= 2 * noise / np.sqrt(q.shape[1]) + 1e-9
    narrow = np.nanmax(q) < DECADES * np.nanmin(q)  # what is added is off by a share of the whole range
    return ["alike"] if alike else ["factor"] + ["added"] * bool(narrow)


Tell = Callable[[int, int], AbstractContextManager[Callable[[Progress], None]]]
"""(runs, of which missing) -> what is told while they are computed."""


def _silent(runs: int, missing: int) -> AbstractContextManager[Callable[[Progress], None]]:
    del runs, missing
    return contextlib.nullcontext(lambda progress: None)


def _results(study: Any, settings: Mapping[str, Any], title: str, size: str, out: Any, tell: Tell) -> xr.Dataset:
    """The runs of one grid, in memory."""
    with contextlib.ExitStack() as stack:
        store = Store(out if out is not None else stack.enter_context(tempfile.TemporaryDirectory()))
        plan = study.plan(settings, store=store, size=size)
        bar = stack.enter_context(tell(plan.runs, plan.missing) if plan.missing else _silent(0, 0))
        failed = study.execute(plan, store, tell=bar).failed
        if failed:
            tile, why = next(iter(failed.items()))
            raise Mistake("cell", f"a tile raised three times: {why}", f"tracebacks are in {store.folder / 'failed'}: {tile}")
        data = study.complete(open_results(store.plans / f"{plan.document()[0]}.json"))
        return (data if isinstance(data, xr.Dataset) else data[title].to_dataset()).load()


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is looked at, with its results."""

    study: str
    quantity: str
    over: Sequence[str]
    accepts: Sequence[Status]
    data: xr.Dataset


def gathered(
    study: Any, quantity: str, over: str | Sequence[str], settings: Mapping[str, Any] | None = None, *, size: str = "laptop",
    accepts: str | Sequence[Status] | None = None, out: Any = None, tell: Tell = _silent,
) -> Asked:  # fmt: skip
    """The runs that a law is looked for in: those that are not in `out` are computed."""
    names, settings = [n.strip() for n in over.split(",")] if isinstance(over, str) else list(over), dict(settings or {})
    if not 1 <= len(names) <= 3 or len(set(names)) != len(names):
        raise Mistake("over", f"names {len(names)} axes", "name one to three different axes: over=alpha,step")
    asked = question(study, quantity, accepts)
    grids, fixed = study.resolve({n: v for n, v in settings.items() if n not in names}, size)
    grid = only(grids, None, quantity)
    known = {**defaults(study.cell), **fixed}
    for name in names:
        settings[name] = _values(name, grid, known, settings.get(name), POINTS[len(names)])
    if "seed" not in settings:
        settings["seed"] = list(range(max(SEEDS, len(grid.axes.get("seed", ())))))
    seeds = settings["seed"] if isinstance(settings["seed"], (list, tuple, range)) else [settings["seed"]]
    if len(seeds) < LEAST_SEEDS:
        how = "give at least four: half of them are kept back"
        raise Mistake("seed", f"has {len(seeds)} value{'s' * (len(seeds) > 1)}", how)
    for name, values in grid.axes.items():
        if name not in names and len(values) > 1 and not name.startswith("seed"):
            how = f"write {name}={getattr(values[0], 'label', values[0])}"
            raise Mistake(name, f"has {len(values)} values, and a law is of one", how)
    return Asked(study.name, quantity, names, asked.accepts, _results(study, settings, grid.title, size, out, tell))


def law_of(asked: Asked, above: float | None = None) -> Found:
    """Every kind of law, fitted and judged."""
    m = measured(asked.data, asked.quantity, asked.over, asked.accepts, above)
    found = looked_for(m)
    kept = asked.data.isel(seed=np.flatnonzero(~m.fitted))
    done = [judged(c, m, kept, asked.study, asked.accepts, max(len(found), 1)) for c in found]
    return Found(asked.study, m, done, kept)


def conjecture(
    study: Any, quantity: str, over: str | Sequence[str], settings: Mapping[str, Any] | None = None,
    *, above: float | None = None, **options: Any,
) -> Found:  # fmt: skip
    """Look for the law of a quantity over one to three axes of a study."""
    return law_of(gathered(study, quantity, over, settings, **options), above)


def _values(name: str, grid: Any, known: Mapping[str, Any], given: Any, count: int) -> list[Any]:
    if isinstance(given, (list, tuple, range, np.ndarray)) and len(given) > 2 and not isinstance(given, str):
        return list(given)
    axis = axis_of(name, grid, known, given)
    return sorted({axis.value(k / (count - 1)) for k in range(count)})
