"""Folds of every step: what a sum is of numbers, of arrays and of flags."""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib
from tests import cases


def test_a_sum_of_flags_is_their_count():
    """Of 5 steps the loss falls at each, the count of steps is even before 3, and t telescopes."""

    def of(before, after):
        """whether the loss falls, and whether the step has an even number"""
        return jnp.stack([after.loss < before.loss, before.steps % 2 == 0])

    def lasts(before, after):
        """t of a step"""
        return after.time - before.time

    study = ib.Study(
        cell=lambda *, key: ib.Run(cases.problem_of(ib.square), ib.Euclidean(0.5), ib.Descent(0.05, max_steps=5)),
        grids=ib.grid(seed=[0]), observe={"flags": ib.summed(of), "t": ib.summed(lasts)},
    )  # fmt: skip
    ds = study.run().isel(record=-1, seed=0)
    np.testing.assert_array_equal(ds.flags, [5, 3])
    np.testing.assert_allclose(ds.t, 0.25, rtol=1e-14)
