r"""What a study's files say of a run, as one digest: results tell by it whether they were edited since.

Read from the text, and nothing is imported for it: it is the same wherever the files lie, and in any process.

    study = ib.Study(cell=cell, facts=FACTS, observe={...}, claims=CLAIMS, ...)

It begins with what `Study` is given, but for claims, figures, predictions and grids (a grid is held to the plan's own),
and goes on to whatever is named there: the statements of its module that bind or change a name, what they name, and
through imports the other files of the user's. Comments, layout, doc strings and hints of arguments are no part of it.

>>> mine = {"mine.py": "study = Study(cell=f, claims=[1])\ndef f(x):\n    return x"}
>>> commented = {"mine.py": "study = Study(cell=f, claims=[2])\ndef f(x): return x  # a comment"}
>>> edited = {"mine.py": "study = Study(cell=f, claims=[1])\ndef f(x):\n    return -x"}
>>> [digest_of(texts, "mine.py") == digest_of(mine, "mine.py") for texts in (commented, edited)]
[True, False]

Files that are named there, beside the study or where the command runs, are read, too: `np.loadtxt("labels.txt")`. What it
cannot see: names that are made up as a program runs, and what is installed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import os
import symtable
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from . import sources
from ._files import is_users

_NOT_OF_A_RUN = {"claims", "figures", "predict", "grids", "sizes", "name", "statement"}
"""What `Study` is given besides."""
_WHOLE = ""
"""In the place of a name: everything in a file."""


def wording(path: Path) -> str:
    """The digest of a study file; "" of one that cannot be read or parsed."""
    return digest_of({}, str(path.resolve()))


def digest_of(texts: Mapping[str, str], path: str) -> str:
    """The same, of files by their paths; those that are not among `texts` are read."""
    reader = _Reader(texts, path)
    try:
        reader.study(path)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return hashlib.sha256("\0".join(sorted(reader.said)).encode(errors="surrogateescape")).hexdigest()[:16]


class _Part(NamedTuple):
    """A piece of a file: its text, and of the module's names those that it binds, and those that it reads."""

    text: str
    bound: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    dotted: Mapping[str, frozenset[str]] = MappingProxyType({})
    """Of names that nothing is done with but to take something by a dot: what."""
    imports: tuple[ast.Import | ast.ImportFrom, ...] = ()
    """Inside a function or under a condition."""
    words: frozenset[str] = frozenset()
    """Texts in it, which may be names of files."""


class _From(NamedTuple):
    """A name that is another file's, or that file as a whole."""

    text: str
    path: str
    name: str


class _Reader:
    def __init__(self, texts: Mapping[str, str], path: str):
        self.texts = texts
        self.folder = os.path.dirname(path)
        self.said: set[str] = set()
        self._followed: set[tuple[str, str]] = set()
        self._bound: dict[str, dict[str, list[_Part | _From]]] = {}

    def study(self, path: str) -> None:
        """What `study` is given of a run."""
        for part in self._of(path).get("study", []):
            tree = ast.parse(part.text).body[0]
            call = getattr(tree, "value", None)
            if not isinstance(call, ast.Call) or call.args or not ast.unparse(call.func).endswith("Study"):
                self._read(path, "study", part)
                continue
            for given in call.keywords:
                if given.arg not in _NOT_OF_A_RUN:
                    self._read(path, f"study.{given.arg or '**'}", _part(ast.Expr(given.value)))

    def _say(self, path: str, name: str, part: _Part | _From) -> None:
        near = Path(path).is_relative_to(os.path.dirname(self.folder))
        self.said.add(f"{os.path.relpath(path, self.folder) if near else os.path.basename(path)} {name}: {part.text}")
        for word in part.words if isinstance(part, _Part) else ():
            places = os.path.join(os.path.dirname(path), word), os.path.abspath(word)
            if content := next(filter(None, map(sources.digest, places)), None):
                self.said.add(f"file {word}: {content}")

    def _read(self, path: str, name: str, part: _Part | _From) -> None:
        self._say(path, name, part)
        if isinstance(part, _From):
            return self._follow(part.path, part.name)
        for statement in part.imports:
            for bound, target in self._imported(path, statement):
                if isinstance(target, _From):
                    self._enter(target, part.dotted.get(bound))
        for read in part.names:
            for found in self._of(path).get(read, []):
                if isinstance(found, _From) and found.name == _WHOLE:
                    self._say(path, read, found)
                    self._enter(found, part.dotted.get(read))
                else:
                    self._follow(path, read)

    def _enter(self, target: _From, dotted: frozenset[str] | None) -> None:
        """What is taken of a file: of a module by its name, the names behind its dots where there is nothing else."""
        for name in dotted or {_WHOLE} if target.name == _WHOLE else {target.name}:
            self._follow(target.path, name)

    def _follow(self, path: str, name: str) -> None:
        if (path, name) in self._followed:
            return
        self._followed.add((path, name))
        bound = self._of(path)
        for one in bound if name == _WHOLE else {name} & {*bound}:
            for part in bound[one]:
                self._read(path, one, part)
        beside = _file(os.path.dirname(path), name, self.texts) if os.path.basename(path) == "__init__.py" else None
        if name and name not in bound and beside:
            self._follow(beside, _WHOLE)

    # -- files ------------------------------------------------------------------------------------------------------

    def _of(self, path: str) -> dict[str, list[_Part | _From]]:
        """Of each name of a file: the statements that bind or change it, or where it comes from."""
        if path not in self._bound:
            text = self.texts[path] if path in self.texts else Path(path).read_text("utf-8")
            bound: dict[str, list[_Part | _From]] = {}
            self._bound[path] = bound
            for statement in _Bare().visit(ast.parse(text)).body:
                if isinstance(statement, (ast.Import, ast.ImportFrom)):
                    for name, target in self._imported(path, statement):
                        bound.setdefault(name, []).append(target)
                    continue
                part, changed = _part(statement), _changed(statement)
                for name in part.bound | changed:
                    bound.setdefault(name, []).append(part)
        return self._bound[path]

    def _imported(self, path: str, statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, _Part | _From]]:
        """Each name that an import binds, and what to."""
        for alias in statement.names:
            name = alias.asname or alias.name.partition(".")[0]
            text = ast.unparse(statement.__class__(**{**vars(statement), "names": [alias]}))
            where = self._file_of(path, statement, alias)
            found = where, _WHOLE if isinstance(statement, ast.Import) or alias.name == "*" else alias.name
            if isinstance(statement, ast.ImportFrom) and (where is None or os.path.basename(where) == "__init__.py"):
                folder = os.path.dirname(where) if where else _folder(path, statement)
                if folder and (file := _file(folder, alias.name, self.texts)):  # a module of a package, or of a mere folder
                    found = file, _WHOLE
            if found[0] is None:
                yield name, _Part(text)
            elif found[1] == _WHOLE and alias.name == "*":
                for one in self._of(found[0]):
                    yield one, _From(text, found[0], one)
            else:
                yield name, _From(text, *found)

    def _file_of(self, path: str, statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> str | None:
        """The user's file that an import reads."""
        if isinstance(statement, ast.ImportFrom) and statement.level:
            folder = _folder(path, statement)
            return _file(*os.path.split(folder), self.texts) if statement.module else _file(folder, "", self.texts)
        name = statement.module if isinstance(statement, ast.ImportFrom) else alias.name
        first, *rest = name.split(".")
        if isinstance(statement, ast.Import) and not alias.asname:
            rest = []  # `import a.b` binds a
        spec = importlib.machinery.PathFinder.find_spec(first)
        if spec is None or not spec.origin or not spec.has_location or not is_users(spec.origin):
            return None
        return _file(os.path.join(os.path.dirname(spec.origin), *rest[:-1]), rest[-1], self.texts) if rest else spec.origin


def _folder(path: str, statement: ast.ImportFrom) -> str | None:
    """What `from ..a import` means by ..a, where there need be no package."""
    if not statement.level:
        return None
    for _ in range(statement.level):
        path = os.path.dirname(path)
    return os.path.join(path, *(statement.module or "").split("."))


def _file(folder: str, name: str, texts: Mapping[str, str]) -> str | None:
    """A module's file, or a package's."""
    ends = [f"{name}.py", os.path.join(name, "__init__.py")] if name else ["__init__.py"]
    paths = [os.path.join(folder, end) for end in ends]
    return next((p for p in paths if p in texts or os.path.isfile(p)), None)


# -- statements --------------------------------------------------------------------------------------------------------


class _Bare(ast.NodeTransformer):
    """Without doc strings, and without the hints of arguments."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = kept or ([] if isinstance(node, ast.Module) else [ast.Pass()])
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802
        node.returns = None
        return self.generic_visit(node)


def _part(statement: ast.stmt) -> _Part:
    text = ast.unparse(ast.Module([statement], []))
    dotted: dict[str, set[str]] = {}
    plain: dict[str, int] = {}
    imports, words = [], set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            dotted.setdefault(node.value.id, set()).add(node.attr)
            plain[node.value.id] = plain.get(node.value.id, 0) - 1
        elif isinstance(node, ast.Name):
            plain[node.id] = plain.get(node.id, 0) + 1
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _may_be_a_file(node.value):
            words.add(node.value)
    only = {name: frozenset(names) for name, names in dotted.items() if not plain[name]}
    table = symtable.symtable(text, "<study>", "exec")
    bound = frozenset(s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace())
    return _Part(text, bound, frozenset(_read_names(table, top=True)), only, tuple(imports), frozenset(words))


def _may_be_a_file(text: str) -> bool:
    return "." in text and len(text) < 256 and text.isprintable()


def _read_names(table: symtable.SymbolTable, top: bool = False) -> Iterator[str]:
    """The names of the module that a statement reads, in functions inside too."""
    for symbol in table.get_symbols():
        if symbol.is_referenced() if top else symbol.is_global():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _read_names(inner)


def _changed(statement: ast.stmt) -> set[str]:
    """The names whose values a statement may change without binding them: `X[0] = 1`, `X.append(1)`, `fill(X)`."""
    found: set[str] = set()
    for node in _of_the_module(statement):
        of: ast.AST | None = None
        if isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, (ast.Store, ast.Del)):
            of = node.value
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            of = node.value.func
            found |= {a.id for a in node.value.args if isinstance(a, ast.Name)}
        while isinstance(of, (ast.Subscript, ast.Attribute, ast.Call)):
            of = of.func if isinstance(of, ast.Call) else of.value
        if isinstance(of, ast.Name):
            found.add(of.id)
    return found


def _of_the_module(node: ast.AST) -> Iterator[ast.AST]:
    """A statement's nodes, but for those of functions and classes, which do nothing yet."""
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _of_the_module(child)
