"""Every public problem, parameterization, law, flow, observable and fold, small; and how a test drives one run.

`test_contracts.py` asks the same of each member, and asks that every public one is listed here.
Members are made by functions, so that they are built in the precision in force where they are used.
"""

import contextlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib
from implicit_bias._lanes import rows_major
from implicit_bias._charts import Flat
from implicit_bias.dynamics.base import Moment
from implicit_bias.observables.base import Prepared, Snapshot, Watch
from implicit_bias.symmetry import rewrite

ROWS, COLUMNS = 3, 7

# A A^T has eigenvalues in [0.36, 1.44]: steps of 0.1 are safely inside the stable range of every law below
SPECTRUM = (1.2, 0.9, 0.6)

LOSSES = {"square": ib.square, "log_cosh": ib.log_cosh, "logistic": ib.logistic, "exponential": ib.exponential}


def problem_of(loss, seed=0):
    """A problem with the spectrum above; |x*| = 2 where there is an x*."""
    return ib.linear.with_spectrum(
        jnp.asarray(SPECTRUM), COLUMNS, target_norm=2.0 if loss is ib.square else None, loss=loss
    )(seed)


_DATA = np.random.default_rng(5).standard_normal((ROWS, COLUMNS))

PROBLEMS = {
    **{f"gaussian, {name}": lambda loss=loss: ib.linear.gaussian(ROWS, COLUMNS, loss=loss)(0) for name, loss in LOSSES.items()},
    "gaussian, |x*| = 3": lambda: ib.linear.gaussian(ROWS, COLUMNS, target_norm=3.0)(0),
    "orthonormal": lambda: ib.linear.orthonormal(ROWS, COLUMNS)(0),
    "with_spectrum": lambda: problem_of(ib.square),
    "sparse": lambda: ib.linear.sparse(ROWS, COLUMNS, 2, noise=0.1)(0),
    "fixed": lambda: ib.linear.fixed(_DATA, _DATA @ np.ones(COLUMNS))(0),
}  # fmt: skip

PARAMETERIZATIONS = {
    "Euclidean": lambda scale=0.5, direction=None: ib.Euclidean(jnp.asarray(scale), direction),
    "Polar": lambda scale=0.5, direction=None: ib.Polar(jnp.asarray(scale), direction, jnp.asarray(1.0)),
    "Polar, |w| = 2": lambda scale=0.5, direction=None: ib.Polar(jnp.asarray(scale), direction, jnp.asarray(2.0)),
    "Sphere": lambda scale=0.5, direction=None: ib.Sphere(jnp.asarray(scale), direction),
}


def _power(depth, signed=False, inner=ib.Polar):
    def make(scale=0.5, direction=None):
        # positive entries, as the theory asks: even powers keep no sign
        positive = (
            None
            if direction is None
            else jnp.abs(jnp.concatenate([direction, direction[::-1]] if signed else [direction]))
        )
        return ib.Power(inner(jnp.asarray(scale), positive), depth, signed)

    return make


DIAGONAL = {
    "Power": _power(2),
    "Power, signed": _power(3, signed=True),
    "Power, a depth that varies": lambda scale=0.5, direction=None: _power(jnp.asarray(2.5))(scale, direction),
    "Power over Sphere": _power(3, inner=ib.Sphere),
    "Power over Euclidean": _power(1, signed=True, inner=ib.Euclidean),
    "Exponential": lambda scale=0.5, direction=None: ib.Exponential(
        scale * (jnp.ones(COLUMNS) if direction is None else jnp.abs(direction))
    ),
}
"""Maps that are not equivariant: entry by entry."""

MATRIX_PROBLEMS = {
    "gaussian": lambda: ib.matrix.gaussian((4, 3), 2, 7, condition=2.0)(0),
    "gaussian, symmetric": lambda: ib.matrix.gaussian(4, 2, 7, condition=2.0)(0),
    "population": lambda: ib.matrix.population(4, 2)(0),
    "completion": lambda: ib.matrix.completion((4, 3), 1, 6)(0),
    "commuting": lambda: ib.matrix.commuting(4, 2, 3)(0),
    "certified": lambda: ib.matrix.certified(4, 2, 4)(0),
    "fixed": lambda: ib.matrix.fixed(np.random.default_rng(1).standard_normal((5, 4, 3)), _DATA[:, :4].T)(0),
    "of_the_first": lambda: ib.matrix.of_the_first(ib.matrix.gaussian(4, 1, 7)(0), 4.0),
}

FACTORED = {
    "Symmetric": lambda scale=0.5: ib.Symmetric(scale, 3),
    "Asymmetric": lambda scale=0.5: ib.Asymmetric(scale, 3),
    "DeepLinear": lambda scale=0.5: ib.DeepLinear(scale, 3, 3),
    "Normalised": lambda scale=0.5: ib.Normalised(ib.Asymmetric(scale, 3)),
    "Normalised, Symmetric": lambda scale=0.5: ib.Normalised(ib.Symmetric(scale, 3)),
    "Stiefel": lambda scale=0.5: ib.Stiefel(3, scale * jnp.diag(jnp.asarray([2.0, 1.0, 0.5, 0.0]))),
}
"""Maps to matrices."""

MATRIX_OBSERVABLES = {
    "relative_error": ib.relative_error,
    "spectrum": ib.spectrum(2),
    "rank_ratio": ib.rank_ratio,
    "signal": ib.signal,
    "misalignment": ib.misalignment,
    "imbalance": ib.imbalance,
    "imbalance_drift": ib.imbalance_drift,
    "truth_least": ib.truth_least,
    "spectral_least": ib.spectral_least,
    "isometry_defect": ib.isometry_defect(2),
    "isometry_at_the_truth": ib.isometry_at_the_truth,
}

LAWS = {
    "gradient_descent": ib.gradient_descent(),
    "heavy_ball": ib.heavy_ball(0.7),
    "nesterov": ib.heavy_ball(0.7, nesterov=True),
    "clipped": ib.clipped(0.3),
    "decayed": ib.decayed(0.02),
    "decayed, on weights": ib.decayed(0.02, on="weights"),
    "chain": ib.chain(ib.clipped(0.3), ib.decayed(0.02), ib.heavy_ball(0.5)),
    "adam": ib.adam(),
    "rmsprop": ib.rmsprop(),
    "signs": ib.signs(),
    "unit_gradient": ib.unit_gradient(),
    "spectral": ib.spectral(),
    "sharpness_aware": ib.sharpness_aware(0.1),
    "sharpness_aware, l_inf": ib.sharpness_aware(0.1, order=np.inf),
    "sharpness_aware, unnormalised": ib.sharpness_aware(0.1, order=None),
}


def _from_optax():
    import optax

    return ib.from_optax(optax.scale_by_rms(), "RMS")


LAWS["from_optax"] = _from_optax()
# Laws of parameterizations with a size g.
SIZE_LAWS = {"over_size_squared": ib.over_size_squared()}
# Laws that take singular values.
MATRIX_LAWS = {"spectral": ib.spectral(), "muon": ib.muon()}


FIELDS = {
    "GradientField": lambda: ib.GradientField(),
    "UnitSpeed": lambda: ib.UnitSpeed(),
    "Rescaled": lambda: ib.Rescaled(jnp.asarray(0.5)),
    "Inertial": lambda: ib.Inertial(jnp.asarray(0.7)),
    "Central": lambda: ib.Central(jnp.asarray(4.0)),
    "SharpnessAware": lambda: ib.SharpnessAware(jnp.asarray(0.1)),
}


def flows(**options):
    import diffrax

    return {"Tsit5": ib.Flow(3.0, **options), "Dopri5": ib.Flow(3.0, solver=diffrax.Dopri5(), **options)}


OBSERVABLES = {
    "loss": ib.loss,
    "norm": ib.norm(2),
    "norm, order 1": ib.norm(1),
    "predictor": ib.predictor(),
    "distance_to": ib.distance_to(ib.min_norm),
    "angle_to": ib.angle_to(ib.min_norm),
    "size": ib.size,
    "weight_norm": ib.weight_norm,
    "orthogonal_log": ib.orthogonal_log,
    "orthogonal_sign": ib.orthogonal_sign,
    "orthogonal_direction": ib.orthogonal_direction,
    "log_invariant": ib.log_invariant,
    # facts are observables of the start
    "min_norm_size": ib.min_norm_size,
    "orthogonal_size": ib.orthogonal_size,
    "lambda_min": ib.lambda_min,
    "lambda_max": ib.lambda_max,
    "loss_at_zero": ib.loss_at_zero,
}

# Of problems of labels.
SEPARABLE = {
    "margin": ib.margin,
    "best_margin": ib.best_margin,
    "max_margin": ib.angle_to(ib.max_margin),
    "max_margin_gap": ib.max_margin_gap,
}

# Ways to take a step that are more than a law, as functions of its size.
DESCENTS = {
    "over_loss": lambda step: ib.Descent(ib.over_loss(step)),
    "over_loss, two_stage": lambda step: ib.Descent(ib.over_loss(ib.two_stage(step, 0.5 * step, 3))),
    "minibatch": lambda step: ib.Descent(step, batch=ib.minibatch(2, key())),
    "label_noise": lambda step: ib.Descent(step, batch=ib.label_noise(0.1, key())),
}

# Observables that are asked for rarely.
RARELY = {"at_end": ib.at_end(ib.loss), "every": ib.every(2, ib.loss)}

FOLDS = {
    "running_min": ib.running_min(ib.loss),
    "running_max": ib.running_max(ib.loss),
    "first_time": ib.first_time(lambda snapshot: snapshot.loss < 0.1),
    "always": ib.always(lambda before, after: after.loss <= before.loss),
    "worst_change": ib.worst_change(lambda before, after: after.loss - before.loss),
    "mean_change": ib.mean_change(lambda before, after: after.loss - before.loss),
    "summed": ib.summed(lambda before, after: after.loss - before.loss),
}


@contextlib.contextmanager
def let_promote(law):
    """optax writes `decay ** count` with an integer count: its own promotion, in Adam's bias correction."""
    with jax.numpy_dtype_promotion("standard" if law.name == "Adam" else "strict"):
        yield


# -- one run ------------------------------------------------------------------------------------------------------


def key(seed=0):
    return ib.SeedKey(jnp.asarray(seed))


def prepared(problem, parameterization, dynamics, rewritten=True, seed=0, penalty=None):
    """A run at its start: rewritten as the sweep does it, or in the original coordinates."""
    theta = parameterization.init(problem, key(seed))
    if not rewritten:
        return Prepared(problem, parameterization, dynamics, theta, Flat(), problem, penalty)
    new = rewrite(problem, parameterization, dynamics, theta, penalty)
    return Prepared(new.problem, parameterization, dynamics, new.theta, new.chart, new.original, penalty)


def start_of(run):
    """The snapshot before the first step."""
    loss = run.objective(run.theta)
    return run.snapshot(Moment(run.theta, loss, jnp.zeros((), jnp.int32), jnp.zeros(())))


def weights(snapshot: Snapshot):
    """The weights as one flat vector in the original coordinates: (x) or (g, w)."""
    return jnp.concatenate([jnp.atleast_1d(leaf) for leaf in snapshot.theta])


def steps(snapshot: Snapshot):
    return snapshot.steps


def time(snapshot: Snapshot):
    return snapshot.time


PATH = (("weights", weights), ("loss", ib.loss), ("x", ib.predictor()), ("steps", steps), ("time", time))
"""What most tests look at. A tuple, because what is observed is static."""


def _watch(run, clock, observe):
    return run.objective, Watch(run=run, clock=clock, observe=dict(observe))


def whole_run(run, clock, observe):
    """Start to end: the records, the folds, and how and when it ended."""
    objective, watch = _watch(run, clock, observe)
    state = run.dynamics.start(objective, run.theta, watch)
    state = run.dynamics.advance(objective, state, jnp.inf, watch)
    ended = {"status": state.status, "end steps": state.steps, "end time": state.time}
    return state.records | watch.read(state.folds) | ended


@eqx.filter_jit
def _compiled(run, clock, observe):
    return rows_major(whole_run(run, clock, observe))


def _clock(dynamics, moments):
    return jnp.asarray(moments, dtype=jnp.int32 if dynamics.unit == "steps" else float)


def drive(problem, parameterization, dynamics, clock, observe=PATH, *, rewritten=True, seed=0):
    """A whole run, compiled once per structure: give as arrays what varies between calls. Returns NumPy by name.

    `clock` is when to record; the run ends at its last entry. The preparation is not compiled: it would cost half.
    """
    run = prepared(problem, parameterization, dynamics, rewritten, seed)
    return jax.tree.map(np.asarray, _compiled(run, _clock(dynamics, clock), tuple(observe)))


def drive_lanes(make, values, clock, observe=PATH):
    """Runs side by side in one program: make(value) = (problem, parameterization, dynamics), for each of the values."""

    def one(value):
        run = prepared(*make(value))
        return whole_run(run, _clock(run.dynamics, clock), observe)

    out = jax.jit(lambda values: rows_major(jax.vmap(one)(values)))(jnp.asarray(values))
    return jax.tree.map(np.asarray, out)


@eqx.filter_jit
def _begin(run, clock, observe):
    objective, watch = _watch(run, clock, observe)
    return run.dynamics.start(objective, run.theta, watch)


@eqx.filter_jit
def _segment(run, clock, observe, state, until):
    objective, watch = _watch(run, clock, observe)
    return run.dynamics.advance(objective, state, until, watch)


def drive_in_segments(problem, parameterization, dynamics, clock, segment, observe=PATH[1:2]):
    """The final state of a run that is advanced `segment` at a time (inf: at once), by one compiled program."""
    pieces = (prepared(problem, parameterization, dynamics), _clock(dynamics, clock), tuple(observe))
    state, until = _begin(*pieces), segment
    while True:
        state = _segment(*pieces, state, jnp.asarray(until))
        if state.status != ib.Status.RUNNING:
            return state
        assert until < clock[-1], "a run that reached the end of its clock has ended"
        until += segment


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
