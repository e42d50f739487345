"""What a page is made of: a claim's runs as points, the reason of its verdict, the numbers of the explorer, the methods."""

import json
import re
from collections import Counter

import numpy as np
import pytest
import xarray as xr

from implicit_bias._results import Status
from implicit_bias.evidence.page import explorer, methods
from implicit_bias.evidence.page.cards import why
from implicit_bias.evidence.claims import Claim, judge, weigh
from implicit_bias.evidence.kinds import Exponent, Inequality, Limit, Ordering, Probability, UpToConstant
from implicit_bias.evidence.page.scatter import MOST, scatter


def runs(seeds=4, scales=5):
    """error = scale^2 of every run; all have converged."""
    ds = xr.Dataset(coords={"seed": np.arange(seeds), "scale": np.geomspace(0.01, 1, scales)})
    error = (ds.scale**2 * xr.ones_like(ds.seed, dtype=float)).transpose("seed", "scale")
    return ds.assign(error=error, status=xr.ones_like(error, dtype=np.int8))


def claim(**said):
    how = dict(id="one", source="here", statement="it is small", residual=lambda ds: ds.error)
    kind = said.get("kind")
    if kind is None or kind.uses_tolerance:
        how |= dict(tolerance=lambda ds: 2 * ds.scale**2, because="made up")
    return Claim(**(how | said))


def drawn(one, ds):
    return scatter(one, weigh(one, ds))


def paths(drawing, name):
    return [re.findall(r"M(-?\d+) (-?\d+)", d) for d in re.findall(f'<path d="([^"]*)" class="{name}"', drawing)]


def test_a_run_stands_at_its_ratio_and_at_its_tightest_slack():
    """Half of the tolerance is below the line at 1, ten times of it a decade above; outside is left of the edge."""
    ds = runs(1, 3)
    one = claim(hypotheses=lambda d: {"wide": d.scale - 0.05, "never tight": 10 + 0 * d.scale},
                residual=lambda d: xr.where(d.scale < 0.5, 1, 20) * d.error)  # fmt: skip
    drawing = drawn(one, ds)
    ((at, edge),) = [(int(x), int(y)) for x, y in re.findall(r'<path d="M(\d+) (\d+)v90" class="edge"', drawing)]
    ((left, line),) = [(int(x), int(y)) for x, y in re.findall(r'<path d="M(\d+) (\d+)h200" class="limit"', drawing)]
    (tested,), (outside,) = paths(drawing, "tested"), paths(drawing, "outside")
    del left, edge
    assert len(tested) == 2 and len(outside) == 1
    assert all(int(x) > at for x, _ in tested) and all(int(x) < at for x, _ in outside)
    (half,), (ten,) = ([int(y) for _, y in tested if int(y) > line], [int(y) for _, y in tested if int(y) < line])
    assert (line - ten) / (half - line) == pytest.approx(1 / np.log10(2), rel=0.1)  # both on one log scale


def test_those_that_ended_badly_are_crosses_and_those_without_a_number_are_counted():
    ds = runs(2, 2)
    ds["status"][0, 0] = int(Status.DIVERGED)
    ds["error"][1, 1] = np.nan
    drawing = drawn(claim(), ds)
    assert len(paths(drawing, "ended-badly")[0]) == 1
    assert "\u25cf\u00a02 tested, \u00d7\u00a01 ended badly" in drawing
    ds["error"][0, 0] = np.nan
    assert "1 without a number, not drawn" in drawn(claim(), ds)
    assert drawn(claim(), ds.assign(status=xr.full_like(ds.status, int(Status.ABSENT)))) == ""


def test_many_runs_are_few_marks():
    random = np.random.default_rng(0)
    ds = runs(200, 200)
    ds["error"][:] = ds.error * random.lognormal(sigma=4, size=ds.error.shape)
    one = claim(hypotheses=lambda d: {"anywhere": xr.zeros_like(d.error) + random.random(d.error.shape)})
    drawing = drawn(one, ds)
    ((*marks,),) = paths(drawing, "tested")
    assert 100 < len(marks) == len(set(marks)) <= MOST and len(drawing) < 12_000
    assert "40,000 tested" in drawing


def test_a_trend_is_drawn_along_its_axis_too():
    one = claim(kind=Exponent("scale", 2.0), hypotheses=lambda d: {"any": d.scale})
    drawing = drawn(one, runs())
    assert drawing.count("<svg") == 2 and "residual against scale" in drawing and "tightest slack" in drawing
    (_, along) = paths(drawing, "tested")
    slope = np.polyfit(*np.array(along, float).T, 1)[0]
    assert slope < 0 and len(along) == 5  # up the page, one for each scale: seeds agree


def lost(ds, count):
    status = ds.status.copy()
    status[:, :count] = int(Status.CAPPED)
    return ds.assign(status=status)


def noisy(ds, size):
    return ds.assign(error=ds.error * (1 + size * np.random.default_rng(0).normal(size=ds.error.shape)))


@pytest.mark.parametrize(
    "one, ds, verdict, said",
    [
        (claim(), runs(), "supported", "within its tolerance in every run"),
        (claim(kind=Inequality(), tolerance=lambda d: 1e-3), runs(), "refuted", "above the right by more than"),
        (claim(hypotheses=lambda d: {"a": d.scale - 0.1, "none": -1 + 0 * d.scale}), runs(), "vacuous", "\u201cnone\u201d alone leaves out 20"),
        (claim(), lost(runs(), 1), "unresolved", "too few could be tested: 80% of the runs inside are tested"),
        (claim(), lost(runs(), 5), "unresolved", "of 20 runs inside its hypotheses none could be tested"),
        (claim(residual=lambda d: d.error.where(d.seed > 0), share=0.5, lost="made up"), runs(), "unresolved", "nothing of 5 runs that it covers"),
        (claim(kind=Exponent("scale", 2.0)), runs(4, 2), "unresolved", "too few: at least 3 are needed"),
        (claim(kind=Exponent("scale", 2.0, within=0.01)), noisy(runs(), 0.3), "unresolved", "neither within what the claim says"),
        (claim(kind=Ordering()), runs(), "unresolved", "too few: at least 6 pairs are needed"),
        (claim(kind=Ordering(), residual=lambda d: d.error * (d.seed - 3.5)), runs(8), "unresolved", "do not tell which"),
        (claim(kind=Limit("scale"), tolerance=lambda d: 1.0), runs(), "supported", "the residual decays"),
        (claim(kind=UpToConstant("scale", within=-1.0)), noisy(runs(4, 9), 0.5), "unresolved", "holds both"),
        (claim(kind=Probability(0.5), tolerance=lambda d: d.scale**2 * (1 + 2 * (d.seed % 2)) / 2), runs(8), "unresolved", "the level lies in"),
    ],
)  # fmt: skip
def test_a_verdict_has_its_reason(one, ds, verdict, said):
    judgement = judge(one, ds)
    assert judgement.verdict == verdict, judgement.measured
    assert said in why(judgement)


def test_a_claim_whose_grid_was_left_out_says_so():
    judgement = judge(claim(on="flow"), xr.DataTree.from_dict({"gd": runs()}))
    assert judgement.left_out and "left out the grid" in why(judgement)


# -- the explorer ----------------------------------------------------------------------------------------------------------


def told(markup):
    return json.loads(re.search(r'<script type="application/json" id="explorer-data">(.*)</script>', markup, re.DOTALL)[1])


def test_the_explorer_has_the_end_of_each_run():
    ds = runs(2, 3)
    course = xr.concat([ds.error, 0.123456 * ds.error], "record").transpose("seed", "scale", "record")
    ds = ds.assign(course=course, fact=ds.scale * 1.0, same=xr.zeros_like(ds.scale), word=("seed", ["a", "b"]))
    ds["status"][1, 2] = int(Status.DIVERGED)
    ds["course"][1, 2] = np.inf
    data = told(explorer.explorer({"runs": ds}, (["implicit-bias", "replay", "x"], [])))
    (grid,) = data["grids"]
    assert [q["name"] for q in grid["quantities"]] == ["error", "course", "fact"]  # neither what is constant nor words
    _, course, fact = grid["quantities"]
    assert course["values"] == [1.235e-5, 0.001235, 0.1235, 1.235e-5, 0.001235, None] and fact["dims"] == [1]
    assert [data["statuses"][int(s)] for s in grid["status"]] == ["converged"] * 5 + ["diverged"]
    assert [float(v) for v in grid["axes"][1]["values"]] == ds.scale.values.tolist()  # to the last digit
    assert data["command"] == {"words": ["implicit-bias", "replay", "x"], "more": []} and data["note"] == ""


def test_what_is_too_much_for_a_page_is_thinned_and_said(monkeypatch):
    ds = runs(30, 40)
    more = {f"q{i}": ds.error * (1 + i + ds.seed) for i in range(6)}
    ds = ds.assign({**more, "loss": ds.error * (ds.seed - 14.5)})
    ds["status"][:10, 0] = int(Status.CAPPED)
    whole = explorer.explorer({"runs": ds}, ([], []))
    monkeypatch.setattr(explorer, "LARGEST", 5_000)
    few = told(explorer.explorer({"runs": ds}, ([], [])))
    (grid,) = few["grids"]
    assert len(told(whole)["grids"][0]["axes"]) == 2 and [a["name"] for a in grid["axes"]] == ["scale"]
    assert "medians over 30 seeds" in few["note"] and few["command"] is None  # of no run
    q0 = next(q for q in grid["quantities"] if q["name"] == "q0")["values"]
    assert q0 == pytest.approx((ds.error[0] * 15.5).values, rel=1e-3)
    assert grid["status"][0] == str(Status.CONVERGED + 1)  # of most seeds
    monkeypatch.setattr(explorer, "LARGEST", 1_500)
    least = told(explorer.explorer({"runs": ds}, ([], [])))
    assert least["grids"][0]["quantities"][0]["name"] == "loss" and "Left out, to keep the page small" in least["note"]
    monkeypatch.setattr(explorer, "LARGEST", 10)
    assert "too many runs" in explorer.explorer({"runs": ds}, ([], [])) and "explorer-data" not in explorer.explorer({"runs": ds}, None)


def test_there_is_no_explorer_of_nothing():
    ds = runs()
    assert explorer.explorer({"runs": ds.drop_vars("error")}, None) == ""
    assert explorer.explorer({"runs": ds.assign(status=xr.full_like(ds.status, int(Status.ABSENT)))}, None) == ""


# -- methods ---------------------------------------------------------------------------------------------------------------

AXES = {
    "seed": {"labels": ["0", "1"], "words": False},
    "scale": {"labels": ["0.1", "1", "10", "100", "1000"], "words": False},
}
PLAN = {
    "study": "mine/path", "keywords": {"step": ["float", "0x1.999999999999ap-4"], "scale": ["float", "0x1p0"]},
    "fingerprint": {"x64": "True", "jax": "0.1", "platform": "cpu"}, "grids": [{"name": "gd", "order": ["seed", "scale"], "axes": AXES}],
    "batches": [{"dynamics": "flow (Tsit5)", "rewriting": "row space", "depends": {"clock": [], "A": ["seed"]}, "data": {"digits": "ab" * 32}}],
}  # fmt: skip


def test_the_methods_are_those_of_the_plan():
    said = methods.paragraph(PLAN, {"gd": Counter({Status.CONVERGED: 9, Status.CAPPED: 1})}, 2)
    for part in (
        "The study mine/path has 10 runs: scale = 5 values from 0.1 to 1000 and 2 seeds (0, 1).", "Fixed: step = 0.1.",
        "Law of motion: flow (Tsit5).", "Rewriting: row space.", "Data: digits (sha256 abababababab).",
        "in 64-bit floating point on cpu with jax 0.1.", "They ended as follows: 9 converged and 1 capped.", "2 claims are judged",
    ):  # fmt: skip
        assert part in said, part
    bare = methods.paragraph({**PLAN, "fingerprint": {}, "keywords": {}}, {"gd": Counter({Status.CONVERGED: 10})}, 0)
    assert "Fixed" not in bare and "floating point" not in bare and "judged" not in bare


def test_facts_have_their_range_and_losers_their_place():
    ds = runs(2, 5).assign(A=(("seed", "A_0"), np.array([[-1.0, 2.0], [0.5, np.nan]]), {"definition": "the data. A fact."}))
    ds["status"][:, 4] = int(Status.DIVERGED)
    table = re.sub("<[^>]*>", "|", methods.facts(ds, PLAN))
    assert re.sub(r"\|+", "|", table).endswith("|A|the data|2|seed|-1 to 2|")
    rows = re.findall("<tr>(.*?)</tr>", methods.survivors(ds, PLAN))
    cells = [re.findall(">([^<>]+)<", row) for row in rows]
    assert cells[0] == ["Axis", "Value", "diverged", "converged"] or cells[0] == ["Axis", "Value", "converged", "diverged"]
    assert [c[:2] for c in cells[1:]] == [["scale", f"{v:.4g}"] for v in ds.scale.values]
    last = dict(zip(cells[0], cells[-1]))
    assert (last["converged"], last["diverged"]) == ("0", "2")
    assert methods.survivors(runs(), PLAN) == ""

