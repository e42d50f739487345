r"""Update rules: an optax transformation of the gradient, and what the engine may assume of it.

The step of descent is  theta' = retract(theta - step * law(gradient)).  A law is *equivariant* where rotated
gradients give rotated updates: gradient descent, momentum, clipping by global norm, coupled decay, and chains of
them; rules that act on each coordinate alone (Adam) are not. A law is *relative* where it has no memory and no
scale, so that its update of the orthogonal amplitude is a multiple of the amplitude and its logarithm is exact.
Equal laws are one object, so that a program compiled for one serves the other.

>>> adam().equivariant, heavy_ball(0.9).equivariant, heavy_ball(0.9).relative
(False, True, False)
"""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import optax

from .._errors import Mistake
from ..parameterizations.polar import PolarWeights


class Law(eqx.Module):
    transformation: optax.GradientTransformation = eqx.field(static=True)
    name: str = eqx.field(static=True)
    equivariant: bool = eqx.field(static=True, default=False)
    relative: bool = eqx.field(static=True, default=False)


@functools.cache
def gradient_descent() -> Law:
    """The gradient itself."""
    return Law(optax.identity(), "gradient descent", equivariant=True, relative=True)


@functools.cache
def heavy_ball(momentum: float, nesterov: bool = False) -> Law:
    """m' = momentum m + gradient; theta' = theta - step m'."""
    name = f"{'Nesterov' if nesterov else 'heavy ball'} {momentum:g}"
    return Law(optax.trace(momentum, nesterov), name, equivariant=True)


@functools.cache
def clipped(max_norm: float) -> Law:
    """The gradient, shortened to `max_norm` where it is longer."""
    return Law(optax.clip_by_global_norm(max_norm), f"clipped at {max_norm:g}", equivariant=True)


@functools.cache
def decayed(rate: float) -> Law:
    """Coupled decay: gradient + rate theta, the gradient of loss + rate |theta|^2 / 2."""
    return Law(optax.add_decayed_weights(rate), f"decay {rate:g}", equivariant=True, relative=True)


@functools.cache
def adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Law:
    """Each coordinate over a running root mean square of its own gradient: not equivariant under rotations."""
    rule = optax.scale_by_adam(b1, b2, eps)

    def update(gradient, state, weights):
        with jax.numpy_dtype_promotion("standard"):  # optax writes b ** count with a whole count
            return rule.update(gradient, state, weights)

    return Law(optax.GradientTransformation(rule.init, update), "Adam")


@functools.cache
def over_size_squared() -> Law:
    """The gradient in w over g^2: rPGD with the step 1/g_t^2, which makes every step of w a projected Newton step."""

    def update(gradient, state, weights):
        if not isinstance(weights, PolarWeights):
            raise Mistake("law", f"divides by g^2, and {type(weights).__name__} has no g", "use Polar or Sphere")
        inverse = 1 / (weights.g * weights.g)
        return PolarWeights(gradient.g, jax.tree.map(lambda d: inverse * d, gradient.w)), state

    rule = optax.GradientTransformation(lambda weights: optax.EmptyState(), update)
    return Law(rule, "gradient descent over g^2", equivariant=True, relative=True)


def chain(*laws: Law) -> Law:
    """One law after another."""
    return Law(
        optax.chain(*(law.transformation for law in laws)),
        " then ".join(law.name for law in laws),
        equivariant=all(law.equivariant for law in laws),
        relative=all(law.relative for law in laws),
    )


def from_optax(transformation: optax.GradientTransformation, name: str) -> Law:
    """Any optax rule that ascends (`scale_by_...`); runs under it stay in the original coordinates."""
    return Law(transformation, name)
