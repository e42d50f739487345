"""The contract of the members that are about matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import implicit_bias as ib
from implicit_bias._charts import Flat
from implicit_bias.dynamics.base import Moment, Objective
from implicit_bias.observables.base import applies_to, definition
from tests import cases
from tests.contract import all_in_force, close, contract, draws, in_both_precisions


@pytest.mark.slow
@in_both_precisions
def test_matrix_problems():
    """loss : R^(n1 x n2) -> R, A* and the same loss from fewer numbers, as functions of the data and the predictor."""
    problems = {name: make() for name, make in cases.MATRIX_PROBLEMS.items()}
    arrays, static = eqx.partition(problems, eqx.is_array)
    all_in_force(arrays)

    def everything(v):
        (scale, numbers), arrays = v
        each = eqx.combine(jax.tree.map(lambda x: scale * x, arrays), static)
        found = {}
        for name, problem in each.items():
            pred = jnp.outer(numbers[: problem.shape[0]], numbers[-problem.shape[1] :])
            found[name] = problem.loss(pred), problem.backprojection(), problem.truth
        return found

    contract(everything, [(v, arrays) for v in draws()])
    for name, problem in problems.items():
        assert problem.dimension == problem.truth.size
        assert all(bool(flag) for flag in problem.requirements().values()), name


@pytest.mark.slow
@in_both_precisions
def test_factored_parameterizations():
    """init, G, the loss of G and its gradient, as functions of the scale."""
    problem = cases.MATRIX_PROBLEMS["gaussian, symmetric"]()

    def everything(scale):
        found = {}
        for name, make in cases.FACTORED.items():
            objective = Objective(problem, make(scale), Flat())
            theta = objective.parameterization.init(problem, cases.key())
            found[name] = theta, objective.predict(theta), *objective.value_and_gradient(theta)
        return found

    contract(everything, [scale for scale, _ in draws()])
    for make in cases.FACTORED.values():
        assert all(bool(flag) for flag in make().requirements().values())
        theta = make().init(problem, cases.key())
        assert jax.tree.structure(make().labels(theta)) == jax.tree.structure(theta)


@in_both_precisions
def test_laws_of_matrices():
    """A step, as a function of the scale, of the laws that take singular values."""
    problem = cases.MATRIX_PROBLEMS["gaussian"]()

    def everything(scale):
        objective = Objective(problem, cases.FACTORED["Asymmetric"](scale), Flat())
        found, theta = {}, objective.parameterization.init(problem, cases.key())
        for name, law in cases.MATRIX_LAWS.items():
            dynamics = ib.Descent(0.1 * scale, law=law)
            found[name] = dynamics.update(objective, theta, dynamics.begin(objective, theta), jnp.zeros((), dtype=jnp.int32))
        return found

    contract(everything, [scale for scale, _ in draws()])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Symmetric", "Asymmetric", "DeepLinear"])
def test_matrix_observables(name):
    """Snapshot -> array of starts of several sizes: compiled, in lanes and in a loop alike.

    No gradient: eigenvalues under `vmap` go one after another, by a rule that has none. An angle is of eigenvectors.
    """
    problem = cases.MATRIX_PROBLEMS["gaussian, symmetric" if name == "Symmetric" else "gaussian"]()

    def measured(scale):
        run = cases.prepared(problem, cases.FACTORED[name](scale), ib.Descent(0.1))
        first = cases.start_of(run)
        moved = jax.tree.map(lambda x: 1.1 * x, first.theta)
        snapshot = run.snapshot(Moment(moved, first.loss, first.steps, first.time))
        some = {n: m for n, m in cases.MATRIX_OBSERVABLES.items() if applies_to(m, run.theta)}
        assert ("imbalance" in some) == (name != "Symmetric") and all(definition(m) for m in some.values())
        return {n: measure(snapshot) for n, measure in some.items()}

    scales = jnp.asarray([0.1, 0.5, 2.0])
    plain = jax.tree.map(lambda *x: jnp.stack(x), *[measured(s) for s in scales])
    close(jax.jit(jax.vmap(measured))(scales), plain, of=1e4)
