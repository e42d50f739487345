"""Any keyword of a cell can be set, and no verdict turns against its expectation: halved, doubled, one size up.

Claims, tolerances and hypotheses read what a run was given from its dataset. Where a claim needs a range of a setting,
that is a hypothesis with its slack, and outside it the claim is vacuous; where a setting leaves too few runs, it is
unresolved: neither is a false verdict.

Each case compiles programs of its own. With IMPLICIT_BIAS_SETTINGS=all every number of every study is set, for two hours on
two cores; with =each one number of every study, its step where it has one, for half an hour; without it that of one study a
paper, in minutes. Before a release, and where a study or its claims have changed, they run with =each.
"""

import contextlib
import inspect
import os
import warnings

import pytest
import xarray as xr

from implicit_bias import catalogue
from implicit_bias._errors import Mistake
from implicit_bias.evidence.claims import judge_all
from tests.test_studies import SMALL, small_run

pytestmark = pytest.mark.slow


def _numeric(study):
    """The numeric keywords of a cell with the value that each has where nothing is asked."""
    for name, parameter in inspect.signature(study.cell).parameters.items():
        default = parameter.default
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            yield name, default


def changed(value):
    """A setting's other values: a length one size up, any other number halved and doubled. (None of 0.0.)"""
    return [max(value + 1, 5 * value // 4)] if isinstance(value, int) else [value / 2, 2 * value] if value else []


def _cases():
    how, papers = os.environ.get("IMPLICIT_BIAS_SETTINGS"), set()
    for name in SMALL:
        paper = name.partition("/")[0]
        if how not in ("each", "all") and paper in papers:
            continue
        study = catalogue.load(catalogue.find(name))
        found = {
            keyword: default
            for keyword, default in _numeric(study)
            if changed(default) and not any(keyword in grid.axes and len(grid.axes[keyword]) > 1 for grid in study.grids)
        }
        papers |= {paper} if found else set()
        if how != "all" and found:
            first = min(found, key=lambda keyword: (keyword != "step", isinstance(found[keyword], int)))
            found = {first: found[first]}
        for keyword, default in found.items():
            yield pytest.param(name, keyword, default, id=f"{name}-{keyword}")


def _results(study, keyword, values):
    """(value, its results), where the study can have it: all as an axis, by programs compiled once; or one by one."""
    if len(values) > 1:
        with contextlib.suppress(Mistake):  # whichever it was is met again below
            together = _ran(study, {keyword: values})
            return [(v, _at(together, keyword, k)) for k, v in enumerate(values)]
    found = []
    for value in values:
        try:
            found.append((value, _ran(study, {keyword: value})))
        except Mistake as refused:  # a setting that the study cannot have is refused in words, before the first step
            assert refused.remedy
    return found


def _ran(study, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return small_run(study, **settings)


def _at(data, keyword, place):
    """The results of one value, which is then a number like any other setting."""
    if isinstance(data, xr.DataTree):
        return data.map_over_datasets(lambda ds: ds.isel({keyword: place}) if keyword in ds.dims else ds)
    return data.isel({keyword: place})


@pytest.mark.parametrize(("name", "keyword", "default"), list(_cases()))
def test_no_setting_turns_a_verdict_against_its_expectation(name, keyword, default):
    study = catalogue.load(catalogue.find(name))
    for value, data in _results(study, keyword, changed(default)):
        for j in judge_all(study.claims, data):
            unlike = j.verdict in ("supported", "refuted") and not j.as_expected
            assert not unlike, (f"{keyword}={value}", j.claim.id, j.verdict, j.measured, j.where)


def test_every_keyword_is_a_coordinate_with_the_value_that_the_run_had():
    study = catalogue.load(catalogue.find("wu2020/robustness"))
    data = study.run(seed=range(1), scale=[0.1, 1.0], step=0.05, columns=30)
    for grid in data.children.values():
        ds = grid.to_dataset()
        assert {*inspect.signature(study.cell).parameters} - {"key"} <= {*ds.coords}
        assert (float(ds.step), int(ds.columns), int(ds.rows)) == (0.05, 30, 20)
        assert ds.scale.values.tolist() == [0.1, 1.0] and (ds.ratio == 1.0).all()
