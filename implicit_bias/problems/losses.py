r"""Smooth losses of predictions z with targets y of the same shape, summed over their entries.

    square       1/2 |z - y|^2
    log_cosh     sum log cosh(z_i - y_i)
    logistic     sum log(1 + exp(-y_i z_i)),   y_i in {-1, 1}
    exponential  sum exp(-y_i z_i),            y_i in {-1, 1}

Lemma 2.5 of Wu et al. (Appendix D) holds for each: the gradient in x = sum_i l'(z_i) a_i lies in range(A^T).

>>> import jax.numpy as jnp
>>> float(square(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
2.0
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Scalar

Predictions = Float[Array, "*entries"]
Loss = Callable[[Predictions, Predictions], Scalar]


def square(predictions: Predictions, targets: Predictions) -> Scalar:
    """1/2 |z - y|^2: least squares."""
    residual = predictions - targets
    return 0.5 * jnp.sum(residual * residual)


def log_cosh(predictions: Predictions, targets: Predictions) -> Scalar:
    """sum log cosh(z_i - y_i): a square near zero, an absolute value far from it."""
    # log cosh(r) = |r| + log1p(exp(-2|r|)) - log 2, written so that it neither overflows nor has a kink at 0
    residual = predictions - targets
    return jnp.sum(jnp.logaddexp(residual, -residual) - jnp.log(2.0))


def logistic(predictions: Predictions, targets: Predictions) -> Scalar:
    """sum log(1 + exp(-y_i z_i)) for labels y_i in {-1, 1}."""
    return jnp.sum(jax.nn.softplus(-targets * predictions))


def exponential(predictions: Predictions, targets: Predictions) -> Scalar:
    """sum exp(-y_i z_i) for labels y_i in {-1, 1}."""
    return jnp.sum(jnp.exp(-targets * predictions))


SEPARABLE = (logistic, exponential)
"""The losses of labels in {-1, 1} whose infimum lies at infinity."""
