"""Steepest descent in a norm: its directions, the problem of several classes, the bounds, and what a vacuous check would miss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import polar

import implicit_bias as ib
from experiments.fan2025 import common, norms
from experiments.fan2025.claims import BOUNDS, NORMS
from implicit_bias import catalogue

CLAIMS = {claim.id: claim for claim in (*BOUNDS, *NORMS)}
LAWS = common.LAWS


def direction(law, gradient):
    return np.asarray(law.step(lambda _: jnp.asarray(gradient), jnp.zeros_like(gradient), law.init(gradient), None)[0])


@pytest.fixture(scope="module")
def matrices():
    return np.random.default_rng(0).standard_normal((6, 4, 7))


@pytest.mark.parametrize("word", LAWS)
def test_a_direction_attains_the_dual_norm(matrices, word):
    """<d, G> = |G|_* at |d| = 1, and no random d of norm 1 has more."""
    rng = np.random.default_rng(1)
    for gradient in matrices:
        d = direction(LAWS[word], gradient)
        assert abs(common.norm(d, word) - 1) < 1e-12
        assert abs(np.sum(d * gradient) - common.dual_norm(gradient, word)) < 1e-12 * common.dual_norm(gradient, word)
        others = rng.standard_normal((100, *gradient.shape))
        others /= common.norm(others, word)[:, None, None]
        assert (np.sum(others * gradient, (1, 2)) <= np.sum(d * gradient)).all()


def test_the_spectral_direction_is_the_polar_factor(matrices):
    for gradient in matrices:
        np.testing.assert_allclose(direction(ib.spectral(), gradient), polar(gradient)[0], atol=1e-12)
        np.testing.assert_allclose(direction(ib.spectral(), gradient.T), polar(gradient.T)[0], atol=1e-12)


def test_the_least_maximiser_is_taken():
    """Nothing along singular values that are rounding, at entries that are 0, or at a gradient that is 0."""
    low = np.outer([1.0, -2.0, 0.0], [3.0, 0.0, 4.0, 1.0])
    d = direction(ib.spectral(), low + 1e-16)
    np.testing.assert_allclose(np.linalg.svd(d)[1], [1, 0, 0], atol=1e-12)
    assert direction(ib.signs(), low)[2].tolist() == [0.0] * 4
    for law in LAWS.values():
        assert not direction(law, np.zeros((3, 4))).any()


def test_a_gradient_whose_square_is_zero_has_a_direction():
    """Losses of separable data leave the range of squares long before that of numbers."""
    tiny = 1e-200 * np.array([[3.0, 0.0], [0.0, 4.0]])
    np.testing.assert_allclose(direction(ib.unit_gradient(), tiny), [[0.6, 0.0], [0.0, 0.8]], rtol=1e-14)
    np.testing.assert_allclose(direction(ib.spectral(), tiny), np.eye(2), rtol=1e-14)


def test_newton_schulz_is_near_the_polar_factor_and_not_it(matrices):
    """Against five quintic steps in NumPy; singular vectors are kept, singular values come between 0.6 and 1.25."""
    for gradient in matrices:
        x = gradient / np.linalg.norm(gradient)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        d = direction(ib.muon(momentum=0.0, eps=0.0, nesterov=False), gradient)
        np.testing.assert_allclose(d, x, atol=1e-12)
        values = np.linalg.svd(d)[1]
        assert (0.6 < values).all() and (values < 1.25).all() and abs(values - 1).max() > 0.02


def test_margins_and_loss_of_several_classes():
    rng = np.random.default_rng(2)
    inputs, classes, weights = rng.standard_normal((6, 4)), np.array([0, 2, 1, 1, 0, 2]), rng.standard_normal((3, 4))
    scores = inputs @ weights.T
    margins = [s[y] - s[c] for s, y in zip(scores, classes) for c in range(3) if c != y]
    problem = ib.multiclass.fixed(inputs, classes)(0)
    assert sorted(np.asarray(problem.margins(jnp.asarray(weights)))) == pytest.approx(sorted(margins), abs=1e-12)
    assert float(problem.loss(jnp.asarray(weights))) == pytest.approx(np.exp(-np.array(margins)).sum(), rel=1e-12)
    logistic = ib.multiclass.fixed(inputs, classes, loss=ib.logistic)(0)
    assert float(logistic.loss(jnp.asarray(weights))) == pytest.approx(np.log1p(np.exp(-np.array(margins))).sum(), rel=1e-12)
    # the gradient sums to 0 over classes, and batches are unbiased
    gradient = jax.grad(problem.loss)(jnp.asarray(weights))
    np.testing.assert_allclose(gradient.sum(0), 0, atol=1e-12)
    parts = sum(float(problem.subset(jnp.asarray([i])).loss(jnp.asarray(weights))) for i in range(6))
    assert problem.examples == 6 and parts == pytest.approx(float(problem.loss(jnp.asarray(weights))), rel=1e-12)


def test_classes_are_separated_by_their_gap():
    """The matrix of the means has every margin at least `gap`, and singular values 1: it bounds the largest margins."""
    for seed in range(5):
        problem = ib.multiclass.gaussian(8, 5, 3, gap=0.7)(seed)
        for word in LAWS:
            least = common.largest_margin(np.asarray(problem.operator), word, (3, 5))["least"]
            assert least >= 0.7 / (np.sqrt(3) if word == "l2" else 1) - 1e-9


def test_largest_l2_margin_of_matrices():
    """`max_margin` is that of the rows: the same as by `nnls`."""
    problem = ib.multiclass.gaussian(8, 5, 3)(0)
    found = np.asarray(ib.max_margin(problem))
    assert found.shape == (3, 5)
    exact = ib.min_norm_separator(np.asarray(problem.operator), 2)
    np.testing.assert_allclose(found.reshape(-1), exact.x, atol=1e-9)


def test_largest_spectral_margin_of_one_row_is_its_nuclear_norm():
    row = np.random.default_rng(3).standard_normal((1, 15))
    found = common.largest_margin(row, "spectral", (3, 5))
    nuclear = np.linalg.svd(row.reshape(3, 5))[1].sum()
    assert abs(found["least"] - nuclear) < 1e-6 and abs(found["most"] - nuclear) < 1e-12


@pytest.fixture(scope="module")
def bounds():
    study = catalogue.load(catalogue.find("fan2025/bounds"))
    return study.run(law=["signs"], objective=["exponential"], power=[0.5], seed=range(2), max_steps=400)


@pytest.mark.slow
def test_the_bounds_are_tight_enough_to_fail(bounds):
    """R in the norm itself fails; so does a largest margin that is a tenth larger, or a fifth smaller, than it is."""
    ds = bounds
    assert float(ds.over.max()) < 0 < float(ds.over_own.max())
    for factor, one in ((1.1, "dual-norm-certifies-the-margin"), (0.8, "margin-is-below-the-largest")):
        wrong = ds.assign(largest_least=factor * ds.largest_least, largest_most=factor * ds.largest_most)
        assert ib.judge(CLAIMS[one], ds).verdict == "supported"
        assert ib.judge(CLAIMS[one], wrong).verdict == "refuted"


def test_all_laws_of_the_study_are_named():
    assert set(common.WORDS.values()) == set(LAWS) and set(norms.LAWS) == {*LAWS, "muon", "newton-schulz"}
