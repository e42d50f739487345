"""What a notebook shows: the tutorial shows what is written in it; verdicts and figures as HTML, a bar, a clock."""

import dataclasses
import importlib.util
import json
import re
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias import progress
from implicit_bias.notebook import Judgements
from implicit_bias.sweep.keep.clock import with_clock

ROOT = Path(__file__).resolve().parent.parent


def _script(name):
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tutorial = _script("write_tutorial")


# -- the tutorial ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def notebook():
    return tutorial.read()


@pytest.fixture(scope="module")
def done(notebook, tmp_path_factory):
    lenient = jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard")
    with pytest.MonkeyPatch.context() as patch, lenient[0], lenient[1]:
        patch.chdir(tmp_path_factory.mktemp("tutorial"))
        return tutorial.executed(notebook)


def _said(cell):
    """What a cell shows in words, with every number in one letter: its last digits are the machine's."""
    texts = [output.get("text") or output["data"]["text/plain"] for output in cell.get("outputs", [])]
    text = "\n".join("".join(lines) for lines in texts)
    text = re.sub(r"^ *fingerprint:.*$", "", text, flags=re.M)
    return re.sub(r"\s+", " ", re.sub(r"[-+]?(\d[\d,.]*)(e[-+]?\d+)?|\.\.\.", "#", text))


@pytest.mark.slow
def test_the_tutorial_shows_what_is_written_in_it(notebook, done):
    """`scripts/write_tutorial.py` writes it again."""
    for then, now in zip(notebook["cells"], done["cells"]):
        assert _said(then) == _said(now), "".join(then["source"])
        kinds = [[sorted(o.get("data", [])) for o in cell.get("outputs", [])] for cell in (then, now)]
        assert kinds[0] == kinds[1]


@pytest.mark.slow
def test_the_tutorial_ends_where_it_says(done):
    said = " ".join(map(_said, done["cells"]))
    assert "refuted, EXPECTED SUPPORTED" in said and "refuted (as expected)" in said
    assert "(True, 'supported')" in said and "the bits of the original" in said
    low, high = map(float, re.search(r"holds at step ([\d.]+), fails at ([\d.]+)", json.dumps(done)).groups())
    assert 0.4 < low < high < 0.4 + 0.02  # above 2/(1 + 4), and as far as a share of the start takes 40 steps to grow


def test_the_tutorial_is_a_notebook_of_the_fourth_format(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in ids)
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("code", "markdown") and all(isinstance(line, str) for line in cell["source"])
        assert ("outputs" in cell) == (cell["cell_type"] == "code")
    assert tutorial.NOTEBOOK.stat().st_size < 150_000
    for target in re.findall(r"\]\(([^)#:]+)\)", json.dumps(notebook)):
        assert (tutorial.NOTEBOOK.parent / target).exists(), target


# -- verdicts and figures ----------------------------------------------------------------------------------------------


def claim(id, most, **more):
    return ib.Claim(
        id=id, source="Euler <1768>", statement=r"$x_0 \le 2$ & more", residual=lambda ds: ds.x - most,
        tolerance=lambda ds: 1e-9, because="exact", kind=ib.Inequality(), **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def study():
    def cell(*, scale, key):
        problem = ib.linear.fixed([[1.0, 0.0]], [1.0])(key)
        return ib.Run(problem, ib.Euclidean(scale), ib.Descent(0.5, max_steps=8))

    layer = ib.curves_of("x", x="scale", accepts=None)
    figure = ib.Figure(id="f", caption="x at {x.count} scales, $x_0$.", panels=[ib.panel(layer)], claims=["small"])
    return ib.Study(
        cell=cell, grids=ib.grid(seed=range(1), scale=[1.0, 2.0]), claims=[claim("small", 2.0), claim("tiny", 1.5)],
        figures=[figure], name="me/lemma",
    )  # fmt: skip


@pytest.fixture(scope="module")
def results():
    data = {"status": (("seed", "scale"), [[1, 1]]), "x": (("seed", "scale"), [[1.0, 2.0]])}
    return xr.Dataset(data, {"seed": [0], "scale": [1.0, 2.0]}, {"study": "me/lemma"})


def _parsed(html):
    """Well formed, and therefore nothing of a study's words became markup."""
    return ElementTree.fromstring(re.sub(r"<style>.*?</style>", "", html, flags=re.S))


def test_check_is_the_table_of_the_terminal(study, results):
    verdicts = study.check(results)
    assert [j.verdict for j in verdicts] == ["supported", "refuted"] and len(verdicts) == 2
    assert verdicts["tiny"].worst == pytest.approx(5e8) and verdicts[0] is verdicts["small"]
    assert not verdicts.as_expected and verdicts[:1].as_expected
    from implicit_bias.evidence.console import verdict_table

    assert repr(verdicts) == verdict_table("me/lemma", list(verdicts), measured=True)
    with pytest.raises(ib.Mistake, match="claim: me/lemma has no claim 'tinny'; did you mean 'tiny'?"):
        verdicts["tinny"]


def test_a_claim_without_a_name_is_a_mistake_with_a_remedy():
    with pytest.raises(ib.Mistake, match="give the study"):
        Judgements("me/lemma", [])["any"]
    assert _parsed(Judgements("me/lemma", [])._repr_html_()).find(".//table") is None


def test_the_table_of_verdicts_can_be_read_aloud(study, results):
    """Headings of columns and rows, a name, a mark with its word: what a reader without the colours is told."""
    page = _parsed(study.check(results)._repr_html_())
    assert [cell.get("scope") for cell in page.iter("th")] == ["col"] * 4 + ["row"] * 2
    assert page.find(".//div[@role='region']").get("aria-label") == "Verdicts"
    verdicts = ["".join(span.itertext()) for span in page.findall(".//tbody//span")]
    assert verdicts == ["✓ supported", "⚠ ✗ refuted, expected supported"]
    text = "".join(page.find(".//tbody").itertext())
    assert "Euler <1768>" in text and "& more" in text and page.find(".//msub") is not None


def test_check_completes_what_it_is_given_with_the_predictions_of_today(study, results):
    """A prediction that was written since, or mended, is not that of the results."""
    below = dataclasses.replace(claim("below", 0.0), residual=lambda ds: ds.x - ds.law)
    for law, verdict in ((lambda scale: scale, "supported"), (lambda scale: scale / 2, "refuted")):
        told = dataclasses.replace(study, claims=[below], figures=[], predict={"law": law})
        assert told.check(results.assign(law=9.0))["below"].verdict == verdict


def test_check_reads_a_folder_or_is_told_what_is_missing(study, results, monkeypatch):
    from implicit_bias import study as module

    monkeypatch.setattr(module, "open_results", {"results/mine@fine": results}.__getitem__)
    assert study.check("results/mine@fine")["small"].verdict == study.check(out="results/mine@fine")[0].verdict
    for given, out in ((None, None), (results, "results/mine")):
        with pytest.raises(ib.Mistake, match="data: is .*; give what `run` returned, or out=FOLDER"):
            study.check(given, out=out)


def test_what_a_claim_raises_says_which_claim_it_was(study, results):
    with pytest.raises(AttributeError) as raised:
        study.check(results.drop_vars("x"))
    assert raised.value.__notes__ == ["while the claim 'small' was judged"]


@pytest.mark.slow
def test_a_figure_is_shown_with_its_caption_and_its_verdicts(study, results, tmp_path):
    shown = study.figure("f", results)
    page = _parsed(shown._repr_html_())
    said = "".join(page.find(".//figcaption").itertext())
    assert page.find("svg") is not None and "x at 2 scales" in said
    assert "✓ supported" in said and "small" in said and "tiny" not in said  # the claim that it is evidence of
    assert shown._repr_svg_().startswith("<?xml") and shown._repr_png_()[:4] == b"\x89PNG"
    assert "supported" in repr(shown) and len(repr(shown)) < 200
    assert {path.name for path in shown.save(tmp_path / "f.pdf")} == {"f.pdf", "f.csv"}
    with pytest.raises(ib.Mistake, match="figure: me/lemma has no figure 'g'"):
        study.figure("g", results)


@pytest.mark.slow
def test_a_plan_says_what_it_asks_for(study):
    plan = study.plan(scale=[1.0, 2.0, 4.0])
    assert "3 asked for, 0 done, 3 to compute" in repr(plan) and "scale: 1, 2, 4" in repr(plan)
    rows = {row.find("th").text: row.find("td").text for row in _parsed(plan._repr_html_()).iter("tr")}
    assert rows["runs"].startswith("3 asked for") and rows["programs"] == "1, of which 1 to compile"


# -- the bar -----------------------------------------------------------------------------------------------------------


class Handle:
    """What IPython's `display` gives back: it draws over what is there."""

    def __init__(self, first):
        self.seen = [repr(first)]

    def update(self, now):
        self.seen.append(repr(now))
        ElementTree.fromstring(now._repr_html_())


@pytest.fixture
def jupyter(monkeypatch):
    """A kernel, as far as it is asked for."""
    handles = []
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    display.display = lambda shown, display_id: handles.append(Handle(shown)) or handles[-1]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return handles


def news(done, total, seconds):
    return types.SimpleNamespace(runs_done=done, runs_total=total, seconds=seconds, by_status={"diverged": 2})


def test_a_bar_is_drawn_over_in_a_notebook(jupyter):
    with progress.notebook_bar("me/<lemma>", 12, 8) as tell:
        for done, seconds in ((2, 1.0), (3, 1.01), (8, 4.0)):
            tell(news(done, 8, seconds))
    assert jupyter[0].seen == [
        "me/<lemma>: 4 of 12 runs, compiling",
        "me/<lemma>: 6 of 12 runs, 2 runs/s, 2 diverged, 3 s left",
        "me/<lemma>: 12 of 12 runs, 2 runs/s, 2 diverged, done in 4.0 s",  # what came too soon is left out
    ]


def test_a_bar_that_was_stopped_says_so(jupyter):
    with pytest.raises(KeyboardInterrupt), progress.notebook_bar("me/lemma", 8, 8):
        raise KeyboardInterrupt
    assert jupyter[0].seen[-1] == "me/lemma: 0 of 8 runs, stopped"


def test_nothing_is_said_where_there_is_no_notebook(monkeypatch, capfd):
    """Nor in IPython on a terminal, which has no kernel."""
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace()
    for module in (None, ipython):
        monkeypatch.setitem(sys.modules, "IPython", module)
        with progress.notebook_bar("me/lemma", 8, 8) as tell:
            tell(news(8, 8, 1.0))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_run_has_a_bar_in_a_notebook_and_tells_whoever_asks(study, jupyter):
    ds = study.run()
    assert re.fullmatch(r"me/lemma: 2 of 2 runs, .*, done in .* s", jupyter[0].seen[-1])
    assert ds.loss.sel(clock=8).dims == ("seed", "scale")
    heard = []
    study.run(tell=heard.append)
    assert len(jupyter) == 1 and heard[-1].runs_done == 2


# -- the clock ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def clocked():
    """Two runs of x = clock^2, of which the second has ended at 10: it stands still."""
    clock = np.array([0.0, 1.0, 10.0, 100.0])
    x = np.stack([clock**2, np.minimum(clock, 10.0) ** 2])
    return with_clock(xr.Dataset({"x": (("seed", "record"), x)}, {"seed": [0, 1], "clock": ("record", clock)}))


def test_records_are_selected_by_their_moments(clocked):
    assert clocked.x.sel(clock=10).values.tolist() == [100, 100]
    assert clocked.x.sel(clock=100).values.tolist() == [1e4, 100]
    assert clocked.sel(clock=[1, 100]).x.shape == (2, 2)
    assert clocked.x.sel(clock=slice(1, 10)).clock.values.tolist() == [1, 10]
    for method, found in (("nearest", 10), ("ffill", 10), ("bfill", 100)):
        assert clocked.sel(clock=40, method=method).clock == found
    assert clocked.sel(clock=10 * (1 + 1e-12)).clock == 10  # a moment to rounding
    with pytest.raises(KeyError, match="no record at clock=40: they are at 0, 1, 10, 100; method='nearest'"):
        clocked.sel(clock=40)


def test_records_are_paired_by_their_number_as_without_a_clock(clocked):
    x = clocked.x
    change = x.isel(record=slice(1, None)) - x.isel(record=slice(None, -1))
    np.testing.assert_array_equal(change, np.diff(x, axis=-1))
    other = clocked.assign_coords(clock=("record", [0.0, 1.0, 20.0, 100.0]))
    both = x - with_clock(other.drop_indexes("clock", errors="ignore")).x
    assert both.shape == x.shape and both.clock.values[[0, 1, 3]].tolist() == [0, 1, 100] and np.isnan(both.clock[2])
    with pytest.raises(ValueError, match="4 records and 3 cannot be paired"):
        x - x.isel(record=slice(1, None))
    assert (x - x.isel(record=-1)).shape == x.shape and (x / x.max("record")).sizes["record"] == 4


def test_a_clock_goes_where_its_records_go(clocked, tmp_path):
    clocked.to_netcdf(tmp_path / "x.nc")
    with xr.open_dataset(tmp_path / "x.nc") as back:
        assert "clock" in back.coords and back.x.equals(clocked.x.drop_indexes("clock"))
        assert with_clock(back.load()).x.sel(clock=10).values.tolist() == [100, 100]
        assert ib.at_clock(back, 10).x.values.tolist() == [100, 100]
    assert clocked.isel(record=-1).clock == 100 and "clock" not in clocked.x.max("record").coords
    assert clocked.drop_indexes("clock").to_dataframe().clock.iloc[:4].tolist() == [0, 1, 10, 100]
    tall = clocked.x.stack(all=("seed", "record"))
    assert tall.size == 8 and tall.sel(seed=1, clock=100) == 100


def test_at_clock_takes_every_grid_by_its_own(clocked):
    own = xr.Dataset(
        {"x": (("step", "record"), [[1, 2, 3], [4, 5, 6], [0, 0, 0]])},
        {"clock": (("step", "record"), [[0, 5, 5], [0, 50, 100], [np.nan] * 3]), "step": [0.1, 0.01, 0.001]},
    )
    tree = xr.DataTree.from_dict({"a": clocked, "b": own, "c": xr.Dataset({"y": 1.0})})
    at = ib.at_clock(tree, 5, method="nearest")
    assert at["a"].clock == 1 and at["b"].x.values[:2].tolist() == [2, 4] and at["c"].y == 1
    with pytest.raises(KeyError, match="no record at clock=5"):
        ib.at_clock(own, 5)
    with pytest.raises(ib.Mistake, match="clock: these results have no records to choose from"):
        ib.at_clock(clocked.isel(record=0), 5)
