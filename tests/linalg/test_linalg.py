"""Curvature by products, against dense matrices: spectra that are known, small networks, lanes, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg

from implicit_bias import Mistake, linalg


def symmetric(spectrum, seed=0):
    """A matrix with these eigenvalues, by NumPy."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(spectrum), len(spectrum))))
    return (q * np.asarray(spectrum, float)) @ q.T


SPECTRA = {
    "1 x 1": [-2.5],
    "2 x 2": [3.0, -1.0],
    "apart": np.linspace(-3, 7, 80),
    "one cluster": [5, 5 - 1e-6, 5 - 2e-6, *np.linspace(-1, 1, 60)],
    "rank 3 of 50": [4, 2, 1, *np.zeros(47)],
    "indefinite, alike in size": [*np.linspace(1, 9, 30), *-np.linspace(1, 9, 30)],
    "negative": -np.geomspace(1e-2, 10, 40),
    "all equal": np.full(30, 2.0),
    "zero": np.zeros(30),
    "a network's: few large, most near 0": [30, 12, 11.5, 7, 3, *np.random.default_rng(1).normal(size=295) * 1e-3],
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ["largest", "smallest", "magnitude"])
@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA.keys())
def test_extreme_pairs_are_those_of_the_dense_matrix(spectrum, end):
    a, n = symmetric(spectrum), len(spectrum)
    count = min(5, n)
    found = linalg.top(lambda v: a @ v, jnp.zeros(n), count, end=end, multiple=True, tolerance=1e-10)
    expected = np.linalg.eigvalsh(a)
    by = {"largest": -expected, "smallest": expected, "magnitude": -np.abs(expected)}[end]
    expected = expected[np.argsort(by, kind="stable")][:count]
    size = max(np.abs(spectrum).max(), 1e-300)
    assert found.converged.all()
    of = np.abs if end == "magnitude" else np.asarray  # two of one size and opposite signs come in either order
    np.testing.assert_allclose(of(found.values), of(expected), atol=1e-8 * size, rtol=0)
    vectors = np.asarray(found.vectors)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(count), atol=1e-10)
    residuals = np.linalg.norm(a @ vectors.T - vectors.T * np.asarray(found.values), axis=0)
    assert (residuals <= found.bounds + 1e-13 * size).all()


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6, 1e-11])
def test_the_error_is_within_the_bound_whenever_it_stops(tolerance):
    a = symmetric(np.linspace(0, 1, 300) ** 3)
    found = linalg.top(lambda v: a @ v, jnp.zeros(300), 4, tolerance=tolerance)
    off = np.abs(np.asarray(found.values)[:, None] - np.linalg.eigvalsh(a)[None, :]).min(1)
    assert (off <= found.bounds).all() and found.converged.all() and (found.bounds >= 1e-16).all()


def test_fewer_products_where_less_is_asked():
    a = symmetric(np.linspace(0, 1, 300))
    loose, tight = (linalg.top(lambda v: a @ v, jnp.zeros(300), tolerance=t).products for t in (1e-2, 1e-10))
    assert loose < tight


def test_what_has_not_converged_says_so():
    a = symmetric(np.linspace(0, 1, 500))
    found = linalg.top(lambda v: a @ v, jnp.zeros(500), 6, products=30)
    assert found.products <= 30 and not found.converged.all() and (found.bounds[-1] > 1e-8)
    off = np.abs(np.asarray(found.values)[:, None] - np.linalg.eigvalsh(a)[None, :]).min(1)
    assert (off <= found.bounds).all()


@pytest.mark.slow
def test_multiple_eigenvalues_need_a_second_look():
    """A start sees one direction of an eigenspace, until rounding brings another; from new directions all are found."""
    a = np.diag([3.0, 3.0, 3.0, 2.0, *np.linspace(0, 1, 36)])
    once = linalg.top(lambda v: a @ v, jnp.zeros(40), 4, tolerance=1e-9)
    all_of_them = linalg.top(lambda v: a @ v, jnp.zeros(40), 4, multiple=True, tolerance=1e-9)
    assert once.converged.all() and all_of_them.converged.all()
    np.testing.assert_allclose(all_of_them.values, [3, 3, 3, 2], atol=1e-8)
    assert all_of_them.products > once.products


def test_a_first_guess_saves_products():
    a = symmetric([*np.linspace(0, 1, 199), 1.05])
    cold = linalg.top(lambda v: a @ v, jnp.zeros(200))
    near = a + 1e-4 * symmetric(np.linspace(-1, 1, 200), seed=1)
    warm = linalg.top(lambda v: near @ v, jnp.zeros(200), start=cold.vectors[0], tolerance=1e-4)
    again = linalg.top(lambda v: near @ v, jnp.zeros(200), tolerance=1e-4)
    assert warm.products < again.products
    np.testing.assert_allclose(warm.values[0], np.linalg.eigvalsh(near)[-1], atol=1e-4)


def test_a_nan_ends_the_search_and_is_not_converged():
    found = linalg.top(lambda v: jnp.nan * v, jnp.zeros(30), 2)
    assert not found.converged.any() and found.products <= 20


@pytest.mark.parametrize("count", [0, 4])
def test_a_count_that_cannot_be(count):
    with pytest.raises(Mistake, match="from 1 to 3"):
        linalg.top(lambda v: v, jnp.zeros(3), count)
    with pytest.raises(Mistake, match="give one of largest, smallest, magnitude"):
        linalg.top(lambda v: v, jnp.zeros(3), end="least")
    with pytest.raises(Mistake, match="floating point"):
        linalg.top(lambda v: v, jnp.zeros(3, int))


# -- networks ----------------------------------------------------------------------------------------------------------


def net(theta, x):
    for layer in theta[:-1]:
        x = jnp.tanh(x @ layer["w"] + layer["b"][None, :])
    return x @ theta[-1]["w"] + theta[-1]["b"][None, :]


def entropy(z, y):
    return -jnp.sum(y * jax.nn.log_softmax(z))


def loss(theta, x, y):
    return entropy(net(theta, x), y)


@pytest.fixture(scope="module")
def example():
    rng = np.random.default_rng(0)
    sizes = [5, 7, 6, 3]
    theta = [
        {"w": jnp.array(rng.normal(size=(m, n)) / np.sqrt(m)), "b": jnp.array(0.1 * rng.normal(size=n))}
        for m, n in zip(sizes, sizes[1:])
    ]
    x, y = jnp.array(rng.normal(size=(23, 5))), jnp.array(np.eye(3)[rng.integers(3, size=23)])
    hessian = jax.hessian(lambda flat: loss(jax.flatten_util.ravel_pytree(theta)[1](flat), x, y))
    flat, unravel = jax.flatten_util.ravel_pytree(theta)
    jacobian = jax.jacobian(lambda flat: net(unravel(flat), x))(flat).reshape(-1, flat.size)
    inner = scipy.linalg.block_diag(*[np.diag(p) - np.outer(p, p) for p in np.asarray(jax.nn.softmax(net(theta, x)))])
    return theta, x, y, np.asarray(hessian(flat)), np.asarray(jacobian.T @ inner @ jacobian)


def test_products_are_those_of_the_dense_matrices(example):
    theta, x, y, hessian, gauss_newton = example
    assert np.abs(linalg.dense(linalg.hvp(loss, theta, x, y), theta) - hessian).max() < 1e-12 * np.abs(hessian).max()
    found = linalg.dense(linalg.ggn(net, entropy, theta, x, y), theta)
    assert np.abs(found - gauss_newton).max() < 1e-12 * np.abs(gauss_newton).max()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 5, 23, 40])
def test_summed_over_parts(example, size):
    theta, x, y, hessian, gauss_newton = example
    parts = linalg.summed(lambda x, y: linalg.hvp(loss, theta, x, y), (x, y), size)
    assert np.abs(linalg.dense(parts, theta) - hessian).max() < 1e-12 * np.abs(hessian).max()
    parts = linalg.summed(lambda x, y: linalg.ggn(net, entropy, theta, x, y), (x, y), size)
    assert np.abs(linalg.dense(parts, theta) - gauss_newton).max() < 1e-12 * np.abs(gauss_newton).max()


def test_the_memory_of_a_sum_does_not_grow_with_the_data(example):
    theta = example[0]

    def temporaries(count):
        def product(x, y, v):
            return linalg.summed(lambda x, y: linalg.ggn(net, entropy, theta, x, y), (x, y), 16)(v)

        shapes = [jax.ShapeDtypeStruct((count, d), float) for d in (5, 3)]
        return jax.jit(product).lower(*shapes, theta).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(16 * 2048) < 2 * temporaries(16 * 8)


@pytest.mark.slow
def test_ends_of_a_networks_hessian(example):
    theta, x, y, hessian, _ = example
    expected = np.linalg.eigvalsh(hessian)
    for end, values in (("smallest", expected[:5]), ("largest", expected[::-1][:5])):
        found = jax.jit(lambda theta, end=end: linalg.top(linalg.hvp(loss, theta, x, y), theta, 5, end=end))(theta)
        np.testing.assert_allclose(found.values, values, atol=1e-8 * expected[-1])
    lanczos = scipy.sparse.linalg.eigsh(hessian, 5, return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(lanczos), expected[np.sort(np.argsort(-np.abs(expected))[:5])], atol=1e-9)
    assert jax.tree.structure(found.vectors) == jax.tree.structure(theta)
    assert found.vectors[0]["w"].shape == (5, 5, 7)


@pytest.mark.slow
def test_preconditioned(example):
    theta, x, y, hessian, _ = example
    by = jax.tree.map(lambda w: 0.1 + jnp.abs(w), theta)
    p = np.asarray(jax.flatten_util.ravel_pytree(by)[0])
    expected = scipy.linalg.eigh(hessian, np.diag(p), eigvals_only=True)[::-1][:3]
    found = linalg.top(linalg.preconditioned(linalg.hvp(loss, theta, x, y), by), theta, 3)
    np.testing.assert_allclose(found.values, expected, rtol=1e-8)


@pytest.mark.slow
def test_hessians_of_single_outputs(example):
    """|f_i''| of each output of each example, as lanes."""
    theta, x, *_ = example
    flat, unravel = jax.flatten_util.ravel_pytree(theta)

    def largest(x, unit):
        matvec = linalg.hvp(lambda theta: jnp.sum(unit * net(theta, x[None])[0]), theta)
        return linalg.top(matvec, theta).values[0]

    found = jax.jit(jax.vmap(jax.vmap(largest, (None, 0)), (0, None)))(x[:4], jnp.eye(3))
    expected = jax.hessian(lambda flat: net(unravel(flat), x[:4]))(flat)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(expected)[..., -1], rtol=1e-8)


@pytest.mark.slow
def test_lanes_are_those_of_each_alone():
    """Lanes that end at once (zero, identity), that need restarts, that break down: none touches another."""
    matrices = np.stack([symmetric(s) for s in (np.zeros(60), np.ones(60), np.linspace(0, 1, 60), [9, 5, *np.zeros(58)])])
    each = [linalg.top(lambda v, a=a: a @ v, jnp.zeros(60), 3, tolerance=1e-10) for a in matrices]
    together = jax.jit(jax.vmap(lambda a: linalg.top(lambda v: a @ v, jnp.zeros(60), 3, tolerance=1e-10)))(matrices)
    for lane, alone in enumerate(each):
        np.testing.assert_allclose(together.values[lane], alone.values, atol=1e-10)
        assert together.products[lane] == alone.products and together.converged[lane].all()
        assert jnp.isfinite(together.vectors[lane]).all()


@pytest.mark.slow
def test_the_derivative_of_an_eigenvalue():
    """d lambda / ds = <v, (dA/ds) v>, against differences of dense eigenvalues; in a vmap, and through a jit."""
    a, b = symmetric(np.linspace(0, 3, 40)), symmetric(np.linspace(-1, 1, 40), seed=2)

    def largest(s):
        return linalg.top(lambda v: a @ v + jnp.sin(s) * (b @ v), jnp.zeros(40), 2, tolerance=1e-11).values[1]

    def dense(s):
        return np.linalg.eigvalsh(a + np.sin(s) * b)[-2]

    s = np.array([0.1, 0.7])
    expected = [(dense(x + 1e-5) - dense(x - 1e-5)) / 2e-5 for x in s]
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(largest)))(s), expected, rtol=1e-7)
    np.testing.assert_allclose([jax.jvp(largest, (x,), (1.0,))[1] for x in s], expected, rtol=1e-7)


# -- the whole spectrum ------------------------------------------------------------------------------------------------


def test_tridiagonal_of_a_vector():
    """Q^T A Q of the Krylov basis, made by NumPy's QR of the Krylov matrix."""
    a, v = symmetric([5, 4, 2.5, 1, -1, -3]), np.array([1.0, -2, 0.5, 3, 1, 1])
    q, _ = np.linalg.qr(np.stack([np.linalg.matrix_power(a, k) @ v for k in range(4)], axis=1))
    expected = np.abs(q.T @ a @ q)
    found = linalg.tridiagonal(lambda v: a @ v, jnp.array(v), 4)
    np.testing.assert_allclose(np.abs(found.matrix), expected, atol=1e-9)
    np.testing.assert_allclose(found.norm, np.linalg.norm(v))


def test_a_split_keeps_the_measure():
    """A vector in an invariant subspace: nodes outside of it have no weight."""
    spectrum = np.array([1.0, 2, 3, 4, 5, 6])
    found = linalg.tridiagonal(lambda v: spectrum * v, jnp.array([1.0, 0, 2, 0, 0, 0]), 6)
    nodes, vectors = np.linalg.eigh(found.matrix)
    np.testing.assert_allclose(np.sort(nodes), spectrum, atol=1e-10)
    np.testing.assert_allclose((vectors[0] ** 2)[np.argsort(nodes)], [0.2, 0, 0.8, 0, 0, 0], atol=1e-12)


@pytest.fixture(scope="module")
def clustered():
    """Four in ten eigenvalues within 1e-4 of zero, as of a network."""
    rng = np.random.default_rng(3)
    spectrum = np.concatenate([1e-4 * rng.normal(size=160), rng.exponential(size=235), [20, 30, 45, 50, 80]])
    a = symmetric(spectrum)
    found = jax.jit(lambda key: linalg.density(lambda v: a @ v, jnp.zeros(400), key, steps=20, probes=40))(jax.random.key(0))
    return np.sort(spectrum), a, found


@pytest.mark.slow
def test_brackets_hold_of_each_probe(clustered):
    """Chebyshev, Markov, Stieltjes: at every node, and between, against the probe's own spectral measure."""
    spectrum, a, found = clustered
    _, u = np.linalg.eigh(a)
    for probe, key in enumerate(jax.random.split(jax.random.key(0), 40)[:10]):
        v = np.asarray(jax.random.normal(key, (400,)))
        measure = (u.T @ v) ** 2 / (v @ v)
        x = np.concatenate([found.nodes[probe], np.linspace(-1, 90, 200)])
        true = np.array([measure[spectrum <= y + 1e-9].sum() for y in x])
        alone = linalg.Density(found.nodes[probe][None], found.weights[probe][None]).distribution(x)
        assert (alone.lower <= true + 1e-8).all() and (true <= alone.upper + 1e-8).all()


def test_the_distribution_is_within_brackets_and_four_errors(clustered):
    spectrum, _, found = clustered
    x = np.linspace(-1, 90, 300)
    share = np.searchsorted(spectrum, x, side="right") / 400
    bracket = found.distribution(x)
    assert (bracket.lower - 4 * bracket.error - 1e-9 <= share).all()
    assert (share <= bracket.upper + 4 * bracket.error + 1e-9).all()


def test_moments_within_four_errors(clustered):
    spectrum, _, found = clustered
    for power in range(1, 6):
        value, error = found.moment(power)
        assert abs(value - np.mean(spectrum**power)) < 4 * error
    np.testing.assert_allclose(found.weights.sum(1), 1)


def test_smoothed_integrates_to_one_and_has_the_mass_in_place(clustered):
    _, _, found = clustered
    x = np.linspace(-20, 110, 4001)
    curve, error = found.smoothed(x, 1.0)
    assert abs(np.trapezoid(curve, x) - 1) < 1e-6 and (error >= 0).all()
    assert np.trapezoid(curve[x > 15], x[x > 15]) < 0.05


@pytest.mark.slow
def test_trace_within_four_errors_and_exact_where_it_can_be():
    spectrum = np.random.default_rng(0).exponential(size=300) ** 3
    a = symmetric(spectrum)
    values = jax.jit(jax.vmap(lambda key: linalg.trace(lambda v: a @ v, jnp.zeros(300), key)))(
        jax.random.split(jax.random.key(1), 20)
    )
    z = (values[0] - spectrum.sum()) / values[1]
    assert np.abs(z).max() < 5 and np.abs(values[0] / spectrum.sum() - 1).max() < 0.2
    value, error = linalg.trace(lambda v: a @ v, jnp.zeros(300), jax.random.key(0), products=600)
    assert abs(value - spectrum.sum()) < 1e-9 * spectrum.sum() and error < 1e-12 * spectrum.sum()


@pytest.mark.slow
def test_the_memory_of_a_trace_is_that_of_one_product(example):
    """And lanes, whose weights and data differ, each have their own trace."""
    theta, _, _, _, _ = example
    x, y = (jax.ShapeDtypeStruct((1000, d), float) for d in (5, 3))

    def temporaries(function, *arguments):
        return jax.jit(function).lower(*arguments).compile().memory_analysis().temp_size_in_bytes

    def estimate(theta, x, y, key):
        return linalg.trace(linalg.hvp(loss, theta, x, y), theta, key)

    one = temporaries(lambda theta, x, y, v: linalg.hvp(loss, theta, x, y)(v), theta, x, y, theta)
    assert temporaries(estimate, theta, x, y, jax.random.key(0)) < 4 * one

    rng = np.random.default_rng(5)
    x, y = jnp.array(rng.normal(size=(2, 11, 5))), jnp.array(np.eye(3)[rng.integers(3, size=(2, 11))])
    size = jax.flatten_util.ravel_pytree(theta)[0].size

    def exact(x, y):
        return linalg.trace(linalg.hvp(loss, theta, x, y), theta, jax.random.key(0), products=2 * size)[0]

    found = jax.jit(jax.vmap(exact))(x, y)
    flat, unravel = jax.flatten_util.ravel_pytree(theta)
    expected = [np.trace(jax.hessian(lambda flat, i=i: loss(unravel(flat), x[i], y[i]))(flat)) for i in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
