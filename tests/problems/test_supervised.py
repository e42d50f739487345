"""Means over examples of a loss at each: written out, in batches, held out, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

import implicit_bias as ib
from implicit_bias import Mistake
from implicit_bias.problems.supervised import supervised

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(8, 4)), RNG.normal(size=(4, 3))
Z = X @ W
CLASSES = np.array([0, 1, 2, 2, 1, 0, 0, 1])


def function(x):
    return x @ jnp.asarray(W)


def number(x):
    return function(x)[:, 0]


CASES = {
    "square of vectors": (lambda: supervised(X, X[:, :3]), function, lambda: np.mean(((Z - X[:, :3]) ** 2).sum(1) / 2)),
    "square of numbers": (lambda: supervised(X, X[:, 0]), number, lambda: np.mean((Z[:, 0] - X[:, 0]) ** 2 / 2)),
    "logistic": (
        lambda: supervised(X, np.sign(X[:, 0]), "logistic"), number,
        lambda: np.mean(np.log1p(np.exp(-np.sign(X[:, 0]) * Z[:, 0]))),
    ),
    "cross-entropy": (
        lambda: supervised(X, CLASSES, "cross_entropy", classes=3), function,
        lambda: np.mean(logsumexp(Z, axis=1) - Z[np.arange(8), CLASSES]),
    ),
    "one's own": (
        lambda: supervised(X, X[:, :3], lambda z, y: jnp.sum(jnp.abs(z - y))), function, lambda: np.abs(Z - X[:, :3]).sum(1).mean()
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_the_mean_written_out(name):
    make, f, expected = CASES[name]
    problem = make()
    np.testing.assert_allclose(problem.loss(f), expected(), rtol=1e-13)
    assert all(bool(flag) for flag in problem.requirements().values())
    np.testing.assert_allclose(np.mean(problem.losses(f)), expected(), rtol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_batches_are_unbiased(name):
    """All examples, two by two: (examples / size) times the batches' losses have the loss as their mean."""
    make, f, _ = CASES[name]
    problem = make()
    parts = [problem.subset(jnp.array([k, k + 1])).loss(f) for k in range(0, 8, 2)]
    np.testing.assert_allclose(8 / 2 * np.mean(parts), problem.loss(f), rtol=1e-13)


def test_margins():
    problem = supervised(X, CLASSES, "cross_entropy", classes=3)
    others = np.where(np.eye(3)[CLASSES] > 0, -np.inf, Z)
    np.testing.assert_allclose(problem.margins(function), Z[np.arange(8), CLASSES] - others.max(1))
    assert bool(problem.separates(function)) == bool((problem.margins(function) > 0).all())
    one_hot = supervised(X, np.eye(3)[CLASSES])
    np.testing.assert_allclose(one_hot.margins(function), problem.margins(function))
    signs = np.sign(X[:, 0])
    np.testing.assert_allclose(supervised(X, signs, "logistic").margins(number), signs * Z[:, 0])


def test_held_out():
    other = RNG.normal(size=(5, 4))
    problem = supervised(X, X[:, 0], held_out=(other, other[:, 1]))
    np.testing.assert_allclose(problem.loss_held_out(number), np.mean(((other @ W)[:, 0] - other[:, 1]) ** 2 / 2))
    assert all(bool(flag) for flag in problem.requirements().values())
    with pytest.raises(Mistake, match="holds nothing out"):
        supervised(X, X[:, 0]).loss_held_out(number)


def refusals(problem):
    return [" ".join(words) for words, holds in problem.requirements().items() if not bool(holds)]


def test_values_that_are_refused():
    overlapping = np.concatenate([RNG.normal(size=(2, 4)), X[3:4]])
    assert "also trained on" in refusals(supervised(X, X[:, 0], held_out=(overlapping, overlapping[:, 0])))[0]
    assert "from 0 to 2" in refusals(supervised(X, CLASSES + 1, "cross_entropy", classes=3))[0]
    assert "-1 or 1" in refusals(supervised(X, np.arange(8) % 2, "logistic"))[0]
    assert "not finite" in refusals(supervised(np.where(X > 1, np.nan, X), X[:, 0]))[0]


@pytest.mark.parametrize(
    ("words", "arguments", "options"),
    [
        ("no loss 'squared'", (X, X[:, 0], "squared"), {}),
        ("for inputs", (X, X[:3, 0]), {}),
        ("whole numbers", (X, X[:, 0], "cross_entropy"), {"classes": 3}),
        ("classes: must be a whole number", (X, CLASSES, "cross_entropy"), {}),
        ("asked by cross-entropy alone", (X, X[:, 0]), {"classes": 3}),
        ("held_out: has shapes", (X, X[:, 0]), {"held_out": (X[:, :2], X[:, 0])}),
    ],
)
def test_shapes_that_are_refused(words, arguments, options):
    with pytest.raises(Mistake, match=words):
        supervised(*arguments, **options)


@pytest.mark.slow
def test_an_overlap_stops_a_study_before_its_first_step():
    def cell(*, key, shift):
        x = jax.random.normal(ib.stream(key, "data"), (6, 4))
        problem = supervised(x, x[:, 0], held_out=(x[:2] + shift, x[:2, 0]))
        return ib.Run(problem, ib.mlp(), ib.Descent(0.1, max_steps=3))

    study = ib.Study(cell=cell, grids=ib.grid(shift=[1.0], seed=[0]), records=ib.log_records(3))
    assert study.run(width=1).loss.notnull().all()
    with pytest.raises(Mistake, match="held_out: has an input that is also trained on"):
        study.run(width=1, shift=0.0)
