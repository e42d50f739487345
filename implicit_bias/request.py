"""A request: a study, words for its axes and settings, a size, and where results go. Workers redo it from a plan file."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from . import catalogue
from ._errors import Mistake
from ._files import FilePath, place
from .catalogue import Entry
from .sweep.ask.document import Document, read_plan
from .sweep.ask.grid import parse
from .sweep.keep.store import Store

RESULTS = "results"


@dataclasses.dataclass(frozen=True)
class Request:
    """What `run`, `plan` and `submit` are asked for."""

    entry: Entry
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    size: str = "laptop"
    out: FilePath = dataclasses.field(default_factory=lambda: place(RESULTS))
    typed: str = ""
    """The study as the user named it."""

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {name: parse(name, text) for name, text in self.words.items()}

    @property
    def store(self) -> Store:
        return Store(self.out / self.entry.name)

    @property
    def found(self) -> dict[str, Any]:
        """What a plan file keeps of the request."""
        return {"file": str(self.entry.path), "request": {"settings": dict(self.words), "size": self.size}}

    def command(self, verb: str = "run") -> str:
        """What a user types to ask for this again."""
        words = ["implicit-bias", verb, self.typed or self.entry.name, *(f"{k}={v}" for k, v in self.words.items())]
        words += ["--size", self.size] * (self.size != "laptop")
        words += ["--out", str(self.out)] * (str(self.out) != RESULTS)
        return shlex.join(words)


def requested(study: str, words: Sequence[str], size: str, out: FilePath) -> Request:
    """From the words of a command; mistakes in its grammar are found before JAX is imported."""
    parsed(words)
    return Request(catalogue.find(study), _split(words), size, out, study)


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """name=value words as values."""
    return {name: parse(name, text) for name, text in _split(words).items()}


def _split(words: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise Mistake("settings", f"{word!r} is no name=value", f"write {name.strip() or 'name'}=VALUE")
        if name in given:
            raise Mistake(name, "is given twice", "give each name once")
        given[name] = text
    return given


def planned(path: FilePath) -> tuple[Request, Document]:
    """The request that a plan file was made for; `Mistake` if it was made without the command."""
    document = read_plan(path)
    asked, file = document.get("request"), document.get("file")
    known = isinstance(asked, dict) and isinstance(asked.get("settings"), dict) and isinstance(file, str)
    if not known or not all(isinstance(v, str) for v in (*asked["settings"].values(), asked.get("size"))):
        raise Mistake(
            "PLAN", f"{path} does not say what was asked for", "`implicit-bias submit STUDY` writes one that does"
        )
    store = path.parent.parent
    # in a container the file may lie elsewhere: a study of the package has its short name everywhere
    entry = catalogue.find(file if Path(file).is_file() else document["study"])
    out = store.parent.parent if "/" in entry.name else store.parent
    return Request(entry, asked["settings"], asked["size"], out), document
