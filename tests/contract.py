"""The contract that every public member passes, and what it is tried on."""

import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import cases


def close(one, other, *, of=100):
    """Equal trees: the same dtypes, and values to `of` eps of the largest."""
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    for (place, a), b in zip(jax.tree_util.tree_leaves_with_path(one), cases.leaves(other), strict=True):
        a, place = np.asarray(a), jax.tree_util.keystr(place)
        if np.issubdtype(a.dtype, np.inexact):
            size = np.max(np.abs(b), initial=1.0, where=np.isfinite(b))
            np.testing.assert_allclose(a, b, rtol=0, atol=of * np.finfo(a.dtype).eps * size, err_msg=place)
        else:
            np.testing.assert_array_equal(a, b, err_msg=place)


def contract(function, values):
    """The contract of a function of one tree of arrays; `values` are several such trees of one structure."""
    plain = [function(v) for v in values]
    traces = []

    @jax.jit
    def compiled(v):
        traces.append(v)
        return function(v)

    for v, result in zip(values, plain, strict=True):
        close(compiled(v), result)
    assert len(traces) == 1, "new values made a new trace"

    lanes = jax.jit(jax.vmap(function))(jax.tree.map(lambda *x: jnp.stack(x), *values))
    close(lanes, jax.tree.map(lambda *x: jnp.stack(x), *plain))
    all_in_force(plain)

    def total(moving, fixed):
        leaves = jax.tree.leaves(function(eqx.combine(moving, fixed)))
        return sum(jnp.sum(x) for x in leaves if jnp.issubdtype(x.dtype, jnp.inexact))

    gradient = jax.jit(jax.grad(total))(*eqx.partition(values[0], eqx.is_inexact_array))
    for place, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert jnp.isfinite(leaf).all(), jax.tree_util.keystr(place)


def all_in_force(tree):
    """Every float of a tree has the precision in force."""
    for place, leaf in jax.tree_util.tree_leaves_with_path(tree):
        assert not jnp.issubdtype(leaf.dtype, jnp.inexact) or leaf.dtype == jnp.zeros(()).dtype, jax.tree_util.keystr(
            place
        )


in_both_precisions = pytest.mark.usefixtures("precision")


def draws(count=3):
    """Numbers (positive) and vectors of R^d."""
    rng = np.random.default_rng(1)
    numbers, vectors = rng.uniform(0.5, 2, count), rng.standard_normal((count, cases.COLUMNS))
    return [(jnp.asarray(n, dtype=float), jnp.asarray(v, dtype=float)) for n, v in zip(numbers, vectors, strict=True)]
