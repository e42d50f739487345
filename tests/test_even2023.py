"""The master law on diagonal nets: NumPy's own runs of each rule, what a vacuous check would pass, and what it would not."""

import dataclasses

import numpy as np
import pytest
from experiments.even2023 import claims, given, law

import implicit_bias as ib
from implicit_bias.evidence.claims import judge

RULES = ["heavy ball", "nesterov"]


def data(seed=0, rows=3, columns=7):
    rng = np.random.default_rng(seed)
    operator = rng.normal(size=(rows, columns)) / np.sqrt(rows)
    return operator, rng.normal(size=rows)


def trajectory(rule, beta, step, steps, draw=None, alpha=0.1):
    """(a, b) of every step, as the rules are written: theta' = theta - step m', or theta - step (G + beta m')."""
    operator, target = data()
    z = np.full(2 * operator.shape[1], alpha)
    m, path = np.zeros_like(z), [z]
    for k in range(steps):
        rows = slice(None) if draw is None else draw[k]
        a, b = np.split(z, 2)
        g = operator[rows].T @ (operator[rows] @ (a**2 - b**2) - target[rows])
        G = np.concatenate([2 * a * g, -2 * b * g])
        m = beta * m + G
        z = z - step * (m if rule == "heavy ball" else G + beta * m)
        path.append(z)
    return np.array(path), operator


def slopes(path, rule, beta, step):
    """step g of every step by each weight, from the path alone: of the rule that made it."""
    moves, memory, found = np.diff(path, axis=0), 0.0, []
    for z, move in zip(path[:-1], moves):  # memory is step m
        G = -move - beta * memory if rule == "heavy ball" else (-move - beta**2 * memory) / (1 + beta)
        memory = beta * memory + G
        found.append(G / z)
    return np.array(found)


def range_part(path, operator, beta, step, rule, form=None):
    """(I - P) kappa as the notes write it; in the form of another rule than its own, if one is named."""
    p = path[1:] / path[:-1]
    R = (p - 1) - beta * (1 - 1 / p) - (1 - beta) * np.log(abs(p))
    last = beta * (1 - 1 / p[-1])
    if (form or rule) == "nesterov":
        g = slopes(path, rule, beta, step)  # 2 step g of a, -2 step g of b
        R, last = R - beta * g * (1 / p - 1), last + beta * g[-1] / p[-1]
    whole = np.log(abs(path[-1] / path[0])) + (R.sum(0) + last) / (1 - beta)
    kappa = np.subtract(*np.split(whole, 2))
    rest = kappa - np.linalg.pinv(operator) @ (operator @ kappa)
    return np.max(abs(rest)), np.max(abs(sum(np.split(whole, 2)))), np.sum(abs(R)) / (1 - beta) ** 2


SINGLE = [[j] for j in np.random.default_rng(5).integers(3, size=400)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("beta", [0.0, 0.8, 0.9])
@pytest.mark.parametrize("draw", [None, SINGLE], ids=["full", "single"])
@pytest.mark.parametrize("steps", [1, 7, 400])
def test_the_law_holds_of_numpys_runs_at_any_step(rule, beta, draw, steps):
    path, operator = trajectory(rule, beta, 0.02, steps, draw)
    off_range, off_gain, size = range_part(path, operator, beta, 0.02, rule)
    assert max(off_range, off_gain) < 1e-14 * (steps + 100 * size) / (1 - beta)


def test_of_nesterov_the_form_of_heavy_ball_is_off():
    path, operator = trajectory("nesterov", 0.9, 0.02, 400)
    assert range_part(path, operator, 0.9, 0.02, "nesterov")[0] < 1e-8
    assert range_part(path, operator, 0.9, 0.02, "nesterov", form="heavy ball")[0] > 1e-2


@pytest.mark.parametrize("rule", RULES)
def test_what_the_study_sums_is_what_the_law_says(rule):
    """Its sums, of the laboratory's own run, beside those of NumPy's run of the same data."""
    operator, target = data()
    steps, beta, step = 30, 0.9, 0.02

    def cell(*, seed_free):
        problem = ib.linear.fixed(operator, target)(0)
        net = ib.Power(ib.Euclidean(0.1 * np.sqrt(2 * operator.shape[1])), 2, signed=True)
        heavy = ib.heavy_ball(beta, nesterov=rule == "nesterov")
        return ib.Run(problem, net, ib.Descent(step * seed_free, law=heavy, max_steps=steps))

    ds = ib.Study(cell=cell, grids=ib.grid(seed_free=[1.0]), observe=given.OBSERVED).run().isel(seed_free=0)
    path, _ = trajectory(rule, beta, step, steps)
    np.testing.assert_allclose(ds.z.isel(record=-1), path[-1], rtol=1e-9)
    p = path[1:] / path[:-1]
    R = (p - 1) - beta * (1 - 1 / p) - (1 - beta) * np.log(abs(p))
    last = beta * (1 - 1 / p[-1])
    if rule == "nesterov":
        g = slopes(path, rule, beta, step)
        R, last = R - beta * g * (1 / p - 1), last + beta * g[-1] / p[-1]
    np.testing.assert_allclose(ds.given_up, R.sum(0), rtol=1e-7)
    np.testing.assert_allclose(-ds.in_flight, last, rtol=1e-7)
    assert ds.undershoot == pytest.approx(-p.min(), rel=1e-9)


def test_at_no_momentum_the_gain_is_a_logarithm():
    """R(1 - u) + R(1 + u) = -log|1 - u^2|, above 0 up to u = sqrt 2; with momentum R is above 0 for p > 0 and -inf at 0-."""
    u = np.linspace(-3, 3, 602)

    def R(p, beta=0.0):
        return (p - 1) - beta * (1 - 1 / p) - (1 - beta) * np.log(abs(p))

    np.testing.assert_allclose(R(1 - u) + R(1 + u), -np.log(abs(1 - u**2)), atol=1e-12)
    assert ((-np.log(abs(1 - u**2)) >= 0) == (abs(u) <= np.sqrt(2))).all()
    p = np.geomspace(1e-6, 1e6, 501)
    for beta in (0.0, 0.5, 0.9):
        assert (R(p, beta) >= -1e-15).all()
    assert R(-1e-3, 0.9) < -800 and R(-1e3, 0.9) < -900


# -- traps -------------------------------------------------------------------------------------------------------------


def test_that_x_is_a_hyperbolic_sine_of_log_a_over_b_is_true_of_any_weights():
    """So nothing is tested by it; what moves inside range(A^T) is not, of weights that no run has reached."""
    rng = np.random.default_rng(1)
    z = np.stack([np.full(14, 0.1), rng.normal(size=14)])
    a, b = np.split(z[1], 2)
    np.testing.assert_allclose(2 * abs(a * b) * np.sinh(np.log(abs(a / b))), a**2 - b**2, rtol=1e-12)
    assert given.moved(z, data()[0], 0.0) > 0.1


def found(name, ds):
    (claim,) = [c for c in claims.CLAIMS if c.id == name]
    return judge(claim, ds)


@pytest.fixture(scope="module")
def early():
    """Heavy ball and Nesterov while their momentum is in flight, at a large and at a tiny step."""
    return law.study.run(gradient=["full"], momentum=[0.9], seed=range(2), step=[1e-9, 0.02], max_steps=25)


@pytest.mark.slow
def test_the_law_holds_while_momentum_is_in_flight(early):
    assert (early.status == ib.Status.CAPPED).all() and (early.loss.isel(record=-1, step=1) > 1e-3).all()
    judgement = found("range-law", early)
    assert (judgement.verdict, judgement.tested, judgement.outside) == ("supported", 4, 4)  # tiny steps cannot tell
    for name in ("gain-law", "limit-with-gain"):
        assert found(name, early).verdict == "supported"
    without = law.study.complete(early.assign(in_flight=0 * early.in_flight))
    assert found("range-law", without).verdict == found("limit-with-gain", without).verdict == "refuted"


@pytest.mark.slow
def test_at_tiny_steps_a_check_without_what_is_given_up_passes_and_is_not_asked(early):
    tiny = early.sel(step=[1e-9])
    assert found("range-law", tiny).verdict == "vacuous"
    unasked = dataclasses.replace(next(c for c in claims.CLAIMS if c.id == "range-law"), hypotheses=lambda ds: {})
    assert judge(unasked, tiny).verdict == "supported"
    assert found("range-law-of-the-flow", early.sel(step=[0.02])).verdict == "refuted"


@pytest.mark.slow
def test_a_gain_that_is_a_millionth_off_is_seen(early):
    wrong = law.study.complete(early.assign(given_up=early.given_up * (1 + 1e-6)))
    for name in ("range-law", "gain-law"):
        assert found(name, wrong).verdict == "refuted"
