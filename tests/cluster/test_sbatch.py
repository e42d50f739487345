"""Texts for many machines, without one: the script runs under bash with a worker that only says what it was given."""

import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from implicit_bias._errors import Mistake
from implicit_bias.cluster import sbatch

untimed = settings(deadline=None)


def program(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# -- site lines --------------------------------------------------------------------------------------------------------

HARMLESS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:/@+=[]-")
FEATURES = HARMLESS | set("|&*()")
options = st.sampled_from(sorted(sbatch.OPTIONS | sbatch.OWN))
near = st.text(st.sampled_from("a1:,= '\"$`;\\#<>&|(){}~!?*%\n\té"), min_size=1, max_size=3)
values = st.text(st.sampled_from(sorted(HARMLESS)), min_size=1) | near | st.text() | st.sampled_from(["4", "60"])
site_words = st.lists(st.builds("{}={}".format, options, values) | options | st.text(), max_size=4)


@given(site_words)
@untimed
def test_what_a_site_says_is_harmless_or_refused(words):
    """What is accepted is a line of the script and nothing else: the rest of the script does not depend on it."""
    try:
        site = sbatch.parse_site(words)
    except Mistake as mistake:
        assert str(mistake).startswith("slurm: ")
        return
    assert len(site) == len(words) and not site.keys() & sbatch.OWN
    for key, value in site.items():
        assert value is None or set(value) <= (FEATURES if key in ("constraint", "prefer") else HARMLESS)
    directives, body = parts(script(site=site))
    plain, plain_body = parts(script(site={"ntasks": "2"} if sbatch.tasks_of(site) > 1 else {}))
    assert directives[6:] == [f"#SBATCH --{word.removeprefix('--')}" for word in words]
    assert directives[:6] == plain[:6] and body == plain_body


@pytest.mark.parametrize("option, allowed", {"partition": HARMLESS, "constraint": FEATURES, "prefer": FEATURES}.items())
def test_every_other_character_is_refused(option, allowed):
    for character in map(chr, range(0x3000)):
        if character not in allowed:
            for value in (character, f"a{character}", f"{character}a", f"a{character}b"):
                with pytest.raises(Mistake):
                    sbatch.parse_site([f"{option}={value}"])


def script(**changes):
    said = dict(name="lab/study", plan="/r/plans/0.json", logs="/r/jobs", folder="/lab", array=4, site={})
    return sbatch.slurm_script(**{**said, **changes})


def parts(text):
    """(its directives, what bash runs): sbatch reads directives before the first line that is no comment."""
    lines = re.sub(r" \\\n +", " ", text).splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    assert not [line for line in lines[end:] if line.startswith("#SBATCH")]
    return [line for line in lines[:end] if line.startswith("#SBATCH")], lines[end:]


REFUSED = {
    "no option": ("partiton=short", "did you mean 'partition'?"),
    "a setting of the study": ("scale=1", "is no long option of sbatch; `sbatch --help` lists them"),
    "an option of the script's": ("array=0-9", "give --workers and --at-once"),
    "another one": ("export=NONE", "export is set by the script itself"),
    "an open number of tasks": ("ntasks-per-gpu=1", "give ntasks=N, or nodes=N"),
    "no value": ("partition", "write partition=VALUE"),
    "an empty value": ("partition=", "partition= is empty"),
    "a value for a flag": ("hold=yes", "write hold"),
    "a space": ("partition=a b", "not passed on"),
    "a line break": ("partition=a\n#SBATCH --uid=0", "not passed on"),
    "a command": ("partition=$(id)", "not passed on"),
    "a comment": ("partition=a#b", "not passed on"),
    "an alternative where none can be": ("partition=a|b", "not passed on"),
    "a range of nodes": ("nodes=2-4", "nodes must be one number"),
    "no task": ("ntasks=0", "ntasks must be one number"),
    "a limit shorter than the warning": ("time=2", "give time=10"),
    "the same in another notation": ("time=0:03:59", "give time=10"),
}


@pytest.mark.parametrize("word, expected", REFUSED.values(), ids=REFUSED)
def test_a_wrong_site_word_has_a_remedy(word, expected):
    with pytest.raises(Mistake, match=re.escape(expected)) as refused:
        sbatch.parse_site([word])
    assert refused.value.field == "slurm"


def test_site_words():
    assert sbatch.parse_site(["constraint=a100|h100", "exclusive", "nodelist=n[1-3,7]", "--mem=4G"]) == {
        "constraint": "a100|h100", "exclusive": None, "nodelist": "n[1-3,7]", "mem": "4G",
    }  # fmt: skip
    assert sbatch.parse_site(["exclusive=user", "time=1-00"]) == {"exclusive": "user", "time": "1-00"}
    with pytest.raises(Mistake, match="given twice"):
        sbatch.parse_site(["mem=1G", "mem=2G"])


@pytest.mark.parametrize(
    "text, minutes", [("4", 4), ("0:04:00", 4), ("4:00", 4), ("0-0:4", 4), ("1-0", 1440), ("90:30", 90.5)]
)
def test_time_limits_are_read_as_sbatch_does(text, minutes, monkeypatch):
    """From sbatch's manual: m, m:s, h:m:s, d-h, d-h:m, d-h:m:s. A limit of exactly twice the warning passes."""
    monkeypatch.setattr(sbatch, "WARNING", minutes * 30)
    assert sbatch.parse_site([f"time={text}"]) == {"time": text}
    monkeypatch.setattr(sbatch, "WARNING", minutes * 30 + 1)
    with pytest.raises(Mistake, match="leaves a worker no time"):
        sbatch.parse_site([f"time={text}"])


@pytest.mark.parametrize("text", ["infinite", "0", "UNLIMITED"])
def test_no_time_limit(text):
    assert sbatch.parse_site([f"time={text}"]) == {"time": text}


# -- the script --------------------------------------------------------------------------------------------------------


def test_the_script_is_what_it_says():
    directives, body = parts(script(at_once=2, site=sbatch.parse_site(["gres=gpu:4", "exclusive"])))
    assert [line.removeprefix("#SBATCH --") for line in directives] == [
        "job-name=lab/study",
        "array=0-3%2",
        "requeue",
        "signal=B:USR1@120",
        "open-mode=append",
        "output=/r/jobs/%A_%a.log",
        "gres=gpu:4",
        "exclusive",
    ]
    (start,) = [line for line in body if line.endswith(" &")]
    assert start == f'{sys.executable} -m implicit_bias work /r/plans/0.json --worker "$SLURM_ARRAY_TASK_ID" --of 4 &'
    assert "srun" not in "".join(body)


def test_several_tasks_are_started_by_srun_and_read_their_own_place():
    _, body = parts(script(site=sbatch.parse_site(["nodes=2", "ntasks-per-node=4"])))
    (start,) = [line for line in body if line.endswith(" &")]
    assert start == f"srun --kill-on-bad-exit=0 {sys.executable} -m implicit_bias work /r/plans/0.json &"


names = st.text(min_size=1).filter(lambda text: text.isprintable() and "\\" not in text)


@given(names, names)
@untimed
def test_any_name_is_quoted(name, folder):
    """Read back by shlex, whose rules for single quotes are those of bash and of sbatch."""
    assume("\x00" not in name + folder)
    text = script(name=name, plan=f"/{folder}/plan", logs=f"/{folder}/jobs", folder=f"/{folder}", command=[f"/{name}"])
    subprocess.run(["bash", "-n"], input=text.encode("utf-8", "surrogatepass"), check=True)
    directives, body = parts(text)
    assert shlex.split(directives[0]) == ["#SBATCH", f"--job-name={name}"]
    assert (
        shlex.split(directives[5])[1].replace("%%", "\0")
        == f"--output=/{folder}/jobs/".replace("%", "\0") + "%A_%a.log"
    )
    assert f"cd {shlex.quote('/' + folder)} || exit" in body


@pytest.mark.parametrize(
    "field, changes", {"name": {"name": "a\nb"}, "plan": {"plan": "/a\n/b"}, "out": {"logs": "/a\\b"}}.items()
)
def test_names_that_cannot_be_quoted_are_refused(field, changes):
    with pytest.raises(Mistake) as refused:
        script(**changes)
    assert refused.value.field == field


WORKER = """
import os, signal, sys, time
said = []
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, lambda n, frame: said.append(signal.Signals(n).name))
open("ready", "w").close()
while not os.path.exists("go") and not said:
    time.sleep(0.01)
time.sleep(0.1)  # bash has gone back to `wait`
print(sys.argv[1:], os.getcwd(), said)
sys.exit(int(os.environ["CODE"]))
"""


@pytest.fixture
def bash(tmp_path):
    """Run the script with WORKER and a scontrol that says `state` and keeps what it is asked."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    (folder / "worker.py").write_text(WORKER)
    asked = folder / "asked"
    asked.touch()

    def run(code, *signals, state="JobState=COMPLETING PreemptTime=None", plan="/a b/$HOME.json"):
        program(folder / "scontrol", f'#!/bin/sh\necho "$*" >>{shlex.quote(str(asked))}\necho "JobId=8 {state} "\n')
        path = f"{folder}:{os.environ['PATH']}"
        env = {
            "SLURM_ARRAY_TASK_ID": "2",
            "SLURM_ARRAY_JOB_ID": "7",
            "SLURM_JOB_ID": "8",
            "CODE": str(code),
            "PATH": path,
        }
        text = script(command=[sys.executable, "-SE", "worker.py"], folder=str(folder), plan=plan, array=9)
        shell = subprocess.Popen(["bash", "-c", text], env=env, stdout=subprocess.PIPE, text=True)
        while not (folder / "ready").exists():
            time.sleep(0.01)
        for number in signals:
            shell.send_signal(number)
        (folder / "go").touch() if not signals else None
        said, _ = shell.communicate(timeout=60)
        assert f"['work', '{plan}', '--worker', '2', '--of', '9'] {folder!s}" in said.replace('"', "")
        requeued = "requeue 7_2" in asked.read_text().splitlines()
        return shell.returncode, requeued, said

    return run


@pytest.mark.parametrize("code", [0, 1, 2, 74, 75])
def test_the_script_ends_with_the_worker_s_exit_code(bash, code):
    assert bash(code)[:2] == (code, False)


def test_the_warning_is_passed_on_and_what_stopped_goes_back_into_the_queue(bash):
    code, requeued, said = bash(75, signal.SIGUSR1)
    assert (code, requeued) == (75, True) and "['SIGUSR1']" in said


@pytest.mark.parametrize("code", [0, 1, 74])
def test_what_has_ended_by_itself_does_not(bash, code):
    assert bash(code, signal.SIGUSR1)[:2] == (code, False)


def test_what_is_cancelled_does_not(bash):
    code, requeued, said = bash(75, signal.SIGTERM)
    assert (code, requeued) == (75, False) and "['SIGTERM']" in said


def test_what_ends_in_its_time_of_grace_does(bash):
    assert bash(75, signal.SIGTERM, state="JobState=RUNNING x=1 PreemptTime=2026-01-01T00:00:00")[:2] == (75, True)


def test_a_signal_sent_by_hand_does_not(bash):
    assert bash(75, signal.SIGTERM, state="JobState=RUNNING PreemptTime=None")[:2] == (75, False)


# -- how many, and which one -------------------------------------------------------------------------------------------


@given(st.integers(1, 500), st.none() | st.integers(1, 500), st.integers(1, 9), st.none() | st.integers(1, 100))
@untimed
def test_packing(tiles, workers, ntasks, most):
    tasks, note = sbatch.packing(tiles, workers, {"ntasks": str(ntasks)}, most)
    wanted = workers or min(tiles, sbatch.WORKERS)
    assert 1 <= tasks <= (most or 500)
    assert (tasks - 1) * ntasks < wanted
    assert (note is None) == (tasks * ntasks >= wanted)
