"""The package has floors, and imports point down: read from the source, and followed from file to file.

A file imports from floors below its own; on its own floor from its own folder, from a `base` (a seam), and from what
`SHARED` names. No two files import each other, by whatever way round.
"""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "implicit_bias"

FLOORS = [
    {"_types", "_results", "_errors", "_keys", "_charts", "_vectors", "_lanes", "_lazy", "_files"},
    {"linalg", "problems", "parameterizations", "theory", "data"},
    {"symmetry", "dynamics", "observables"},
    {"sweep"},
    {"evidence"},
]
"""The rest (study, commands, the package itself) is the top."""

SHARED = {
    "dynamics.schedules": "schedules are values: the invariant needs the ratio at its own time",
}

PAPERS = sorted(p.name for p in (ROOT.parent / "experiments").iterdir() if p.is_dir() and any(p.glob("*.py")))


def files():
    """Dotted names within the package -> paths."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "__init__"] = path
    return found


FILES = files()


def floor(name):
    head = name.split(".")[0]
    return next((i for i, members in enumerate(FLOORS) if head in members), len(FLOORS))


def imports(name):
    """What a file imports, inside functions too: (names within the package, names of other top-level packages)."""
    path = FILES[name]
    package = [*path.relative_to(ROOT).parent.parts]
    inside, outside = set(), set()

    def add(parts, names):
        """`from parts import names`: of modules where those are modules."""
        base = ".".join(parts)
        for n in names:
            whole = f"{base}.{n}" if base else n
            inside.add(whole if whole in FILES else base or "__init__")

    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head, *rest = alias.name.split(".")
                add(rest[:-1], rest[-1:]) if head == ROOT.name and rest else outside.add(head)
        elif isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            if node.level:
                add([*package[: len(package) - node.level + 1], *module], [a.name for a in node.names])
            elif module[0] == ROOT.name:
                add(module[1:], [a.name for a in node.names])
            else:
                outside.add(module[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy" and node.args:
            outside.add(node.args[0].value.split(".")[0])  # _lazy.lazy("xarray")
    return inside, outside


def packages(name):
    """The packages that a file is in: importing it imports them too."""
    parts = name.split(".")
    return {head for i in range(1, len(parts)) if (head := ".".join(parts[:i])) in FILES} | {"__init__"}


def reached(name):
    """Every file that importing one may import, by whatever way, and the other top-level packages they import."""
    inside, outside, due = set(), set(), [name]
    while due:
        now = due.pop()
        if now not in inside:
            inside.add(now)
            own, others = imports(now)
            due += [*own, *packages(now)]
            outside |= others
    return inside, outside


def allowed(name, target):
    if floor(target) != floor(name):
        return floor(target) < floor(name)
    same_folder = name.split(".")[0] == target.split(".")[0]  # a folder's own `__init__` too
    together = floor(name) in (0, len(FLOORS))
    return same_folder or together or target.endswith(".base") or target in SHARED


@pytest.mark.parametrize("name", FILES)
def test_imports_point_down(name):
    inside, _ = imports(name)
    assert not {target for target in inside if not allowed(name, target)}


def test_the_reader_of_imports_reads_them():
    """The check is of something: known arrows are found, and a wrong one is refused."""
    assert "dynamics.base" in imports("symmetry.base")[0]
    assert "_errors" in imports("problems.linear")[0]
    assert {"jax", "equinox"} <= imports("problems.linear")[1]
    assert "sweep.ask.grid" in imports("study")[0]
    assert len(FILES) > 30
    assert not allowed("problems.linear", "dynamics.descent")
    assert not allowed("dynamics.descent", "observables.folds")
    assert not allowed("_vectors", "problems.base")
    assert not allowed("sweep.program.engine", "evidence.claims")
    assert not allowed("parameterizations.polar", "problems.linear")
    assert allowed("parameterizations.polar", "problems.base")


def test_no_cycles():
    """A cycle is an error of graphlib's: CycleError names it."""
    graph = {name: imports(name)[0] - {name} for name in FILES if name != "__init__"}
    assert list(TopologicalSorter(graph).static_order())


def test_shared_files_of_a_floor_are_shared():
    """An exception that nobody needs any more is removed."""
    for target in SHARED:
        users = [n for n in FILES if target in imports(n)[0] and floor(n) == floor(target)]
        assert any(n.split(".")[0] != target.split(".")[0] for n in users)


JAX = {"jax", "jaxlib", "equinox", "jaxtyping", "optax", "diffrax", "flax", "chex", "matfree"}
EVIDENCE = [n for n in FILES if floor(n) == 4]


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_reads_datasets_only(name):
    """Claims are judged on a laptop: no file of this floor reaches jax or what is built on it, by whatever way."""
    inside, outside = reached(name)
    assert not outside & JAX, sorted(n for n in inside if imports(n)[1] & JAX)


def test_importing_all_of_evidence_does_not_import_jax():
    """The same, of the interpreter: nothing that the reader of imports might miss."""
    lines = [f"import implicit_bias.{n}" for n in EVIDENCE]
    lines += ["import sys", "print([m for m in ('jax', 'jaxlib', 'equinox', 'diffrax', 'optax') if m in sys.modules])"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["[]"]


def test_what_is_reached_is_followed():
    """The check has teeth: what runs programs is seen to reach jax over other files, and so are the papers."""
    assert "jax" in reached("referee.search")[1] and "jax" not in imports("referee.search")[1]
    assert "sweep.ask.document" in reached("evidence.export")[0]
    assert len(PAPERS) >= 8 and {"woodworth2020", "lyu2020", "morwani2021"} <= set(PAPERS)


@pytest.mark.parametrize("name", [n for n in FILES if floor(n) < len(FLOORS) and not n.startswith("theory")])
def test_no_paper_below_the_top(name):
    """What a study needs is general, or in its own folder under experiments/, or theory."""
    text = FILES[name].read_text()
    assert not [paper for paper in PAPERS if paper in text]


def _imported_by_papers():
    """(file, what it imports of the package) of every file under experiments/."""
    for path in sorted((ROOT.parent / "experiments").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from ((path.relative_to(ROOT.parent).as_posix(), name) for name in names if name.startswith(ROOT.name))


def test_a_paper_knows_the_public_face_alone():
    """`import implicit_bias as ib`, and public names of it: nobody has to know a file inside to write a study."""
    import implicit_bias as ib

    seen = list(_imported_by_papers())
    assert len({file for file, _ in seen}) > 25
    inside = [(f, n) for f, n in seen if n != ROOT.name and n.removeprefix(f"{ROOT.name}.") not in ib.__all__]
    assert not inside


def test_the_table_of_floors_names_every_file():
    """In CONTRIBUTING: of the first floors by folder, of the others file by file."""
    text = (ROOT.parent / "CONTRIBUTING.md").read_text()
    table = text[text.index("| floor |") : text.index("`experiments/` holds one folder")]
    words = {*re.findall(r"\w+", table)}
    named = {name if floor(name) > 2 else name.split(".")[0] for name in FILES} - {"__init__", "__main__"}
    assert {name for name in named if name.split(".")[-1] not in words} == set()
