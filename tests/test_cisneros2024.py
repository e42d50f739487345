"""What the studies of networks with weight normalisation lean on, against dense matrices."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from experiments.cisneros2024.network import P2, curvature_bound, network, regression


def drawn(rng, depth, inputs, width):
    """Rows of unequal norms, some of them aligned with the sum of what they see."""
    weights, sizes = {}, [inputs, *[width] * depth]
    for number, (rows, columns) in enumerate(zip(sizes, sizes[1:], strict=False), start=1):
        kernel = rng.normal(size=(rows, columns)) * np.exp(rng.normal(size=columns))
        mixed = rng.uniform()
        weights[f"layer{number}"] = {"kernel": jnp.asarray((1 - mixed) * kernel + mixed * np.ones_like(kernel))}
    weights[f"layer{depth + 1}"] = {"kernel": jnp.asarray(rng.normal(size=width) * np.exp(rng.normal()))}
    return weights


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_bound_is_above_the_dense_hessian(depth):
    rng, inputs, width = np.random.default_rng(depth), 4, 6
    net = network(depth, width)
    flat, back = jax.flatten_util.ravel_pytree(drawn(rng, depth, inputs, width))
    hessian = jax.jit(lambda theta, x: jax.hessian(lambda theta: net(back(theta))(x[None])[0])(theta))
    ratios = []
    for _ in range(40):
        weights, x = drawn(rng, depth, inputs, width), rng.normal(size=inputs) * np.exp(rng.normal())
        largest = np.abs(np.linalg.eigvalsh(hessian(jax.flatten_util.ravel_pytree(weights)[0], jnp.asarray(x)))).max()
        row = min(np.linalg.norm(weights[f"layer{k}"]["kernel"], axis=0).min() for k in range(1, depth + 1))
        output = np.linalg.norm(weights[f"layer{depth + 1}"]["kernel"])
        ratios.append(largest / curvature_bound(depth, width, np.linalg.norm(x), row, output))
    assert 0.05 / depth**2 < max(ratios) <= 1  # a bound, and one that is met by a good part


def test_the_bound_of_one_layer_is_its_formula():
    radius, row, output, width = 1.3, 0.7, 2.0, 9
    a = output * (P2 * radius**2 / (width * row**2) + 2 / np.sqrt(3) * radius / (np.sqrt(width) * row**2))
    b = radius / (np.sqrt(width) * row)
    assert curvature_bound(1, width, radius, row, output) == pytest.approx((a + np.sqrt(a**2 + 4 * b**2)) / 2)


def test_p2_is_the_largest_second_derivative_of_tanh():
    z = np.linspace(-3, 3, 200_001)
    assert np.abs(2 * np.tanh(z) * (1 - np.tanh(z) ** 2)).max() == pytest.approx(P2, rel=1e-9)


def test_networks_start_as_they_say():
    key = ib.SeedKey(jnp.asarray(0))
    problem = regression(key, 20, 5, 3.0, noise=0.5, held_out=7)
    np.testing.assert_allclose(np.linalg.norm(problem.inputs, axis=1), 3.0)
    assert problem.held_out[0].shape == (7, 5)
    for norm, rows in ("rows", [2.0, 2.0]), ("twin", [2.0 * 5**0.5, 2.0 * 6**0.5]):
        weights = network(2, 6, size=2.0, output=4.0, norm=norm).init(problem, key)
        for number, length in enumerate(rows, start=1):
            np.testing.assert_allclose(np.linalg.norm(weights[f"layer{number}"]["kernel"], axis=0), length)
        assert np.linalg.norm(weights["layer3"]["kernel"]) == pytest.approx(4.0)


def test_aligned_rows_carry_the_signal_on():
    """Equal rows along what equal rows say: f(x) = |v| phi(... phi(<u, x>/sqrt m)) sqrt m, a network of one unit a layer."""
    key = ib.SeedKey(jnp.asarray(1))
    problem, width = regression(key, 3, 4, 2.0), 9
    net = network(3, width, aligned=0.0)
    weights = net.init(problem, key)
    a = problem.inputs @ weights["layer1"]["kernel"][:, 0] / width**0.5
    for _ in range(2):
        a = np.tanh(a)
    np.testing.assert_allclose(net(weights)(problem.inputs), 4.0 * width**0.5 * np.tanh(a), rtol=1e-12)


def test_the_mean_of_a_change_telescopes():
    def fallen(before, after):
        """L' - L"""
        return after.loss - before.loss

    study = ib.Study(
        cell=lambda *, step, key: ib.Run(
            ib.linear.gaussian(3, 5)(key), ib.Euclidean(0.3), ib.Descent(step, max_steps=10)
        ),
        grids=ib.grid(step=[0.05, 0.1], seed=range(2)),
        observe={
            "mean": ib.mean_change(fallen),
            "late": ib.mean_change(fallen, lambda before: before.steps >= 5),
            "never": ib.mean_change(fallen, lambda before: before.steps >= 10),
            "sum": ib.summed(lambda before, after: jnp.stack([fallen(before, after), after.time - before.time])),
        },
        records=ib.records_at([0, 5, 10]),
    )
    ds = study.run()
    first, middle, last = (ds.loss.isel(record=k) for k in range(3))
    np.testing.assert_allclose(ds["mean"], (last - first) / 10, rtol=1e-12)
    np.testing.assert_allclose(ds["late"], (last - middle) / 5, rtol=1e-12)
    assert np.isnan(ds["never"]).all()
    np.testing.assert_allclose(ds["sum"].isel(sum_0=0), last - first, rtol=1e-12)
    np.testing.assert_allclose(ds["sum"].isel(sum_0=1), (10 * ds.step).broadcast_like(last), rtol=1e-12)
