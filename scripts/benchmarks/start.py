"""Commands against the import of what they need, and what a change costs: wall seconds of whole processes.

`--help` and `list` beside `import numpy`; `plan`, and the first number of a warm `run`, beside `import jax`. Then a
claim is edited and judged again, and a study grows from 16 to 200 seeds beside 200 from nothing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .common import seconds, table

STUDY = """r'''A benchmark of starting.'''
import implicit_bias as ib

def cell(*, scale, key, rows=20, columns=100):
    problem = ib.linear.gaussian(rows, columns, target_norm=3.0)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(5e-3, max_steps={steps}))

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(16), scale=ib.logspace(0.01, 4, 64)),
    observe={{"norm": ib.norm(2)}},
    records=ib.log_records(3),
    claims=[ib.Claim(id="one", source="bench", statement="|x| is finite", residual=lambda ds: 0 * ds.norm.isel(record=-1),
                     tolerance=lambda ds: {tolerance}, because="-", accepts=(ib.Status.CAPPED,))],
)
"""


def job(options: argparse.Namespace) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "implicit_bias"]
    environment = os.environ | {"PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"}

    with tempfile.TemporaryDirectory() as folder:
        mine = Path(folder, "mine.py")
        mine.write_text(STUDY.format(steps=1000, tolerance=1.0))

        def wall(*words: str, python: str | None = None) -> float:
            call = [sys.executable, "-c", python] if python else [*command, *words]
            return seconds(lambda: subprocess.run(call, cwd=folder, env=environment, check=True, capture_output=True))

        def grow(start: str | None, to: str) -> float:
            with tempfile.TemporaryDirectory() as out:
                if start:
                    wall("run", "mine.py", start, "--out", out)
                return wall("run", "mine.py", to, "--out", out)

        wall("run", "mine.py")  # compiled, and computed
        one = ["run", "mine.py", "seed=0", "scale=0.1", "--out"]
        with tempfile.TemporaryDirectory() as out:
            wall(*one, out)
        rounds = range(options.rounds)
        numpy = [wall(python="import numpy") for _ in rounds]
        jax = [wall(python="import jax; jax.devices()") for _ in rounds]
        measured = {
            "--help": ([wall("--help") for _ in rounds], numpy, "import numpy"),
            "list": ([wall("list") for _ in rounds], numpy, "import numpy"),
            "plan": ([wall("plan", "mine.py") for _ in rounds], jax, "import jax; jax.devices()"),
        }

        def first_number() -> float:
            """Until the first tile is on the disk; the run then goes on to judge and draw."""
            with tempfile.TemporaryDirectory() as out:
                begun = time.perf_counter()
                with subprocess.Popen(
                    [*command, *one, out], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                ) as process:
                    while process.poll() is None and not any(Path(out).rglob("*.safetensors")):
                        time.sleep(2e-3)
                    spent = time.perf_counter() - begun
                    words = process.communicate()[0].decode()
                if process.returncode:
                    raise SystemExit(f"error: run: {words}")
                return spent

        measured["first number of a warm run"] = ([first_number() for _ in rounds], jax, "import jax; jax.devices()")
        rows = [
            [
                name,
                f"{np.median(own):.2f}",
                beside,
                f"{np.median(other):.2f}",
                f"{np.median(np.array(own) / other):.1f}",
            ]
            for name, (own, other, beside) in measured.items()
        ]
        print(table(["command", "s", "beside", "s", "ratio"], rows, options.markdown))

        def edited(tolerance: float) -> float:
            mine.write_text(STUDY.format(steps=1000, tolerance=tolerance))  # another each time: verdicts are kept
            return wall("check", "mine.py")

        print(f"edit a claim, `check`: {np.median([edited(2.0 + turn) for turn in rounds]):.2f} s\n")
        mine.write_text(STUDY.format(steps=100_000, tolerance=1.0))
        wall("run", "mine.py", "seed=0..1")
        whole = np.median([grow(None, "seed=0..199") for _ in range(3)])
        more = np.median([grow("seed=0..15", "seed=0..199") for _ in range(3)])
        print(
            f"16 to 200 seeds: {more:.2f} s; 200 from nothing: {whole:.2f} s; ratio {more / whole:.2f} (184/200 = 0.92)"
        )
