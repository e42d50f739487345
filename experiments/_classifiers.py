r"""What the papers on the square loss with weight decay train: a ReLU net without biases on digits, one-hot classes y,

    L(W) = (1/N) sum_i |f(x_i; W) - y_i|^2 + lam |W|^2,     W' = (1 - 2 eta lam) W - eta G,

G the gradient of the mean over a batch. The papers train deep nets on CIFAR-10; digits, sizes and steps are ours.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

CAPPED = (ib.Status.CAPPED,)


def square(output, target):
    """|f - y|^2, without the half."""
    return jnp.sum((output - target) ** 2)


def training(*, batch, decay, step, key, classes, of_each, width, data, max_steps):
    """Digits of the first classes, with points in [0, 1]; batches are drawn with replacement, 0 is all examples."""
    images, labels = ib.data.load(data).only(*range(classes)).per_class(of_each, key)
    problem = ib.supervised(images.reshape(classes * of_each, -1), jax.nn.one_hot(labels, classes), square)
    descent = ib.Descent(step, batch=ib.minibatch(batch, key) if batch else None, max_steps=max_steps)
    return ib.Run(problem, ib.mlp((width, width), jax.nn.relu), descent, penalty=ib.weight_decay(2 * decay))


def times_decayed(step, decay, max_steps):
    """2 eta lam T: the start is in W_T with the weight (1 - 2 eta lam)^T, about e to minus this."""
    return 2 * step * decay * max_steps


# -- comparisons along an axis -----------------------------------------------------------------------------------------


def at_next_larger_batch(value):
    """The value in the next larger batches, of which 0 are all examples."""
    order = np.argsort([int(size) or np.inf for size in value.batch.values])
    return value.isel(batch=order).shift(batch=-1).reindex(batch=value.batch)
