r"""Steepest descent in a norm:  theta' = theta - step d,   d = argmax over |d| <= 1 of <d, grad L>.

    signs          sign(g)              |.| the largest entry, its dual the l1 norm
    unit_gradient  g / |g|              |.| the l2 norm, its own dual
    spectral       U V^T,  g = U S V^T  |.| the largest singular value, its dual the nuclear norm
    muon           U p(S) V^T           five Newton-Schulz steps in the place of U V^T, of a running mean of g, as optax has it

A step has length 1 however small the gradient is. Of several maximisers the least is taken: 0 where an entry is 0, and no
part along singular vectors of singular values that are rounding. Of a tree the norm is the largest of its blocks', and of
`unit_gradient` that of all weights together; a block that is a vector has one singular value, its l2 norm.

>>> import jax.numpy as jnp
>>> update, _ = spectral().step(lambda theta: theta, jnp.array([[3.0, 0.0], [0.0, -4.0], [0.0, 0.0]]), None, None)
>>> update.tolist()
[[1.0, 0.0], [0.0, -1.0], [0.0, 0.0]]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree
from optax import contrib

from .._errors import Mistake
from .._types import ScalarLike, Theta
from .laws import AbstractLaw, GradientAt, Memory, Optax, promoting


class Steepest(AbstractLaw):
    """The update is a function of the gradient alone."""

    direction: Callable[[PyTree], PyTree] = eqx.field(static=True)
    word: str = eqx.field(static=True)

    @property
    def name(self) -> str:
        return self.word

    def init(self, theta: Theta) -> Memory:
        return None

    def step(
        self, gradient_at: GradientAt, theta: Theta, memory: Memory, key: Key[Array, ""] | None
    ) -> tuple[PyTree, Memory]:
        del key
        return self.direction(gradient_at(theta)), memory


def signs_of(gradient: PyTree) -> PyTree:
    return jax.tree.map(jnp.sign, gradient)


def unit_of(gradient: PyTree) -> PyTree:
    """The gradient over its l2 norm; 0 where it is 0."""
    leaves = jax.tree.leaves(gradient)
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(d)) for d in leaves]))
    some = largest > 0
    unit = jnp.where(some, largest, 1.0)  # the square of a gradient of 1e-160 is 0
    size = jnp.sqrt(jnp.where(some, sum(jnp.sum((d / unit) ** 2) for d in leaves), 1.0))
    return jax.tree.map(lambda d: d / unit / size, gradient)


def polar_factor(matrix: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """U V^T of the thin singular value decomposition, without the singular values that are rounding."""
    left, values, right = jnp.linalg.svd(matrix, full_matrices=False)
    kept = values > jnp.finfo(values.dtype).eps ** 0.75 * values[0]  # sums of gradients cancel to less than eps
    return (left * kept.astype(matrix.dtype)[None, :]) @ right


def _spectral(gradient: PyTree) -> PyTree:
    def one(block: Array) -> Array:
        if block.ndim > 2:
            raise Mistake("law", f"takes singular values of a block of shape {block.shape}", "give matrices and vectors")
        return polar_factor(block) if block.ndim == 2 else unit_of(block)

    return jax.tree.map(one, gradient)


def signs() -> Steepest:
    """Steepest descent where the largest entry is the norm: the signs of the gradient."""
    return Steepest(signs_of, "descent by signs")


def unit_gradient() -> Steepest:
    """Steepest descent in l2: the gradient over its norm."""
    # its length is taken in the weights' own coordinates: rewritten ones have another
    return Steepest(unit_of, "descent by the unit gradient")


def spectral() -> Steepest:
    """Steepest descent in the spectral norm: the orthogonal factor of the gradient's polar decomposition, exactly."""
    return Steepest(_spectral, "spectral descent")


def _as_matrices(gradient: PyTree) -> PyTree:
    """What optax asks of each block of a tree: left out, it takes a single array alone."""

    def one(block: Array) -> contrib.MuonDimensionNumbers:
        if block.ndim != 2:
            raise Mistake("law", f"takes singular values of a block of shape {block.shape}", "give matrices")
        return contrib.MuonDimensionNumbers()

    return jax.tree.map(one, gradient)


class _Muon(NamedTuple):
    iterations: int
    nesterov: bool

    def __call__(self, momentum: ScalarLike, eps: ScalarLike) -> optax.GradientTransformation:
        return promoting(
            contrib.scale_by_muon(
                ns_steps=self.iterations, beta=momentum, eps=eps, nesterov=self.nesterov, weight_dimension_numbers=_as_matrices
            )
        )


def muon(momentum: ScalarLike = 0.95, eps: ScalarLike = 1e-8, iterations: int = 5, nesterov: bool = True) -> Optax:
    """Muon as optax has it: a running mean of gradients, and a polynomial of it that is near its polar factor.

    Five Newton-Schulz steps take singular values (over the Frobenius norm, plus `eps`) to between 0.68 and 1.21, and those
    below 0.0015 to less. All weights are matrices.
    """
    return Optax(_Muon(iterations, nesterov), {"momentum": momentum, "eps": eps}, "Muon")
