r"""Several classes: matrices X in R^{K x d}, whose scores X a are to be largest in the right class,

    L(X) = sum over (i, c != y_i) of l((e_{y_i} - e_c)^T X a_i),        l exponential or logistic,

a separable problem with K - 1 margins for each example. Samplers are functions that return functions: sizes outside, the
key inside.

    gaussian(examples, columns, classes)    a = gap f_y + N(0, I),  y the class of largest f_c . N(0, I),  f orthonormal
    fixed(A, y)                             given examples and their classes

Every margin of the matrix with rows f_c is at least `gap`, its singular values are 1, and its entries at most 1.

>>> problem = gaussian(examples=8, columns=5, classes=3, gap=0.5)(0)
>>> problem.shape, problem.operator.shape, problem.margins(jnp.zeros((3, 5))).shape
((3, 5), (16, 15), (16,))
"""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._errors import Mistake
from .._keys import SeedKey, stream
from .._types import Requirements, Scalar, ScalarLike, Targets
from .base import AbstractProblem, ProblemSampler, random_frame
from .losses import SEPARABLE, Loss, exponential
from .margin import max_margin, separator
from .matrix import MatrixPred


class Multiclass(AbstractProblem):
    """`loss(X) = l(B vec(X), 1)`: a row of B for each example and each wrong class."""

    operator: Float[Array, "margins unknowns"]
    """Rows are vec((e_y - e_c) a^T); those of one example stand together."""
    target: Targets
    """1 for each row."""
    of_predictions: Loss = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    """(classes, columns)"""

    separable: ClassVar[bool] = True

    @property
    def dimension(self) -> int:
        return self.operator.shape[1]

    @property
    def examples(self) -> int:
        return self.operator.shape[0] // (self.shape[0] - 1)

    def loss(self, pred: MatrixPred) -> Scalar:
        return self.of_predictions(self.margins(pred), self.target)

    def margins(self, pred: MatrixPred) -> Targets:
        return self.operator @ pred.reshape(-1)

    def subset(self, indices: Int[Array, " batch"]) -> Multiclass:
        rows = self.operator.reshape(self.examples, -1, self.dimension)[indices].reshape(-1, self.dimension)
        return Multiclass(rows, jnp.ones_like(rows[:, 0]), self.of_predictions, self.shape)

    def requirements(self) -> Requirements:
        finite = jnp.all(jnp.isfinite(self.operator))
        return {("A", "holds a number that is not finite", "clean the data"): finite}


def _problem(inputs: Array, classes: Array, count: int, loss: Loss) -> Multiclass:
    if loss not in SEPARABLE:
        raise Mistake("loss", "is none of margins", "give exponential or logistic")
    wrong = (classes[:, None] + jnp.arange(1, count)[None, :]) % count  # [examples, K - 1]
    apart = jax.nn.one_hot(classes, count, dtype=inputs.dtype)[:, None] - jax.nn.one_hot(wrong, count, dtype=inputs.dtype)
    rows = (apart[..., None] * inputs[:, None, None, :]).reshape(-1, count * inputs.shape[1])
    return Multiclass(rows, jnp.ones_like(rows[:, 0]), loss, (count, inputs.shape[1]))


def gaussian(
    examples: int, columns: int, classes: int, *, gap: ScalarLike = 1.0, loss: Loss = exponential
) -> ProblemSampler:
    """Examples that the matrix of rows f_c separates with every margin at least `gap`."""
    if not 2 <= classes <= columns:
        raise Mistake("classes", f"must be from 2 to {columns}, got {classes}", "each has a direction of its own")

    def sample(key: SeedKey | int) -> Multiclass:
        means = random_frame(stream(key, "classes"), columns, classes).T
        inputs = jax.random.normal(stream(key, "operator"), (examples, columns))
        labels = jnp.argmax(inputs @ means.T, axis=1)
        return _problem(inputs + gap * means[labels], labels, classes, loss)

    return sample


def fixed(inputs: Any, classes: Any, *, loss: Loss = exponential) -> ProblemSampler:
    """Given examples, and for each its class, 0, 1, ...: the key is not used.

    >>> fixed([[1.0, 0.0], [0.0, 3.0]], [0, 1])(0).margins(jnp.eye(2)).tolist()
    [1.0, 3.0]
    """
    inputs, labels = np.asarray(inputs, dtype=float), np.asarray(classes)
    if inputs.ndim != 2 or labels.shape != inputs.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise Mistake("A, y", f"have shapes {inputs.shape} and {labels.shape}", "give rows, and a class 0, 1, ... of each")

    def sample(key: SeedKey | int) -> Multiclass:
        del key
        return _problem(jnp.asarray(inputs, dtype=float), jnp.asarray(labels), max(int(labels.max()) + 1, 2), loss)

    return sample


@max_margin.register
def _(problem: Multiclass) -> MatrixPred:
    return separator(problem).x.reshape(problem.shape)
