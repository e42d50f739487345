"""Checkpoints of long blocks: a killed block goes on from its last segment, to the same bits."""

import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.sweep.work import execute as executing
from implicit_bias.sweep.work.checkpoint import Checkpoint, Left, Segments
from implicit_bias.sweep.keep.store import Store
from tests.sweep.laboratory import study

pytestmark = pytest.mark.usefixtures("as_shipped")
ASKED = dict(seed=[0], scale=[0.5, 1.0], ratio=[0.5, 1.0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory, as_shipped):
    folder = tmp_path_factory.mktemp("whole")
    study().run(out=folder, width=4, **ASKED)
    return tiles(folder)


def tiles(folder):
    return {p.name: p.read_bytes() for p in (folder / "tiles").iterdir()}


@pytest.fixture
def long_blocks(monkeypatch):
    """Every block counts as long, and a segment is a 16th of a run's 240 steps."""
    monkeypatch.setattr(executing, "LONG_PIECE", 0.0)
    kept = executing.Segments
    monkeypatch.setattr(executing, "Segments", lambda length, *rest: kept(15.0, *rest))


@pytest.mark.slow
def test_a_killed_block_goes_on_from_its_last_segment(tmp_path, whole, long_blocks, monkeypatch):
    """Killed after its third segment; the next worker begins there, and leaves nothing behind."""
    ends = []

    def killed(self, state, until):
        passed(self, state, until)
        ends.append(until)
        if len(ends) == 3:
            raise KeyboardInterrupt

    passed = Segments.passed
    monkeypatch.setattr(Segments, "passed", killed)
    with pytest.raises(KeyboardInterrupt):
        study().run(out=tmp_path, width=4, **ASKED)
    assert ends == [15.0, 30.0, 45.0] and len(list((tmp_path / "unfinished").iterdir())) == 1
    assert not tiles(tmp_path)
    study().run(out=tmp_path, width=4, **ASKED)
    assert ends[3] == 60.0
    assert tiles(tmp_path) == whole
    assert not list((tmp_path / "unfinished").iterdir())


def test_a_long_block_is_left_where_the_sweep_ends(tmp_path, whole, long_blocks, monkeypatch):
    """An interrupt waits for a segment, and not for an hour."""
    segments = Segments(15.0, Checkpoint(Store(tmp_path), "0" * 32, 0, "p"), ends=lambda: True)
    with pytest.raises(Left):
        segments.passed({"x": np.ones(3)}, 15.0)
    assert segments.resumed({"x": np.zeros(3)})[1] == 15.0


def test_a_checkpoint_that_is_none_counts_as_absent(tmp_path):
    like = {"x": np.zeros(3), "n": np.zeros((), np.int32)}
    mine = Checkpoint(Store(tmp_path), "0" * 32, 0, "p")
    mine.save({"x": np.arange(3.0), "n": np.int32(7)}, 0.1)
    state, until = mine.load(like)
    assert state["x"].tolist() == [0, 1, 2] and state["n"] == 7 and until == 0.1
    assert Checkpoint(Store(tmp_path), "0" * 32, 1, "p").load(like) is None
    assert mine.load({**like, "x": np.zeros(4)}) is None
    assert mine.load({**like, "x": np.zeros(3, np.float32)}) is None
    (path,) = (tmp_path / "unfinished").iterdir()
    good = path.read_bytes()
    for bad in (b"", b"{}", good[:-1], good[:200] + b"\xff" + good[201:], good[:-1] + bytes([good[-1] ^ 1])):
        path.write_bytes(bad)
        assert mine.load(like) is None
    path.write_bytes(good)
    assert Checkpoint(Store(tmp_path), "0" * 32, 0, "another program").load(like) is None
    mine.clear()
    assert mine.load(like) is None


@pytest.mark.slow
@pytest.mark.parametrize("segment", [0.2, 0.0, -1.0, float("nan")])
def test_a_segment_shorter_than_a_step_is_refused(segment):
    """It would be five launches for each step: what takes 34 s whole did not end in 165."""
    with pytest.raises(ib.Mistake, match="segment: is .* on a clock of steps; give at least one step"):
        study().run(width=4, segment=segment, **ASKED)


@pytest.mark.slow
def test_segments_that_a_user_asks_for_change_no_bit(tmp_path, whole):
    study().run(out=tmp_path, width=4, segment=7.5, **ASKED)
    assert tiles(tmp_path) == whole
