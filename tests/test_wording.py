"""The digest of what a study's files say of a run: another with each word that counts, the same with all others."""

import re
import shutil
from pathlib import Path

import pytest

from implicit_bias import catalogue
from implicit_bias.wording import digest_of, wording

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = {
    "/lab/helper.py": """
RATE = 0.5
TABLE = {"b": [1, 2.0], "a": {3, 4}}
TABLE["c"] = 7
TABLE.update(d=8)
if RATE > 1:
    from .deeper import SIZE
else:
    SIZE = 9

def twice(x):
    return 2 * x

def linear(ds):
    return ds.norm
""",
    "/lab/deeper.py": "SIZE = 10\n",
    "/lab/late.py": "LATE = 11\nUNREAD = 12\n",
    "/lab/study.py": '''
"""What it is."""
import dataclasses
import functools
import implicit_bias as ib
import jax
import jax.numpy as jnp
from . import helper
from .helper import RATE, TABLE as table, linear

UNREAD = 1
LAYERS = [1]
for _ in range(3):
    LAYERS.append(13)

@dataclasses.dataclass(frozen=True)
class Law:
    rate: float = 0.1
    rates = [0.2]
    def __call__(self, x):
        return self.rate * x

class Base:
    power = 2
    @functools.cache
    def of(self, x):
        return x**self.power

class Rule(Base):
    def __init__(self, at):
        self._at = at

def scaled(by):
    def inner(x):
        return by * x
    return inner

LAW, RULE, SCALED = Law(), Rule(3), scaled(4.0)
MATRIX = jnp.eye(5)

@jax.jit
def late():
    from .late import LATE
    return LATE

def cell(scale, *, rows: int = 6):
    """What a cell is."""
    parts = [helper.twice(scale) for _ in range(rows)], RATE, table, LAW(scale), RULE.of(1), SCALED(1), MATRIX, helper.SIZE
    return parts, ib.linear.gaussian(2), LAYERS, late()

def seen(snapshot):
    return snapshot.loss + 14

study = ib.Study(
    cell=cell, grids=ib.grid(seed=range(2)), observe={"seen": seen}, records=ib.log_records(15), precision="float64",
    claims=[ib.Claim(id="one", residual=linear, tolerance=lambda ds: UNREAD)], sizes={"paper": {"seed": range(16)}},
)
''',
}
EDITS = {  # of what is read -> as edited
    "a number of a helper's": ("RATE = 0.5", "RATE = 0.6"),
    "a table": ("3, 4", "3, 5"),
    "an entry that is set later": ('TABLE["c"] = 7', 'TABLE["c"] = 6'),
    "a call that changes a table": ("update(d=8)", "update(d=9)"),
    "a branch": ("SIZE = 9", "SIZE = 8"),
    "a file that a branch imports": ("SIZE = 10", "SIZE = 11"),
    "a helper's function": ("2 * x\n", "3 * x\n"),
    "a loop at import": ("LAYERS.append(13)", "LAYERS.append(12)"),
    "a field's default": ("rate: float = 0.1", "rate: float = 0.2"),
    "a list of a class's": ("rates = [0.2]", "rates = [0.3]"),
    "a method": ("self.rate * x", "self.rate / x"),
    "what a base has": ("power = 2", "power = 3"),
    "a decorated method": ("x**self.power", "x**self.power + 1"),
    "a private field": ("Rule(3)", "Rule(2)"),
    "what is closed over": ("scaled(4.0)", "scaled(4.5)"),
    "a function inside": ("by * x", "by + x"),
    "a matrix": ("eye(5)", "eye(6)"),
    "what a function imports as it runs": ("LATE = 11", "LATE = 12"),
    "a default": ("rows: int = 6", "rows: int = 7"),
    "a cell": ("gaussian(2)", "gaussian(3)"),
    "an observable": ("snapshot.loss + 14", "snapshot.loss + 15"),
    "records": ("log_records(15)", "log_records(16)"),
    "the precision": ('"float64"', '"float32"'),
    "a decorator": ("@jax.jit", "@functools.cache"),
    "what a name means": ("import jax.numpy as jnp", "import numpy as jnp"),
    "where a name is from": ("from .late import LATE", "from .deeper import SIZE as LATE"),
}
SAME = {
    "a doc string": ("What a cell is", "What any cell is"),
    "a doc string more": ("def twice(x):\n", "def twice(x):\n    'Of x.'\n"),
    "a comment": ("RATE = 0.5", "RATE = 0.5  # of the paper"),
    "layout": ("def scaled(by):\n", "\n\ndef scaled(\n    by,\n):\n"),
    "a hint": ("rows: int", "rows: float"),
    "what no run reads": ("UNREAD = 1\n", "UNREAD = 2\n"),
    "what nobody reads of a file": ("UNREAD = 12", "UNREAD = 13"),
    "a claim": ("lambda ds: UNREAD", "lambda ds: 2 * UNREAD"),
    "a claim's helper, named as an attribute of the cell": ("return ds.norm", "return 2 * ds.norm"),
    "a grid, which is held to the plan's": ("range(2)", "range(3)"),
    "a size": ("range(16)", "range(17)"),
    "the spelling of a number": ("RATE = 0.5", "RATE = 5e-1"),
}


def told(before="", after=""):
    files = {path: text.replace(before, after) if before else text for path, text in FILES.items()}
    return digest_of(files, "/lab/study.py")


@pytest.mark.parametrize(("before", "after"), [*EDITS.values(), *SAME.values()])
def test_the_edits_are_edits(before, after):
    assert "".join(FILES.values()).count(before) == 1 and before != after


@pytest.mark.parametrize("what", EDITS)
def test_what_a_run_reads_counts(what):
    assert told() != told(*EDITS[what]) != ""


@pytest.mark.parametrize("what", SAME)
def test_what_no_run_reads_does_not(what):
    assert told() == told(*SAME[what])


def test_a_study_that_is_made_elsewhere_is_read_whole():
    """Which of its words are claims cannot be told: an edit of any is said."""
    texts = {"/lab/a.py": "def make(x):\n    return x\nstudy = make(cell=1, claims=[1])\n"}
    again = {"/lab/a.py": texts["/lab/a.py"].replace("[1]", "[2]")}
    assert digest_of(texts, "/lab/a.py") != digest_of(again, "/lab/a.py")


def test_names_of_a_whole_file_and_of_all_its_names():
    def of(study, helper="A = 1\nB = 2\n"):
        return digest_of({"/lab/a.py": study, "/lab/h.py": helper}, "/lab/a.py")

    taken = "from . import h\nstudy = Study(cell=h.A)"
    assert of(taken) != of(taken, "A = 2\nB = 2\n") and of(taken) == of(taken, "A = 1\nB = 3\n")
    handed = "from . import h\nstudy = Study(cell=lambda n: getattr(h, n))"
    assert of(handed) != of(handed, "A = 1\nB = 3\n")
    starred = "from .h import *\nstudy = Study(cell=A)"
    assert of(starred) != of(starred, "A = 2\nB = 2\n") and of(starred) == of(starred, "A = 1\nB = 3\n")


def test_what_cannot_be_read_has_none(tmp_path):
    assert wording(tmp_path / "gone.py") == "" == digest_of({"/a.py": "study = ("}, "/a.py")
    assert digest_of({"/a.py": "study = Study(cell=" + "(" * 500 + "1" + ")" * 500 + ")"}, "/a.py") == ""
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("from . import b\nstudy = Study(cell=b.f)\ng = 1\n")
    b.write_text("from . import a\nf = a.g\n")
    assert wording(a) != "", "files may import each other"


def test_a_file_that_is_named_counts_by_its_content(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir(), (tmp_path / "lab").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    a = tmp_path / "lab" / "a.py"
    cell = "def cell():\n    return open('near.txt'), open('far.txt'), 'a.b', '\\0.', '.' * 300\n"
    a.write_text(cell + "study = Study(cell=cell, claims=['no.txt'])\n")
    before = wording(a)
    assert before
    for place, counts in ("lab/near.txt", True), ("here/far.txt", True), ("lab/no.txt", False), ("lab/other.txt", False):
        for text in ("1", "2"):
            (tmp_path / place).write_text(text * 3)
            assert (wording(a) != before) == counts, place
            before = wording(a)


def test_of_each_study_the_cell_counts_and_a_claim_does_not(tmp_path):
    """And not where it lies."""
    shutil.copytree(EXPERIMENTS, tmp_path / "moved", ignore=shutil.ignore_patterns("__pycache__"))
    entries = [e for e in catalogue.entries() if e.path.is_relative_to(EXPERIMENTS)]
    assert sum("\ndef cell(" in entry.path.read_text() for entry in entries) > 80
    for entry in entries:
        moved = tmp_path / "moved" / f"{entry.name}.py"
        before, text = wording(entry.path), moved.read_text()
        assert before and wording(moved) == before, entry.name
        moved.write_text(re.sub(r"\bid=\"", 'id="another-', text) + "\n\ndef unread():\n    return 1\n")
        assert wording(moved) == before, entry.name
        edited, times = re.subn(r"^(def cell\(.*?\):[^\n]*\n)", r"\1    key = None\n", text, count=1, flags=re.M | re.S)
        moved.write_text(edited)
        assert times == ("\ndef cell(" in text) and (wording(moved) != before) == times, entry.name
        moved.write_text(text)
