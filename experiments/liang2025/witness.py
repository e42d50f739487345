r"""A network that fits noise by itself, example by example: its weights, its curvature, and how often it can be built.

Neuron k looks along u_k = x_k / |x_k| from a threshold midway between |x_k| and the largest other <u_k, x_j>; where that is
below |x_k| the cap is x_k's own, of height h_k, and the neuron fits y_k:

    w_k = c_k u_k,    v_k = y_k / (c_k h_k),    f(x_k) = y_k;      other examples have a dead neuron, and f(x_k) = 0.

No neuron sees two examples, so that, with 1 = (1, ..., 1), the Hessian has the eigenvalues other than 0 of

    (1 1^T + diag q) / n,    q_k = (c_k h_k)^2 + y_k^2 (1 + |x_k|^2) / (c_k h_k)^2,    q_k >= 2 |y_k| sqrt(1 + |x_k|^2),

with equality at c_k^2 = |y_k| sqrt(1 + |x_k|^2) / h_k^2. The size c_k is a gauge, which f does not see.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate, special

import implicit_bias as ib

from .network import First


def geometry(x, xp=jnp):
    """|x_k|, and the largest <x_k / |x_k|, x_j> over the other examples."""
    size = xp.sqrt((x**2).sum(1))
    along = (x / size[:, None]) @ x.T
    return size, xp.max(along - 4 * xp.eye(len(x)), 1)


def witness(x, y, gauge, own, kick, key):
    """First weights; those of the second layer are off by a relative kick N(0, 1)."""
    size, other = geometry(x)
    private = size > other
    height = jnp.where(private, (size - other) / 2, 1.0)
    best = jnp.sqrt(jnp.abs(y) * jnp.sqrt(1 + size**2)) / height
    c = jnp.where(private, gauge * best**own, 0.0)
    outer = jnp.where(private, y / (jnp.where(private, c, 1.0) * height), 0.0) * (1 + kick * jax.random.normal(key, y.shape))
    return First((c / size)[None, :] * x.T, -c * (size - height), outer)


def seen(snapshot):
    """examples and labels; the share with caps of their own, how far those are from fitted; the mean square of y - x_1"""
    x, y = snapshot.problem.inputs, snapshot.problem.targets
    size, other = geometry(x)
    off = jnp.where(size > other, jnp.abs(snapshot.pred(x) - y), 0.0)
    return {"x": x, "y": y, "private": jnp.mean(size > other), "off": jnp.max(off), "noise": jnp.mean((y - x[:, 0]) ** 2)}


# -- theory ------------------------------------------------------------------------------------------------------------


def law(seen_x, seen_y, gauge, own):
    """lambda_max by the formula above, and what the best gauge allows."""
    x, y = seen_x[0], seen_y[0]
    x = x[:, np.isfinite(x).all(0)]
    size, other = geometry(x, np)
    private, height = size > other, (size - other) / 2
    least = abs(y) * np.sqrt(1 + size**2)
    square = (gauge * (np.sqrt(least) / height) ** own * height) ** 2
    q = np.where(private, square + least**2 / square, 0.0)
    top = np.linalg.eigvalsh((np.ones((len(x), len(x))) + np.diag(q)) / len(x))[-1]
    return {"top": top, "best": 1 + 2 / len(x) * np.max(least, where=private, initial=0.0)}


def share(dimension, examples):
    """The mean share of examples with a cap of their own: E (1 - P(<u, x> > |x_k|))^(n-1)."""
    d, n = int(dimension), int(examples)

    def at(r):
        return d * r ** (d - 1) * (1 - special.betainc((d + 1) / 2, 0.5, 1 - r**2) / 2) ** (n - 1)

    return integrate.quad(at, 0, 1, epsabs=1e-12, limit=200)[0]


# -- what is read from the runs -----------------------------------------------------------------------------------------


def at_start(ds, name):
    return ds[name].isel(record=0)


def top(ds):
    return at_start(ds, "sharpness.value")


def least(ds, own):
    """lambda_max at the best of the gauges."""
    return ib.curves.at(top(ds), own=own).min("gauge")


def mean_share(ds):
    return at_start(ds, "seen.private").isel(gauge=0, own=0, drop=True)


def all_private(ds):
    return {"every example has a cap of its own": at_start(ds, "seen.private") - 1}
