"""Which worker of how many a process is: as its command says, or else the scheduler that started it.

>>> told({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8"})
(3, 8)
"""

from __future__ import annotations

from collections.abc import Mapping

from .._errors import Mistake
from . import COUNT


def share(worker: int | None, of: int | None, environ: Mapping[str, str]) -> tuple[int, int]:
    """(index, number): as said, or else as a scheduler tells, or else the only one."""
    there = told(environ, of) if worker is None else None
    index, count = there or (worker or 0, of or 1)
    if there is None and of is None and index:
        raise Mistake("of", f"worker {index} of how many is not said", "give --of N")
    if not 0 <= index < count:
        raise Mistake("worker", f"there is no worker {index} of {count}", "they count from 0")
    return index, count


def told(environ: Mapping[str, str], of: int | None = None) -> tuple[int, int] | None:
    """(index, number) of this worker by what a scheduler says of its process; None where none says anything.

    SLURM: the array task, and under srun the task within it. Kubernetes: the completion index of an indexed job, with
    the number in IMPLICIT_BIAS_WORKERS. TPU pod: the host's number. `of`, where given, is the number.
    """
    for read in (_slurm_place, _kubernetes_place, _tpu_place):
        found = read(environ)
        if found is None:
            continue
        who, index, count = found
        count = count if of is None else of
        if count is None:
            raise Mistake("of", f"{who} says that this is worker {index}, and not of how many", "give --of N")
        if not 0 <= index < count:
            raise Mistake("worker", f"{who} says {index} of {count}", "give --worker I --of N, with I from 0 to N - 1")
        return index, count
    return None


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "").strip()
    if not (text.isascii() and text.isdecimal()):
        raise Mistake(name, f"must be a whole number from 0, got {text!r}", "unset it, or give --worker I --of N")
    return int(text)


_Found = tuple[str, int, int | None] | None


def _slurm_place(environ: Mapping[str, str]) -> _Found:
    index, count = 0, 1
    array, step = "SLURM_ARRAY_TASK_ID" in environ, "SLURM_STEP_NUM_TASKS" in environ
    if not array and not step:
        return None
    if array:
        first, stride = (_number({n: "0", **environ}, n) for n in ("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"))
        index = (_number(environ, "SLURM_ARRAY_TASK_ID") - first) // max(stride, 1)
        count = _number(environ, "SLURM_ARRAY_TASK_COUNT") if "SLURM_ARRAY_TASK_COUNT" in environ else None
    if step:  # set by srun only; SLURM_NTASKS and SLURM_PROCID are in a batch script's environment, too
        tasks = _number(environ, "SLURM_STEP_NUM_TASKS")
        index = index * tasks + _number(environ, "SLURM_PROCID")
        count = count and count * tasks
    return "SLURM", index, count


def _kubernetes_place(environ: Mapping[str, str]) -> _Found:
    if "JOB_COMPLETION_INDEX" not in environ:
        return None
    count = _number(environ, COUNT) if COUNT in environ else None
    return "Kubernetes", _number(environ, "JOB_COMPLETION_INDEX"), count


def _tpu_place(environ: Mapping[str, str]) -> _Found:
    if "TPU_WORKER_ID" not in environ:
        return None
    hosts = [h for h in environ.get("TPU_WORKER_HOSTNAMES", "").split(",") if h.strip()]
    return "the TPU pod", _number(environ, "TPU_WORKER_ID"), len(hosts) or None
