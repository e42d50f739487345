"""Prepare once per seed: what depends on what, where a program is cut, and that a cut changes no bit."""

import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

import implicit_bias as ib
from implicit_bias.sweep.program import cut
from implicit_bias.sweep.program.engine import Program
from implicit_bias.sweep.program.layout import Layout
from implicit_bias.sweep.program.prepare import Recipe, trace

NAMES = ("seed", "scale", "ratio", "step")


def program_of(rng, size=25):
    """A random program of four inputs, and for each output the inputs it depends on, known from its making.

    Some equations are dead, some inputs are outputs, one output is a constant, one is repeated.
    """
    unary = [jnp.sin, jnp.exp, lambda x: -x, jnp.tanh, lambda x: jnp.stack([x, x]).sum(), jax.jit(lambda x: x * x + 1)]
    binary = [operator.add, operator.mul, jnp.maximum, jnp.arctan2]
    nodes = [(name, ()) for name in NAMES]
    for _ in range(size):
        ops, arity = (unary, 1) if rng.random() < 0.4 else (binary, 2)
        nodes.append((ops[rng.integers(len(ops))], tuple(rng.integers(len(nodes), size=arity).tolist())))
    depends = []
    for op, parents in nodes:
        depends.append({op} if isinstance(op, str) else set().union(*(depends[p] for p in parents)))
    chosen = rng.integers(len(nodes), size=6).tolist()
    chosen.append(chosen[0])

    def cell(*inputs):
        values = list(inputs)
        for op, parents in nodes[len(NAMES) :]:
            values.append(op(*(values[p] for p in parents)))
        return [*(values[i] for i in chosen), jnp.float64(2.5)]

    return jax.make_jaxpr(cell)(*[1.0] * len(NAMES)), [depends[i] for i in chosen] + [set()]


@pytest.mark.parametrize("seed", range(20))
def test_dependence_is_the_graphs(seed):
    """An output depends on an input iff there is a path between them."""
    program, depends = program_of(np.random.default_rng(seed))
    found = cut.dependence(program, NAMES)
    assert [set(d) for d in found] == depends
    assert all(list(d) == sorted(d, key=NAMES.index) for d in found)  # in the order of the axes


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_program_has_the_bits_of_the_whole(seed):
    """second(first(known), unknown) = program, bit for bit, whatever is known; and so for a choice of outputs.

    Evaluated equation by equation, where bits cannot depend on how a compiler fuses.
    """
    rng = np.random.default_rng(seed)
    program, depends = program_of(rng)
    inputs = [jnp.float64(v) for v in rng.uniform(-1, 1, len(NAMES))]
    whole = core.jaxpr_as_fun(program)(*inputs)
    for known in ([True] * 4, [False] * 4, [True, False, False, False], (rng.random(4) < 0.5).tolist()):
        given = [x for x, k in zip(inputs, known, strict=True) if k]
        rest = [x for x, k in zip(inputs, known, strict=True) if not k]
        first, second = cut.split(program, known)
        for one, other in zip(second(first(*given), rest), whole, strict=True):
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
        outputs = rng.permutation(len(whole))[:3].tolist()
        first, second = cut.split(program, known, outputs)
        for one, i in zip(second(first(*given), rest), outputs, strict=True):
            assert np.asarray(one).tobytes() == np.asarray(whole[i]).tobytes()


def test_first_part_computes_only_what_the_rest_needs():
    """Of what follows from the seed alone, `first` hands over what the rest reads, once each, and nothing dead."""

    def cell(seed, scale):
        unused = jnp.cos(seed)
        del unused
        heavy = jnp.exp(jnp.sin(seed))
        return heavy * scale + heavy

    first, second = cut.split(jax.make_jaxpr(cell)(1.0, 1.0), [True, False])
    assert names_of(jax.make_jaxpr(first)(1.0)) == ["sin", "exp"]
    assert len(first(1.0)) == 1
    assert names_of(jax.make_jaxpr(second)(first(1.0), [1.0])) == ["mul", "add"]


def names_of(program):
    """The primitives of a program, those in calls included."""
    found = []
    for eqn in program.jaxpr.eqns:
        inner = [p for p in eqn.params.values() if isinstance(p, core.ClosedJaxpr)]
        found += [name for p in inner for name in names_of(p)] or [eqn.primitive.name]
    return found


# -- cells --------------------------------------------------------------------------------------------------------

FLOAT, SEED = jax.ShapeDtypeStruct((), jnp.float64), jax.ShapeDtypeStruct((), jnp.int64)


def least_squares(*, scale, key, ratio=1.0, target_norm=2.0):
    problem = ib.linear.gaussian(3, 7, target_norm=target_norm)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(0.05, ratio=ratio, max_steps=50))


def classification(*, scale, key, ratio=1.0):
    problem = ib.linear.gaussian(3, 7, loss=ib.logistic)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(0.05, ratio=ratio, max_steps=50))


def spectra(*, scale, spectrum, key):
    problem = ib.linear.with_spectrum(spectrum, 7)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(0.05, max_steps=50))


def recipe(cell):
    facts = {"g_star": ib.min_norm_size} if cell is not classification else {}
    return Recipe(cell, {**facts, "w_perp": ib.orthogonal_size}, {"loss": ib.loss}, ib.linear_records(3))


def axes_of(*names):
    kinds = {"spectrum": jax.ShapeDtypeStruct((3,), jnp.float64)}
    return {n: SEED if n.startswith("seed") else kinds.get(n, FLOAT) for n in names}


@pytest.mark.parametrize(
    "cell, axes, shared",
    [
        (least_squares, ("seed", "scale", "ratio"), ("seed",)),
        (least_squares, ("scale", "ratio", "seed"), ("seed",)),
        (classification, ("seed", "scale", "ratio"), ("seed",)),
        (least_squares, ("seed", "target_norm", "scale"), ("seed", "target_norm")),
        (spectra, ("spectrum", "seed", "scale"), ("spectrum", "seed")),
        # the data keep one seed, and the other seeds the first weights only
        (least_squares, ("seed", "seed.operator", "seed.target", "scale"), ("seed.operator", "seed.target")),
        (least_squares, ("scale",), ()),
    ],
)
def test_problem_axes_are_shared(cell, axes, shared):
    """The shared axes are those on which the problem depends, read off the traced program."""
    traced = trace(recipe(cell), {}, axes_of(*axes))
    assert traced.shared == shared
    assert traced.lanes == tuple(a for a in axes if a not in shared)


def test_facts_know_their_axes():
    """g* depends on the data alone, |w_perp(0)| on the first direction as well; neither on scale or ratio."""
    traced = trace(recipe(least_squares), {}, axes_of("seed", "seed.operator", "seed.target", "scale", "ratio"))
    assert set(traced.depends["g_star"]) == {"seed.operator", "seed.target"}
    assert set(traced.depends["w_perp"]) == {"seed", "seed.operator"}
    assert traced.depends["clock"] == ()


@pytest.mark.parametrize("cell, decomposition", [(least_squares, "svd"), (classification, "qr")])
def test_one_decomposition_a_seed(cell, decomposition):
    """Every SVD and QR of the cell stands in the part that runs once per seed, and none in the part of each run."""
    axes = axes_of("seed", "scale", "ratio")
    traced = trace(recipe(cell), {}, axes)
    first, second = cut.split(traced.jaxpr, [a in traced.shared for a in traced.axes])
    early = names_of(jax.make_jaxpr(first)(jnp.int64(0)))
    results = jax.eval_shape(first, SEED)
    late = names_of(jax.make_jaxpr(second)(results, [FLOAT, FLOAT]))
    heavy = {"svd", "qr", "triangular_solve"}
    assert decomposition in early
    assert not heavy & set(late)
    assert [n for n in early if n in heavy] == [n for n in names_of(traced.jaxpr) if n in heavy]


@pytest.mark.slow
def test_first_part_runs_once_a_seed(monkeypatch):
    """12 runs over 2 seeds: two first parts."""
    asked = []
    original = Program.compiled

    def compiled(self, name, device):
        run = original(self, name, device)
        return run if name != "first" else lambda *values: asked.append(values) or run(*values)

    monkeypatch.setattr(Program, "compiled", compiled)
    study = ib.Study(cell=least_squares, grids=ib.grid(seed=[3, 5], scale=[0.1, 0.5, 1.0], ratio=[0.5, 2.0]))
    study.run(width=4)
    assert sorted(int(values[0]) for values in asked) == [3, 5]


@pytest.mark.slow
def test_rebuilt_run_is_the_cells_own():
    """Cut and rebuilt, a lane holds what the cell builds directly: x_0 itself, the loss there, and the ratio.

    And the compiled first part hands over what the plain one does, up to signs of singular vectors. 1e-12 is rounding
    of the decomposition.
    """
    axes = axes_of("seed", "scale", "ratio")
    traced = trace(recipe(least_squares), {}, axes)
    program = Program(traced, Layout(2, mixed=False), axes)
    device = jax.local_devices()[0]
    results = program.first([np.asarray(4)], device)
    first, second = cut.split(traced.jaxpr, [True, False, False])
    built = traced.rebuild(second(first(jnp.int64(4)), [jnp.float64(0.3), jnp.float64(2.0)]))
    run = least_squares(scale=0.3, ratio=2.0, key=ib.SeedKey(jnp.int64(4)))
    theta = run.parameterization.init(run.problem, ib.SeedKey(jnp.int64(4)))
    prepared = built.prepared
    np.testing.assert_allclose(
        prepared.chart.lift(prepared.parameterization(prepared.theta)), run.parameterization(theta), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(prepared.problem.loss(prepared.theta.w), run.problem.loss(theta.w), rtol=1e-12)
    assert float(prepared.dynamics.ratio) == 2.0 and bool(jnp.all(built.holds))
    for one, other in zip(results, first(jnp.int64(4)), strict=True):
        if jnp.issubdtype(one.dtype, jnp.inexact):
            np.testing.assert_allclose(np.abs(one), np.abs(other), rtol=0, atol=1e-12)
    assert eqx.is_array(prepared.theta.g) and float(prepared.theta.g) == 0.3


@pytest.mark.slow
def test_what_a_cell_does_with_an_axis_that_only_a_number_can_bear_is_one_line():
    """NumPy and `if` on a keyword work with its default, and stop when it is given two values: the axis is named."""
    uses = {
        "np.exp": lambda pace: ib.Flow(np.exp(pace)),
        "if": lambda pace: ib.Flow(1.0 if pace > 0 else 2.0),
        "float": lambda pace: ib.Flow(float(pace)),
        "an index": lambda pace: ib.Flow([1.0, 2.0][pace.astype(int)] if hasattr(pace, "astype") else 1.0),
    }
    for use in uses.values():

        def cell(*, scale, pace=1.0, use=use):
            return ib.Run(ib.linear.fixed([[1.0, 2.0]], [1.0])(0), ib.Euclidean(scale), use(pace))

        study = ib.Study(cell=cell, grids=ib.grid(scale=[0.5, 1.0]), records=ib.log_records(2))
        study.plan()
        with pytest.raises(ib.Mistake, match=r"^cell: test_prepare_cut.py:\d+: .* by pace, .*; use jax.numpy"):
            study.plan({"pace": [1.0, 2.0]})
