"""Each fault, as often as a test may: nothing is lost. And each attack finds what a worse laboratory would lose."""

import json
import sys

import pytest

from .table import FAULTS, ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills, limits and mounts are Linux's")


HERE = [
    pytest.param(fault, id=fault.name, marks=[pytest.mark.slow] if fault.slow else [])
    for fault in FAULTS.values()
    if not fault.own_test  # the quick form of the others is a test elsewhere
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", HERE)
def test_nothing_is_lost(fault, tmp_path):
    outcome = fault.alone(fault.quick, 0, tmp_path, patience=600)
    assert outcome.lost == 0, outcome.what
    assert outcome.tried >= fault.quick, outcome.note


TEETH = [
    ("killed_writes", 40, "files are written in place"),
    ("every_write", 1, "files are written in place"),
    ("unsynced", 40, "files are written in place"),
    ("unsynced", 40, "fsync of a file does nothing"),
    ("unsynced", 40, "fsync of a folder does nothing"),
    ("corrupted", 500, "tiles have no checksum"),
    ("writers_of_one_tile", 20, "writers share a temporary name"),
    ("payloads", 1, "nothing is escaped"),
    ("constants", 3, "addresses are scrubbed from the text"),
]


SABOTAGED = [
    pytest.param(*case, id=f"{case[0]}: {case[2]}", marks=[pytest.mark.slow] if FAULTS[case[0]].slow else [])
    for case in TEETH
]


@pytest.mark.slow
@pytest.mark.parametrize("name, count, sabotage", SABOTAGED)
def test_a_sabotaged_laboratory_is_found_out(name, count, sabotage, tmp_path):
    outcome = FAULTS[name].alone(count, 0, tmp_path, sabotage, patience=600)
    assert outcome.tried > 0 and outcome.lost > 0, outcome


def test_the_page_says_what_was_tried():
    """docs/reliability.md is what scripts/torture.py renders of docs/reliability.json."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import torture

    results = json.loads((ROOT / "docs" / "reliability.json").read_text())
    assert torture.rendered(results) == (ROOT / "docs" / "reliability.md").read_text()
    assert all(r["lost"] == 0 for r in results.values())


def test_nothing_that_was_not_tried_is_on_the_page():
    sys.path.insert(0, str(ROOT / "scripts"))
    import torture

    one = dict(tried=3, lost=1, what="a tile", note="", seconds=2, seed=0, cores=2)
    page = torture.rendered({"unsynced": one, "hostile": {**one, "tried": 0}, "gone": one})
    assert "| 3 crashes | 1 |" in page and "unsynced, 1 lost: a tile" in page and "two cores" in page
    assert FAULTS["hostile"].does not in page and "gone" not in page
