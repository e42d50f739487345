"""What the studies of Liang et al. 2025 read and predict, by their definitions in NumPy and SciPy."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import implicit_bias as ib
from experiments.liang2025 import caps, network, training, witness


def snapshot_of(seed, examples=13, dimension=3, width=7):
    rng = np.random.default_rng(seed)
    theta = {
        "layer1": {"kernel": rng.normal(size=(dimension, width)), "bias": rng.normal(size=width)},
        "layer2": {"kernel": rng.normal(size=width), "bias": rng.normal()},
    }
    x = rng.normal(size=(examples, dimension))
    theta["layer1"]["bias"][0] = -100.0  # one is dead
    theta = jax.tree.map(jnp.asarray, theta)
    pred = ib.mlp((width,), jax.nn.relu, bias=True)(theta)
    return types.SimpleNamespace(theta=theta, problem=ib.supervised(x, rng.normal(size=examples)), pred=pred)


def weight(x, u, t):
    """g~(u, t) = P^2 E[<u, x> - t | A] sqrt(1 + |E[x | A]|^2), A the x with <u, x> > t."""
    inside = x[x @ u > t]
    if not len(inside):
        return 0.0
    share = len(inside) / len(x)
    return share**2 * np.mean(inside @ u - t) * np.sqrt(1 + np.sum(inside.mean(0) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_weighted_norms_are_those_of_the_definition(seed):
    snapshot = snapshot_of(seed)
    x, first = np.asarray(snapshot.problem.inputs), snapshot.theta["layer1"]
    w, b, v = np.asarray(first["kernel"]), np.asarray(first["bias"]), np.asarray(snapshot.theta["layer2"]["kernel"])
    directed = least = 0.0
    for k in range(len(v)):
        size = np.linalg.norm(w[:, k])
        u, t = w[:, k] / size, -b[k] / size
        directed += abs(v[k]) * size * weight(x, u, t)
        least += abs(v[k]) * size * min(weight(x, u, t), weight(x, -u, -t))
    found = network.norms(snapshot)
    assert np.isclose(found["directed"], directed, rtol=1e-12) and np.isclose(found["weighted"], least, rtol=1e-12)
    assert least < directed and np.isclose(found["radius"], np.linalg.norm(x, axis=1).max(), rtol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_the_hessian_is_at_least_what_the_bound_says(seed):
    """By a dense Hessian, and by the same with one factor left out, which fails."""
    snapshot = snapshot_of(seed, width=4)
    net = ib.mlp((4,), jax.nn.relu, bias=True)
    flat, back = jax.flatten_util.ravel_pytree(snapshot.theta)
    top = np.linalg.eigvalsh(jax.hessian(lambda w: snapshot.problem.loss(net(back(w))))(flat))[-1]
    found, loss = network.norms(snapshot), float(snapshot.problem.loss(snapshot.pred))
    bound = top / 2 - 0.5 + np.sqrt(1 + float(found["radius"]) ** 2) * np.sqrt(2 * loss) / 2
    assert 0 < found["directed"] <= bound


@pytest.mark.parametrize("seed", range(3))
def test_activation_is_the_rank_correlation_of_scipy_over_living_neurons(seed):
    snapshot = snapshot_of(seed, width=12)
    seen = {name: np.asarray(value) for name, value in training.neurons(snapshot).items()}
    lives = seen["active"] > 0
    assert 0 < lives.sum() < len(lives)
    found = training.activation(snapshot)
    rank = stats.spearmanr(seen["active"][lives], seen["norm"][lives]).statistic
    assert np.isclose(found["spearman"], rank, atol=1e-12) and np.isclose(found["dead"], 1 - lives.mean())
    assert np.isclose(found["weighted"], np.average(seen["active"], weights=seen["norm"]), rtol=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_caps_have_the_share_of_the_incomplete_beta_function_and_the_weight_of_a_sample(dimension):
    depth = 0.3
    share = special.betainc((dimension + 1) / 2, 0.5, 1 - (1 - depth) ** 2) / 2
    found = caps.cap(str(dimension), depth)
    assert np.isclose(found["share"], share, rtol=1e-10)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400_000, dimension))
    x *= (rng.uniform(size=(len(x), 1)) ** (1 / dimension)) / np.linalg.norm(x, axis=1, keepdims=True)
    assert np.isclose(found["weight"], weight(x, np.eye(dimension)[0], 1 - depth), rtol=0.05)
    assert np.isclose(caps.cap(str(dimension), 1e-5)["weight"], caps.cap(str(dimension), 1e-5)["leading"], rtol=1e-4)


@pytest.mark.parametrize("dimension", [1.0, 3.0])
def test_a_ball_within_a_larger_one_is_uniform_and_unused_weights_stay_nought(dimension):
    x, y = training.line(jax.random.key(0), 4000, dimension, 5, 0.0)
    used = int(dimension)
    assert (x[:, used:] == 0).all() and (y == x[:, 0]).all()
    assert stats.kstest(np.linalg.norm(x, axis=1) ** used, "uniform").pvalue > 1e-3
    assert np.allclose(np.var(x[:, :used], axis=0), 1 / (used + 2), rtol=0.1)
    net = network.two_layer(2000, training.Kaiming(jnp.asarray(dimension)))
    first = net.init(ib.supervised(x, y), ib.SeedKey(jnp.asarray(1)))["layer1"]
    assert (first["kernel"][used:] == 0).all() and np.isclose(np.var(first["kernel"][:used]), 2 / used, rtol=0.1)
    assert np.isclose(np.max(np.abs(first["bias"])), used**-0.5, rtol=0.01)


def test_the_share_of_private_caps_is_that_of_samples():
    rng, alone = np.random.default_rng(0), []
    for _ in range(400):
        x = rng.normal(size=(16, 4))
        x *= (rng.uniform(size=(16, 1)) ** (1 / 4)) / np.linalg.norm(x, axis=1, keepdims=True)
        along = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ x.T
        np.fill_diagonal(along, -np.inf)
        alone.append(np.mean(np.linalg.norm(x, axis=1) > along.max(1)))
    assert abs(np.mean(alone) - witness.share("4", 16)) < 4 * np.std(alone) / 20
