"""A request that was met is remembered, so that asking again needs neither tracing nor JAX.

    <results>/memo/<key>.json     key = (study, words, size, machine, environment) -> plan file, sources

What a request amounts to follows from its words, from every file that the study and the package read while it was
traced (`sources`), from what is installed, and from what makes the fingerprint: processor, devices, variables. If all
are as they were, the plan is the one remembered, and it is done if each of its tiles is on the disk, whole. Anything
else is traced again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import sources
from ._files import FilePath, is_local, make_folder, put, read, touch
from .devices import settings as device_settings
from .request import Request
from .sweep.ask.document import read_plan
from .sweep.program.fingerprint import instruction_set
from .sweep.keep.store import FORMAT as TILES
from .sweep.keep.store import LARGEST_PLAN, Store, canonical

FORMAT = 1
LARGEST = 2**21
"""Bytes of a memo: a small file of nothing but lists would fill the memory."""
_VARIABLES = re.compile(
    r"(JAX|JAXTYPING|XLA|TF|CUDA|NVIDIA|ROCR|ROCM|HIP|HSA|TPU|LIBTPU|PJRT|OPENBLAS|OMP|MKL|BLIS|GOTO|KMP|NPY|NUMPY|SCIPY|"
    r"PYTHON|LD|EQX|CHEX|IMPLICIT_BIAS)_?.*"
)
"""Of libraries that compute and of the loader: any change of one is a change."""
_IRRELEVANT = {"IMPLICIT_BIAS_TRACEBACK"}
ENVIRONMENT = dict(os.environ)
"""As this process found it: `start` adds to it."""


def devices() -> list[str]:
    """Accelerators that JAX may find, by their drivers' words."""
    found = []
    for pattern in ("nvidia[0-9]*", "accel*", "kfd", "vfio/*"):
        found += sorted(str(p) for p in Path("/dev").glob(pattern))
    for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        found.append(sources.together([card, *(line for line in card.read_text().splitlines() if "Model" in line)]))
    return found


def _key(request: Request) -> str:
    environment = [f"{k}={v}" for k, v in ENVIRONMENT.items() if _VARIABLES.fullmatch(k) and k not in _IRRELEVANT]
    environment += [f"{k}={v}" for k, v in device_settings(ENVIRONMENT).items()]
    words = sorted(request.words.items())
    place = [str(request.entry.path.resolve()), request.entry.name, words, request.size]
    return sources.together([FORMAT, TILES, *place, instruction_set(), *devices(), *sorted(environment)])


def _path(request: Request) -> FilePath:
    return request.store.folder / "memo" / f"{_key(request)[:32]}.json"


def _seal(body: Any) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def keep(request: Request, plan: FilePath, but: Iterable[FilePath]) -> None:
    """Remember that a request is met by a plan file, all of whose tiles are there. Files under `but` are no sources."""
    read_by = sources.taken(request.entry.path.parent, but)
    if read_by is None or not is_local(request.store.folder):
        return
    body = {"format": FORMAT, "key": _key(request), "plan": plan.name, "content": _content(plan), "sources": read_by}
    path = _path(request)
    make_folder(path.parent)
    put(path, json.dumps({**body, "sha256": _seal(body)}, indent=1).encode())


def recall(request: Request) -> FilePath | None:
    """The plan file that a request amounts to, if it is done and nothing has changed; it is dated anew."""
    store = request.store
    if not is_local(store.folder):
        return None
    try:
        body = json.loads(read(_path(request), LARGEST))
        told = body.pop("sha256")
        if told != _seal(body) or body["format"] != FORMAT or body["key"] != _key(request):
            return None
        if not sources.holds(body["sources"], request.entry.path.parent):
            return None
        plan = store.plans / Path(body["plan"]).name
        if _content(plan) != body["content"] or not _is_done(store, plan):
            return None
    except Exception:  # no memo, or none of ours: the request is traced
        return None
    touch(plan, read(plan, LARGEST_PLAN))
    return plan


def _content(plan: FilePath) -> str:
    return hashlib.sha256(read(plan, LARGEST_PLAN)).hexdigest()


def _is_done(store: Store, plan: FilePath) -> bool:
    """Whether every tile of a plan is there, whole: those named in it held all its runs when it was remembered."""
    names = {name for tiles in read_plan(plan)["tiles"] for name in tiles}
    return all(store.read(name).id == name for name in sorted(names))
