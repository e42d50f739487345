"""Observables that are asked for rarely, that are trees, that read the law's memory, and that draw."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias._errors import Mistake
from implicit_bias._results import owner
from tests import cases

RECORDS = ib.linear_records(11)


def dearest(snapshot):
    """the greatest eigenvalue of x x^T"""
    return jnp.linalg.eigvalsh(jnp.outer(snapshot.x, snapshot.x))[-1]


def descent(*, key, scale):
    stop = ib.loss_below(2e-3)
    return ib.Run(ib.linear.gaussian(3, 5)(key), ib.Polar(scale), ib.Descent(0.05, stop=stop, max_steps=100))


def flow(*, key, scale):
    stop = ib.loss_below(2e-3)
    return ib.Run(ib.linear.gaussian(3, 5)(key), ib.Polar(scale), ib.Flow(5.0, stop=stop, rtol=1e-6, atol=1e-9))


GRID = ib.grid(scale=[0.5, 1.5], seed=range(3))


def _equations(jaxpr, name, inside=()):
    """The names of the loops and branches around each equation called `name`."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == name:
            yield inside
        for part in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")):
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                yield from _equations(getattr(part, "jaxpr", part), name, (*inside, equation.primitive.name))


@pytest.mark.slow
@pytest.mark.parametrize("cell", [descent, flow])
def test_rarely_is_where_and_what_it_says(cell):
    """Every: the same numbers at each third record and the last, nan between; at_end: once, without an axis."""
    observe = {"all": dearest, "some": ib.every(3, dearest), "once": ib.at_end(dearest), "clocked": lambda s: s.steps}
    ds = ib.Study(cell=cell, grids=GRID, observe=observe, records=RECORDS).run(width=4)
    assert len(set(np.ravel(ds.status))) == 2, "some end at the stop rule, and some at the cap"
    assert ds.some.dims == (*ds.once.dims, "record") and ds.some.sizes["record"] == 11
    kept = [0, 3, 6, 9, 10]
    np.testing.assert_allclose(ds.some.isel(record=kept), ds["all"].isel(record=kept), rtol=1e-12)
    assert np.isnan(ds.some.isel(record=[1, 2, 4, 5, 7, 8])).all()
    np.testing.assert_allclose(ds.once, ds["all"].isel(record=-1), rtol=1e-12)
    assert ds.once.attrs["definition"] == "the greatest eigenvalue of x x^T, at the end of the run"
    assert ds.some.attrs["definition"].endswith("at records 0, 3, 6, ... and the last (nan at others)")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 4])
def test_rarely_is_computed_rarely(width):
    """In the program of a block: at_end stands outside of every loop; every stands in a branch, which lanes share."""
    for rare, around in ((ib.at_end, []), (lambda of: ib.every(3, of), ["cond"])):
        study = ib.Study(cell=descent, grids=GRID, observe={"rare": rare(dearest)}, records=RECORDS)
        program = study.plan(width=width).batches[0].program
        with study.in_precision():
            jaxpr = jax.make_jaxpr(program._advance_block)(*program.shapes["advance"])
        # a scan is the loop over the lanes, which have a factorisation one after another
        found = [[p for p in path if p in ("while", "cond")] for path in _equations(jaxpr.jaxpr, "eigh")]
        at_records = [path for path in found if "while" in path]
        assert found and all(path[-1] == "cond" for path in at_records) and bool(at_records) == bool(around)


class Pair(NamedTuple):
    first: jax.Array
    second: jax.Array


@pytest.mark.slow
def test_trees_are_variables_by_key():
    """A dict, a NamedTuple, one in the other: `name.key`, for records, folds, facts and what is measured rarely."""

    def split(snapshot):
        """x"""
        return {"norm": jnp.linalg.norm(snapshot.x), "parts": Pair(snapshot.x[:2], snapshot.x[2:])}

    def size(snapshot):
        return {"g": snapshot.theta.g}

    rarely = {"end": ib.at_end(size), "some": ib.every(5, size)}
    observe = {"x": ib.predictor(), "of": split, "pile": lambda s: [s.loss, 2 * s.loss], **rarely}
    study = ib.Study(cell=descent, grids=GRID, observe=observe, facts={"first": size}, records=RECORDS)
    ds = study.run(width=4)
    np.testing.assert_allclose(ds["of.norm"], np.linalg.norm(ds.x, axis=-1), rtol=1e-14)
    np.testing.assert_array_equal(ds["of.parts.first"], ds.x[..., :2])
    np.testing.assert_array_equal(ds["of.parts.second"], ds.x[..., 2:])
    assert ds["of.parts.first"].attrs["definition"] == "x: parts.first"
    assert ds["end.g"].dims == ("scale", "seed") and ds["some.g"].dims == ("scale", "seed", "record")
    np.testing.assert_array_equal(ds["end.g"], ds["some.g"].isel(record=-1))
    assert ds["first.g"].dims == ("scale",)
    np.testing.assert_array_equal(ds["first.g"], [0.5, 1.5])
    assert ds.pile.shape[-1] == 2 and owner("of.parts.first", ["of", "x"]) == "of"


@pytest.mark.parametrize(
    ("observe", "message"),
    [
        ({"a": lambda s: {"b": s.loss}, "a.b": ib.loss}, "observe, facts: have two of the name 'a.b'"),
        ({"fact": lambda s: {"b": s.loss}}, "observe, facts: have two of the name 'fact.b'"),
        ({"none": lambda s: None}, "none: measures nothing"),
    ],
)
def test_names_that_meet_are_refused(observe, message):
    with pytest.raises(Mistake, match=message):
        ib.Study(cell=descent, grids=GRID, observe=observe).plan()


def test_what_cannot_be_rare():
    for stride, of in ((0, dearest), (2, ib.at_end(dearest))):
        with pytest.raises(Mistake, match="every: "):
            ib.every(stride, of)
    with pytest.raises(Mistake, match="at_end: is given what says already when it is measured"):
        ib.at_end(ib.every(2, dearest))


# -- the law's memory ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [ib.Euclidean, ib.Polar])
def test_memory_of_the_heavy_ball_is_in_the_users_coordinates(weights):
    """theta_{k+1} - theta_k = -step m_{k+1}: the memory at a record is the last update over the step."""
    step = 0.05
    descent = ib.Descent(step, law=ib.heavy_ball(0.6), max_steps=6)

    def memory(snapshot):
        return jnp.concatenate([jnp.atleast_1d(m) for m in snapshot.memory.trace])

    observe = {"weights": cases.weights, "memory": memory}
    for rewritten in (True, False):
        run = cases.prepared(cases.problem_of(ib.square), weights(jnp.asarray(0.5)), descent, rewritten)
        found = cases.whole_run(run, jnp.arange(7, dtype=jnp.int32), observe)
        assert not np.any(found["memory"][0])
        np.testing.assert_allclose(-step * found["memory"][1:], np.diff(found["weights"], axis=0), rtol=0, atol=1e-14)


@pytest.mark.slow
def test_memory_of_a_field_and_of_a_fold():
    """d x / dt = memory of an inertial flow: x(t) = x_0 cos t where x'' = -x, and its greatest speed is |x_0|."""
    problem = ib.linear.fixed(np.zeros((1, 4)), np.ones(1))(0)
    flow = ib.Flow(3.0, field=ib.Inertial(0.0))
    run = cases.prepared(problem, ib.Euclidean(jnp.asarray(0.5)), flow, penalty=ib.weight_decay(1.0))
    most = ib.running_max(lambda s: jnp.linalg.norm(s.memory.x))
    observe = {"x": ib.predictor(), "v": lambda s: s.memory.x, "most": most}
    found = cases.whole_run(run, jnp.asarray([0.0, 1.0, 3.0]), observe)
    np.testing.assert_allclose(found["v"], np.outer(-np.sin([0.0, 1.0, 3.0]), found["x"][0]), rtol=0, atol=1e-9)
    assert 0.499 < found["most"] <= 0.5 + 1e-9


@pytest.mark.slow
def test_memory_of_adam_in_a_study():
    def cell(*, key):
        return ib.Run(ib.linear.gaussian(3, 5)(key), ib.Polar(0.5), ib.Descent(0.05, law=ib.adam(), max_steps=10))

    observe = {"adam": lambda s: s.memory}
    ds = ib.Study(cell=cell, grids=ib.grid(seed=[0]), observe=observe, records=ib.records_at([1])).run()
    first = ds.isel(record=1)  # mu = gradient / 10, nu = gradient^2 / 1000
    assert first["adam.count"].item() == 1
    np.testing.assert_allclose(first["adam.nu.w"], 1e-3 * (10 * first["adam.mu.w"]) ** 2, rtol=1e-12)


# -- draws --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_observable_draws_from_the_runs_own_stream():
    """The same at every record, width and companion; another at another seed and name."""

    def probe(snapshot):
        return jax.random.normal(snapshot.key("probe"), (2,))

    def fresh(snapshot):
        return jax.random.normal(jax.random.fold_in(snapshot.key("probe"), snapshot.steps))

    other = lambda s: jax.random.normal(s.key("other"), (2,))  # noqa: E731
    observe = {"probe": probe, "fresh": ib.every(2, fresh), "other": other}
    study = ib.Study(cell=descent, grids=GRID, observe=observe, facts={"fact": probe}, records=ib.records_at([5]))
    ds = study.run(width=4)
    for seed in range(3):
        expected = jax.random.normal(ib.stream(jax.random.key(seed), "observable probe"), (2,))
        np.testing.assert_array_equal(ds.probe.sel(seed=seed) - np.asarray(expected), 0)
        np.testing.assert_array_equal(ds.fact.sel(seed=seed), expected)
    assert not np.any(np.asarray(ds.probe) == np.asarray(ds.other))
    assert len(np.unique(ds.fresh.isel(record=0))) == 3
    for width in (1, 2):
        alone = study.run(seed=[1], scale=[1.5], width=width)
        np.testing.assert_array_equal(np.ravel(alone.probe), np.ravel(ds.probe.sel(seed=[1], scale=[1.5])))


@pytest.mark.slow
def test_a_study_that_does_not_draw_has_no_seed_in_its_loops():
    plain = ib.Study(cell=descent, grids=GRID, observe={"x": ib.predictor()})
    drawing = ib.Study(cell=descent, grids=GRID, observe={"x": lambda s: jax.random.normal(s.key("x"))})
    kept = [study.plan(width=4).batches[0].program.traced for study in (plain, drawing)]
    numbers = [[leaf.dtype for leaf in t.jaxpr.out_avals if leaf.shape == ()] for t in kept]
    assert [jnp.int64 in of for of in numbers] == [False, True]
