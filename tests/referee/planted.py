r"""Planted claims: twenty that are false and look true on their study's own grid or nearly, and ten that are true.

    constant    a wrong constant or exponent
    thin        true but on a thin set: a tie, a zero block, an aligned start
    end         true on average or in the study's range, and false at one end
    dropped     a condition (a rank, a balance, a sign, a momentum) that the statement leaves out

They are on least squares, weight normalisation, diagonal nets, sensing, deep linear nets and a small network, under flows
and descents, and of every kind. What the referee does not find of them is written down in docs/referee.md as not found.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)


@dataclasses.dataclass(frozen=True)
class Planted:
    study: ib.Study
    claim: ib.Claim
    family: str
    how: str
    """How it is false; "true" of one that is not."""


def _last(variable):
    return variable.isel(record=-1)


def _claim(id, statement, **said):
    tolerance = {"tolerance": lambda ds: 1e-6, "because": "planted"} if said.get("kind", ib.Identity()).uses_tolerance else {}
    return ib.Claim(**{**dict(id=id, source="planted", statement=statement, **tolerance), **said})


# -- least squares -----------------------------------------------------------------------------------------------------


def _bend(x):
    """How far the path leaves its chord, over the chord."""
    chord = x[-1] - x[0]
    along = chord / np.linalg.norm(chord)
    off = (x - x[0]) - np.outer((x - x[0]) @ along, along)
    return np.max(np.linalg.norm(off, axis=-1)) / np.linalg.norm(chord)


def squares_flow(*, scale, key, rows=2, columns=5, target_norm=2.0):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    return ib.Run(problem, ib.Euclidean(scale), ib.Flow(2000.0, stop=ib.loss_below(1e-18), rtol=1e-10, atol=1e-13))


SQUARES = ib.Study(
    cell=squares_flow, grids=ib.grid(seed=range(6), scale=[0.3, 1.0, 3.0]), records=ib.log_records(12),
    facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size},
    observe={"x": ib.predictor(), "norm": ib.norm(2), "rise": ib.worst_change(lambda a, b: b.loss - a.loss)},
    predict={"bend": _bend},
)  # fmt: skip


def squares_ball(*, scale, key, rows=2, columns=5, step=0.05, momentum=0.2):
    problem = ib.linear.gaussian(rows, columns, target_norm=2.0)(key)
    law = ib.heavy_ball(momentum)
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(step, law=law, stop=ib.loss_below(1e-18), max_steps=20_000))


BALL = ib.Study(
    cell=squares_ball, grids=ib.grid(seed=range(6), scale=[0.3, 1.0]), records=ib.log_records(6),
    facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size},
    observe={"norm": ib.norm(2), "rise": ib.worst_change(lambda a, b: (b.loss - a.loss) / (a.loss + b.loss))},
)  # fmt: skip


def squares_steps(*, step, key, rows=2, columns=8):
    problem = ib.linear.gaussian(rows, columns, target_norm=2.0)(key)
    return ib.Run(problem, ib.Euclidean(0.1), ib.Descent(step, stop=ib.loss_below(1e-8), max_steps=20_000))


STEPS = ib.Study(
    cell=squares_steps, grids=ib.grid(seed=range(20), step=[0.025, 0.05, 0.1, 0.2]), records=ib.log_records(4),
    facts={"lambda_max": ib.lambda_max},
)  # fmt: skip


def normalised(*, weights, scale, key, ratio=1.0, rows=2, columns=5):
    problem = ib.linear.gaussian(rows, columns, target_norm=2.0)(key)
    if weights == "polar":
        start, options = ib.Polar(scale), {"ratio": ratio}
    else:
        start, options = ib.Euclidean(scale), {}
    return ib.Run(problem, start, ib.Flow(2000.0, stop=ib.loss_below(1e-18), rtol=1e-10, atol=1e-13, **options))


NORMALISED = dict(
    cell=normalised, records=ib.log_records(8), facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size},
    observe={"norm": ib.norm(2), "off": ib.distance_to(ib.min_norm)},
)  # fmt: skip
WN = ib.Study(
    **{**NORMALISED, "observe": {"norm": ib.norm(2), "g": ib.size, "perp": ib.orthogonal_log}},
    grids=ib.grid(weights="polar", seed=range(6), scale=[0.1, 0.2, 0.4, 0.8]),
)
BOTH = ib.Study(**NORMALISED, grids=ib.grid(weights=["polar", "plain"], seed=range(8), scale=[2.0, 3.0, 4.0]))

SQUARES_CLAIMS = [
    Planted(SQUARES, _claim(
        "norm-below-nine-tenths", r"$|x|^2 \le g_*^2 + 0.9 g_0^2 |w_\perp|^2$", kind=ib.Inequality(),
        residual=lambda ds: _last(ds.norm) ** 2 - ds.g_star**2 - 0.9 * (ds.scale * ds.w_perp) ** 2,
    ), "least squares, flow", "constant"),
    Planted(SQUARES, _claim(
        "paths-bend", "with two rows or more, no path of the flow is straight", kind=ib.Inequality(),
        hypotheses=lambda ds: {"two rows or more": ds["rows"] - 2}, residual=lambda ds: 1e-5 - ds.bend,
        tolerance=lambda ds: 0.0,
    ), "least squares, flow", "thin"),
    Planted(BALL, _claim(
        "heavy-ball-never-rises", "the loss never rises", kind=ib.Inequality(), residual=lambda ds: ds.rise, accepts=ENDED,
        tolerance=lambda ds: 1e-3,
    ), "least squares, descent", "dropped"),
    Planted(STEPS, _claim(
        "fits-in-400-steps", "a step of $0.2$ fits within $400$ steps, nine times of ten", kind=ib.Probability(0.9),
        hypotheses=lambda ds: {"the greatest step": ds.step - 0.19}, residual=lambda ds: ds.steps - 400.0, accepts=ENDED,
        tolerance=lambda ds: 0.0,
    ), "least squares, descent", "dropped"),
    Planted(WN, _claim(
        "invariant-without-c", r"$\log |w_\perp| + g^2 / 2$ is constant",
        residual=lambda ds: abs(ds.perp + ds.g**2 / 2 - (ds.perp + ds.g**2 / 2).isel(record=0)),
    ), "weight normalisation, flow", "dropped"),
    Planted(WN, _claim(
        "no-excess-for-small-starts", r"$|x| \to g_*$ as $g_0 \to 0$", kind=ib.Limit(against="scale"),
        residual=lambda ds: _last(ds.norm) - ds.g_star, tolerance=lambda ds: 0.02,
    ), "weight normalisation, flow", "constant"),
    Planted(BOTH, _claim(
        "wn-ends-closer", "WN ends closer to $x_*$ than GD, on average", kind=ib.Ordering(),
        residual=lambda ds: _last(ds.off).sel(weights="polar") - _last(ds.off).sel(weights="plain"),
    ), "weight normalisation, flow", "end"),
    Planted(SQUARES, _claim(
        "pythagoras", r"$|x|^2 = g_*^2 + g_0^2 |w_\perp|^2$",
        residual=lambda ds: (_last(ds.norm) ** 2 - ds.g_star**2 - (ds.scale * ds.w_perp) ** 2) / _last(ds.norm) ** 2,
    ), "least squares, flow", "true"),
    Planted(SQUARES, _claim(
        "nearest-for-small-starts", r"$|x| \to g_*$ as $g_0 \to 0$", kind=ib.Limit(against="scale"),
        residual=lambda ds: _last(ds.norm) - ds.g_star, tolerance=lambda ds: ds.scale**2 / ds.g_star,
    ), "least squares, flow", "true"),
    Planted(BALL, _claim(
        "heavy-ball-ends-there-too", r"$|x|^2 = g_*^2 + g_0^2 |w_\perp|^2$ under heavy ball",
        residual=lambda ds: (_last(ds.norm) ** 2 - ds.g_star**2 - (ds.scale * ds.w_perp) ** 2) / _last(ds.norm) ** 2,
    ), "least squares, descent", "true"),
    Planted(dataclasses.replace(STEPS, grids=ib.grid(seed=range(20), step=[0.00125, 0.0025, 0.005, 0.01])), _claim(
        "steps-are-O(1/step)", r"the steps to fit are $O(1 / \eta)$ where $\eta \lambda_{\max} \le 1 / 10$",
        kind=ib.UpToConstant(against="step", towards="zero"), residual=lambda ds: ds.steps, tolerance=lambda ds: 1 / ds.step,
        hypotheses=lambda ds: {r"$\eta \lambda_{\max} \le 1 / 10$": 0.1 - ds.step * ds.lambda_max},
    ), "least squares, descent", "true"),
    Planted(WN, _claim(
        "exact-limit", r"$|x|$ solves $G (1 - |w_\perp|^2 e^{(g_0^2 - G) / c}) = g_*^2$",
        residual=lambda ds: abs(_last(ds.norm) - ib.theory.weight_normalisation.limit_norm(
            g0=ds.scale, orthogonal=ds.w_perp, g_star=ds.g_star, ratio=ds.ratio)),
    ), "weight normalisation, flow", "true"),
]  # fmt: skip

# -- diagonal nets -----------------------------------------------------------------------------------------------------


def signed_net(*, alpha, key, depth=2, rows=3, columns=6, nonzeros=1, stop=1e-10, rtol=1e-12):
    problem = ib.linear.sparse(rows, columns, nonzeros)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), depth, signed=True)
    return ib.Run(problem, net, ib.Flow(1e5, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300, max_steps=20_000))


def _off_l2(operator, target, x):
    return np.linalg.norm(x[-1] - np.linalg.pinv(operator) @ target)


NET = dict(
    cell=signed_net, records=ib.log_records(4), facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor(), "z": ib.layer}, predict={"off_l2": _off_l2},
)  # fmt: skip
RICH = ib.Study(**NET, grids=ib.grid(seed=range(6), alpha=[1e-3, 3e-3, 0.01, 0.03, 0.1]))
KERNEL = ib.Study(**NET, grids=ib.grid(seed=range(6), alpha=[3.0, 4.0, 5.6, 8.0], stop=1e-18))


def positive_net(*, alpha, key, nonnegative=True, rows=3, columns=6, nonzeros=2):
    problem = ib.linear.sparse(rows, columns, nonzeros, nonnegative=nonnegative)(key)
    return ib.Run(problem, ib.Power(ib.Euclidean(alpha * np.sqrt(columns)), 2), ib.Flow(3e3, stop=ib.loss_below(1e-8)))


POSITIVE = ib.Study(cell=positive_net, grids=ib.grid(seed=range(6), alpha=[0.01, 0.1, 1.0]), records=ib.log_records(4))


def two_entries(*, alpha, key, depth=2):
    y = jax.random.uniform(ib.stream(key, "target"), (2,), minval=1.0, maxval=3.0)
    problem = ib.linear.fixed(np.eye(2, 3), np.ones(2))(0)
    problem = dataclasses.replace(problem, target=y)
    return ib.Run(problem, ib.Power(ib.Euclidean(alpha * np.sqrt(3)), depth), ib.Flow(1e6, stop=ib.loss_below(1e-10)))


def _half(i):
    return ib.first_time(lambda s: s.pred[i] > 0.5 * s.problem.target[i])


TWO = ib.Study(
    cell=two_entries, grids=ib.grid(seed=range(6), alpha=[1e-5, 1e-4, 1e-3, 1e-2]), records=ib.log_records(4),
    observe={"first": _half(0), "second": _half(1)},
)  # fmt: skip

NET_CLAIMS = [
    Planted(KERNEL, _claim(
        "off-l2-falls-like-alpha^-2", r"the distance to $x_*$ falls like $\alpha^{-2}$",
        kind=ib.Exponent(against="alpha", value=-2.0, within=0.2), residual=lambda ds: ds.off_l2, accepts=ENDED,
    ), "diagonal net, flow", "constant"),
    Planted(TWO, _claim(
        "time-is-O(log-1/alpha)", r"the time to fit is $O(\log 1 / \alpha)$", accepts=ENDED,
        kind=ib.UpToConstant(against="alpha", towards="zero"), hypotheses=lambda ds: {r"$\alpha \le 0.1$": 0.1 - ds.alpha},
        residual=lambda ds: ds.time, tolerance=lambda ds: np.log(1 / ds.alpha),
    ), "diagonal net, flow", "dropped"),
    Planted(POSITIVE, _claim(
        "positive-nets-fit", "nets with positive weights fit", kind=ib.Inequality(),
        hypotheses=lambda ds: {r"$\alpha \ge 0.01$": ds.alpha - 0.01}, residual=lambda ds: _last(ds.loss),
        tolerance=lambda ds: 1e-4, accepts=ENDED,
    ), "diagonal net, flow", "dropped"),
    Planted(TWO, _claim(
        "one-after-the-other", "one entry is learnt before the other", kind=ib.Inequality(),
        hypotheses=lambda ds: {r"$\alpha \le 0.01$": 0.01 - ds.alpha},
        residual=lambda ds: 1e-4 - abs(ds["first"] - ds["second"]) / (ds["first"] + ds["second"]), tolerance=lambda ds: 0.0,
    ), "diagonal net, flow", "thin"),
    Planted(KERNEL, _claim(
        "off-l2-falls-like-alpha^-4", r"$L = 2$: the distance to $x_*$ falls like $\alpha^{-4}$",
        hypotheses=lambda ds: {
            "$L = 2$": ib.curves.among(ds.depth, 2), r"$\alpha \ge 3$": ds.alpha - 3,
            "above what the integrator leaves": ds.off_l2 - 1e3 * (ds.rtol * ds.alpha**2 + np.sqrt(ds.stop)),
        },
        kind=ib.Exponent(against="alpha", value=-4.0, within=0.3), residual=lambda ds: ds.off_l2, accepts=ENDED,
    ), "diagonal net, flow", "true"),
    Planted(RICH, _claim(
        "branches-keep-their-product", r"$L = 2$: $u_i v_i = \alpha^2$", accepts=ENDED,
        hypotheses=lambda ds: {"$L = 2$": ib.curves.among(ds.depth, 2)},
        residual=lambda ds: (_products(ds) - 1), tolerance=lambda ds: 1e-4,
    ), "diagonal net, flow", "true"),
]  # fmt: skip


def _products(ds):
    half = ds.sizes["z_0"] // 2
    first, second = ds.z.isel(z_0=slice(half)), ds.z.isel(z_0=slice(half, None))
    return (first * second).max("z_0") / ds.alpha**2


# -- sensing, deep linear nets -----------------------------------------------------------------------------------------


def _overlap(snapshot):
    """Of the first factor, what is in the range of the truth."""
    u = snapshot.theta.u
    return jnp.linalg.norm(snapshot.problem.left.T @ u) / jnp.linalg.norm(u)


def factor(*, scale, key, size=3, rank=1, width=1, until=200.0):
    problem = ib.matrix.population(size, rank)(key)
    return ib.Run(problem, ib.Symmetric(scale, width), ib.Flow(until, stop=ib.loss_below(1e-12), rtol=1e-9, atol=1e-14))


FACTOR = ib.Study(
    cell=factor, grids=ib.grid(seed=range(6), scale=[1e-4, 1e-3, 1e-2, 0.1]), records=ib.log_records(4),
    facts={"overlap": _overlap}, observe={"error": ib.relative_error},
)  # fmt: skip


def sensed(*, scale, key, size=3, measurements=12, step=0.1):
    problem = ib.matrix.gaussian(size, 1, measurements)(key)
    descent = ib.Descent(step, stop=ib.loss_below(1e-12), max_steps=5_000)
    return ib.Run(problem, ib.Symmetric(scale, 2), descent)


SENSED = ib.Study(
    cell=sensed, grids=ib.grid(seed=range(6), scale=[1e-3, 1e-2, 0.1]), records=ib.log_records(4),
    observe={"largest": ib.running_max(lambda s: jnp.linalg.norm(s.pred))},
)  # fmt: skip


def two_factors(*, scale, key, width=2):
    problem = ib.matrix.population((3, 2), 1)(key)
    return ib.Run(problem, ib.Asymmetric(scale, width), ib.Flow(100.0, stop=ib.loss_below(1e-12), rtol=1e-10, atol=1e-13))


TWO_FACTORS = ib.Study(
    cell=two_factors, grids=ib.grid(seed=range(6), scale=[1e-3, 1e-2, 0.05]), records=ib.log_records(6),
    observe={"drift": ib.imbalance_drift, "apart": lambda s: abs(jnp.sum(s.theta.v**2) - jnp.sum(s.theta.w**2))},
)  # fmt: skip


def layers(*, scale, key, depth=2, condition=2.0):
    problem = ib.matrix.population((2, 2), 2, condition=condition)(key)
    return ib.Run(problem, ib.DeepLinear(scale, depth, 2), ib.Flow(1e4, stop=ib.loss_below(1e-8), rtol=1e-8, atol=1e-14))


DEEP = ib.Study(
    cell=layers, grids=ib.grid(seed=range(6), scale=[0.1, 0.2, 0.4]), records=ib.log_records(4),
    observe={"error": ib.relative_error},
)  # fmt: skip
DEEPER = dataclasses.replace(DEEP, grids=ib.grid(seed=range(8), depth=3, scale=[0.02, 0.04, 0.08, 0.16]))

MATRIX_CLAIMS = [
    Planted(FACTOR, _claim(
        "one-column-recovers", r"$U U^\top$ recovers $X$ where the start overlaps it", kind=ib.Inequality(), accepts=ENDED,
        hypotheses=lambda ds: {"overlap": ds.overlap - 0.01}, residual=lambda ds: _last(ds.error), tolerance=lambda ds: 0.01,
    ), "sensing, flow", "dropped"),
    Planted(FACTOR, _claim(
        "every-start-recovers", r"rank $1$: $U U^\top$ recovers $X$ from every start", kind=ib.Inequality(), accepts=ENDED,
        hypotheses=lambda ds: {"rank $1$": ib.curves.among(ds["rank"], 1)}, residual=lambda ds: _last(ds.error),
        tolerance=lambda ds: 0.01,
    ), "sensing, flow", "thin"),
    Planted(FACTOR, _claim(
        "time-grows-like-a-root", r"the time to recover grows like $\alpha^{-1/2}$",
        kind=ib.Exponent(against="scale", value=-0.5, within=0.2), residual=lambda ds: ds.time,
    ), "sensing, flow", "constant"),
    Planted(SENSED, _claim(
        "never-larger-than-the-truth", r"$|Z|_F \le 1.1$ at every step, $|X|_F = 1$", kind=ib.Inequality(), accepts=ENDED,
        residual=lambda ds: ds.largest - 1.1, tolerance=lambda ds: 0.0,
    ), "sensing, descent", "end"),
    Planted(TWO_FACTORS, _claim(
        "factors-are-of-one-size", r"$||V|_F^2 - |W|_F^2| \le 0.05$ at every time", kind=ib.Inequality(), accepts=ENDED,
        residual=lambda ds: ds.apart - 0.05, tolerance=lambda ds: 0.0,
    ), "sensing, flow", "end"),
    Planted(DEEP, _claim(
        "two-layers-fit", "two square layers fit from every start", kind=ib.Inequality(), accepts=ENDED,
        hypotheses=lambda ds: {"two layers": ib.curves.among(ds.depth, 2)}, residual=lambda ds: _last(ds.error),
        tolerance=lambda ds: 0.1,
    ), "deep linear net, flow", "thin"),
    Planted(DEEPER, _claim(
        "three-layers-take-alpha^-2", r"three layers fit in a time like $\alpha^{-2}$",
        kind=ib.Exponent(against="scale", value=-2.0, within=0.3), residual=lambda ds: ds.time,
    ), "deep linear net, flow", "constant"),
    Planted(FACTOR, _claim(
        "overlapping-starts-recover", "rank $1$ from a start that overlaps it recovers $X$", kind=ib.Inequality(),
        accepts=ENDED,
        hypotheses=lambda ds: {
            "rank $1$": ib.curves.among(ds["rank"], 1), "overlap": ds.overlap - 0.01, r"$\alpha \ge 10^{-5}$": ds.scale - 1e-5,
            "time": ds.until - 60,
        },
        residual=lambda ds: _last(ds.error), tolerance=lambda ds: 0.01,
    ), "sensing, flow", "true"),
    Planted(TWO_FACTORS, _claim(
        "imbalance-is-kept", r"$V^\top V - W^\top W$ is constant", residual=lambda ds: ds.drift, accepts=ENDED,
        tolerance=lambda ds: 1e-6 * (1 + ds.scale**2),
    ), "sensing, flow", "true"),
]  # fmt: skip

# -- a small network ---------------------------------------------------------------------------------------------------


def network(*, step, key, width=3, examples=6, length=300):
    inputs = jax.random.normal(ib.stream(key, "inputs"), (examples, 2))
    targets = jax.random.normal(ib.stream(key, "targets"), (examples,))
    return ib.Run(ib.supervised(inputs, targets), ib.mlp([width], jnp.tanh), ib.Descent(step, max_steps=length))


def _nearest_units(snapshot):
    """The least distance between two hidden units, of what they read and what they write."""
    units = jnp.concatenate([snapshot.theta["layer1"]["kernel"], snapshot.theta["layer2"]["kernel"][None, :]])
    apart = jnp.sum((units[:, :, None] - units[:, None, :]) ** 2, axis=0)
    return jnp.sqrt(jnp.min(apart + 1e6 * jnp.eye(units.shape[1])))


NETWORK = ib.Study(
    cell=network, grids=ib.grid(seed=range(8), step=[0.02, 0.05, 0.1]), records=ib.log_records(4),
    observe={"rise": ib.worst_change(lambda a, b: b.loss - a.loss), "units": _nearest_units},
)  # fmt: skip

NETWORK_CLAIMS = [
    Planted(NETWORK, _claim(
        "loss-never-rises", "the loss of a network never rises under descent", kind=ib.Inequality(), accepts=ENDED,
        residual=lambda ds: ds.rise, tolerance=lambda ds: 1e-12,
    ), "small network, descent", "end"),
    Planted(NETWORK, _claim(
        "units-differ", "no two hidden units end alike", kind=ib.Inequality(), accepts=ENDED,
        residual=lambda ds: 1e-6 - _last(ds.units), tolerance=lambda ds: 0.0,
    ), "small network, descent", "thin"),
    Planted(NETWORK, _claim(
        "small-steps-lower-the-loss", r"steps $\eta \le 0.1$ lower the loss, on average", kind=ib.Ordering(), accepts=ENDED,
        hypotheses=lambda ds: {r"$\eta \le 0.1$": 0.1 + 1e-9 - ds.step},
        residual=lambda ds: _last(ds.loss) - ds.loss.isel(record=0),
    ), "small network, descent", "true"),
]  # fmt: skip

PLANTED = [*SQUARES_CLAIMS, *NET_CLAIMS, *MATRIX_CLAIMS, *NETWORK_CLAIMS]
FALSE = [p for p in PLANTED if p.how != "true"]
TRUE = [p for p in PLANTED if p.how == "true"]
BY_ID = {p.claim.id: p for p in PLANTED}
