r"""Products with Hessians and their kin, as functions v -> A v of pytrees.

    hvp(f, theta)            H v          H = f''(theta)                     forward over reverse
    ggn(g, l, theta)         J^T L J v    J = g'(theta), L = l''(g(theta))   the generalised Gauss-Newton matrix
    preconditioned(A, p)     P^-1/2 A P^-1/2 v,  P = diag p                  what Adam and RMSProp see of A
    summed(make, data, k)    sum of A_i v over parts of k examples           memory does not grow with the data

A function of data takes them as arguments (`hvp(f, theta, x, y)`): what is closed over, XLA takes for constants to fold.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

Matvec = Callable[[PyTree], PyTree]


def hvp(function: Callable[..., Array], at: PyTree, *data: PyTree) -> Matvec:
    """v -> H v, H the Hessian of `function(theta, *data)` in theta.

    >>> hvp(lambda theta: theta[0] ** 2 * theta[1], jnp.array([1.0, 2.0]))(jnp.array([1.0, 0.0])).tolist()
    [4.0, 2.0]
    """
    gradient = jax.grad(function)
    return lambda v: jax.jvp(lambda theta: gradient(theta, *data), (at,), (v,))[1]


def ggn(predict: Callable[..., PyTree], loss: Callable[..., Array], at: PyTree, *data: PyTree) -> Matvec:
    """v -> J^T L J v for `loss(predict(theta, x), y)` with data (x, y): linearised once, however often it is applied.

    `predict` is given the first of the data and `loss` the others.

    >>> line = lambda theta, x: theta[0] + theta[1] * x
    >>> square = lambda z, y: 0.5 * jnp.sum((z - y) ** 2)
    >>> x = jnp.array([0.0, 1.0, 2.0])
    >>> dense(ggn(line, square, jnp.zeros(2), x, 1 - x), jnp.zeros(2)).tolist()
    [[3.0, 3.0], [3.0, 5.0]]
    """
    outputs, push = jax.linearize(lambda theta: predict(theta, *data[:1]), at)
    pull = jax.linear_transpose(push, at)
    inner = hvp(loss, outputs, *data[1:])
    return lambda v: pull(inner(push(v)))[0]


def summed(make: Callable[..., Matvec], data: PyTree, size: int) -> Matvec:
    """v -> sum over parts of the data of make(*part)(v), `size` examples at a time, one part after another.

    `data` is a tuple of arrays whose first axes are the examples; the last part is shorter where `size` does not divide.

    >>> x = jnp.arange(5.0)
    >>> matvec = summed(lambda x: hvp(lambda theta: jnp.sum(x * theta) ** 2 / 2, jnp.zeros(())), (x,), 2)
    >>> float(matvec(jnp.ones(())))
    42.0
    """
    count = jax.tree.leaves(data)[0].shape[0]
    whole = count // size

    def matvec(v: PyTree) -> PyTree:
        def add(total: PyTree, part: PyTree) -> tuple[PyTree, None]:
            return jax.tree.map(jnp.add, total, make(*part)(v)), None

        parts = jax.tree.map(lambda x: x[: whole * size].reshape(whole, size, *x.shape[1:]), data)
        total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, v), parts)
        return total if whole * size == count else add(total, jax.tree.map(lambda x: x[whole * size :], data))[0]

    return matvec


def preconditioned(matvec: Matvec, by: PyTree) -> Matvec:
    """v -> P^-1/2 A P^-1/2 v: similar to P^-1 A, and symmetric. `by` are the positive numbers on the diagonal of P.

    >>> double = preconditioned(lambda v: 4.0 * v, jnp.array([1.0, 2.0]))
    >>> double(jnp.ones(2)).round(6).tolist()
    [4.0, 2.0]
    """
    root = jax.tree.map(jnp.sqrt, by)
    return lambda v: jax.tree.map(jnp.divide, matvec(jax.tree.map(jnp.divide, v, root)), root)


def dense(matvec: Matvec, like: PyTree) -> Float[Array, "n n"]:
    """The matrix itself, for a few numbers: the weights in the order of `jax.flatten_util.ravel_pytree`."""
    flat, unravel = ravel_pytree(like)
    columns = jax.vmap(lambda e: ravel_pytree(matvec(unravel(e)))[0])(jnp.eye(flat.size, dtype=flat.dtype))
    return columns.T
