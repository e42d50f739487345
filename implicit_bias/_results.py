"""How a run ended: a number in the compiled program, advice on the page; and whose variable a result is."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum


class Status(IntEnum):
    """The end of a run. Failure is data: a status is stored beside the run and no run is dropped.

    >>> Status.CAPPED.label, Status(3).label
    ('capped', 'diverged')
    >>> Status.CAPPED.advice
    'reached its last step or time before the stop rule was met (or had none): raise max_steps or max_time'
    """

    ABSENT = -1
    RUNNING = 0
    CONVERGED = 1
    CAPPED = 2
    DIVERGED = 3
    STALLED = 4
    ESCAPING = 5

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def advice(self) -> str:
        return _ADVICE[self]


_ADVICE = {
    Status.ABSENT: "not computed yet: `run` computes it",
    Status.RUNNING: "stopped between two segments: `run` goes on from the last finished tile",
    Status.CONVERGED: "met its stop rule",
    Status.CAPPED: "reached its last step or time before the stop rule was met (or had none): "
    "raise max_steps or max_time",
    Status.DIVERGED: "left the finite numbers, or the bound that the study names: take a smaller step",
    Status.STALLED: "changed no bit of its weights over a record interval, nor would it in a step more: "
    "rounding ended it, no more steps will help",
    Status.ESCAPING: "its norm grows without bound while its margin grows: only its direction has a limit",
}


def owner(name: str, known: Collection[str]) -> str:
    """Whose variable it is: itself, or the longest of its beginnings before a dot that is known (`w` of `w.key`)."""
    words = name.split(".")
    beginnings = (".".join(words[:n]) for n in range(len(words), 0, -1))
    return next((b for b in beginnings if b in known), name)
