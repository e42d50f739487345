"""A frame with its best core: the gradient on the manifold against differentiation, the polar factor against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import implicit_bias as ib
from implicit_bias.parameterizations.base import AbstractParameterization
from implicit_bias.parameterizations.stiefel import StiefelWeights, polar_factor
from tests import cases

SIZE, WIDTH = 6, 3
TRUTH = ib.matrix.population(SIZE, 2, condition=3.0)(0).truth


def net(**options):
    return ib.Stiefel(WIDTH, TRUTH, **options)


def frame(seed=0):
    return net().init(ib.matrix.population(SIZE, 2)(0), cases.key(seed))


def symmetric(seed):
    c = jax.random.normal(jax.random.key(seed), (SIZE, SIZE))
    return c + c.T


def test_first_weights_are_a_frame():
    x = np.asarray(frame().x)
    np.testing.assert_allclose(x.T @ x, np.eye(WIDTH), atol=1e-14)
    given = np.random.default_rng(0).standard_normal((SIZE, WIDTH))
    x = net(start=jnp.asarray(given)).init(ib.matrix.population(SIZE, 2)(0), cases.key()).x
    np.testing.assert_allclose(x, scipy.linalg.polar(given)[0], atol=1e-14)


def test_the_core_is_the_best_one():
    """|X Theta X^T - M| is least at Theta = X^T M X: least squares over all Theta finds no other."""
    x, m = np.asarray(frame().x), np.asarray(TRUTH)
    core = np.linalg.lstsq(np.kron(x, x), m.reshape(-1), rcond=None)[0].reshape(WIDTH, WIDTH)
    np.testing.assert_allclose(net()(frame()), x @ core @ x.T, atol=1e-13)


def test_gradient_is_the_tangent_part_of_the_derivative():
    """Riemannian gradient = V - X sym(X^T V), V by reverse-mode differentiation; and it is what moves the loss."""
    theta, cotangent = frame(), symmetric(1)
    plain = AbstractParameterization.pullback(net(), theta, cotangent)
    tangent = net().tangent(theta, plain)
    found = net().pullback(theta, cotangent)
    np.testing.assert_allclose(found.x, tangent.x, atol=1e-13)
    assert np.linalg.norm(plain.x - tangent.x) > 0.1  # V itself leaves the manifold
    np.testing.assert_allclose(theta.x.T @ found.x, 0, atol=1e-13)
    # along curves on the manifold: d/ds <C, G(retract(X + s V))> = <gradient, V>
    move = net().tangent(theta, StiefelWeights(jax.random.normal(jax.random.key(2), (SIZE, WIDTH))))
    at = lambda s: jnp.sum(cotangent * net()(net().retract(StiefelWeights(theta.x + s * move.x))))  # noqa: E731
    h = 1e-5
    np.testing.assert_allclose((at(h) - at(-h)) / (2 * h), jnp.sum(found.x * move.x), rtol=1e-8)


def test_at_the_best_core_the_derivative_needs_no_projection():
    """Of |P M P - M|^2 / 4 the gradient is (Z - M) X Theta, orthogonal to X, though Theta moves with X."""
    theta, problem = frame(), ib.matrix.population(SIZE, 2, condition=3.0)(0)
    gradient = jax.grad(lambda t: problem.loss(net()(t)))(theta).x
    x, m = np.asarray(theta.x), np.asarray(problem.truth)
    core = x.T @ m @ x
    expected = (x @ core @ x.T - m) @ x @ core
    np.testing.assert_allclose(net().pullback(theta, (net()(theta) - problem.truth) / 2).x, expected, atol=1e-14)
    np.testing.assert_allclose(gradient, expected, atol=1e-14)


def test_retraction_is_the_nearest_frame():
    y = np.random.default_rng(1).standard_normal((SIZE, WIDTH))
    x = np.asarray(net().retract(StiefelWeights(jnp.asarray(y))).x)
    np.testing.assert_allclose(x, scipy.linalg.polar(y)[0], atol=1e-14)
    assert all(np.linalg.norm(y - x) <= np.linalg.norm(y - np.asarray(frame(s).x)) for s in range(20))


def test_tangents_are_tangent():
    """X^T V + V^T X = 0, and a tangent is left as it is."""
    theta = frame()
    v = net().tangent(theta, StiefelWeights(jax.random.normal(jax.random.key(3), (SIZE, WIDTH))))
    np.testing.assert_allclose(theta.x.T @ v.x + v.x.T @ theta.x, 0, atol=1e-14)
    np.testing.assert_allclose(net().tangent(theta, v).x, v.x, atol=1e-14)


@pytest.mark.parametrize("law", ["descent", "flow"])
def test_a_run_stays_on_the_manifold_and_finds_the_truth(law):
    problem = ib.matrix.population(SIZE, 2, condition=3.0)(0)
    dynamics = ib.Descent(0.5, max_steps=400) if law == "descent" else ib.Flow(150.0, rtol=1e-9, atol=1e-12)

    def off(snapshot):
        """max |X^T X - I|"""
        x = snapshot.theta.x
        return jnp.max(jnp.abs(x.T @ x - jnp.eye(WIDTH)))

    clock = [0, 10, 400] if law == "descent" else [0.0, 5.0, 150.0]
    run = cases.drive(problem, net(), dynamics, clock, (("off", off), ("loss", ib.loss)))
    assert run["off"].max() < (1e-13 if law == "descent" else 1e-7)
    assert run["loss"][-1] < 1e-10 < 1e-3 < run["loss"][0]


def test_polar_factor_of_a_frame_times_a_positive_matrix():
    x, p = np.asarray(frame().x), np.diag([1.0, 2.0, 5.0])
    np.testing.assert_allclose(polar_factor(jnp.asarray(x @ p)), x, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ib.Stiefel(0, TRUTH), "width"),
        (lambda: ib.Stiefel(SIZE + 1, TRUTH).init(ib.matrix.population(SIZE, 2)(0), cases.key()), "width"),
        (lambda: net().init(ib.matrix.population(SIZE + 1, 2)(0), cases.key()), "target"),
        (lambda: net(start=jnp.eye(SIZE)).init(ib.matrix.population(SIZE, 2)(0), cases.key()), "start"),
    ],
)
def test_mistakes_name_the_field(make, field):
    with pytest.raises(ib.Mistake) as found:
        make()
    assert found.value.field == field


def test_a_target_must_be_symmetric():
    (fine,) = ib.Stiefel(1, jnp.asarray([[1.0, 2.0], [0.0, 1.0]])).requirements().values()
    assert not fine and all(net().requirements().values())
