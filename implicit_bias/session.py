"""What a command does around a study: set up JAX, plan, run what is missing, and have its verdicts, from a file or anew."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import catalogue, memo, sources
from ._errors import Mistake, one_line, written_bytes
from ._files import CannotWrite, FilePath, is_local, read
from ._results import Status
from .catalogue import Entry
from .devices import settings as device_settings
from .evidence import verdicts
from .evidence.claims import Claim, Data, Judgement, judge_all
from .evidence.verdicts import Kept
from .progress import progress
from .request import Request
from .sweep.keep.dataset import read_tile
from .sweep.ask import names
from .sweep.ask.document import read_plan, runs_asked_for
from .sweep.ask.names import plan_of
from .sweep.keep.store import LARGEST_PLAN, Store

if TYPE_CHECKING:
    from .study import Study
    from .sweep.ask.plan import Plan


def caches() -> list[Path]:
    """Where compiled programs are kept, and where matplotlib lists the fonts that it has found: no source of a study."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [cache / "implicit-bias" / "compiled", cache / "matplotlib"]


@functools.cache
def start() -> None:
    """Configure the process before JAX makes its first device: threads, precision, dispatch, compile cache."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the bits of an SVD depend on the number of threads
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.update(device_settings(os.environ))
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # a worker waits for its block: no thread between
    cache = caches()[0]
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home to write to: compile anew each time
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


class Judged:
    """A study's results with their verdicts: read from a file where they are still true, or judged now."""

    def __init__(self, entry: Entry, store: Store, plan: FilePath):
        self.entry, self.store, self.plan = entry, store, plan
        self.document: Mapping[str, Any] = read_plan(plan)
        self._refuse_anothers(self.document.get("file"))
        self.computed = 0
        self.not_drawn: list[str] = []
        self.failed = 0
        """Tiles that raised three times."""
        self.again = False
        """Whether it was judged now."""
        kept = verdicts.read_kept(plan)
        if kept is None or not self._is_true(kept) or not self._is_whole():
            kept, self.again = self._judge(), True
        self.kept = kept

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def statement(self) -> str:
        return self.kept.statement

    @property
    def folder(self) -> FilePath:
        return self.store.folder

    @property
    def judgements(self) -> Sequence[Judgement]:
        return self.kept.judgements

    @property
    def runs(self) -> int:
        return self.kept.runs

    @property
    def notice(self) -> str:
        """One line where the study was edited since these runs were computed."""
        return edit_notice(self.name, self.kept, names.again(self.store, self.plan, self.document))

    @functools.cached_property
    def study(self) -> Study:
        start()
        with sources.listening():
            return catalogue.load(self.entry)

    @functools.cached_property
    def data(self) -> Data:
        from .sweep.keep.dataset import open_results

        return self.study.complete(open_results(self.plan))

    def _refuse_anothers(self, file: str | None) -> None:
        """Two files of one name have one folder: what the other computed is not judged by this one's claims."""
        path = self.entry.path
        if file and Path(file).is_file() and not Path(file).samefile(path) and not catalogue.is_shipped(path.resolve()):
            what = f"{self.folder} holds the results of {file}, not of {path}"
            raise Mistake("study", what, f"`implicit-bias run {path} --out FOLDER` gives it a folder of its own")

    # -- verdicts as files ----------------------------------------------------------------------------------------

    @functools.cached_property
    def _planned(self) -> set[str]:
        return {name for tiles in self.document["tiles"] for name in tiles}

    @functools.cached_property
    def _there(self) -> list[str]:
        return sorted(self._planned & {*self.store.names()})

    def _is_true(self, kept: Kept) -> bool:
        """Whether verdicts were found by today's code on today's plan and tiles, by name."""
        same = kept.study == self.name and kept.plan == content_of(self.plan)
        return same and kept.tiles == sources.together(self._there) and sources.holds(kept.sources, self.entry.path.parent)

    def _is_whole(self) -> bool:
        """Whether the tiles are what their names say; one that is not stops the reader in one line."""
        return all(read_tile(self.store, name) is not None for name in self._there)

    def _judge(self) -> Kept:
        from .since import edited

        study = self.study
        with sources.listening():
            judgements = _judged(str(self.entry.path), study, self.data)
        by_digest = functools.partial(names.replay, self.store, self.plan.stem, self.document)  # true whatever is named
        worst = {j.claim.id: by_digest(j.where) for j in judgements if j.where}
        return Kept(
            plan=content_of(self.plan),
            tiles=sources.together(self._there),
            sources=self._sources(),
            study=self.name,
            statement=study.statement,
            runs=sum(node["status"].size for node in _nodes(self.data)),
            edited=edited(study, self.entry.path, self.document),
            judgements=judgements,
            replays={claim: command for claim, command in worst.items() if command},
        )

    def _sources(self) -> Mapping[str, Any] | None:
        return sources.taken(self.entry.path.parent, [self.folder, *caches()])

    def keep(self, page: Mapping[str, str] | None = None) -> None:
        """Write the verdicts beside the plan, and which page and drawings were made from them."""
        if page is not None:
            self.kept = dataclasses.replace(self.kept, page=page, sources=self._sources())
        verdicts.write(self.kept, self.plan)


def content_of(plan: FilePath) -> str:
    return hashlib.sha256(read(plan, LARGEST_PLAN)).hexdigest()


def judge_folder(name: str, path: FilePath, computed: int = 0) -> Judged:
    """Read what a results folder means, or a plan file, with the verdicts of the study's claims of today."""
    judged = Judged(catalogue.find(name), *plan_of(path, name))
    judged.computed = computed
    if judged.again:
        with contextlib.suppress(CannotWrite):  # results may be read where nothing can be written
            judged.keep()
    if notice := judged.notice:
        print(notice, file=sys.stderr)
    return judged


def edit_notice(name: str, kept: Kept, again: str | None) -> str:
    """One line where a study was edited since its runs were computed; nothing else."""
    if not kept.edited:
        return ""
    brings = f"`{again}`" if again else "`study.run`"
    return f"{name}: edited since these runs were computed: {kept.edited}; they are judged, and {brings} computes today's"


def completed_results(name: str, path: FilePath) -> tuple[str, Data, list[tuple[Claim, str]]]:
    """(study and name, results with what the study predicts, its claims with verdicts) of a results folder or a plan file.

    As measured and without claims, where the study is not there any more.
    """
    from .sweep.keep.dataset import open_results

    store, plan = plan_of(path, name)
    said, document = names.label(store, plan), read_plan(plan)
    told = document["study"] + f"@{said}" * (said != names.LAPTOP)
    try:
        catalogue.load(catalogue.find(name))
    except Mistake:
        return told, open_results(plan), []
    judged = judge_folder(name, plan)
    verdict = {j.claim.id: j.verdict for j in judged.judgements}
    return told, judged.data, [(claim, verdict[claim.id]) for claim in judged.study.claims]


def newest_verdicts(entry: Entry, path: FilePath) -> Kept | None:
    """The verdicts of a plan file, or of what a results folder means, if they are still true; nothing is judged."""
    try:
        store, plan = plan_of(path)
        kept = verdicts.read_kept(plan)
        if not kept or kept.study != entry.name or kept.plan != content_of(plan):
            return None
        asked_for = {name for tiles in read_plan(plan)["tiles"] for name in tiles}
        there = sorted(asked_for & {*store.names()})
    except (Mistake, OSError, ValueError):
        return None
    true = kept.tiles == sources.together(there) and sources.holds(kept.sources, entry.path.parent)
    return kept if true else None


def verdict_line(name: str, path: FilePath) -> str:
    """How a study's verdicts stand, from their file: nothing is judged for it."""
    try:
        kept = newest_verdicts(catalogue.find(name), path)
    except Mistake as gone:
        return f"  verdicts   none: {one_line(gone)}"
    if kept is None:
        return f"  verdicts   not judged since its results or its code changed: `implicit-bias check {one_line(name)}` does"
    against = [j.claim.id for j in kept.judgements if not j.as_expected]
    of = f"; edited since these runs: {kept.edited}" * bool(kept.edited)
    if against:
        return f"  verdicts   {len(against)} of {len(kept.judgements)} against expectation: {one_line(', '.join(against))}{of}"
    return f"  verdicts   {len(kept.judgements)}, all as expected{of}"


def caps_by_design(plan: FilePath) -> bool:
    """Whether claims of a study are about runs that reach their last step, as the verdicts told that were kept last."""
    kept = verdicts.read_kept(plan)
    return kept is not None and any(Status.CAPPED in j.claim.accepts for j in kept.judgements)


def drawn_in(kept: Kept, folder: FilePath) -> bool:
    """Whether a study's page and drawings are there as they were made from these verdicts."""
    if not kept.page or not is_local(folder):
        return False
    return all(sources.digest(str(folder / name)) == digest for name, digest in kept.page.items())


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
            "claims", what, f"mend the claim; if the study has changed, `implicit-bias run {name}` brings them up to date"
        ) from error


def _nodes(data: Data) -> list:
    return list(data.children.values()) if hasattr(data, "children") else [data]


def make_plan(request: Request, store: Store | None) -> tuple[Study, Plan]:
    """The study of a request, and its plan against a store (or against none)."""
    start()
    _ = request.wording  # kept by the request: of the text that is imported next, however long tracing takes
    with sources.listening():
        study = catalogue.load(request.entry)
        ask = functools.partial(study.plan, request.settings, size=request.size, store=store)
        return study, guarded(request.entry, ask)


def run_study(request: Request, again: str | None = None) -> Judged:
    """Plan, compute what is missing, judge."""
    entry, store = request.entry, request.store
    request.refuse_another()
    done = memo.recall(request)
    if done is not None:
        request.give_name(done)
        judged = judge_folder(str(entry.path), done)
        say_done(entry.name, runs_asked_for(judged.document))
        return judged
    study, plan = make_plan(request, store)
    refuse_a_size(request, study)
    missing, failed = plan.missing, {}
    if missing and (what := disk_too_small(plan, store)):
        raise Mistake("size", what, LESS)
    store.prepare()
    file = store.write_plan(*plan.document(), **request.found)
    request.give_name(file)
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
        say_done(entry.name, plan.runs)
    say_failed(store, failed)
    if not failed:
        memo.keep(request, file, [store.folder, *caches()])
    judged = judge_folder(str(entry.path), file, computed=missing)
    judged.failed = len(failed)
    return judged


def refuse_a_size(request: Request, study: Study) -> None:
    """The name of a size is that of the study's own grid."""
    if request.name in (names.LAPTOP, *study.sizes) and request.name != (None if request.words else request.size):
        what = f"{request.name!r} is the study's own grid at that size"
        raise Mistake("as", what, "choose another name, or leave --as and all name=value out")


def known_already(request: Request) -> bool:
    """Whether a request is met, judged and drawn, and nothing has changed since; if so it is said."""
    plan = memo.recall(request)
    kept = plan and newest_verdicts(request.entry, plan)
    if not kept or not drawn_in(kept, request.store.folder):
        return False
    request.give_name(plan)
    say_done(request.entry.name, kept.runs)
    return True


def say_done(name: str, runs: int) -> None:
    print(f"{name}: all {runs:,} runs are done, nothing to compute", file=sys.stderr)


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

    from .sweep.work.execute import workers_of
    from .sweep.keep.status import by_the_log

    store = request.store
    begun = time.perf_counter()
    _, plan = make_plan(request, store)
    traced = time.perf_counter() - begun
    devices = jax.local_devices()
    device, at_once = devices[0], workers_of(devices[0], devices)
    tiles = list(plan.pending())
    programs = {b.program.identity: b for b in plan.batches}
    pending = {b.program.identity: b for b, _ in tiles}
    blocks = sum(1 for b, runs in tiles for _ in b.blocks(runs))
    widths = sorted({b.program.layout.width for b in plan.batches}, reverse=True)
    size_of = sum(_run_bytes(b) * len(b.missing) for b in plan.batches)
    lines = [
        f"{request.entry.name} ({request.size})",
        f"  runs      {plan.runs:,} asked for, {plan.runs - plan.missing:,} done, {plan.missing:,} to compute",
        f"  blocks    {blocks:,} of {' or '.join(map(str, widths))} lane{'s' * (widths != [1])}, {at_once} at a time on {len(devices)} {device.platform} "
        f"device{'s' * (len(devices) > 1)}",
        f"  tiles     {len(tiles):,} to write, about {written_bytes(size_of)} in {store.folder}",
        f"  programs  {len(programs)}, of which {len(pending)} to compile (traced in {traced:.1f} s; "
        f"about {2.5 * len(pending):.0f} s to compile, less if cached)",
    ]
    each = by_the_log(store, "seconds", over="runs")
    if each and plan.missing:
        compiling = 2.5 * len(pending)
        predicted = each * plan.missing / at_once + compiling
        lines.append(f"  seconds   about {predicted:.0f}: {each:.2g} a run by the log, {compiling:.0f} to compile")
    elif plan.missing:
        lines.append("  seconds   no run of this study is in the log yet: `run` says what is left after its first tile")
    speed = by_the_log(store, "steps", over="seconds")
    if speed and plan.missing:
        lines.append(f"  speed     {float(f'{speed / 1e6:.2g}'):,g} million run-steps a second so far, by the log")
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
    layout, outputs = batch.program.layout, batch.program.outputs.values()
    return sum(o.size * o.dtype.itemsize for o in outputs) // (layout.width * layout.places)


def _block_bytes(batch) -> int:
    """An estimate from shapes: state in and out, lanes, results of the first part."""
    return batch.program.estimated_bytes
