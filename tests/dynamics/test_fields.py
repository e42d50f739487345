"""Fields of flows: a change of time leaves the path alone, inertia has a closed form, and a field of one's own runs."""

import functools
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import implicit_bias as ib
from implicit_bias._errors import Mistake
from implicit_bias.referee.motion import law_of
from implicit_bias.referee.recheck import NotAvailable
from tests import cases

LEVEL = 1e-4


def _end(weights, field, rewritten, **rates):
    flow = ib.Flow(1e4, field=field, stop=ib.loss_below(LEVEL), max_steps=100_000, **rates)
    return _whole(cases.prepared(cases.problem_of(ib.square), weights, flow, rewritten), jnp.asarray([0.0, 1e4]))


@eqx.filter_jit
def _whole(run, clock):
    return cases.rows_major(cases.whole_run(run, clock, dict(cases.PATH)))


@functools.cache
def _by_gradient(weights, rewritten):
    return _end(weights(jnp.asarray(0.5)), ib.GradientField(), rewritten, ratio=0.3)


WAYS = [(ib.Polar, True), (ib.Polar, False), (ib.Sphere, True)]
"""Rewritten or not."""


# -- changes of time ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("field", [ib.UnitSpeed(), ib.Rescaled(0.5)], ids=["UnitSpeed", "Rescaled"])
@pytest.mark.parametrize(("weights", "rewritten"), WAYS)
def test_a_change_of_time_leaves_the_path(weights, rewritten, field):
    """Where the loss first is 1e-4, the weights are those of gradient flow, at another time.

    A step is kept to 1e-10, and the stop rule is met to 1e-6 in log loss: |dx / d log loss| is of the order of the
    distance that is left, 1e-2. So 1e-8 of the weights; 3e-8 is allowed.
    """
    found = _end(weights(jnp.asarray(0.5)), field, rewritten, ratio=0.3)
    expected = _by_gradient(weights, rewritten)
    assert found["status"] == expected["status"] == ib.Status.CONVERGED
    np.testing.assert_allclose(found["weights"][-1], expected["weights"][-1], rtol=0, atol=3e-8)
    assert abs(found["end time"] - expected["end time"]) > 0.1 * expected["end time"]


@pytest.mark.parametrize(("weights", "rewritten"), WAYS)
def test_at_unit_speed_time_is_length(weights, rewritten):
    """The chord between records a time h apart is h, but for curvature: h (1 - (curvature h)^2 / 24)."""
    flow = ib.Flow(0.2, field=ib.UnitSpeed())
    run = cases.prepared(cases.problem_of(ib.square), weights(jnp.asarray(0.5)), flow, rewritten)
    path = np.asarray(_whole(run, jnp.linspace(0, 0.2, 41))["weights"])
    chords = np.linalg.norm(np.diff(path, axis=0), axis=1)
    np.testing.assert_allclose(chords, 0.2 / 40, rtol=1e-4)
    assert chords.max() <= 0.2 / 40 * (1 + 1e-8)


@pytest.mark.slow
def test_over_an_exponential_loss_one_example_moves_at_even_speed():
    """L = exp(-y <a, x>): -grad L / L = y a, so that x(t) = x_0 + t y a for ever; gradient flow slows down like 1/t."""
    a = np.array([[0.6, -0.8, 0.5]])
    problem = ib.linear.fixed(a, np.array([-1.0]), loss=ib.exponential)(0)
    for rewritten in (True, False):
        flow = ib.Flow(30.0, field=ib.Rescaled(1.0))
        run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), flow, rewritten)
        x = np.asarray(_whole(run, jnp.linspace(0, 30, 4))["x"])
        np.testing.assert_allclose(x - x[0], np.outer([0, 10, 20, 30], -a[0]), rtol=0, atol=1e-8)


# -- inertia ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("friction", [0.0, 0.5, 3.0])
def test_inertia_on_a_quadratic(friction):
    """(x - x*, v)' = [[0, 1], [-c A^T A, -friction]] (x - x*, v), v_0 = 0: a matrix exponential."""
    problem, rate = cases.problem_of(ib.square), 2.0
    flow = ib.Flow(4.0, field=ib.Inertial(friction), rates={"weights": rate})
    run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), flow)
    x = np.asarray(_whole(run, jnp.linspace(0, 4, 5))["x"])
    A = np.asarray(problem.operator)
    target, identity = np.linalg.pinv(A) @ np.asarray(problem.target), np.eye(A.shape[1])
    system = np.block([[0 * identity, identity], [-rate * A.T @ A, -friction * identity]])
    start = np.concatenate([x[0] - target, 0 * target])
    expected = [target + (expm(t * system) @ start)[: len(target)] for t in range(5)]
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("mass", "push"), [(0.3, 0.0), (0.3, 0.7), (2.0, -0.4)])
def test_mass_and_push_on_a_quadratic(mass, push):
    """mass x'' = -x' - c A^T A (x - x*), x'_0 = -push c A^T A (x_0 - x*): of the least-norm x* nothing is moved across A."""
    problem, rate = cases.problem_of(ib.square), 2.0
    flow = ib.Flow(4.0, field=ib.Inertial(1.0, mass=jnp.asarray(mass), push=jnp.asarray(push)), rates={"weights": rate})
    run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), flow)
    x = np.asarray(_whole(run, jnp.linspace(0, 4, 5))["x"])
    A = np.asarray(problem.operator)
    hessian = rate * A.T @ A
    target, identity = np.linalg.pinv(A) @ np.asarray(problem.target), np.eye(A.shape[1])
    system = np.block([[0 * identity, identity], [-hessian / mass, -identity / mass]])
    start = np.concatenate([x[0] - target, -push * hessian @ (x[0] - target)])
    expected = [target + (expm(t * system) @ start)[: len(target)] for t in range(5)]
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-8)


def test_what_inertia_cannot_be():
    for wrong, said in ((dict(mass=0.0), "mass: must be positive"), (dict(push=np.inf), "push: is not finite")):

        def cell(*, key, wrong=wrong):
            return ib.Run(ib.linear.gaussian(3, 7)(key), ib.Polar(0.5), ib.Flow(1.0, field=ib.Inertial(1.0, **wrong)))

        with pytest.raises(Mistake, match=said):
            ib.Study(cell=cell, grids=ib.grid(seed=[0])).run()


def test_inertia_passes_through_what_a_logarithm_cannot():
    """With a decay alone, x'' = -x: the amplitude changes its sign at pi / 2, and is not rewritten."""
    problem = ib.linear.fixed(np.zeros((1, 4)), np.ones(1))(0)
    flow = ib.Flow(3.0, field=ib.Inertial(0.0))
    run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), flow, penalty=ib.weight_decay(1.0))
    x = np.asarray(_whole(run, jnp.asarray([0.0, 1.0, 3.0]))["x"])
    np.testing.assert_allclose(x, np.outer(np.cos([0.0, 1.0, 3.0]), x[0]), rtol=0, atol=1e-9)


def test_inertia_on_a_manifold_is_refused():
    def cell(*, key):
        return ib.Run(ib.linear.gaussian(3, 7)(key), ib.Sphere(0.5), ib.Flow(1.0, field=ib.Inertial(0.1)))

    with pytest.raises(Mistake, match="field: inertial has a memory, and Sphere's weights lie on a manifold"):
        ib.Study(cell=cell, grids=ib.grid(seed=[0])).run()


def test_segments_of_an_inertial_flow_are_the_whole():
    """What the field remembers is part of the state: the same bits, wherever the run pauses."""
    problem, weights = cases.problem_of(ib.square), cases.PARAMETERIZATIONS["Polar"]()
    law = ib.Flow(4.0, field=ib.Inertial(0.3))
    whole = cases.drive_in_segments(problem, weights, law, np.linspace(0, 4, 3), np.inf)
    parts = cases.drive_in_segments(problem, weights, law, np.linspace(0, 4, 3), 0.6)
    for one, other in zip(cases.leaves(whole), cases.leaves(parts), strict=True):
        np.testing.assert_array_equal(one, other)


# -- a field of one's own -----------------------------------------------------------------------------------------


class Weights(NamedTuple):
    a: jax.Array
    b: jax.Array


class Module(eqx.Module):
    a: jax.Array
    b: jax.Array


BUILD = {"NamedTuple": Weights, "module": Module, "dict": lambda a, b: {"a": a, "b": b}}


class Pair(ib.AbstractParameterization):
    """x = a + b"""

    kind: str = eqx.field(static=True)

    def init(self, problem, key):
        return BUILD[self.kind](jnp.zeros(problem.dimension), jnp.ones(problem.dimension))

    def __call__(self, theta):
        return sum(jax.tree.leaves(theta))

    def labels(self, theta):
        return BUILD[self.kind]("first", "second")

    def requirements(self):
        return {}


class Pulled(ib.AbstractField):
    """-D grad f - t theta"""

    pull: float

    def __call__(self, objective, t, theta, memory):
        _, gradient = objective.value_and_gradient(theta)
        return jax.tree.map(lambda d, w: -d - self.pull * t * w, gradient, theta)


@pytest.mark.slow
@pytest.mark.parametrize("kind", BUILD)
def test_a_field_of_ones_own(kind):
    """Where the data see the first coordinate alone, the others have theta' = -pull t theta: x(2) = x_0 exp(-2 pull)."""

    def cell(*, pull):
        problem = ib.linear.fixed(np.array([[1.0, 0.0, 0.0]]), np.ones(1) * 3)(0)
        return ib.Run(problem, Pair(kind), ib.Flow(2.0, field=Pulled(pull), rates={"first": 2.0}))

    study = ib.Study(cell=cell, grids=ib.grid(pull=[0.5, 1.5]), observe={"x": ib.predictor()})
    assert [b.program.traced.dynamics_name for b in study.plan().batches] == ["Pulled flow (Tsit5)"]
    ds = study.run(width=2)
    for pull in (0.5, 1.5):
        np.testing.assert_allclose(ds.x.sel(pull=pull).isel(record=-1)[1:], np.exp(-2 * pull), rtol=1e-8)


class Sums(ib.AbstractField):
    each: bool = eqx.field(static=True)

    def __call__(self, objective, t, theta, memory):
        return jax.tree.map(jnp.sum, theta) if self.each else sum(jax.tree.leaves(theta))


def test_what_is_no_field_is_refused_in_one_line():
    """One number for a block of weights would be broadcast to all of them."""
    for each, said in ((False, "that is no tree like the weights"), (True, r"of shape \(\) for weights of shape")):

        def cell(*, key, each=each):
            return ib.Run(ib.linear.gaussian(3, 7)(key), ib.Polar(0.5), ib.Flow(1.0, field=Sums(each)))

        with pytest.raises(Mistake, match=f"field: Sums gives a velocity {said}"):
            ib.Study(cell=cell, grids=ib.grid(seed=[0])).run()
    for make in (cases.FIELDS["UnitSpeed"], cases.FIELDS["Inertial"]):
        with pytest.raises(NotAvailable, match="flow"):
            law_of(ib.Flow(1.0, field=make()))
