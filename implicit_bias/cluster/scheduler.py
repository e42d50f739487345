"""What talks to SLURM: sbatch, squeue, scancel and scontrol, and the record of the jobs of a study.

    <out>/<study>/jobs/<id>.json      what was submitted: job, cluster, plan, tasks, words, when
    <out>/<study>/jobs/<id>_<task>.log    what its workers said

Nothing that a result depends on is here: with the folder removed, `run` and `submit` go on as before, and only `cancel`
and `status` know of no job.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from .._errors import Mistake
from .._files import CannotWrite, FilePath, listed, make_folder, put, read

_BY_HAND = "--dry-run prints the script, and `implicit-bias work PLAN` is a worker without SLURM"
LONG = 2**16
"""Bytes of a record at most."""

_THERE = "go to a machine of the cluster"


@dataclasses.dataclass(frozen=True)
class Job:
    """A submitted array, as its record says."""

    id: str
    cluster: str | None
    plan: str
    tasks: int
    submitted: str
    again: str
    """The command that submits what is still missing."""


@dataclasses.dataclass(frozen=True)
class Queued:
    """What squeue says of a job: how many of its tasks are in which state, and why some wait."""

    job: Job
    states: Counter[str]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """As in `job 123: 4 running, 12 pending (Resources)`."""
        said = [f"{count:,} {state.lower().replace('_', ' ')}" for state, count in sorted(self.states.items())]
        order = sorted(said, key=lambda text: text.endswith("pending"))
        return f"job {self.job.id}: {', '.join(order)}" + f" ({', '.join(self.reasons)})" * bool(self.reasons)


def jobs_folder(results: FilePath | str) -> Path:
    """Where the jobs of a results folder are recorded: in it, or under ./jobs where it is in an object store."""
    store, _, place = str(results).rpartition(":/")
    return Path("jobs", place.strip("/")) if store else Path(results) / "jobs"


class Refused(Mistake):
    """sbatch has said no, so there is no job."""


# -- SLURM's commands --------------------------------------------------------------------------------------------------


_Done = subprocess.CompletedProcess[str]


def _ask(argv: Sequence[str], timeout: float, text: str | None = None, remedy: str = _THERE) -> _Done:
    """Run a command of SLURM's; one that is missing or does not answer is a mistake with a remedy."""
    try:
        return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError:
        raise Mistake("slurm", f"there is no {argv[0]} on this machine", remedy) from None
    except subprocess.TimeoutExpired:
        raise Mistake("slurm", f"{argv[0]} did not answer in {timeout:.0f} s", "try again later") from None
    except OSError as error:
        raise Mistake("slurm", f"{argv[0]} cannot be run ({error.strerror})", remedy) from None


def _on(cluster: str | None) -> list[str]:
    return [f"--clusters={cluster}"] if cluster else []


def max_array_size() -> int | None:
    """MaxArraySize of this cluster; None where SLURM is not here or does not say."""
    try:
        said = _ask(["scontrol", "show", "config"], timeout=10).stdout
    except Mistake:
        return None
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", said, flags=re.M)
    return int(found[1]) if found else None


def sbatch(script: str) -> tuple[str, str | None]:
    """Submit a script: (job, its cluster where there are several)."""
    done = _ask(["sbatch", "--parsable"], timeout=120, text=script, remedy=_BY_HAND)
    job, _, cluster = done.stdout.strip().partition(";")
    if done.returncode or not job.isdecimal():
        said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise Refused("slurm", f"sbatch refused: {said}", "mend the --slurm words; --dry-run prints the script")
    return job, cluster or None


def queued(jobs: Iterable[Job], timeout: float) -> list[Queued]:
    """Those of the jobs that squeue still knows, each with the states of its tasks."""
    jobs = list(jobs)
    found: dict[Job, list[tuple[str, str]]] = {}
    for cluster in dict.fromkeys(job.cluster for job in jobs):
        mine = {job.id: job for job in jobs if job.cluster == cluster}
        columns = "--format=%F|%T|%r"  # array job, state, reason
        argv = ["squeue", *_on(cluster), "--noheader", "--array", columns, f"--jobs={','.join(mine)}"]
        done = _ask(argv, timeout)
        if done.returncode and "Invalid job id" not in done.stderr:  # one that ended long ago is not known
            raise Mistake("slurm", f"squeue failed: {' '.join(done.stderr.split())}", "try again later")
        for line in done.stdout.splitlines():
            job, bar, said = line.strip().partition("|")
            if bar and job in mine:
                state, _, reason = said.partition("|")
                found.setdefault(mine[job], []).append((state, reason))
    return [
        Queued(
            job,
            Counter(state for state, _ in tasks),
            tuple(dict.fromkeys(reason for state, reason in tasks if state == "PENDING" and reason != "None")),
        )
        for job, tasks in found.items()
    ]


def scancel(job: Job) -> None:
    done = _ask(["scancel", *_on(job.cluster), job.id], timeout=60)
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise Mistake("slurm", f"scancel {job.id} failed: {said}", "try again, or ask who submitted it")


# -- the record --------------------------------------------------------------------------------------------------------


def submit(script: str, folder: Path, *, plan: str, tasks: int, again: str) -> Job:
    """Submit a script and record its job in `folder`, which is there before: SLURM starts no task without its log."""
    make_folder(folder)
    identity, cluster = sbatch(script)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    job = Job(identity, cluster, plan, tasks, now, again)
    try:
        put(folder / f"{identity}.json", json.dumps(dataclasses.asdict(job), indent=1).encode())
    except CannotWrite as error:
        what = f"job {identity} is submitted, and not recorded: {error}"
        raise CannotWrite("out", what, f"`scancel {identity}` cancels it") from None
    return job


def recorded(folder: Path) -> list[Job]:
    """The jobs of a folder, oldest first; a record that is none is left out."""
    jobs = [job for path in listed(folder, ".json") if (job := _job(path)) and job.id == path.stem]
    return sorted(jobs, key=lambda job: (job.submitted, int(job.id)))


def _job(path: Path) -> Job | None:
    try:
        job = Job(**json.loads(read(path, LONG)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    words = (job.id, job.plan, job.submitted, job.again, job.cluster or "")
    if not all(isinstance(word, str) and word.isprintable() for word in words) or not isinstance(job.tasks, int):
        return None
    return job if re.fullmatch(r"[0-9]{1,20}", job.id) and re.fullmatch(r"[\w.-]*", job.cluster or "") else None


ANSWER = 4.0
"""Seconds in which squeue must answer for `status` to wait for it."""


def queue_lines(results: FilePath | str) -> list[str]:
    """A line for each job of a results folder that is in SLURM's queue; none where there is no SLURM, or it is slow."""
    try:
        return [str(one) for one in queued(recorded(jobs_folder(results)), ANSWER)]
    except Mistake:
        return []


def cancel(results: FilePath | str) -> list[Queued]:
    """Cancel the jobs of a results folder that are still in the queue: what each was doing."""
    known = queued(recorded(jobs_folder(results)), timeout=30)
    for one in known:
        scancel(one.job)
    return known


def with_jobs(out: FilePath | str) -> list[FilePath | str]:
    """The results folders in `out` that have jobs on record, as `jobs_folder` takes them."""
    if ":/" in str(out):
        top = jobs_folder(out)
        return [f"{out}/{path.parent.relative_to(top)}" for path in sorted(top.glob("**/*.json"))]
    return sorted({path.parent.parent for path in Path(out).glob("**/jobs/*.json")})
