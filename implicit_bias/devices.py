"""Which of a host's accelerators a process uses, and how much of their memory: said before JAX starts.

One process uses every device it sees. Where a scheduler starts several on one host and shows each of them all GPUs,
they deal them out among themselves; where there are fewer GPUs than processes, those that share one share its memory.

>>> settings({"SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "2", "CUDA_VISIBLE_DEVICES": "4,5,6,7"})
{'XLA_PYTHON_CLIENT_PREALLOCATE': 'false', 'CUDA_VISIBLE_DEVICES': '5,7'}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

USABLE = 0.9
"""Of a GPU's memory: the driver and other contexts keep some."""


def settings(environ: Mapping[str, str], installed: int | None = None) -> dict[str, str]:
    """Environment variables to set, where the user has not; `installed` GPUs count where none is named."""
    found = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # the default takes 3/4 of a GPU, and a second process fails
    place = _place_on_host(environ)
    if place is not None:
        mine, processes = place
        visible = _visible(environ, installed)
        if len(visible) > 1:
            found["CUDA_VISIBLE_DEVICES"] = ",".join(visible[mine::processes] or [visible[mine % len(visible)]])
        if visible and (sharing := -(-processes // len(visible))) > 1 and not _bound_by_scheduler(environ):
            found["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{USABLE / sharing:.2f}"
    changed = {"CUDA_VISIBLE_DEVICES"}  # a list shown to all is dealt out; everything else that the user says stands
    return {name: value for name, value in found.items() if name in changed or name not in environ}


def _place_on_host(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """(this process, processes) on this host, under `srun` or Open MPI; None for one alone or where it is not said."""
    for index, count in (
        ("SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"),
        ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ):
        words = environ.get(index, ""), re.match(r"\d+", environ.get(count, ""))
        if words[0].isdigit() and words[1] and int(words[0]) < int(words[1][0]) > 1:
            return int(words[0]), int(words[1][0])
    return None


def _bound_by_scheduler(environ: Mapping[str, str]) -> bool:
    """Whether each task sees GPUs that are its own."""
    return any(environ.get(name) for name in ("SLURM_GPUS_PER_TASK", "SLURM_TRES_PER_TASK"))


def _visible(environ: Mapping[str, str], installed: int | None) -> list[str]:
    said = environ.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        return [word for word in said.split(",") if word]
    count = len(list(Path("/dev").glob("nvidia[0-9]*"))) if installed is None else installed
    return [str(i) for i in range(count)]
