"""Balls against closed forms, another integrator and plain iterates; and `refute --certify` from the command to the file."""

import os
import subprocess
import sys
from fractions import Fraction

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.cli import main
from implicit_bias.claim_names import one
from implicit_bias.referee.counterexample import Counterexample
from implicit_bias.referee.told import law_told, told, weights_told
from implicit_bias.theory import weight_normalisation as theory

flint = pytest.importorskip("flint", reason="the extra `certify` (python-flint) is not installed")
balls = ib.balls


@pytest.fixture(autouse=True)
def bits():
    """128 bits, no steps yet."""
    flint.ctx.prec = flint.ctx.cap = 128
    balls.STEPS.clear()
    yield
    flint.ctx.prec, flint.ctx.cap = 53, 10


def ball(value):
    if isinstance(value, list):
        return [ball(v) for v in value]
    return flint.arb(flint.fmpq(*Fraction(value).as_integer_ratio()))


def holds(found, value, digits):
    """A ball that is small, and has in it a number that is known to 1e-(digits + 3)."""
    around = flint.arb(str(value)) + flint.arb(0, flint.arb(10) ** (-digits - 2))
    return bool(found.overlaps(around)) and bool(found.rad() < flint.arb(10) ** -digits)


# -- flows -------------------------------------------------------------------------------------------------------------


def test_the_flow_of_a_rotation_and_of_a_blow_up():
    c, s = balls.flow(lambda x: [-x[1], x[0]], ball([1, 0]), ball(3))
    assert c.overlaps(flint.arb(3).cos()) and s.overlaps(flint.arb(3).sin()) and c.rad() < flint.arb("1e-20")
    (x,) = balls.flow(lambda x: [x[0] * x[0]], ball([1]), ball(Fraction(3, 4)))  # x = 1/(1 - t)
    assert x.contains(4) and x.rad() < flint.arb("1e-15")
    with pytest.raises(ArithmeticError):
        balls.flow(lambda x: [x[0] * x[0]], ball([1]), ball(2))  # beyond its end


@pytest.mark.parametrize("A, y, w0", [([[1, 0]], [3], [0, 1]), ([[1, Fraction(1, 2), 0], [0, 1, -1]], [1, -1], [1, 2, 2])])
def test_weight_normalisation_agrees_with_another_integrator(A, y, w0):
    """mpmath's Taylor series in 25 digits, in the coordinates of the paper."""
    g0, c = Fraction(1, 2), Fraction(1, 3)
    found = balls.flow(lambda s: balls.normalised(ball(A), ball(y), ball(c), s), [ball(g0), *balls.unit(ball(w0))], ball(1))
    with mpmath.workdps(30):
        number = lambda v: mpmath.mpf(Fraction(v).numerator) / Fraction(v).denominator  # noqa: E731
        rows, target = [[number(a) for a in row] for row in A], [number(t) for t in y]

        def field(_, s):
            g, w = s[0], s[1:]
            n = mpmath.norm(w)
            r = [t - g * mpmath.fdot(row, w) / n for row, t in zip(rows, target)]
            q = [mpmath.fdot(column, r) for column in zip(*rows)]
            along = mpmath.fdot(w, q) / n
            return [number(c) * along, *(g / n * (p - along * v / n) for p, v in zip(q, w))]

        n = mpmath.norm([number(v) for v in w0])
        other = mpmath.odefun(field, 0, [number(g0), *(number(v) / n for v in w0)], tol=mpmath.mpf(10) ** -22)(1)
        assert all(holds(ours, mpmath.nstr(v, 25), 12) for ours, v in zip(found, other))


@pytest.mark.parametrize("g0, c", [(Fraction(1, 2), 1), (2, 2)])
def test_the_limit_of_the_flow_is_that_of_the_exact_law(g0, c):
    g, *w = balls.limit_of_flow(ball([[1, 0]]), ball([1]), ball(c), [ball(g0), *balls.unit(ball([3, 4]))])
    law = theory.limit_norm(g0=float(g0), orthogonal=0.8, g_star=1.0, ratio=float(c))
    assert (abs(g) - law).overlaps(flint.arb(0, 1e-9)) and g.rad() < 1e-3
    assert (g * w[0] - 1).contains(0)


def test_a_flow_that_never_fits_has_no_limit():
    """g = 0 and w orthogonal to A^T y: the loss stays."""
    with pytest.raises(ArithmeticError):
        balls.limit_of_flow(ball([[1, 0]]), ball([1]), ball(0), [ball(Fraction(1, 2)), *ball([0, 1])])


# -- descent -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["weight_normalised", "projected"])
@pytest.mark.parametrize("c, step", [(30, Fraction(1, 500)), (1, Fraction(1, 20))])
def test_the_limit_of_descent_holds_the_iterates_far_on(kind, c, step):
    """50,000 plain steps, in floats; the balls lose a bit or two with each."""
    flint.ctx.prec = 4096
    A, y, g, w = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]]), np.array([1.0, -1.0]), 0.5, np.array([1.0, 2.0, 2.0]) / 3
    start = [ball(Fraction(1, 2)), *balls.unit(ball([1, 2, 2]))]
    rows = ball([[1, Fraction(1, 2), 0], [0, 1, -1]])
    move = lambda s: getattr(balls, kind)(rows, ball([1, -1]), ball(c), ball(step), s)  # noqa: E731
    end = balls.limit_of_descent(rows, ball([1, -1]), ball(c), ball(step), move, start)
    for _ in range(50_000):
        u = w / np.linalg.norm(w)
        q = A.T @ (y - g * A @ u)
        along = u @ q
        w = w + float(step) * (g / np.linalg.norm(w) * (q - along * u) if kind == "weight_normalised" else g * q)
        g = g + c * float(step) * along
        w = w if kind == "weight_normalised" else w / np.linalg.norm(w)
    assert all((ours - float(v)).overlaps(flint.arb(0, 1e-9)) and ours.rad() < 2e-3 for ours, v in zip(end, [g, *w]))


def test_where_steps_come_to_rest():
    cos, slope = lambda x: x.cos(), lambda x: -x.sin()
    assert holds(balls.point_at_rest(cos, slope, flint.arb("0.7390851")), "0.7390851332151607", 5)
    for move, slope, x in (
        (cos, slope, "0.74"),  # on its way, and farther off than the ball is wide
        (lambda x: 2 * x - 1, lambda x: flint.arb(2), "1"),  # a point that repels
        (lambda x: 1 / x, lambda x: -1 / x**2, "1"),  # a centre
    ):
        with pytest.raises(ArithmeticError, match="has not come to rest"):
            balls.point_at_rest(move, slope, flint.arb(x))


def test_references_are_those_of_numpy():
    rng = np.random.default_rng(0)
    A, y, w = rng.integers(-4, 5, (3, 5)), rng.integers(-4, 5, 3), rng.integers(-4, 5, 5)
    rows = ball(A.tolist())
    least, perp = balls.pinv(rows, ball(y.tolist())), balls.orthogonal(rows, ball(w.tolist()))
    np.testing.assert_allclose([float(v) for v in least], np.linalg.pinv(A) @ y, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose([float(v) for v in perp], w - np.linalg.pinv(A) @ (A @ w), rtol=1e-11, atol=1e-12)
    values = np.linalg.eigvalsh(A @ A.T)
    low, high = (float(v) for v in balls.extremes(rows))
    assert low <= values[0] and high >= values[-1]
    np.testing.assert_allclose([float(v) for v in balls.eigenvalues(rows)], values, rtol=1e-11)


# -- what is said of a counterexample ----------------------------------------------------------------------------------


def test_what_determines_a_run_is_told():
    ratio = ib.two_stage(0.0, 1.0, 30.0)
    descent = ib.Descent(5e-3, ratio=ratio, stop=ib.loss_below(1e-9), max_steps=100, law=ib.adam())
    assert law_told(descent) == {
        "law": descent.name, "step": Fraction(1, 200), "ratio": "0 until 30, then 1", "stop": "loss below 1e-09",
        "at most": "100 steps",
    }  # fmt: skip
    assert law_told(ib.Flow(max_time=4.0)) == {"law": "flow (Tsit5)", "at most": "t = 4"}
    assert weights_told(ib.Power(ib.Euclidean(1.0), 3, signed=True)) == "Power (depth 3, signed True)"


def _example(**more):
    _, _, claim = one("wu2020/invariant:squared-norm-invariant-as-read")
    return Counterexample(**{
        **dict(
            claim=claim, study="wu2020/invariant", words={"objective": "square"}, settings={"rtol": 1e-9},
            axes={"scale": Fraction(1, 2), "gamma": Fraction(1, 4)}, A=[[Fraction(1), Fraction(0)]], y=[Fraction(2)],
            start=[Fraction(0), Fraction("0.1234567890123456")], scale=Fraction(1, 2), ratio=Fraction(3), seed=None,
            residual=1.0, tolerance=0.0, slacks={}, precision="float64",
            constants={"release": Fraction(30), "step": Fraction(1, 100)},
            told={"law": "gradient descent", "step": Fraction(1, 100), "stop": "loss below 1e-09", "at most": "9 steps",
                  "weights": "Polar", "ended": "capped after 9 steps, at t = 0.09", "seen at": Fraction(4)},
        ),
        **more,
    })  # fmt: skip


def test_latex_says_every_number_that_a_reader_needs():
    said = _example().latex()
    for part in (
        "g_0 = \\tfrac{1}{2}", "c = 3", "\\mathtt{gamma} = \\tfrac{1}{4}", "\\mathtt{rtol} = 1 \\times 10^{-9}",
        "\\mathtt{release} = 30",
        "objective square", "Weights Polar, gradient descent, step $\\tfrac{1}{100}$, stop loss below 1e-09, at most 9 steps",
        "capped after 9 steps, at t = 0.09", "seen to fail at the record $4$",
    ):  # fmt: skip
        assert part in said, part
    assert said.count("tfrac{1}{100}") == 1 and "mathtt{scale}" not in said
    drawn = _example(A=None, y=None, start=None, scale=None, ratio=None, seed=3, given={"start 0": [0.1, 1 / 3]}).latex()
    for part in ("\\mathtt{seed} = 3", "\\mathtt{start 0}", "\\tfrac{1}{3}", "\\mathtt{gamma}"):
        assert part in drawn, part


@pytest.mark.slow
def test_the_record_at_which_a_claim_fails_the_most_is_told():
    _, study, claim = one("wu2020/invariant:squared-norm-invariant-as-read")
    data = study.run(law="flow", objective="square", seed=0, ratio=1.0, scale=1.0)
    run = study.cell(objective="square", law="flow", scale=1.0, ratio=1.0, key=ib.SeedKey(jnp.asarray(0)))
    found = told(claim, run, data if hasattr(data, "status") else data["flow"])
    drift = (data if hasattr(data, "status") else data["flow"]).drift_as_read.values.ravel()
    assert found["ended"].startswith("capped after")
    assert float(found["seen at"]) == np.linspace(0, 4, 17)[np.argmax(drift)]


# -- from the command to the file --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "claim", ["wu2020/robustness:gradient-descent-limit-as-printed", "wu2020/excess:closer-than-gd-as-printed"]
)
def test_refute_certifies_what_it_finds(claim, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["refute", claim, "--certify", "--minutes", "2"]) == 0
    said = capsys.readouterr().out
    (path,) = tmp_path.glob("*.py")
    assert "  PROVED FALSE: residual in [" in said and path.name in said
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-I", path], capture_output=True, text=True, cwd="/", env=environment)
    assert done.stdout.startswith("PROVED FALSE") and done.stdout.strip() in said


@pytest.mark.slow
def test_refute_says_why_it_certifies_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["refute", "wu2020/plane:plane-spurious-loss-as-printed", "--certify", "--minutes", "1"]) == 0
    assert "  not certified: wu2020/certified.py has no function plane_spurious_loss_as_printed" in capsys.readouterr().out
    assert not [*tmp_path.iterdir()]
