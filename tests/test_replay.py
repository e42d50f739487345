"""A run again is the run: the same bits at the records of the original, with all that lies between them."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias import catalogue, replay
from tests import compiled
from tests.test_cli import run
from tests.test_names import furnish

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """As shipped: what compiles fast arranges a program with other records otherwise."""
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("lab"))
    with compiled.as_shipped():
        furnish()
        yield
    patch.undo()


@pytest.fixture
def study(lab):
    return catalogue.load(catalogue.find("me/lemma"))


def test_every_step_has_the_bits_of_the_original_at_its_records(study):
    """And between them each weight: g of the last step is what the study observed there."""
    folder = "results/me/lemma"
    again = study.replay(out=folder, scale=0.2, seed=1, every=1, keep=["theta"])
    assert again.attrs["replay"].startswith("the bits of the original, at its")
    original = ib.open(folder).sel(scale=0.2, seed=1)
    steps = again.clock.values
    assert np.array_equal(steps, np.arange(len(steps))) and int(again.steps) == int(original.steps)
    at = [int(np.flatnonzero(steps == moment)[0]) for moment in original.clock.values]
    for name in ("loss", "g", "log_w_perp"):
        np.testing.assert_array_equal(again[name].values[at], original[name].values)
    np.testing.assert_array_equal(again["theta.g"], again.g)
    assert again["theta.w"].dims[0] == "record" and again["theta.w"].shape[1] > 1


def test_the_command_writes_what_is_asked_for(lab, capsys, tmp_path):
    (tmp_path / "more.py").write_text("import jax.numpy as jnp\n\ndef largest(snapshot):\n    return jnp.max(abs(snapshot.theta.w))\n")
    words = ["replay", "me/lemma@fine", "scale=0.5", "seed=1", "--every", "5", "--observe", f"{tmp_path}/more.py:largest"]
    for suffix in ("nc", "csv", "png"):
        code, out, _ = run(capsys, *words, "--to", str(tmp_path / f"r.{suffix}"))
        assert code == 0 and "me/lemma, seed=1, scale=0.5" in out and "the bits of the original" in out and "largest" in out
    with xr.open_dataset(tmp_path / "r.nc") as ds:
        assert {"largest", "loss"} <= {*ds.data_vars} and "the bits of the original" in ds.attrs["replay"]
    assert "largest" in (tmp_path / "r.csv").read_text().splitlines()[0]
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_beside_a_worst_run_is_of_that_run(lab, capsys):
    for page in (Path("results/me/lemma/report.html"), Path("results/me/lemma/at/fine/report.html")):
        (command,) = re.findall(r"<pre[^>]*>(implicit-bias replay [^<]*)</pre>", page.read_text())
        (said,) = re.findall("at (scale=[^<]*|seed=[^<]*)<", page.read_text())
        code, out, _ = run(capsys, *shlex.split(command)[1:])
        assert code == 0 and "the bits of the original" in out
        assert {w.strip() for w in said.split(",")} == {w.replace("scale=1.0", "scale=1").replace("scale=2.0", "scale=2") for w in shlex.split(command)[3:]}


def test_a_run_that_no_result_has_is_said_to_be_new(study):
    assert "no run to hold it against" in study.replay(out="results/me/lemma", scale=0.33, seed=0).attrs["replay"]


def test_other_bits_are_said_with_the_reason(study):
    """An original that is off by a rounding, by more, or that another version computed."""
    again = study.replay(scale=0.2, seed=0)
    document = {"fingerprint": replay.fingerprint()}
    other = {"fingerprint": {**replay.fingerprint(), "jaxlib": "0.0.1"}}
    near, far = again.assign(loss=again.loss * (1 + 1e-15)), again.assign(g=again.g * 1.1)
    assert re.search(r"NOT the bits.*loss differ, by 1e-15.*rounding alone", replay.compared(again, near, document))
    assert re.search(r"NOT the bits.*g differ, by 0\.0?9.*the study has changed", replay.compared(again, far, document))
    assert "computed by jaxlib 0.0.1 -> " in replay.compared(again, near, other)
    longer = again.assign(steps=again.steps + 1)
    assert "steps for" in replay.compared(again, longer, document)


MISTAKES = {
    "several runs": (["me/lemma", "seed=0"], "scale: has 2 values (0.2, 1.0), and a replay is of one run; write scale=0.2"),
    "a word that is none": (["me/lemma", "scal=1", "seed=0"], "scal: is no axis or setting"),
    "what no run has": (["me/lemma", "scale=1", "seed=0", "--keep", "thet"], "keep: 'thet' is nothing that a run has; did you mean 'theta'?"),
    "an observable of no file": (["me/lemma", "scale=1", "seed=0", "--observe", "x.py:f"], "observe: 'x.py:f' is no FILE:NAME"),
    "no step": (["me/lemma", "scale=1", "seed=0", "--every", "0"], "every: must be above 0"),
    "an ending that is none": (["me/lemma", "scale=1", "seed=0", "--to", "a.xyz"], "to: a.xyz has no ending that is known"),
    "a name that is not there": (["me/lemma@fin", "scale=1", "seed=0"], "did you mean 'fine'?"),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_each_mistake_is_one_line(lab, capsys, what):
    words, said = MISTAKES[what]
    code, _, err = run(capsys, "replay", *words)
    assert code == 2 and err.count("\n") == 1 and said in err, err
