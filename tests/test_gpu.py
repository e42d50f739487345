"""On a GPU: the statuses and verdicts of the CPU, and its numbers to what another order of sums leaves.

Not of matrices: flows of small ones take minutes there, a kernel at a time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

STUDIES = {
    "wu2020/limit": ["seed=0..2", "ratio=0.3,3", "scale=0.1,1"],  # flows of rewritten runs
    "wu2020/robustness": ["seed=0..1", "scale=0.1,1"],  # descent: WN, rPGD, GD
    "chou2023/limit": ["seed=0,1", "scale=0.5", "ratio=0.3,3"],  # diagonal networks
}

READ = """
import json, sys
import numpy as np
import jax
import implicit_bias as ib
data = ib.open(sys.argv[1])
nodes = {n: v.to_dataset() for n, v in data.children.items()} if hasattr(data, "children") else {"": data}
out = {}
for name, ds in nodes.items():
    for v in ("status", "loss", "norm", "excess", "error", "x"):
        if v in ds:
            last = ds[v].isel(record=-1) if "record" in ds[v].dims else ds[v]
            out[f"{name}/{v}"] = np.asarray(last.values, float).ravel().tolist()
print(json.dumps(out))
"""


def _run(platform, name, words, out):
    environment = {**os.environ, "JAX_PLATFORMS": platform}
    command = [sys.executable, "-m", "implicit_bias", "run", name, *words, "--out", str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    read = [sys.executable, "-c", READ, str(out / name)]
    found = subprocess.run(read, env=environment, capture_output=True, text=True, check=True)
    return done, json.loads(found.stdout)


@pytest.mark.gpu
@pytest.mark.skipif(not any(Path("/dev").glob("nvidia[0-9]*")), reason="this machine has no GPU")
@pytest.mark.parametrize("name", STUDIES)
def test_a_gpu_gives_the_results_of_the_cpu(name, tmp_path):
    (on_gpu, gpu), (on_cpu, cpu) = (_run(p, name, STUDIES[name], tmp_path / p) for p in ("cuda", "cpu"))
    assert on_gpu.returncode == on_cpu.returncode == 0, (on_gpu.stderr, on_cpu.stderr)
    assert gpu.keys() == cpu.keys() and gpu
    for key in gpu:
        if key.endswith("/status"):
            np.testing.assert_array_equal(gpu[key], cpu[key])
        elif not key.endswith("/loss"):  # a loss at the stop rule is a difference that has been cancelled
            np.testing.assert_allclose(gpu[key], cpu[key], rtol=1e-6, atol=1e-8)
