"""Observables of networks: against NumPy at the weights that a run has, and dense Hessians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import implicit_bias as ib
from implicit_bias import Mistake

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(9, 4)), RNG.normal(size=(9, 3))
OTHER, OF_OTHER = RNG.normal(size=(5, 4)), np.eye(3)[[0, 1, 2, 2, 1]]


def weights(snapshot):
    """the weights, laid flat"""
    return jax.flatten_util.ravel_pytree(snapshot.theta)[0]


pytestmark = pytest.mark.slow

LAWS = {"adam": ib.adam(0.9, 0.99), "rms": ib.rmsprop(0.9)}  # of gradient descent P is 1: cohen2021/edge


def cell(*, law, key, last=30, rate=1e-2):
    problem = ib.supervised(X, np.eye(3)[Y.argmax(1)], held_out=(OTHER, OF_OTHER))
    descent = ib.Descent(1e-2, law=LAWS[law], max_steps=last)
    return ib.Run(problem, ib.mlp((5,), jnp.tanh, bias=True), descent, penalty=ib.weight_decay(rate))


def memory(snapshot):
    """what the law keeps of squares"""
    nu = getattr(snapshot.memory, "nu", jax.tree.map(jnp.zeros_like, snapshot.theta))
    return jax.flatten_util.ravel_pytree(nu)[0]


OBSERVE = {
    "weights": weights, "memory": memory, "top": ib.sharpness(3), "least": ib.sharpness(end="smallest"),
    "seen": ib.preconditioned_sharpness(), "density": ib.at_end(ib.spectral_density(steps=8, probes=2)),
    "rows": ib.row_norms("layer1"), "rank": ib.stable_rank("layer1"), "spectrum": ib.block_spectrum("layer2/kernel"),
    "out": ib.outputs(), "wrong": ib.error_rate(), "wrong_out": ib.error_rate_held_out(), "loss_out": ib.loss_held_out(),
}  # fmt: skip


@pytest.fixture(scope="module")
def ds():
    study = ib.Study(
        cell=cell, grids=ib.grid(law=list(LAWS), seed=[0, 1]), observe=OBSERVE, records=ib.records_at([0, 7, 30])
    )
    return study.run()


def unravel(flat):
    like = ib.mlp((5,), bias=True).init(ib.supervised(X, Y), ib.SeedKey(jnp.asarray(0)))
    return jax.flatten_util.ravel_pytree(like)[1](jnp.asarray(flat))


def function(theta, x):
    hidden = np.tanh(x @ np.asarray(theta["layer1"]["kernel"]) + np.asarray(theta["layer1"]["bias"]))
    return hidden @ np.asarray(theta["layer2"]["kernel"]) + np.asarray(theta["layer2"]["bias"])


def runs(ds):
    for law in range(ds.sizes["law"]):
        for seed in range(2):
            for record in range(3):
                yield str(ds.law.values[law]), ds.isel(law=law, seed=seed, record=record)


def test_weights_and_outputs(ds):
    right = np.eye(3)[Y.argmax(1)]
    for _, at in runs(ds):
        theta = unravel(at.weights.values)
        w1, w2 = np.asarray(theta["layer1"]["kernel"]), np.asarray(theta["layer2"]["kernel"])
        np.testing.assert_allclose(at["rows"], np.linalg.norm(w1, axis=0))
        np.testing.assert_allclose(at["rank"], np.linalg.norm(w1) ** 2 / np.linalg.norm(w1, 2) ** 2)
        np.testing.assert_allclose(at["spectrum"], np.linalg.svd(w2, compute_uv=False))
        z, other = function(theta, X), function(theta, OTHER)
        np.testing.assert_allclose(at["out"], z, atol=1e-14)
        np.testing.assert_allclose(at["wrong"], np.mean(z.argmax(1) != right.argmax(1)))
        np.testing.assert_allclose(at["wrong_out"], np.mean(other.argmax(1) != OF_OTHER.argmax(1)))
        np.testing.assert_allclose(at["loss_out"], np.mean(((other - OF_OTHER) ** 2).sum(1) / 2))
        np.testing.assert_allclose(at["loss"], np.mean(((z - right) ** 2).sum(1) / 2))


def dense_hessian(flat):
    right = jnp.eye(3)[Y.argmax(1)]

    def objective(flat):
        theta = unravel(flat)
        hidden = jnp.tanh(X @ theta["layer1"]["kernel"] + theta["layer1"]["bias"][None])
        z = hidden @ theta["layer2"]["kernel"] + theta["layer2"]["bias"][None]
        return 0.5 * jnp.mean(jnp.sum((z - right) ** 2, axis=1)) + 1e-2 / 2 * jnp.sum(flat**2)

    return np.asarray(jax.hessian(objective)(jnp.asarray(flat)))


def test_curvature_against_dense_hessians(ds):
    """Of loss and penalty; and what each law sees: P by the definition of Adam and RMSProp."""
    for law, at in runs(ds):
        hessian = dense_hessian(at.weights.values)
        values = np.linalg.eigvalsh(hessian)
        np.testing.assert_allclose(at["top.value"], values[::-1][:3], atol=2e-6 * values[-1])
        np.testing.assert_allclose(at["least.value"], values[0], atol=2e-6 * values[-1])
        assert (at["top.bound"] <= 1e-6 * values[-1]).all() and at["top.products"] >= 3
        nu, count = at["memory"].values, int(at["clock"])
        if law == "adam" and count == 0:
            assert np.isnan(at["seen.value"])
            continue
        p = {
            "rms": np.sqrt(nu) + 1e-8,
            "adam": (1 - 0.9**count) * (np.sqrt(nu / (1 - 0.99 ** max(count, 1))) + 1e-8),
        }[law]
        expected = scipy.linalg.eigh(hessian, np.diag(p), eigvals_only=True)[-1]
        np.testing.assert_allclose(at["seen.value"], expected, rtol=1e-5)


def test_density_at_the_end(ds):
    for law in range(2):
        at = ds.isel(law=law, seed=0)
        hessian = dense_hessian(at.weights.values[-1])
        nodes, masses = at["density.nodes"].values, at["density.weights"].values
        assert nodes.shape == (2, 8)
        np.testing.assert_allclose(masses.sum(1), 1)
        assert abs((nodes * masses).sum(1).mean() - np.trace(hessian) / len(hessian)) < 0.6 * np.linalg.norm(hessian)


def test_homogeneity():
    """L layers without biases are L-homogeneous under ReLU; tanh is not; a normalised block counts for nothing."""

    def measured(net):
        def cell(*, key):
            return ib.Run(ib.supervised(X, Y), net, ib.Descent(1e-3, max_steps=1))

        study = ib.Study(cell=cell, grids=ib.grid(seed=[0]), facts={"h": ib.homogeneity()}, records=ib.log_records(2))
        ds = study.run(width=1)
        return float(ds["h.degree"].squeeze()), float(ds["h.defect"].squeeze())

    degree, defect = measured(ib.mlp((6, 5), jax.nn.relu))
    assert abs(degree - 3) < 1e-12 and defect < 1e-12
    degree, defect = measured(ib.RowNormalised(ib.mlp((6, 5), jax.nn.relu), blocks=("layer1", "layer2")))
    assert abs(degree - 1) < 1e-12 and defect < 1e-12
    assert measured(ib.mlp((6, 5), jnp.tanh, scale=3.0))[1] > 1e-2


def test_a_block_that_is_not_there_is_one_line():
    with pytest.raises(Mistake, match="asks for the matrix of 'layer7', of which the weights have none; known: layer1/kernel, layer2/kernel"):
        study = ib.Study(cell=cell, grids=ib.grid(law=["adam"], seed=[0]), observe={"r": ib.row_norms("layer7")})
        study.run(width=1, last=3)


def test_an_eigenvalue_that_did_not_converge_is_marked():
    study = ib.Study(
        cell=cell, grids=ib.grid(law=["adam"], seed=[0]), observe={"top": ib.sharpness(4, tolerance=1e-13, products=20)},
        records=ib.records_at([0, 3]),
    )  # fmt: skip
    ds = study.run(width=1, last=3)
    assert ds["top.value"].isnull().any() and (ds["top.bound"] > 0).all()


def test_the_curvature_of_an_output():
    """max_i |f''(x_i)| at the start and after some steps, of a network of one output; one of several is refused."""

    def one(*, key, last=4):
        return ib.Run(ib.supervised(X, Y[:, 0]), ib.mlp((5,), jnp.tanh), ib.Descent(0.1, max_steps=last))

    observe = {"curvature": ib.output_curvature(), "weights": weights}
    study = ib.Study(cell=one, grids=ib.grid(seed=[0]), observe=observe, records=ib.records_at([0, 4]))
    ds = study.run(width=1).isel(seed=0)
    like = ib.mlp((5,)).init(ib.supervised(X, Y[:, 0]), ib.SeedKey(jnp.asarray(0)))

    def outputs(flat):
        theta = jax.flatten_util.ravel_pytree(like)[1](flat)
        return jnp.tanh(X @ theta["layer1"]["kernel"]) @ theta["layer2"]["kernel"]

    for k in range(2):
        hessians = jax.hessian(outputs)(jnp.asarray(ds.weights.values[k]))
        np.testing.assert_allclose(ds["curvature.value"][k], np.abs(np.linalg.eigvalsh(hessians)).max(), rtol=2e-6)
    with pytest.raises(Mistake, match="curvature of an output, and there are 3"):
        study = ib.Study(cell=cell, grids=ib.grid(law=["adam"], seed=[0]), observe={"c": ib.output_curvature()})
        study.run(width=1, last=3)
