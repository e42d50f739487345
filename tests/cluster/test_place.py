"""A worker's place: told by its command, by a scheduler, or nobody."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implicit_bias._errors import Mistake
from implicit_bias.cli import main
from implicit_bias.cluster import worker
from implicit_bias.cluster.place import told


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 3), st.integers(1, 3))
@settings(deadline=None)
def test_places_on_slurm_are_each_taken_once(tasks, ntasks, first, stride):
    """As SLURM numbers them: an array may begin anywhere and leave numbers out."""
    said = {
        "SLURM_ARRAY_TASK_COUNT": str(tasks),
        "SLURM_ARRAY_TASK_MIN": str(first),
        "SLURM_ARRAY_TASK_STEP": str(stride),
    }
    step = {"SLURM_STEP_NUM_TASKS": str(ntasks)}
    found = [
        told({**said, **step, "SLURM_ARRAY_TASK_ID": str(first + stride * i), "SLURM_PROCID": str(p)})
        for i in range(tasks)
        for p in range(ntasks)
    ]
    assert found == [(i, tasks * ntasks) for i in range(tasks * ntasks)]


ARRAY = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8"}
PLACES = {
    "nowhere": ({}, None),
    "a job without array or srun": ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),
    "an array": ({**ARRAY, "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, (3, 8)),
    "srun alone": ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}, (2, 4)),
    "Kubernetes": ({"JOB_COMPLETION_INDEX": "5", "IMPLICIT_BIAS_WORKERS": "6"}, (5, 6)),
    "a TPU pod": ({"TPU_WORKER_ID": "1", "TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"}, (1, 2)),
    "a TPU": ({"TPU_WORKER_ID": "0", "TPU_WORKER_HOSTNAMES": "localhost"}, (0, 1)),
}


@pytest.mark.parametrize("environ, expected", PLACES.values(), ids=PLACES)
def test_place(environ, expected):
    assert told(environ) == expected


WRONG_PLACES = {
    "no number": ({**ARRAY, "SLURM_ARRAY_TASK_ID": "x"}, "SLURM_ARRAY_TASK_ID"),
    "a negative one": ({**ARRAY, "SLURM_ARRAY_TASK_ID": "-1"}, "SLURM_ARRAY_TASK_ID"),
    "no index": ({"SLURM_STEP_NUM_TASKS": "4"}, "SLURM_PROCID"),
    "an index beyond": ({**ARRAY, "SLURM_ARRAY_TASK_ID": "8"}, "worker"),
    "an index before": ({**ARRAY, "SLURM_ARRAY_TASK_MIN": "4"}, "worker"),
    "of how many": ({"JOB_COMPLETION_INDEX": "5"}, "of"),
    "of how many hosts": ({"TPU_WORKER_ID": "5"}, "of"),
}


@pytest.mark.parametrize("environ, field", WRONG_PLACES.values(), ids=WRONG_PLACES)
def test_a_wrong_place_is_a_mistake(environ, field):
    with pytest.raises(Mistake) as refused:
        told(environ)
    assert refused.value.field == field


def test_a_given_number_of_workers_is_the_number():
    assert told({"JOB_COMPLETION_INDEX": "5"}, of=6) == (5, 6)
    assert told(ARRAY, of=16) == (3, 16)


def test_a_worker_takes_the_place_that_it_is_not_told(monkeypatch):
    """From the command's words and its own environment to what `work` is given."""
    monkeypatch.setattr(worker, "work", lambda plan, index, of: taken.append((index, of)) or 0)
    taken = []
    assert main(["work", "PLAN"]) == 0
    for name, value in ARRAY.items():
        monkeypatch.setenv(name, value)
    for words in ("", "--of 16", "--worker 1 --of 2"):
        assert main(["work", "PLAN", *words.split()]) == 0
    assert taken == [(0, 1), (3, 8), (3, 16), (1, 2)]
