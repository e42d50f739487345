"""The commands `submit`, `cancel` and `status`, with a SLURM that is four shell scripts; and the page about them."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from implicit_bias._errors import Mistake
from implicit_bias.cli import main
from implicit_bias.grammar import parse
from implicit_bias.cluster import COUNT, STOPPED, pods, sbatch, scheduler
from tests.cluster.test_pods import read_yaml
from tests.cluster.test_sbatch import parts, program

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/cluster.md").read_text()
TINY = ["seed=0..1", "scale=0.2,1"]


@pytest.fixture
def somewhere(tmp_path, monkeypatch, capsys):
    """A study in an empty folder, with the session's compile cache."""
    import jax

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = jax.config.jax_compilation_cache_dir
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine"]) == 0
    capsys.readouterr()
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", kept)


@pytest.fixture
def slurm(somewhere, monkeypatch):
    """sbatch accepts and keeps the script; squeue says what `queue` holds; scancel keeps what it is asked."""
    folder = somewhere / "slurm"
    folder.mkdir()
    program(folder / "sbatch", f"#!/bin/sh\ncat >{folder}/script\necho 12")
    program(folder / "squeue", f'#!/bin/sh\necho "$*" >{folder}/asked\ncat {folder}/queue')
    program(folder / "scancel", f'#!/bin/sh\necho "$*" >>{folder}/cancelled')
    program(folder / "scontrol", "#!/bin/sh\necho MaxArraySize = 3")
    (folder / "queue").touch()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def run(capsys, *argv):
    code = main(list(argv))
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.slow
def test_submit_status_cancel(capsys, slurm, somewhere):
    words = ["submit", "mine.py", *TINY, "--workers", "2", "--slurm", "partition=short", "mem=1G"]
    code, dry, _ = run(capsys, *words, "--dry-run")
    assert code == 0 and not (somewhere / "results").exists()
    code, out, _ = run(capsys, *words)
    assert code == 0 and out.startswith("job 12: 2 workers for 4 runs of mine in 1 tile; ")
    (plan,) = Path("results/mine/plans").iterdir()
    for command in ("status", "cancel"):
        assert f"implicit-bias {command} mine.py@{plan.stem[:9]}\n" in out
    text = (slurm / "script").read_text()
    assert text == dry
    assert parts(text)[0][-2:] == ["#SBATCH --partition=short", "#SBATCH --mem=1G"]
    record = json.loads((somewhere / "results/mine/jobs/12.json").read_text())
    assert Path(record["plan"]).is_file() and record["plan"] in text
    assert (
        record["again"]
        == "implicit-bias submit mine.py seed=0..1 scale=0.2,1 --workers 2 --slurm partition=short mem=1G"
    )
    assert f"# Written by: {record['again']}\n" in text

    (slurm / "queue").write_text("12|RUNNING|None\n12|PENDING|Resources\n12|PENDING|Priority\n99|RUNNING|None\n")
    code, out, _ = run(capsys, "status", "mine.py")
    assert code == 0 and out.endswith("  job 12: 1 running, 2 pending (Resources, Priority)\n")
    assert run(capsys, "status", record["plan"])[1].endswith("(Resources, Priority)\n")
    code, _, err = run(capsys, *words)
    assert code == 0 and err.startswith("note: already in the queue") and "job 12: 1 running" in err

    code, out, _ = run(capsys, "cancel")
    assert code == 0 and out.startswith("cancelled job 12: 1 running, 2 pending")
    assert "finished tiles are kept" in out and record["again"] in out
    assert (slurm / "cancelled").read_text() == "12\n"
    (slurm / "queue").write_text("")
    for target in ([], ["mine.py"], ["results/mine"]):
        code, out, _ = run(capsys, "cancel", *target)
        assert code == 0 and out.startswith("nothing to cancel")
    assert (slurm / "cancelled").read_text() == "12\n"


@pytest.mark.slow
def test_with_nothing_missing_nothing_is_submitted(capsys, slurm):
    assert run(capsys, "run", "mine.py", *TINY)[0] == 0
    code, out, err = run(capsys, "submit", "mine.py", *TINY)
    assert (code, out) == (0, "") and err == "mine: all 4 runs are done, nothing to submit\n"
    assert not (slurm / "script").exists()


@pytest.mark.slow
def test_an_array_as_large_as_the_cluster_allows(capsys, slurm):
    code, out, err = run(capsys, "submit", "mine.py", *TINY, "--workers", "8", "--at-once", "2", "--dry-run")
    assert code == 0 and "#SBATCH --array=0-2%2\n" in out
    assert err == "note: an array of 3 tasks, the most that this cluster takes (MaxArraySize), for 8 workers\n"


def test_a_job_of_another_cluster_is_asked_for_there(capsys, slurm):
    program(slurm / "sbatch", "#!/bin/sh\ncat >/dev/null\necho '13;north'")
    assert run(capsys, "submit", "mine.py", *TINY, "--slurm", "clusters=north,south")[0] == 0
    (slurm / "queue").write_text("13|RUNNING|None\n")
    assert run(capsys, "cancel", "mine.py")[0] == 0
    assert "--clusters=north " in (slurm / "asked").read_text()
    assert (slurm / "cancelled").read_text() == "--clusters=north 13\n"


SBATCH = {
    "refuses": ("echo 'sbatch: error: invalid partition' >&2\necho more >&2\nexit 1", "error: invalid partition more"),
    "says nothing of use": ("echo done", "sbatch refused: done"),
    "fails without a word": ("exit 3", "exit code 3"),
}


@pytest.mark.slow
@pytest.mark.parametrize("text, expected", SBATCH.values(), ids=SBATCH)
def test_a_failing_sbatch_is_one_line(capsys, slurm, somewhere, text, expected):
    program(slurm / "sbatch", f"#!/bin/sh\n{text}\n")
    code, out, err = run(capsys, "submit", "mine.py", *TINY)
    assert (code, out) == (2, "") and err.startswith("error: slurm: ") and err.count("\n") == 1
    assert expected in err and "--dry-run" in err
    assert not list((somewhere / "results/mine/jobs").iterdir())
    assert not list((somewhere / "results/mine/plans").iterdir())


@pytest.mark.slow
def test_a_plan_that_was_there_outlives_a_refusal(capsys, slurm, somewhere):
    assert run(capsys, "submit", "mine.py", *TINY)[0] == 0
    program(slurm / "sbatch", "#!/bin/sh\nexit 3\n")
    assert run(capsys, "submit", "mine.py", *TINY)[0] == 2
    assert len(list((somewhere / "results/mine/plans").iterdir())) == 1


def test_a_study_that_the_words_of_slurm_have_swallowed(capsys):
    code, out, err = run(capsys, "submit", "--slurm", "partition=low", "mine.py")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("error: STUDY: is missing; write it first: implicit-bias submit STUDY ...")


@pytest.mark.slow
def test_without_slurm_the_script_is_printed_and_nothing_is_submitted(capsys, somewhere, monkeypatch):
    monkeypatch.setenv("PATH", str(somewhere))
    code, out, err = run(capsys, "submit", "mine.py", *TINY, "--dry-run")
    assert code == 0 and out.startswith("#!/bin/bash\n") and err == ""
    code, out, err = run(capsys, "submit", "mine.py", *TINY)
    assert (code, out) == (2, "") and "there is no sbatch on this machine; --dry-run prints the script" in err
    assert list((somewhere / "results/mine/plans").iterdir())  # for `work PLAN`, of which that line speaks
    code, out, err = run(capsys, "cancel", "mine.py")
    assert code == 0 and out.startswith("nothing to cancel")
    assert run(capsys, "status", "mine.py")[0] == 0


def test_status_does_not_wait_for_a_slow_queue(slurm, somewhere, monkeypatch):
    monkeypatch.setattr(scheduler, "ANSWER", 0.2)
    results = somewhere / "results/mine"
    scheduler.submit("", results / "jobs", plan="p", tasks=1, again="")
    (slurm / "queue").write_text("12|RUNNING|None\n")
    assert scheduler.queue_lines(results) == ["job 12: 1 running"]
    program(slurm / "squeue", "#!/bin/sh\nexec sleep 60")
    assert scheduler.queue_lines(results) == []
    with pytest.raises(Mistake, match="did not answer"):
        scheduler.queued(scheduler.recorded(results / "jobs"), timeout=0.2)


def test_a_job_that_squeue_has_forgotten_is_not_queued(slurm, somewhere):
    """What squeue says of a single job that ended long ago; any other failure is not taken for an empty queue."""
    jobs = somewhere / "results/mine/jobs"
    scheduler.submit("", jobs, plan="p", tasks=1, again="")
    program(slurm / "squeue", "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1")
    assert scheduler.queued(scheduler.recorded(jobs), timeout=30) == []
    program(slurm / "squeue", "#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller' >&2\nexit 1")
    with pytest.raises(Mistake, match="Unable to contact"):
        scheduler.cancel(jobs.parent)
    assert scheduler.queue_lines(jobs.parent) == []


def test_a_record_that_cannot_be_read_is_left_out(slurm, somewhere):
    jobs = somewhere / "results/mine/jobs"
    job = scheduler.submit("", jobs, plan="p", tasks=1, again="")
    for name, text in {
        "13": "{",
        "14": "[]",
        "15": json.dumps({"id": "15"}),
        "x": (jobs / "12.json").read_text(),
    }.items():
        (jobs / f"{name}.json").write_text(text)
    assert scheduler.recorded(jobs) == [job]


def test_jobs_of_results_in_an_object_store_are_recorded_here(somewhere):
    for results in ("s3://bucket/all/mine", Path("s3://bucket/all/mine")):
        assert scheduler.jobs_folder(results) == Path("jobs/bucket/all/mine")
    assert scheduler.jobs_folder("results/mine") == Path("results/mine/jobs")


@pytest.mark.slow
def test_kubernetes_and_tpu_pods_are_printed_only(capsys, somewhere, monkeypatch):
    monkeypatch.setenv("PATH", str(somewhere))
    kubernetes = ["--for", "kubernetes", "--image", "lab:1", "--claim", "results"]
    code, out, err = run(capsys, "submit", "mine.py", *TINY, "--workers", "3", *kubernetes)
    assert code == 0 and err == "" and read_yaml(out)["spec"]["completions"] == 3
    (plan,) = Path("results/mine/plans").iterdir()
    assert f'"/results/mine/plans/{plan.name}"' in out
    code, out, err = run(capsys, "submit", "mine.py", *TINY, "--workers", "3", "--for", "tpu-pod", "--name", "pod")
    assert code == 0 and err == "" and out.count("\n") == 1 and str(plan.absolute()) in out


MISTAKES = {
    "a site word": (["--slurm", "partiton=x"], "slurm: 'partiton' is no long option of sbatch"),
    "no worker": (["--workers", "0"], "workers: must be at least 1"),
    "none at once": (["--at-once", "0"], "at-once: must be at least 1"),
    "words of another engine": (["--for", "tpu-pod", "--slurm", "mem=1G"], "slurm: says nothing to --for tpu-pod"),
    "an image for SLURM": (["--image", "lab:1"], "image: says nothing to --for slurm"),
    "no image": (["--for", "kubernetes"], "image: is needed"),
    "no volume": (["--for", "kubernetes", "--image", "x"], "claim: is needed"),
    "no pod": (["--for", "tpu-pod"], "give --name and --workers"),
    "a setting": (["scal=1"], "did you mean 'scale'"),
}


@pytest.mark.parametrize("words, expected", MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_one_line(capsys, slurm, words, expected):
    code, out, err = run(capsys, "submit", "mine.py", *words)
    assert (code, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1 and expected in err
    assert not (slurm / "script").exists()


@pytest.mark.slow
def test_cancel_and_status_import_no_jax(tmp_path):
    (tmp_path / "results/mine/jobs").mkdir(parents=True)
    script = (
        "import sys\nfrom implicit_bias.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "from implicit_bias.cluster import place, pods, sbatch, scheduler, submission\n"
        "assert 'jax' not in sys.modules, 'jax was imported'"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in (["cancel"], ["status"], ["submit", "mine.py", "--slurm", "x=1"], ["submit", "--help"]):
        argv = [sys.executable, "-c", script, *words]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, env=environ)
        assert done.returncode == 0, (words, done.stderr)


def test_the_script_in_the_page_is_the_script():
    lab = "/home/me/lab"
    words = "wu2020/robustness seed=0..199 --as full --workers 8 --slurm partition=gpu time=60 gres=gpu:1"
    text = sbatch.slurm_script(
        name="wu2020/robustness",
        plan=f"{lab}/results/wu2020/robustness/plans/5ab05f0bc1e27a0c.json",
        logs=f"{lab}/results/wu2020/robustness/jobs",
        folder=lab,
        array=8,
        site=sbatch.parse_site(words.partition("--slurm ")[2].split()),
        command=[f"{lab}/.venv/bin/python", "-m", "implicit_bias"],
        written_by=f"implicit-bias submit {words}",
    )
    assert f"```bash\n{text}```" in PAGE
    assert f"implicit-bias submit {words} --dry-run" in PAGE


def test_every_command_in_the_page_parses():
    commands = [shlex.split(line, comments=True) for line in re.findall(r"^implicit-bias .*$", PAGE, flags=re.M)]
    assert len(commands) >= 6
    for words in commands:
        if words[1] != "work":
            parse(words[1 : words.index(">") if ">" in words else None])


def test_the_page_says_what_the_code_does():
    for said in (COUNT, str(STOPPED), f"{sbatch.WARNING} s", f"{sbatch.WORKERS}", pods.MOUNT):
        assert said in PAGE, said
