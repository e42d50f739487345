"""What a command does around a study: set up JAX, run with progress, judge, draw, write the pages."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import catalogue
from ._errors import Mistake, written_bytes
from ._files import FilePath, is_local
from .catalogue import Entry
from .devices import settings as device_settings
from .evidence import report
from .evidence.claims import Data, Judgement, judge_all
from .evidence.figures import Figure, render
from .evidence.page import write_page
from .request import Request
from .sweep.document import plan_of, read_plan
from .sweep.store import Store

if TYPE_CHECKING:
    from .study import Study
    from .sweep.plan import Plan


def start() -> None:
    """Configure the process before JAX makes its first device: threads, precision, dispatch, compile cache."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the bits of an SVD depend on the number of threads
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.update(device_settings(os.environ))
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # a worker waits for its block: no thread between
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "implicit-bias" / "compiled"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home to write to: compile anew each time
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@dataclasses.dataclass(frozen=True)
class Judged:
    """A study's results with their verdicts."""

    study: Any
    folder: FilePath
    data: Data
    judgements: list[Judgement]
    document: Mapping[str, Any]
    runs: int
    computed: int = 0
    not_drawn: list[str] = dataclasses.field(default_factory=list)
    failed: int = 0
    """Tiles that raised three times."""


def judge_folder(name: str, path: FilePath, computed: int = 0) -> Judged:
    """Read a results folder (its newest plan) or a plan file, and judge it by the study's claims of today."""
    from .sweep.dataset import open_results

    study = catalogue.load(catalogue.find(name))
    store, plan = plan_of(path, name)
    data = open_results(plan)
    document = read_plan(plan)
    judgements = _judged(name, study, data)
    runs = sum(node["status"].size for node in _nodes(data))
    return Judged(study, store.folder, data, judgements, document, runs, computed)


def _judged(name: str, study: Any, data: Data) -> list[Judgement]:
    """The verdicts; results that lack what a claim of today reads are a mistake with a remedy."""
    try:
        return judge_all(study.claims, data)
    except Mistake:
        raise
    except Exception as error:
        folder = Path(study.cell.__code__.co_filename).resolve().parent
        what = f"cannot be judged on these results ({catalogue.blame(error, folder)})"
        raise Mistake(
            "claims", what, f"if the study has changed, `implicit-bias run {name}` brings them up to date"
        ) from error


def _nodes(data: Data) -> list:
    return list(data.children.values()) if hasattr(data, "children") else [data]


def make_plan(request: Request, store: Store | None) -> tuple[Study, Plan]:
    """The study of a request, and its plan against a store (or against none)."""
    study = catalogue.load(request.entry)
    ask = functools.partial(study.plan, request.settings, size=request.size, store=store)
    return study, guarded(request.entry, ask)


def run_study(request: Request, again: str | None = None) -> Judged:
    """Plan, compute what is missing, judge."""
    entry, store = request.entry, request.store
    study, plan = make_plan(request, store)
    missing, failed = plan.missing, {}
    if missing and (what := disk_too_small(plan, store)):
        raise Mistake("size", what, LESS)
    store.prepare()
    if missing:
        with progress(entry.name, plan.runs, missing) as tell:
            try:
                act = functools.partial(study.execute, plan, store, tell=tell, found=request.found)
                failed = guarded(entry, act).failed
            except KeyboardInterrupt:
                tell.close()
                plan.look_up(store)
                print(
                    f"interrupted: {plan.runs - plan.missing:,} of {plan.runs:,} runs are kept in {store.folder}; "
                    f"go on with: {again or request.command()}",
                    file=sys.stderr,
                )
                raise SystemExit(130) from None
    else:
        store.write_plan(*plan.document(), **request.found)
        print(f"{entry.name}: all {plan.runs:,} runs are done, nothing to compute", file=sys.stderr)
    say_failed(store, failed)
    return dataclasses.replace(judge_folder(str(entry.path), store.folder, computed=missing), failed=len(failed))


def say_failed(store: Store, failed: Mapping[str, str]) -> None:
    """One line on tiles that raised three times."""
    if failed:
        tile, why = next(iter(failed.items()))
        text = f"{len(failed)} tile{'s' * (len(failed) > 1)} raised three times, for instance {tile}: {why}"
        print(f"{text}; tracebacks are in {store.folder / 'failed'}", file=sys.stderr)


def guarded(entry: Entry, act: Callable[[], Any]) -> Any:
    """Run the user's own code: an exception in it is one line that names its place."""
    try:
        return act()
    except Mistake:
        raise
    except (Exception, SystemExit) as error:
        folder = entry.path.resolve().parent
        raise Mistake("cell", catalogue.blame(error, folder), f"mend {entry.path.name}") from error


def describe_plan(request: Request) -> str:
    """What `run` would do."""
    import jax

    from .sweep.execute import workers_of
    from .sweep.status import rate

    store = request.store
    begun = time.perf_counter()
    _, plan = make_plan(request, store)
    traced = time.perf_counter() - begun
    devices = jax.local_devices()
    device, at_once = devices[0], workers_of(devices[0], devices)
    tiles = list(plan.pending())
    programs = {b.program.identity: b for b in plan.batches}
    pending = {b.program.identity: b for b, _ in tiles}
    blocks = sum(-(-len(runs) // plan.width) for _, runs in tiles)
    size_of = sum(_run_bytes(b) * len(b.missing) for b in plan.batches)
    lines = [
        f"{request.entry.name} ({request.size})",
        f"  runs      {plan.runs:,} asked for, {plan.runs - plan.missing:,} done, {plan.missing:,} to compute",
        f"  blocks    {blocks:,} of {plan.width} lanes, {at_once} at a time on {len(devices)} {device.platform} "
        f"device{'s' * (len(devices) > 1)}",
        f"  tiles     {len(tiles):,} to write, about {written_bytes(size_of)} in {store.folder}",
        f"  programs  {len(programs)}, of which {len(pending)} to compile (traced in {traced:.1f} s; "
        f"about {2.5 * len(pending):.0f} s to compile, less if cached)",
    ]
    speed = rate(store)
    if speed and plan.missing:
        lines.append(f"  speed     {speed / 1e6:.1f} million run-steps a second so far, by the log")
    for b in programs.values():
        words = ", ".join(f"{k}={v}" for k, v in b.statics.items()) or "one program"
        need = f"about {written_bytes(_block_bytes(b))} a block"
        lines.append(f"  {words}: {b.program.traced.rewriting}; {b.program.traced.dynamics_name}; {need}")
    if what := disk_too_small(plan, store):
        lines.append(f"  DOES NOT FIT: {what}")
    return "\n".join(lines)


LESS = "ask for fewer seeds, records, rows or columns, or choose another folder with --out"


def disk_too_small(plan, store: Store) -> str | None:
    """What the tiles of a plan need and the disk does not have."""
    needs = sum(_run_bytes(b) * len(b.missing) for b in plan.batches)
    if not is_local(store.folder):
        return None
    near = next(p for p in (store.folder.resolve(), *store.folder.resolve().parents) if p.is_dir())
    free = shutil.disk_usage(near).free
    return f"needs about {written_bytes(needs)} of disk, {written_bytes(free)} are free" if needs > free else None


def _run_bytes(batch) -> int:
    return sum(o.size * o.dtype.itemsize for o in batch.program.outputs.values()) // batch.program.layout.width


def _block_bytes(batch) -> int:
    """An estimate from shapes: state in and out, lanes, results of the first part."""
    return batch.program.estimated_bytes


# -- progress ----------------------------------------------------------------------------------------------------------


class _Tell:
    def __init__(self, name: str, done: int, missing: int):
        self.name, self.done, self.missing = name, done, missing

    def __call__(self, progress) -> None: ...

    def close(self) -> None: ...


class _Bar(_Tell):
    """A live bar on a terminal."""

    def __init__(self, name: str, done: int, missing: int):
        super().__init__(name, done, missing)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(name, total=done + missing, completed=done, note="compiling")
        self._bar.start()

    def __call__(self, progress) -> None:
        note = f"{progress.runs_done / max(progress.seconds, 1e-9):,.0f} runs/s{_failed(progress)}"
        self._bar.update(self._task, completed=self.done + progress.runs_done, note=note)

    def close(self) -> None:
        self._bar.stop()


class _Lines(_Tell):
    """One line every few seconds, for logs."""

    EVERY = 5.0

    def __init__(self, name: str, done: int, missing: int):
        super().__init__(name, done, missing)
        self._last = 0.0
        print(f"{name}: {missing:,} runs to compute, {done:,} done", file=sys.stderr)

    def __call__(self, progress) -> None:
        over = progress.runs_done == progress.runs_total
        if over or progress.seconds - self._last >= self.EVERY:
            self._last = progress.seconds
            speed = progress.runs_done / max(progress.seconds, 1e-9)
            left = (progress.runs_total - progress.runs_done) / max(speed, 1e-9)
            print(
                f"{self.name}: {self.done + progress.runs_done:,} of {self.done + self.missing:,} runs, "
                f"{speed:,.0f} runs/s{_failed(progress)}"
                + (f", done in {progress.seconds:.1f} s" if over else f", {left:.0f} s left"),
                file=sys.stderr,
            )


def _failed(progress) -> str:
    bad = {k: v for k, v in progress.by_status.items() if k not in ("converged", "capped")}
    return "".join(f", {v:,} {k}" for k, v in sorted(bad.items()))


@contextlib.contextmanager
def progress(name: str, runs: int, missing: int) -> Iterator[_Tell]:
    tell = (_Bar if sys.stderr.isatty() else _Lines)(name, runs - missing, missing)
    try:
        yield tell
    finally:
        tell.close()


# -- pages -------------------------------------------------------------------------------------------------------------


def _drawn(judged: Judged) -> list[tuple[Figure, bytes]]:
    """The study's figures that these results can draw, written as files. The others are named in a warning each."""
    drawn = []
    for figure in judged.study.figures:
        try:
            svg, png = render(figure, judged.data, "svg", "png")
            figure.caption_for(judged.data, judged.judgements)
        except Exception as error:
            judged.not_drawn.append(figure.id)
            text = f"{judged.study.name}: {figure.id} cannot be drawn from these results ({catalogue.blame(error)})"
            warnings.warn(text, stacklevel=2)
            continue
        write_page(judged.folder / "figures" / f"{figure.id}.svg", svg)
        write_page(judged.folder / "figures" / f"{figure.id}.png", png)
        drawn.append((figure, svg))
    return drawn


def write_report(judged: Judged) -> FilePath:
    """The study's page and its figures as files beside it."""
    page = report.study_page(
        name=judged.study.name,
        statement=judged.study.statement,
        data=judged.data,
        judgements=judged.judgements,
        figures=_drawn(judged),
        document=judged.document,
    )
    write_page(judged.folder / "report.html", page)
    return judged.folder / "report.html"


def write_index(out: FilePath, known: Sequence[Judged] = ()) -> FilePath:
    """`index.html` over every study that has results in `out`; those in `known` are not judged again."""
    judged_before = {judged.study.name: judged for judged in known}
    listed = []
    for entry in catalogue.entries():
        folder = out / entry.name
        if not (folder / "plans").is_dir():
            continue
        try:
            judged = judged_before.get(entry.name) or judge_folder(str(entry.path), folder)
        except Mistake as old:
            warnings.warn(f"{entry.name} is left out of the index: {old}", stacklevel=2)
            continue
        drawings = [p for f in judged.study.figures if (p := folder / "figures" / f"{f.id}.svg").is_file()]
        thumbnail = drawings[0].read_text(errors="replace") if drawings else None
        listed.append(
            report.Entry(
                name=entry.name,
                statement=judged.study.statement,
                href=f"{entry.name}/report.html",
                runs=judged.runs,
                judgements=judged.judgements,
                thumbnail=thumbnail,
            )
        )
    write_page(out / "index.html", report.index_page(listed))
    return out / "index.html"
