"""What a real sbatch and srun say of our words: mistakes, limits, options, and a cell over two hosts."""

import re
import socket
import subprocess
import sys

import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.cluster import sbatch

from .conftest import STUDY

pytestmark = [pytest.mark.slow]


def test_what_sbatch_refuses_is_one_line_and_leaves_no_job(alone, cluster, tmp_path):
    (tmp_path / "slow.py").write_text(STUDY)
    done = cluster.lab("submit", "slow.py", "--slurm", "partition=none", cwd=tmp_path, fails=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: slurm: sbatch refused: ") and done.stderr.count("\n") == 1
    assert "invalid partition" in done.stderr and "--dry-run" in done.stderr
    assert cluster.queue() == "" and not list(tmp_path.glob("results/slow/jobs/*"))


def test_an_array_is_no_larger_than_the_cluster_allows(alone, cluster, tmp_path):
    """SLURM itself takes the script, and would take no longer array."""
    (tmp_path / "slow.py").write_text(STUDY)
    done = cluster.lab("submit", "slow.py", "--workers", "100", "--dry-run", cwd=tmp_path)
    assert "#SBATCH --array=0-32\n" in done.stdout and "33 tasks" in done.stderr

    def taken(script):
        return subprocess.run(["sbatch", "--test-only"], input=script, env=cluster.env, text=True, capture_output=True)

    assert taken(done.stdout).returncode == 0
    assert taken(done.stdout.replace("array=0-32", "array=0-33")).returncode != 0


def test_every_option_of_this_sbatch_is_known(cluster):
    said = cluster.run("sbatch", "--help").stdout
    options = set(re.findall(r"--([a-z][a-z-]+)", said))
    assert len(options) > 60
    assert not options - sbatch.OPTIONS - sbatch.OWN - sbatch._TASKS


SPANNED = '''
"""A problem whose arrays are long enough to be split."""
import implicit_bias as ib

def cell(*, scale, key):
    problem = ib.linear.gaussian(rows=3, columns=8192, loss=ib.logistic)(key)
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(1e-3, max_steps=20))

study = ib.Study(cell=cell, grids=ib.grid(seed=range(2), scale=[0.5, 1.0]), observe={"norm": ib.norm(2)})
'''


def test_two_processes_under_srun_span_a_cell(alone, cluster, tmp_path):
    """One host each, as far as SLURM knows; a coordinator that does not resolve is one line, before the start."""
    (tmp_path / "spanned.py").write_text(SPANNED)
    cluster.lab(
        "submit", "spanned.py", "--for", "tpu-pod", "--name", "none", "--workers", "2", cwd=tmp_path
    )  # writes the plan
    (plan,) = (tmp_path / "results/spanned/plans").iterdir()
    work = ["srun", "--nodes=2", "--ntasks=2", sys.executable, "-m", "implicit_bias", "work", str(plan), "--span"]
    refused = cluster.run(*work, "--coordinator", "no-such-host.invalid:7777", cwd=tmp_path, fails=True)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    lines = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2 and all("coordinator: 'no-such-host.invalid' does not resolve" in line for line in lines)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cluster.run(*work, "--coordinator", f"127.0.0.1:{port}", cwd=tmp_path)
    cluster.lab("run", "spanned.py", "--out", "alone", cwd=tmp_path)
    together, one = ib.open(tmp_path / "results/spanned"), ib.open(tmp_path / "alone/spanned")
    assert "2 processes x 1 device" in together.attrs["fingerprint"]
    np.testing.assert_allclose(together.norm, one.norm, rtol=1e-10)
