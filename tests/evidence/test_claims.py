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
    defaults = dict(id="c", source="s", statement="t", because="b", residual=lambda d: d.value)
    if said.get("kind", ib.Identity()).uses_tolerance:
        defaults["tolerance"] = lambda d: 1.0
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
    found = judge(claim(share=0.8, lost="an example"), results(values, status))
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


@pytest.mark.parametrize("shift, verdict", [(-3.0, "supported"), (3.0, "refuted"), (0.0, "unresolved")])
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
    assert judge(claim(kind=ib.Probability(0.9)), results(values, seed=list(range(48)))).verdict == verdict


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


# -- what an audit of the verdicts found -------------------------------------------------------------------------------


def test_cells_of_one_seed_are_one_draw_of_a_probability():
    """12 seeds hold in all of 4 cells: of 48 cells that would show 0.9, of 12 seeds it shows 0.73."""
    found = judge(claim(kind=ib.Probability(0.9)), results(0.0))
    assert found.verdict == "unresolved" and "48 of 48 runs of 12 seeds: probability in [0.735, 1.000]" in found.measured


def test_lost_runs_count_against_a_probability():
    """40 of 40 survivors hold, 4 were capped: 40 of 44 does not show 0.9."""
    values, ended = np.zeros(44), np.ones(44, int)
    ended[:4] = ib.Status.CAPPED
    data = results(values, ended, seed=list(range(44)))
    assert judge(claim(kind=ib.Probability(0.9)), data).verdict == "unresolved"
    assert judge(claim(kind=ib.Probability(0.9)), data.isel(seed=slice(4, None))).verdict == "supported"


def test_cells_of_one_seed_are_one_draw_of_a_slope():
    """Slopes of 1.05 +- 0.1 over six seeds, each in 20 equal cells: the interval is that of six numbers."""
    slopes = 1.05 + 0.1 * np.array([-1.2, 0.3, 1.4, -0.6, 0.8, -0.7])
    values = np.asarray(STEPS)[None, :, None] ** slopes[:, None, None]
    data = results(values, seed=list(range(6)), step=STEPS, cell=list(range(20)))
    found = judge(claim(kind=ib.Exponent(against="step", value=1.0)), data)
    assert found.verdict == "unresolved" and "exponent 1.050 +- 0.105" in found.measured


def test_an_exponent_that_passes_by_its_allowance_says_so():
    size = np.exp(np.random.default_rng(1).normal(size=(12, 1)))
    found = judge(claim(kind=ib.Exponent(against="step", value=1.0)), results(size * np.asarray(STEPS) ** 1.05))
    assert found.verdict == "supported" and "its interval excludes 1: it passes by its `within` of 0.1" in found.measured


@pytest.mark.parametrize("level, verdict", [(0.5, "unresolved"), (2.0, "refuted")])
def test_a_plateau_is_no_limit(level, verdict):
    """Above its tolerance it is refuted, however flat; below it nothing is seen to vanish."""
    data = results(level * np.exp(noise(0.02)))
    assert judge(claim(kind=ib.Limit(against="step")), data).verdict == verdict


def test_a_decay_onto_a_plateau_is_no_limit():
    steps = np.geomspace(1.0, 1e-3, 8)
    data = results((2 + 40 * steps) * np.exp(0.01 * np.random.default_rng(2).normal(size=(12, 8))),
                   seed=list(SEEDS), step=list(steps))  # fmt: skip
    assert judge(claim(kind=ib.Limit(against="step")), data).verdict == "refuted"


def test_every_curve_of_a_limit_reaches_the_end():
    """Six of 12 curves are capped at the smallest step: those that are left say nothing of them."""
    status = np.ones((12, 4), int)
    status[:6, 3] = ib.Status.CAPPED
    said = claim(kind=ib.Limit(against="step"), share=0.4, lost="an example")
    found = judge(said, results(np.asarray(STEPS) * np.exp(noise(0.01)), status))
    assert found.verdict == "unresolved" and "6 of 12 curves do not reach the end of step" in found.measured
    assert judge(said, results(np.asarray(STEPS) * np.exp(noise(0.01)))).verdict == "supported"


def test_a_bound_up_to_a_constant_needs_an_interval():
    """A slope that happens not to be positive, in noise that hides any trend, shows nothing."""
    kind, supported = ib.UpToConstant(against="step", towards="zero"), 0
    for seed in range(40):
        data = results(np.exp(noise(2.0, seed)[:4]), seed=list(range(4)), step=STEPS)
        supported += judge(claim(kind=kind), data).verdict == "supported"
    assert supported <= 4


def test_one_tested_run_among_many_that_were_lost_supports_nothing():
    ended = np.full((12, 4), int(ib.Status.DIVERGED))
    ended[0, 0] = 1
    ended[5:, 3] = ib.Status.CAPPED
    found = judge(claim(), results(0.5, ended))
    assert (found.verdict, found.tested) == ("unresolved", 1)
    assert "2% of the runs inside are tested, of 90% that it needs" in found.measured
    assert "47 of 48 inside lost: 40 diverged, 7 capped" in found.measured
    assert judge(claim(share=0.02, lost="an example"), results(0.5, ended)).verdict == "supported"


def test_one_failure_refutes_however_many_runs_were_lost():
    ended = np.full((12, 4), int(ib.Status.DIVERGED))
    ended[0, 0] = 1
    assert judge(claim(), results(5.0, ended)).verdict == "refuted"


def test_a_verdict_says_where_runs_were_lost():
    ended = np.ones((12, 4), int)
    ended[:4, 3] = ib.Status.CAPPED
    assert "4 capped; 4 of them at step=0.05 (4 of 12 there)" in judge(claim(), results(0.5, ended)).measured


def test_survivors_at_one_end_of_an_axis_show_no_exponent():
    """42 of 48 are left, 6 of 12 at one end: those whose value is small there."""
    ended = np.ones((12, 4), int)
    ended[:6, 3] = ib.Status.CAPPED
    values = np.asarray(STEPS) * np.exp(noise(0.01))
    said = claim(kind=ib.Exponent(against="step", value=1.0), share=0.8, lost="an example")
    found = judge(said, results(values, ended))
    assert found.verdict == "unresolved" and "50% of the runs inside are tested at step=0.05" in found.measured


def test_few_pairs_and_ties_are_no_order():
    ordering = claim(kind=ib.Ordering())
    assert judge(ordering, results([-1.0] * 5, seed=list(range(5)))).verdict == "unresolved"
    assert judge(ordering, results([-1.0] * 6, seed=list(range(6)))).verdict == "supported"
    found = judge(ordering, results([-1e-18] * 6, seed=list(range(6))))
    assert found.verdict == "unresolved" and "(6 ties)" in found.measured


@pytest.mark.slow
def test_skewed_differences_of_mean_zero_are_seldom_an_order():
    """Lognormal with its mean taken off, 8 pairs: an interval of Student's supports it in 16 % of samples."""
    draws = np.exp(np.random.default_rng(3).normal(size=(150, 8))) - np.exp(0.5)
    ordering = claim(kind=ib.Ordering())
    supported = sum(judge(ordering, results(one, seed=list(range(8)))).verdict == "supported" for one in draws)
    assert supported <= 0.08 * len(draws)


def test_a_lost_pair_may_have_been_the_other_way():
    values, ended = np.full(8, -1.0), np.ones(8, int)
    said = claim(kind=ib.Ordering(), share=0.7, lost="an example")
    assert judge(said, results(values, ended, seed=list(range(8)))).verdict == "supported"
    ended[:2] = ib.Status.CAPPED
    assert judge(said, results(values, ended, seed=list(range(8)))).verdict == "unresolved"


def test_each_record_has_a_tolerance_of_its_own():
    """Residuals 0 and 5 within tolerances 1 and 10; the other way round one is beyond."""
    data = results(0.0)
    path = data.value.expand_dims(record=2, axis=-1) + xr.DataArray([0.0, 5.0], dims="record")
    for tolerance, verdict, worst in (([1.0, 10.0], "supported", 0.5), ([10.0, 1.0], "refuted", 5.0)):
        allowed = xr.DataArray(tolerance, dims="record")
        found = judge(claim(residual=lambda d: path, tolerance=lambda d, allowed=allowed: allowed), data)
        assert (found.verdict, found.worst) == (verdict, worst)


def test_a_bound_says_how_much_of_it_is_reached():
    """left is 2 % of a bound of 1000: its residual of -980 over a tolerance of 1e-10 says nothing."""
    said = claim(kind=ib.Inequality(), residual=lambda d: d.value - 1000, bound=lambda d: 1000.0, tolerance=lambda d: 1e-10)
    found = judge(said, results(20.0))
    assert found.verdict == "supported" and np.isclose(found.worst, 0.02)
    assert "at most 0.02 of the bound (at least 0.02)" in found.measured
    assert judge(said, results(1000.1)).verdict == "refuted"


def test_a_run_that_is_counted_again_is_one_run():
    """A law that ignores the step gives the same bits at each of its four values."""
    values = np.random.default_rng(0).random((12, 1))
    found = judge(claim(), results(values))
    assert (found.tested, found.distinct) == (48, 12) and "48 runs are 12 distinct" in found.measured
    other = results(values).assign(way=(("seed", "step"), np.random.default_rng(1).random((12, 4))))
    found = judge(claim(), other)
    assert found.distinct == 48 and "12 distinct numbers" in found.measured


def test_the_line_says_the_tolerance_that_was_used():
    found = judge(claim(tolerance=lambda d: d.step / 2, residual=lambda d: 0 * d.value), results(0.0))
    assert "tolerance 0.025 to 0.2" in found.measured


def test_what_is_remembered_is_shown_and_decides_nothing():
    for value, verdict in ((0.5, "supported"), (2.0, "refuted")):
        found = judge(claim(remembered="x is at most 7"), results(value))
        assert found.verdict == verdict and "x is at most 7 (as remembered; not judged)" in found.measured


@pytest.mark.parametrize(
    "said, message",
    [
        (dict(kind=ib.Identity(), tolerance=None), "tolerance: claim c: identity is judged with one, and has none"),
        (dict(kind=ib.Exponent("step", 1.0), tolerance=lambda d: 1.0), "tolerance: claim c: exponent is not judged by"),
        (dict(kind=ib.Ordering(), tolerance=lambda d: 1.0), "tolerance: claim c: ordering is not judged by one"),
        (dict(because=""), "because: claim c: identity has a tolerance without a reason"),
        (dict(bound=lambda d: 1.0), "bound: claim c: identity has no right side"),
        (dict(share=0.5), "lost: claim c: tests less than 90% of its runs"),
        (dict(share=0.0), "share: claim c: is 0.0"),
    ],
)
def test_a_claim_asks_for_what_its_verdict_needs(said, message):
    with pytest.raises(ib.Mistake, match=message) as caught:
        claim(**said)
    assert "\n" not in str(caught.value)


def test_a_claim_per_seed_counts_seeds_and_asks_that_all_their_runs_ended_well():
    values = np.full((12, 4), 0.5)
    ended = np.ones((12, 4), int)
    ended[0, 1], ended[1, 2] = ib.Status.CAPPED, ib.Status.ABSENT
    said = claim(per="seed", residual=lambda d: ib.by_seed(d.value, "max"))
    found = judge(said, results(values, ended))
    assert (found.verdict, found.tested, found.inside, found.absent, found.ended_badly) == ("supported", 10, 11, 1, 1)
    values[5, 3] = 3.0
    assert judge(said, results(values)).where == {"seed": 5}


@pytest.mark.parametrize("kind, verdict", [(ib.Identity(), "refuted"), (ib.Inequality(), "supported")])
def test_an_identity_fails_on_either_side_and_an_inequality_on_one(kind, verdict):
    """A residual far below 0: x = 1 is false of 0.5 as of 1.5, x <= 1 is not. Of a run with records, too."""
    for dims, x in (("scale",), [1.0, 0.5]), (("scale", "record"), [[1.0, 1.0], [0.5, 1.0]]):
        data = xr.Dataset({"status": ("scale", [1, 1]), "x": (dims, x)}, {"scale": [0.1, 1.0]})
        claim = ib.Claim(
            id="one", source="s", statement="x = 1", kind=kind, because="b", residual=lambda d: d.x - 1, tolerance=lambda d: 0.1
        )
        found = ib.judge(claim, data)
        assert found.verdict == verdict and (found.where == {"scale": 1.0}) == (verdict == "refuted")
