"""The digest of what a user has written of a run: other with each word that counts, the same with all others."""

import dataclasses
import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from implicit_bias.sweep.ask.wording import same, wording

HELPER = """
RATE = 0.5
TABLE = {"b": [1, 2.0], "a": {3, 4}}

def twice(x):
    return 2 * x
"""
STUDY = '''
"""What it is."""
import dataclasses
import functools
import jax.numpy as jnp
from helper import RATE, TABLE
import helper

UNREAD = 1

@dataclasses.dataclass(frozen=True)
class Law:
    rate: float = 0.1
    def __call__(self, x):
        return self.rate * x

class Base:
    power = 2
    def of(self, x):
        return x**self.power

class Rule(Base):
    def __init__(self, at):
        self.at = at
    @property
    def twice(self):
        return 2 * self.at

def scaled(by):
    def inner(x):
        return by * x
    return inner

LAW, RULE, SCALED, PART = Law(), Rule(3), scaled(4.0), functools.partial(scaled, 5.0)

def cell(scale, *, rows=6):
    """What a cell is."""
    return [helper.twice(scale) for _ in range(rows)], RATE, TABLE, LAW(scale), RULE.of(RULE.twice), SCALED(1), PART(), jnp.sin(1)

def claim(ds):
    return ds + UNREAD
'''
EDITS = {  # of what is read -> as edited
    "a constant of a helper's module": ("RATE = 0.5", "RATE = 0.6"),
    "a table": ("3, 4", "3, 5"),
    "a helper's instruction": ("2 * x\n", "3 * x\n"),
    "a field's default": ("rate: float = 0.1", "rate: float = 0.2"),
    "a method": ("self.rate * x", "self.rate / x"),
    "what a base has": ("power = 2", "power = 3"),
    "a base's method": ("x**self.power", "x**self.power + 1"),
    "a field": ("Rule(3)", "Rule(2)"),
    "a property": ("2 * self.at", "4 * self.at"),
    "what is closed over": ("scaled(4.0)", "scaled(4.5)"),
    "what a partial holds": ("scaled, 5.0", "scaled, 6.0"),
    "a default": ("rows=6", "rows=7"),
    "an instruction": ("RULE.of(RULE.twice)", "-RULE.of(RULE.twice)"),
    "a function of a library": ("jnp.sin", "jnp.cos"),
    "the order of a list": ("[1, 2.0]", "[2.0, 1]"),
}
SAME = {
    "a doc string": ("What a cell is", "What any cell is"),
    "a doc string more": ("def twice(x):\n", "def twice(x):\n    'Of x.'\n"),
    "a comment": ("RATE = 0.5", "RATE = 0.5  # of the paper"),
    "lines": ("UNREAD = 1", "\n\n\nUNREAD = 1"),
    "what no run reads": ("UNREAD = 1", "UNREAD = 2"),
    "a claim": ("ds + UNREAD", "ds - UNREAD"),
    "the spelling of a number": ("RATE = 0.5", "RATE = 5e-1"),
    "the order of a table": ('"b": [1, 2.0], "a": {3, 4}', '"a": {4, 3}, "b": [1, 2.0]'),
}


def told(folder: Path, change=("", "")) -> str:
    """The digest of the study above, with one edit, as a process of its own would find it."""
    kept = sys.modules.pop("helper", None), list(sys.path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        for name, text in {"helper": HELPER, "study": STUDY}.items():
            path = folder / f"{name}.py"
            path.write_text(text.replace(*change) if change[0] else text)
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            exec(compile(path.read_text(), path, "exec"), module.__dict__)  # no .pyc: its clock is coarse
        return wording(module.cell)
    finally:
        sys.path[:] = kept[1]
        for name in ("helper", "study"):
            sys.modules.pop(name, None)


def test_the_edits_are_edits():
    for before, after in [*EDITS.values(), *SAME.values()]:
        assert (HELPER + STUDY).count(before) == 1 and before != after, before


@pytest.mark.parametrize("what", EDITS)
def test_what_a_run_reads_counts(what, tmp_path):
    assert not same(told(tmp_path), told(tmp_path, EDITS[what]))


@pytest.mark.parametrize("what", SAME)
def test_what_no_run_reads_does_not(what, tmp_path):
    assert told(tmp_path) == told(tmp_path, SAME[what])


def test_it_is_of_the_text_and_not_of_the_place(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    assert told(tmp_path / "a") == told(tmp_path / "b")


@pytest.mark.slow
def test_every_study_has_one_wording_whatever_the_process():
    code = (
        "from implicit_bias import catalogue\n"
        "for e in catalogue.entries(): print(e.name, catalogue.load(e).wording)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, text=True, check=True,
            cwd=Path(__file__).parents[2], stdout=subprocess.PIPE,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1] and len(said[0]) > 80
    assert all(len(line.split()) == 3 for line in said[0])


def test_values_count_by_their_content():
    of = wording
    assert of(np.arange(3)) == of(np.arange(3)) != of(np.arange(4)) and of(np.zeros(2)) != of(np.zeros(2, "f4"))
    assert of(optax.sgd(0.1)) == of(optax.sgd(0.1)) != of(optax.sgd(0.2)) and of(optax.sgd(0.1)) != of(optax.adam(0.1))
    assert of({"a": 1, "b": 2}) == of({"b": 2, "a": 1}) and of([1, 2]) != of([2, 1]) and of({1, 2}) == of({2, 1})
    assert of(1) != of(1.0) and of(0.0) != of(-0.0) and of(float("nan")) == of(float("nan"))
    assert of(jax.jit(lambda x: x + 1.5)) != of(jax.jit(lambda x: x + 2.5))
    assert of(functools.partial(max, 1)) != of(functools.partial(max, 2)) != of(functools.partial(min, 2))


def test_what_holds_itself_ends():
    loop = []
    loop.append(loop)
    assert wording(loop) == wording(loop)

    @dataclasses.dataclass
    class Node:
        next: object = None

    one = Node()
    one.next = Node(one)
    assert wording(one) == wording(one)
    deep = None
    for _ in range(10_000):
        deep = [deep]
    assert wording(deep) == "" and same("", wording(1)), "what cannot be told is not said to be edited"


def test_what_cannot_be_told_is_not_said():
    now = wording(1)
    assert same("", now) and same("cpython-399-0 0123", now) and not same(now + "0", now)
