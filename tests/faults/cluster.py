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
    while tally.tried < count:
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'pytest'}"]
        done = subprocess.run([*pytest, str(TESTS)], cwd=ROOT, capture_output=True, text=True)
        said = done.stdout.strip().splitlines()
        counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|error)", said[-1] if said else "")}
        tried = sum(counts.values())
        if not tried:
            tally.notes.append(said[-1] if said else f"pytest ended with {done.returncode}")
            break
        tally.tried += tried
        for line in (one for one in said if one.startswith(("FAILED", "ERROR"))):
            tally.lose(line)
    return tally.outcome()
