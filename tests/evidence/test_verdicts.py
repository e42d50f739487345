"""Verdicts as files: read back bit for bit, or not at all."""

import dataclasses
import json
import math

import numpy as np
import pytest
import xarray as xr

from implicit_bias._results import Status
from implicit_bias.evidence import kinds, verdicts
from implicit_bias.evidence.claims import Claim, judge
from implicit_bias.evidence.console import verdict_table
from implicit_bias.evidence.verdicts import Kept, decode, encode, path_of, read_kept, write

SCALES = np.geomspace(0.01, 1.0, 5)


def judged(kind, slope=1.0, **more):
    x = xr.DataArray(SCALES, dims="scale", coords={"scale": SCALES})
    noise = xr.DataArray(1 + 0.01 * np.sin(np.arange(8)), dims="seed", coords={"seed": np.arange(8)})
    data = xr.Dataset({"status": xr.ones_like(noise * x, dtype=int)})
    claim = Claim(
        id="one", source="here", statement="as x^1", kind=kind, residual=lambda ds: noise * x**slope,
        tolerance=(lambda ds: 2.0 * x) if kind.uses_tolerance else None, because="example", hypotheses=lambda ds: {"x > 0": ds.scale}, **more,
    )  # fmt: skip
    return judge(claim, data)


KINDS = [
    kinds.Identity(), kinds.Inequality(), kinds.Exponent("scale", 1.0), kinds.Limit("scale"), kinds.Ordering(),
    kinds.Probability(0.9), kinds.UpToConstant("scale"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_judgement_is_read_back_whole(kind, tmp_path):
    one = judged(kind, accepts=(Status.CONVERGED, Status.CAPPED))
    plan = tmp_path / "plans" / "0123456789abcdef.json"
    kept = Kept("plan", "tiles", {"files": {"a": None}}, "mine", "words", 40, [one], {"one": "run it"}, {"p.html": "00"})
    write(kept, plan)
    back = read_kept(plan)
    (found,) = back.judgements
    for field in dataclasses.fields(one):
        if field.name != "claim":
            assert getattr(found, field.name) == getattr(one, field.name), field.name
    assert found.claim.kind == kind and found.claim.accepts == one.claim.accepts
    assert verdict_table("mine", [found]) == verdict_table("mine", [one])
    assert dataclasses.replace(back, judgements=[]) == dataclasses.replace(kept, judgements=[])


def test_numbers_are_kept_bit_for_bit():
    values = [0.1, math.inf, -math.inf, 5e-324, 1e308, -0.0, 2**53, True, None, "nan", np.float64(0.3), np.int64(4)]
    back = decode(json.loads(json.dumps(encode(values), allow_nan=False)))
    assert [repr(b) for b in back] == [repr(getattr(v, "item", lambda v=v: v)()) for v in values]
    assert math.isnan(decode(json.loads(json.dumps(encode(math.nan), allow_nan=False))))


def test_a_kind_of_the_users_own_is_judged_each_time(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Mine(kinds.Identity):
        of: str = "theirs"

    plan = tmp_path / "plans" / "0123456789abcdef.json"
    write(Kept("p", "t", None, "mine", "", 1, [judged(Mine())], {}), plan)
    assert read_kept(plan) is None


def test_what_write_did_not_write_is_none(tmp_path):
    plan = tmp_path / "plans" / "0123456789abcdef.json"
    assert read_kept(plan) is None
    write(Kept("p", "t", None, "mine", "", 1, [judged(kinds.Identity())], {}), plan)
    path, good = path_of(plan), path_of(plan).read_bytes()
    rng = np.random.default_rng(0)
    assert read_kept(plan) is not None
    for _ in range(200):
        bad = bytearray(good)
        place = rng.integers(len(bad))
        bad[place] ^= 1 << rng.integers(7)
        path.write_bytes(bad)
        # JSON has some freedom of spelling that its content has not: E for e, one blank for another
        assert read_kept(plan) is None or json.loads(bytes(bad)) == json.loads(good)
    for bad in (b"", b"[]", b"{}", good[:-1], b"[" * 10**5, b"\xff", json.dumps({"format": verdicts.FORMAT}).encode()):
        path.write_bytes(bad)
        assert read_kept(plan) is None
    path.unlink()
    path.mkdir()
    assert read_kept(plan) is None
