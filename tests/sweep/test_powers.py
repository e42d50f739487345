"""Linear laws by powers: the run at its records, its end and its stops are those of the run that takes every step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.dynamics.stopping import LossBelow

LAWS = {
    "descent": ib.gradient_descent(),
    "heavy ball": ib.heavy_ball(0.9),
    "Nesterov": ib.heavy_ball(0.9, nesterov=True),
    "decay": ib.decayed(1e-2),
    "decay, then momentum": ib.chain(ib.decayed(1e-2), ib.heavy_ball(0.5)),
}
WORD = "by powers of a step"


def study(law="descent", weights=ib.Euclidean, observe=None, records=None, **how):
    most = how.pop("max_steps", 4000)

    def cell(*, scale, key, step=5e-3, max_steps=most):
        problem = ib.linear.gaussian(4, 9, target_norm=3.0)(key)
        rule = LAWS[law] if isinstance(law, str) else law
        return ib.Run(problem, weights(scale), ib.Descent(step, law=rule, max_steps=max_steps, **how))

    observe = {"x": lambda snapshot: snapshot.x, "perp": ib.orthogonal_log} if observe is None else observe
    grids = ib.grid(seed=range(2), scale=[1e-2, 0.3, 4.0])
    return ib.Study(cell=cell, grids=grids, observe=observe, records=records or ib.log_records(6))


def rewriting(study, **settings):
    (batch,) = study.plan(**settings).batches
    return batch.program.traced.rewriting


@pytest.mark.parametrize("law", LAWS)
def test_records_are_those_of_the_steps(law):
    """1e-10 of |x|: each step, and each squaring, rounds to a few eps, which 4000 contracting steps do not amplify."""
    powers, steps = study(law), study(law, stepped=True)
    assert WORD in rewriting(powers) and WORD not in rewriting(steps)
    found, expected = powers.run(), steps.run()
    np.testing.assert_allclose(found.x, expected.x, rtol=0, atol=1e-10 * float(abs(expected.x).max()))
    np.testing.assert_allclose(found.perp, expected.perp, rtol=1e-9)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_allclose(found.time, expected.time, rtol=0, atol=0)


def test_records_are_those_of_dense_linear_algebra():
    """x_k = x* + (1 - eta A^T A)^k (x_0 - x*), by NumPy's matrix power in the user's coordinates."""
    observe = {"x": lambda s: s.x, "A": ib.at_end(lambda s: s.problem.operator), "y": ib.at_end(lambda s: s.problem.target)}
    data = study(observe=observe).run()
    for seed in data.seed.values:
        for scale in data.scale.values:
            run = data.sel(seed=seed, scale=scale)
            A, x = run["A"].values, run["x"].values
            limit = np.linalg.pinv(A) @ run["y"].values
            limit = limit + x[0] - np.linalg.pinv(A) @ (A @ x[0])
            for k, there in zip(data.clock.values.ravel(), x):
                expected = limit + np.linalg.matrix_power(np.eye(9) - 5e-3 * A.T @ A, int(k)) @ (x[0] - limit)
                np.testing.assert_allclose(there, expected, atol=1e-11)


@pytest.mark.parametrize("step", [5e-3, 5e-2])
def test_runs_stop_where_steps_stop(step):
    """At the very step, and with its weights: a loss that falls by no more than rounding there would differ by one."""
    found, expected = (study(stop=ib.loss_below(1e-2), stepped=stepped).run(step=step) for stepped in (False, True))
    np.testing.assert_array_equal(found.steps, expected.steps)
    np.testing.assert_array_equal(found.status, expected.status)
    assert (found.status == ib.Status.CONVERGED).any()
    np.testing.assert_allclose(found.x, expected.x, atol=1e-11)


def test_a_run_that_may_diverge_takes_its_steps():
    """step > 2 / lambda: the loss may first fall below the threshold, and then grow; the lanes beside it do not mind."""
    both = [study(stop=ib.loss_below(1e-3), stepped=stepped).run(step=[5e-3, 3.0]) for stepped in (False, True)]
    for name in ("steps", "status"):
        np.testing.assert_array_equal(*(data[name] for data in both))
    assert {int(s) for s in np.unique(both[0].status)} >= {ib.Status.CONVERGED, ib.Status.DIVERGED}
    np.testing.assert_array_equal(both[0].x.isel(step=1), both[1].x.isel(step=1))  # they are the steps


@pytest.mark.parametrize("stop", [None, ib.loss_below(1e-2)])
def test_segments_give_the_bits_of_the_whole_run(stop, tmp_path):
    law = "descent" if stop else "heavy ball"
    whole = study(law, stop=stop).run()
    parts = study(law, stop=stop).run(out=tmp_path, segment=137.0)
    for name in ("x", "perp", "steps", "time", "status", "loss"):
        np.testing.assert_array_equal(whole[name], parts[name])


class Risen(LossBelow):
    """A rule of a user's own, of which nothing is known."""


def test_a_residual_that_decay_takes_through_zero_stops_there():
    """From above its target to a rest below it: the loss falls to 0 and rises again, and only steps see where."""

    def cell(*, start, key):
        problem = ib.linear.fixed(jnp.array([[1.0, 0.0]]), jnp.array([1.0]))(key)
        law = ib.decayed(0.5)
        descent = ib.Descent(1e-3, law=law, stop=ib.loss_below(1e-3), max_steps=4000)
        return ib.Run(problem, ib.Euclidean(start, direction=jnp.array([1.0, 0.0])), descent)

    made = ib.Study(cell=cell, grids=ib.grid(start=[4.0]), records=ib.log_records(4))
    assert WORD not in rewriting(made)
    run = made.run()
    assert run.status.item() == ib.Status.CONVERGED and run.steps.item() < 2000


@pytest.mark.parametrize("threshold, step", [(1e-20, 5e-2), (1e-29, 5e-2)])
def test_what_has_stopped_has_met_its_rule(threshold, step, tmp_path):
    """Near the rounding of the loss: the point that was seen to meet it is the run's last, and segments find the same one."""
    made = study(stop=ib.loss_below(threshold), max_steps=200_000, records=ib.log_records(20))
    found = made.run(seed=range(6), step=step)
    done = found.status == ib.Status.CONVERGED
    assert done.any() and (found.loss.isel(record=-1).where(done, 0.0) < threshold).all()
    parts = made.run(seed=range(6), step=step, segment=997.0, out=tmp_path)
    for name in ("steps", "status", "loss", "x"):
        np.testing.assert_array_equal(found[name], parts[name])


def test_what_the_data_do_not_see_goes_on_while_the_rest_is_at_rest():
    """Decay shrinks the orthogonal part for ever, and a large one does not put small coordinates to rest."""
    powers, steps = (study("decay, then momentum", stepped=stepped, max_steps=20_000) for stepped in (False, True))
    found, expected = powers.run(step=0.2), steps.run(step=0.2)
    assert WORD in rewriting(powers)
    np.testing.assert_allclose(found.perp, expected.perp, rtol=1e-8)

    def cell(*, far, key, stepped=False):
        problem = ib.linear.fixed(jnp.array([[1.0, 0.0]]), jnp.array([1e-9]))(key)
        weights = ib.Euclidean(far, direction=jnp.array([0.0, 1.0]))
        return ib.Run(problem, weights, ib.Descent(1e-3, law=ib.heavy_ball(0.5), max_steps=4000, stepped=stepped))

    small = ib.Study(cell=cell, grids=ib.grid(far=[1e3]), observe={"x": ib.predictor()}, records=ib.log_records(6))
    found, expected = (small.run(stepped=stepped).x[..., 0] for stepped in (False, True))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


class Halved(type(LAWS["decay, then momentum"])):
    """A user's law that is built upon one of ours."""

    def step(self, gradient_at, theta, memory, key):
        direction, memory = super().step(gradient_at, theta, memory, key)
        return jax.tree.map(jnp.tanh, direction), memory


def test_what_is_not_linear_or_gains_nothing_takes_its_steps():
    for made in (
        study(weights=ib.Polar), study(observe={"most": ib.running_max(lambda s: s.loss)}), study(records=ib.linear_records(400)),
        study("heavy ball", stop=ib.loss_below(1e-2)), study("decay", stop=ib.loss_below(1e-2)), study(stop=Risen(1e-2)),
        study(rates={"weights": 0.5}), study(Halved((ib.decayed(1e-2), ib.heavy_ball(0.5)))),
    ):  # fmt: skip
        assert WORD not in rewriting(made)
