"""The texts for Kubernetes and TPU pods, read back: as YAML, and by a shell."""

import json
import os
import re
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implicit_bias._errors import Mistake
from implicit_bias.cluster import pods
from implicit_bias.cluster.place import told
from tests.cluster.test_sbatch import program

untimed = settings(deadline=None)


def read_yaml(text):
    """Block YAML of mappings, lists and JSON scalars, read by its indentation."""
    lines = [(len(line) - len(line.lstrip()), line.lstrip()) for line in text.splitlines()]

    def block(indent):
        if lines[0][1].startswith("- "):
            items = []
            while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
                depth, rest = lines.pop(0)
                if re.match(r"[A-Za-z]+:", rest[2:]):
                    lines.insert(0, (depth + 2, rest[2:]))
                    items.append(block(depth + 2))
                else:
                    items.append(json.loads(rest[2:]))
            return items
        found = {}
        while lines and lines[0][0] == indent and not lines[0][1].startswith("- "):
            key, _, rest = lines.pop(0)[1].partition(":")
            assert key not in found
            found[key] = json.loads(rest) if rest.strip() else block(lines[0][0])
        return found

    found = block(0)
    assert not lines
    return found


def manifest(**changes):
    said = dict(name="wu2020/robustness", image="registry.example/lab:1", plan="/results/p.json", workers=6, claim="r")
    return pods.kubernetes_manifest(**{**said, **changes})


def test_the_manifest_is_an_indexed_job_whose_pods_know_their_place():
    job = read_yaml(manifest(at_once=4))
    assert (job["apiVersion"], job["kind"], job["metadata"]) == ("batch/v1", "Job", {"name": "wu2020-robustness"})
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 6, 4)
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never" and spec["backoffLimitPerIndex"] > 0
    (container,) = pod["containers"]
    assert container["command"] == ["implicit-bias", "work", "/results/p.json"]
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    assert told({**environ, "JOB_COMPLETION_INDEX": "5"}) == (5, 6)
    (volume,), (mount,) = pod["volumes"], container["volumeMounts"]
    assert volume == {"name": mount["name"], "persistentVolumeClaim": {"claimName": "r"}}
    assert mount["mountPath"] == "/results"


def test_a_pod_that_was_stopped_does_not_count_as_failed():
    """The API's rules: the first that matches counts; one rule is about exit codes or about conditions, not both."""
    rules = read_yaml(manifest())["spec"]["podFailurePolicy"]["rules"]
    assert all(("onExitCodes" in rule) != ("onPodConditions" in rule) for rule in rules)
    by_code = {
        code: rule["action"] for rule in reversed(rules) for code in rule.get("onExitCodes", {}).get("values", [])
    }
    assert by_code == {75: "Ignore", 1: "FailIndex", 2: "FailIndex"}


def test_results_in_an_object_store_need_no_volume():
    pod = read_yaml(manifest(claim=None, plan="s3://bucket/p.json"))["spec"]["template"]["spec"]
    assert "volumes" not in pod and "volumeMounts" not in pod["containers"][0]


printable = st.text(min_size=1).filter(str.isprintable)


@pytest.mark.slow
@given(printable, printable)
@untimed
def test_any_text_of_a_manifest_is_read_back(plan, image):
    (container,) = read_yaml(manifest(plan=plan, image=image))["spec"]["template"]["spec"]["containers"]
    assert container["command"][2] == plan and container["image"] == image


@given(printable, printable)
@untimed
def test_a_manifest_is_yaml_as_others_read_it(plan, image):
    yaml = pytest.importorskip("yaml")
    text = manifest(plan=plan, image=image)
    assert yaml.safe_load(text) == read_yaml(text)


def test_names_of_jobs():
    assert pods.dns_label("Mine_2/Ä b-") == "mine-2-b"
    assert len(pods.dns_label("a" * 62 + "-b")) == 62
    with pytest.raises(Mistake, match="give --name"):
        pods.dns_label("/")


def test_a_host_of_a_tpu_pod_is_told_its_number(tmp_path):
    """The remote command, run by a shell with a metadata server that says 3."""
    plan, folder = "/a b/it's.json", tmp_path / "the lab"
    folder.mkdir()
    words = shlex.split(pods.tpu_pod_line(name="pod", plan=plan, folder=str(folder), workers=4))
    assert words[:7] == ["gcloud", "compute", "tpus", "tpu-vm", "ssh", "pod", "--worker=all"]
    option, _, remote = words[7].partition("=")
    assert option == "--command" and len(words) == 8
    program(tmp_path / "curl", "#!/bin/sh\necho 3\n")
    program(tmp_path / "implicit-bias", '#!/bin/sh\npwd; echo "$TPU_PROCESS_BOUNDS"; for word; do echo "$word"; done\n')
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(
        ["bash", "-c", remote], env=env, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said == [str(folder), "1,1,1", "work", plan, "--worker", "3", "--of", "4"]
