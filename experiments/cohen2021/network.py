"""What the studies of this paper train: a small tanh network on digits with random labels, in full batches."""

import jax
import jax.numpy as jnp

import implicit_bias as ib


def random_labels(key, examples, data):
    """Each feature over its deviation, and one-hot labels of ten classes that have nothing to do with the images."""
    images, _ = ib.data.load(data).sample(examples, key)
    inputs = jax.nn.standardize(images.reshape(examples, -1), axis=0, epsilon=1e-12, algorithm="stable")
    labels = jax.random.randint(ib.stream(key, "labels"), (examples,), 0, 10)
    return ib.supervised(inputs, jax.nn.one_hot(labels, 10), "square")


def network(scale):
    return ib.mlp((20, 20), jnp.tanh, bias=True, scale=scale)


def hard_to_fit(ds):
    """Curvature is driven up to the edge by data that take long to fit, and from a start below it."""
    return {"100 examples or more": ds.examples - 100, "a start of scale $1/2$ or less": 0.5 - ds.scale}
