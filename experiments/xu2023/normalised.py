r"""The flow of (rho, V) for f = rho h(x; V), h a ReLU net of three matrices, with multipliers (Xu et al. 2023):

    rho'  = 2 [mean(r h) - lam rho],     V_k' = 2 rho [mean(r dh/dV_k) - mean(r h) V_k],     r = y - rho h,

the gradient flow of mean(r^2) + lam rho^2 on spheres |V_k| = 1 (Frobenius); of several outputs, r h is <r, h>. The degree of h in each V_k is 1, so that by
Euler <V_k, dh/dV_k> = h and d|V_k|^2/dt = 4 rho mean(r h) (1 - |V_k|^2): spheres are kept, and attract where mean(r h) > 0.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

import implicit_bias as ib


def square(output, target):
    """(f - y)^2"""
    return (output - target) ** 2


def _weights(width, last):
    def init(key, inputs):
        shapes = {"first": (inputs.shape[1], width), "second": (width, width), "third": (width, *last)}
        draws = {n: jax.random.normal(jax.random.fold_in(key, k), s) for k, (n, s) in enumerate(shapes.items())}
        return {"rho": jnp.ones(()), "v": draws}

    return init


def h(v, inputs):
    return jax.nn.relu(jax.nn.relu(inputs @ v["first"]) @ v["second"]) @ v["third"]


class Start(eqx.Module):
    """Matrices of norm 1, and a rho."""

    rho: Any

    def __call__(self, weights, key):
        del key
        return {"rho": jnp.asarray(self.rho, dtype=float), "v": jax.tree.map(lambda w: w / norm(w), weights["v"])}


def norm(w):
    return jnp.sqrt(jnp.sum(w * w))


def net(width, rho, outputs=None):
    """Of one number, or of a row of `outputs`."""
    last = (outputs,) if outputs else ()
    return ib.network((_weights(width, last), lambda weights, x: weights["rho"] * h(weights["v"], x)), start=[Start(rho)])


def velocity(theta, gradient, decay):
    """(rho', V'), from the gradient of mean(r^2)."""
    rho, slope = theta["rho"], gradient["rho"]  # -2 mean(r h)
    turned = jax.tree.map(lambda w, d: rho * slope * w - d, theta["v"], gradient["v"])
    return {"rho": -slope - 2 * decay * rho, "v": turned}


class RungeKutta(ib.AbstractLaw):
    """A step of the flow by the rule of order four. ReLU nets slide along kinks, where adaptive steps shrink without end."""

    step_size: Any
    decay: Any
    name: ClassVar[str] = "Runge-Kutta of the flow with multipliers"

    def init(self, theta):
        return None

    def step(self, gradient_at, theta, memory, key):
        del key

        def after(time, slope):
            return jax.tree.map(lambda w, s: w + time * s, theta, slope)

        def at(point):
            return velocity(point, gradient_at(point), self.decay)

        one = at(theta)
        two = at(after(self.step_size / 2, one))
        three = at(after(self.step_size / 2, two))
        four = at(after(self.step_size, three))
        return jax.tree.map(lambda a, b, c, d: -(a + 2 * b + 2 * c + d) / 6, one, two, three, four), memory


# -- what is read from a run -------------------------------------------------------------------------------------------


def state(snapshot):
    """rho, rho_eq, how far the spheres and the identities are left, and the variation of margins over their mean."""
    theta, problem, decay = snapshot.theta, snapshot.problem, snapshot.dynamics.law.decay
    rho, v, y = theta["rho"], theta["v"], problem.targets
    moves = velocity(theta, jax.grad(lambda at: problem.loss(snapshot.parameterization(at)))(theta), decay)
    values = h(v, problem.inputs)
    along, stiff = jnp.mean((y - rho * values) * values), decay + jnp.mean(values**2)
    equilibrium = jnp.mean(y * values) / stiff
    norms = jnp.stack([norm(w) for w in v.values()])
    radial = jnp.stack([jnp.sum(w * moves["v"][n]) for n, w in v.items()]) - 2 * rho * along * (1 - norms**2)
    left = jnp.stack([
        abs(rho * along - decay * rho**2 - rho * moves["rho"] / 2) / rho,
        abs(equilibrium - rho - moves["rho"] / (2 * stiff)) / rho, jnp.max(abs(radial)) / rho,
    ])  # fmt: skip
    margins = y * values
    return {
        "rho": rho, "equilibrium": equilibrium, "off_spheres": jnp.max(abs(norms - 1)), "left": jnp.max(left),
        "margins": jnp.std(margins) / jnp.mean(margins),
    }  # fmt: skip


def of_rank(second):
    """sigma_2 / sigma_1 and sigma_3 / sigma_1 of the second matrix."""
    return {"one": second[..., 1] / second[..., 0], "two": second[..., 2] / second[..., 0]}
