"""A tile is done if and only if its file is valid; editing what is judged computes nothing."""

import json
import os
import shutil

import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.sweep.ask import plan as planning
from implicit_bias.sweep.keep.store import DamagedTile, Store, Tile, decode, encode

from .laboratory import cell, study

WIDTH = 8


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    study().run(out=folder, width=WIDTH)
    return folder


@pytest.fixture
def copy(pool, tmp_path):
    return shutil.copytree(pool, tmp_path / "copy")


def missing(folder, **changes):
    return study(**changes).plan(store=Store(folder), width=WIDTH).missing


def corruptions(data):
    yield "torn", data[: len(data) // 2]
    yield "empty", b""
    yield "garbage", bytes(range(256)) * 20
    yield "appended", data + b"\0"
    yield "zeroed", data[:-64] + b"\0" * 64
    for place in np.linspace(0, len(data) - 1, 25).astype(int):
        flipped = bytearray(data)
        flipped[place] ^= 0x10
        yield f"flipped at {place}", bytes(flipped)


def test_every_corruption_is_noticed(pool):
    store = Store(pool)
    name = store.names()[0]
    good = store.path(name).read_bytes()
    assert decode(good, name).id == name
    for what, bad in corruptions(good):
        with pytest.raises(ValueError):
            decode(bad, name)
            pytest.fail(f"{what}: not noticed")


@pytest.mark.slow
def test_a_damaged_tile_is_set_aside_named_and_computed_again(pool, copy):
    store = Store(copy)
    name = store.names()[0]
    store.path(name).write_bytes(store.path(name).read_bytes()[:-1])
    with pytest.raises(ib.Mistake, match="is damaged.*computes it again"):
        ib.open(copy)
    with pytest.warns(DamagedTile, match=name):
        assert missing(copy) == 8
    assert (copy / "damaged" / f"{name}.safetensors").exists()
    study().run(out=copy, width=WIDTH)
    assert store.path(name).read_bytes() == Store(pool).path(name).read_bytes()


def test_swapped_tiles_are_noticed(copy):
    store = Store(copy)
    one, two, *_ = store.names()
    first = store.path(one).read_bytes()
    store.path(one).write_bytes(store.path(two).read_bytes())
    store.path(two).write_bytes(first)
    with pytest.warns(DamagedTile, match="belongs to another name"):
        assert missing(copy) == 16


def test_a_tile_of_another_fingerprint_is_refused_with_the_remedy(copy, monkeypatch):
    other = {**planning.fingerprint(), "jaxlib": "0.0.1"}
    monkeypatch.setattr(planning, "fingerprint", lambda: other)
    with pytest.raises(ib.Mistake, match=r"another fingerprint \(jaxlib .* -> 0.0.1\).*--out"):
        missing(copy)


def test_editing_a_claim_or_a_figure_computes_nothing(copy):
    claim = ib.Claim(id="new", source="", statement="", residual=lambda d: d.norm, tolerance=lambda d: 1, because="one")
    assert missing(copy, claims=[claim]) == 0


@pytest.mark.slow
def test_editing_a_helper_an_observable_or_the_records_computes_anew(copy):
    def edited(*, scale, ratio, key):
        run = cell(scale=scale, ratio=ratio, key=key)
        return ib.Run(run.problem, ib.Polar(2 * scale), run.dynamics)

    assert missing(copy, cell=edited) == 24
    assert missing(copy, observe={"norm": ib.norm(1)}) == 24
    assert missing(copy, records=ib.log_records(6)) == 24


@pytest.mark.slow
def test_renaming_and_commenting_compute_nothing(copy):
    def another_name(*, scale, key, ratio):
        # the same program under other words
        weights, law = ib.Polar(scale), ib.Descent(2e-2, ratio=ratio, max_steps=240)
        return ib.Run(ib.linear.gaussian(3, 7, target_norm=2.0)(key), weights, law)

    assert missing(copy, cell=another_name) == 0


@pytest.mark.slow
def test_seventeen_more_seeds_compute_seventeen(tmp_path):
    asked = dict(width=64, scale=[1.0], ratio=[1.0])  # few runs a seed: lanes mix seeds
    study().run(out=tmp_path, seed=range(3), **asked)
    plan = study().plan({"seed": range(20), "scale": [1.0], "ratio": [1.0]}, store=Store(tmp_path), width=64)
    assert plan.batches[0].program.layout.mixed
    assert (plan.runs, plan.missing) == (20, 17)


def test_metadata_is_one_key_of_canonical_json(pool):
    store = Store(pool)
    data = store.path(store.names()[0]).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == ["implicit_bias"]
    said = json.loads(header["__metadata__"]["implicit_bias"])
    assert set(said) == {"format", "program", "fingerprint", "statics", "axes", "sha256"}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ib.Mistake, match="out: cannot write .*--out"):
        Store(file / "below").prepare()


def test_runs_not_computed_are_absent_by_status(copy):
    store = Store(copy)
    store.path(store.names()[0]).unlink()
    data = ib.open(copy)
    absent = data.status == ib.Status.ABSENT
    assert int(absent.sum()) == 8
    assert data.norm.isel(record=-1, drop=True).isnull().equals(absent)
    frame = ib.to_dataframe(data)
    assert len(frame) == 24 and (frame.status == "absent").sum() == 8


def test_encode_refuses_nothing_that_is_a_number():
    tile = Tile(
        "p",
        {},
        {},
        ("x",),
        np.array([[0.1], [0.2]]),
        {
            "status": np.zeros(2, np.int32),
            "steps": np.zeros(2, np.int32),
            "time": np.zeros(2),
            "y": np.array([np.nan, np.inf]),
        },
    )
    again = decode(encode(tile), tile.id)
    np.testing.assert_array_equal(again.arrays["y"], tile.arrays["y"])


def test_the_words_of_a_tile_are_under_its_checksum():
    tile = Tile(
        "p",
        {},
        {"method": "wn"},
        ("x",),
        np.zeros((1, 1)),
        {"status": np.ones(1, np.int32), "steps": np.ones(1, np.int32)},
    )
    data = encode(tile)
    assert data.count(b"wn") == 1
    with pytest.raises(ValueError, match="checksum"):
        decode(data.replace(b"wn", b"gd"), tile.id)


@pytest.mark.slow
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink(path.name, path)])
def test_what_is_no_file_is_set_aside_like_a_damaged_tile(copy, make):
    path = Store(copy).path(Store(copy).names()[0])
    path.unlink()
    make(path)
    with pytest.warns(DamagedTile, match=path.stem):
        assert missing(copy) == 8


def test_a_torn_line_of_the_log_loses_no_other(copy):
    from implicit_bias.sweep.work.journal import Journal

    before = Journal(Store(copy)).latest()
    log = copy / "log.jsonl"
    log.write_bytes(b'{"event": "ti\n' + log.read_bytes() + b"\xff\n[]\n")
    assert Journal(Store(copy)).latest() == before and len(before) == 3


TAKEN = {
    "a result's name": dict(observe={"status": ib.norm(2)}),
    "the loss": dict(observe={"loss": ib.norm(2)}),
    "no name": dict(facts={" ": ib.min_norm_size}),
    "a name twice": dict(observe={"g": ib.norm(2)}, facts={"g": ib.min_norm_size}),
    "half a seed": dict(grids=ib.grid(seed=[0.5], scale=[1.0])),
    "no list of claims": dict(claims=[3]),
    "no list of figures": dict(figures=[3]),
    "too many seeds": dict(grids=lambda: ib.grid(seed=range(10**9), scale=[1.0])),
}


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN)
def test_what_would_be_lost_or_mistaken_in_the_results_is_refused(changes):
    with pytest.raises(ib.Mistake):
        study(**{name: value() if callable(value) else value for name, value in changes.items()})
