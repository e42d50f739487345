"""A loss that is written down: its value, its gradient along a run, its numbers as axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from tests.contract import contract, in_both_precisions


def valley(point, kappa, top):
    x, y = point
    return y * x**2 / 2 + kappa * (y - top) ** 2 / 2


@in_both_precisions
def test_the_loss_is_the_function():
    def everything(v):
        kappa, point = v
        problem = ib.toy(valley, 2, kappa=kappa, top=3.0)
        return problem.loss(point), jax.grad(problem.loss)(point)

    contract(everything, [(jnp.asarray(k), jnp.asarray([0.5, y])) for k, y in ((0.3, 2.0), (1.0, 1.0), (0.3, 0.5))])


def test_numbers_are_axes_and_steps_are_the_map():
    def cell(*, kappa, key):
        start = jnp.array([0.3, 2.0])
        law = ib.Descent(0.1, max_steps=5)
        return ib.Run(ib.toy(valley, 2, kappa=kappa, top=3.0), ib.Euclidean(jnp.linalg.norm(start), start), law)

    study = ib.Study(cell=cell, grids=ib.grid(kappa=[0.2, 0.7], seed=[0]), observe={"x": ib.predictor()})
    for kappa, found in zip((0.2, 0.7), study.run().x.isel(record=-1, seed=0).values):
        x, y = 0.3, 2.0
        for _ in range(5):
            x, y = (1 - 0.1 * y) * x, y - 0.1 * (x**2 / 2 + kappa * (y - 3.0))
        np.testing.assert_allclose(found, [x, y], rtol=1e-13)


def test_what_it_refuses():
    with pytest.raises(ib.Mistake, match="size"):
        ib.toy(valley, 0)
    (ok,) = ib.toy(valley, 2, kappa=jnp.inf).requirements().values()
    assert not ok
