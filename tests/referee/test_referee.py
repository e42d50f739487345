"""The referee: what it finds, what it shrinks it to, and that a second integrator agrees with closed forms and SciPy."""

import dataclasses
import re
from fractions import Fraction

import jax
import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import implicit_bias as ib
from implicit_bias import catalogue
from implicit_bias.cli import main
from implicit_bias.problems import linear
from implicit_bias.referee import search
from implicit_bias.referee.counterexample import exact, rational
from implicit_bias.referee.motion import motion_of
from implicit_bias.referee.recast import Form, Subject, form_of
from implicit_bias.referee.recheck import Motion, NotAvailable, recheck
from implicit_bias.claim_names import one
from implicit_bias.referee.refute import refute
from implicit_bias.referee.region import Family, Region
from implicit_bias.referee.runs import Runs
from implicit_bias.referee.shrink import canonical, complexity
from implicit_bias.theory import weight_normalisation as theory

# -- a second integrator -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ratio, scale", [(Fraction(1), Fraction(1, 2)), (Fraction(30), Fraction(1, 2)), (Fraction(1, 4), Fraction(2))]
)
def test_the_rechecked_flow_ends_where_the_exact_law_says(ratio, scale):
    """G (1 - a exp((g0^2 - G)/c)) = g*^2 with a = (4/5)^2 and g* = 1; loss 1e-26 leaves sqrt(2e-26) in x1."""
    motion = Motion(
        loss="square", weights="Polar", law="flow", A=[[1, 0]], y=[1], start=[3, 4], scale=scale, ratio=ratio,
        stop=Fraction(1, 10**26), end=1000,
    )  # fmt: skip
    done = recheck(motion)
    law = theory.limit_norm(g0=float(scale), orthogonal=0.8, g_star=1.0, ratio=float(ratio))
    assert done.converged and done.error < 1e-12
    assert abs(float(abs(done.moments[-1].weights["g"])) - law) < 1e-11


@pytest.mark.parametrize("weights", ["Polar", "Sphere"])
@pytest.mark.parametrize("loss", ["square", "log_cosh", "logistic", "exponential"])
def test_the_rechecked_flow_conserves_the_invariant(loss, weights):
    """Lemma 2.5 with |w0| = 1: log|w_perp| + g^2 / 2c is constant, for every loss of A x."""
    motion = Motion(
        loss=loss, weights=weights, law="flow", A=[[1, Fraction(1, 2), 0], [0, 1, -1]], y=[1, -1], start=[1, 2, 2],
        scale=Fraction(1, 2), ratio=Fraction(1, 3), end=3, clock=[0, 1, 3],
    )  # fmt: skip
    moments = recheck(motion).moments
    with mpmath.workdps(30):
        invariant = [m.perp[1] + m.weights["g"] ** 2 * 3 / 2 for m in moments]
        drifts = [abs(value - invariant[0]) for value in invariant]
    assert len(drifts) == 3 and max(drifts) < 1e-18


def test_the_rechecked_flow_agrees_with_scipy_in_full_coordinates():
    A, y = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]]), np.array([1.0, -1.0])
    w0 = np.array([1.0, 2.0, 2.0]) / 3
    other = solve_ivp(theory.flow(A, y, 0.7), (0, 2), [0.5, *w0], method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    motion = Motion(
        loss="square", weights="Polar", law="flow", A=A.tolist(), y=y.tolist(), start=[1, 2, 2], scale=0.5, ratio=0.7,
        end=2,
    )  # fmt: skip
    last = recheck(motion).moments[-1].weights
    np.testing.assert_allclose(np.array([last["g"], *last["w"]], float), other, atol=1e-10)


def test_a_frozen_scale_keeps_its_value_until_it_is_released():
    motion = Motion(
        loss="square", weights="Polar", law="flow", A=[[1, 0]], y=[1], start=[0, 1], scale=Fraction(1, 2),
        ratio=(0, 1, 2), end=4, clock=[0, 2, 4],
    )  # fmt: skip
    sizes = [m.weights["g"] for m in recheck(motion).moments]
    assert sizes[0] == sizes[1] == 0.5 and sizes[2] > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["Euclidean", "Polar", "Sphere"])
def test_rechecked_descent_takes_the_engine_s_steps(weights):
    """The same step map in 30 digits: they part by rounding, 1e-16 a step over a few hundred contracting steps."""
    start = {"Euclidean": ib.Euclidean, "Polar": ib.Polar, "Sphere": ib.Sphere}[weights]
    descent = ib.Descent(0.05, stop=ib.loss_below(1e-6), max_steps=1000)

    def cell(*, scale):
        direction = jax.numpy.array([1.0, 2.0, 2.0])
        return ib.Run(
            linear.fixed([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]], [1.0, -1.0])(0), start(scale, direction), descent
        )

    study = ib.Study(cell=cell, grids=ib.grid(scale=[0.5]), observe={"x": ib.predictor()}, records=ib.log_records(4))
    data = study.run()
    run = cell(scale=0.5)
    theta = run.parameterization.init(run.problem, ib.SeedKey(jax.numpy.asarray(0)))
    done = recheck(motion_of(run, theta, ib.log_records(4)(descent), [1, 2, 2]))
    last = done.moments[-1]
    x = last.weights["x"] if weights == "Euclidean" else None
    if x is None:
        w = np.array(last.weights["w"], float)
        x = float(last.weights["g"]) * w / np.linalg.norm(w)
    assert last.steps == int(data.steps[0]) and done.converged
    np.testing.assert_allclose(np.array(x, float), data.x.values[0, -1], atol=1e-13)


def test_what_cannot_be_rechecked_says_why():
    run = ib.Run(linear.fixed([[1.0, 0.0]], [1.0])(0), ib.Euclidean(1.0), ib.Descent(0.1, law=ib.adam()))
    with pytest.raises(NotAvailable, match="the rule Adam"):
        motion_of(run, run.parameterization.init(run.problem, ib.SeedKey(jax.numpy.asarray(0))), [0, 1])


# -- simple numbers, and the same run in simpler coordinates -----------------------------------------------------------


def test_numbers_are_read_as_they_were_typed():
    assert exact(5e-3) == Fraction(1, 200) and exact(1 / 3) == Fraction(1, 3) and exact(1e-20) == Fraction(1, 10**20)
    assert rational(np.pi) is None
    in_order = [Fraction(t) for t in ("0", "1", "-1", "2", "1/2", "3", "1/3", "1000")]
    assert sorted(in_order, key=complexity) == in_order


@pytest.mark.parametrize("square", [True, False])
def test_the_canonical_problem_is_the_same_problem(square):
    """Rotations keep the Gram data of rows and start: A A^T (up to a rotation of rows), |A u| / |u| and |x*|."""
    rng, form = np.random.default_rng(0), Form((), 2, 4, True)
    given = {"A": rng.normal(size=(2, 4)), "y": rng.normal(size=2), "u": rng.normal(size=4)}
    plain = canonical(form, given, square=square)

    def kept(v):
        A, y, u = v["A"], v["y"], v["u"] / np.linalg.norm(v["u"])
        g0 = 0.3
        return [*np.linalg.svd(A)[1], np.linalg.norm(np.linalg.pinv(A) @ y), np.linalg.norm(g0 * A @ u - y)]

    np.testing.assert_allclose(kept(plain), kept(given), rtol=1e-12)
    assert np.abs(plain["A"][:, 2:]).max() < 1e-12 and (plain["u"][3] == 0) and plain["u"][2] > 0


@pytest.mark.parametrize("sampler", ["gaussian", "orthonormal"])
def test_problems_drawn_are_of_the_study_s_kind(sampler):
    """Singular values and |x*| within twice the study's range; rows orthonormal where all of the study's are."""
    make = {"gaussian": ib.linear.gaussian, "orthonormal": ib.linear.orthonormal}[sampler]
    problems = [make(3, 8, target_norm=2.0)(s) for s in range(8)]
    family = Family.of([(np.asarray(p.operator), np.asarray(p.target)) for p in problems], labels=False)
    assert family.orthonormal == (sampler == "orthonormal")
    rng = np.random.default_rng(1)
    for _ in range(50):
        values = family.draw(rng, 2, 3)
        assert family.admits(values)
        s = np.linalg.svd(values["A"], compute_uv=False)
        assert family.singular[0] / 2.0001 < s.min() and s.max() < family.singular[1] * 2.0001
        moved = family.project({**values, "A": values["A"] + 0.1 * rng.normal(size=(2, 3))})
        assert not family.orthonormal or np.abs(moved["A"] @ moved["A"].T - np.eye(2)).max() < 1e-12
    assert not family.admits({**values, "A": 100 * values["A"]})


# -- points of a study -------------------------------------------------------------------------------------------------


def subject(cell, **axes):
    study = ib.Study(
        cell=cell, grids=ib.grid(**axes), facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size},
        observe={"norm": ib.norm(2), "log_invariant": ib.log_invariant}, records=ib.log_records(4),
    )  # fmt: skip
    grids, fixed = study.resolve({})
    return Subject(study.recipe, grids[0], fixed)


def flow_cell(*, scale, ratio, key, target_norm=2.0, rows=3, columns=7):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    flow = ib.Flow(max_time=500.0, ratio=ratio, stop=ib.loss_below(1e-20), rtol=1e-11, atol=1e-13)
    return ib.Run(problem, ib.Polar(scale), flow)


AXES = dict(seed=range(3), scale=[0.3, 2.0], ratio=[0.5, 2.0], target_norm=[1.0, 2.0])


@pytest.mark.slow
def test_a_recast_cell_runs_the_arrays_it_is_given():
    """A = [2, 0], y = 3, u along (3, 4): g* = 3/2, |w_perp| = 4/5, and |x| ends by the exact law."""
    form, _ = form_of(subject(flow_cell, **AXES), 1, 2)
    assert form.axes == ("scale", "ratio") and form.arrays  # target_norm reaches nothing but the arrays
    runs = Runs(subject(flow_cell, **AXES).tiny(1, 2), form)
    point = form.pack({"scale": 0.5, "ratio": 0.7, "A": [2.0, 0.0], "y": [3.0], "u": [3.0, 4.0]})
    data, opens = runs(point[None])
    assert opens.all() and int(data.status[0]) == ib.Status.CONVERGED
    np.testing.assert_allclose([data.g_star[0], data.w_perp[0]], [1.5, 0.8], rtol=1e-14)
    law = theory.limit_norm(g0=0.5, orthogonal=0.8, g_star=1.5, ratio=0.7)
    np.testing.assert_allclose(data.norm[0, -1], law, rtol=1e-9)
    assert np.isnan(data.target_norm[0]) and np.isnan(data.seed[0]) and data.scale[0] == 0.5


@pytest.mark.slow
def test_slopes_through_a_run_are_those_of_the_closed_form():
    """d|x_inf|/d(g0, c) of the exact law, by central differences of it (error 1e-9), against the run's tangent."""
    form, _ = form_of(subject(flow_cell, **AXES), 1, 2)
    runs = Runs(subject(flow_cell, **AXES).tiny(1, 2), form)
    point = form.pack({"scale": 0.5, "ratio": 0.7, "A": [2.0, 0.0], "y": [3.0], "u": [3.0, 4.0]})
    h = 1e-5
    moved, data = runs.slopes(point, np.full(form.size, h))
    plus, minus = np.split(data.norm.isel(record=-1).values, 2)
    law = dict(g0=moved[:, 0], orthogonal=0.8, g_star=1.5, ratio=moved[:, 1])
    exact_plus, exact_minus = np.split(theory.limit_norm(**law), 2)
    np.testing.assert_allclose((plus - minus)[:2] / (2 * h), (exact_plus - exact_minus)[:2] / (2 * h), rtol=1e-6)


def test_a_start_made_from_the_drawn_problem_keeps_the_draws():
    def cell(*, scale, key, rows=2, columns=4):
        problem = ib.linear.gaussian(rows, columns)(key)
        return ib.Run(problem, ib.Polar(scale, problem.operator[0]), ib.Flow(max_time=1.0))

    form, reason = form_of(subject(cell, seed=range(2), scale=[0.5, 1.0]), 1, 2)
    assert not form.arrays and "from what it draws" in reason and list(form.slices) == ["seed"]


def test_an_axis_that_shapes_the_problem_and_the_start_keeps_the_draws():
    def cell(*, length, key, rows=2, columns=4):
        problem = ib.linear.gaussian(rows, columns, target_norm=length)(key)
        return ib.Run(problem, ib.Polar(length / 2), ib.Flow(max_time=1.0))

    form, reason = form_of(subject(cell, seed=range(2), length=[0.5, 1.0]), 1, 2)
    assert not form.arrays and reason.startswith("length shapes the problem")


def test_a_direction_made_from_an_axis_is_given_and_the_axis_falls_silent():
    entry = catalogue.find("wu2020/path")
    grids, fixed = catalogue.load(entry).resolve({})
    form, _ = form_of(Subject(catalogue.load(entry).recipe, grids[0], fixed), 1, 2)
    assert form.arrays and form.axes == ("scale",)


# -- the referee -------------------------------------------------------------------------------------------------------


def claim(**said):
    defaults = dict(id="c", source="s", statement="t", because="b", tolerance=lambda ds: 1e-6)
    return ib.Claim(**{**defaults, **said})


def tried(found, **options):
    study = ib.Study(
        cell=flow_cell, grids=ib.grid(**AXES), facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size},
        observe={"norm": ib.norm(2), "log_invariant": ib.log_invariant}, records=ib.log_records(4), claims=[found],
    )  # fmt: skip
    return refute(catalogue.Entry("mine", catalogue.template(), ""), study, found, budget=64, **options)


@pytest.mark.slow
def test_a_false_claim_falls_to_a_small_rational_run():
    """|x_inf| = g* is false unless w_perp = 0; the run that is shown fails it by its own numbers."""
    outcome = tried(claim(residual=lambda ds: abs(ds.norm.isel(record=-1) - ds.g_star), expected="refuted"))
    example = outcome.counterexample
    assert outcome.as_expected and "rechecked in 30 digits" in outcome.recheck
    numbers = [*(a for row in example.A for a in row), *example.y, *example.start, *example.axes.values()]
    assert max(n.denominator for n in numbers) <= 10 and len(example.A) == 1 and len(example.A[0]) == 2
    A, y, w = (np.array(v, float) for v in (example.A, example.y, example.start))
    g_star = np.linalg.norm(np.linalg.pinv(A) @ y)
    perp = np.linalg.norm(w - np.linalg.pinv(A) @ (A @ w)) / np.linalg.norm(w)
    law = theory.limit_norm(g0=float(example.scale), orthogonal=perp, g_star=g_star, ratio=float(example.ratio))
    np.testing.assert_allclose(example.residual, law - g_star, rtol=1e-6)
    pasted = eval(example.python())  # it is Python
    assert pasted["A"] == [[float(a) for a in row] for row in example.A] and pasted["g0"] == float(example.scale)
    assert abs(np.linalg.norm(pasted["w0"]) - 1) < 1e-15
    tex = example.latex()
    assert tex.startswith(r"\begin{example}") and tex.count("{") == tex.count("}") and tex.count("$") % 2 == 0


@pytest.mark.slow
def test_a_true_claim_stands_and_the_referee_says_how_near_it_came():
    law = claim(
        residual=lambda ds: abs(ds.norm.isel(record=-1) - theory.limit_norm(ds.scale, ds.w_perp, ds.g_star, ds.ratio)),
    )
    outcome = tried(law, minutes=1.0)
    assert outcome.counterexample is None and outcome.as_expected and 0 < outcome.largest < 1
    assert "not refuted in" in outcome.text() and "This is no proof" in outcome.text()
    against = tried(dataclasses.replace(law, expected="refuted"), minutes=0.5)
    assert not against.as_expected and "AGAINST EXPECTATION" in against.text()


@pytest.mark.slow
def test_hypotheses_are_kept():
    """|x_inf| <= g* + 1/10 fails, but not where c is small against g* and |g0| < g*/2: the slack holds it there."""
    outside = claim(
        kind=ib.Inequality(), residual=lambda ds: ds.norm.isel(record=-1) - ds.g_star, tolerance=lambda ds: 0.1,
        hypotheses=lambda ds: {"c < 1": 1 - ds.ratio},
    )  # fmt: skip
    outcome = tried(outside)
    assert outcome.counterexample is not None and float(outcome.counterexample.axes["ratio"]) < 1
    assert outcome.counterexample.slacks["c < 1"] > 0 and not outcome.as_expected


@pytest.mark.slow
def test_climbing_finds_what_drawing_missed():
    """A smooth hill, residual = 1.2 exp(-(log g0 - log 0.9)^2 / 0.02): its top is above 1 in a fifth of the range."""
    study_subject = subject(flow_cell, **AXES)
    form, _ = form_of(study_subject, 1, 2)
    tiny = study_subject.tiny(1, 2)
    runs = Runs(tiny, form)
    draws = [tiny.run({}, {"scale": 1.0, "ratio": 1.0}, s).problem for s in range(4)]
    family = Family.of([(np.asarray(p.operator), np.asarray(p.target)) for p in draws], labels=False)
    region = Region(form, {"scale": (0.3, 2.0), "ratio": (0.5, 2.0)}, family)
    hill = claim(
        residual=lambda ds: 1.2 * np.exp(-((np.log(ds.scale / 0.9)) ** 2) / 0.02) + 0 * ds.norm.isel(record=-1),
        tolerance=lambda ds: 1.0,
    )
    rng = np.random.default_rng(0)
    begin = form.pack({"scale": 0.7, "ratio": 1.0, **family.draw(rng, 1, 2)})
    rise = search.slope(hill, runs, region, begin)
    np.testing.assert_allclose(rise[0], -2 * np.log(0.7 / 0.9) / 0.02, rtol=1e-4)
    top = search.climb(hill, runs, region, search.Found(begin, 0.05), rng)
    assert top.ratio > 1.19 and abs(form.unpack(top.point)["scale"] - 0.9) < 0.02


@pytest.mark.slow
def test_a_claim_that_is_nan_everywhere_is_not_said_to_hold():
    with pytest.raises(ib.Mistake, match="is nan for every run"):
        tried(claim(residual=lambda ds: ds.g_star * np.nan))


def test_a_claim_is_found_by_its_id_and_a_slip_of_the_pen_is_named():
    entry, _, found = one("wu2020/limit:limit-excess-exact")
    assert entry.name == "wu2020/limit" and found.id == "limit-excess-exact"
    assert one("limit-excess-exact")[2].id == found.id
    for wrong in ("limit-norm-exac", "wu2020/limit:limit-norm-exac"):
        with pytest.raises(ib.Mistake, match="did you mean 'limit-excess-exact'"):
            one(wrong)


# -- the command, on the shipped claims --------------------------------------------------------------------------------

PRINTED = {
    "closer-than-gd-as-printed": [],
    "frozen-then-released-as-printed": [],
    "squared-norm-invariant-as-read": ["objective=square"],
    "size-stays-positive-as-inferred": [],
}


@pytest.mark.slow
@pytest.mark.parametrize("name, settings", PRINTED.items(), ids=PRINTED)
def test_what_is_printed_wrongly_falls(capsys, name, settings):
    assert main(["refute", name, *settings]) == 0
    said = capsys.readouterr().out
    assert "REFUTED" in said and "rechecked in 30 digits" in said and r"\begin{example}" in said
    assert re.search(r'"A": \[\[\d+(/\d+)?, 0\]\]', said)


@pytest.mark.slow
def test_what_is_true_stands(capsys):
    assert main(["refute", "limit-excess-exact", "--budget", "128", "--minutes", "1"]) == 0
    assert "not refuted" in capsys.readouterr().out
