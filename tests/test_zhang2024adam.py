"""Adam: the box and its certificate, the span of the examples, and what a vacuous check of each claim would miss."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

import implicit_bias as ib
from experiments.zhang2024adam import boxes, samples
from experiments.zhang2024adam.box_claims import BOXES
from experiments.zhang2024adam.claims import MARGIN, SAMPLES
from implicit_bias import catalogue

CLAIMS = {claim.id: claim for claim in (*MARGIN, *SAMPLES, *BOXES)}


def study(name):
    return catalogue.load(catalogue.find(f"zhang2024adam/{name}"))


# -- least squares in a box --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 8), (8, 4), (5, 5)])
def test_least_squares_in_a_box(shape):
    """Against L-BFGS-B, and by its own gap, which no x in the box makes negative."""
    rng = np.random.default_rng(0)
    A, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    for radius in (0.05, 0.3, 100.0):
        found = ib.box_least_squares(A, y, radius)
        assert np.max(abs(found.x)) <= radius and abs(found.gap) < 1e-12
        assert found.value == pytest.approx(np.sum((A @ found.x - y) ** 2) / 2, rel=1e-12)
        other = minimize(
            lambda x: (np.sum((A @ x - y) ** 2) / 2, A.T @ (A @ x - y)), np.zeros(shape[1]), jac=True, method="L-BFGS-B",
            bounds=[(-radius, radius)] * shape[1], options=dict(ftol=1e-15, gtol=1e-12),
        )  # fmt: skip
        assert found.value <= other.fun + 1e-12 and found.value == pytest.approx(other.fun, abs=1e-8)
    assert ib.box_least_squares(A, y, 100.0).value == pytest.approx(
        np.sum((A @ np.linalg.lstsq(A, y, rcond=None)[0] - y) ** 2) / 2, abs=1e-12
    )
    with pytest.raises(ValueError, match="radius must be positive"):
        ib.box_least_squares(A, y, 0.0)


def test_the_dual_value_is_below_every_point_of_the_box():
    rng = np.random.default_rng(1)
    A, y = rng.standard_normal((4, 6)), rng.standard_normal(4)
    found = ib.box_least_squares(A, y, 0.2)
    v = found.dual
    dual = y @ v - v @ v / 2 - 0.2 * np.abs(A.T @ v).sum()
    points = rng.uniform(-0.2, 0.2, (1000, 6))
    assert (np.sum((points @ A.T - y) ** 2, -1) / 2 >= dual).all() and dual == pytest.approx(found.value, rel=1e-12)


# -- what Adam's update can be -----------------------------------------------------------------------------------------


def longest(b1, b2, steps):
    """|m| / sqrt(v) after `steps` gradients, the worst there are: g_j ~ w_j / u_j, by the case of equality."""
    past = np.arange(steps)[::-1]
    w, u = b1 ** past / np.sum(b1 ** past), b2 ** past / np.sum(b2 ** past)
    law = ib.adam(b1, b2, 0.0)
    memory = law.init(jnp.zeros(1))
    for g in w / u:
        update, memory = law.step(lambda _, g=g: jnp.full(1, g), jnp.zeros(1), memory, None)
    return float(update[0]), np.sqrt(np.sum(w**2 / u))


@pytest.mark.parametrize("b1, b2", [(0.9, 0.9), (0.9, 0.999), (0.5, 0.99)])
def test_the_reach_of_adam_is_attained(b1, b2):
    """B is 1 for equal betas, and the equality case of Cauchy and Schwarz otherwise: 2 and more, for betas in order."""
    reached, bound = longest(b1, b2, 60)
    assert reached == pytest.approx(bound, rel=1e-10)
    # the largest of all lengths up to there
    assert bound <= boxes.reach(b1, b2, 60) * (1 + 1e-12)
    assert boxes.reach(b1, b2, 60) == pytest.approx(1.0) if b1 == b2 else boxes.reach(b1, b2, 60) > 1.5


@pytest.mark.slow
def test_an_inactive_box_is_no_evidence():
    """With little decay the data are fitted inside the box: all there is to bound is 0, and no claim is made."""
    ds = study("boxes").run(decay=[0.1], seed=range(2), max_steps=500)
    signs = ds["signs"].to_dataset()
    assert float(signs.box_share.max()) < 1e-12
    for name in ("signs-with-decay-are-frank-wolfe", "adamw-comes-to-the-least-on-the-box", "coupled-decay-ends-on-the-box"):
        assert ib.judge(CLAIMS[name], ds).verdict == "vacuous"


# -- the span ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_few_patterns_of_columns_hide_the_full_batch():
    """With two rows columns have two patterns: all examples a step stay in the span as well, and the claim says nothing."""
    asked = dict(uneven=[0.0], seed=range(3), max_steps=300)
    few = study("samples").run(rows=2, batch=["all"], **asked)
    assert (few.patterns == 2).all() and float(few.outside.max()) < 1e-12
    name = "adam-on-all-examples-stays-in-the-span"
    assert ib.judge(CLAIMS[name], few).verdict == "vacuous"
    many = study("samples").run(batch=["all"], **asked)
    assert (many.patterns > 5).all() and float(many.outside.max("record").min()) > 0.1
    assert ib.judge(CLAIMS[name], many).verdict == "refuted"


def test_examples_have_entries_of_one_size_and_are_independent():
    for seed in range(20):
        operator, _ = samples.examples_of(ib.SeedKey(jnp.asarray(seed)), 5, 8, 1.5, 0.0)
        sizes = np.abs(operator)
        assert np.ptp(sizes, axis=1).max() < 1e-12 and np.linalg.matrix_rank(np.asarray(operator)) == 5
        assert sizes.min() >= 1 / 1.5 and sizes.max() <= 1.5


# -- margins -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def margins():
    return study("margin").run(seed=range(4), horizon=[2500.0, 20_000.0], power=[0.5])


@pytest.mark.slow
def test_eps_that_has_not_acted_looks_like_no_eps(margins):
    """Where exp(-margin) is far above eps, |x|_inf grows as it does without: those runs are outside the hypothesis."""
    ds = margins.sel(b2=0.95, power=0.5)
    early, late = ds.sel(eps=1e-8, horizon=2500.0), ds.sel(eps=1e-8, horizon=20_000.0)
    unmoved = early.grown_middle < 12
    assert unmoved.sum() >= 3 and (early.acted.where(unmoved) < 1).sum() == unmoved.sum()
    assert float(abs(early.grown_inf - 1).where(unmoved).max()) < 0.02
    acted = late.acted > 1
    assert acted.sum() >= 2 and float(abs(late.grown_inf - 1).where(acted).min()) > 0.1


@pytest.mark.slow
def test_a_long_memory_hides_the_limit(margins):
    """At the usual b2 Adam without eps does not grow along the l-infinity margin yet; the hypothesis leaves those runs out."""
    ds = margins.sel(eps=0.0, power=0.5, horizon=20_000.0)
    assert (ds.memory.sel(b2=0.999) < 1).all() and (ds.memory.sel(b2=0.95) > 1).all()
    assert float(abs(ds.grown_inf - 1).sel(b2=0.95).max()) < 0.01 < float(abs(ds.grown_inf - 1).sel(b2=0.999).max())
