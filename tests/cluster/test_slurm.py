"""A sweep on a real SLURM, through what a cluster does to jobs: each time its tiles are those of a run without SLURM.

A scenario submits workers, waits until some tiles are there and some are missing, does the harm, and goes on as a user
would: by waiting where SLURM brings the job back, by submitting again where it does not.
"""

import os
import re
import signal

import pytest

from .conftest import STUDY, tiles_in, until

pytestmark = [pytest.mark.slow]


class Sweep:
    """The slow study in a folder of its own."""

    def __init__(self, cluster, folder, expected):
        self.cluster, self.folder, self.expected = cluster, folder, expected
        self.jobs = []
        folder.mkdir()
        (folder / "slow.py").write_text(STUDY)

    def submit(self, *words):
        said = self.cluster.lab("submit", "slow.py", *words, cwd=self.folder).stdout
        self.jobs.append(re.match(r"job (\d+): ", said)[1])
        return self.jobs[-1]

    def tiles(self):
        return tiles_in(self.folder)

    def said(self):
        logs = sorted((self.folder / "results/slow/jobs").glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()}" for log in logs)

    def wait(self, holds, what):
        """For as long as tiles come."""
        said = lambda: f"{what}; queue: {self.cluster.queue()}; logs: {self.said()}"  # noqa: E731
        return until(holds, said, progress=lambda: len(self.tiles()))

    def under_way(self):
        """Wait until some tiles are there; the rest must be missing, or the harm would come too late."""
        self.wait(self.tiles, "no tile")
        return self.unfinished()

    def unfinished(self):
        tiles = self.tiles()
        assert 0 < len(tiles) < len(self.expected), "the sweep is too fast for this scenario"
        return tiles

    def left_the_queue(self):
        self.wait(lambda: not self.cluster.queue(), "the queue is not empty")

    def check(self):
        self.left_the_queue()
        assert self.tiles().keys() == self.expected.keys(), self.said()
        assert self.tiles() == self.expected

    def close(self):
        for job in self.jobs:
            self.cluster.run("scancel", job, fails=True)
        self.left_the_queue()


@pytest.fixture
def sweep(alone, cluster, expected, tmp_path):
    sweep = Sweep(cluster, tmp_path / "lab", expected)
    yield sweep
    sweep.close()


def high_priority_job(sweep):
    """A job that needs every node."""
    argv = ["sbatch", "--parsable", "--partition=high", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=true"]
    sweep.jobs.append(sweep.cluster.run(*argv).stdout.strip())


def test_an_array(alone, cluster, expected, tmp_path):
    """Three workers, in a folder whose name needs every kind of quoting."""
    sweep = Sweep(cluster, tmp_path / """it's 100% "odd" #1 $HOME %A é""", expected)
    job = sweep.submit("--workers", "3", "--slurm", "cpus-per-task=1")
    assert f"job {job}: " in cluster.lab("status", "results/slow", cwd=sweep.folder).stdout
    sweep.check()
    assert {cluster.task(job, i)["JobState"] for i in range(3)} == {"COMPLETED"}
    assert f"job {job}: " not in cluster.lab("status", "results/slow", cwd=sweep.folder).stdout
    assert len(list((sweep.folder / "results/slow/jobs").glob(f"{job}_[012].log"))) == 3
    nothing = cluster.lab("submit", "slow.py", cwd=sweep.folder)
    assert nothing.stdout == "" and "nothing to submit" in nothing.stderr


def test_a_requeue(sweep):
    job = sweep.submit("--workers", "1")
    sweep.under_way()
    sweep.cluster.run("scontrol", "requeue", f"{job}_0")
    sweep.check()
    assert sweep.cluster.task(job)["Restarts"] == "1"


def test_pre_emption(sweep):
    """SLURM ends the job and requeues it."""
    job = sweep.submit("--workers", "1", "--slurm", "partition=low")
    sweep.under_way()
    high_priority_job(sweep)
    sweep.check()
    assert sweep.cluster.task(job)["Restarts"] == "1"


def test_pre_emption_of_tasks_with_time_of_grace(sweep):
    """Two workers under one srun: told at once, they end the job, which SLURM then takes for ended; it is requeued."""
    job = sweep.submit("--workers", "2", "--slurm", "partition=grace", "ntasks=2")
    sweep.under_way()
    high_priority_job(sweep)
    sweep.wait(lambda: sweep.cluster.task(job)["Restarts"] == "1", "not requeued")
    sweep.unfinished()
    sweep.check()
    assert sweep.cluster.task(job)["JobState"] == "COMPLETED"


def test_the_warning_before_the_time_limit(sweep):
    job = sweep.submit("--workers", "1")
    sweep.under_way()
    sweep.cluster.run("scancel", "--signal=USR1", "--batch", f"{job}_0")
    sweep.wait(lambda: sweep.cluster.task(job)["Restarts"] == "1", "not requeued")
    assert "back into the queue" in sweep.said()
    sweep.unfinished()
    sweep.check()
    assert sweep.cluster.task(job)["JobState"] == "COMPLETED"


def test_the_warning_reaches_the_tasks_of_srun(sweep):
    job = sweep.submit("--workers", "2", "--slurm", "ntasks=2")
    sweep.under_way()
    sweep.cluster.run("scancel", "--signal=USR1", "--batch", f"{job}_0")
    sweep.check()
    assert sweep.cluster.task(job)["Restarts"] == "1"


def test_a_node_that_dies(sweep):
    """Its slurmd and all of the job's processes are gone at once, and it is marked as down, as SLURM itself does when a
    node has not answered for SlurmdTimeout: the job is requeued, and the node is used again when it is back.
    """
    cluster = sweep.cluster
    job = sweep.submit("--workers", "1")
    sweep.under_way()
    node = cluster.task(job)["BatchHost"]
    os.kill(cluster.pid(f"slurmd-{node}"), signal.SIGKILL)
    daemons, processes = cluster.step_daemons(job), cluster.processes(job)
    assert daemons and processes
    for pid in [*daemons, *processes]:
        os.kill(pid, signal.SIGKILL)
    sweep.unfinished()
    cluster.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=died")
    sweep.wait(lambda: cluster.task(job)["Restarts"] == "1", "not requeued")
    cluster.run("slurmd", "-N", node, "-f", cluster.env["SLURM_CONF"])
    sweep.check()
    until(lambda: cluster.run("sinfo", "--noheader", f"--nodes={node}", "--format=%T").stdout == "idle\n", "not back")


def test_a_controller_that_dies(sweep):
    """The workers go on; when the controller is back, it knows of the job.

    It saves what it knows every five seconds, in which a fast machine would finish the sweep, and a controller that
    comes back without the job would end it as none of its own. So the workers stand still until it has saved.
    """
    cluster = sweep.cluster
    job = sweep.submit("--workers", "2")
    sweep.under_way()
    sweep.wait(lambda: len(cluster.workers(job)) == 2, "not both workers")
    with cluster.frozen(job):
        before = len(sweep.unfinished())
        saved = cluster.saved_at()
        cluster.run("scontrol", "update", f"JobId={job}", "Comment=under way")
        until(lambda: cluster.saved_at() > saved, "the controller does not save its state")
        os.kill(cluster.pid("slurmctld"), signal.SIGKILL)
    until(lambda: len(sweep.tiles()) > before, "no tile without the controller")
    cluster.run("slurmctld", "-f", cluster.env["SLURM_CONF"])
    until(lambda: cluster.run("scontrol", "ping", fails=True).returncode == 0, "the controller is not back")
    sweep.check()
    assert {cluster.task(job, i)["JobState"] for i in range(2)} == {"COMPLETED"}


def test_cancel_and_submit_again(sweep):
    """Finished tiles are kept, and not touched by those who come after."""
    job = sweep.submit("--workers", "2")
    sweep.under_way()
    with sweep.cluster.frozen(job):
        said = sweep.cluster.lab("cancel", cwd=sweep.folder).stdout
    assert f"cancelled job {job}: " in said and "implicit-bias submit slow.py --workers 2" in said
    sweep.left_the_queue()
    folder = sweep.folder / "results/slow/tiles"
    kept = {name: (folder / name).stat().st_mtime_ns for name in sweep.unfinished()}
    assert sweep.cluster.task(job)["JobState"] == "CANCELLED"
    assert "nothing to cancel" in sweep.cluster.lab("cancel", cwd=sweep.folder).stdout
    sweep.submit("--workers", "2")
    sweep.check()
    assert kept == {name: (folder / name).stat().st_mtime_ns for name in kept}


def test_a_worker_that_is_killed(sweep):
    """As by the kernel for want of memory: the job fails, SLURM does not bring it back, and submitting again does."""
    job = sweep.submit("--workers", "1")
    sweep.under_way()
    (worker,) = sweep.cluster.workers(job)
    os.kill(worker, signal.SIGKILL)
    sweep.left_the_queue()
    sweep.unfinished()
    task = sweep.cluster.task(job)
    assert (task["JobState"], task["Restarts"], task["ExitCode"]) == ("FAILED", "0", "137:0")
    sweep.submit("--workers", "1")
    sweep.check()
