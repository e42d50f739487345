"""Workers of a plan on Kubernetes and on a TPU pod, as text: a manifest to apply, a line to run.

Each pod of an indexed job, and each host of a TPU pod, is a worker; `place` reads which one.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from .._errors import Mistake
from . import COUNT, STOPPED
from .sbatch import plain

MOUNT = "/results"
"""Where a pod sees the volume that holds the results."""


def kubernetes_manifest(
    *, name: str, image: str, plan: str, workers: int, at_once: int | None = None, claim: str | None = None
) -> str:
    """An indexed Job, one pod a worker. Results are in the volume of the claim; in an object store without one.

    A pod that was evicted, or that stopped with 75, is started again without counting as failed; one that failed by a
    mistake in the plan is not tried again. Kubernetes 1.29 or newer.
    """
    volumes = {"volumes": [{"name": "results", "persistentVolumeClaim": {"claimName": claim}}]} if claim else {}
    mounts = {"volumeMounts": [{"name": "results", "mountPath": MOUNT}]} if claim else {}
    container = {
        "name": "worker",
        "image": image,
        "command": ["implicit-bias", "work", plan],
        "env": [{"name": COUNT, "value": str(workers)}],
        **mounts,
    }
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [STOPPED]}},
        {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1, 2]}},
    ]
    return _yaml(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": dns_label(name)},
            "spec": {
                "completionMode": "Indexed",
                "completions": workers,
                "parallelism": min(workers, at_once or workers),
                "backoffLimitPerIndex": 3,
                "podFailurePolicy": {"rules": rules},
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "terminationGracePeriodSeconds": 120,
                        "containers": [container],
                        **volumes,
                    }
                },
            },
        }
    )


def dns_label(name: str) -> str:
    """A name as Kubernetes takes them: lower-case letters, digits and inner dashes, at most 63.

    >>> dns_label("wu2020/robustness")
    'wu2020-robustness'
    """
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())[:63].strip("-")
    if not label:
        raise Mistake("name", f"{name!r} has no letter or digit", "give --name")
    return label


def _yaml(value: Any, indent: str = "") -> str:
    """Block YAML of dicts, lists and scalars; scalars as JSON writes them, which YAML reads the same."""
    if isinstance(value, Mapping):
        return "".join(f"{indent}{key}:{_nested(item, indent)}" for key, item in value.items())
    return "".join(f"{indent}- {_yaml_item(item, indent + '  ')}" for item in value)


def _nested(value: Any, indent: str) -> str:
    return f"\n{_yaml(value, indent + '  ')}" if isinstance(value, (Mapping, list)) else f" {_scalar(value)}\n"


def _yaml_item(value: Any, indent: str) -> str:
    return _yaml(value, indent).removeprefix(indent) if isinstance(value, Mapping) else f"{_scalar(value)}\n"


def _scalar(value: str | int) -> str:
    return json.dumps(plain("manifest", value) if isinstance(value, str) else value, ensure_ascii=False)


_METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/attributes/agent-worker-number"

ONE_HOST = "TPU_PROCESS_BOUNDS=1,1,1 TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1 TPU_VISIBLE_DEVICES=0,1,2,3"
"""What has a process use the four chips of its own host, instead of waiting for the other hosts of the slice."""


def tpu_pod_line(*, name: str, plan: str, folder: str, workers: int) -> str:
    """One line that starts a worker on each host of a TPU pod. `plan` and `folder` are paths that every host sees.

    A session of ssh has none of the variables that GKE sets, so the host's number is asked of the metadata server.
    """
    for field, text in {"name": name, "plan": plan, "folder": folder}.items():
        plain(field, text)
    index = f"$(curl -sf -H 'Metadata-Flavor: Google' {_METADATA})"
    work = f'implicit-bias work {shlex.quote(plan)} --worker "{index}" --of {workers}'
    there = f"cd {shlex.quote(folder)} && {ONE_HOST} {work}"
    return shlex.join(["gcloud", "compute", "tpus", "tpu-vm", "ssh", name, "--worker=all", f"--command={there}"])
