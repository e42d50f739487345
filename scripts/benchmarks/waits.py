"""What a user waits for when little or nothing is to be computed: whole commands, wall and processor seconds.

A paper of small studies, in a folder of its own with a compile cache of its own: reproduced, reproduced again, run
again, and one claim and one figure of one study edited, each round anew. Then `run` of one study with nothing to
compute, beside the same where it is the only one with results; `plan`; and `study.run` once more in one process.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .common import table

STUDIES = 8
STUDY = """r'''A study of waiting.'''
import implicit_bias as ib
from . import words

def cell(*, scale, key, rows={rows}, columns=40):
    problem = ib.linear.gaussian(rows, columns, target_norm=3.0)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(5e-3, max_steps=20_000))

study = ib.Study(
    cell=cell, grids=ib.grid(seed=range(16), scale=ib.logspace(0.1, 4, 16)), observe={{"norm": ib.norm(2)}},
    records=ib.log_records(3), claims=[words.claim], figures=[words.figure],
)
"""
WORDS = """import implicit_bias as ib

claim = ib.Claim(
    id="bounded", source="bench", statement="|x| is at most {most}", kind=ib.Inequality(), because="nothing limits it",
    residual=lambda ds: ds.norm.isel(record=-1) - {most}, tolerance=lambda ds: 0.0, accepts=(ib.Status.CAPPED,),
)

def draw(ds):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.loglog(ds.scale, ds.norm.isel(record=-1).mean("seed"), "{mark}")
    return figure

figure = ib.Figure(id="sizes", draw=draw, caption="Sizes.")
"""


TWICE = """import time
from implicit_bias import catalogue

study = catalogue.load(catalogue.find("waits/s0"))
study.run(seed=range(4))
wall, processor = time.perf_counter(), time.process_time()
study.run(seed=range(4))
print(time.perf_counter() - wall, time.process_time() - processor)
"""


def job(options: argparse.Namespace) -> None:
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        paper = Path(folder, "experiments", "waits")
        paper.mkdir(parents=True)
        for number in range(STUDIES):
            (paper / f"s{number}.py").write_text(STUDY.format(rows=8 + number))
        environment = {**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": f"{folder}/cache"}

        def words(most: int, mark: str) -> None:
            (paper / "words.py").write_text(WORDS.format(most=most, mark=mark))

        def spent(*command: str, out: str = "results") -> tuple[float, float]:
            """(wall, processor) seconds."""
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            call = [sys.executable, "-m", "implicit_bias", *command, "--out", out]
            subprocess.run(call, cwd=folder, env=environment, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return time.perf_counter() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        words(99, "o")
        rows = {f"reproduce, {STUDIES} studies, empty cache": [spent("reproduce", "waits")]}
        one, report = ("run", "waits/s0"), ("report", "waits/s0")
        again = [spent("reproduce", "waits") for _ in range(options.rounds)]
        rows["reproduce again, nothing to compute"] = again
        rows[f"run with nothing to compute, {STUDIES} studies beside"] = [spent(*one) for _ in range(options.rounds)]
        shutil.copytree(Path(folder, "results", "waits", "s0"), Path(folder, "alone", "waits", "s0"))
        rows["run with nothing to compute, alone"] = [spent(*one, out="alone") for _ in range(options.rounds)]
        rows["plan"] = [spent("plan", "waits/s0") for _ in range(options.rounds)]
        lines = [
            subprocess.run([sys.executable, "-c", TWICE], cwd=folder, env=environment, check=True, capture_output=True).stdout
            for _ in range(options.rounds)
        ]
        rows["the same study.run(...) a second time, in one process"] = [tuple(map(float, line.split())) for line in lines]
        edits = {"check, a claim edited": ("check", "waits/s0"), "report, a claim or a figure edited": report}
        for name, command in edits.items():
            rows[name] = []
            for turn in range(options.rounds):
                words(100 + turn + 50 * (command is report), "o-sv^"[turn % 5])
                rows[name].append(spent(*command))
        said = [
            [name, *(f"{x:.2f}" for x in np.median(np.array(times), axis=0)), str(len(times))] for name, times in rows.items()
        ]
        print(table(["command", "wall s", "processor s", "rounds"], said, options.markdown))
