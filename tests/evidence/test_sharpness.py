"""Leaving one hypothesis out: which runs are asked, where the first failure is, and each verdict."""

import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.claims import judge
from implicit_bias.evidence.console import sharpness_table
from implicit_bias.evidence.sharpness import outside_of, sharpness, without

X, Y = np.array([0.25, 0.5, 1.5, 2.0]), np.array([-1.0, 1.0, 3.0])
SEEDS, STEPS = range(12), np.array([0.4, 0.2, 0.1, 0.05])


def plane(status=1):
    """Runs on a grid of x and y; the residual is x y, so that `x y <= 1` needs x <= 1 or y <= 1/2."""
    value = xr.DataArray(np.outer(X, Y), dims=("x", "y"), coords={"x": X, "y": Y})
    return xr.Dataset({"status": (("x", "y"), np.broadcast_to(status, (4, 3))), "value": value})


def claim(hypotheses, **said):
    defaults = dict(id="c", source="s", statement="t", because="b", kind=ib.Inequality(), residual=lambda d: d.value)
    if said.get("kind", defaults["kind"]).uses_tolerance:
        defaults["tolerance"] = lambda d: 1.0
    return ib.Claim(**{**defaults, **said}, hypotheses=hypotheses)


def both(d):
    return {"x <= 1": 1 - d.x + 0 * d.y, "y <= 2": 2 - d.y + 0 * d.x}


def test_the_first_failure_is_nearest_to_the_boundary_among_runs_that_meet_the_others():
    """Outside x <= 1 with y <= 2 are x = 1.5, 2 and y = -1, 1: (1.5, 1) and (2, 1) fail, both with y = -1 pass."""
    by_x, by_y = sharpness(claim(both), plane())
    assert (by_x.hypothesis, by_x.verdict, by_x.outside, by_x.failed) == ("x <= 1", "needed", 4, 2)
    assert by_x.first.where == {"x": 1.5, "y": 1.0}
    assert (by_x.first.slack, by_x.first.ratio, by_x.first.nearer) == (-0.5, 1.5, 0)
    # outside y <= 2 with x <= 1 is y = 3: 0.75 passes and 1.5 fails, at the same distance
    assert (by_y.verdict, by_y.outside, by_y.failed, by_y.first.where) == ("needed", 2, 1, {"x": 0.5, "y": 3.0})


def test_runs_nearer_to_the_boundary_that_pass_are_counted():
    (found,) = sharpness(claim(lambda d: {"x < 0": -d.x + 0 * d.y}), plane())
    assert (found.outside, found.failed, found.first.where["x"], found.first.nearer) == (12, 5, 0.5, 3)


def test_at_equal_slack_the_worst_failure_is_shown():
    """A hypothesis on a static axis has slacks 1 and -1 only."""
    (found,) = sharpness(claim(lambda d: {"y": xr.where(d.y < 0, 1.0, -1.0) + 0 * d.x}), plane())
    assert (found.first.where, found.first.ratio, found.first.slack) == ({"x": 2.0, "y": 3.0}, 6.0, -1.0)


def test_no_failure_outside_is_not_shown_needed():
    (found,) = sharpness(claim(lambda d: {"x <= 1": 1 - d.x + 0 * d.y}, tolerance=lambda d: 100.0), plane())
    assert (found.verdict, found.outside, found.failed, found.first) == ("not shown needed", 6, 0, None)


def test_no_run_outside_is_untested():
    (found,) = sharpness(claim(lambda d: {"x <= 9": 9 - d.x + 0 * d.y}), plane())
    assert (found.verdict, found.outside, found.failed, found.first) == ("untested", 0, 0, None)


def test_a_slack_of_nan_is_neither_inside_nor_outside():
    def half_known(d):
        return {"x <= 1": (1 - d.x).where(d.x != 1.5) + 0 * d.y}

    (found,) = sharpness(claim(half_known, residual=lambda d: d.value - 4), plane())
    assert (found.verdict, found.outside, found.unknown) == ("needed", 3, 3)
    (nothing,) = sharpness(claim(lambda d: {"h": np.nan * d.value}), plane())
    assert (nothing.verdict, nothing.outside, nothing.unknown) == ("untested", 0, 12)
    # a second hypothesis that is nan is not met, as everywhere
    (_, other) = sharpness(claim(lambda d: {"h": np.nan * d.value, "x <= 1": 1 - d.x + 0 * d.y}), plane())
    assert (other.verdict, other.outside) == ("untested", 0)


def test_a_slack_of_zero_is_inside():
    (found,) = sharpness(claim(lambda d: {"x <= 1.5": 1.5 - d.x + 0 * d.y}, tolerance=lambda d: 5.0), plane())
    assert (found.outside, found.first.where["x"]) == (3, 2.0)


def test_runs_that_ended_badly_or_are_absent_or_undefined_decide_nothing():
    status = np.ones((4, 3), int)
    status[2], status[3, 0] = ib.Status.DIVERGED, ib.Status.ABSENT
    data = plane(status)
    (found,) = sharpness(claim(lambda d: {"x <= 1": 1 - d.x + 0 * d.y}, tolerance=lambda d: 2.5), data)
    assert (found.outside, found.failed, found.ended_badly, found.unknown) == (2, 1, 3, 0)
    data["value"] = data.value.where(data.y != 3)
    (found,) = sharpness(claim(lambda d: {"x <= 1": 1 - d.x + 0 * d.y}, tolerance=lambda d: 2.5), data)
    assert (found.verdict, found.outside, found.failed, found.undefined) == ("not shown needed", 1, 0, 1)


def test_a_claim_refuted_inside_says_nothing_of_its_hypotheses():
    (found,) = sharpness(claim(lambda d: {"x <= 1.5": 1.5 - d.x + 0 * d.y}), plane())
    assert (found.verdict, found.failed) == ("fails inside too", 2)


def test_a_tolerance_of_zero_fails_by_an_infinite_ratio():
    said = dict(residual=lambda d: np.sign(d.x - 1) + 0 * d.y, tolerance=lambda d: 0.0)
    (found,) = sharpness(claim(lambda d: {"x <= 1": 1 - d.x + 0 * d.y}, **said), plane())
    assert (found.verdict, found.first.ratio) == ("needed", np.inf)


def test_a_bound_that_turns_negative_outside_says_nothing_there():
    """value <= 1/(1 - x) says nothing at x > 1."""
    bound = claim(lambda d: {"x < 1": 1 - d.x + 0 * d.y}, tolerance=lambda d: 3 / (1 - d.x) + 0 * d.y)
    (found,) = sharpness(bound, plane())
    assert (found.verdict, found.outside, found.undefined) == ("untested", 0, 6)


# -- kinds that judge many runs together -------------------------------------------------------------------------------


def curves(outside, seed=0):
    """value = step^1 for most seeds, step^outside for seeds 9..11, with a little noise; `size` is 1 and 3 for them."""
    power = xr.DataArray([1.0] * 9 + [outside] * 3, dims="seed", coords={"seed": list(SEEDS)})
    step = xr.DataArray(STEPS, dims="step", coords={"step": STEPS})
    noise = np.exp(0.02 * np.random.default_rng(seed).normal(size=(12, 4)))
    value = step**power * xr.DataArray(noise, dims=("seed", "step"))
    value = value.transpose("seed", "step")
    size = xr.where(power.seed < 9, 1.0, 3.0)
    return xr.Dataset({"status": xr.ones_like(value, dtype=int), "value": value, "size": size})


def twice(outside):
    """24 seeds, 6 of them outside."""
    return xr.concat([curves(outside), curves(outside, seed=1).assign_coords(seed=range(12, 24))], "seed")


def small(d):
    return {"size <= 2": 2 - d.size + 0 * d.step}


@pytest.mark.parametrize("outside, verdict", [(0.5, "needed"), (1.0, "not shown needed")])
def test_an_exponent_is_found_again_on_the_runs_outside(outside, verdict):
    """Pooled with nine curves of slope 1, three of slope 1/2 give 7/8, which `within=0.35` would overlook."""
    slope = claim(small, kind=ib.Exponent(against="step", value=1.0, within=0.35))
    assert judge(without(slope, "size <= 2"), curves(outside)).verdict == "supported"
    (found,) = sharpness(slope, curves(outside))
    assert (found.verdict, found.failed, found.first) == (verdict, None, None), found.measured
    assert found.measured.startswith("outside: exponent")


def test_two_values_of_an_axis_decide_nothing():
    slope = claim(small, kind=ib.Exponent(against="step", value=1.0))
    (found,) = sharpness(slope, curves(0.5).isel(step=slice(2)))
    assert (found.verdict, found.outside) == ("unresolved", 6)


def test_a_hypothesis_on_the_axis_itself_is_judged_on_all_runs_without_it():
    """Two steps outside carry no exponent; with the rest they bend it."""
    data = curves(1.0)
    data["value"] = data.value.where(data.step <= 0.1, 0.01)
    kind = ib.Exponent(against="step", value=1.0)
    fine = claim(lambda d: {"step <= 0.1": 0.1 - d.step + 0 * d.size}, kind=kind)
    (found,) = sharpness(fine, data)
    assert judge(fine, data).verdict == "unresolved"  # two steps inside, too
    assert found.verdict == "needed" and found.measured.startswith("left out: exponent")


@pytest.mark.parametrize("sign, verdict", [(1.0, "needed"), (-1.0, "not shown needed")])
def test_an_ordering_is_found_again(sign, verdict):
    data = twice(1.0)
    data["value"] = xr.where(data.size < 2, -data.value, sign * data.value)
    (found,) = sharpness(claim(small, kind=ib.Ordering()), data)
    assert found.verdict == verdict and found.outside == 24


def test_a_probability_names_its_first_failure_and_is_judged_by_its_interval():
    """24 runs of 6 seeds outside: all fail, or one does, which 0.7 can bear."""
    data = twice(1.0)
    data["value"] = xr.where(data.size < 2, 0.0, 2.0) + 0 * data.step
    (found,) = sharpness(claim(small, kind=ib.Probability(0.7)), data)
    assert (found.verdict, found.failed, found.first.slack) == ("needed", 24, -1.0)
    data["value"] = 0 * data.value + xr.where((data.seed == 10) & (data.step == 0.1), 2.0, 0.0)
    (found,) = sharpness(claim(small, kind=ib.Probability(0.7)), data)
    assert (found.verdict, found.failed, found.first.where) == ("not shown needed", 1, {"seed": 10, "step": 0.1})


# -- grids, and the two claims made of one -----------------------------------------------------------------------------


def test_a_claim_without_hypotheses_or_without_its_grid_has_nothing_to_leave_out():
    assert sharpness(claim(lambda d: {}), plane()) == []
    tree = xr.DataTree.from_dict({"gd": plane(), "wn": plane()})
    assert sharpness(claim(both, on="rpgd"), tree) == []
    assert len(sharpness(claim(both, on="wn"), tree)) == 2


def test_inside_and_outside_share_the_runs_that_meet_the_rest():
    whole = claim(both)
    left_out, outside = without(whole, "x <= 1"), outside_of(whole, "x <= 1")
    assert judge(left_out, plane()).inside == judge(whole, plane()).inside + judge(outside, plane()).inside == 8
    assert list(left_out.hypotheses(plane())) == ["y <= 2"]


def test_the_table_has_a_row_for_each_hypothesis():
    table = sharpness_table("mine", ["c", "exact"], sharpness(claim(both), plane())).splitlines()
    assert len(table) == 5 and table[-1].endswith("no hypothesis to leave out: exact")
    assert table[2].split()[-2:] == ["x=1.5,", "y=1"] and "needed" in table[2]
