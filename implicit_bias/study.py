"""A study: a pure function from named scalars to a `Run`, grids of those scalars, and what theory says of the result.

In a notebook, where each of these is shown as what it is (docs/tutorial.ipynb goes through them):

    study.plan(scale=[0.1, 1.0], seed=range(4))              # what would be computed
    ds = study.run(scale=[0.1, 1.0], seed=range(4))          # computed here, kept nowhere
    ds = study.run(scale=[0.1, 1.0], out="results/mine")     # kept, resumed and extended there
    ds.norm.sel(clock=100, method="nearest")                 # xarray: by an axis, by a step or a time
    study.check(ds)                                          # verdicts of its claims
    study.figure("figure-1", ds).save("figure-1.pdf")
    study.replay(scale=0.1, seed=2, every=1)                 # one run again, with every step between
    study.refine("norm>3", over="scale")                     # where an answer changes along an axis
    study.conjecture("norm", over="scale")                   # the law of a quantity along it, as claims
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from ._errors import Mistake, nearest
from .evidence.claims import Claim, Judgement, judge
from .evidence.figures import Figure
from .evidence.predictions import Batched, with_predictions
from .observables.base import definition, has_records
from .notebook import Judgements
from .observables.predictor import loss
from .progress import notebook_bar
from .sweep.ask import grid as grids_
from .sweep.ask import names
from .sweep.keep.dataset import RESERVED, open_results
from .sweep.work.execute import Outcome, Progress, execute
from .sweep.ask.grid import Grids, Labelled
from .sweep.ask.batch import show
from .sweep.ask.plan import Plan, make_plan
from .sweep.program.prepare import Fact, Recipe, Run
from .sweep.ask.records import Records, log_records
from .sweep.keep.store import Store

if TYPE_CHECKING:
    from .picture import Picture

_TAKEN = {*RESERVED, "loss", "coordinates", "record"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """Everything a study file says. Only `cell` and `grids` are needed."""

    cell: Callable[..., Run]
    grids: Grids
    facts: Mapping[str, Fact] = dataclasses.field(default_factory=dict)
    observe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    predict: Mapping[str, Callable[..., Any] | Batched] = dataclasses.field(default_factory=dict)
    """What theory says of each run, of the run's own numbers by name: see `evidence.predictions`."""
    records: Records = dataclasses.field(default_factory=lambda: log_records(20))
    claims: Sequence[Any] = ()
    figures: Sequence[Any] = ()
    sizes: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    precision: str = "float64"
    name: str = "study"
    statement: str = ""

    def __post_init__(self):
        if self.precision not in ("float64", "float32"):
            raise Mistake("precision", f"is {self.precision!r}", "give 'float64' or 'float32'")
        for field, kind in (("claims", Claim), ("figures", Figure)):
            given = getattr(self, field)
            if not isinstance(given, Sequence) or not all(isinstance(one, kind) for one in given):
                raise Mistake(field, f"are no list of ib.{kind.__name__}", f"write {field}=[...]")
        if not all(isinstance(asked, Mapping) for asked in (self.sizes, *self.sizes.values())):
            raise Mistake("sizes", "are no table of settings by name", "write sizes={'paper': dict(seed=range(200))}")
        for name in (*self.observe, *self.facts):
            if name in _TAKEN or not str(name).strip() or str(name).startswith("fact."):
                raise Mistake("observe, facts", f"have one called {name!r}, as results have already", "rename it")
        for name in self.predict:
            if name in {*_TAKEN, *self.observe, *self.facts, *self._keywords} or not str(name).isidentifier():
                raise Mistake("predict", f"has one called {name!r}, which is taken or is no name", "rename it")
        if both := set(self.observe) & set(self.facts):
            raise Mistake("observe, facts", f"both have {sorted(both)[0]!r}", "rename one of them")
        for name in self._keywords:
            if name in {*RESERVED, "loss", "record", *self.observe, *self.facts}:
                raise Mistake(
                    name, "names both a keyword of the cell and a result", "rename the keyword, or the observable or fact"
                )
        for g in self.grids:
            for axis in g.axes:
                if not self._accepts(axis):
                    raise Mistake(axis, "is an axis of a grid but no keyword of the cell", _keywords_remedy(axis, self))
            for axis in (a for a in g.axes if a == "seed" or a.startswith("seed.")):
                for value in g.axes[axis]:
                    _seed(axis, value)
            absent = [n for n, p in self._keywords.items() if p.default is p.empty and n not in g.axes]
            if absent:
                raise Mistake(
                    absent[0],
                    "is needed by the cell and is in no axis of a grid",
                    "add it to the grid, or give it a default",
                )

    # -- what the cell takes --------------------------------------------------------------------------------------

    @property
    def _keywords(self) -> dict[str, inspect.Parameter]:
        return {n: p for n, p in inspect.signature(self.cell).parameters.items() if n != "key"}

    def _accepts(self, name: str) -> bool:
        return name in self._keywords or name == "seed" or name.startswith("seed.")

    def _coerce(self, name: str, given: Any) -> Any:
        """Values of the kind that the study's own values have: 1 for a float axis is 1.0."""
        if isinstance(given, Mapping):
            return given
        several = not isinstance(given, str) and hasattr(given, "__iter__")
        values = list(given) if several else [given]
        own = [v for g in self.grids for v in g.axes.get(name, ())]
        default = getattr(self._keywords.get(name), "default", inspect.Parameter.empty)
        if not own and default is not inspect.Parameter.empty and default is not None:
            own = [default]
        if name == "seed" or name.startswith("seed."):
            values = [_seed(name, v) for v in values]
        elif own and all(isinstance(v, Labelled) for v in own):
            known = {v.label: v for v in own}
            for v in values:
                if v not in known:
                    raise Mistake(name, f"has no value {v!r}", f"known: {', '.join(known)}")
            return {v: known[v].array for v in values}
        elif own and any(isinstance(v, float) for v in own):
            values = [_number(name, v) for v in values]
        elif own and all(isinstance(v, int) and not isinstance(v, bool) for v in own):
            values = [_whole(name, v) for v in values]
        elif own and all(isinstance(v, str) for v in own):
            values = [str(v) for v in values]
        return values

    def resolve(self, settings: Mapping[str, Any], size: str = "laptop") -> tuple[Grids, dict[str, Any]]:
        """The grids and the single-valued settings of the cell that a request amounts to."""
        if size not in ("laptop", *self.sizes):
            raise Mistake("size", f"this study has no size {size!r}", f"known: {', '.join(['laptop', *self.sizes])}")
        grids, fixed = self.grids.titled(), {}
        for asked in (self.sizes.get(size, {}), settings):
            for name, given in asked.items():
                if not self._accepts(name):
                    raise Mistake(name, "is no axis or setting of this study", _keywords_remedy(name, self))
                values = self._coerce(name, given)
                single = not isinstance(values, Mapping) and len(values) == 1
                if single and not any(name in g.axes for g in grids) and not name.startswith("seed"):
                    fixed[name] = values[0]
                else:
                    fixed.pop(name, None)
                    grids = grids_.override(grids, {name: values})
        return grids, fixed

    # -- running --------------------------------------------------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        return Recipe(self.cell, self.facts, {"loss": loss, **self.observe}, self.records)

    @contextlib.contextmanager
    def in_precision(self) -> Iterator[None]:
        with jax.enable_x64(self.precision == "float64"):
            yield

    def plan(
        self,
        asked: Mapping[str, Any] | None = None,
        /,
        *,
        out: str | Path | None = None,
        size: str = "laptop",
        store: Store | None = None,
        width: int | None = None,
        **settings: Any,
    ) -> Plan:
        """What a request amounts to, and what of it is done: shown as a table, and computed by nobody.

            study.plan(seed=range(200))                      # 200 asked for, 200 to compute
            study.plan(seed=range(200), out="results/mine")  # what is done there is not to compute

        The words are those of `run`. Each program is traced for it, so that a mistake in the cell is found before the
        first step, and none is compiled. `store` is an opened folder, in the place of `out`.
        """
        if out is not None:
            store = Store(out)
        grids, fixed = self.resolve({**(asked or {}), **settings}, size)
        observed = self.recipe.observe
        extra = {
            "statement": self.statement,
            "definitions": {n: definition(o) for n, o in {**observed, **self.facts}.items()},
            "folds": sorted(n for n, o in observed.items() if not has_records(o)),
        }
        with self.in_precision():
            return make_plan(self.name, self.recipe, grids, fixed, store, width=width, extra=extra)

    def execute(self, plan: Plan, store: Store, *, found: Mapping[str, Any] | None = None, **options: Any) -> Outcome:
        """Compute what is missing and write the plan file (first, so that an interrupted sweep can be read).

        `found` is kept with the plan: the study's file, and the words of the request.
        """
        store.prepare()
        store.write_plan(*plan.document(), **(found or {}))
        with self.in_precision():
            return execute(plan, store, **options)

    def complete(self, data: Any) -> Any:
        """Results with what theory predicts of them."""
        return with_predictions(data, self.predict)

    def run(
        self,
        asked: Mapping[str, Any] | None = None,
        /,
        *,
        out: str | Path | None = None,
        size: str = "laptop",
        tell: Callable[[Progress], None] | None = None,
        width: int | None = None,
        devices: list | None = None,
        segment: float | None = None,
        as_: str | None = None,
        **settings: Any,
    ):
        """Run a request and return its results: a `Dataset`, or a `DataTree` with one for each grid of a union.

            ds = study.run()                                            # the study's own grid
            ds = study.run(scale=[0.1, 1.0], seed=range(100))           # other values of its axes
            ds = study.run(rows=40, out="results/mine", as_="wide")     # a setting of the cell; kept, under a name

        `settings` are axes and keywords of the cell; one that has the name of an option here goes into a table:
        `study.run({"width": 12})`. With `out` nothing that is there is computed again, and what was computed when it is
        interrupted is kept. `as_` names the result, as `--as` of the command does: `ib.open("FOLDER@NAME")` reads it.

        In a notebook a bar says how far it is; a script hears nothing, unless it gives `tell`, which is called with a
        `Progress` after every tile, in the bar's place.
        """
        settings = {**(asked or {}), **settings}
        with contextlib.ExitStack() as stack:
            folder = out if out is not None else stack.enter_context(tempfile.TemporaryDirectory())
            store = Store(folder)
            plan = self.plan(settings, size=size, store=store, width=width)
            digest, document = plan.document()
            if as_:
                same = ("grids", "keywords")
                names.refuse_another(store, as_, self.name, lambda taken: all(taken[k] == document[k] for k in same))
            told = notebook_bar(self.name, plan.runs, plan.missing) if tell is None else contextlib.nullcontext(tell)
            with told as tell:
                outcome = self.execute(plan, store, tell=tell, devices=devices, segment=segment)
            if outcome.failed:
                tile, why = next(iter(outcome.failed.items()))
                warnings.warn(f"{len(outcome.failed)} tiles failed, for instance {tile}: {why}", stacklevel=2)
            file = store.plans / f"{digest}.json"
            if as_ or not settings:
                names.give(store, as_ or size, file)
            return self.complete(open_results(file))

    def replay(
        self,
        where: Mapping[str, Any] | None = None,
        /,
        *,
        out: str | Path | None = None,
        every: float | None = None,
        keep: Sequence[str] = (),
        observe: Mapping[str, Any] | None = None,
        **settings: Any,
    ):
        """One run again, as xarray: at every so many steps, with what `keep` names and what `observe` adds.

            run = study.replay(scale=0.1, seed=2, every=1, keep=["theta"], out="results/mine")
            run.loss.plot(x="clock", yscale="log")

        With `out`, a results folder of this study, it is held against the run there: `.attrs["replay"]` tells.
        """
        from .replay import in_python

        return in_python(self, {**(where or {}), **settings}, out, every, keep, observe or {})

    def refine(
        self,
        what: str,
        settings: Mapping[str, Any] | None = None,
        /,
        *,
        over: str | Sequence[str],
        to: float | str = 0.01,
        **options: Any,
    ):
        """Where `what` changes side over one or two axes, as xarray: crossings with their intervals, corners, cells.

            study.refine("norm>3", over="scale", to="0.5%")                       # a variable and a level
            study.refine("my-claim", over="scale,ratio", out="results/mine")

        `what` is a variable with a level, "error<1e-3", a claim's id, or "claim:hypothesis". `over="scale,ratio"`, each to
        `to` of its axis. Options: `coarse`, `check`, `check_seed`, `how`, `theory`, `accepts` (docs/how-to/refine.md), `out`,
        `size`; all others are axes and keywords of the cell, with `scale=(0.1, 10, "log")` for one that is searched.
        """
        from .refine.search import from_python

        return from_python(self, what, over, to, dict(settings or {}), options)

    def conjecture(
        self, quantity: str, settings: Mapping[str, Any] | None = None, /, *, over: str | Sequence[str], **options: Any
    ):  # fmt: skip
        """The law of `quantity` over one to three axes, fitted on half of the seeds and judged on the others.

            found = study.conjecture("norm", over="scale,ratio", scale=ib.logspace(1e-3, 1, 9))
            found                        # what survives, and what does not
            found.best.claims            # of the best: claims, and `found.best.python`, their text

        Options: `accepts`, `above` (docs/how-to/conjecture.md), `out`, `size`; all others are axes and keywords of the cell.
        """
        from .conjecture.search import conjecture

        search = {n: options.pop(n) for n in ("accepts", "above", "out", "size") if n in options}
        return conjecture(self, quantity, over, {**(settings or {}), **options}, **search)

    # -- looking --------------------------------------------------------------------------------------------------

    def _read(self, data: Any, out: str | Path | None) -> Any:
        """Results that were given, or are in a folder, with what theory predicts of them today."""
        if (data is None) == (out is None):
            what = "is missing" if data is None else "is given, and so is out"
            raise Mistake("data", what, "give what `run` returned, or out=FOLDER where it was kept")
        given = out if data is None else data
        return self.complete(given if hasattr(given, "data_vars") else open_results(given))

    def check(self, data: Any = None, *, out: str | Path | None = None) -> Judgements:
        """The verdicts of the study's claims, shown as the table that `implicit-bias check` prints.

            verdicts = study.check(ds)                  # of what `run` returned
            verdicts = study.check(out="results/mine")  # of what is kept there: a folder, FOLDER@NAME, or a plan file
            verdicts["my-claim"].verdict                # 'supported'
            assert verdicts.as_expected                 # in a test

        A sequence of judgements, in the order of the claims. They are judged now, by the claims and predictions of
        today, on whatever results are given: no file of verdicts is read or written.
        """
        data = self._read(data, out)
        return Judgements(data.attrs.get("study", self.name), [self._judge(claim, data) for claim in self.claims])

    def _judge(self, claim: Claim, data: Any) -> Judgement:
        try:
            return judge(claim, data)
        except Exception as error:
            error.add_note(f"while the claim {claim.id!r} was judged")
            raise

    def figure(
        self,
        name: str,
        data: Any = None,
        *,
        out: str | Path | None = None,
        style: str | None = None,
        width: str | None = None,
    ) -> Picture:
        """A figure of the study, drawn from results; shown with its caption and the verdicts of its claims below.

            study.figure("figure-1", ds)
            study.figure("figure-1", ds, style="neurips").save("figure-1.pdf")   # 8 pt at the width of a column

        Results are given as to `check`. `style` and `width` are those of `implicit-bias figure`; beside a file that is
        saved stands a table of every point that it shows.
        """
        from .picture import figure_of

        data = self._read(data, out)
        shown = {claim for figure in self.figures if figure.id == name for claim in figure.claims}
        judgements = [self._judge(claim, data) for claim in self.claims if claim.id in shown]
        _, named, result = Path(str(out or "")).name.partition("@")
        return figure_of(self, name, data, judgements, style, width, f"{self.name}@{result}" if named else None)


def _keywords_remedy(name: str, study: Study) -> str:
    return nearest(name, [*study._keywords, "seed"])


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        try:
            return float(value)  # NumPy scalars
        except (TypeError, ValueError):
            raise Mistake(
                name, f"must be a number, got {value!r}", f"write {name}=0.1 or {name}=1e-2..1:24:log"
            ) from None
    return float(value)


def _whole(name: str, value: Any) -> int:
    number = _number(name, value)
    if not number.is_integer():
        raise Mistake(name, f"must be a whole number, got {show(value)}", f"write {name}={round(number)}")
    return int(number)


def _seed(name: str, value: Any) -> int:
    seed = _whole(name, value)
    if not 0 <= seed < 2**53:
        raise Mistake(name, f"must be from 0 to 2^53 - 1, got {seed}", f"write {name}=0..15")
    return seed
