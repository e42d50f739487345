"""What the studies of this folder share: norms and their duals, the laws that are steepest in them, the largest margins.

Stacks of matrices [..., K, d]; NumPy, or JAX where JAX is given.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

LAWS = {"signs": ib.signs(), "l2": ib.unit_gradient(), "spectral": ib.spectral()}
WORDS = {law.name: word for word, law in LAWS.items()}
LOSSES = {"exponential": ib.exponential, "logistic": ib.logistic}


def norm(matrices, law):
    """The norm in which the law is steepest descent, or in which Muon is meant to be."""
    ops = jnp if isinstance(matrices, jax.Array) else np
    if law == "signs":
        return abs(matrices).max((-2, -1))
    return ops.linalg.norm(matrices, axis=(-2, -1), ord=None if law == "l2" else 2)


def dual_norm(matrices, law):
    """max <d, .> over |d| <= 1: l1, l2 and nuclear."""
    ops = jnp if isinstance(matrices, jax.Array) else np
    if law == "signs":
        return abs(matrices).sum((-2, -1))
    return ops.linalg.norm(matrices, axis=(-2, -1), ord=None if law == "l2" else "nuc")


def stacked(rows, shape):
    return rows.reshape(*rows.shape[:-1], *shape)


class Free(ib.AbstractParameterization):
    """X itself, from 0."""

    def init(self, problem, key):
        del key
        return jnp.zeros(problem.shape)

    def __call__(self, theta):
        return theta

    def requirements(self):
        return {}


def eta(count, step, power, horizon, reach):
    """step / (reach (k + 1)^power) at steps k < horizon, then 0."""
    count = jnp.asarray(count).astype(float)
    return jnp.where(count < horizon, step / reach / (count + 1) ** power, 0.0)


def steps(step, power, horizon=jnp.inf, reach=1.0):
    return jax.tree_util.Partial(eta, step=step, power=power, horizon=horizon, reach=reach)


# -- the largest margin, between two numbers that are certain ----------------------------------------------------------


def largest_margin(operator, law, shape):
    """The largest margin of a matrix of norm 1 lies between `least` and `most`."""
    if law not in ("signs", "l2"):
        return _largest_spectral_margin(operator.tobytes(), shape)
    found = ib.min_norm_separator(operator, np.inf if law == "signs" else 2)
    return {"least": 1 / found.value, "most": 1 / (found.value * (1 - max(found.gap, 0.0)))}


@functools.cache
def _largest_spectral_margin(data, shape):
    """min |B^T p|_nuclear over the simplex is the largest margin, and the gradient of the norm there has it.

    Any p and any X of norm 1 bound it, from above and from below. They are looked for by SLSQP, of sum sqrt(s^2 + d^2) over
    the singular values s, d falling: the minimum may have fewer of them than X.
    """
    from scipy.optimize import minimize

    operator = np.frombuffer(data).reshape(-1, shape[0] * shape[1])

    def factored(p):
        return np.linalg.svd(np.reshape(p @ operator, shape), full_matrices=False)

    def value_and_gradient(p, smooth):
        left, values, right = factored(p)
        sizes = np.hypot(values, smooth)
        return sizes.sum(), operator @ ((left * (values / sizes)) @ right).reshape(-1)

    count = len(operator)
    simplex = {"type": "eq", "fun": lambda p: p.sum() - 1, "jac": lambda p: np.ones(count)}
    p, most, least = np.full(count, 1 / count), np.inf, -np.inf
    for smooth in 10.0 ** np.arange(-1, -9, -0.5):
        found = minimize(
            value_and_gradient, p, (smooth,), jac=True, bounds=[(0, 1)] * count, constraints=[simplex], method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 200},
        )
        p = np.maximum(found.x, 0.0) / np.maximum(found.x, 0.0).sum()
        most = min(most, factored(p)[1].sum())
        least = max(least, value_and_gradient(p, smooth)[1].min())
    return {"least": least, "most": most}


# -- read from a run ---------------------------------------------------------------------------------------------------


def margin(x, operator, law):
    """min <b, X> / |X| in the norm of the law, at each record after the first."""
    sizes = norm(x, law)
    return np.min(x.reshape(len(x), -1) @ operator.T, -1) / np.where(sizes > 0, sizes, np.nan)
