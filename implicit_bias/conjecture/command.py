"""The command `conjecture STUDY QUANTITY over=x,y`: a law of a measured quantity, as a claim, with what became of it."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from .. import catalogue
from .._errors import Mistake
from .._files import place, put
from ..catalogue import Entry
from ..progress import progress
from ..request import _split
from ..session import guarded, start
from ..sweep.ask.grid import parse

if TYPE_CHECKING:
    from .search import Asked


def command(arguments: argparse.Namespace) -> int:
    words = _split(arguments.settings)
    if "over" not in words:
        raise Mistake("over", "is missing", "write over=alpha, or over=alpha,step")
    if arguments.to is not None and arguments.to.suffix != ".py":
        raise Mistake("to", f"{arguments.to} is no Python file", "write --to FILE.py")
    if arguments.minutes < 0:
        raise Mistake("minutes", f"must be at least 0, got {arguments.minutes:g}", "write --minutes 2, or 0 for no referee")
    over = words.pop("over")
    settings = {n: parse(n, t) for n, t in words.items()}
    entry = catalogue.find(arguments.study)
    # from here on JAX is imported
    start()
    from .search import gathered, law_of

    out = place(arguments.out) / entry.name

    def act() -> tuple[Any, Asked]:
        study = catalogue.load(entry)
        bar = functools.partial(progress, entry.name)
        options = {"size": arguments.size, "accepts": arguments.accepts, "out": out, "tell": bar}
        return study, gathered(study, arguments.quantity, over, settings, **options)

    study, asked = guarded(entry, act)
    found = law_of(asked, arguments.above)
    print(found)
    if found.best is None:
        return 0
    if arguments.to is not None:
        put(arguments.to, found.best.python.encode())
        print(arguments.to)
    if arguments.minutes:
        print(*(_refuted(entry, study, claim, settings, arguments.minutes) for claim in found.best.claims), sep="\n")
    return 0


def _refuted(entry: Entry, study: Any, claim: Any, settings: dict[str, Any], minutes: float) -> str:
    """What the referee says of a claim that survived."""
    from ..referee.refute import refute

    try:
        outcome = refute(entry, dataclasses.replace(study, claims=[claim]), claim, settings, minutes=minutes)
    except Mistake as why:
        return f"  the referee does not take it: {why}"
    return outcome.text()
