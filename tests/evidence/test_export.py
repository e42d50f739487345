"""What leaves the laboratory is what is in it: read back by pandas, xarray and R, with what the claims say of each run."""

import csv
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.claims import judge
from implicit_bias.evidence.export import export, frame, left_out, with_claims

CLAIM = ib.Claim(
    id="falls/fast", source="s", statement="the loss falls below 0.4", residual=lambda ds: ds.loss.isel(record=-1),
    tolerance=lambda ds: 0.4, because="b", hypotheses=lambda ds: {"short": 8.0 - ds.steps, "slow": 1.0 - ds.step},
)  # fmt: skip


def results():
    """Two seeds and two steps; the run of seed 1 and step 0.5 stopped after 3 of 8 steps. Weights have no place in a table."""
    steps = xr.DataArray([[8, 8], [3, 8]], dims=("seed", "step"))
    loss = xr.DataArray(np.arange(16.0).reshape(2, 2, 4) / 30, dims=("seed", "step", "record"))
    ds = xr.Dataset({"status": 0 * steps + 1, "loss": loss, "steps": steps, "time": 0.5 * steps})
    clock = xr.DataArray([0.0, 2.0, 4.0, 8.0], dims="record", attrs={"units": "steps"})
    ds = ds.assign(clock=clock, w=(("seed", "step", "coordinate"), np.ones((2, 2, 5))))
    return ds.assign_coords(seed=[0, 1], step=[0.5, 1.0], width=12, data="digits")


def claims(data):
    return [(CLAIM, judge(CLAIM, data).verdict)]


def test_a_row_is_a_run_with_its_settings_and_what_claims_say(tmp_path):
    table, book = export(results(), "csv", tmp_path / "mine", "me/mine", claims(results()))
    seen = pd.read_csv(table)
    assert len(seen) == 4 and set(seen.width) == {12} and set(seen.data) == {"digits"} and set(seen.status) == {"converged"}
    np.testing.assert_array_equal(seen["falls:fast.residual"], seen.loss)  # repr of a float64: every digit
    assert set(seen["falls:fast.tolerance"]) == {0.4} and set(seen["falls:fast.verdict"]) == {"refuted"}
    np.testing.assert_array_equal(seen["falls:fast.slack.1"], 8.0 - seen.steps)
    np.testing.assert_array_equal(seen.clock, seen.steps)  # the true stop, and not the last record's moment
    assert "w" not in seen and left_out(results(), "last") == ["w"]
    rows = {row["variable"]: row["definition"] for row in csv.DictReader(book.read_text().splitlines())}
    assert rows["study"] == "me/mine" and "short" in rows["falls:fast.slack.1"] and "slow" in rows["falls:fast.slack.2"]
    assert {*seen.columns} <= {*rows}


def test_with_all_records_a_run_ends_where_it_stopped():
    """At its true stop, not at the record after it: of seed 1 at step 0.5 the records at 0, 2 and then 3."""
    seen = frame(results(), "all")
    stopped = seen[(seen.seed == 1) & (seen.step == 0.5)]
    assert stopped.clock.tolist() == [0.0, 2.0, 3.0] and len(seen) == 3 * 4 + 3
    np.testing.assert_array_equal(stopped.loss, results().loss.sel(seed=1, step=0.5)[:3])


@pytest.mark.parametrize("format", ["parquet", "netcdf"])
def test_other_formats_hold_the_same(tmp_path, format):
    pytest.importorskip({"parquet": "pyarrow", "netcdf": "netCDF4"}[format])
    table, _ = export(results(), format, tmp_path / "mine", "me/mine", claims(results()))
    if format == "parquet":
        pd.testing.assert_frame_equal(pd.read_parquet(table), frame(with_claims(results(), claims(results()))), check_dtype=False)
    else:
        with xr.open_dataset(table) as ds:
            np.testing.assert_array_equal(ds.w, results().w)
            assert set(ds["falls:fast.verdict"].values.ravel()) == {"refuted"} and ds.sizes["record"] == 4


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed here")
def test_r_reads_it(tmp_path):
    table, _ = export(results(), "csv", tmp_path / "mine", "me/mine", claims(results()))
    code = f't <- read.csv("{table}", check.names = FALSE); cat(nrow(t), sum(t[["falls:fast.residual"]] == t$loss))'
    assert subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True).stdout == "4 4"


def test_a_file_is_called_as_what_it_holds(tmp_path):
    for name, remedy in ("x.parquet", "write --format parquet"), ("x.v2", "call it x.csv"):
        with pytest.raises(ib.Mistake, match=f"to: {name} does not end as csv does; {remedy}"):
            export(results(), "csv", tmp_path / name, "me/mine", claims(results()))
    assert not list(tmp_path.iterdir())


def test_what_another_study_wrote_stays(tmp_path):
    (table, _) = export(results(), "csv", tmp_path / "mine", "me/mine")
    export(results(), "csv", tmp_path / "mine", "me/mine")
    before = table.read_bytes()
    with pytest.raises(ib.Mistake, match="is there and holds me/mine; choose another file"):
        export(results(), "csv", tmp_path / "mine", "me/other")
    (tmp_path / "notes.csv").write_text("mine")
    with pytest.raises(ib.Mistake, match="was not written by an export"):
        export(results(), "csv", tmp_path / "notes.csv", "me/mine")
    assert table.read_bytes() == before and (tmp_path / "notes.csv").read_text() == "mine"


def test_a_union_of_grids_is_one_table(tmp_path):
    tree = xr.DataTree.from_dict({"a": results(), "b": results().isel(seed=[0])})
    seen = frame(with_claims(tree, [(ib.Claim(**{**vars(CLAIM), "on": "b"}), "refuted")]))
    assert seen.grid.tolist() == ["a"] * 4 + ["b"] * 2 and seen["falls:fast.residual"].notnull().tolist() == [False] * 4 + [True] * 2
