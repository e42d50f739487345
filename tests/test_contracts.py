"""One contract, all members: every public problem, parameterization, law, flow, observable and fold passes

    jit = eager;  vmap = a loop;  finite gradients;  float32 stays float32 and float64 stays float64;
    new values are no new trace.

"Equal" is to rounding: one function compiled in two ways may round apart, here by less than 100 eps of its value.
"""

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
from implicit_bias.dynamics.base import Moment, Objective
from implicit_bias.observables.base import AbstractFold, Watch, definition
from implicit_bias.symmetry import rewrite
from tests import cases

PRECISIONS = {"float32": False, "float64": True}


def close(one, other, *, of=100):
    """Equal trees: the same dtypes, and values to `of` eps of the largest."""
    chex.assert_trees_all_equal_shapes_and_dtypes(one, other)
    for (place, a), b in zip(jax.tree_util.tree_leaves_with_path(one), cases.leaves(other), strict=True):
        a, place = np.asarray(a), jax.tree_util.keystr(place)
        if np.issubdtype(a.dtype, np.inexact):
            size = np.max(np.abs(b), initial=1.0, where=np.isfinite(b))
            np.testing.assert_allclose(a, b, rtol=0, atol=of * np.finfo(a.dtype).eps * size, err_msg=place)
        else:
            np.testing.assert_array_equal(a, b, err_msg=place)


def contract(function, values, *, gradient=True):
    """The contract of a function of one tree of arrays; `values` are several such trees of one structure."""
    plain = [function(v) for v in values]
    traces = []

    def counted(v):
        traces.append(v)
        return function(v)

    compiled = jax.jit(counted)
    for v, result in zip(values, plain, strict=True):
        close(compiled(v), result)
    assert len(traces) == 1, "new values made a new trace"

    batch = jax.tree.map(lambda *x: jnp.stack(x), *values)
    close(jax.vmap(function)(batch), jax.tree.map(lambda *x: jnp.stack(x), *plain))

    wanted = jnp.zeros(()).dtype
    for leaf in jax.tree.leaves(plain):
        assert not jnp.issubdtype(leaf.dtype, jnp.inexact) or leaf.dtype == wanted, leaf.dtype
    if gradient:
        total = lambda v: sum(jnp.sum(x) for x in jax.tree.leaves(function(v)) if jnp.issubdtype(x.dtype, jnp.inexact))  # noqa: E731
        moving, fixed = eqx.partition(values[0], eqx.is_inexact_array)
        for leaf in jax.tree.leaves(jax.grad(lambda m: total(eqx.combine(m, fixed)))(moving)):
            assert jnp.isfinite(leaf).all()


@pytest.fixture(params=PRECISIONS)
def precision(request):
    with jax.enable_x64(PRECISIONS[request.param]):
        yield request.param


in_both_precisions = pytest.mark.usefixtures("precision")


def vectors(count=3):
    return [jnp.asarray(v) for v in np.random.default_rng(1).standard_normal((count, cases.COLUMNS)).astype(jnp.zeros(()).dtype)]


# -- problems -----------------------------------------------------------------------------------------------------


@in_both_precisions
@pytest.mark.parametrize("name", cases.PROBLEMS)
def test_problem(name):
    """loss : R^d -> R, as a function of the predictor and of the data."""
    problem = cases.PROBLEMS[name]()
    assert problem.dimension == cases.COLUMNS
    arrays, static = eqx.partition(problem, eqx.is_array)
    values = [(jax.tree.map(lambda x, k=k: x * (1 + k / 8) if k else x, arrays), v) for k, v in enumerate(vectors())]

    def everything(v):
        problem, pred = eqx.combine(v[0], static), v[1]
        return problem.loss(pred), ib.orthogonal_part(problem, pred)

    contract(everything, values)
    assert all(bool(flag) for flag in problem.requirements().values())


@in_both_precisions
@pytest.mark.parametrize("name", [n for n in cases.PROBLEMS if not n.startswith("gaussian, ")] + ["gaussian, square", "gaussian, logistic"])
def test_sampler(name):
    """seed -> problem is a pure function with one trace for all seeds; equal seeds, equal data."""
    made = cases.PROBLEMS[name]()
    sampler = {
        "orthonormal": ib.linear.orthonormal(cases.ROWS, cases.COLUMNS),
        "with_spectrum": ib.linear.with_spectrum(jnp.asarray(cases.SPECTRUM), cases.COLUMNS, target_norm=2.0),
        "fixed": ib.linear.fixed(made.operator, made.target),
        "gaussian, square": ib.linear.gaussian(cases.ROWS, cases.COLUMNS),
        "gaussian, logistic": ib.linear.gaussian(cases.ROWS, cases.COLUMNS, loss=ib.logistic),
    }.get(name, ib.linear.gaussian(cases.ROWS, cases.COLUMNS, target_norm=3.0))
    seeds = [jnp.asarray(s) for s in (0, 1, 7)]
    contract(lambda seed: eqx.filter(sampler(ib.SeedKey(seed)), eqx.is_array), seeds, gradient=False)
    close(eqx.filter(sampler(ib.SeedKey(seeds[0])), eqx.is_array), eqx.filter(made, eqx.is_array))


# -- parameterizations --------------------------------------------------------------------------------------------


@in_both_precisions
@pytest.mark.parametrize("name", cases.PARAMETERIZATIONS)
def test_parameterization(name):
    """init, G, retract and the loss of G, as functions of the scale and the direction."""
    problem = cases.PROBLEMS["with_spectrum"]()
    make = cases.PARAMETERIZATIONS[name]
    values = [(jnp.asarray(s), v) for s, v in zip((0.5, -1.0, 2.0), vectors(), strict=True)]

    def everything(v):
        parameterization = make(*v)
        theta = parameterization.init(problem, cases.key())
        back = parameterization.retract(theta)
        velocity = jax.tree.map(jnp.ones_like, theta)
        return theta, back, parameterization(theta), problem.loss(parameterization(theta)), parameterization.tangent(theta, velocity)

    contract(everything, values)
    parameterization = make()
    assert all(bool(flag) for flag in parameterization.requirements().values())
    theta = parameterization.init(problem, cases.key())
    assert set(parameterization.radial) <= set(theta._fields)


# -- laws ---------------------------------------------------------------------------------------------------------


@in_both_precisions
@pytest.mark.parametrize("name", cases.LAWS)
def test_law(name):
    """Two steps of descent, rewritten where the law allows it, as a function of step, ratio and scale."""
    law, problem = cases.LAWS[name], cases.PROBLEMS["with_spectrum"]()

    def two_steps(v):
        scale, step, ratio = v
        dynamics = ib.Descent(step, ratio=ratio, law=law)
        run = cases.prepared(problem, cases.PARAMETERIZATIONS["Polar"](scale), dynamics)
        objective = Objective(run.problem, run.parameterization)
        theta, rule = run.theta, dynamics.begin(objective, run.theta)
        for count in range(2):
            loss, theta, rule = dynamics.update(objective, theta, rule, jnp.asarray(count, dtype=jnp.int32))
        return loss, theta, run.lift(run.parameterization(theta))

    values = [tuple(jnp.asarray(x) for x in v) for v in [(0.5, 0.1, 1.0), (-0.7, 0.05, 0.3), (1.5, 0.02, 0.0)]]
    with cases.let_promote(law):
        contract(two_steps, values, gradient=False)  # through an SVD whose singular vectors have no smooth choice

        def one_step(v):
            objective = Objective(problem, cases.PARAMETERIZATIONS["Polar"]())
            dynamics = ib.Descent(v[1], law=law)
            theta = objective.parameterization.init(problem, cases.key())._replace(g=v[0])
            return dynamics.update(objective, theta, dynamics.begin(objective, theta), jnp.asarray(0, dtype=jnp.int32))[:2]

        contract(one_step, [v[:2] for v in values])


def test_equal_laws_are_one_law():
    """A law written twice is the same static value, so that a study's cell is not compiled twice."""
    for make in (ib.gradient_descent, ib.adam, lambda: ib.heavy_ball(0.5), lambda: ib.clipped(1.0), lambda: ib.decayed(0.1)):
        assert make() == make()
    assert ib.heavy_ball(0.5) != ib.heavy_ball(0.6)


DYNAMICS = {
    "descent": lambda v: ib.Descent(v[1], max_steps=20),
    "descent, stop": lambda v: ib.Descent(v[1], stop=ib.loss_below(v[2]), max_steps=20),
    "two_stage": lambda v: ib.Descent(ib.two_stage(v[1], v[1] / 2, 7), max_steps=20),
    # single precision cannot keep 1e-10
    "Tsit5": lambda v: cases.flows(ratio=v[1], rtol=1e-5, atol=1e-7)["Tsit5"],
    "Dopri5, stop": lambda v: cases.flows(ratio=v[1], stop=ib.loss_below(v[2]), rtol=1e-5, atol=1e-7)["Dopri5"],
}


@in_both_precisions
@pytest.mark.parametrize("name", DYNAMICS)
def test_whole_run(name):
    """start and advance to the end, as a function of scale, step or ratio, and threshold: compiled, and in lanes.

    Two programs of an adaptive integrator round to different steps, within its tolerance of 1e-5.
    """
    problem = cases.PROBLEMS["with_spectrum"]()
    parameterization = cases.PARAMETERIZATIONS["Polar"]()
    traces = []

    def whole(v):
        traces.append(v)
        dynamics = DYNAMICS[name](v)
        run = cases.prepared(problem, eqx.tree_at(lambda p: p.scale, parameterization, v[0]), dynamics)
        clock = jnp.linspace(0, 3, 3) if dynamics.unit == "t" else jnp.asarray([0, 10, 20], dtype=jnp.int32)
        return cases._run(run, clock, cases.PATH)

    values = [tuple(jnp.asarray(x) for x in v) for v in [(0.5, 0.2, 0.5), (-0.7, 0.1, 0.1), (1.5, 0.05, 1e-8)]]
    compiled = jax.jit(lambda v: cases.rows_major(whole(v)))
    single = [compiled(v) for v in values]
    assert len(traces) == 1, "new values made a new trace"
    lanes = jax.jit(lambda v: cases.rows_major(jax.vmap(whole)(v)))(jax.tree.map(lambda *x: jnp.stack(x), *values))
    wanted = jnp.zeros(()).dtype
    for key, value in lanes.items():
        assert not jnp.issubdtype(value.dtype, jnp.inexact) or value.dtype == wanted, key
        together = jnp.stack([s[key] for s in single])
        tolerance = 1e-4 if "ri5" in name or "it5" in name else 100 * jnp.finfo(wanted).eps
        if "step" not in key or "flow" not in name:
            if key in ("steps", "end steps") and tolerance == 1e-4:
                continue  # of the integrator
            np.testing.assert_allclose(value, together, rtol=0, atol=tolerance * max(1.0, float(jnp.abs(together).max())))


@in_both_precisions
@pytest.mark.parametrize("value", [0.1, ib.two_stage(0.5, 0.1, 3)], ids=["number", "two_stage"])
def test_stop_and_schedules_are_functions_of_arrays(value):
    from implicit_bias.dynamics import schedules

    clocks = [jnp.asarray(k, dtype=jnp.int32) for k in (0, 2, 3, 10)]
    contract(lambda k: jnp.asarray(schedules.at(value, k), dtype=float), clocks, gradient=False)
    rule = ib.loss_below(1e-3)
    losses = [jnp.asarray(x) for x in (1.0, 1e-3, 1e-4)]
    contract(lambda loss: (rule.met(loss), rule.excess(loss)), losses)
    assert [bool(rule.met(loss)) for loss in losses] == [bool(rule.excess(loss) < 0) for loss in losses]


# -- observables --------------------------------------------------------------------------------------------------


def snapshots(name):
    """Snapshots of one structure with different weights, as arrays and the function that rebuilds them."""
    problem = cases.PROBLEMS["with_spectrum"]()

    def rebuild(v):
        scale, direction, time = v
        run = cases.prepared(problem, cases.PARAMETERIZATIONS[name](scale, direction), ib.Descent(0.1, ratio=0.7))
        objective = Objective(run.problem, run.parameterization)
        theta = run.theta
        moved, rule = theta, run.dynamics.begin(objective, theta)
        _, moved, _ = run.dynamics.update(objective, moved, rule, jnp.zeros((), jnp.int32))
        return run.snapshot(Moment(moved, objective(moved), jnp.asarray(1, dtype=jnp.int32), time))

    values = [(jnp.asarray(s), v, jnp.asarray(t)) for s, v, t in zip((0.5, -1.0, 2.0), vectors(), (0.1, 0.2, 0.3), strict=True)]
    return rebuild, values


def applies(measure, theta):
    return getattr(measure, "applies_to", lambda theta: True)(theta)


@in_both_precisions
@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
def test_observables(name):
    """Snapshot -> array, and a line for the codebook, for every observable and fact that applies."""
    rebuild, values = snapshots(name)
    theta = rebuild(values[0]).theta
    some = {n: m for n, m in cases.OBSERVABLES.items() if applies(m, theta)}
    assert set(cases.OBSERVABLES) - set(some) == ({"size", "log_invariant"} if name == "Euclidean" else set())
    assert all(definition(m) for m in some.values())

    def everything(v):
        snapshot = rebuild(v)
        return {n: measure(snapshot) for n, measure in some.items()}

    contract(everything, values, gradient=False)  # it would pass through the SVD


@pytest.mark.parametrize("name", ["Euclidean", "Polar", "Sphere"])
def test_observables_are_differentiable(name):
    """In the weights, at a point in general position."""
    rebuild, values = snapshots(name)
    snapshot = rebuild(values[0])
    for n, measure in cases.OBSERVABLES.items():
        if applies(measure, snapshot.theta):
            total = lambda theta: jnp.sum(measure(eqx.tree_at(lambda s: s.theta, snapshot, theta)))  # noqa: B023, E731
            for leaf in jax.tree.leaves(jax.grad(total)(snapshot.theta)):
                assert jnp.isfinite(leaf).all(), n


@in_both_precisions
def test_folds():
    """init, update twice, read; the carry keeps its structure and dtypes, as a loop asks."""
    rebuild, values = snapshots("Polar")
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

    contract(everything, values, gradient=False)


def test_watch_separates_records_and_folds():
    rebuild, values = snapshots("Polar")
    run = rebuild(values[0]).run
    watch = Watch(run=run, clock=jnp.zeros(1), observe=cases.OBSERVABLES | cases.FOLDS)
    first = cases.start_of(run)
    moment = Moment(first.theta, first.loss, first.steps, first.time)
    assert set(watch.record(moment)) == set(cases.OBSERVABLES)
    assert set(watch.read(watch.begin(moment))) == set(cases.FOLDS)


# -- precision in a sweep -----------------------------------------------------------------------------------------


def test_a_study_in_single_precision():
    """`precision="float32"`: the whole sweep, from seeds to datasets, with no float64 and no warning."""

    def cell(*, scale, key, ratio=1.0):
        return ib.Run(ib.linear.gaussian(3, 7)(key), ib.Polar(scale), ib.Descent(0.05, ratio=ratio, max_steps=20))

    study = ib.Study(cell=cell, grids=ib.grid(scale=[0.5, 1.0]), observe={"norm": ib.norm(2)}, precision="float32")
    ds = study.run(width=2)
    assert ds["norm"].dtype == np.float32 and ds["loss"].dtype == np.float32
    assert np.isfinite(ds["norm"]).all()


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
    assert set(public["dynamics.laws"]) <= listed(cases.LAWS)
    assert set(public["observables.folds"]) == set(cases.FOLDS)
    assert {*public["observables.predictor"], *public["observables.weights"]} == listed(cases.OBSERVABLES)
    from implicit_bias.problems import linear

    samplers = {n for n, f in vars(linear).items() if inspect.isfunction(f) and f.__module__ == linear.__name__ and not n.startswith("_")}
    assert samplers == {n for n in listed(cases.PROBLEMS)}


def test_every_module_says_what_it_is():
    for module in ib._PUBLIC:
        assert importlib.import_module(f"implicit_bias.{module}").__doc__


def test_importing_the_package_does_not_import_jax():
    """0.15 s against seconds: `--help` and a mistyped command wait for nothing."""
    code = "import sys, implicit_bias; implicit_bias.Mistake; implicit_bias.Status; print('jax' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
