"""Neural collapse and the length of a step, against NumPy at the weights that a run has."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias import Mistake

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(3)
X = RNG.normal(size=(18, 5))
LABELS = np.repeat([0, 1, 2], [8, 6, 4])


def weights(snapshot):
    """the weights, laid flat"""
    return jax.flatten_util.ravel_pytree(snapshot.theta)[0]


def collapse(h, w, said):
    """The definitions, by loops and a pseudo-inverse."""
    means = np.array([h[LABELS == c].mean(0) for c in range(3)])
    centred = means - means.mean(0)
    within = sum(np.outer(d, d) for d in h - means[LABELS]) / len(h)
    between = sum(np.outer(m, m) for m in centred) / 3
    norms = [np.linalg.norm(m) for m in centred]
    cosines = [centred[c] @ centred[d] / (norms[c] * norms[d]) for c in range(3) for d in range(c)]
    nearest = [np.argmin([np.linalg.norm(x - m) for m in means]) for x in h]

    def apart(rows):
        return np.linalg.norm(rows / np.linalg.norm(rows) - centred / np.linalg.norm(centred))

    return {
        "within": np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 3,
        "norms": np.std(norms) / np.mean(norms),
        "angles": np.std(cosines),
        "simplex": np.mean([abs(c + 1 / 2) for c in cosines]),
        "duality": apart(w),
        "duality_centred": apart(w - w.mean(0)),
        "nearest": np.mean(np.array(nearest) != said),
    }


def check(ds, h, w, said):
    for name, value in collapse(h, w, said).items():
        np.testing.assert_allclose(ds[f"nc.{name}"], value, rtol=1e-9, err_msg=name)


@pytest.fixture(scope="module")
def ds():
    def cell(*, batch, key, decay=0.05, step=0.1):
        problem = ib.supervised(X, np.eye(3)[LABELS])
        descent = ib.Descent(step, batch=ib.minibatch(batch, key) if batch else None, max_steps=40)
        return ib.Run(problem, ib.mlp((6, 5), jnp.tanh, bias=True), descent, penalty=ib.weight_decay(decay))

    observe = {"nc": ib.neural_collapse("layer3"), "flat": weights, "moved": ib.step_length(), "some": ib.step_length(3)}
    return ib.Study(
        cell=cell, grids=ib.grid(batch=[4, 0], seed=[0, 1]), observe=observe, records=ib.records_at([0, 7, 8, 40])
    ).run()


def test_collapse_of_a_net_with_biases(ds):
    problem = ib.supervised(X, np.eye(3)[LABELS])
    like = ib.mlp((6, 5), bias=True).init(problem, ib.SeedKey(jnp.asarray(0)))
    unravel = jax.flatten_util.ravel_pytree(like)[1]
    for record in range(4):
        for seed in range(2):
            at = ds.isel(record=record, seed=seed, batch=0)
            layers = jax.tree.map(np.asarray, unravel(jnp.asarray(at["flat"].values)))
            h = np.tanh(X @ layers["layer1"]["kernel"] + layers["layer1"]["bias"])
            h = np.tanh(h @ layers["layer2"]["kernel"] + layers["layer2"]["bias"])
            w = layers["layer3"]["kernel"]
            check(at, h, w.T, (h @ w + layers["layer3"]["bias"]).argmax(1))


def test_collapse_of_an_equinox_module_with_labels():
    """Its matrix is [outputs, inputs]."""

    def cell(*, key):
        problem = ib.supervised(X, LABELS, "cross_entropy", classes=3)
        net = ib.network(lambda key: eqx.nn.MLP(5, 3, 7, 1, activation=jnp.tanh, key=key))
        return ib.Run(problem, net, ib.Descent(0.1, max_steps=5))

    observe = {"nc": ib.neural_collapse("layers/1/weight", unit_axis=0), "flat": weights}
    ds = ib.Study(cell=cell, grids=ib.grid(seed=[0]), observe=observe, records=ib.log_records(2)).run()
    at = ds.isel(record=-1, seed=0)
    flat = at["flat"].values
    shapes = [(7, 5), (7,), (3, 7), (3,)]
    w1, b1, w2, b2 = (a.reshape(s) for a, s in zip(np.split(flat, np.cumsum([np.prod(s) for s in shapes])[:-1]), shapes))
    h = np.tanh(X @ w1.T + b1)
    check(at, h, w2, (h @ w2.T + b2).argmax(1))


def test_collapsed_features_have_nothing_within():
    """One-hot inputs of the classes, and the identity."""

    def net():
        def init(key, x):
            return {"last": {"kernel": jnp.eye(3)}}

        return ib.network((init, lambda theta, x: x @ theta["last"]["kernel"]))

    def cell(*, key):
        return ib.Run(ib.supervised(np.eye(3)[LABELS], np.eye(3)[LABELS]), net(), ib.Descent(0.1, max_steps=1))

    study = ib.Study(
        cell=cell, grids=ib.grid(seed=[0]), observe={"nc": ib.neural_collapse("last")}, records=ib.log_records(2)
    )
    at = study.run().isel(record=0, seed=0)
    for name in ("within", "norms", "angles", "simplex", "duality_centred", "nearest"):
        assert abs(float(at[f"nc.{name}"])) < 1e-12, name
    assert float(at["nc.duality"]) > 0.1


def test_step_length_is_that_of_the_next_step(ds):
    """Records 7 and 8 are neighbours, in batches and with all examples."""
    step = np.linalg.norm(ds["flat"].isel(record=2).values - ds["flat"].isel(record=1).values, axis=-1)
    np.testing.assert_allclose(ds["moved"].isel(record=1), step, rtol=1e-12)
    everything = ds.isel(batch=1)
    np.testing.assert_allclose(everything["some"], everything["moved"], rtol=1e-12)
    assert (abs(ds["some"].isel(batch=0) / ds["moved"].isel(batch=0) - 1) > 1e-3).any()


def test_what_has_no_classes_or_no_such_block_is_one_line():
    def cell(*, key):
        return ib.Run(ib.supervised(X, X[:, 0]), ib.mlp((4,)), ib.Descent(0.1, max_steps=1))

    for block in ("layer1", "layer9"):
        study = ib.Study(cell=cell, grids=ib.grid(seed=[0]), observe={"nc": ib.neural_collapse(block)}, records=ib.log_records(2))
        with pytest.raises(Mistake, match=f"collapse before '{block}'"):
            study.run()
