"""Scenarios of a real SLURM: the tests of `tests/cluster/test_slurm.py`, again and again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .common import Outcome, Tally

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "cluster" / "test_slurm.py"


def attack(count: int, seed: int, folder: Path) -> Outcome:
    """Until so many scenarios have been run; none where there is no SLURM."""
    tally = Tally(seed)
    if not TESTS.is_file():
        tally.notes.append(f"there is no {TESTS.relative_to(ROOT)}")
        return tally.outcome()
    while tally.tried < count:
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={folder / 'pytest'}",
            str(TESTS),
        ]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        said = done.stdout.strip().splitlines()
        counts = {
            word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", said[-1] if said else "")
        }
        tried = counts.get("passed", 0) + counts.get("failed", 0) + counts.get("error", 0)
        if not tried:
            tally.notes.append(said[-1] if said else f"pytest ended with {done.returncode}")
            break
        tally.tried += tried
        for line in (one for one in said if one.startswith(("FAILED", "ERROR"))):
            tally.lose(line)
    return tally.outcome()
