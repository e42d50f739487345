r"""When is each singular value learnt?  Z = W_N ... W_1, balanced and aligned: a closed time.   (Arora et al. 2019)

From layers with the target's singular vectors and one size s0 in all modes, ds/dt = N s^{2 - 2/N} (S - s) of every mode, and
the time at which s is reached is a logarithm (N = 2) or a hypergeometric function (N >= 3); two layers that are not balanced,
u^2 - v^2 = delta, have a closed time, too. As s0 -> 0 modes are learnt one after another, at log(1/s0)/2S or
s0^{2/N - 1}/((N - 2) S): an approach that is slow, like s0^{1 - 2/N}.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .figures import learnt

theory = ib.theory.deep_linear
BALANCED, PAIR = "balanced", "pair"


def cell(*, layers, depth, start, key, delta=0.0, condition=4.0, size=3, rtol=1e-11):
    del layers  # what a grid is called: delta is 0 where layers are balanced, so that pairs share the program of N = 2
    problem = ib.matrix.population((size, size), size, condition=condition)(key)
    u = v = start ** (1 / depth)
    if depth == 2:  # u^2 - v^2 = delta, u v = s0
        u, v = (jnp.sqrt((jnp.hypot(delta, 2 * start) + sign * delta) / 2) for sign in (1, -1))
    middle = [u * jnp.eye(size)] * (depth - 2)
    net = ib.DeepLinear(1.0, depth, size, start=(u * problem.left, *middle, v * problem.right.T))
    last = jnp.log(1 / start) / 2 if depth == 2 else start ** (2 / depth - 1) / (depth - 2)
    return ib.Run(problem, net, ib.Flow(1.5 * condition * last + 4 * condition, rtol=rtol, atol=1e-3 * rtol))


def modes(snapshot):
    """u_r^T Z v_r, of the target's vectors."""
    return jnp.einsum("ir,ij,jr->r", snapshot.problem.left, snapshot.x, snapshot.problem.right)


def stray(snapshot):
    """|Z - sum s_r u_r v_r^T| / |Z|"""
    problem, x = snapshot.problem, snapshot.x
    return jnp.linalg.norm(x - (problem.left * modes(snapshot)[None]) @ problem.right.T) / jnp.linalg.norm(x)


def half_times(before, after):
    """the time at which each mode passes half of its target, between two steps on a line"""
    level = before.problem.values / 2
    s, to = modes(before), modes(after)
    share = (level - s) / jnp.where(to > s, to - s, 1.0)
    return jnp.where((s < level) & (to >= level), before.time + share * (after.time - before.time), 0.0)


# -- what theory says of a run -----------------------------------------------------------------------------------------


def _time(s, start, target, depth, delta):
    return theory.pair_time(s, start, target, delta) if delta else theory.hitting_time(s, start, target, int(depth))


def off_time(modes, clock, targets, start, depth, delta):
    """|t(s) - t| / t of every mode up to 99 % of its target, the greatest of the modes and records but the first."""
    off = abs(_time(modes[1:], start, targets, depth, delta) / clock[1:, None] - 1)
    return np.max(off, initial=0.0, where=(modes[1:] > start) & (modes[1:] < 0.99 * targets))


def closed(clock, targets, start, depth, delta):
    """s_r(t), by the closed time."""
    share = 1 / (1 + np.exp(-np.linspace(np.log(start / targets), 18, 4000)))
    levels = np.maximum(share * targets, start)
    times = _time(levels, start, targets, depth, delta)
    return np.stack([np.interp(clock, t, s) for t, s in zip(times.T, levels.T)], -1)


def limit_times(targets, depth, start):
    """log(1/s0)/2S or s0^{2/N - 1}/((N - 2) S)."""
    return theory.first_hitting_time(start, targets, int(depth))


PREDICTED = {
    "off_time": off_time,
    "off_balanced": lambda modes, clock, targets, start: off_time(modes, clock, targets, start, 2, 0.0),
    "closed": closed, "limit_times": limit_times,
    "half_due": lambda targets, start, depth, delta: _time(targets / 2, start, targets, depth, delta),
    "off_half": lambda half_times, half_due: np.max(abs(half_times / half_due - 1)),
    "off_limit": lambda half_times, limit_times: np.max(abs(half_times / limit_times - 1)),
    "due_limit": lambda half_due, limit_times: np.max(abs(half_due / limit_times - 1)),
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

ENDED = (ib.Status.CAPPED, ib.Status.STALLED)
claim = ib.claims_with(accepts=ENDED, on=BALANCED)
_closed = ib.claims_with(
    accepts=ENDED, residual=lambda ds: ds.off_time, tolerance=lambda ds: 100 * ds.rtol,
    because="the integrator's rtol a step; near the target, where s hardly moves, nothing is asked",
)  # fmt: skip


def two(ds):
    return {"$N = 2$": 2 - ds.depth.astype(float)}


def small(ds):
    return {"$s_0$ is below a quarter of the least target": 0.25 / ds.condition - ds.start}


CLAIMS = [
    _closed(
        id="hitting-times-are-closed", source="Arora et al. 2019, Saxe et al. 2014 (derived)", on=BALANCED,
        statement=r"$t = [F(s) - F(s_0)]/N$, $F$ hypergeometric ($N \ge 3$) or a logarithm ($N = 2$), of every mode",
    ),
    _closed(
        id="times-of-unbalanced-pairs-are-closed", source="derived", on=PAIR, hypotheses=two,
        statement=r"$N = 2$, $u^2 - v^2 = \delta$: the closed time of $s' = (\delta^2 + 4 s^2)^{1/2} (S - s)$, of every mode",
    ),
    _closed(
        id="balanced-times-of-unbalanced-pairs", source="the balanced law, taken for any start", on=PAIR, hypotheses=two,
        statement=r"$N = 2$: $t = \log[s (S - s_0) / (s_0 (S - s))] / 2S$, balanced or not",
        residual=lambda ds: ds.off_balanced, expected="refuted",
    ),
    claim(
        id="modes-keep-their-vectors", source="Arora et al. 2019 (derived)", residual=lambda ds: ds.stray.max("record"),
        statement=r"$Z$ stays $\sum s_r u_r v_r^\top$, of the target's vectors", tolerance=lambda ds: 100 * ds.rtol,
        because="the integrator's rtol a step, over some hundred steps",
    ),
    claim(
        id="one-after-another", source="Saxe et al. 2014, Gidel et al. 2019 (derived)",
        statement=r"$N \ge 3$: every mode is at half of its target at $s_0^{2/N - 1} / ((N - 2) S)$, to a factor that "
        r"tends to 1 as $s_0 \to 0$",
        kind=ib.Limit(against="start", towards="zero"), residual=lambda ds: ds.off_limit,
        hypotheses=lambda ds: {r"$N \ge 3$": ds.depth.astype(float) - 3} | small(ds), tolerance=lambda ds: 0.15,
        because="the factor is off by the order of s0^{1 - 2/N}, here of the slowest mode: 6 % at N = 3 and 1e-4",
    ),
    claim(
        id="half-times-are-closed", source="Saxe et al. 2014, Arora et al. 2019 (derived)",
        statement="every mode is at half of its target at its closed time",
        residual=lambda ds: ds.off_half, hypotheses=small, tolerance=lambda ds: 1e-3,
        because="the time between two steps of the integrator is read off a line",
    ),
]  # fmt: skip

axes = dict(seed=range(3), start=[1e-1, 1e-2, 1e-3, 1e-4])
study = ib.Study(
    cell=cell,
    grids=ib.grid(layers=BALANCED, depth=[2, 3, 4], delta=0.0, **axes)
    + ib.grid(layers=PAIR, depth=2, delta=[0.1, -1.0], **axes),
    facts={"targets": lambda snapshot: snapshot.problem.values},
    observe={"modes": modes, "stray": stray, "half_times": ib.summed(half_times)},
    predict=PREDICTED, records=ib.linear_records(121),
    claims=CLAIMS, figures=[learnt(ENDED)],
    sizes={"paper": dict(seed=range(20), start=ib.logspace(1e-5, 1e-1, 9))},
)  # fmt: skip
