"""Gradient flow in rewritten coordinates against scipy's DOP853 in all d coordinates, and descent as its discretisation.

Tolerance of the comparisons: the library's controller keeps the error of a step below rtol (1 + |theta|) = 1e-10 times
a few, a run here takes about 100 steps, and the flow of the loss does not amplify errors: 1e-8 in all. scipy runs at
rtol 1e-12 and adds nothing to that.
"""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit

import implicit_bias as ib
from tests import cases

METHODS = {"Euclidean": "gd", "Polar": "wn", "Sphere": "rpgd"}
TIMES = np.array([0.0, 0.7, 1.5, 3.0])

SLOPES = {
    "square": lambda z, y: z - y,
    "log_cosh": lambda z, y: np.tanh(z - y),
    "logistic": lambda z, y: -y * expit(-y * z),
    "exponential": lambda z, y: -y * np.exp(-y * z),
}


def field(problem, method, loss, ratio):
    """(t, p) -> dp/dt, with p = x or (g, w): minus the gradient, times `ratio` for g; on |w| = 1 for rPGD (Lemma 2.2)."""
    A, y, slope = np.asarray(problem.operator), np.asarray(problem.target), SLOPES[loss]

    def velocity(t, p):
        del t
        if method == "gd":
            return -A.T @ slope(A @ p, y)
        g, w = p[0], p[1:]
        norm = np.linalg.norm(w) if method == "wn" else 1.0
        u = w / norm
        q = -A.T @ slope(A @ (g * u), y)
        return np.concatenate([[ratio * (u @ q)], g / norm * (q - u * (u @ q))])

    return velocity


def reference(problem, method, loss, ratio, start, times, **options):
    solution = solve_ivp(
        field(problem, method, loss, ratio), (0, times[-1]), start, method="DOP853", rtol=1e-12, atol=1e-14,
        t_eval=times, **options,
    )  # fmt: skip
    assert solution.success
    return solution


def flow(ratio=1.0, end=3.0, stop=None, **options):
    """With arrays for what varies, so that the tests share their programs."""
    rule = None if stop is None else ib.loss_below(jnp.asarray(stop))
    return ib.Flow(jnp.asarray(end), ratio=jnp.asarray(ratio), stop=rule, **options)


def drive(problem, name, law, times):
    """With the invariant, where it applies."""
    observe = cases.PATH if name == "Euclidean" else (*cases.PATH, ("log_invariant", ib.log_invariant))
    return cases.drive(problem, cases.PARAMETERIZATIONS[name](), law, times, observe)


def orthogonal(problem, weights):
    """w_perp = (I - pinv(A) A) w of every row (g, w)."""
    A = np.asarray(problem.operator)
    return weights[:, 1:] - weights[:, 1:] @ (np.linalg.pinv(A) @ A).T


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("loss", cases.LOSSES)
def test_flow_at_fixed_times(loss, name):
    """The flows of GD, WN and rPGD for all four losses, and two ratios where there is one."""
    problem, method = cases.problem_of(cases.LOSSES[loss]), METHODS[name]
    for ratio in [1.0] if method == "gd" else [0.3, 1.0]:
        run = drive(problem, name, flow(ratio), TIMES)
        expected = reference(problem, method, loss, ratio, run["weights"][0], TIMES)
        np.testing.assert_array_equal(run["time"], TIMES)
        np.testing.assert_allclose(run["weights"], expected.y.T, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["Polar", "Polar, |w| = 2", "Sphere"])
@pytest.mark.parametrize("loss", ["square", "logistic"])
def test_invariant(loss, name):
    """Lemma 2.5: log |w_perp| + g^2 / (2 c |w_0|^2) and the direction of w_perp are constant along WN's and rPGD's flow.

    From the lifted weights, so that the observable is not its own judge. 1e-8 as above, while |w_perp| > 1e-2.
    """
    problem = cases.problem_of(cases.LOSSES[loss])
    norm = 2.0 if name.endswith("2") else 1.0
    for ratio in (0.7, 3.0):
        run = drive(problem, name, flow(ratio, end=6.0), 2 * TIMES)
        perp = orthogonal(problem, run["weights"])
        sizes = np.linalg.norm(perp, axis=1)
        assert sizes.min() > 1e-2
        invariant = np.log(sizes) + run["weights"][:, 0] ** 2 / (2 * ratio * norm**2)
        assert np.ptp(invariant) < 1e-8
        np.testing.assert_allclose(perp / sizes[:, None], np.outer(np.ones(4), perp[0] / sizes[0]), rtol=0, atol=1e-12)
        np.testing.assert_allclose(run["log_invariant"], invariant, rtol=0, atol=1e-12)
        assert np.ptp(np.log(sizes)) > 0.1  # and it is no constant for another reason


def test_norm_of_the_weights_is_conserved_and_sets_the_effective_ratio():
    """|w| = 2 under WN: |w| is constant, and x(4 t; c) is the flow of |w| = 1 with ratio 4 c at time t.

    The unit vector moves at 1/|w|^2 of the speed, g at full speed: in the time t/4 it is the flow of ratio c |w|^2.
    """
    problem = cases.problem_of(ib.square)
    slow = drive(problem, "Polar, |w| = 2", flow(0.5, end=12.0), 4 * TIMES)
    fast = drive(problem, "Polar", flow(2.0), TIMES)
    np.testing.assert_allclose(np.linalg.norm(slow["weights"][:, 1:], axis=1), 2.0, rtol=0, atol=1e-8)
    np.testing.assert_allclose(slow["x"], fast["x"], rtol=0, atol=2e-8)  # twice the tolerance: two runs


@pytest.mark.slow
def test_another_solver_solves_the_same_equation():
    problem = cases.problem_of(ib.square)
    run = drive(problem, "Polar", flow(0.3, solver=diffrax.Dopri5()), TIMES)
    expected = reference(problem, "wn", "square", 0.3, run["weights"][0], TIMES)
    np.testing.assert_allclose(run["weights"], expected.y.T, rtol=0, atol=1e-8)


@pytest.mark.slow
def test_a_tolerance_is_a_setting_like_any_other():
    """From 0, |x(t)| of one example (1, 0), label 1, is 1 - exp(-t): each run to its own rtol, by one program."""

    def cell(*, rtol=1e-8, atol=1e-14):
        problem = ib.linear.fixed([[1.0, 0.0]], [1.0])(0)
        return ib.Run(problem, ib.Euclidean(0.0), ib.Flow(2.0, rtol=rtol, atol=atol))

    grid = ib.grid(rtol=[1e-4, 1e-7, 1e-10])
    study = ib.Study(cell=cell, grids=grid, observe={"norm": ib.norm(2)}, records=ib.log_records(2))
    assert len(study.plan().batches) == 1
    found = study.run()
    error = abs(found.norm.isel(record=-1).values - (1 - np.exp(-2.0)))
    assert (error < found.rtol.values).all() and error[0] > 1e-8 > 1e-10 > error[2]
    for name in ("rtol", "atol"):
        with pytest.raises(ib.Mistake, match=name):
            study.plan({name: [0.0]})


@pytest.mark.slow
def test_two_stage_ratio():
    """g frozen until t = 1, then released: a record at the switch, so that no step straddles it."""
    problem = cases.problem_of(ib.square)
    law = ib.Flow(jnp.asarray(3.0), ratio=ib.two_stage(0.0, jnp.asarray(2.0), jnp.asarray(1.0)))
    run = drive(problem, "Polar", law, [0.0, 1.0, 3.0])
    frozen = reference(problem, "wn", "square", 0.0, run["weights"][0], np.array([0.0, 1.0]))
    np.testing.assert_allclose(run["weights"][1], frozen.y[:, -1], rtol=0, atol=1e-8)
    released = reference(problem, "wn", "square", 2.0, frozen.y[:, -1], np.array([0.0, 2.0]))
    np.testing.assert_allclose(run["weights"][2], released.y[:, -1], rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, loss", [("Euclidean", "square"), ("Polar", "square"), ("Sphere", "square"), ("Polar", "logistic")]
)
def test_hitting_time(name, loss):
    """The stop rule is an event: CONVERGED at the hitting time of the threshold, to 1e-5 of it, against scipy's event.

    A step is taken when log(loss / threshold) is within 1e-6 of 0, and the loss decays at a rate of order 1/t or faster:
    the time is off by less than 1e-6 t. The loss itself is within 1e-6 of the threshold, and below it.
    """
    problem, method = cases.problem_of(cases.LOSSES[loss]), METHODS[name]
    for threshold in (0.5, 0.1):
        run = drive(problem, name, flow(end=100.0, stop=threshold), np.linspace(0, 100, 4))
        assert run["status"] == ib.Status.CONVERGED
        assert threshold * (1 - 2e-6) < run["loss"][-1] <= threshold

        A, y = np.asarray(problem.operator), np.asarray(problem.target)

        def excess(t, p, threshold=threshold):
            del t
            z = A @ (p if method == "gd" else p[0] * p[1:] / np.linalg.norm(p[1:]))
            value = 0.5 * np.sum((z - y) ** 2) if loss == "square" else np.sum(np.log1p(np.exp(-y * z)))
            return np.log(value / threshold)

        excess.terminal = True
        expected = reference(problem, method, loss, 1.0, run["weights"][0], np.array([0.0, 100.0]), events=excess)
        (time,) = expected.t_events[0]
        np.testing.assert_allclose(run["end time"], time, rtol=1e-5)
        np.testing.assert_allclose(run["weights"][-1], expected.y_events[0][0], rtol=0, atol=1e-5)


def test_a_rule_that_holds_at_the_start_ends_the_run_there():
    run = drive(cases.problem_of(ib.square), "Polar", flow(end=100.0, stop=1e6), np.linspace(0, 100, 4))
    assert run["status"] == ib.Status.CONVERGED and run["end time"] == 0 and run["end steps"] == 0


def test_capped_at_the_last_time():
    """Without a rule that is met, the run ends at its last record exactly, as CAPPED."""
    run = drive(cases.problem_of(ib.square), "Polar", flow(), TIMES)
    assert run["status"] == ib.Status.CAPPED and run["end time"] == 3.0


@pytest.mark.parametrize("name", ["Polar", "Sphere"])
def test_descent_tends_to_the_flow_at_first_order(name):
    """Lemma 2.2: |x_descent(T) - x_flow(T)| = O(eta), T = 3 fixed: slope 1.0 in log-log over four steps.

    0.1 of slack: the term of order eta^2 is 3 % of the first at the largest step, measured on the ratios.
    """
    problem, method = cases.problem_of(ib.square), METHODS[name]
    etas = np.array([0.05, 0.025, 0.0125, 0.00625])
    ends = []
    for eta in etas:
        law = ib.Descent(jnp.asarray(eta), ratio=jnp.asarray(0.3), max_steps=480)
        run = cases.drive(problem, cases.PARAMETERIZATIONS[name](), law, [0, round(3 / eta)])
        np.testing.assert_allclose(run["end time"], 3.0, rtol=1e-14)
        ends.append(run["x"][-1])
    limit = reference(problem, method, "square", 0.3, run["weights"][0], np.array([0.0, 3.0])).y[:, -1]
    errors = np.linalg.norm(np.array(ends) - limit[0] * limit[1:] / np.linalg.norm(limit[1:]), axis=1)
    slope = np.polyfit(np.log(etas), np.log(errors), 1)[0]
    assert abs(slope - 1.0) < 0.1, (slope, errors)


@pytest.mark.slow
@pytest.mark.parametrize("segment", [0.37, 3.0])
def test_segments_give_the_bits_of_the_whole_run(segment):
    """Where a run pauses must not cut its steps: an adaptive step that is cut is another step."""
    problem, weights = cases.problem_of(ib.square), cases.PARAMETERIZATIONS["Polar"]()
    law = ib.Flow(20.0, stop=ib.loss_below(1e-6))
    whole = cases.drive_in_segments(problem, weights, law, np.linspace(0, 20, 4), np.inf)
    parts = cases.drive_in_segments(problem, weights, law, np.linspace(0, 20, 4), segment)
    for one, other in zip(cases.leaves(whole), cases.leaves(parts), strict=True):
        np.testing.assert_array_equal(one, other)
