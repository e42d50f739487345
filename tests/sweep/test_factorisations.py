"""Factorisations in parts are factorisations, of LAPACK's accuracy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from implicit_bias.cluster.span.factorisations import in_parts

PARTS = 3


def parted(function, *arguments):
    """The results of a function whose factorisations are done in parts."""
    program = in_parts(jax.make_jaxpr(function)(*arguments), PARTS)
    return core.jaxpr_as_fun(program)(*arguments)


@pytest.fixture
def X():
    """60 x 5, with singular values from 1 to 1e-8."""
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(60, 5)))
    right, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    return left * np.logspace(0, -8, 5) @ right.T


def test_qr(X):
    q, r = parted(jnp.linalg.qr, X)
    np.testing.assert_allclose(q @ r, X, atol=1e-15)
    np.testing.assert_allclose(q.T @ q, np.eye(5), atol=1e-14)  # Householder's, not Gram-Schmidt's: no condition number
    np.testing.assert_array_equal(np.tril(r, -1), 0)
    (only,) = parted(lambda x: jnp.linalg.qr(x, mode="r"), X)
    np.testing.assert_allclose(only.T @ only, X.T @ X, atol=1e-15)


@pytest.mark.parametrize("wide", [False, True])
def test_svd(X, wide):
    X = X.T if wide else X
    u, s, vt = map(np.asarray, parted(lambda x: jnp.linalg.svd(x, full_matrices=False), X))
    np.testing.assert_allclose(s, np.logspace(0, -8, 5), rtol=0, atol=1e-15)
    np.testing.assert_allclose(u * s @ vt, X, atol=1e-15)
    np.testing.assert_allclose(u.T @ u, np.eye(5), atol=1e-14)
    np.testing.assert_allclose(vt @ vt.T, np.eye(5), atol=1e-14)
    (only,) = parted(lambda x: jnp.linalg.svd(x, compute_uv=False), X)
    np.testing.assert_allclose(only, s, atol=1e-15)


def test_only_long_matrices_are_parted(X):
    """None of 61 rows (3 does not divide them), none whose third is wider than long, no whole factorisation."""
    rng = np.random.default_rng(1)

    def everything(x, odd, square):
        q, r = jnp.linalg.qr(x)
        return q @ r + 1.0, *jnp.linalg.qr(odd), *jnp.linalg.svd(square), jnp.linalg.qr(x, mode="complete")[0]

    arguments = (X, rng.normal(size=(61, 5)), rng.normal(size=(6, 6)))
    program = in_parts(jax.make_jaxpr(everything)(*arguments), PARTS)
    factored = []

    def walk(jaxpr):
        for eqn in jaxpr.eqns:
            factored.extend([eqn.invars[0].aval.shape] * (eqn.primitive.name in ("qr", "svd")))
            if "jaxpr" in eqn.params:
                walk(eqn.params["jaxpr"].jaxpr)

    walk(program.jaxpr)
    assert sorted(factored) == sorted([(3, 20, 5), (15, 5), (61, 5), (6, 6), (60, 5)])
    for ours, plain in zip(core.jaxpr_as_fun(program)(*arguments), everything(*arguments)):
        np.testing.assert_allclose(ours, plain, atol=1e-14)


def test_what_holds_the_parts_is_asked():
    seen = []
    program = jax.make_jaxpr(jnp.linalg.qr)(np.ones((60, 5)))
    in_parts(program, PARTS, lambda blocks: seen.append(blocks.shape) or blocks)
    assert seen == [(3, 20, 5), (3, 20, 5)]
