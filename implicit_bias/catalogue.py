"""Finding studies: by short name (`wu2020/robustness`), by path, or by module; in this folder, this checkout, or a wheel.

Listing reads docstrings as text and imports nothing. A study file is a Python file with a top-level `study = ...`;
those under `experiments/<paper>/` have the short name `<paper>/<file>`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import os
import sys
import traceback
import types
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from . import sources
from ._errors import Mistake, message_of, nearest

if TYPE_CHECKING:
    from .study import Study


@dataclasses.dataclass(frozen=True)
class Entry:
    """A study file that was found."""

    name: str
    path: Path
    docstring: str

    @property
    def paper(self) -> str:
        return self.name.partition("/")[0]

    @property
    def typed(self) -> str:
        """What a command takes for it: its name where that means this file here, or else the file."""
        meant = next((path for root in roots() if (path := root / f"{self.name}.py").is_file()), None)
        return self.name if meant is not None and meant.samefile(self.path) else os.path.relpath(self.path)

    @property
    def summary(self) -> str:
        return self.docstring.strip().split("\n")[0]


def roots() -> list[Path]:
    """Where short names are looked up, first match first: the current folder, the checkout, the installed package."""
    package = Path(__file__).resolve().parent
    candidates = [Path.cwd() / "experiments", package.parent / "experiments", package / "experiments"]
    return list(dict.fromkeys(p for p in candidates if p.is_dir()))


def bibliography(entry: Entry) -> str:
    """The paper of a study as BibTeX: `paper.bib` in the study's folder; "" where there is none."""
    try:
        return (entry.path.parent / "paper.bib").read_text()
    except OSError:
        return ""


def template() -> Path:
    for root in roots():
        if (root / "_template.py").is_file():
            return root / "_template.py"
    raise Mistake("template", "experiments/_template.py is missing", "install the package again")


def _read(path: Path, name: str) -> Entry | None:
    """The entry of a study file; None if the file is no study."""
    try:
        tree = ast.parse(path.read_text())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        # Listed all the same, so that `run` can say what is wrong with it.
        return Entry(name, path, "(cannot be read as Python)")
    assigned = {
        t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    }
    return Entry(name, path, ast.get_docstring(tree) or "") if "study" in assigned else None


def entries() -> list[Entry]:
    """Every study with a short name."""
    found: dict[str, Entry] = {}
    for root in roots():
        for path in sorted(root.glob("*/*.py")):
            name = f"{path.parent.name}/{path.stem}"
            entry = None if path.stem.startswith("_") or name in found else _read(path, name)
            if entry is not None:
                found[name] = entry
    return sorted(found.values(), key=lambda e: e.name)


def find(text: str) -> Entry:
    """The study that a user means by a short name, a file, or a module."""
    path = Path(text)
    if path.suffix == ".py":
        if not path.is_file():
            raise Mistake("study", f"there is no file {text}", "check the path, or `implicit-bias list`")
        path = path.resolve()
        return _checked(path, f"{path.parent.name}/{path.stem}" if _has_a_paper(path) else path.stem)
    name = text.strip("/")
    if entry := _named(name):
        return entry
    known = {e.name: e for e in entries()}
    short = {e.name.partition("/")[2]: e for e in known.values()}
    alike = [n for n in known if n.endswith(f"/{name}")]
    if len(alike) == 1:
        return short[name]
    if alike:
        raise Mistake("study", f"{text!r} is the name of several", f"name one in full: {', '.join(alike)}")
    if "." in text and "/" not in text and all(part.isidentifier() for part in text.split(".")):
        sys.path.insert(0, os.getcwd())
        try:
            spec = importlib.util.find_spec(text)
        except ImportError:
            spec = None
        finally:
            sys.path.remove(os.getcwd())
        if spec is not None and spec.origin:
            return _checked(Path(spec.origin), "/".join(text.split(".")[-2:]))
    if "/" in name and not nearest(name, known).startswith("did"):
        there = "go to the folder that holds its experiments/, or `implicit-bias list` shows what is known here"
        raise Mistake("study", f"there is no study {text!r}, and no experiments/{name}.py here", there)
    raise Mistake("study", f"there is no study {text!r}", nearest(text, [*known, *short]))


def _named(name: str) -> Entry | None:
    """The study of a short name in full: the one file is read, and not all that are known."""
    paper, _, stem = name.partition("/")
    if not paper or paper == ".." or stem.startswith("_") or "/" in stem:
        return None
    paths = (root / paper / f"{stem}.py" for root in roots())
    return next(filter(None, (_read(path, name) for path in paths if os.path.isfile(path))), None)


def is_shipped(path: Path) -> bool:
    """Whether a study file is one of a folder of papers, and so has a name of its own."""
    return path.parent.parent.name == "experiments"


def _has_a_paper(path: Path) -> bool:
    """Whether the folder of a study file is part of its name: a paper's, or one below the current folder."""
    return is_shipped(path) or Path.cwd().resolve() in path.parent.parents


def _checked(path: Path, name: str) -> Entry:
    entry = _read(path, name)
    if entry is None:
        raise Mistake("study", f"{path} defines no `study`", "end the file with `study = ib.Study(...)`")
    return entry


def expand(targets: list[str]) -> list[Entry]:
    """Studies and whole papers; every study where nothing is named."""
    known = entries()
    if not targets:
        return known
    found: list[Entry] = []
    for target in targets:
        group = [e for e in known if e.paper == target.strip("/")]
        if not group and "/" not in target and "." not in target:
            papers = sorted({e.paper for e in known})
            try:
                group = [find(target)]
            except Mistake:
                words = [*papers, *(e.name for e in known)]
                raise Mistake("paper", f"there is no paper or study {target!r}", nearest(target, words)) from None
        found += group or [find(target)]
    return list(dict.fromkeys(found))


def load(entry: Entry) -> Study:
    """Import a study file; its folder is a package in that of all papers, so `from . import claims` works anywhere.

    What papers of one family share is a file beside their folders: `from .._sensing import claims_of_the_start`.
    """
    folder = entry.path.resolve().parent
    family = f"_studies_{zlib.crc32(str(folder.parent).encode()):08x}"
    package = f"{family}.{folder.name.replace('.', '_')}_{zlib.crc32(folder.name.encode()):08x}"
    for name, place in ((family, folder.parent), (package, folder)):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.__path__ = [str(place)]
            sys.modules[name] = module
    sources.begin(folder)
    try:
        module = importlib.import_module(f"{package}.{entry.path.stem}")
    except Mistake:
        raise
    except (Exception, SystemExit) as error:
        raise Mistake("study", blame(error, folder), f"mend {entry.path.name}") from error
    study = getattr(module, "study", None)
    from .study import Study

    if not isinstance(study, Study):
        raise Mistake("study", f"{entry.path} has a `study` that is no ib.Study", "make it with ib.Study(...)")
    return dataclasses.replace(study, name=entry.name, statement=entry.docstring.strip())


def blame(error: BaseException, folder: Path | None = None) -> str:
    """An exception in one line, with the study's own file and line where it came from."""
    library = Path(__file__).resolve().parent
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if (path := Path(frame.filename).resolve()).parent in (folder, folder and folder.parent)
        or (folder is None and library not in path.parents and "site-packages" not in path.parts)
    ]
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}: " if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{Path(error.filename).name}:{error.lineno}: "
    text = " ".join(message_of(error).split())
    return f"{where}{type(error).__name__}: {text[:300]}"
