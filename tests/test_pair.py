"""Two studies at a time: as one after another, and both end when they are told to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core runs one study at a time"),
]
ROOT = Path(__file__).parents[1]
STUDY = '''"""A study."""
import implicit_bias as ib

def cell(*, scale, key):
    {line}
    problem = ib.linear.gaussian(3, 6, target_norm=1.0)(key)
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(1e-3, max_steps={steps}, stepped=True))

study = ib.Study(cell=cell, grids=ib.grid(seed=range({seeds}), scale=[0.5, 1.0]), records=ib.log_records(2))
'''


def study(folder, name, steps=10, seeds=1, line="pass"):
    (folder / "experiments/paper").mkdir(parents=True, exist_ok=True)
    (folder / f"experiments/paper/{name}.py").write_text(STUDY.format(steps=steps, seeds=seeds, line=line))


def reproduce(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen(
        [sys.executable, "-m", "implicit_bias", "reproduce", "paper"], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_one_that_fails_is_said_and_the_others_go_on(tmp_path):
    study(tmp_path, "a")
    study(tmp_path, "b", line='print("words"); {}["no"]')
    study(tmp_path, "c")
    study(tmp_path, "d", line="import os; os._exit(7)")
    process = reproduce(tmp_path)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 2, err
    assert out.splitlines()[:2] == ["paper/a: no claims", "paper/c: no claims"] and "words" not in out
    assert "error: cell: b.py:5: KeyError: 'no'; mend b.py (paper/b)" in err
    assert "error: study: the process that ran paper/d ended with 7" in err
    assert "2 of 4 studies could not be run" in err and "Traceback" not in err
    for name in "ac":
        assert (tmp_path / f"results/paper/{name}/report.html").is_file()


def test_an_interrupt_ends_both_and_keeps_their_tiles(tmp_path):
    for name in "ab":
        study(tmp_path, name, steps=500_000, seeds=20_000)
    process = reproduce(tmp_path)
    tiles = [tmp_path / f"results/paper/{name}/tiles" for name in "ab"]
    until = time.monotonic() + 300
    while not all([*folder.glob("*.safetensors")] for folder in tiles) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert err.count("runs are kept in results/paper/") == 2 and "Traceback" not in err
    assert "go on with: implicit-bias reproduce paper" in err
