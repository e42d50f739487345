"""Networks of every origin: the same outputs as their own library's, and one line for what cannot be carried."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import implicit_bias as ib
from implicit_bias import Mistake
from implicit_bias.parameterizations.network import row_norms
from implicit_bias.problems.supervised import supervised

INPUTS, OUTPUTS = 5, 3
X = np.random.default_rng(0).normal(size=(11, INPUTS))
Y = np.random.default_rng(1).normal(size=(11, OUTPUTS))


@pytest.fixture
def problem():
    return supervised(X, Y)


class Linen(nn.Module):
    dtype: type = float

    @nn.compact
    def __call__(self, x):
        return nn.Dense(OUTPUTS, param_dtype=self.dtype)(jnp.tanh(nn.Dense(4, param_dtype=self.dtype)(x)))


class Nnx(nnx.Module):
    def __init__(self, rngs, dtype=float):
        self.one = nnx.Linear(INPUTS, 4, rngs=rngs, param_dtype=dtype)
        self.two = nnx.Linear(4, OUTPUTS, rngs=rngs, param_dtype=dtype)

    def __call__(self, x):
        return self.two(jnp.tanh(self.one(x)))


def equinox(key, dtype=float):
    return eqx.nn.MLP(INPUTS, OUTPUTS, 4, 1, activation=jnp.tanh, key=key, dtype=dtype)


def plain(key, x):
    return {"w": jax.random.normal(key, (x.shape[1], OUTPUTS))}


MODULES = {
    "flax linen": lambda: Linen(),
    "flax nnx": lambda: lambda key: Nnx(nnx.Rngs(key)),
    "equinox": lambda: equinox,
    "a pair": lambda: (plain, lambda theta, x: jnp.sin(x @ theta["w"])),
}


def own_outputs(name, theta, x):
    """By the library's own module, with these weights in it."""
    if name == "flax linen":
        return Linen().apply({"params": theta}, x)
    if name == "flax nnx":
        module = Nnx(nnx.Rngs(0))
        for layer in ("one", "two"):
            for part in ("kernel", "bias"):
                getattr(getattr(module, layer), part)[...] = theta[layer][part]
        return module(x)
    if name == "equinox":
        module = eqx.combine(theta, equinox(jax.random.key(9)))
        return jnp.stack([module(row) for row in x])
    return np.sin(x @ np.asarray(theta["w"]))


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore")
def test_a_module_is_what_its_library_says(problem, name):
    net = ib.network(MODULES[name]())
    with jax.numpy_rank_promotion("allow"):
        theta = net.init(problem, ib.SeedKey(jnp.asarray(3)))
        np.testing.assert_allclose(net(theta)(problem.inputs), own_outputs(name, theta, problem.inputs), atol=1e-14)
        other = net.init(problem, ib.SeedKey(jnp.asarray(4)))
        assert all(jnp.any(a != b) for a, b in zip(jax.tree.leaves(theta), jax.tree.leaves(other)) if a.ndim == 2)
        half = ib.network(MODULES[name](), scale=0.5).init(problem, ib.SeedKey(jnp.asarray(3)))
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b / 2), half, theta)
        labels = net.labels(theta)
        assert set(jax.tree.leaves(labels)) == {
            "flax linen": {"Dense_0", "Dense_1"}, "flax nnx": {"one", "two"}, "equinox": {"layers"}, "a pair": {"w"}
        }[name]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore")
def test_the_objective_has_the_gradient_of_the_loss(problem, name):
    """Through the seams, against one `grad` of the whole; and in lanes."""
    from implicit_bias._charts import Flat
    from implicit_bias.dynamics.base import Objective

    net = ib.network(MODULES[name]())
    with jax.numpy_rank_promotion("allow"):
        objective = Objective(problem, net, Flat())

        def start(seed):
            return net.init(problem, ib.SeedKey(seed))

        def whole(theta):
            return 0.5 * jnp.sum((net.apply(theta, problem.inputs) - problem.targets) ** 2) / len(X)

        thetas = jax.vmap(start)(jnp.arange(3))
        losses, gradients = jax.jit(jax.vmap(objective.value_and_gradient))(thetas)
        for seed in range(3):
            loss, gradient = jax.value_and_grad(whole)(start(jnp.asarray(seed)))
            np.testing.assert_allclose(losses[seed], loss, rtol=1e-13)
            jax.tree.map(lambda a, b, k=seed: np.testing.assert_allclose(a[k], b, atol=1e-13), gradients, gradient)


class Permuted(eqx.Module):
    """Whole numbers in a module are no weights, and are the same for every key."""

    order: jax.Array
    linear: eqx.nn.Linear

    def __init__(self, key):
        self.order, self.linear = jnp.arange(INPUTS)[::-1], eqx.nn.Linear(INPUTS, OUTPUTS, key=key, dtype=float)

    def __call__(self, x):
        return self.linear(x[self.order])


def test_what_is_no_weight_is_kept(problem):
    """And no number of a trace leaks into the next."""
    net = ib.network(Permuted)
    traced = jax.jit(lambda seed: (theta := net.init(problem, ib.SeedKey(seed)), net(theta)(problem.inputs)))
    for seed in (0, 1):
        theta, z = traced(jnp.asarray(seed))
        w, b = np.asarray(theta.linear.weight), np.asarray(theta.linear.bias)
        np.testing.assert_allclose(z, X[:, ::-1] @ w.T + b, atol=1e-13)
    np.testing.assert_allclose(ib.network(Permuted)(theta)(X), z, atol=1e-13)  # made anew, and not drawn


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=False, param_dtype=float)(nn.Dense(OUTPUTS, param_dtype=float)(x))


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dropout(0.5, deterministic=False)(nn.Dense(OUTPUTS, param_dtype=float)(x))


class NnxDropped(nnx.Module):
    def __init__(self, rngs):
        self.one, self.drop = nnx.Linear(INPUTS, OUTPUTS, rngs=rngs, param_dtype=float), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.one(x))


class EqxNormed(eqx.Module):
    norm: eqx.nn.BatchNorm
    linear: eqx.nn.Linear

    def __init__(self, key):
        self.norm, self.linear = eqx.nn.BatchNorm(OUTPUTS, "batch", mode="batch"), eqx.nn.Linear(INPUTS, OUTPUTS, key=key)

    def __call__(self, x):
        return self.norm(self.linear(x))


REFUSED = {
    "float32 of linen": (lambda: Linen(dtype=jnp.float32), "param_dtype=float"),
    "float32 of nnx": (lambda: lambda key: Nnx(nnx.Rngs(key), jnp.float32), "precision='float32'"),
    "float32 of equinox": (lambda: lambda key: equinox(key, jnp.float32), "has weights of float32"),
    "batch statistics": (lambda: Normed(), "batch_stats"),
    "dropout": (lambda: Dropped(), "leave out what draws"),
    "dropout of nnx": (lambda: lambda key: NnxDropped(nnx.Rngs(key)), "RngCount"),
    "state of equinox": (lambda: EqxNormed, "State"),
    "a number": (lambda: 3, "cannot be made of a int"),
    "a function of nothing": (lambda: lambda key: 3, "is made as a int"),
    "other inputs": (lambda: (plain, lambda theta, x: x @ jnp.ones((9, OUTPUTS))), "cannot be applied"),
    "no weights": (lambda: (lambda key, x: {}, lambda theta, x: x), "no weights"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_carried_is_one_line(problem, name):
    module, words = REFUSED[name]
    users = jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard")
    with users[0], users[1], pytest.raises(Mistake) as refused:
        ib.network(module()).init(problem, ib.SeedKey(jnp.asarray(0)))
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_outputs_must_be_those_of_the_targets():
    with pytest.raises(Mistake, match=r"returns shape \(11, 3\).*targets ask for \(11,\)"):
        supervised(X, Y[:, 0]).loss(lambda x: x[:, :3])
    with pytest.raises(Mistake, match="no inputs in a Linear"):
        ib.mlp((3,)).init(ib.linear.gaussian(3, 5)(0), ib.SeedKey(jnp.asarray(0)))


# -- mlp ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
def test_mlp_is_written_out(bias):
    net = ib.mlp((4, 6), jnp.tanh, bias=bias)
    theta = net.init(supervised(X.reshape(11, INPUTS, 1), Y), ib.SeedKey(jnp.asarray(0)))
    theta = jax.tree.map(lambda w: w + 0.1, theta)
    x = X
    for number in (1, 2, 3):
        layer = theta[f"layer{number}"]
        x = x @ np.asarray(layer["kernel"]) + (np.asarray(layer["bias"]) if bias else 0)
        x = np.tanh(x) if number < 3 else x
    np.testing.assert_allclose(net(theta)(X), x, atol=1e-13)


def test_first_weights_have_variance_one_over_inputs():
    net = ib.mlp((200,))
    theta = net.init(supervised(np.ones((2, 50)), np.zeros(2)), ib.SeedKey(jnp.asarray(0)))
    assert theta["layer2"]["kernel"].shape == (200,)  # one number and no axis
    assert abs(50 * np.var(theta["layer1"]["kernel"]) - 1) < 0.05


def test_starts():
    """Aligned: rows equal, plus noise; a norm for every row of a block; in the order given."""
    net = ib.mlp((4,), start=[ib.aligned(0.0), ib.row_norm(2.5, ["layer1"])])
    theta = net.init(supervised(X, Y), ib.SeedKey(jnp.asarray(0)))
    w = np.asarray(theta["layer1"]["kernel"])
    np.testing.assert_allclose(w, np.repeat(w[:, :1], 4, axis=1), atol=1e-15)
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), 2.5)
    assert np.ptp(np.linalg.norm(theta["layer2"]["kernel"], axis=0)) < 1e-12
    noisy = ib.mlp((4,), start=[ib.aligned(0.1)]).init(supervised(X, Y), ib.SeedKey(jnp.asarray(0)))
    drawn = ib.mlp((4,)).init(supervised(X, Y), ib.SeedKey(jnp.asarray(0)))
    a, b = np.asarray(noisy["layer1"]["kernel"]), np.asarray(drawn["layer1"]["kernel"])
    np.testing.assert_allclose(a - a[:, :1], 0.1 * (b - b[:, :1]), atol=1e-15)


# -- weight normalisation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [False, True])
def test_rows_count_by_their_directions(gain):
    """Scaling a row of a normalised block changes nothing, and the gradient is orthogonal to each; of others it does."""
    net = ib.RowNormalised(ib.mlp((4, 6)), blocks=("layer1", "layer2"), gain=gain)
    problem = supervised(X, Y)
    theta = net.init(problem, ib.SeedKey(jnp.asarray(0)))
    tree = theta.v if gain else theta
    scaled = {**tree, "layer1": {"kernel": tree["layer1"]["kernel"] * jnp.array([[1.0, 2, 0.1, 7]])}}
    scaled = theta._replace(v=scaled) if gain else scaled
    np.testing.assert_allclose(net(theta)(X), net(scaled)(X), atol=1e-13)
    gradient = jax.grad(lambda theta: problem.loss(net(theta)))(theta)
    v = gradient.v if gain else gradient
    for layer in ("layer1", "layer2"):
        w, d = np.asarray(tree[layer]["kernel"]), np.asarray(v[layer]["kernel"])
        assert np.abs((w * d).sum(0)).max() < 1e-14 and np.abs(d).max() > 1e-3
    assert np.abs((np.asarray(tree["layer3"]["kernel"]) * np.asarray(v["layer3"]["kernel"])).sum(0)).max() > 1e-3
    if gain:  # starts as the network itself
        np.testing.assert_allclose(net(theta)(X), ib.mlp((4, 6))(theta.v)(X), atol=1e-13)
        assert set(jax.tree.leaves(net.labels(theta).g)) == {"size"}
    else:
        units = {**theta, **{k: {"kernel": theta[k]["kernel"] / row_norms(theta[k]["kernel"]).repeat(theta[k]["kernel"].shape[0], 0)} for k in ("layer1", "layer2")}}  # fmt: skip
        np.testing.assert_allclose(net(theta)(X), ib.mlp((4, 6))(units)(X), atol=1e-13)


def test_blocks_that_are_not_there():
    with pytest.raises(Mistake, match="name 'layer9'.*known: layer1, layer2"):
        net = ib.RowNormalised(ib.mlp((4,)), blocks=("layer9",))
        net(net.init(supervised(X, Y), ib.SeedKey(jnp.asarray(0))))


@pytest.mark.parametrize("hidden", [(0,), (4, -3)])
def test_a_layer_of_no_width_is_one_line(hidden):
    with pytest.raises(Mistake, match="must be whole numbers from 1"):
        ib.mlp(hidden)


def test_rows_of_no_length_are_one_line():
    def cell(*, size, key):
        net = ib.RowNormalised(ib.mlp((4,), start=[ib.row_norm(size, ["layer1"])]), ("layer1",))
        return ib.Run(supervised(X, Y), net, ib.Descent(0.1, max_steps=2))

    study = ib.Study(cell=cell, grids=ib.grid(size=[1.0, 0.0], seed=[0]), records=ib.log_records(2))
    with pytest.raises(Mistake, match="row_norm: must be positive .at size=0"):
        study.run()
