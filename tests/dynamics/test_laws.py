"""A law that acts on the blocks of one label: against a loop in NumPy, in chains, and its mistakes."""

import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from tests import cases

STEP, RATE, STEPS = 0.1, 0.1, 40  # a row is shortened to two thirds: steps stay stable
EVERY = np.arange(STEPS + 1)


def run(law, *, problem=None, weights=None, ratio=0.3):
    problem = cases.problem_of(ib.square) if problem is None else problem
    weights = cases.PARAMETERIZATIONS["Polar"]() if weights is None else weights
    return cases.drive(problem, weights, ib.Descent(STEP, ratio=ratio, law=law, max_steps=STEPS), EVERY)["weights"]


def polar_loop(p, decay, ratio, momentum=0.0):
    """g' = g - eta (m_g + decay_g g), w' = w - eta (m_w + decay_w w), m' = momentum m + gradient, in NumPy."""
    problem = cases.problem_of(ib.square)
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    path, m, rates = [p], 0 * p, np.r_[decay[0], np.full(len(p) - 1, decay[1])]
    for _ in range(STEPS):
        g, w = p[0], p[1:]
        norm = np.linalg.norm(w)
        q = A.T @ (A @ (g * w / norm) - y)
        along = q @ w / norm
        m = momentum * m + np.r_[ratio * along, g / norm * (q - along * w / norm)]
        p = p - STEP * (m + rates * p)
        path.append(p)
    return np.array(path)


@pytest.mark.parametrize(("label", "rates"), [("weights", (0.0, RATE)), ("size", (RATE, 0.0))])
def test_decay_of_one_label(label, rates):
    """w decays and g does not, or g and not w; in the coordinates of the row space, as Polar runs are."""
    path = run(ib.decayed(RATE, on=label))
    np.testing.assert_allclose(path, polar_loop(path[0], rates, 0.3), rtol=0, atol=1e-12)
    both = run(ib.decayed(RATE))
    np.testing.assert_allclose(both, polar_loop(path[0], (RATE, RATE), 0.3), rtol=0, atol=1e-12)
    assert np.max(np.abs(both - path)) > 0.05


def test_a_frozen_size_decays_unless_the_label_says_so():
    """`ratio=0` takes the gradient from g; decay of all weights still shortens it, which is no scale-invariant run."""
    assert np.all(run(ib.decayed(RATE, on="weights"), ratio=0.0)[:, 0] == 0.5)
    np.testing.assert_allclose(run(ib.decayed(RATE), ratio=0.0)[:, 0], 0.5 * (1 - STEP * RATE) ** EVERY, rtol=1e-12)


@pytest.mark.parametrize("coupled", [True, False])
def test_in_a_chain_its_place_says_whether_momentum_sees_it(coupled):
    """After heavy ball the decay is decoupled: w' = (1 - eta rate) w - eta m."""
    parts = (ib.heavy_ball(0.5), ib.decayed(RATE, on="weights"))
    path = run(ib.chain(*parts[::-1] if coupled else parts))
    expected = polar_loop(path[0], (0.0, RATE), 0.3, momentum=0.5)
    assert (np.max(np.abs(path - expected)) < 1e-12) == (not coupled)


def test_rates_are_axes():
    """The rate is a leaf: lanes with different rates are one program."""
    make = lambda rate: (  # noqa: E731
        cases.problem_of(ib.square), cases.PARAMETERIZATIONS["Polar"](),
        ib.Descent(STEP, ratio=0.3, law=ib.decayed(rate, on="weights"), max_steps=STEPS),
    )  # fmt: skip
    lanes = cases.drive_lanes(make, [0.0, RATE], EVERY)["weights"]
    np.testing.assert_allclose(lanes[1], run(ib.decayed(RATE, on="weights")), rtol=0, atol=1e-12)
    np.testing.assert_allclose(lanes[0], run(ib.gradient_descent()), rtol=0, atol=1e-12)


def test_labels_of_a_network_are_its_blocks():
    problem = ib.supervised(np.eye(3), np.ones(3), "square")
    descent = ib.Descent(STEP, law=ib.decayed(RATE, on="layer1"), rates={"layer1": 0.0, "layer2": 0.0}, max_steps=4)

    def sizes(snapshot):
        """|W| of each layer"""
        return jnp.stack([jnp.linalg.norm(snapshot.theta[f"layer{i}"]["kernel"]) for i in (1, 2)])

    found = cases.drive(problem, ib.mlp((2,)), descent, [0, 4], (("sizes", sizes),))["sizes"]
    np.testing.assert_allclose(found[1] / found[0], [(1 - STEP * RATE) ** 4, 1.0], rtol=1e-14)


def test_mistakes():
    with pytest.raises(ib.Mistake, match="no weights have that label.*known: size, weights"):
        run(ib.decayed(RATE, on="gain"))
    with pytest.raises(ib.Mistake, match="only descent can say"):
        ib.decayed(RATE, on="weights").init(jnp.ones(2))


def test_equal_laws_are_equal():
    assert ib.decayed(0.1, on="weights") == ib.decayed(0.1, on="weights")
    assert ib.decayed(0.1, on="weights") != ib.decayed(0.1, on="size")
