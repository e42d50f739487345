"""How many runs a block holds: what a step costs decides, and a network's lane stands alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import implicit_bias as ib
from implicit_bias._keys import stream
from implicit_bias.parameterizations.base import AbstractParameterization
from implicit_bias.problems.base import AbstractProblem
from implicit_bias.sweep.ask.plan import ROOM
from implicit_bias.sweep.program.cost import cost_of, lanes_of

EXAMPLES, INPUTS, HIDDEN, STEPS, STEP = 120, 10, 64, 40, 0.1


class Weights(NamedTuple):
    first: Array
    second: Array


class Regression(AbstractProblem):
    targets: Array
    dimension = EXAMPLES

    def loss(self, pred):
        return jnp.sum((pred - self.targets) ** 2) / (2 * EXAMPLES)

    def requirements(self):
        return {}


class Net(AbstractParameterization):
    inputs: Array
    scale: Array

    def init(self, problem, key):
        one, two = jax.random.split(stream(key, "weights"))
        first = jax.random.normal(one, (INPUTS, HIDDEN)) / np.sqrt(INPUTS)
        return Weights(self.scale * first, self.scale * jax.random.normal(two, (HIDDEN,)) / np.sqrt(HIDDEN))

    def __call__(self, theta):
        return jnp.tanh(self.inputs @ theta.first) @ theta.second

    def requirements(self):
        return {}


X = np.cos(np.arange(EXAMPLES * INPUTS)).reshape(EXAMPLES, INPUTS)
Y = np.sin(3.0 * X[:, 0])


def cell(*, scale, key):
    net = Net(jnp.asarray(X), scale)
    return ib.Run(Regression(jnp.asarray(Y)), net, ib.Descent(STEP, max_steps=STEPS))


STUDY = ib.Study(cell=cell, grids=ib.grid(seed=[0], scale=[0.5, 1.0, 1.5, 2.0]), records=ib.log_records(3))


def by_hand(thetas):
    """jit(lax.scan) of full-batch gradient descent, four networks at once."""

    def loss(theta):
        return jnp.sum((jnp.tanh(X @ theta.first) @ theta.second - Y) ** 2) / (2 * EXAMPLES)

    def step(theta, _):
        return jax.tree.map(lambda w, g: w - STEP * g, theta, jax.grad(loss)(theta)), None

    @jax.jit
    @jax.vmap
    def train(theta):
        return loss(jax.lax.scan(step, theta, length=STEPS)[0])

    return train(thetas)


@pytest.mark.slow
def test_a_networks_lane_is_a_block_of_its_own_and_trains_as_by_hand():
    """A step of 240,000 operations: 64 lanes, of which 60 fill up the block, took 13 times as long."""
    (batch,) = STUDY.plan().batches
    assert batch.program.traced.step.operations > 2e5
    assert (batch.program.layout.width, batch.tile_runs, len([*batch.tiles()])) == (1, 1, 4)
    problem = Regression(jnp.asarray(Y))
    start = [Net(jnp.asarray(X), jnp.asarray(s)).init(problem, ib.SeedKey(jnp.int64(0))) for s in (0.5, 1.0, 1.5, 2.0)]
    expected = by_hand(jax.tree.map(lambda *leaves: jnp.stack(leaves), *start))
    found = STUDY.run().loss.isel(record=-1, seed=0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_layer_on_a_handful_of_inputs_stands_alone_too():
    """5 inputs, 64 units, one output, 40 examples: among 64 lanes 20 seeds of it took 3 times as long."""

    def loss(weights, x, y):
        return jnp.mean((jnp.tanh(x @ weights[0]) @ weights[1] - y) ** 2)

    gradient = jax.make_jaxpr(jax.grad(loss))((jnp.ones((5, 64)), jnp.ones(64)), jnp.ones((40, 5)), jnp.ones(40))
    assert lanes_of(cost_of(gradient.jaxpr), 64, ROOM["cpu"]) == 1


@pytest.mark.slow
def test_lanes_of_a_few_hundred_numbers_fill_a_block():
    from tests.sweep.laboratory import study

    for batch in study().plan().batches:
        assert batch.program.layout.width == 64 and batch.tile_runs == 1024


@pytest.mark.slow
def test_the_width_that_a_user_asks_for_is_taken():
    (batch,) = STUDY.plan(width=2).batches
    assert batch.program.layout.width == 2
