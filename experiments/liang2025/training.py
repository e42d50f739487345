r"""What is trained: 2 n neurons on n noisy examples of a line in the ball, by large steps or by small ones with decay.

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
import numpy as np

import implicit_bias as ib

from .network import ball, number, parts, two_layer


class Kaiming(eqx.Module):
    """Normal weights of variance 2 / inputs, and first biases uniform within 1 / sqrt(inputs), of d inputs."""

    dimension: jax.Array

    def __call__(self, weights, key):
        first, last = weights["layer1"], weights["layer2"]
        room = len(first["kernel"])
        used = (jnp.arange(float(room)) < self.dimension).astype(float)[:, None]
        bias = jax.random.uniform(key, first["bias"].shape, minval=-1.0, maxval=1.0) / jnp.sqrt(self.dimension)
        return {
            "layer1": {"kernel": jnp.sqrt(2 * room / self.dimension) * used * first["kernel"], "bias": bias},
            "layer2": {"kernel": 2**0.5 * last["kernel"], "bias": last["bias"]},
        }


def line(key, examples, dimension, room, noise):
    """x uniform in the ball of R^d, and y = x_1 + noise N(0, 1)."""
    x = ball(key, examples, dimension, room)
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
    below, level = values[:, None] > values[None, :], values[:, None] == values[None, :]
    return (below.astype(float) + level.astype(float) / 2) @ among


def activation(snapshot):
    """sum |v||w| active / sum |v||w|; Spearman's correlation of active and |v||w| over living neurons; share of the dead"""
    seen = neurons(snapshot)
    lives = (seen["active"] > 0).astype(float)
    a, b = (lives * (r - jnp.sum(lives * r) / jnp.sum(lives)) for r in (_ranks(seen[n], lives) for n in ("active", "norm")))
    return {
        "weighted": jnp.sum(seen["norm"] * seen["active"]) / jnp.sum(seen["norm"]),
        "spearman": jnp.sum(a * b) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)),
        "dead": 1 - jnp.mean(lives),
    }


# -- runs of one kind ---------------------------------------------------------------------------------------------------


def by_steps(ds, value):
    """Of the runs without decay."""
    return ib.curves.at(value, decay=0.0)


def by_decay(ds, value):
    """Of the runs with the largest decay."""
    return value.isel(decay=int(ds.decay.values.argmax()), drop=True)


def slopes(ds):
    """The slope of log error against log n."""
    value = ds.error.assign_coords(examples=number(ds, "examples"))
    return ib.curves.per_log(np.log(value), "examples")


# -- hypotheses ---------------------------------------------------------------------------------------------------------


def within(value, least, most=np.inf):
    return np.minimum(value - least, most - value)


def as_trained(ds):
    """Long enough for the edge, and for decay to have its effect."""
    return {
        "a ball that the inputs have room for": number(ds, "room") - ds.dimension,
        "steps of 0.1 to 0.2, and 4000 or more": np.minimum(within(ds.step, 0.1, 0.2), number(ds, "max_steps") - 4000),
        "noise of deviation 0.9 to 1.1": within(ds.noise, 0.9, 1.1),
        "two neurons or more an example": number(ds, "per_example") - 2,
        "gradients of length 25 are not clipped": ds["clip"] - 25,
    }


def both(ds):
    """Runs without decay, and with one that had its time."""
    none = -abs(ds.decay).min()
    time = number(ds, "max_steps") * ds.slow
    return as_trained(ds) | {
        "decays 0 and 0.08 to 0.12": np.minimum(none, within(ds.decay.max(), 0.08, 0.12)),
        "small steps of 0.02 or less, for a time of 40 or more": np.minimum(0.02 - ds.slow, time - 40),
    }


def along_n(ds):
    sizes = number(ds, "examples")
    slack = min(len(sizes) - 3, sizes.min() - 16, sizes.max() / sizes.min() - 4)
    return {"three $n$ or more, of 16 or more, by a factor of 4": slack}


def by_steps_alone(ds):
    return as_trained(ds) | {"runs without decay": -abs(ds.decay).min()}


def at_dimension(ds, least, of=by_steps_alone):
    return of(ds) | {rf"$d \ge {least}$": ds.dimension - least}


def large_steps(ds, dimension, examples):
    """Runs without decay, of so many dimensions and examples."""
    return at_dimension(ds, dimension) | {
        "no decay": -abs(ds.decay), rf"$n \ge {examples}$": number(ds, "examples") - examples,
        "for a time of 800 or more": ds.step * number(ds, "max_steps") - 800,
    }  # fmt: skip
