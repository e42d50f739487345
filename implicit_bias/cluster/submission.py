"""The commands `submit` and `cancel`: from a study to workers of it, and back.

The plan is made here and now, so that a mistake in the study is said before anything waits in a queue. A submission
asks for workers of what is missing; with nothing missing there is none.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._errors import Mistake
from .._files import RESULTS, FilePath, is_local, place
from ..request import Request
from ..sweep.ask.document import LAPTOP
from . import pods, sbatch, scheduler

if TYPE_CHECKING:
    from ..sweep.ask.plan import Plan

_ONLY_FOR = {
    "slurm": ["slurm"],
    "dry_run": ["slurm"],
    "image": ["kubernetes"],
    "claim": ["kubernetes"],
    "at_once": ["slurm", "kubernetes"],
}


def submit(arguments: argparse.Namespace, request: Request) -> None:
    """Submit workers to SLURM, or print the text for another engine."""
    site = sbatch.parse_site(arguments.slurm)
    _check(arguments)
    from ..session import make_plan, refuse_a_size, start

    request.refuse_another()
    start()
    study, plan = make_plan(request, request.store)
    refuse_a_size(request, study)
    digest, document = plan.document()
    file = request.store.plans / f"{digest}.json"
    asked_before = file.is_file()
    if (plan.missing or request.name) and not arguments.dry_run:
        _write(request, plan, digest, document)
    path = str(file.absolute() if is_local(file) else file)
    tiles, name = sum(1 for _ in plan.pending()), request.entry.name
    if not tiles:
        print(f"{name}: all {plan.runs:,} runs are done, nothing to submit", file=sys.stderr)
    elif arguments.engine == "kubernetes":
        print(_manifest(arguments, name, path, tiles), end="")
    elif arguments.engine == "tpu-pod":
        print(pods.tpu_pod_line(name=arguments.name, plan=path, folder=os.getcwd(), workers=arguments.workers))
    else:
        try:
            _to_slurm(arguments, request, site, path, tiles, plan.missing)
        except scheduler.Refused:
            if not asked_before:  # a plan that nothing works on would be shown as a result
                file.unlink()
            raise
    if file.is_file() and not arguments.dry_run:
        request.give_name(file)


def _write(request: Request, plan: Plan, digest: str, document: Mapping[str, Any]) -> None:
    """The plan file, from which workers do the request again."""
    from ..session import LESS, disk_too_small

    if what := disk_too_small(plan, request.store):
        raise Mistake("size", what, LESS)
    request.store.prepare()
    request.store.write_plan(digest, document, **request.found)


def _check(arguments: argparse.Namespace) -> None:
    engine = arguments.engine
    for name in ("workers", "at_once"):
        if (given := getattr(arguments, name)) is not None and given < 1:
            field = name.replace("_", "-")
            raise Mistake(field, f"must be at least 1, got {given}", f"write --{field} 8")
    for name, engines in _ONLY_FOR.items():
        if getattr(arguments, name) and engine not in engines:
            raise Mistake(name.replace("_", "-"), f"says nothing to --for {engine}", "leave it out")
    if engine == "kubernetes":
        if not arguments.image:
            raise Mistake("image", "is needed for Kubernetes", "give --image with implicit-bias in it")
        if not arguments.claim and is_local(place(arguments.out)):
            raise Mistake(
                "claim", "is needed where results are files", "give --claim, the volume claim that holds them"
            )
    if engine == "tpu-pod" and not (arguments.name and arguments.workers):
        raise Mistake("name", "a TPU pod is known by its name and number of hosts", "give --name and --workers")


def _manifest(arguments: argparse.Namespace, name: str, path: str, tiles: int) -> str:
    return pods.kubernetes_manifest(
        name=arguments.name or name,
        image=arguments.image,
        plan=f"{pods.MOUNT}/{name}/plans/{path.rpartition('/')[2]}" if arguments.claim else path,
        workers=arguments.workers or min(tiles, sbatch.WORKERS),
        at_once=arguments.at_once,
        claim=arguments.claim,
    )


def _to_slurm(
    arguments: argparse.Namespace, request: Request, site: sbatch.Site, path: str, tiles: int, missing: int
) -> None:
    tasks, note = sbatch.packing(tiles, arguments.workers, site, scheduler.max_array_size())
    if note:
        print(f"note: {note}", file=sys.stderr)
    name, results = request.entry.name, request.store.folder
    jobs, again = scheduler.jobs_folder(results), _again(arguments, request)
    script = sbatch.slurm_script(
        name=arguments.name or name,
        plan=path,
        logs=str(jobs.absolute()),
        folder=os.getcwd(),
        array=tasks,
        at_once=arguments.at_once,
        site=site,
        written_by=again,
    )
    if arguments.dry_run:
        print(script, end="")
        return
    for line in scheduler.queue_lines(results):
        print(f"note: already in the queue, and the same tiles may be computed twice: {line}", file=sys.stderr)
    job = scheduler.submit(script, jobs, plan=path, tasks=tasks, again=again)
    workers = tasks * sbatch.tasks_of(site)
    said = request.label or path.rpartition("/")[2].removesuffix(".json")[:9]
    target = arguments.study if said == LAPTOP else f"{arguments.study}@{said}"
    words = [target, *(["--out", arguments.out] if arguments.out != RESULTS else [])]
    work = f"{missing:,} runs of {name} in {tiles:,} tile{'s' * (tiles > 1)}"
    print(f"job {job.id}: {workers:,} worker{'s' * (workers > 1)} for {work}; logs in {jobs}")
    print(f"  how it stands  {shlex.join(['implicit-bias', 'status', *words])}")
    print(f"  to cancel it   {shlex.join(['implicit-bias', 'cancel', *words])}")


def _again(arguments: argparse.Namespace, request: Request) -> str:
    """The same submission as one line of shell."""
    words: list[str] = []
    for name in ("workers", "at_once", "name"):
        if (given := getattr(arguments, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(given)]
    if arguments.slurm:
        words += ["--slurm", *arguments.slurm]
    return " ".join(filter(None, [request.command("submit"), shlex.join(words)]))


def cancel(named: Sequence[FilePath] | None, out: FilePath) -> None:
    """Cancel what is queued for the named results, or for all in `out`; say what was cancelled and how to go on."""
    folders = scheduler.with_jobs(out) if named is None else [_results(path) for path in named]
    cancelled = [one for folder in dict.fromkeys(folders) for one in scheduler.cancel(folder)]
    for one in cancelled:
        print(f"cancelled {one}")
    if not cancelled:
        print("nothing to cancel: no submitted job of these studies is in the queue")
        return
    print("finished tiles are kept; go on with:")
    for again in dict.fromkeys(one.job.again for one in cancelled):
        print(f"  {again}")


def _results(path: FilePath) -> FilePath:
    return path.parent.parent if path.suffix == ".json" else path
