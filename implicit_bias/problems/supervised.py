r"""Supervised problems: the mean over examples of a loss of a function at an input and its target,

    L(f) = (1/n) sum_i l(f(x_i), y_i).

The predictor is a function: a pytree that can be called on a batch of inputs, such as `ib.network` makes.

    square          1/2 |z - y|^2                   y a number, a vector, or a one-hot class
    logistic        log(1 + exp(-y z))              y in {-1, 1}, z a number
    cross_entropy   log sum_c exp(z_c) - z_y        y a class 0, 1, ..., z a number for each class

`log_cosh` and `exponential` of `losses` as well, or any function of one output and one target. A batch of them is an unbiased sample: a mean over some examples.

>>> import jax.numpy as jnp
>>> problem = supervised(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 3.0]), "square")
>>> float(problem.loss(lambda x: x[:, 0])), problem.examples
(0.25, 2)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int, Num

from .._errors import Mistake
from .._types import Flag, Pred, Requirements, Scalar
from .base import AbstractProblem
from .losses import SEPARABLE, exponential, log_cosh, logistic, square

PerExample = Callable[[Array, Array], Scalar]


LOSSES: dict[str, PerExample] = {
    "square": square, "log_cosh": log_cosh, "logistic": logistic, "exponential": exponential,
    "cross_entropy": optax.softmax_cross_entropy_with_integer_labels,
}  # fmt: skip


class Supervised(AbstractProblem):
    inputs: Float[Array, "examples ..."]
    targets: Num[Array, "examples ..."]
    per_example: PerExample = eqx.field(static=True)
    held_out: tuple[Float[Array, "others ..."], Num[Array, "others ..."]] | None = None
    """Inputs and targets that no gradient sees."""
    classes: int | None = eqx.field(static=True, default=None)
    """Of cross-entropy, whose targets do not show it."""
    total: int = eqx.field(static=True, kw_only=True)
    """Of how many examples the loss is a mean: a batch has fewer."""

    @property
    def dimension(self) -> int:
        """The numbers that the loss sees: outputs at all inputs."""
        return self.examples * (self.outputs or 1)

    @property
    def outputs(self) -> int | None:
        """Numbers that the function must return for an input; None for one number without an axis."""
        if self.classes is not None:
            return self.classes
        return self.targets.shape[1] if self.targets.ndim == 2 else None

    @property
    def examples(self) -> int:
        return self.inputs.shape[0]

    def losses(self, pred: Pred) -> Float[Array, " examples"]:
        return _at_each(pred, self.inputs, self.targets, self.per_example, self.outputs)

    def loss(self, pred: Pred) -> Scalar:
        """Of a batch: its share of the mean, so that (examples / size) times it is an unbiased estimate."""
        return jnp.sum(self.losses(pred)) / self.total

    def loss_held_out(self, pred: Pred) -> Scalar:
        """The mean over the examples that are held out."""
        if self.held_out is None:
            raise Mistake("held_out", "is asked for in a problem that holds nothing out", "give supervised(held_out=...)")
        return jnp.mean(_at_each(pred, *self.held_out, self.per_example, self.outputs))

    def subset(self, indices: Int[Array, " batch"]) -> Supervised:
        some = (self.inputs[indices], self.targets[indices])
        return Supervised(*some, self.per_example, None, self.classes, total=self.total)

    def relabelled(self, change: Callable[[Array], Array]) -> Supervised:
        if self.classes is not None or self.per_example in SEPARABLE:
            return super().relabelled(change)
        return dataclasses.replace(self, targets=change(self.targets))

    def margins(self, pred: Pred) -> Float[Array, " examples"]:
        """y z for labels -1 and 1, and else the output of the right class less the largest other."""
        z = pred(self.inputs)
        if z.ndim == 1:
            return self.targets * z
        right = jax.nn.one_hot(self.targets, z.shape[1]) if self.classes is not None else self.targets
        return jnp.sum(right * z, axis=1) - jnp.max(jnp.where(right > 0, -jnp.inf, z), axis=1)

    def requirements(self) -> Requirements:
        asked: Requirements = {
            ("inputs", "are not finite", "give real numbers"): jnp.all(jnp.isfinite(self.inputs)),
            ("targets", "are not finite", "give real numbers"): jnp.all(jnp.isfinite(self.targets)),
        }
        if self.per_example in SEPARABLE:
            asked["targets", "of this loss must be -1 or 1", "write 2 * y - 1 for y in {0, 1}"] = jnp.all(
                jnp.abs(self.targets) == 1
            )
        if self.classes is not None:
            asked["targets", f"must be classes from 0 to {self.classes - 1}", "number the classes from 0"] = jnp.all(
                (self.targets >= 0) & (self.targets < self.classes)
            )
        if self.held_out is not None:
            asked["held_out", "has an input that is also trained on", "take it out of one of the two"] = _apart(
                self.inputs, self.held_out[0]
            )
        return asked


def _at_each(pred: Pred, inputs: Array, targets: Array, per_example: PerExample, outputs: int | None) -> Array:
    z = pred(inputs)
    expected = (inputs.shape[0],) if outputs is None else (inputs.shape[0], outputs)
    if z.shape != expected:
        what = f"returns shape {z.shape} for {inputs.shape[0]} inputs, and the targets ask for {expected}"
        remedy = "return z[:, 0] for numbers" if z.ndim == 2 and len(expected) == 1 else "give its last layer that size"
        raise Mistake("network", what, remedy)
    return jax.vmap(per_example)(z, targets)


def _apart(inputs: Array, others: Array) -> Flag:
    """Whether no input is among the others."""
    flat = inputs.reshape(inputs.shape[0], -1)
    met = jax.lax.map(lambda x: jnp.any(jnp.all(flat == x[None, :], axis=1)), others.reshape(others.shape[0], -1))
    return ~jnp.any(met)


def supervised(
    inputs: Float[ArrayLike, "..."],
    targets: Num[ArrayLike, "..."],
    loss: str | PerExample = "square",
    *,
    held_out: tuple[ArrayLike, ArrayLike] | None = None,
    classes: int | None = None,
) -> Supervised:
    """Fit `targets` at `inputs`: the first axis of each counts the examples. `classes` is needed by cross-entropy alone."""
    inputs, targets = jnp.asarray(inputs), jnp.asarray(targets)
    inputs = inputs.astype(float)
    if isinstance(loss, str) and loss not in LOSSES:
        raise Mistake("loss", f"there is no loss {loss!r}", f"known: {', '.join(LOSSES)}; or give a function")
    if inputs.shape[:1] != targets.shape[:1] or inputs.shape[0] == 0:
        raise Mistake("targets", f"have shape {targets.shape} for inputs {inputs.shape}", "give one for each input")
    if loss == "cross_entropy":
        if not jnp.issubdtype(targets.dtype, jnp.integer) or targets.ndim != 1:
            raise Mistake("targets", "of cross-entropy must be whole numbers, one for each input", "give classes 0, 1, ...")
        if not isinstance(classes, int) or classes < 2:
            raise Mistake("classes", f"must be a whole number from 2, got {classes}", "say how many classes there are")
    elif classes is not None:
        raise Mistake("classes", "are asked by cross-entropy alone", "leave classes out")
    else:
        targets = targets.astype(float)
    if held_out is not None:
        others, of_others = jnp.asarray(held_out[0], dtype=float), jnp.asarray(held_out[1], dtype=targets.dtype)
        if others.shape[1:] != inputs.shape[1:] or of_others.shape != (others.shape[0], *targets.shape[1:]):
            what = f"has shapes {others.shape}, {of_others.shape}"
            raise Mistake("held_out", what, "give inputs and targets like those trained on")
        held_out = (others, of_others)
    per_example = LOSSES[loss] if isinstance(loss, str) else loss
    return Supervised(inputs, targets, per_example, held_out, classes, total=inputs.shape[0])
