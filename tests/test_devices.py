"""Several processes on one host deal its GPUs out, and share the memory of what they share."""

import pytest

from implicit_bias.devices import settings

QUIET = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def task(index, of, **more):
    return {"SLURM_LOCALID": str(index), "SLURM_STEP_TASKS_PER_NODE": f"{of}(x2)", **more}


@pytest.mark.parametrize(
    ("environ", "installed", "expected"),
    {
        "one process has them all": ({}, 4, {}),
        "one process has what it is shown": ({"CUDA_VISIBLE_DEVICES": "2,3"}, 4, {}),
        "an array task is alone": (task(0, 1, CUDA_VISIBLE_DEVICES="0,1"), 2, {}),
        "one each": (task(1, 2, CUDA_VISIBLE_DEVICES="4,7"), 8, {"CUDA_VISIBLE_DEVICES": "7"}),
        "one each of those installed": (task(3, 4), 4, {"CUDA_VISIBLE_DEVICES": "3"}),
        "two each": (task(0, 2), 4, {"CUDA_VISIBLE_DEVICES": "0,2"}),
        "three share two": (
            task(2, 3),
            2,
            {"CUDA_VISIBLE_DEVICES": "0", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.45"},
        ),
        "two share one": (task(1, 2, CUDA_VISIBLE_DEVICES="5"), 8, {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.45"}),
        "each has its own": (task(1, 2, CUDA_VISIBLE_DEVICES="1", SLURM_GPUS_PER_TASK="1"), 2, {}),
        "no GPU": (task(1, 2), 0, {}),
        "by name": (task(1, 2, CUDA_VISIBLE_DEVICES="GPU-a,GPU-b"), 0, {"CUDA_VISIBLE_DEVICES": "GPU-b"}),
    }.values(),
)
def test_who_uses_what(environ, installed, expected):
    assert settings(environ, installed) == {**QUIET, **expected}


def test_what_the_user_says_stands():
    said = {"XLA_PYTHON_CLIENT_PREALLOCATE": "true", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.3"}
    assert settings({**task(0, 2, CUDA_VISIBLE_DEVICES="0"), **said}, 1) == {}


@pytest.mark.parametrize("processes", range(1, 9))
@pytest.mark.parametrize("gpus", range(1, 9))
def test_every_gpu_is_used_and_none_is_promised_twice(processes, gpus):
    found = [settings(task(i, processes), gpus) for i in range(processes)]
    shares = [one.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",") for one in found]
    users = {g: [one for one, share in zip(found, shares) if g in share] for g in map(str, range(gpus))}
    for used_by in users.values():
        assert used_by
        if len(used_by) > 1:
            assert sum(float(one["XLA_PYTHON_CLIENT_MEM_FRACTION"]) for one in used_by) <= 1
