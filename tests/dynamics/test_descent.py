"""Descent, step by step: the library (rewritten, m + 2 coordinates) against a plain NumPy loop in all d coordinates.

The tolerance 1e-10 of the comparisons: a step rounds to a few eps = 2e-16 of numbers below 10, and the steps used here
contract or, with momentum, amplify errors by a factor below 10; 300 steps then leave less than 1e-11.
"""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from tests import cases

STEPS, STEP = 300, 0.05
EVERY_STEP = np.arange(STEPS + 1)
SELDOM = np.linspace(0, STEPS, 7, dtype=int)

SLOPES = {
    "square": lambda z, y: z - y,
    "log_cosh": lambda z, y: np.tanh(z - y),
    "logistic": lambda z, y: -y / (1 + np.exp(y * z)),
    "exponential": lambda z, y: -y * np.exp(-y * z),
}
VALUES = {
    "square": lambda z, y: 0.5 * np.sum((z - y) ** 2),
    "log_cosh": lambda z, y: np.sum(np.log(np.cosh(z - y))),
    "logistic": lambda z, y: np.sum(np.log1p(np.exp(-y * z))),
    "exponential": lambda z, y: np.sum(np.exp(-y * z)),
}


class Loop:
    """x = weights, g w/|w| or g w;  p' = p - step rule(D grad), D = ratio on g. Both gradients at the old point."""

    def __init__(self, problem, method, loss="square"):
        self.A, self.y = np.asarray(problem.operator), np.asarray(problem.target)
        self.method, self.loss_name = method, loss

    def predictor(self, p):
        if self.method == "gd":
            return p
        return p[0] * p[1:] / (np.linalg.norm(p[1:]) if self.method == "wn" else 1.0)

    def loss(self, p):
        return VALUES[self.loss_name](self.A @ self.predictor(p), self.y)

    def gradient(self, p, ratio=1.0):
        q = self.A.T @ SLOPES[self.loss_name](self.A @ self.predictor(p), self.y)
        if self.method == "gd":
            return q
        g, w = p[0], p[1:]
        if self.method == "rpgd":
            return np.concatenate([[ratio * (w @ q)], g * q])
        norm = np.linalg.norm(w)
        u = w / norm
        return np.concatenate([[ratio * (u @ q)], g / norm * (q - u * (u @ q))])

    def run(self, p, count=STEPS, step=STEP, ratio=1.0, momentum=0.0, nesterov=False, decay=0.0, longest=np.inf):
        at = lambda value, k: value(k) if callable(value) else value  # noqa: E731
        path, velocity = [p], np.zeros_like(p)
        for k in range(count):
            d = self.gradient(p, at(ratio, k))
            d = d * min(1.0, longest / np.linalg.norm(d))
            d = d + decay * p
            velocity = momentum * velocity + d
            p = p - at(step, k) * (d + momentum * velocity if nesterov else velocity)
            if self.method == "rpgd":
                p = np.concatenate([p[:1], p[1:] / np.linalg.norm(p[1:])])
            path.append(p)
        return np.array(path)


def descent(step=STEP, ratio=1.0, stop=None, bound=np.inf, max_steps=STEPS, **options):
    """With arrays for what varies, so that the tests share their programs."""
    rule = None if stop is None else ib.loss_below(jnp.asarray(stop))
    numbers = dict(ratio=jnp.asarray(ratio), bound=jnp.asarray(bound))
    return ib.Descent(jnp.asarray(step), stop=rule, max_steps=max_steps, **numbers, **options)


def method_of(name):
    """A parameterization of `cases` and the name of its loop."""
    kind = {"Euclidean": "gd", "Polar": "wn", "Polar, |w| = 2": "wn", "Sphere": "rpgd"}[name]
    return cases.PARAMETERIZATIONS[name](), kind


def assert_same_path(run, loop, path):
    np.testing.assert_allclose(run["weights"], path, rtol=0, atol=1e-10)
    np.testing.assert_allclose(run["x"], [loop.predictor(p) for p in path], rtol=0, atol=1e-10)
    np.testing.assert_allclose(run["loss"], [loop.loss(p) for p in path], rtol=1e-9, atol=1e-10)
    np.testing.assert_array_equal(run["steps"], EVERY_STEP)
    np.testing.assert_allclose(run["time"], STEP * EVERY_STEP, rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.PARAMETERIZATIONS)
@pytest.mark.parametrize("loss", ["square", "logistic"])
def test_gradient_descent_at_every_step(name, loss):
    """GD, WN (|w_0| = 1 and 2) and rPGD, for the ratios 0 (g frozen), 0.3, 1 and 5 (Wu et al., Algorithms 1 and 2)."""
    problem = cases.problem_of(cases.LOSSES[loss])
    weights, kind = method_of(name)
    loop = Loop(problem, kind, loss)
    for ratio in [1.0] if kind == "gd" else [0.0, 0.3, 1.0, 5.0]:
        run = cases.drive(problem, weights, descent(ratio=ratio), EVERY_STEP)
        assert_same_path(run, loop, loop.run(run["weights"][0], ratio=ratio))
        if ratio == 0.0:
            assert np.all(run["weights"][:, 0] == 0.5)


def test_first_weights_have_the_scale_and_norm_asked_for():
    """x_0 = scale u and |w_0| = norm with one unit vector u for all: comparisons at equal scale are paired."""
    problem = cases.problem_of(ib.square)
    directions = []
    for name in cases.PARAMETERIZATIONS:
        parameterization, _ = method_of(name)
        run = cases.prepared(problem, parameterization, ib.Descent(STEP), rewritten=False)
        np.testing.assert_allclose(np.linalg.norm(run.parameterization(run.theta)), 0.5, rtol=1e-15)
        directions.append(np.asarray(run.parameterization(run.theta)) / 0.5)
        if name != "Euclidean":
            norm = 2.0 if name.endswith("2") else 1.0
            np.testing.assert_allclose(np.linalg.norm(run.theta.w), norm, rtol=1e-15)
    for one, other in itertools.pairwise(directions):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-15)


RULES = {
    "heavy_ball": dict(momentum=0.7),
    "nesterov": dict(momentum=0.7, nesterov=True),
    "clipped": dict(longest=0.3),
    "decayed": dict(decay=0.02),
    "chain": dict(longest=0.3, decay=0.02, momentum=0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
@pytest.mark.parametrize("rule", RULES)
def test_rules_at_every_step(rule, name):
    """Momentum, clipping of (grad_g, grad_w) as one vector, coupled decay of g and w, and their chain."""
    problem = cases.problem_of(ib.square)
    weights, kind = method_of(name)
    loop = Loop(problem, kind)
    ratio = 1.0 if kind == "gd" else 0.3
    law = descent(ratio=ratio, law=cases.LAWS[rule])
    run = cases.drive(problem, weights, law, EVERY_STEP)
    path = loop.run(run["weights"][0], ratio=ratio, **RULES[rule])
    if rule == "clipped":  # the comparison is of something: the first gradient is longer than the limit
        assert np.linalg.norm(loop.gradient(path[0], ratio)) > 0.3
    assert_same_path(run, loop, path)


@pytest.mark.slow
def test_two_stage_step_and_ratio():
    """`two_stage(a, b, T)`: a in the steps 0 .. T-1 and b from step T on; t is the sum of the steps taken."""
    problem = cases.problem_of(ib.square)
    weights, kind = method_of("Polar")
    loop = Loop(problem, kind)
    law = ib.Descent(ib.two_stage(0.1, 0.02, 40), ratio=ib.two_stage(0.0, 2.0, 100), max_steps=STEPS)
    run = cases.drive(problem, weights, law, EVERY_STEP)
    step, ratio = (lambda k: 0.1 if k < 40 else 0.02), (lambda k: 0.0 if k < 100 else 2.0)
    path = loop.run(run["weights"][0], step=step, ratio=ratio)
    np.testing.assert_allclose(run["weights"], path, rtol=0, atol=1e-10)
    assert np.all(run["weights"][:101, 0] == 0.5) and run["weights"][101, 0] != 0.5
    np.testing.assert_allclose(run["time"], np.cumsum([0.0, *map(step, range(STEPS))]), rtol=1e-13)


@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
@pytest.mark.parametrize("stop", [None, 1e-300])
def test_step_over_the_loss(name, stop):
    """theta' = theta - (eta / L) grad L and t' = t + eta / L, in both loops of the program."""
    problem = cases.problem_of(ib.logistic)
    weights, kind = method_of(name)
    loop = Loop(problem, kind, "logistic")
    rule = None if stop is None else ib.loss_below(stop)
    run = cases.drive(problem, weights, ib.Descent(ib.over_loss(STEP), stop=rule, max_steps=STEPS), EVERY_STEP)
    path, time = [run["weights"][0]], [0.0]
    for _ in range(STEPS):
        p, loss = path[-1], loop.loss(path[-1])
        p = p - STEP / loss * loop.gradient(p)
        if kind == "rpgd":
            p = np.concatenate([p[:1], p[1:] / np.linalg.norm(p[1:])])
        path.append(p)
        time.append(time[-1] + STEP / loss)
    np.testing.assert_allclose(run["weights"], path, rtol=0, atol=1e-10)
    np.testing.assert_allclose(run["time"], time, rtol=1e-10)
    assert run["status"] == ib.Status.ESCAPING


def test_step_over_a_loss_that_has_underflowed():
    """log(1 + e^-800) is 0 in float64, and so is its gradient: the run stalls where it is."""
    problem = ib.linear.fixed([[1.0, 0.0]], [1.0], loss=ib.logistic)(0)
    run = cases.drive(problem, from_point(800.0), ib.Descent(ib.over_loss(0.1), max_steps=20), [0, 10, 20])
    assert run["status"] == ib.Status.STALLED
    np.testing.assert_array_equal(run["x"][:, 0], 800.0)


def test_a_ratio_sees_no_loss():
    with pytest.raises(ib.Mistake, match="over_loss"):
        cases.drive(LINE(0), cases.PARAMETERIZATIONS["Polar"](), ib.Descent(0.1, ratio=ib.over_loss(1.0)), [0, 1])


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_weight_norm_grows_by_the_gradient(loss):
    """|w'|^2 = |w|^2 + eta^2 |grad_w h|^2 for discrete WN: grad_w h is orthogonal to w.

    Both sides are read from lifted weights with relative rounding below 10 eps; 1e-14 is about 45 eps.
    """
    problem = cases.problem_of(cases.LOSSES[loss])
    weights, kind = method_of("Polar")
    loop = Loop(problem, kind, loss)
    run = cases.drive(problem, weights, descent(), EVERY_STEP)
    squares = np.sum(run["weights"][:, 1:] ** 2, axis=1)
    growth = np.array([np.sum(loop.gradient(p)[1:] ** 2) for p in run["weights"][:-1]])
    np.testing.assert_allclose(squares[1:], squares[:-1] + STEP**2 * growth, rtol=1e-14)
    assert squares[-1] > 1.001  # it did grow


@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
def test_stop_rule_ends_at_the_first_step_whose_loss_is_below(name):
    """CONVERGED at k = min{k : L(theta_k) < threshold}, also between two records and at k = 0."""
    problem = cases.problem_of(ib.square)
    weights, kind = method_of(name)
    loop = Loop(problem, kind)
    path = loop.run(np.asarray(cases.weights(cases.start_of(cases.prepared(problem, weights, descent())))))
    losses = np.array([loop.loss(p) for p in path])
    # just above and just below a loss: 1e-7 of it is far more than rounding and far less than a step
    for threshold in [10.0, losses[20] * (1 + 1e-7), losses[20] * (1 - 1e-7), losses[137] * (1 + 1e-7)]:
        run = cases.drive(problem, weights, descent(stop=threshold), SELDOM)
        first = int(np.argmax(losses < threshold))
        assert losses[first] < threshold
        assert run["status"] == ib.Status.CONVERGED
        assert run["end steps"] == first and run["steps"][-1] == first
        np.testing.assert_allclose(run["end time"], STEP * first, rtol=1e-14)
        np.testing.assert_allclose(run["weights"][-1], path[first], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
def test_a_stop_rule_that_is_never_met_changes_nothing(name):
    """Fixed-step and stop-rule runs are two loops in the program, and one trajectory; both end as CAPPED.

    To rounding only: the two are compiled apart.
    """
    problem = cases.problem_of(ib.square)
    weights, _ = method_of(name)
    free = cases.drive(problem, weights, descent(), EVERY_STEP)
    watched = cases.drive(problem, weights, descent(stop=1e-300), SELDOM)
    for run in (free, watched):
        assert run["status"] == ib.Status.CAPPED and run["end steps"] == STEPS
    for quantity in ("weights", "x", "time"):
        np.testing.assert_allclose(free[quantity][SELDOM], watched[quantity], rtol=0, atol=1e-13)


LINE = ib.linear.fixed([[1.0, 0.0]], [1.0])  # L = (x_1 - 1)^2 / 2: x_1 <- x_1 - step (x_1 - 1)


def from_point(scale):
    return ib.Euclidean(jnp.asarray(scale), jnp.array([1.0, 0.0]))


@pytest.mark.parametrize("stop", [None, 1e-300])
def test_diverged(stop):
    """Step 5 multiplies the error by -4: the loss leaves float64 near step log(1e154)/log 4 = 256.

    A run that looks at every step ends at exactly the first loss that is not finite; one without a stop rule is
    judged at its records.
    """
    run = cases.drive(LINE(0), from_point(0.5), descent(5.0, stop=stop, max_steps=1000), [0, 100, 300, 600, 1000])
    assert run["status"] == ib.Status.DIVERGED
    with np.errstate(over="ignore"):
        errors = -0.5 * (-4.0) ** np.arange(400)
        first = int(np.argmin(np.isfinite(0.5 * errors**2)))
    assert 100 < first < 300
    assert run["end steps"] == (first if stop is not None else 300)
    np.testing.assert_allclose(run["x"][1, 0], 1 + errors[100], rtol=1e-12)


def test_the_bound_that_a_study_names_is_a_divergence():
    """`bound`: the run ends as DIVERGED at the first step whose loss is not below it. Step 3 doubles the error."""
    law = descent(3.0, stop=1e-300, bound=100.0, max_steps=1000)
    run = cases.drive(LINE(0), from_point(0.5), law, [0, 250, 500, 750, 1000])
    losses = 0.5 * (0.5 * 2.0 ** np.arange(20)) ** 2
    assert run["status"] == ib.Status.DIVERGED
    assert run["end steps"] == np.argmax(losses >= 100.0)


@pytest.mark.parametrize("stop", [None, 1e-300])
def test_stalled(stop):
    """STALLED: no bit of the weights changed over a whole record interval.

    With step 1/2 the error halves until x_1 = 1 exactly (near 1 the half of an ulp rounds to even), within 55 steps:
    they change in the interval that ends at step 100 and not in the next one.
    """
    clock = [0, 20, 100, 200, 300]
    run = cases.drive(LINE(0), from_point(0.5), descent(0.5, stop=stop, max_steps=1000), clock)
    assert run["x"][1, 0] != 1.0 and np.all(run["x"][2:, 0] == 1.0)
    if stop is None:
        assert run["status"] == ib.Status.STALLED
        assert run["end steps"] == 200
        np.testing.assert_array_equal(run["steps"], [0, 20, 100, 200, 200])
    else:  # the loss is exactly 0 there, and below any threshold
        assert run["status"] == ib.Status.CONVERGED and run["end steps"] <= 56


def test_a_cycle_of_two_steps_is_not_stalled():
    """At step 2 the error turns its sign at every step: after an even number x is where it was, to the bit."""
    run = cases.drive(LINE(0), from_point(3.0), descent(2.0, max_steps=1000), [0, 20, 100, 200, 1000])
    assert np.all(run["x"][:, 0] == 3.0)
    assert run["status"] == ib.Status.CAPPED and run["end steps"] == 1000


def test_stalled_at_a_loss_above_zero():
    """Where no float solves A x = y exactly, the loss stays at rounding: 1e-300 is not met, and the run stalls."""
    problem = cases.problem_of(ib.square)
    run = cases.drive(
        problem, cases.PARAMETERIZATIONS["Euclidean"](), descent(0.5, stop=1e-300), [0, 300, 600, 900, 1200, 1500, 1800]
    )
    assert run["status"] == ib.Status.STALLED and run["end steps"] == 600
    assert 0 < run["loss"][-1] < 1e-28


def test_a_first_stage_that_has_settled_is_not_stalled():
    """Frozen g, then released (Wu et al., Theorem 3.2): w may stand still to the last bit before g may move.

    Here w_0 = w* = [1, 0], so that nothing moves before step 150; then 1 - g halves at every step.
    """
    released = ib.Descent(0.5, ratio=ib.two_stage(0.0, 1.0, 150), max_steps=400)
    weights = ib.Sphere(jnp.asarray(0.5), jnp.array([1.0, 0.0]))
    run = cases.drive(LINE(0), weights, released, [0, 50, 100, 150, 220, 300, 400])
    np.testing.assert_array_equal(run["weights"][0], run["weights"][3])
    assert run["weights"][3, 0] == 0.5 and abs(run["weights"][-1, 0] - 1) < 1e-15
    assert run["status"] == ib.Status.STALLED and run["end steps"] == 300


def test_momentum_that_turns_is_not_stalled():
    """theta_1 = theta_0 while the memory moves: heavy ball from the solution, driven by what it remembers.

    Nesterov's and heavy ball's memory is part of what must stand still. Here step 1e-17 moves no bit of x while the
    memory grows towards 1/(1 - 0.7) times the gradient.
    """
    law = ib.Descent(1e-17, law=ib.heavy_ball(0.7), max_steps=10)
    run = cases.drive(LINE(0), from_point(0.5), law, [0, 1, 2, 3, 10])
    assert np.all(run["x"][:, 0] == 0.5)
    assert run["status"] == ib.Status.CAPPED and run["end steps"] == 10


def test_escaping_and_capped_on_separable_data():
    """At the cap of a logistic run: `escaping` if every example is right and |x| still grows, else `capped`."""
    problem = ib.linear.fixed([[1.0, 0.0]], [1.0], loss=ib.logistic)(0)
    ahead = cases.drive(problem, from_point(0.5), descent(), [0, 100, 300])
    assert ahead["status"] == ib.Status.ESCAPING
    assert ahead["x"][2, 0] > ahead["x"][1, 0] > 0.5
    behind = cases.drive(problem, from_point(-50.0), descent(), [0, 100, 300])
    assert behind["status"] == ib.Status.CAPPED
    assert behind["x"][2, 0] < 0


@pytest.mark.parametrize("segment", [37.5, 300.0])
def test_segments_give_the_bits_of_the_whole_run(segment):
    """`until` is traced: one program, and no trace of where it paused, in the steps or in how the run ended."""
    runs = {
        "stalled": (LINE(0), from_point(0.5), ib.Descent(0.5, max_steps=2000), [0, 20, 1000, 1500, 2000]),
        "stopped": (
            cases.problem_of(ib.square),
            method_of("Polar")[0],
            ib.Descent(STEP, stop=ib.loss_below(1e-5), max_steps=2000),
            [0, 700, 2000],
        ),
    }
    for problem, weights, law, clock in runs.values():
        whole = cases.drive_in_segments(problem, weights, law, clock, np.inf)
        parts = cases.drive_in_segments(problem, weights, law, clock, segment)
        for one, other in zip(cases.leaves(whole), cases.leaves(parts), strict=True):
            np.testing.assert_array_equal(one, other)


def test_records_that_round_to_one_step_are_taken_together():
    """Times closer than a step: every record is written, and the run takes no extra step."""
    law = descent(stop=1e-300)
    run = cases.drive(cases.problem_of(ib.square), method_of("Polar")[0], law, [0, 3, 3, 3, 40, STEPS, STEPS])
    np.testing.assert_array_equal(run["steps"], [0, 3, 3, 3, 40, STEPS, STEPS])
    assert run["status"] == ib.Status.CAPPED
