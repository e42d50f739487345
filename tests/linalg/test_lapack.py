"""Factorisations of lanes: the numbers of each matrix by itself, by calls that have one matrix each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from implicit_bias.linalg.lapack import one_after_another

one_after_another()
MATRICES = np.random.default_rng(0).normal(size=(3, 2, 4, 4))
FUNCTIONS = {
    "cholesky": lambda a: jnp.linalg.cholesky(a @ a.T + jnp.eye(4)),
    "eig": lambda a: jnp.sort_complex(jnp.linalg.eigvals(a)),
    "eigh": lambda a: jnp.linalg.eigvalsh(a + a.T),
    "qr": lambda a: jnp.linalg.qr(a),
    "svd": lambda a: jnp.linalg.svd(a, compute_uv=False),
    "solve": lambda a: jnp.linalg.solve(a, jnp.arange(4.0)),
    "triangular": lambda a: jax.scipy.linalg.solve_triangular(a + 4 * jnp.eye(4), jnp.arange(4.0)),
    "schur": lambda a: jax.scipy.linalg.schur(a),
    "gradient": jax.grad(lambda a: jnp.linalg.eigvalsh(a + a.T)[0]),
}


def _factorisations(jaxpr):
    """The shapes that LAPACK is asked for, wherever they stand in a program."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in ("cholesky", "eig", "eigh", "householder_product", "lu", "qr", "schur", "svd", "triangular_solve"):
            yield eqn.invars[0].aval.shape
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: isinstance(p, (core.Jaxpr, core.ClosedJaxpr))):
            if isinstance(inner, (core.Jaxpr, core.ClosedJaxpr)):
                yield from _factorisations(getattr(inner, "jaxpr", inner))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere a batch is one kernel")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_lanes_have_the_numbers_of_each_matrix_by_itself_and_no_call_has_several(name):
    """Two such calls with several matrices each, on a machine of two cores, may wait for each other for ever."""
    function = FUNCTIONS[name]
    both = jax.vmap(jax.vmap(function))
    shapes = [*_factorisations(jax.make_jaxpr(both)(MATRICES).jaxpr)]
    assert shapes and all(len(shape) == 2 for shape in shapes), shapes
    found = jax.jit(both)(MATRICES)
    for i, j in np.ndindex(3, 2):
        alone = jax.jit(function)(MATRICES[i, j])
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(alone)):
            np.testing.assert_allclose(a[i, j], b, rtol=0, atol=1e-14 * max(1, np.abs(b).max()))
