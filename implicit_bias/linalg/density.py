r"""The density of a spectrum, by stochastic Lanczos quadrature, with what is known of its error.

A random probe v has a spectral measure mu_v, whose mean over probes is the density of the eigenvalues,

    mu_v = sum_i <u_i, v>^2 / |v|^2  delta(lambda_i),

and k steps of Lanczos give the Gauss quadrature of it: k nodes and weights, exact for polynomials of degree 2k - 1.

Moments of the density are means over probes, and their standard errors cover them. The *distribution function* is not:
where eigenvalues lie closer than Lanczos resolves, as most of a network's do near 0, quadrature has a bias that all probes
share. What is certain is the inequality of Chebyshev, Markov and Stieltjes,

    sum_{j < i} w_j  <=  mu_v(-inf, theta_i)  <=  mu_v(-inf, theta_i]  <=  sum_{j <= i} w_j,

so `distribution` returns the mean of these brackets over probes, and beside it the probes' own standard error.
matfree has the quadrature of a function (`monte_carlo_funm_sym`); it returns neither nodes nor weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from .krylov import tridiagonal
from .lapack import one_after_another
from .products import Matvec


class Bracket(NamedTuple):
    lower: Float[Array, " x"]
    upper: Float[Array, " x"]
    error: Float[Array, " x"]
    """The standard error of either end over the probes, the larger of the two."""


class Density(NamedTuple):
    """A quadrature for each probe; weights of one sum to 1."""

    nodes: Float[Array, "probes k"]
    weights: Float[Array, "probes k"]

    def moment(self, power: int) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """tr A^power / n and its standard error, exact but for the probes up to power 2k - 1."""
        return _mean(jnp.sum(self.weights * self.nodes**power, axis=1))

    def distribution(self, x: Float[ArrayLike, " x"]) -> Bracket:
        """The share of the eigenvalues that are at most x."""
        x = jnp.asarray(x)

        def ends(nodes: Array, weights: Array) -> tuple[Array, Array]:
            cumulated = jnp.concatenate([jnp.zeros(1, weights.dtype), jnp.cumsum(weights)])
            below = jnp.searchsorted(nodes, x, side="right")  # nodes at most x
            lower = cumulated[jnp.maximum(below - 1, 0)]
            upper = cumulated[jnp.minimum(below + 1, nodes.size)]
            return lower, upper

        (lower, low_error), (upper, up_error) = (_mean(end) for end in jax.vmap(ends)(self.nodes, self.weights))
        return Bracket(lower, upper, jnp.maximum(low_error, up_error))

    def smoothed(self, x: Float[ArrayLike, " x"], width: float) -> tuple[Float[Array, " x"], Float[Array, " x"]]:
        """The density convolved with a Gaussian of that standard deviation, and the standard error over probes."""
        x = jnp.asarray(x)

        def curve(nodes: Array, weights: Array) -> Array:
            far = (x[:, None] - nodes[None, :]) / width
            return jnp.exp(-(far**2) / 2) @ weights / (width * math.sqrt(2 * math.pi))

        return _mean(jax.vmap(curve)(self.nodes, self.weights))


def _mean(of_probes: Array) -> tuple[Array, Array]:
    count = of_probes.shape[0]
    spread = jnp.std(of_probes, axis=0, ddof=1) if count > 1 else jnp.full(of_probes.shape[1:], jnp.nan)
    return jnp.mean(of_probes, axis=0), spread / jnp.sqrt(count)


def density(matvec: Matvec, like: PyTree, key: Key[Array, ""], *, steps: int = 40, probes: int = 10) -> Density:
    """Nodes and weights for each of some random probes, from `steps` products each.

    >>> found = density(lambda v: jnp.array([1.0, 2.0, 3.0]) * v, jnp.zeros(3), jax.random.key(0))
    >>> found.nodes.shape, found.nodes[0].round(6).tolist()
    ((10, 3), [1.0, 2.0, 3.0])
    """
    one_after_another()
    flat, unravel = ravel_pytree(like)

    def quadrature(key: Key[Array, ""]) -> tuple[Array, Array]:
        vector = jax.random.normal(key, flat.shape, flat.dtype)
        nodes, vectors = jnp.linalg.eigh(tridiagonal(matvec, unravel(vector), steps).matrix)
        return nodes, vectors[0] ** 2

    return Density(*jax.lax.map(quadrature, jax.random.split(key, probes)))
