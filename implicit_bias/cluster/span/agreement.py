"""What processes that compute together have to agree on: what is asked, what is missing, and whether all go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from jax.experimental import multihost_utils

from ..._errors import Mistake
from ...sweep.program.fingerprint import difference
from ...sweep.ask.plan import Plan
from ...sweep.keep.store import canonical

RESTART = "start all processes again: tiles already written are kept"


def check_same(plan: Plan) -> None:
    """Refuse processes of which one computes something else: they would wait for each other for ever."""
    asked = {k: v for k, v in plan.description.items() if k != "fingerprint"}
    digest = hashlib.sha256(canonical(asked).encode()).hexdigest()[:16]
    mine = canonical({**plan.fingerprint, "plan": digest}).encode()
    longest = int(multihost_utils.process_allgather(np.int32(len(mine))).max())
    said = multihost_utils.process_allgather(np.frombuffer(mine.ljust(longest), np.uint8))  # [processes, longest]
    first, *others = (json.loads(bytes(row)) for row in said)
    for number, other in enumerate(others, start=1):
        if what := difference(first, other):
            remedy = "give all processes the same plan, on hosts of one kind"
            raise Mistake("span", f"process 0 and process {number} differ: {what}", remedy)


def adopt_missing(plan: Plan) -> None:
    """What is missing, as process 0 sees it: the others may have no store to look into."""
    sizes = [len(batch.points) for batch in plan.batches]
    mine = np.zeros(sum(sizes), np.uint8)
    for batch, place in zip(plan.batches, _cut(mine, sizes)):
        place[batch.missing] = 1
    for batch, place in zip(plan.batches, _cut(multihost_utils.broadcast_one_to_all(mine), sizes)):
        batch.missing = np.flatnonzero(place).tolist()


def _cut(array: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(array, np.cumsum(sizes)[:-1])


def go_on(error: BaseException | None, stop: bool) -> bool:
    """Whether all go on. An error of one ends all, and so does a wish to stop."""
    said = multihost_utils.process_allgather(np.array([error is not None, stop]))  # [processes, 2]
    if error is not None:
        raise error
    if said[:, 0].any():
        raise Mistake("peer", f"process {said[:, 0].argmax()} has failed", f"see its line; then {RESTART}")
    return not said[:, 1].any()


def caught(act: Callable[[], Any]) -> BaseException | None:
    """Do what one process does alone; its error waits until the others can be told."""
    try:
        act()
    except Exception as error:
        return error
    return None
