"""A real SLURM for the tests of this folder: one cluster a session, started when first asked for.

Under xdist several processes may ask. The first one starts it, the last one that is done with it stops it, and each
scenario has it alone, because some of them break it: all three by locks on files in a folder that the processes share.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import implicit_bias

HERE = Path(__file__).parent
ROOT = Path(implicit_bias.__file__).parent.parent
CANNOT = 3
"""Exit code of `start` where there can be no SLURM."""

STUDY = '''
"""Many slow steps of a tiny problem: 24 tiles, one for each seed."""
import implicit_bias as ib

def cell(*, scale, key):
    problem = ib.linear.gaussian(rows=3, columns=7, target_norm=2.0)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(1e-4, max_steps=400_000))

# 32 scales a seed fill half a block: enough that lanes of different seeds are not mixed, so a tile is one seed.
study = ib.Study(cell=cell, grids=ib.grid(seed=range(24), scale=ib.linspace(0.1, 2.0, 32)), records=ib.log_records(4))
'''


@contextlib.contextmanager
def locked(path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def until(holds, what, seconds=120, progress=None):
    """Ask until the answer is true, for as long as `progress()` becomes another in each so many seconds: a machine that is
    busy with other things too is slow, and nothing is wrong with it."""
    seen, end = progress and progress(), time.monotonic() + seconds
    while not (answer := holds()):
        if progress and progress() != seen:
            seen, end = progress(), time.monotonic() + seconds
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what() if callable(what) else what}"
        time.sleep(0.1)
    return answer


@contextlib.contextmanager
def on_two_processors():
    """What is started here inherits it: on a machine with many, a sweep would be over before anything can go wrong."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_of_them)[:2])
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


class Cluster:
    """SLURM under one folder, and the commands that ask it."""

    def __init__(self, shared):
        self.base = shared / "slurm"
        self.shared = shared
        here = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        self.env = {
            **here,
            "SLURM_CONF": f"{self.base}/slurm.conf",
            "XDG_CACHE_HOME": str(shared / "cache"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep),
            "OPENBLAS_NUM_THREADS": "1",
        }

    def run(self, *argv, cwd=None, fails=False):
        with on_two_processors():
            done = subprocess.run(argv, env=self.env, cwd=cwd, capture_output=True, text=True, timeout=300)
        assert fails or done.returncode == 0, f"{argv}: {done.stderr}{done.stdout}"
        return done

    def lab(self, *words, cwd, fails=False):
        """A command of ours."""
        return self.run(sys.executable, "-m", "implicit_bias", *words, cwd=cwd, fails=fails)

    def task(self, job, index=0):
        """What SLURM knows of a task of an array."""
        said = self.run("scontrol", "--oneliner", "show", "job", f"{job}_{index}").stdout
        return dict(word.split("=", 1) for word in said.split() if "=" in word)

    def queue(self):
        return self.run("squeue", "--noheader", "--format=%i %T %r").stdout

    def pid(self, daemon):
        return int((self.base / "run" / f"{daemon}.pid").read_text())

    def processes(self, job):
        """pid -> words, of what a job runs: its script, the workers, srun."""
        marks = {f"SLURM_CONF={self.env['SLURM_CONF']}", f"SLURM_ARRAY_JOB_ID={job}"}
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if marks <= set((folder / "environ").read_text(errors="replace").split("\0")):
                    found[int(folder.name)] = (folder / "cmdline").read_text(errors="replace").split("\0")
        return found

    def workers(self, job):
        return [pid for pid, words in self.processes(job).items() if "work" in words]

    @contextlib.contextmanager
    def frozen(self, job):
        """Its workers stand still meanwhile."""
        workers = self.workers(job)
        try:
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def saved_at(self):
        """When the controller last saved what it knows of jobs."""
        return (self.base / "state" / "job_state").stat().st_mtime_ns

    def step_daemons(self, job):
        """The parents of those processes: they would tell the controller of their end."""
        mine = self.processes(job)
        parents = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in mine}
        return {p for p in parents - set(mine) if Path(f"/proc/{p}/comm").read_text().startswith("slurmstepd")}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """SLURM, running; skips where it cannot be had."""
    if os.environ.get("IMPLICIT_BIAS_NO_SLURM"):
        pytest.skip("IMPLICIT_BIAS_NO_SLURM is set")
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers of this session
    slurm = Cluster(shared)
    users, lock, refused = shared / "slurm-users", shared / "slurm.lock", shared / "no-slurm"
    with locked(lock):
        if not refused.exists():
            started = slurm.run(str(HERE / "start"), str(slurm.base), fails=True)
            assert started.returncode in (0, CANNOT), started.stderr
            if started.returncode == CANNOT:
                refused.write_text(started.stderr.strip())
        if refused.exists():
            pytest.skip(refused.read_text())
        users.mkdir(exist_ok=True)
        mine = users / str(os.getpid())
        mine.touch()
    yield slurm
    with locked(lock):
        mine.unlink()
        if not [user for user in users.iterdir() if Path("/proc", user.name).exists()]:
            slurm.run(str(HERE / "stop"), str(slurm.base))


@pytest.fixture
def alone(cluster):
    """No other scenario runs meanwhile."""
    with locked(cluster.shared / "alone.lock"):
        yield


@pytest.fixture(scope="session")
def expected(cluster):
    """The tiles of a run without SLURM: name -> bytes."""
    folder = cluster.shared / "local"
    with locked(cluster.shared / "local.lock"):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            (folder / "slow.py").write_text(STUDY)
            cluster.lab("run", "slow.py", cwd=folder)
            (folder / "done").touch()
    return tiles_in(folder)


def tiles_in(folder):
    return {path.name: path.read_bytes() for path in (folder / "results/slow/tiles").glob("*.safetensors")}
