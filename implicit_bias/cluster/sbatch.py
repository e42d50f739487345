"""A plan's workers as a SLURM array: what a site may add, how many tasks, and the script, as text.

What talks to SLURM is `scheduler`.

>>> parse_site(["partition=short", "gres=gpu:4", "exclusive"])
{'partition': 'short', 'gres': 'gpu:4', 'exclusive': None}
>>> packing(tiles=100, workers=None, site={"ntasks": "8"}, most=1001)
(4, None)
"""

from __future__ import annotations

import difflib
import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from .._errors import Mistake
from . import STOPPED

WARNING = 120
"""Seconds before the time limit at which a worker is told to stop."""

WORKERS = 32
"""Array tasks, where neither --workers nor the number of tiles says fewer."""

Site = Mapping[str, str | None]

# -- what a site may add -----------------------------------------------------------------------------------------------

OWN = frozenset(
    "array chdir error export export-file get-user-env gid help ignore-pbs input job-name no-requeue open-mode output "
    "parsable quiet requeue signal test-only uid usage verbose version wait wrap".split()
)
"""Long options of sbatch that the script says itself, or that would change what it means."""

FLAGS = frozenset("contiguous hold overcommit oversubscribe reboot spread-job stepmgr use-min-nodes".split())
EITHER = frozenset("exclusive nice no-kill oom-kill-step propagate resv-ports".split())
"""Options that may stand without a value, too."""

OPTIONS = (
    FLAGS
    | EITHER
    | frozenset(
        "account acctg-freq batch bb bbf begin cluster-constraint clusters comment consolidate-segments constraint "
        "container container-id core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot "
        "dependency distribution exclude extra extra-node-info gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket "
        "gpus-per-task gres gres-flags hint kill-on-invalid-dep licenses mail-type mail-user mcs-label mem mem-bind "
        "mem-per-cpu mem-per-gpu mincpus network nodefile nodelist nodes ntasks ntasks-per-node partition power prefer "
        "priority profile qos reservation segment sockets-per-node switches thread-spec threads-per-core time time-min "
        "tmp tres-bind tres-per-task wait-all-nodes wckey".split()
    )
)
"""sbatch's long options that a site may need. Of those that say how many tasks there are, only two: see `tasks_of`."""

_TASKS = frozenset(["ntasks-per-core", "ntasks-per-gpu", "ntasks-per-socket"])

# No quote, space, $, `, ;, \, #, <, > or line break: nothing that sbatch or a shell would read as more than a value.
_VALUE = re.compile(r"[A-Za-z0-9_.,:/@+=\[\]-]+")
_FEATURES = re.compile(r"[A-Za-z0-9_.,:/@+=\[\]|&*()-]+")


def parse_site(words: Sequence[str]) -> dict[str, str | None]:
    """`--slurm` words as lines for the script: known options, given once, with values that can be nothing else.

    >>> parse_site(["partiton=short"])
    Traceback (most recent call last):
    implicit_bias._errors.Mistake: slurm: 'partiton' is no long option of sbatch; did you mean 'partition'?
    """
    site: dict[str, str | None] = {}
    for word in words:
        key, equals, value = word.partition("=")
        key = key.removeprefix("--")
        if key in OWN:
            remedy = "give --workers and --at-once" if key == "array" else "leave it out"
            raise Mistake("slurm", f"{key} is set by the script itself", remedy)
        if key in _TASKS:
            raise Mistake("slurm", f"{key} leaves the number of workers open", "give ntasks=N, or nodes=N")
        if key not in OPTIONS:
            raise Mistake("slurm", f"{key!r} is no long option of sbatch", _meant(key))
        if key in site:
            raise Mistake("slurm", f"{key} is given twice", "give each option once")
        if equals and key in FLAGS:
            raise Mistake("slurm", f"{key} takes no value", f"write {key}")
        if not equals and key not in FLAGS | EITHER:
            raise Mistake("slurm", f"{key} needs a value", f"write {key}=VALUE")
        allowed = _FEATURES if key in ("constraint", "prefer") else _VALUE
        if equals and not allowed.fullmatch(value):
            what = (
                f"{key} has a value with characters that are not passed on: {value!r}" if value else f"{key}= is empty"
            )
            raise Mistake("slurm", what, "use letters, digits and _ . , : / @ + = [ ] -")
        site[key] = value if equals else None
    _check_time(site.get("time"))
    tasks_of(site)
    return site


def _meant(key: str) -> str:
    close = difflib.get_close_matches(key, OPTIONS | OWN | _TASKS, n=1, cutoff=0.7)
    if close:
        return f"did you mean {close[0]!r}?"
    return "`sbatch --help` lists them; what the study is to be run with stands before --slurm"


def _check_time(text: str | None) -> None:
    """A limit so short that the warning comes at once would requeue a worker for ever."""
    days, dash, clock = (text or "").rpartition("-")
    parts = clock.split(":")
    if not all(p.isdecimal() for p in [*parts, *([days] if dash else [])]):
        return  # none, or a word of SLURM's (infinite)
    units = (1440.0, 60.0, 1.0, 1 / 60)  # days, hours, minutes, seconds
    first = 1 if dash or len(parts) == 3 else 2
    minutes = sum(int(p) * unit for p, unit in zip(parts, units[first:])) + (int(days) * units[0] if dash else 0)
    if 0 < minutes * 60 < 2 * WARNING:
        what = f"time={text} leaves a worker no time, because it is told {WARNING} s before the end"
        raise Mistake("slurm", what, "give time=10 (minutes) or more")


def tasks_of(site: Site) -> int:
    """Workers of one array task: its ntasks, or nodes x ntasks-per-node. More than one are started by srun.

    >>> [tasks_of({}), tasks_of({"ntasks": "4"}), tasks_of({"nodes": "2", "ntasks-per-node": "8"})]
    [1, 4, 16]
    """
    counts = {key: site.get(key) or "1" for key in ("ntasks", "nodes", "ntasks-per-node")}
    for key, text in counts.items():
        if not (text.isdecimal() and int(text) > 0):
            raise Mistake("slurm", f"{key} must be one number, got {text!r}", f"write {key}=1")
    if "ntasks" in site:
        return int(counts["ntasks"])
    return int(counts["nodes"]) * int(counts["ntasks-per-node"])


# -- the script --------------------------------------------------------------------------------------------------------


def packing(tiles: int, workers: int | None, site: Site, most: int | None) -> tuple[int, str | None]:
    """(array tasks, a line to say where the cluster allows fewer than asked for).

    `most` is SLURM's MaxArraySize: a task's index must stay below it.

    >>> packing(tiles=6, workers=None, site={}, most=None)
    (6, None)
    >>> packing(tiles=6, workers=2000, site={}, most=1001)
    (1001, 'an array of 1,001 tasks, the most that this cluster takes (MaxArraySize), for 2,000 workers')
    """
    wanted = workers if workers is not None else min(tiles, WORKERS)
    tasks = -(-wanted // tasks_of(site))
    if most is None or tasks <= max(most, 1):
        return tasks, None
    most = max(most, 1)
    return most, f"an array of {most:,} tasks, the most that this cluster takes (MaxArraySize), for {wanted:,} workers"


def plain(field: str, text: str) -> str:
    """A name or path that goes into a script: one printable line."""
    if not text or not text.isprintable():
        raise Mistake(
            field, f"{text!r} has a line break or another character that cannot be shown", "choose another name"
        )
    return text


def slurm_script(
    *,
    name: str,
    plan: str,
    logs: str,
    folder: str,
    array: int,
    site: Site,
    at_once: int | None = None,
    command: Sequence[str] = (sys.executable, "-m", "implicit_bias"),
    written_by: str = "implicit-bias submit",
) -> str:
    """An sbatch script of `array` tasks, each a worker of `plan`, or as many workers as the site asks tasks for.

    `folder` is where the workers run (the submitter's own), `logs` where their output goes: a folder that is there.
    """
    for field, text in {"name": name, "plan": plan, "out": logs, "folder": folder, "command": written_by}.items():
        plain(field, text)
    for field, text in {"name": name, "out": logs}.items():
        if "\\" in text:  # sbatch reads a backslash as an escape, inside quotes too
            raise Mistake(field, f"{text!r} has a backslash, which sbatch drops", "choose another name")
    several = tasks_of(site) > 1
    output = shlex.quote(f"{logs.replace('%', '%%')}/%A_%a.log")
    lines = [
        f"job-name={shlex.quote(name)}",
        f"array=0-{array - 1}" + (f"%{at_once}" if at_once else ""),
        "requeue",
        f"signal=B:USR1@{WARNING}",
        "open-mode=append",
        f"output={output}",
        *(key if value is None else f"{key}={value}" for key, value in site.items()),
    ]
    words = [f"{shlex.join([*command, 'work'])}", f"    {shlex.quote(plan)}"]
    if several:
        words.insert(0, "srun --kill-on-bad-exit=0")
        words[1] = f"    {words[1]}"
    else:
        words.append(f'    --worker "$SLURM_ARRAY_TASK_ID" --of {array}')
    return _SCRIPT.format(
        written_by=written_by,
        directives="\n".join(f"#SBATCH --{line}" for line in lines),
        folder=shlex.quote(folder),
        warning=WARNING,
        start=" \\\n".join(words),
        place=_EACH_TASK if several else "",
        stopped=STOPPED,
    )


_EACH_TASK = "# One worker for each task of srun; it reads its place from SLURM_ARRAY_TASK_ID and SLURM_PROCID.\n"

_SCRIPT = """\
#!/bin/bash
# Written by: {written_by}
# Every task is a worker: it does its share of the tiles, then any that is still missing. A tile that is there is never
# computed again, so this may be submitted any number of times.
{directives}

cd {folder} || exit

# SLURM sends USR1 to this shell {warning} s before the time limit, and TERM when it takes the node back. The worker
# then finishes or drops the tile under way and exits with {stopped}.
came= worker= out_of_time=
tell() {{
    came=$1
    [ -z "$worker" ] || kill -s "$came" "$worker" 2>/dev/null
}}
trap 'out_of_time=yes; tell USR1' USR1
trap 'tell TERM' TERM

{place}{start} &
worker=$!
[ -z "$came" ] || tell "$came" # it came before there was a worker to tell

# A trapped signal ends `wait` early, so wait until the worker is gone; the last `wait` knows its exit code.
while kill -0 "$worker" 2>/dev/null; do wait "$worker"; done
wait "$worker"
code=$?

# SLURM requeues by itself what it pre-empts, unless the job ends in its time of grace.
preempted() {{
    scontrol --oneliner show job "$SLURM_JOB_ID" | grep -q ' JobState=RUNNING .* PreemptTime=[0-9]'
}}
if [ "$code" -eq {stopped} ] && {{ [ -n "$out_of_time" ] || preempted; }}; then
    echo "stopped by SLURM: back into the queue"
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"""
