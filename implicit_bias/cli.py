"""The command `implicit-bias`. `--help`, `list`, `status` and mistakes in the grammar do not import JAX."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import catalogue
from ._errors import Mistake, one_line, shorten, warn
from ._files import RESULTS, FilePath, place
from .grammar import parse, parser

if TYPE_CHECKING:
    from .request import Request

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = warn
            arguments = parse(argv)
            return globals()[f"_{arguments.verb}"](arguments) or 0
    except Mistake as mistake:
        if os.environ.get("IMPLICIT_BIAS_TRACEBACK"):
            raise
        print(f"error: {one_line(mistake)}", file=sys.stderr)
        return mistake.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # `implicit-bias list | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if os.environ.get("IMPLICIT_BIAS_TRACEBACK"):
            raise
        what = f"cannot read or write {error.filename or 'a file'} ({error.strerror or error})"
        print(f"error: path: {one_line(what)}; mend its permissions, or remove it", file=sys.stderr)
        return Mistake.exit_code


# -- commands that need no JAX -----------------------------------------------------------------------------------------


WIDTH = 100
"""Columns of a list."""


def _bare(arguments: argparse.Namespace) -> None:
    if not arguments.version:
        return parser().print_help()
    import importlib.metadata

    return print(f"implicit-bias {importlib.metadata.version('implicit-bias')}")


def _list(arguments: argparse.Namespace) -> None:
    chosen = catalogue.expand(arguments.papers)
    wide = max((len(entry.name) for entry in chosen), default=0)
    paper = None
    for entry in chosen:
        if entry.paper != paper:
            paper = entry.paper
            print(paper)
        question = re.split(r"(?<=[?.:])\s{2,}", entry.summary)[0]  # what is said after it is on the page
        print(shorten(f"  {entry.name:<{wide}}  {question}", WIDTH))


def _new(arguments: argparse.Namespace) -> None:
    name = arguments.name.removesuffix(".py")
    paper, slash, study = name.rpartition("/")
    if not study.isidentifier() or (slash and not paper.isidentifier()):
        raise Mistake("NAME", f"{arguments.name!r} is no Python name", "use letters, digits and _, or PAPER/NAME of them")
    path = Path("experiments", paper, f"{study}.py") if paper else Path(f"{study}.py")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x") as file:
            file.write(catalogue.template().read_text())
    except FileExistsError:
        raise Mistake("NAME", f"{path} is already there", "choose another name") from None
    except OSError as error:
        raise Mistake("NAME", f"cannot write {path} ({error.strerror})", "go to a folder that can be written") from None
    print(f"wrote {path}; run it with: implicit-bias run {name if paper else path}")


def _status(arguments: argparse.Namespace) -> None:
    from .cluster.scheduler import queue_lines
    from .library import folder_of
    from .session import caps_by_design, verdict_line
    from .sweep.ask.names import meant
    from .sweep.keep.status import describe, others
    from .sweep.keep.store import Store

    for name, plan in _found(arguments):
        print(describe(name, plan, capped_by_design=caps_by_design(plan)))
        print(verdict_line(name, plan))
        for line in queue_lines(folder_of(plan)):
            print(f"  {line}")
        if plan == meant(Store(folder_of(plan))):  # of a result that is named, nothing else is asked
            print(*others(plan), sep="\n", end="\n" * bool(others(plan)))


def _rm(arguments: argparse.Namespace) -> None:
    from .library import remove

    print(remove(arguments.target, place(arguments.out), arguments.tiles))


def _cancel(arguments: argparse.Namespace) -> None:
    from .cluster.submission import cancel

    named = [plan for _, plan in _found(arguments)] if arguments.targets else None
    cancel(named, place(arguments.out))


# -- commands that judge and show --------------------------------------------------------------------------------------


def _found(arguments: argparse.Namespace) -> list[tuple[str, FilePath]]:
    """(study, plan file) of each target that has results."""
    from .library import found

    return found(arguments.targets, place(arguments.out))


def _watched(arguments: argparse.Namespace) -> int:
    """The command as a process of its own, whenever a file changes that its verdicts or drawings were made from."""
    from .watch import watch

    words = [*arguments.targets, "--out", arguments.out, *["--sharp"] * getattr(arguments, "sharp", False)]
    return watch([arguments.command, *words], _found(arguments))


def _check(arguments: argparse.Namespace) -> int:
    if arguments.watch:
        return _watched(arguments)
    from .evidence.console import verdict_table
    from .session import judge_folder

    unexpected = 0
    for name, plan in _found(arguments):
        judged = judge_folder(name, plan)
        print(verdict_table(judged.name, judged.judgements, measured=True))
        if arguments.sharp:
            from .evidence.console import sharpness_table
            from .evidence.sharpness import sharpness

            left = {j.claim.id for j in judged.judgements if j.left_out}
            asked = [claim for claim in judged.study.claims if claim.id not in left]
            left_out = [one for claim in asked for one in sharpness(claim, judged.data)]
            print(sharpness_table(judged.name, [claim.id for claim in asked], left_out))
        unexpected += sum(not j.as_expected for j in judged.judgements)
    if unexpected:
        print(f"{unexpected} verdict{'s' if unexpected > 1 else ''} against expectation", file=sys.stderr)
    return 1 if unexpected else 0


def _compare(arguments: argparse.Namespace) -> int:
    from .evidence.console import comparison_table
    from .library import one
    from .session import judge_folder
    from .sweep.program.fingerprint import difference

    labels = arguments.first, arguments.second
    first, second = both = [judge_folder(*one(target, place(arguments.out))) for target in labels]
    if first.name != second.name:
        what = f"{arguments.first} is of {first.name}, and {arguments.second} of {second.name}"
        raise Mistake("RESULT", what, "compare two results of one study")
    changed = difference(first.document["fingerprint"], second.document["fingerprint"])
    text, differ = comparison_table(labels, [one.document for one in both], [one.judgements for one in both], changed)
    print(text)
    return 1 if differ else 0


def _report(arguments: argparse.Namespace) -> int:
    if arguments.watch:
        return _watched(arguments)
    from .pages import write_index, write_report
    from .session import judge_folder

    judged = [judge_folder(name, plan) for name, plan in _found(arguments)]
    for one in judged:
        print(write_report(one))
    print(write_index(place(arguments.out), judged))
    return 0


def _export(arguments: argparse.Namespace) -> None:
    from .evidence.export import export, left_out
    from .library import one
    from .session import completed_results

    study, data, claims = completed_results(*one(arguments.target, place(arguments.out)))
    to = arguments.to or Path(study.replace("/", "-"))
    if arguments.format != "netcdf" and (gone := left_out(data, arguments.records)):
        what = "arrays and records" if arguments.records == "last" else "arrays"
        print(f"note: left out of the table, which has no place for {what}: {', '.join(gone)}", file=sys.stderr)
    for path in export(data, arguments.format, to, study, claims, arguments.records):
        print(path)


def _figure(arguments: argparse.Namespace) -> None:
    from .figure_command import command

    command(arguments)


# -- commands that compute ---------------------------------------------------------------------------------------------


def _requested(arguments: argparse.Namespace) -> Request:
    from .request import requested

    name = getattr(arguments, "as_", None)
    return requested(arguments.study, arguments.settings, arguments.size, place(arguments.out), name)


def _plan(arguments: argparse.Namespace) -> None:
    request = _requested(arguments)
    from .session import describe_plan, start

    start()
    print(describe_plan(request))


def _run(arguments: argparse.Namespace) -> int:
    request = _requested(arguments)
    from .evidence.console import verdict_table
    from .pages import write_index, write_report
    from .session import run_study

    judged = run_study(request)
    print(verdict_table(judged.name, judged.judgements))
    print(write_report(judged))
    write_index(request.out, [judged])
    return 1 if judged.failed else 0


def _submit(arguments: argparse.Namespace) -> None:
    request = _requested(arguments)
    from .cluster.submission import submit

    submit(arguments, request)


def _work(arguments: argparse.Namespace) -> int:
    from .cluster.place import share
    from .cluster.worker import work, work_together

    path = place(arguments.plan)
    if arguments.span:
        return work_together(path, arguments.coordinator, arguments.process, arguments.processes)
    return work(path, *share(arguments.worker, arguments.of, os.environ))


def _spectrum(arguments: argparse.Namespace) -> None:
    from .spectra import along_a_run

    along_a_run(arguments)


def _replay(arguments: argparse.Namespace) -> None:
    from .replay_command import command

    command(arguments)


def _refine(arguments: argparse.Namespace) -> int:
    from .refine.command import command

    return command(arguments)


def _conjecture(arguments: argparse.Namespace) -> int:
    from .conjecture.command import command

    return command(arguments)


def _refute(arguments: argparse.Namespace) -> int:
    from .request import parsed

    settings = parsed(arguments.settings)
    for name, least in (("budget", 1), ("seed", 0)):
        if getattr(arguments, name) < least:
            raise Mistake(name, f"must be at least {least}", f"write --{name} {max(least, 64 * (name == 'budget'))}")
    if not arguments.minutes > 0:
        raise Mistake("minutes", "must be above 0", "write --minutes 5")
    where = arguments.claim.rpartition(":")[0]
    if where and where not in {entry.paper for entry in catalogue.entries()}:
        catalogue.find(where)  # a mistake in it is told before JAX is imported
    from .session import guarded, start

    start()
    from . import claim_names
    from .referee.refute import refute

    entry, study, claim = claim_names.one(arguments.claim)

    def act():
        return refute(
            entry, study, claim, settings, budget=arguments.budget, seed=arguments.seed, minutes=arguments.minutes,
            tell=lambda text: print(text, file=sys.stderr),
        )  # fmt: skip

    outcome = guarded(entry, act)
    print(outcome.text())
    if arguments.certify and outcome.counterexample is not None:
        from .referee.certify.certify import certify

        print(f"  {certify(outcome.counterexample, entry.path.parent, Path.cwd())}")
    return 0 if outcome.as_expected else 1


def _cite(arguments: argparse.Namespace) -> None:
    from .session import start

    start()
    from .cite import text

    print(text(arguments.claim, place(arguments.out)))


def _reproduce(arguments: argparse.Namespace) -> int:
    chosen, out = catalogue.expand(arguments.papers), place(arguments.out)
    from .evidence.console import verdict_table
    from .pages import write_index
    from .pair import Done, run_all
    from .request import Request
    from .session import judge_folder, known_already
    from .sweep.ask.names import meant

    words = ["implicit-bias", "reproduce", *arguments.papers]
    words += ["--size", arguments.size] * (arguments.size != "laptop")
    words += ["--out", arguments.out] * (arguments.out != RESULTS)
    done, outcomes = [], []

    def tell(request: Request, outcome: Done) -> None:
        outcomes.append(outcome)
        if outcome.error:
            print(f"error: {outcome.error} ({request.entry.name})", file=sys.stderr)
            return
        plan = meant(request.store, request.label)  # of this size, whatever else the folder holds
        judged = judge_folder(str(request.entry.path), plan, computed=outcome.computed)
        print(verdict_table(judged.name, judged.judgements), flush=True)
        done.append(judged)

    requests = [Request(entry, size=arguments.size, out=out) for entry in chosen]
    missing = [request for request in requests if not known_already(request)]
    for request in (r for r in requests if r not in missing):
        tell(request, Done())
    run_all(missing, shlex.join(words), tell)
    page = write_index(out, done)
    computed, total = sum(j.computed for j in done), sum(j.runs for j in done)
    unexpected = sum(not j.as_expected for judged in done for j in judged.judgements)
    if computed:
        print(f"computed {computed:,} of {total:,} runs in {len(done)} studies; open {page}")
    else:
        print(f"nothing to compute: all {total:,} runs of {len(done)} studies are done; open {page}")
    if unexpected:
        print(f"{unexpected} verdicts against expectation", file=sys.stderr)
    if failed := [outcome for outcome in outcomes if outcome.error]:
        print(f"{len(failed)} of {len(chosen)} studies could not be run", file=sys.stderr)
        return failed[0].exit_code
    return 1 if unexpected or any(outcome.not_drawn or outcome.failed for outcome in outcomes) else 0
