"""The seams of motion: any pytree is weights, a law's numbers are axes, penalties reach the flow, flows meet switches."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import implicit_bias as ib
from implicit_bias._errors import Mistake
from tests import cases

ROWS, COLUMNS = 3, 7


# -- any pytree is weights ----------------------------------------------------------------------------------------


class Tuple(NamedTuple):
    a: jax.Array
    b: jax.Array


class Module(eqx.Module):
    a: jax.Array
    b: jax.Array


BUILD = {"NamedTuple": Tuple, "module": Module, "dict": lambda a, b: {"a": a, "b": b}}
READ = {
    "NamedTuple": lambda theta: (theta.a, theta.b),
    "module": lambda theta: (theta.a, theta.b),
    "dict": lambda theta: (theta["a"], theta["b"]),
}


class Hadamard(ib.AbstractParameterization):
    """x = a b, entry by entry, with the weights in a container of some kind."""

    kind: str = eqx.field(static=True)

    def init(self, problem, key):
        del key
        return BUILD[self.kind](jnp.full(problem.dimension, 0.5), jnp.full(problem.dimension, 0.3))

    def __call__(self, theta):
        a, b = READ[self.kind](theta)
        return a * b

    def labels(self, theta):
        del theta
        return BUILD[self.kind]("first", "second")

    def requirements(self):
        return {}


MOTIONS = {
    "descent": lambda: ib.Descent(0.05, rates={"second": 0.5}, max_steps=30),
    "heavy ball": lambda: ib.Descent(0.05, rates={"second": 0.5}, law=ib.heavy_ball(0.5), max_steps=30),
    "Adam": lambda: ib.Descent(0.05, rates={"second": 0.5}, law=ib.adam(), max_steps=30),
    "flow": lambda: ib.Flow(1.5, rates={"second": 0.5}),
}


@pytest.mark.slow
@pytest.mark.parametrize("motion", MOTIONS)
def test_any_pytree_is_weights(motion):
    """A NamedTuple, a module and a dict give the same numbers, and `rates` reaches each block by its label."""
    found = {}
    for kind in BUILD:

        def cell(*, key, kind=kind):
            return ib.Run(ib.linear.gaussian(ROWS, COLUMNS)(key), Hadamard(kind), MOTIONS[motion]())

        def ratio(snapshot, kind=kind):
            """|b - b_0| / |a - a_0|"""
            (a, b), (a0, b0) = READ[kind](snapshot.theta), READ[kind](snapshot.first)
            return jnp.linalg.norm(b - b0) / jnp.linalg.norm(a - a0)

        ds = ib.Study(cell=cell, grids=ib.grid(seed=[0]), observe={"x": ib.predictor(), "ratio": ratio}).run(width=1)
        found[kind] = ds
        assert float(ds.loss.isel(record=-1).squeeze()) < float(ds.loss.isel(record=0).squeeze())
    for kind in BUILD:
        np.testing.assert_array_equal(found[kind].x, found["NamedTuple"].x)
        np.testing.assert_array_equal(found[kind]["ratio"], found["NamedTuple"]["ratio"])


def test_a_rate_of_no_label_is_refused():
    def cell(*, key):
        return ib.Run(ib.linear.gaussian(3, 7)(key), ib.Polar(0.5), ib.Descent(0.1, rates={"head": 2.0}, max_steps=3))

    with pytest.raises(Mistake, match="rates: names 'head', and no weights have that label; known: size, weights"):
        ib.Study(cell=cell, grids=ib.grid(seed=[0])).run()


@pytest.mark.slow
def test_ratio_is_the_rate_of_size():
    """`ratio=c` and freezing the rest by label: with rate 0 on `weights` only g moves."""

    def cell(*, key):
        descent = ib.Descent(0.1, ratio=0.5, rates={"weights": 0.0}, max_steps=5)
        return ib.Run(ib.linear.gaussian(ROWS, COLUMNS)(key), ib.Polar(0.5), descent)

    moved = {"g": lambda s: s.theta.g - s.first.g, "w": lambda s: jnp.linalg.norm(s.theta.w - s.first.w)}
    ds = ib.Study(cell=cell, grids=ib.grid(seed=[0]), observe=moved).run()
    assert float(np.abs(ds.g).max()) > 1e-3
    assert float(ds.w.max()) < 1e-15


# -- snapshots are in the coordinates the user knows --------------------------------------------------------------


def weight(snapshot):
    return snapshot.theta.w


def residual(snapshot):
    return snapshot.problem.operator @ snapshot.pred - snapshot.problem.target


SNAPSHOT = {
    "w": weight,
    "size_of_w": lambda s: jnp.linalg.norm(s.theta.w),
    "half_square": lambda s: residual(s) @ residual(s) / 2,
    "known": ib.weight_norm,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "dynamics",
    [
        lambda: ib.Descent(0.05, max_steps=40),
        lambda: ib.Descent(0.05, law=ib.heavy_ball(0.5), max_steps=40),
        lambda: ib.Descent(0.05, law=ib.adam(), max_steps=40),
        lambda: ib.Flow(2.0),
    ],
    ids=["GD", "heavy ball", "Adam", "flow"],
)
@pytest.mark.parametrize("weights", [ib.Polar, ib.Sphere])
def test_snapshots_are_in_the_users_coordinates(weights, dynamics):
    """`norm(snapshot.theta.w)` and the data of `snapshot.problem` mean what they say, rewritten or not, to 1e-13."""

    def cell(*, key):
        return ib.Run(ib.linear.gaussian(ROWS, COLUMNS)(key), weights(0.5), dynamics())

    ds = ib.Study(cell=cell, grids=ib.grid(seed=[0]), observe=SNAPSHOT).run(width=1)
    w = np.asarray(ds.w).reshape(-1, COLUMNS)
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), np.ravel(ds.size_of_w), rtol=1e-14)
    np.testing.assert_allclose(np.ravel(ds.known), np.ravel(ds.size_of_w), rtol=1e-13)
    np.testing.assert_allclose(np.ravel(ds.half_square), np.ravel(ds.loss), rtol=1e-12, atol=1e-15)
    assert np.abs(w[-1] - w[0]).max() > 1e-3


# -- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_momentum_is_an_axis_and_compiles_once():
    """One program for all values of momentum, and each the run of its own number."""

    def cell(*, key, momentum):
        law = ib.heavy_ball(momentum)
        return ib.Run(ib.linear.gaussian(ROWS, COLUMNS)(key), ib.Polar(0.5), ib.Descent(0.05, law=law, max_steps=50))

    study = ib.Study(cell=cell, grids=ib.grid(momentum=[0.0, 0.5, 0.9], seed=[0]))
    assert len({b.program.identity for b in study.plan().batches}) == 1
    ds = study.run(width=4)
    for momentum in (0.0, 0.5, 0.9):
        run = cases.prepared(
            ib.linear.gaussian(ROWS, COLUMNS)(ib.SeedKey(jnp.asarray(0))),
            ib.Polar(0.5),
            ib.Descent(0.05, law=ib.heavy_ball(momentum), max_steps=50),
        )
        alone = cases.whole_run(run, jnp.asarray([0, 50], dtype=jnp.int32), {"loss": ib.loss})
        np.testing.assert_allclose(ds.loss.sel(momentum=momentum).isel(record=-1).item(), alone["loss"][-1], rtol=1e-11)
    assert len(np.unique(ds.loss.isel(record=-1))) == 3


class Ahead(ib.AbstractLaw):
    """The gradient at a point further on: SAM without its square root, theta' = theta - step grad(theta + rho grad)."""

    rho: float
    name: ClassVar[str] = "ahead"
    equivariant: ClassVar[bool] = True

    def init(self, theta):
        return None

    def step(self, gradient_at, theta, memory, key):
        ahead = jax.tree.map(lambda w, d: w + self.rho * d, theta, gradient_at(theta))
        return gradient_at(ahead), memory


@pytest.mark.parametrize("rewritten", [True, False])
@pytest.mark.parametrize("weights", [ib.Euclidean, ib.Polar])
def test_a_law_may_ask_for_a_gradient_elsewhere(weights, rewritten):
    """Against the same law in plain JAX, in the original coordinates, after 20 steps: 1e-11 as for all rewritings."""
    problem, parameterization = cases.problem_of(ib.square), weights(jnp.asarray(0.5))
    run = cases.prepared(problem, parameterization, ib.Descent(0.05, law=Ahead(0.3), max_steps=20), rewritten)
    found = cases.whole_run(run, jnp.asarray([0, 20], dtype=jnp.int32), dict(cases.PATH))
    theta = parameterization.init(problem, cases.key())
    gradient = jax.jit(jax.grad(lambda theta: problem.loss(parameterization(theta))))
    for _ in range(20):
        ahead = jax.tree.map(lambda w, d: w + 0.3 * d, theta, gradient(theta))
        theta = jax.tree.map(lambda w, d: w - 0.05 * d, theta, gradient(ahead))
    expected = np.concatenate([np.atleast_1d(leaf) for leaf in theta])
    np.testing.assert_allclose(found["weights"][-1], expected, rtol=0, atol=1e-11)


class Wrong(ib.AbstractLaw):
    give: Callable = eqx.field(static=True)

    def init(self, theta):
        return None

    def step(self, gradient_at, theta, memory, key):
        return self.give(gradient_at(theta)), memory


WRONG = {
    "one number": (lambda d: jax.tree.map(jnp.sum, d), r"shape \(\)"),
    "twice as many": (lambda d: jax.tree.map(lambda g: jnp.concatenate([g, g]), d), "shape"),
    "a column": (lambda d: jax.tree.map(lambda g: g[:, None], d), "shape"),
    "another tree": (lambda d: (d, d), "no tree like the weights"),
}


@pytest.mark.parametrize(("give", "said"), WRONG.values(), ids=WRONG)
def test_an_update_that_is_not_a_number_for_each_weight_is_refused(give, said):
    """One number would be broadcast to all weights: another law, and no error."""
    problem, law = ib.linear.fixed([[1.0, 2.0, 0.0]], [1.0])(0), Wrong(give)
    run = cases.prepared(problem, ib.Euclidean(1.0), ib.Descent(0.1, law=law, max_steps=3), False)
    with pytest.raises(ib.Mistake, match=f"law: Wrong gives an update .*{said}"):
        cases.whole_run(run, jnp.arange(2, dtype=jnp.int32), {"x": ib.predictor()})


class Noisy(ib.AbstractLaw):
    """The gradient and standard normal noise."""

    name: ClassVar[str] = "noisy"

    def init(self, theta):
        return None

    def step(self, gradient_at, theta, memory, key):
        leaves, tree = jax.tree.flatten(gradient_at(theta))
        keys = jax.random.split(key, len(leaves))
        noise = [d + jax.random.normal(k, d.shape) for k, d in zip(keys, leaves, strict=True)]
        return jax.tree.unflatten(tree, noise), memory


def test_a_law_may_draw():
    """Each step has a draw of its own, fixed by the seed: from x_0 with a frozen problem, x_k - x_0 is a known walk."""
    key = cases.key(3)
    problem = ib.linear.fixed(np.zeros((1, 4)), np.ones(1))(0)  # no gradient anywhere
    run = cases.prepared(problem, ib.Euclidean(1.0), ib.Descent(0.1, law=Noisy(), key=key, max_steps=3))
    found = cases.whole_run(run, jnp.arange(4, dtype=jnp.int32), {"x": ib.predictor()})
    steps = np.diff(np.asarray(found["x"]), axis=0) / -0.1
    stream = ib.stream(key, "law")
    for k, drawn in enumerate(steps):
        (own,) = jax.random.split(jax.random.fold_in(stream, k), 1)
        np.testing.assert_allclose(drawn, jax.random.normal(own, (4,)), rtol=1e-13)


# -- penalties ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("rewritten", [True, False])
def test_weight_decay_in_a_flow(rewritten):
    """d x / dt = -A^T (A x - y) - rate x ends at the ridge solution (A^T A + rate)^-1 A^T y; rtol 1e-10 a step: 1e-8.

    The slowest mode decays at `rate` itself (what the data cannot see): exp(-0.5 * 60) = 1e-13.
    """
    rate, problem = 0.5, cases.problem_of(ib.square)
    dynamics = ib.Flow(60.0, max_steps=100_000)
    run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), dynamics, rewritten, penalty=ib.weight_decay(rate))
    observe = {"x": ib.predictor(), "objective": lambda s: s.objective, "loss": ib.loss}
    found = cases.whole_run(run, jnp.asarray([0.0, 60.0]), observe)
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    ridge = np.linalg.solve(A.T @ A + rate * np.eye(A.shape[1]), A.T @ y)
    np.testing.assert_allclose(found["x"][-1], ridge, rtol=0, atol=1e-8)
    loss = np.sum((A @ ridge - y) ** 2) / 2
    np.testing.assert_allclose(found["loss"][-1], loss, rtol=1e-7)
    np.testing.assert_allclose(found["objective"][-1], loss + rate * ridge @ ridge / 2, rtol=1e-7)
    assert np.linalg.norm(ridge - np.linalg.pinv(A) @ y) > 0.1  # the penalty is felt


@pytest.mark.parametrize("weights", [ib.Euclidean, ib.Polar])
def test_a_penalty_is_the_law_decayed(weights):
    """Under gradient descent the penalty rate |theta|^2 / 2 is coupled decay: equal to rounding after 50 steps."""
    problem, ends = cases.problem_of(ib.square), []
    for law, penalty in ((ib.decayed(0.1), None), (ib.gradient_descent(), ib.weight_decay(0.1))):
        descent = ib.Descent(0.05, law=law, max_steps=50)
        run = cases.prepared(problem, weights(jnp.asarray(0.5)), descent, penalty=penalty)
        ends.append(cases.whole_run(run, jnp.asarray([0, 50], dtype=jnp.int32), dict(cases.PATH))["weights"][-1])
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-13)


def test_an_unknown_penalty_keeps_the_original_coordinates():
    """Any function of the weights is a penalty; the l1 norm is not the same for rotated weights."""
    problem, descent = cases.problem_of(ib.square), ib.Descent(0.05, max_steps=5)

    def l1(theta):
        return jnp.sum(jnp.abs(theta.x))

    run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), descent, penalty=l1)
    x = run.theta.x
    assert x.shape == (cases.COLUMNS,)
    _, gradient = run.objective.value_and_gradient(run.theta)
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    np.testing.assert_allclose(gradient.x, A.T @ (A @ np.asarray(x) - y) + np.sign(x), rtol=0, atol=1e-13)


# -- flows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(solver=diffrax.Euler()), "solver: Euler cannot integrate a flow"),
        (dict(solver=diffrax.SemiImplicitEuler()), "solver: SemiImplicitEuler cannot integrate a flow"),
        (dict(controller=diffrax.ConstantStepSize()), "controller: is a constant step"),
    ],
)
def test_solvers_that_cannot_work_are_refused(options, message):
    with pytest.raises(Mistake, match=message) as caught:
        ib.Flow(1.0, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        dict(solver=diffrax.Bosh3(), rtol=1e-8),
        dict(solver=diffrax.Dopri8()),
        dict(solver=diffrax.HalfSolver(diffrax.Euler()), rtol=1e-4),
        dict(solver=diffrax.Kvaerno5(root_finder=diffrax.VeryChord(rtol=1e-10, atol=1e-13)), rtol=1e-8),
        dict(controller=diffrax.PIDController(rtol=1e-10, atol=1e-13, pcoeff=0.3, icoeff=0.4)),
    ],
    ids=["Bosh3", "Dopri8", "HalfSolver", "Kvaerno5", "PI"],
)
def test_solvers_that_can_work_do(options):
    """x(t) = x* + exp(-A^T A t)(x_0 - x*) at t = 1, to a hundred tolerances."""
    problem = cases.problem_of(ib.square)
    run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), ib.Flow(1.0, **options))
    found = cases.whole_run(run, jnp.asarray([0.0, 1.0]), {"x": ib.predictor()})["x"]
    _assert_decayed(problem, found, 1.0, 100 * options.get("rtol", 1e-10))


def _assert_decayed(problem, found, effective, tolerance):
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    values, vectors = np.linalg.eigh(A.T @ A)
    target = np.linalg.pinv(A) @ y
    expected = target + vectors @ (np.exp(-values * effective) * (vectors.T @ (np.asarray(found[0]) - target)))
    np.testing.assert_allclose(found[-1], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("solver", [diffrax.Tsit5, diffrax.Dopri8])
def test_a_flow_steps_exactly_to_a_switch(solver):
    """A rate that jumps at pi/4 is an integrated clock: x depends on int rate dt. A step ends at the switch itself,

    no step is refused for the jump (a step across it is: a few dozen attempts more), and 1e-8 is kept.
    """
    problem, switch = cases.problem_of(ib.square), float(np.pi / 4)
    flow = ib.Flow(1.5, rates={"weights": ib.two_stage(0.2, 3.0, switch)}, solver=solver())
    run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), flow)
    at_switch = ib.first_time(lambda s: s.time >= switch)
    found = cases.whole_run(run, jnp.asarray([0.0, 1.5]), {"x": ib.predictor(), "at": at_switch})
    assert float(found["at"]) == switch
    _assert_decayed(problem, found["x"], 0.2 * switch + 3.0 * (1.5 - switch), 1e-8)


@pytest.mark.parametrize(
    ("solver", "signed", "entry", "end"), [(diffrax.Tsit5, False, 20.0, 2e-4), (diffrax.Dopri8, True, 5.0, 4e-3)]
)
def test_a_step_that_overflows_is_refused_and_shrinks(solver, signed, entry, end):
    """x = u^3 or u^3 - v^3 from large entries: a first step moves them by many times themselves, and each stage takes
    the fifth power of the last.

    By scipy's DOP853 at rtol 1e-12 of dw/dt = -(dx/dw)^T A^T (A x - y); a step is kept to 1e-10 of it, some hundred are
    taken, and the flow contracts: 1e-8.
    """
    problem, sign = cases.problem_of(ib.square), np.repeat([1.0, -1.0], 7) if signed else np.ones(7)
    direction = jnp.ones(len(sign)) / len(sign) ** 0.5
    weights = ib.Power(ib.Euclidean(jnp.asarray(entry * len(sign) ** 0.5), direction), 3, signed)
    run = cases.prepared(problem, weights, ib.Flow(end, solver=solver(), max_steps=4000))
    found = cases.whole_run(run, jnp.asarray([0.0, end]), {"x": ib.predictor()})
    assert found["status"] == ib.Status.CAPPED and float(found["end time"]) == end
    A, y = np.asarray(problem.operator), np.asarray(problem.target)

    def x(w):
        return (sign * w**3).reshape(-1, 7).sum(axis=0)

    def velocity(t, w):
        return -3 * w**2 * sign * np.tile(A.T @ (A @ x(w) - y), len(w) // 7)

    first = np.full(len(sign), entry)
    path = solve_ivp(velocity, (0, end), first, "DOP853", rtol=1e-12, atol=1e-13, first_step=end * 1e-6)
    np.testing.assert_allclose(found["x"][-1], x(path.y[:, -1]), rtol=0, atol=1e-8 * np.abs(path.y[:, -1]).max() ** 3)
