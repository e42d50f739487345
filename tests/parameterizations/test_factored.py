"""Factored matrices: gradients against differentiation, the law of the start, what normalised factors conserve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.parameterizations.base import AbstractParameterization
from tests import cases

PROBLEM = ib.matrix.gaussian((5, 4), 2, 9)
SQUARE = ib.matrix.gaussian(5, 2, 9)
MAKE = {
    "Symmetric": (SQUARE, lambda: ib.Symmetric(0.7, 3)),
    "Asymmetric": (PROBLEM, lambda: ib.Asymmetric(0.7, 3)),
    "DeepLinear": (PROBLEM, lambda: ib.DeepLinear(0.7, 3, 4)),
    "Normalised, Symmetric": (SQUARE, lambda: ib.Normalised(ib.Symmetric(0.7, 3))),
    "Normalised, DeepLinear": (PROBLEM, lambda: ib.Normalised(ib.DeepLinear(0.7, 3, 4))),
}


@pytest.mark.parametrize("name", MAKE)
def test_pullback_is_the_derivative(name):
    """Closed forms against reverse-mode differentiation of G, at a random cotangent."""
    sampler, make = MAKE[name]
    weights = make()
    theta = weights.init(sampler(0), cases.key())
    cotangent = jax.random.normal(jax.random.key(1), weights(theta).shape)
    expected = AbstractParameterization.pullback(weights, theta, cotangent)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), weights.pullback(theta, cotangent), expected
    )


def test_products():
    rng = np.random.default_rng(0)
    v, w = rng.standard_normal((5, 3)), rng.standard_normal((4, 3))
    given = ib.Asymmetric(0.5, 3, (jnp.asarray(v), jnp.asarray(w)))
    np.testing.assert_allclose(given(given.init(PROBLEM(0), cases.key())), v @ w.T / 4, atol=1e-15)
    layers = [rng.standard_normal(s) for s in ((5, 2), (2, 2), (2, 4))]
    deep = ib.DeepLinear(2.0, 3, 2, tuple(map(jnp.asarray, layers)))
    theta = deep.init(PROBLEM(0), cases.key())
    np.testing.assert_allclose(deep(theta), 8 * layers[0] @ layers[1] @ layers[2], atol=1e-13)


@pytest.mark.parametrize("width", [2, 50])
def test_start_has_the_variance_it_says(width):
    """E U U^T = scale^2 I whatever the width; over 200 seeds the mean trace is within five standard errors."""
    weights, problem = ib.Symmetric(0.3, width), SQUARE(0)
    traces = jax.vmap(lambda seed: jnp.trace(weights(weights.init(problem, ib.SeedKey(seed)))))(jnp.arange(200))
    assert abs(float(traces.mean()) / (5 * 0.09) - 1) < 5 * np.sqrt(2 / (5 * width * 200))


def test_normalised_starts_at_the_same_matrix_and_keeps_the_norms_of_its_factors_in_the_flow():
    """d|F|/dt = 0, as the gradient in F is orthogonal to F; the integrator is at rtol 1e-9."""
    inner = ib.Asymmetric(0.5, 3)
    problem, weights = PROBLEM(0), ib.Normalised(ib.Asymmetric(0.5, 3))
    theta = weights.init(problem, cases.key())
    np.testing.assert_allclose(weights(theta), inner(inner.init(problem, cases.key())), atol=1e-14)

    def sizes(snapshot):
        """|F_i|"""
        return jnp.stack([jnp.linalg.norm(f) for f in snapshot.theta.w])

    flow = ib.Flow(2.0, ratio=0.5, rtol=1e-9, atol=1e-12)
    run = cases.drive(problem, weights, flow, [0.0, 1.0, 2.0], (("sizes", sizes), ("loss", ib.loss)))
    np.testing.assert_allclose(run["sizes"], 1.0, atol=1e-8)
    assert run["loss"][-1] < 0.5 * run["loss"][0]


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ib.Symmetric(1.0, 0), "width"),
        (lambda: ib.DeepLinear(1.0, 1, 3), "depth"),
        (lambda: ib.Symmetric(1.0, 3).init(PROBLEM(0), cases.key()), "problem"),
        (lambda: ib.Symmetric(1.0, 3, jnp.eye(5)).init(SQUARE(0), cases.key()), "start"),
    ],
)
def test_mistakes_name_the_field(make, field):
    with pytest.raises(ib.Mistake) as found:
        make()
    assert found.value.field == field
