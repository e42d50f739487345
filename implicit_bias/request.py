"""A request: a study, words for its axes and settings, a size, and where results go. Workers redo it from a plan file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from . import catalogue
from ._errors import Mistake
from ._files import RESULTS, FilePath, place
from .catalogue import Entry
from .sweep.ask import names
from .sweep.ask.document import LAPTOP, Document, command, read_plan
from .sweep.ask.grid import parse
from .sweep.keep.store import Store
from .wording import wording


@dataclasses.dataclass(frozen=True)
class Request:
    """What `run`, `plan` and `submit` are asked for."""

    entry: Entry
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    size: str = LAPTOP
    out: FilePath = dataclasses.field(default_factory=lambda: place(RESULTS))
    typed: str = ""
    """The study as the user named it."""
    name: str | None = None
    """What its result is to be called; None for that of the study's own grid, and for an exploration."""

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {name: parse(name, text) for name, text in self.words.items()}

    @property
    def store(self) -> Store:
        return Store(self.out / self.entry.name)

    @property
    def found(self) -> dict[str, Any]:
        """What a plan file keeps of the request."""
        asked = {"settings": dict(self.words), "size": self.size, "study": self.typed or self.entry.name}
        return {"file": str(self.entry.path), "request": asked, "wording": self.wording}

    @cached_property
    def wording(self) -> str:
        """What the study's files say of a run, before they are imported."""
        return wording(self.entry.path)

    @property
    def label(self) -> str | None:
        """The name of its result: the one given, or the size's where the grid is the study's own."""
        return self.name or (None if self.words else self.size)

    def refuse_another(self) -> None:
        """A name that is given to what was asked for with other words is a mistake."""
        words = {"settings": dict(self.words), "size": self.size}
        if self.name is not None:
            study = self.typed or self.entry.name
            names.refuse_another(self.store, self.name, study, lambda d: words.items() <= (d.get("request") or {}).items())

    def give_name(self, plan: FilePath) -> None:
        if self.label is not None:
            names.give(self.store, self.label, plan)

    def command(self, verb: str = "run") -> str:
        """What a user types to ask for this again."""
        return command(self.typed or self.entry.name, self.words, self.size, str(self.out), self.name, verb)


def requested(study: str, words: Sequence[str], size: str, out: FilePath, name: str | None = None) -> Request:
    """From the words of a command; mistakes in its grammar are found before JAX is imported."""
    parsed(words)
    return Request(catalogue.find(study), _split(words), size, out, study, name and names.checked(name))


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
    said = names.label(Store(store), path)
    name = None if said in (path.stem, asked["size"]) else said
    return Request(entry, asked["settings"], asked["size"], out, asked.get("study", ""), name), document
