r"""What is trained: 2 n neurons on n noisy examples of a line in the ball of R^d, by large steps or by small ones with decay.

    decay = 0      steps of eta = 0.2, which end at the edge of stability, lambda_max about 2/eta
    decay > 0      steps of eta = 0.01 on L + decay |theta|^2 / 2

Gradients longer than `clip` are shortened, as they are in the first steps alone. Errors are at the *training inputs*: what f
does in caps has so little volume that fresh inputs see nothing of it.

The ball of R^d lies in the first d coordinates of R^room, and the weights of the others start at 0, where they stay: every
d from 1 to `room` is the same program. So `dimension` is a number, and one that `room` does not hold is outside all claims.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

import implicit_bias as ib

from .network import parts, two_layer


class Kaiming(eqx.Module):
    """Normal weights of variance 2 / inputs, and first biases uniform within 1 / sqrt(inputs), of d inputs."""

    dimension: jax.Array

    def __call__(self, weights, key):
        first, last = weights["layer1"], weights["layer2"]
        room = len(first["kernel"])
        used = (jnp.arange(room) < self.dimension).astype(float)[:, None]
        bias = jax.random.uniform(key, first["bias"].shape, minval=-1.0, maxval=1.0) / jnp.sqrt(self.dimension)
        return {
            "layer1": {"kernel": jnp.sqrt(2 * room / self.dimension) * used * first["kernel"], "bias": bias},
            "layer2": {"kernel": 2**0.5 * last["kernel"], "bias": last["bias"]},
        }


def line(key, examples, dimension, room, noise):
    """x uniform in the ball of R^d, and y = x_1 + noise N(0, 1)."""
    normal = jax.random.normal(ib.stream(key, "direction"), (examples, room))
    normal = jnp.where(jnp.arange(room)[None, :] < dimension, normal, 0.0)
    radius = jax.random.uniform(ib.stream(key, "radius"), (examples, 1)) ** (1 / dimension)
    x = normal * (radius / jnp.linalg.norm(normal, axis=1, keepdims=True))
    return x, x[:, 0] + noise * jax.random.normal(ib.stream(key, "noise"), (examples,))


def trained(
    *, dimension, examples, decay, key, room=5, step=0.2, slow=0.01, noise=1.0, per_example=2, clip=50.0, max_steps=4000
):
    x, y = line(key, examples, dimension, room, noise)
    net = two_layer(per_example * examples, Kaiming(jnp.asarray(dimension, float)))
    descent = ib.Descent(jnp.where(decay > 0, slow, step), law=ib.clipped(clip), max_steps=max_steps)
    return ib.Run(ib.supervised(x, y), net, descent, penalty=ib.weight_decay(decay))


# -- what is read from a run -------------------------------------------------------------------------------------------


def error(snapshot):
    """mean over the training inputs of (f(x) - x_1)^2"""
    x = snapshot.problem.inputs
    return jnp.mean((snapshot.pred(x) - x[:, 0]) ** 2)


def neurons(snapshot):
    """|v_k| |w_k|, and the share of the examples at which the neuron is active"""
    outer, inner, z = parts(snapshot)
    return {"norm": outer * inner, "active": jnp.mean((z > 0).astype(z.dtype), 0)}


def _ranks(values, among):
    """Mean ranks of those that are among, from 0; ties share theirs."""
    below = (values[:, None] > values[None, :]) + 0.5 * (values[:, None] == values[None, :])
    return below.astype(float) @ among


def activation(snapshot):
    """sum |v||w| active / sum |v||w|; Spearman's correlation of active and |v||w| over neurons that live; the share of the dead"""
    seen = neurons(snapshot)
    lives = (seen["active"] > 0).astype(float)
    a, b = (lives * (r - jnp.sum(lives * r) / jnp.sum(lives)) for r in (_ranks(seen[n], lives) for n in ("active", "norm")))
    return {
        "weighted": jnp.sum(seen["norm"] * seen["active"]) / jnp.sum(seen["norm"]),
        "spearman": jnp.sum(a * b) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)),
        "dead": 1 - jnp.mean(lives),
    }
