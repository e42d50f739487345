r"""What the studies of this paper share: f(x) = sum_k v_k relu(<w_k, x> + b_k) + beta, on n examples of the unit ball.

With L = |f - y|^2 / (2 n), A_k the examples at which neuron k is active (<w_k, x> + b_k > 0, strictly), P_k their share,
u_k = w_k / |w_k| and t_k = -b_k / |w_k|,

    g~(u, t) = P^2 E[<u, x> - t | A] sqrt(1 + |E[x | A]|^2),   g(u, t) = min(g~(u, t), g~(-u, -t)),
    |v_k| |w_k| g~(u_k, t_k) = |v_k| mean_i relu(<w_k, x_i> + b_k) |mean_i 1[i in A_k] (x_i, 1)|.

The last two factors, with |v_k| in either, are the norms of the two blocks of the mean gradient m = mean_i grad f(x_i),
whose part in beta is 1. So |m|^2 >= 1 + 2 S, S = sum_k |v_k| |w_k| g~_k. The Hessian H along m / |m| is at least |m|^2, less
mean_i |r_i| |f''(x_i)|, and |f''(x)| <= sqrt(1 + |x|^2), because f'' has a block of that norm for each active neuron:

    S <= lambda_max(H) / 2 - 1/2 + sqrt(1 + R^2) sqrt(2 L) / 2,      R = max_i |x_i|.

The seminorm |f|_Vg is at most S with g in the place of g~. At a stable minimum lambda_max <= 2/eta.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib


def ball(key, count, dimension, room=None):
    """`count` points, uniform in the unit ball; with `room`, in that of the first coordinates of so many."""
    normal = jax.random.normal(ib.stream(key, "direction"), (count, room or dimension))
    if room is not None:
        normal = jnp.where(jnp.arange(float(room))[None, :] < dimension, normal, 0.0)
    radius = jax.random.uniform(ib.stream(key, "radius"), (count, 1)) ** (1 / dimension)
    return normal * jnp.broadcast_to(radius / jnp.linalg.norm(normal, axis=1, keepdims=True), normal.shape)


def noisy_line(key, count, dimension, noise):
    """x in the ball and y = x_1 + noise N(0, 1)."""
    x = ball(ib.stream(key, "inputs"), count, dimension)
    return x, x[:, 0] + noise * jax.random.normal(ib.stream(key, "noise"), (count,))


class First(eqx.Module):
    """First weights that are given."""

    kernel: jax.Array
    bias: jax.Array
    outer: jax.Array

    def __call__(self, weights, key):
        del weights, key
        return {
            "layer1": {"kernel": self.kernel, "bias": self.bias},
            "layer2": {"kernel": self.outer, "bias": jnp.zeros(())},
        }


def two_layer(width, start):
    return ib.mlp((width,), jax.nn.relu, bias=True, start=(start,))


# -- what is read from a network ---------------------------------------------------------------------------------------


def parts(snapshot):
    """|v_k|, |w_k|, and <w_k, x_i> + b_k."""
    first, outer = snapshot.theta["layer1"], snapshot.theta["layer2"]["kernel"]
    z = snapshot.problem.inputs @ first["kernel"]
    return jnp.abs(outer), jnp.linalg.norm(first["kernel"], axis=0), z + jnp.broadcast_to(first["bias"], z.shape)


def _block(z, inputs):
    """mean relu(z) |mean 1[z > 0] (x, 1)|, neuron by neuron."""
    active = (z > 0).astype(z.dtype)
    mean = active.T @ inputs / len(inputs)
    return jnp.mean(jax.nn.relu(z), 0) * jnp.sqrt(jnp.mean(active, 0) ** 2 + jnp.sum(mean**2, 1))


def norms(snapshot):
    """sum |v| |w|, with g~ and with g as weights; R, the largest |x|"""
    (outer, inner, z), inputs = parts(snapshot), snapshot.problem.inputs
    forward, backward = _block(z, inputs), _block(-z, inputs)
    return {
        "path": jnp.sum(outer * inner),
        "directed": jnp.sum(outer * forward),
        "weighted": jnp.sum(outer * jnp.minimum(forward, backward)),
        "radius": jnp.max(jnp.linalg.norm(inputs, axis=1)),
    }


def number(ds, name):
    """A setting of the program's shape, as a number: results keep it as a word."""
    return ds[name].astype(float)


# -- the inequality ----------------------------------------------------------------------------------------------------

SOURCE = "Liang et al. 2025"
ENDS = (ib.Status.CAPPED, ib.Status.STALLED)


def curvature(ds):
    """lambda_max of the loss's Hessian: a decay adds its rate."""
    return ds["sharpness.value"] - (ds.decay if "decay" in ds else 0)


def bound(ds, of_residual=None):
    """lambda_max / 2 - 1/2 + sqrt(1 + R^2) sqrt(2 L) / 2"""
    factor = np.sqrt(1 + ds["norms.radius"] ** 2) / 2 if of_residual is None else of_residual(ds["norms.radius"])
    return curvature(ds) / 2 - 1 / 2 + factor * np.sqrt(2 * ds.loss)


def inequality(id, source, statement, limit=bound, **more):
    """S <= limit, in every run and at every record at which the curvature was measured."""
    return ib.Claim(
        id=id, source=source, statement=statement, kind=ib.Inequality(), accepts=ENDS,
        residual=lambda ds: ds["norms.directed"] - limit(ds), bound=limit,
        tolerance=lambda ds: ds["sharpness.bound"] / 2 + 1e-9 * (1 + curvature(ds)),
        because="Lanczos' own bound on lambda_max, and rounding", **more,
    )  # fmt: skip


FLATNESS = inequality(
    "flatness-bounds-the-weighted-norm", f"{SOURCE}, Theorem 3.2 (sharp constants, derived)",
    r"$\sum |v| |w| \tilde g \le \lambda_{\max} / 2 - 1/2 + \sqrt{1 + R^2} \sqrt{2 L} / 2$",
)  # fmt: skip
