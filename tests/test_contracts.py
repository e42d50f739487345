"""One contract, all members: every public problem, parameterization, law, flow, observable and fold passes

    jit = eager;  vmap = a loop;  finite gradients;  float32 stays float32 and float64 stays float64;
    new values are no new trace.

"Equal" is to rounding: one function compiled in two ways may round apart, here by less than 100 eps of its value.
"""

import dataclasses
import importlib
import inspect
import subprocess
import sys

import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.dynamics.base import Moment
from implicit_bias.observables.base import AbstractFold, Watch, applies_to, definition
from tests import cases
from tests.contract import all_in_force, close, contract, draws, in_both_precisions


@pytest.fixture(autouse=True)
def fresh_counter():
    chex.clear_trace_counter()


# -- problems -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@in_both_precisions
def test_problems():
    """loss : R^d -> R and the orthogonal part, as functions of the data and the predictor."""
    problems = {name: make() for name, make in cases.PROBLEMS.items()}
    arrays, static = eqx.partition(problems, eqx.is_array)
    all_in_force(arrays)

    def everything(v):
        (scale, pred), arrays = v
        each = eqx.combine(jax.tree.map(lambda x: scale * x, arrays), static)
        return {name: (problem.loss(pred), ib.orthogonal_part(problem, pred)) for name, problem in each.items()}

    contract(everything, [(v, arrays) for v in draws()])
    for name, problem in problems.items():
        assert problem.dimension == cases.COLUMNS
        assert all(bool(flag) for flag in problem.requirements().values()), name


@in_both_precisions
def test_samplers():
    """seed -> problem is a pure function, one trace for all seeds, lanes and loop alike; equal seeds, equal data."""
    samplers = {
        "gaussian": ib.linear.gaussian(cases.ROWS, cases.COLUMNS, target_norm=3.0),
        "labels": ib.linear.gaussian(cases.ROWS, cases.COLUMNS, loss=ib.logistic),
        "orthonormal": ib.linear.orthonormal(cases.ROWS, cases.COLUMNS),
        "sparse": ib.linear.sparse(cases.ROWS, cases.COLUMNS, 2, noise=0.1),
        "fixed": ib.linear.fixed(jnp.ones((1, 2)), jnp.ones(1)),
    }

    def sample(seed):
        return {name: eqx.filter(sampler(ib.SeedKey(seed)), eqx.is_array) for name, sampler in samplers.items()}

    compiled = jax.jit(chex.assert_max_traces(sample, n=1))
    seeds = [jnp.asarray(s) for s in (0, 1, 0)]
    one, other, again = (compiled(s) for s in seeds)
    close(one, again, of=0)
    close(one, sample(seeds[0]))
    for name in samplers:
        same = jnp.array_equal(one[name].operator, other[name].operator)
        assert bool(same) == (name == "fixed")
    close(jax.jit(jax.vmap(sample))(jnp.stack(seeds)), jax.tree.map(lambda *x: jnp.stack(x), one, other, again))


# -- parameterizations --------------------------------------------------------------------------------------------


@in_both_precisions
def test_parameterizations():
    """init, G, the loss of G, retract and tangent, as functions of the scale and the direction."""
    problem = cases.PROBLEMS["with_spectrum"]()

    def everything(v):
        found = {}
        for name, make in (cases.PARAMETERIZATIONS | cases.DIAGONAL).items():
            parameterization = make(*v)
            theta = parameterization.init(problem, cases.key())
            pred = parameterization(theta)
            velocity = parameterization.tangent(theta, jax.tree.map(jnp.ones_like, theta))
            found[name] = theta, pred, problem.loss(pred), parameterization.retract(theta), velocity
        return found

    contract(everything, draws())
    for make in (cases.PARAMETERIZATIONS | cases.DIAGONAL).values():
        assert all(bool(flag) for flag in make().requirements().values())
        theta = make().init(problem, cases.key())
        assert jax.tree.structure(make().labels(theta)) == jax.tree.structure(theta)


# -- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@in_both_precisions
def test_laws():
    """A step, as a function of g, step and ratio, in the coordinates that the sweep would use: rewritten or not."""
    problem, parameterization = cases.PROBLEMS["with_spectrum"](), cases.PARAMETERIZATIONS["Polar"]()
    laws = cases.LAWS | cases.SIZE_LAWS
    runs = {name: cases.prepared(problem, parameterization, ib.Descent(0.1, law=law)) for name, law in laws.items()}

    def everything(v):
        size, direction = v
        found = {}
        for name, run in runs.items():
            objective = run.objective
            dynamics = ib.Descent(0.1 * size, ratio=jnp.abs(direction[0]), law=laws[name])
            theta = dynamics.hold(objective, run.theta._replace(g=size))
            rule = dynamics.begin(objective, theta)
            with cases.let_promote(laws[name]):
                found[name] = dynamics.update(objective, theta, rule, jnp.zeros((), dtype=jnp.int32))
        return found

    contract(everything, draws())


@in_both_precisions
def test_descents():
    """A step with more than a law to it, as a function of g and step."""
    problem, parameterization = cases.PROBLEMS["with_spectrum"](), cases.PARAMETERIZATIONS["Polar"]()
    runs = {n: cases.prepared(problem, parameterization, make(0.1)) for n, make in cases.DESCENTS.items()}

    def everything(v):
        size, direction = v
        found = {}
        for name, run in runs.items():
            objective = run.objective
            dynamics = cases.DESCENTS[name](0.1 * jnp.abs(direction[0]))
            theta = dynamics.hold(objective, run.theta._replace(g=size))
            count = jnp.ones((), dtype=jnp.int32)
            found[name] = dynamics.update(objective, theta, dynamics.begin(objective, theta), count)
        return found

    contract(everything, draws())


@in_both_precisions
def test_fields():
    """d theta / dt and d memory / dt, as a function of g, the rate and the time, rewritten where a field is equivariant."""
    problem, parameterization = cases.PROBLEMS["with_spectrum"](), cases.PARAMETERIZATIONS["Polar"]()
    flows = {name: ib.Flow(3.0, field=make(), rtol=1e-5, atol=1e-7) for name, make in cases.FIELDS.items()}
    runs = {name: cases.prepared(problem, parameterization, flow) for name, flow in flows.items()}

    def everything(v):
        size, direction = v
        found = {}
        for name, run in runs.items():
            objective, flow = run.objective, dataclasses.replace(flows[name], ratio=jnp.abs(direction[0]))
            theta = flow.hold(objective, run.theta._replace(g=size))
            memory = jax.tree.map(jnp.ones_like, flow.field.init(theta))
            found[name] = flow._terms(objective).vf(size, (theta, memory), None)
        return found

    contract(everything, draws())
    for name, run in runs.items():
        rewritten = run.theta.w is not run.chart.lift(run.theta).w
        assert rewritten == (name not in ("Inertial", "SharpnessAware", "Central")), "which are rewritten"
        assert all(bool(flag) for flag in flows[name].requirements(parameterization, run.theta).values())


def test_equal_laws_are_one_law():
    """A law written twice is the same static value, so that what is compiled for one serves the other."""
    for make in (
        ib.gradient_descent,
        ib.adam,
        lambda: ib.heavy_ball(0.5),
        lambda: ib.clipped(1.0),
        lambda: ib.decayed(0.1),
    ):
        assert make() == make()
    assert ib.heavy_ball(0.5) != ib.heavy_ball(0.6)


@in_both_precisions
def test_stop_rules_and_schedules():
    """`met` exactly where `excess` is negative (or zero, which is the edge); a schedule is a function of the clock."""
    rule = ib.loss_below(1e-3)
    losses = [jnp.asarray(x) for x in (1.0, 2e-3, 1e-4)]
    contract(lambda loss: (rule.met(loss), rule.excess(loss)), losses)
    assert [bool(rule.met(x)) for x in losses] == [bool(rule.excess(x) < 0) for x in losses] == [False, False, True]
    schedule = ib.two_stage(jnp.asarray(0.5), jnp.asarray(0.1), 3)
    clocks = [jnp.asarray(k, dtype=jnp.int32) for k in (0, 2, 3, 10)]
    contract(schedule, clocks)
    np.testing.assert_allclose([schedule(k) for k in clocks], [0.5, 0.5, 0.1, 0.1], rtol=1e-7)


DYNAMICS = {
    "descent": lambda v: ib.Descent(v[1], max_steps=20),
    "descent, stop": lambda v: ib.Descent(v[1], stop=ib.loss_below(v[2]), max_steps=20),
    # single precision cannot keep 1e-10
    "Tsit5, stop": lambda v: cases.flows(ratio=v[1], stop=ib.loss_below(v[2]), rtol=1e-5, atol=1e-7)["Tsit5"],
    "Dopri5": lambda v: cases.flows(ratio=v[1], rtol=1e-5, atol=1e-7)["Dopri5"],
}


@pytest.mark.slow
@in_both_precisions
@pytest.mark.parametrize("name", DYNAMICS)
def test_whole_run(name):
    """start and advance to the end, as a function of g, step or ratio, and threshold: one trace, and lanes as a loop.

    Under descent lanes equal the loop to rounding, steps and status exactly. An adaptive integrator compiled twice
    takes other steps, within its tolerance: 20 steps of 1e-5.
    """
    problem, parameterization = cases.PROBLEMS["with_spectrum"](), cases.PARAMETERIZATIONS["Polar"]()
    values = [tuple(jnp.asarray(x) for x in v) for v in [(0.5, 0.2, 0.5), (-0.7, 0.1, 0.1), (1.5, 0.05, 1e-8)]]
    start = cases.prepared(problem, parameterization, DYNAMICS[name](values[0]))
    flow = start.dynamics.unit == "t"
    clock = jnp.linspace(0, 3, 3) if flow else jnp.asarray([0, 10, 20], dtype=jnp.int32)

    def whole(v):
        run = eqx.tree_at(lambda r: (r.dynamics, r.theta), start, (DYNAMICS[name](v), start.theta._replace(g=v[0])))
        return cases.whole_run(run, clock, cases.PATH)

    compiled = jax.jit(chex.assert_max_traces(lambda v: cases.rows_major(whole(v)), n=1))
    loop = [compiled(v) for v in values]
    lanes = jax.jit(lambda v: cases.rows_major(jax.vmap(whole)(v)))(jax.tree.map(lambda *x: jnp.stack(x), *values))
    all_in_force(lanes)
    loop = jax.tree.map(lambda *x: jnp.stack(x), *loop)
    if flow:
        lanes, loop = ({k: x for k, x in out.items() if "steps" not in k} for out in (lanes, loop))
    close(lanes, loop, of=2e-4 / float(jnp.finfo(clock.dtype).eps) if flow else 100)


# -- observables --------------------------------------------------------------------------------------------------


def snapshots(name, loss=ib.square):
    """Snapshots of one structure, one step after different starts."""
    problem = cases.problem_of(loss)
    found = []
    for scale, direction in draws():
        run = cases.prepared(problem, cases.PARAMETERIZATIONS[name](scale, direction), ib.Descent(0.1, ratio=0.7))
        objective = run.objective
        theta = run.dynamics.hold(objective, run.theta)
        rule = run.dynamics.begin(objective, theta)
        _, theta, _ = run.dynamics.update(objective, theta, rule, jnp.zeros((), jnp.int32))
        theta = run.chart.settle(theta)
        found.append(run.snapshot(Moment(theta, objective(theta), jnp.asarray(1, dtype=jnp.int32), 0.1 * scale)))
    arrays, (static, *_) = zip(*(eqx.partition(s, eqx.is_array) for s in found), strict=True)
    return list(arrays), lambda v: eqx.combine(v, static)


@in_both_precisions
@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
def test_observables(name):
    """Snapshot -> array, and a line for the codebook, for every observable and fact that applies."""
    values, rebuild = snapshots(name)
    theta = rebuild(values[0]).theta
    some = {n: m for n, m in cases.OBSERVABLES.items() if applies_to(m, theta)}
    assert set(cases.OBSERVABLES) - set(some) == ({"size", "log_invariant"} if name == "Euclidean" else set())
    assert all(definition(m) for m in some.values())

    def everything(v):
        snapshot = rebuild(v)
        return {n: measure(snapshot) for n, measure in some.items()}

    contract(everything, values)


@in_both_precisions
@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
def test_observables_of_separable_problems(name):
    values, rebuild = snapshots(name, ib.logistic)
    assert all(definition(m) for m in cases.SEPARABLE.values())
    contract(lambda v: {n: measure(rebuild(v)) for n, measure in cases.SEPARABLE.items()}, values)


@in_both_precisions
def test_folds():
    """init, update twice, read; the carry keeps its structure and dtypes, as a loop asks."""
    values, rebuild = snapshots("Polar")
    assert all(isinstance(fold, AbstractFold) and fold.definition for fold in cases.FOLDS.values())

    def everything(v):
        snapshot = rebuild(v)
        first, read = cases.start_of(snapshot.run), {}
        for name, fold in cases.FOLDS.items():
            carry = fold.init(first)
            after = fold.update(carry, first, snapshot)
            chex.assert_trees_all_equal_shapes_and_dtypes(carry, after)
            read[name] = fold.read(fold.update(after, snapshot, snapshot))
        return read

    contract(everything, values)


def test_watch_separates_records_and_folds():
    values, rebuild = snapshots("Polar")
    run = rebuild(values[0]).run
    watch = Watch(run=run, clock=jnp.zeros(1), observe=cases.OBSERVABLES | cases.FOLDS | cases.RARELY)
    first = cases.start_of(run)
    moment = Moment(first.carried.theta, first.loss, first.steps, first.time)
    assert set(watch.record(moment)) == set(cases.OBSERVABLES)
    assert set(watch.read(watch.begin(moment))) == set(cases.FOLDS)
    assert set(watch.at_end(moment)) == {"at_end"} and set(watch.seldom[2](moment)) == {"every"}


# -- precision in a sweep -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_in_single_precision():
    """`precision="float32"`: the whole sweep, from seeds to datasets, in single precision and without a warning.

    The dataset may be wider, since it keeps nan for what is absent; its numbers are single ones.
    """

    def cell(*, scale, key, ratio=1.0):
        return ib.Run(ib.linear.gaussian(3, 7)(key), ib.Polar(scale), ib.Descent(0.05, ratio=ratio, max_steps=20))

    study = ib.Study(cell=cell, grids=ib.grid(scale=[0.5, 1.0]), observe={"norm": ib.norm(2)}, precision="float32")
    ds = study.run(width=2)
    for name in ("norm", "loss"):
        assert np.isfinite(ds[name]).all()
        np.testing.assert_array_equal(ds[name], ds[name].astype(np.float32))
    double = dataclasses.replace(study, precision="float64").run(width=2)
    assert not np.array_equal(double["norm"], double["norm"].astype(np.float32))


# -- public names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ib.__all__)
def test_public_name_imports_and_says_what_it_is(name):
    """A docstring of its own (not the signature that a dataclass writes), or the definition of a measure."""
    thing = getattr(ib, name)
    if inspect.ismodule(thing) or inspect.isclass(thing) or inspect.isroutine(thing) or hasattr(thing, "__wrapped__"):
        text = thing.__doc__ or ""
        assert text and not text.startswith(f"{name}("), f"{name} has no docstring"
    else:
        assert definition(thing)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'weight_norn'"):
        ib.weight_norn  # noqa: B018


def test_cases_list_every_public_member():
    """A new public loss, parameterization, law, observable or fold is added to `cases`, or this fails."""
    public = ib._PUBLIC
    listed = lambda names: {n.split(",")[0] for n in names}  # noqa: E731
    assert set(public["problems.losses"]) == set(cases.LOSSES)
    assert set(public["parameterizations.polar"]) == listed(cases.PARAMETERIZATIONS)
    assert set(public["parameterizations.diagonal"]) == {n.split(" ")[0] for n in listed(cases.DIAGONAL)}
    assert {*public["parameterizations.factored"], *public["parameterizations.stiefel"]} == listed(cases.FACTORED)
    assert set(public["observables.matrix"]) == listed(cases.MATRIX_OBSERVABLES)
    assert set(public["dynamics.laws"]) - {"AbstractLaw"} <= listed(cases.LAWS) | listed(cases.SIZE_LAWS)
    assert set(public["dynamics.steepest"]) <= listed(cases.LAWS) | set(cases.MATRIX_LAWS)
    assert {*public["dynamics.fields"], "SharpnessAware", "Central"} - {"AbstractField"} == set(cases.FIELDS)
    assert set(public["dynamics.sharpness_aware"]) <= listed(cases.LAWS) | set(cases.FIELDS)
    assert {*public["dynamics.batches"], *public["dynamics.schedules"]} == {
        n for names in cases.DESCENTS for n in names.split(", ")
    }
    assert {*public["observables.separable"], *public["problems.margin"]} == listed(cases.SEPARABLE)
    assert set(public["observables.folds"]) == set(cases.FOLDS)
    assert set(public["observables.base"]) - {"Measure", "Snapshot"} == set(cases.RARELY)
    assert {*public["observables.predictor"], *public["observables.weights"]} == listed(cases.OBSERVABLES)
    from implicit_bias.problems import linear

    samplers = {
        n
        for n, f in vars(linear).items()
        if inspect.isfunction(f) and f.__module__ == linear.__name__ and not n.startswith("_")
    }
    assert samplers == {n for n in listed(cases.PROBLEMS)}


def test_every_module_says_what_it_is():
    for module in ib._PUBLIC:
        assert importlib.import_module(f"implicit_bias.{module}").__doc__


def test_importing_the_package_does_not_import_jax():
    """0.15 s against seconds: `--help` and a mistyped command wait for nothing."""
    code = "import sys, implicit_bias; implicit_bias.Mistake; implicit_bias.Status; print('jax' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
