"""Pure noise in the place of a gradient, orthogonal to the weights or isotropic; and when it is looked at."""

from typing import ClassVar

import jax
import jax.numpy as jnp

import implicit_bias as ib


class Perpendicular(ib.AbstractLaw):
    """sqrt(G) / |w| times a unit vector, uniform among those orthogonal to w; no gradient is asked for."""

    strength: float
    """G"""
    name: ClassVar[str] = "noise orthogonal to the weights"

    def init(self, theta):
        return None

    def step(self, gradient_at, theta, memory, key):
        w = theta.x
        u = jax.random.normal(key, w.shape)
        u = u - jnp.sum(u * w) / jnp.sum(w * w) * w
        return theta._replace(x=jnp.sqrt(self.strength / jnp.sum(u * u) / jnp.sum(w * w)) * u), memory


class Isotropic(ib.AbstractLaw):
    """N(0, 1) in each entry; no gradient is asked for."""

    name: ClassVar[str] = "isotropic noise"

    def init(self, theta):
        return None

    def step(self, gradient_at, theta, memory, key):
        return theta._replace(x=jax.random.normal(key, theta.x.shape)), memory


def late(before):
    """of the second half of the run"""
    return 2 * before.steps >= before.dynamics.max_steps
