"""Verdicts: what has to be seen for each of them, and that every kind can fail."""

import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.claims import judge

SEEDS, STEPS = range(12), [0.4, 0.2, 0.1, 0.05]


def results(values, status=1, **coords):
    coords = coords or {"seed": list(SEEDS), "step": STEPS}
    dims = list(coords)
    shape = [len(c) for c in coords.values()]
    values = np.broadcast_to(np.asarray(values, float), shape)
    return xr.Dataset({"status": (dims, np.broadcast_to(status, shape)), "value": (dims, values)}, coords)


def claim(**said):
    defaults = dict(id="c", source="s", statement="t", because="b", residual=lambda d: d.value, tolerance=lambda d: 1.0)
    return ib.Claim(**{**defaults, **said})


def noise(scale=1.0, seed=0):
    return scale * np.random.default_rng(seed).normal(size=(len(SEEDS), len(STEPS)))


def test_an_identity_is_refuted_by_one_run_and_says_which():
    values = np.full((12, 4), 0.5)
    assert judge(claim(), results(values)).verdict == "supported"
    values[7, 2] = 3.0
    found = judge(claim(), results(values))
    assert (found.verdict, found.worst, found.where) == ("refuted", 3.0, {"seed": 7, "step": 0.1})
    assert not found.as_expected and judge(claim(expected="refuted"), results(values)).as_expected


def test_a_tolerance_of_zero_is_met_by_a_residual_of_zero_only():
    exact = claim(tolerance=lambda d: 0.0)
    assert judge(exact, results(0.0)).verdict == "supported"
    assert judge(exact, results(1e-300)).verdict == "refuted"


def test_no_run_inside_the_hypotheses_is_vacuous():
    found = judge(claim(hypotheses=lambda d: {"never": -1 - 0 * d.value}), results(0.5))
    assert (found.verdict, found.outside, found.tested) == ("vacuous", 48, 0)


def test_a_slack_of_exactly_zero_is_inside_and_nan_is_outside():
    assert judge(claim(hypotheses=lambda d: {"edge": 0 * d.value}), results(0.5)).inside == 48
    assert judge(claim(hypotheses=lambda d: {"edge": np.nan * d.value}), results(0.5)).inside == 0


def test_runs_that_ended_badly_are_counted_and_decide_nothing():
    status = np.ones((12, 4), int)
    status[0] = ib.Status.CAPPED
    status[1] = ib.Status.ABSENT
    values = np.full((12, 4), 0.5)
    values[0] = 1e9  # a capped run is no evidence, for or against
    found = judge(claim(), results(values, status))
    assert (found.verdict, found.tested, found.inside, found.ended_badly, found.absent) == ("supported", 40, 44, 4, 4)
    assert judge(claim(), results(values, ib.Status.CAPPED)).verdict == "unresolved"
    assert judge(claim(accepts=(ib.Status.CAPPED,)), results(values, ib.Status.CAPPED)).verdict == "refuted"


def test_a_claim_that_says_nan_of_a_run_it_covers_is_not_supported():
    values = np.full((12, 4), 0.5)
    values[3, 1] = np.nan
    found = judge(claim(), results(values))
    assert (found.verdict, found.undefined) == ("unresolved", 1)


def test_along_a_trajectory_the_worst_record_counts():
    data = results(0.0)
    data["path"] = data.value.expand_dims(record=3, axis=-1) + xr.DataArray([0.0, 2.0, np.nan], dims="record")
    assert judge(claim(residual=lambda d: d.path), data).worst == 2.0


@pytest.mark.parametrize("exponent, verdict", [(1.0, "supported"), (0.5, "refuted"), (1.13, "unresolved")])
def test_an_exponent_is_judged_with_its_interval(exponent, verdict):
    """Each curve has its own constant; 1.13 +- 0.05 straddles the edge of 1 +- 0.1."""
    size = np.exp(np.random.default_rng(1).normal(size=(12, 1)))
    data = results(size * np.asarray(STEPS) ** exponent * np.exp(noise(0.12)))
    assert judge(claim(kind=ib.Exponent(against="step", value=1.0)), data).verdict == verdict


def test_an_exponent_needs_three_values():
    data = results(1.0, seed=[0, 1], step=[0.1, 0.2])
    assert judge(claim(kind=ib.Exponent(against="step", value=0.0)), data).verdict == "unresolved"


@pytest.mark.parametrize("shift, verdict", [(-1.0, "supported"), (1.0, "refuted"), (0.0, "unresolved")])
def test_an_ordering_is_paired_over_seeds(shift, verdict):
    data = results(shift + noise(0.5))
    assert judge(claim(kind=ib.Ordering()), data).verdict == verdict


def test_an_ordering_that_holds_at_some_points_only_is_not_supported():
    values = -1 + noise(0.1)
    values[:, 2] += 2
    assert judge(claim(kind=ib.Ordering()), results(values)).verdict == "refuted"


@pytest.mark.parametrize("failures, verdict", [(0, "supported"), (30, "refuted"), (3, "unresolved")])
def test_a_probability_is_judged_by_clopper_and_pearson(failures, verdict):
    """45 of 48 has the 95 % interval [0.83, 0.99], which holds 0.9."""
    values = np.zeros(48)
    values[:failures] = 2
    assert judge(claim(kind=ib.Probability(0.9)), results(values.reshape(12, 4))).verdict == verdict


@pytest.mark.parametrize(
    "power, end, verdict", [(1.0, 1.0, "supported"), (-1.0, 1.0, "refuted"), (1.0, 1e-3, "unresolved")]
)
def test_a_limit_must_decay_and_arrive(power, end, verdict):
    data = results(np.asarray(STEPS) ** power * np.exp(noise(0.05)))
    limit = claim(kind=ib.Limit(against="step"), tolerance=lambda d: end)
    assert judge(limit, data).verdict == verdict


@pytest.mark.parametrize("power, verdict", [(0.5, "supported"), (-0.5, "refuted")])
def test_an_upper_bound_up_to_a_constant_has_no_trend(power, verdict):
    """residual / bound ~ step^power as the step goes to zero."""
    data = results(np.asarray(STEPS) ** power * np.exp(noise(0.05)))
    kind = ib.UpToConstant(against="step", towards="zero")
    assert judge(claim(kind=kind), data).verdict == verdict
    one_scale = results(0.1, seed=[0, 1, 2], step=[0.1])
    assert judge(claim(kind=kind), one_scale).verdict == "unresolved"


def test_a_claim_speaks_of_one_grid_of_a_union():
    tree = xr.DataTree.from_dict({"gd": results(0.5), "wn": results(5.0)})
    assert judge(claim(on="gd"), tree).verdict == "supported"
    assert judge(claim(on="wn"), tree).verdict == "refuted"
    left_out = judge(claim(on="rpgd"), tree)
    assert left_out.verdict == "vacuous" and left_out.left_out and left_out.as_expected
    with pytest.raises(ib.Mistake, match="must name one of several grids; known: gd, wn"):
        judge(claim(), tree)
