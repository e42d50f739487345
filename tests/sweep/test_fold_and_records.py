"""Folds see every step, records only some; after the end of a run its records hold its last value."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import implicit_bias as ib
from implicit_bias.observables.base import AbstractFold
from tests import cases

STEP, EVENT = 0.05, 37


class Visits(AbstractFold):
    """How many pairs (before, after) it was shown, and whether each `before` was the `after` of the last."""

    definition = "number of pairs, or -1 if one was left out"

    def init(self, first):
        return jnp.zeros((), jnp.int32), first.time, first.loss

    def update(self, carry, before, after):
        count, time, loss = carry
        same = jnp.abs(before.loss - loss) <= 1e-12 * loss  # one number by two expressions, which may round apart
        follows = (before.time == time) & same & (count >= 0)
        return jnp.where(follows, count + 1, -1), after.time, after.loss

    def read(self, carry):
        return carry[0]


def spike(value):
    """The loss, but `value` at step 37: an event that lasts one step."""
    return lambda snapshot: jnp.where(snapshot.steps == EVENT, value, snapshot.loss)


OBSERVE = (
    ("steps", cases.steps),
    ("loss", ib.loss),
    ("low", spike(-5.0)),
    ("high", spike(50.0)),
    ("min", ib.running_min(spike(-5.0))),
    ("max", ib.running_max(spike(50.0))),
    ("nan", ib.running_min(spike(jnp.nan))),
    ("first", ib.first_time(lambda s: s.steps == EVENT)),
    ("first of many", ib.first_time(lambda s: s.steps >= EVENT)),
    ("at the start", ib.first_time(lambda s: s.loss > 0)),
    ("never", ib.first_time(lambda s: s.loss < 0)),
    ("always", ib.always(lambda before, after: after.steps != EVENT)),
    ("consecutive", ib.always(lambda before, after: after.steps == before.steps + 1)),
    ("decreases", ib.always(lambda before, after: after.loss <= before.loss)),
    ("visits", Visits()),
)


@pytest.fixture(scope="module")
def lanes():
    """Runs of GD, side by side, that stop at different steps; thresholds from never to before the event."""
    problem = cases.problem_of(ib.square)
    thresholds = [1e-300, 1e-2, 0.2]

    def make(threshold):
        law = ib.Descent(STEP, stop=ib.loss_below(threshold), max_steps=200)
        return problem, cases.PARAMETERIZATIONS["Euclidean"](), law

    out = cases.drive_lanes(make, thresholds, [0, 30, 60, 120, 200], OBSERVE)

    # the same runs by NumPy
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    x = np.asarray(cases.prepared(problem, cases.PARAMETERIZATIONS["Euclidean"](), ib.Descent(0.1), False).theta.x)
    losses = []
    for _ in range(201):
        losses.append(0.5 * np.sum((A @ x - y) ** 2))
        x = x - STEP * A.T @ (A @ x - y)
    losses = np.array(losses)
    ends = [int(np.argmax(losses < t)) if (losses < t).any() else 200 for t in thresholds]
    assert ends[0] == 200 and 60 < ends[1] < 120 and 0 < ends[2] < 30  # between records, after and before the event
    return out, losses, np.array(ends)


def test_records_see_what_stands_at_them(lanes):
    """The event at step 37 lies between the records 30 and 60, and no record shows it."""
    out, losses, _ = lanes
    np.testing.assert_array_equal(out["low"], out["loss"])
    np.testing.assert_array_equal(out["high"], out["loss"])
    np.testing.assert_allclose(out["loss"][0], losses[[0, 30, 60, 120, 200]], rtol=1e-10)


def test_records_hold_the_last_value_after_the_end(lanes):
    """Every record from the end on is that of the end; those before it are the trajectory's."""
    out, losses, ends = lanes
    for lane, end in enumerate(ends):
        seen = np.minimum([0, 30, 60, 120, 200], end)
        np.testing.assert_array_equal(out["steps"][lane], seen)
        np.testing.assert_allclose(out["loss"][lane], losses[seen], rtol=1e-10)
    np.testing.assert_array_equal(out["end steps"], ends)
    np.testing.assert_array_equal(out["status"], [ib.Status.CAPPED, ib.Status.CONVERGED, ib.Status.CONVERGED])


def test_folds_see_every_step_and_none_after_the_end(lanes):
    """running_min, running_max, first_time and always see the event in the runs that reach it, and only there."""
    out, losses, ends = lanes
    reached = ends >= EVENT
    np.testing.assert_array_equal(reached, [True, True, False])
    lowest = [losses[: e + 1].min() for e in ends]
    np.testing.assert_allclose(out["min"], np.where(reached, -5.0, lowest), rtol=1e-10)
    np.testing.assert_allclose(out["max"], np.where(reached, 50.0, losses[0]), rtol=1e-10)
    np.testing.assert_array_equal(np.isnan(out["nan"]), reached)  # a nan at one step is not forgotten
    np.testing.assert_allclose(out["first"], np.where(reached, STEP * EVENT, np.inf), rtol=1e-14)
    np.testing.assert_array_equal(out["first"], out["first of many"])  # the first, not the last
    np.testing.assert_array_equal(out["at the start"], 0.0)
    np.testing.assert_array_equal(out["never"], np.inf)
    np.testing.assert_array_equal(out["always"], ~reached)


def test_folds_are_shown_each_pair_of_neighbours_once(lanes):
    """As many pairs as steps, each beginning where the last one ended."""
    out, _, ends = lanes
    np.testing.assert_array_equal(out["visits"], ends)
    assert out["consecutive"].all() and out["decreases"].all()


@pytest.fixture(scope="module")
def flow():
    """A flow with the records far apart."""
    observe = (
        ("time", cases.time),
        ("below", ib.first_time(lambda s: s.loss < 0.1)),
        ("latest", ib.running_max(cases.time)),
        ("least", ib.running_min(ib.size)),
        ("forward", ib.always(lambda before, after: (after.time > before.time) & (after.steps == before.steps + 1))),
        ("visits", Visits()),
    )
    problem = cases.problem_of(ib.square)
    law = ib.Flow(jnp.asarray(20.0), stop=ib.loss_below(jnp.asarray(1e-3)))
    return problem, cases.drive(problem, cases.PARAMETERIZATIONS["Polar"](), law, [0.0, 10.0, 20.0], observe)


def test_folds_see_every_accepted_step_of_a_flow(flow):
    """As many pairs as accepted steps, forward in time; none for a step that was rejected or shortened to the event."""
    _, run = flow
    assert run["visits"] == run["end steps"] > 20
    assert run["forward"]
    assert run["latest"] == run["end time"]


def test_first_time_of_a_flow_is_within_a_step_of_the_crossing(flow):
    """scipy's crossing lies in the accepted step that ends at `first_time`; a step is shorter than 1/2 here.

    The steps of a fifth-order rule at tolerance 1e-10 on a problem of rates below 1.44 g^2 = 6: a few hundredths.
    """
    problem, run = flow
    A, y = np.asarray(problem.operator), np.asarray(problem.target)
    start = cases.prepared(problem, cases.PARAMETERIZATIONS["Polar"](), ib.Flow(1.0), False).theta

    def velocity(t, p):
        g, w = p[0], p[1:]
        u = w / np.linalg.norm(w)
        q = A.T @ (y - g * (A @ u))
        return np.concatenate([[u @ q], g / np.linalg.norm(w) * (q - u * (u @ q))])

    def crossing(t, p):
        return 0.5 * np.sum((p[0] * (A @ p[1:]) / np.linalg.norm(p[1:]) - y) ** 2) - 0.1

    crossing.terminal = True
    first = np.concatenate([[start.g], start.w])
    (time,) = solve_ivp(velocity, (0, 20), first, method="DOP853", rtol=1e-12, atol=1e-14, events=crossing).t_events[0]
    assert time < 10  # between the records
    assert 0 <= run["below"] - time < 0.5


def test_records_of_a_flow_hold_its_last_value(flow):
    _, run = flow
    assert run["status"] == ib.Status.CONVERGED and run["end time"] < 10
    np.testing.assert_array_equal(run["time"], [0.0, run["end time"], run["end time"]])


def test_a_run_that_diverged_holds_the_value_it_ended_with():
    """x_1 - 1 is multiplied by -4 at every step until the loss leaves the numbers; later records repeat the end."""
    problem = ib.linear.fixed([[1.0, 0.0]], [1.0])(0)
    weights = ib.Euclidean(jnp.asarray(0.5), jnp.array([1.0, 0.0]))
    law = ib.Descent(jnp.asarray(5.0), stop=ib.loss_below(jnp.asarray(1e-300)), max_steps=1000)
    run = cases.drive(problem, weights, law, [0, 100, 600, 800, 1000])
    assert run["status"] == ib.Status.DIVERGED
    np.testing.assert_array_equal(run["steps"], [0, 100, *[run["end steps"]] * 3])
    assert np.isfinite(run["loss"][:2]).all() and not np.isfinite(run["loss"][2:]).any()
    assert (run["x"][2:] == run["x"][2]).all()


# -- when to look -------------------------------------------------------------------------------------------------

RECORDS = {
    "log_records": ib.log_records(6),
    "linear_records": ib.linear_records(6),
    "records_at": ib.records_at([2, 3, 50]),
    "time_records": ib.time_records([0.2, 0.25, 3.0, 50.0]),
}


@pytest.mark.parametrize("law", [ib.Descent(0.1, max_steps=500), ib.Flow(50.0)], ids=["descent", "flow"])
@pytest.mark.parametrize("name", RECORDS)
def test_records_ascend_from_the_start_to_the_end(name, law):
    """Every clock begins at 0, ascends, and ends where the law does; in whole steps under descent."""
    clock = np.asarray(RECORDS[name](law))
    assert clock[0] == 0 and clock[-1] == law.end
    gaps = np.diff(clock)
    assert (gaps >= 0).all() if name == "time_records" else (gaps > 0).all()  # two times may round to one step
    assert np.issubdtype(clock.dtype, np.integer) == (law.unit == "steps")


def test_records_are_where_they_were_asked_for():
    descent, flow = ib.Descent(0.1, max_steps=500), ib.Flow(50.0)
    np.testing.assert_array_equal(RECORDS["records_at"](descent), [0, 2, 3, 50, 500])
    np.testing.assert_array_equal(RECORDS["records_at"](flow), [0, 2, 3, 50])
    np.testing.assert_array_equal(RECORDS["linear_records"](descent), [0, 100, 200, 300, 400, 500])
    np.testing.assert_allclose(RECORDS["linear_records"](flow), [0, 10, 20, 30, 40, 50], rtol=1e-15)
    np.testing.assert_array_equal(RECORDS["time_records"](descent), [0, 2, 2, 30, 500])  # 0.25 is step 2.5
    np.testing.assert_array_equal(ib.records_at([2, 3, 80])(flow), [0, 2, 3, 50])  # nothing after the end
    traced = ib.Flow(jnp.asarray(50.0))  # an end that only the compiled program knows: one length for all
    np.testing.assert_array_equal(ib.records_at([2, 3, 80])(traced), [0, 2, 3, 50, 50])
    logarithmic = np.log(np.asarray(RECORDS["log_records"](flow))[1:])
    np.testing.assert_allclose(np.diff(logarithmic), np.log(1e4) / 4, rtol=1e-12)
    for end in (flow, traced):
        np.testing.assert_allclose(ib.log_records(4, first=0.5)(end), [0, 0.5, 5, 50], rtol=1e-12)
    np.testing.assert_array_equal(ib.log_records(4, first=5)(descent), [0, 5, 50, 500])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ib.log_records(1),
        lambda: ib.log_records(4, first=0.0),
        lambda: ib.linear_records(1),
        lambda: ib.records_at([-1.0, 2.0]),
        lambda: ib.records_at([1, 1]),
        lambda: ib.time_records([-1.0]),
    ],
)
def test_records_that_make_no_sense_are_a_mistake(make):
    with pytest.raises(ib.Mistake, match="records"):
        make()


@pytest.mark.slow
def test_sweep_reads_the_same_folds(lanes):
    """Through a study, with lanes of different lengths in one block: the folds of the single runs."""
    out, _, ends = lanes

    def cell(*, stop, key):
        del key
        law = ib.Descent(STEP, stop=ib.loss_below(stop), max_steps=200)
        return ib.Run(cases.problem_of(ib.square), ib.Euclidean(0.5, _direction()), law)

    def _direction():
        run = cases.prepared(
            cases.problem_of(ib.square), cases.PARAMETERIZATIONS["Euclidean"](1.0), ib.Descent(0.1), False
        )
        return run.theta.x

    observe = {name: o for name, o in OBSERVE if name in ("min", "max", "first", "always")}
    study = ib.Study(
        cell=cell, grids=ib.grid(stop=[1e-300, 1e-2, 0.2]), observe=observe, records=ib.records_at([30, 60, 120])
    )
    ds = study.run(width=4)
    np.testing.assert_array_equal(ds["steps"], ends)
    for name in observe:
        np.testing.assert_allclose(ds[name], out[name].astype(ds[name].dtype), rtol=1e-10)


@pytest.mark.parametrize("sizes", [(2, 4), (4, 2)])
def test_an_array_that_some_runs_have_shorter_ends_in_nan_and_its_last_record_stays(sizes):
    """Its length hangs on an axis that shapes the program, as do the records."""

    def cell(*, columns, key):
        return ib.Run(ib.linear.gaussian(1, columns)(key), ib.Euclidean(0.1), ib.Descent(0.01, max_steps=columns))

    observe = {"weights": ib.predictor(), "sign": lambda snapshot: (snapshot.x > 0).astype(int), "at": cases.steps}
    both = ib.Study(
        cell=cell, grids=ib.grid(columns=sizes, seed=[0]), observe=observe, records=ib.linear_records(5),
    ).run()  # fmt: skip
    short, long = (both.sel(columns=str(c)) for c in (2, 4))
    assert both.weights.sizes["weights_0"] == both.sign.sizes["sign_0"] == 4
    assert np.isnan(short.weights.isel(weights_0=[2, 3])).all() and np.isfinite(short.weights.isel(weights_0=[0, 1])).all()
    assert np.isnan(short.sign.isel(sign_0=[2, 3])).all() and set(np.unique(long.sign)) <= {0, 1}
    assert np.isfinite(long.weights).all() and short["at"].values.tolist() == [[0, 1, 2, 2, 2]]


@pytest.mark.parametrize("weights", [ib.Polar, ib.Euclidean])
def test_lanes_with_clocks_of_their_own_stop_where_they_stop_alone(weights):
    """Records in t are at other steps for other step sizes; a lane's march went as far as its own, in its companions' steps."""

    def cell(*, step, key):
        problem = ib.linear.gaussian(4, 9, target_norm=2.0)(key)
        rule = ib.loss_below(1e-3)
        return ib.Run(problem, weights(1.0), ib.Descent(step, stop=rule, max_steps=6000, stepped=True))

    records, steps = ib.time_records([0.5, 1.0, 5.0, 10.0]), [2e-3, 0.02, 0.05]
    study = ib.Study(cell=cell, grids=ib.grid(seed=range(2), step=steps), records=records)
    together = study.run()
    for step in steps:
        alone = study.run(step=[step])
        for name in ("steps", "status"):
            np.testing.assert_array_equal(alone[name].sel(step=step), together[name].sel(step=step))
        np.testing.assert_allclose(alone.loss.sel(step=step), together.loss.sel(step=step), rtol=1e-9)


def test_an_observable_of_nothing_is_nothing():
    def cell(*, scale, key):
        return ib.Run(ib.linear.gaussian(3, 7)(key), ib.Polar(scale), ib.Descent(1e-2, max_steps=9))

    made = ib.Study(cell=cell, grids=ib.grid(seed=range(2), scale=[0.5, 1.0]), observe={"none": ib.at_end(lambda s: s.x[:0])})
    assert made.run().none.shape[-1] == 0 and made.run(width=2).none.shape[-1] == 0
