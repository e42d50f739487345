"""Curvature of any scalar function of a pytree of weights, by products with vectors. No matrix is formed.

>>> import jax.numpy as jnp
>>> from implicit_bias import linalg
>>> def loss(theta):
...     return 2.0 * theta["w"][0] ** 2 + theta["w"].prod() + 0.5 * theta["b"] ** 2
>>> theta = {"w": jnp.array([1.0, 3.0]), "b": jnp.array(0.0)}
>>> found = linalg.top(linalg.hvp(loss, theta), theta, 2)
>>> [round(float(value), 4) for value in found.values], bool(found.converged.all())
([4.2361, 1.0], True)

A *matvec* is a function v -> A v of pytrees like the weights, with A symmetric. `hvp`, `ggn` and `preconditioned` make
them, `summed` adds them up over data; `top` finds extreme eigenpairs, `density` the whole spectrum roughly, `trace` its sum.
"""

from .density import Density, density
from .krylov import Extreme, Tridiagonal, top, tridiagonal
from .products import Matvec, dense, ggn, hvp, preconditioned, summed
from .trace import trace

__all__ = [
    "Density", "Extreme", "Matvec", "Tridiagonal", "dense", "density", "ggn", "hvp", "preconditioned", "summed", "top",
    "trace", "tridiagonal",
]  # fmt: skip
