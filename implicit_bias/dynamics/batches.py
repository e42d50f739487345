r"""Mini-batches: at each step, some examples, and an unbiased estimate of the gradient,

    (m / size) sum_{j = 1..size} grad l_{i_j}(theta),        i_j uniform on the m examples,

drawn with replacement; or without, in epochs: a permutation of the examples is cut into batches, what is left over waits
for the next one. (The permutation is drawn again at each step, a sort of m numbers, so that a run can pause anywhere.)

The draw of step k is `fold_in` of k into the stream `batch` of the cell's key. It depends on the seed and on k alone:
every scale and law of a seed meets the same batches, and a run that pauses meets the ones it would have met.

Label noise is keyed alike, from the stream `label noise`: at step k the targets are y + sigma xi_k, xi_k standard normal,
for all examples, or for those of a batch. `label_noise` stands where a batch does, `Descent(batch=...)`.

>>> import implicit_bias as ib
>>> minibatch(2, 0).draw(10, 5).shape, ib.Descent(0.1, batch=minibatch(2, 0)).name
((2,), 'gradient descent on batches of 2')
>>> label_noise(0.1, 0).draw((3,), 5).shape, label_noise(0.1, 0, batch=minibatch(2, 0)).name
((3,), 'batches of 2, noisy targets')
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
from jaxtyping import Array, Float, Int, Key, PyTree, UInt32

from .._errors import Mistake
from .._keys import SeedKey, stream
from .._types import ScalarLike, Theta


class Minibatch(eqx.Module):
    size: int = eqx.field(static=True)
    replace: bool = eqx.field(static=True)
    key: UInt32[Array, " words"]
    """The key's own words: a sweep hands plain numbers from program to program."""

    @property
    def name(self) -> str:
        return f"batches of {self.size}" if self.replace else f"epochs in batches of {self.size}"

    def draw(self, examples: int, count: Int[Array, ""] | int) -> Int[Array, " size"]:
        if self.size > examples:
            raise Mistake("size", f"of a batch is {self.size}, and there are {examples} examples", "give a smaller batch")
        key = jax.random.wrap_key_data(self.key)
        if self.replace:
            return jax.random.randint(jax.random.fold_in(key, count), (self.size,), 0, examples)
        batches = examples // self.size
        epoch, place = count // batches, count % batches
        order = jax.random.permutation(jax.random.fold_in(key, epoch), examples)
        return jax.lax.dynamic_slice_in_dim(order, place * self.size, self.size)

    def gradient(self, objective: eqx.Module, theta: Theta, count: Int[Array, ""]) -> PyTree:
        """What `objective.value_and_gradient` gives for all examples, estimated from those of step `count`."""
        problem = objective.problem
        drawn = dataclasses.replace(objective, problem=problem.subset(self.draw(problem.examples, count)), penalty=None)
        _, gradient = drawn.value_and_gradient(theta)
        return objective.penalised(theta, jax.tree.map(lambda d: problem.examples / self.size * d, gradient))


def minibatch(size: int, key: SeedKey | Key[Array, ""] | int, *, replace: bool = True) -> Minibatch:
    """Batches of `size` examples; `key` is what the cell received. `replace=False`: each example once an epoch."""
    if not isinstance(size, int) or size < 1:
        raise Mistake("size", f"of a batch must be a whole number of at least 1, got {size}", "give 1 for plain SGD")
    return Minibatch(size, replace, jax.random.key_data(stream(key, "batch")))


class LabelNoise(eqx.Module):
    sigma: ScalarLike
    key: UInt32[Array, " words"]
    batch: Minibatch | None

    @property
    def name(self) -> str:
        return "noisy targets" if self.batch is None else f"{self.batch.name}, noisy targets"

    def draw(self, shape: tuple[int, ...], count: Int[Array, ""] | int) -> Float[Array, "*targets"]:
        """xi of step `count`, for targets of that shape."""
        return jax.random.normal(jax.random.fold_in(jax.random.wrap_key_data(self.key), count), shape)

    def gradient(self, objective: eqx.Module, theta: Theta, count: Int[Array, ""]) -> PyTree:
        problem = objective.problem.relabelled(lambda y: y + self.sigma * self.draw(y.shape, count))
        noisy = dataclasses.replace(objective, problem=problem)
        return noisy.value_and_gradient(theta)[1] if self.batch is None else self.batch.gradient(noisy, theta, count)


def label_noise(sigma: ScalarLike, key: SeedKey | Key[Array, ""] | int, *, batch: Minibatch | None = None) -> LabelNoise:
    """Targets y + sigma xi, with a fresh standard normal xi at each step; `key` is what the cell received.

    Losses and stop rules go on seeing y. With a `batch`, its examples have noisy targets. `sigma` may be an axis.
    """
    return LabelNoise(sigma, jax.random.key_data(stream(key, "label noise")), batch)
