r"""How many steps does rPGD need?  First w turns, then g grows.   (Wu et al. 2020, Theorem 3.2)

A A^T = I and the step of w is 1/g^2, so that b = |w_perp|^2 obeys b' = b / (b + g*^2/g^2) exactly. In variant (b) g is
frozen until |w_perp| <= eps and then grows with step gamma; in variant (a) it grows slowly from the first step, so
slowly that g^2 <= g*^2 - rho (g*^2 - g0^2) when w has turned. Counts: `implicit_bias.theory.projected_descent`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import implicit_bias as ib

from .claims import ENDS_AT_T, ROUNDING, SOURCE

theory = ib.theory.projected_descent
EPS, STEPS = 1e-3, 4_000


def cell(*, variant, fraction, key, rho=0.5, gamma=0.25, rows=6, columns=15, target_norm=2.0):
    problem = ib.linear.orthonormal(rows, columns, target_norm=target_norm)(key)
    direction = jax.random.normal(key.stream("direction"), (columns,))
    direction = direction / jnp.linalg.norm(direction)
    orthogonal, g0 = jnp.sqrt(1 - jnp.sum((problem.operator @ direction) ** 2)), fraction * target_norm
    if variant == "b":
        turn, first = theory.turning_steps(g0, target_norm, orthogonal, EPS, jnp), 0.0
    else:
        turn = theory.turning_bound(g0, target_norm, orthogonal, EPS, rho, jnp)
        first = theory.growth_step(g0, target_norm, turn, rho, jnp)
    ratio = ib.two_stage(first, gamma, turn)
    descent = ib.Descent(1.0, ratio=ratio, law=ib.over_size_squared(), stop=ib.loss_below(1e-22), max_steps=STEPS)
    return ib.Run(problem, ib.Sphere(g0, direction), descent)


def _target_square(snapshot):
    """g*^2 = |y|^2, because A A^T = I."""
    return snapshot.problem.target @ snapshot.problem.target


def contraction_gap(before, after):
    """|log b' - log(b / (b + g*^2/g^2))| over one step."""
    old, new = 2 * ib.orthogonal_log(before), 2 * ib.orthogonal_log(after)
    return jnp.abs(new - old + jnp.log(jnp.exp(old) + _target_square(before) / before.theta.g**2))


def parallel_gap(before, after):
    """|A w' - y / (g |v|)| / |A w'| over one step, |v|^2 = |w_perp|^2 + g*^2/g^2"""
    problem, g = before.problem, before.theta.g
    length = jnp.sqrt(jnp.exp(2 * ib.orthogonal_log(before)) + _target_square(before) / g**2)
    row = problem.operator @ after.theta.w
    return jnp.linalg.norm(row - problem.target / (g * length)) / jnp.linalg.norm(row)


def turned(snapshot):
    """|w_perp| <= eps"""
    return ib.orthogonal_log(snapshot) <= np.log(EPS)


def fitted(snapshot):
    """|A x - y|^2 <= 3 eps g*^2"""
    return 2 * snapshot.loss <= 3 * EPS * _target_square(snapshot)


def size_while_turning(snapshot):
    """g up to the end of the first phase"""
    return jnp.where(snapshot.steps.astype(float) <= snapshot.dynamics.ratio.switch, snapshot.theta.g, -jnp.inf)


def grows(before, after):
    """g' >= g"""
    return after.theta.g >= before.theta.g * (1 - 1e-15)


def grows_after_the_first(before, after):
    """g' >= g, from the second step on"""
    return (before.steps < 1) | grows(before, after)


# -- what theory says of a run -----------------------------------------------------------------------------------------


def turn(variant, fraction, target_norm, w_perp, rho):
    """The steps of the first phase, by the closed form of each variant: exact, or a bound."""
    g0 = fraction * target_norm
    if variant == "b":
        return theory.turning_steps(g0, target_norm, w_perp, EPS)
    return theory.turning_bound(g0, target_norm, w_perp, EPS, rho)


@ib.batched
def whole(turn, fraction, target_norm, gamma):
    """The steps of both phases."""
    return turn + theory.growing_steps(fraction * target_norm, target_norm, EPS, gamma)


@ib.batched
def printed_order(fraction, target_norm):
    """g0^2 / (g*^2 - g0^2) log(1/eps)."""
    return theory.printed_turning_order(fraction * target_norm, target_norm, EPS)


@ib.batched
def held_below(fraction, target_norm, rho):
    """g*^2 - rho (g*^2 - g0^2)."""
    return target_norm**2 - rho * (target_norm**2 - (fraction * target_norm) ** 2)


# -- claims ------------------------------------------------------------------------------------------------------------


def _once(ds):
    """Variant (b) knows no rho: its runs are the same at each, and count once."""
    return {"(b) at one rho": xr.where((ds.variant == "b") & (ds.rho < ds.rho.max()), -1.0, 1.0)}


def _variant(name):
    return lambda ds: {f"variant ({name})": ib.curves.among(ds.variant, name)} | _once(ds)


claim = ib.claims_with(accepts=ENDS_AT_T, hypotheses=_once)

CLAIMS = [
    claim(
        id="rpgd-contraction",
        source=f"{SOURCE}, Theorem 3.2 (derived: exact)",
        statement=r"$b' = b / (b + g_*^2/g^2)$ at every step, $b = |w_\perp|^2$, for $A A^\top = I$ and step $1/g^2$",
        residual=lambda ds: ds.contraction_gap,
        tolerance=lambda ds: ROUNDING + 1e-13 * abs(ds.log_w_perp),
        because="exact; rounding of one step, relative to the logarithm it is read from",
    ),
    claim(
        id="rpgd-step-makes-w-parallel-to-w*",
        source=f"{SOURCE}, Lemma E.2 (as quoted in Section 3)",
        statement=r"$A w' = A g_* w_* / (g |v|) = y / (g |v|)$ after every step, for $A A^\top = I$ and step $1/g^2$: "
        "no step ends in $S$",
        residual=lambda ds: ds.parallel_gap,
        tolerance=lambda ds: ROUNDING,
        because="exact; rounding of one step, relative to |A w'|, with |v|^2 = b + g*^2/g^2",
    ),
    claim(
        id="rpgd-turns-at-exactly-T1",
        source=f"{SOURCE}, Theorem 3.2 (b) (derived: exact)",
        statement=r"$g$ frozen at $g_0 < g_*$: $|w_\perp| \le \varepsilon$ for the first time at $T_1$, "
        r"from $1/b_t = k^t/b_0 + (k^t - 1)/(k - 1)$",
        hypotheses=_variant("b"),
        residual=lambda ds: abs(ds.turned - ds.turn),
        tolerance=lambda ds: 0.0,
        because="a count of steps",
    ),
    claim(
        id="rpgd-turns-by-T1-as-printed",
        source=f"{SOURCE}, Theorem 3.2 (b) (the printed order, with one constant for all g0)",
        statement=r"$|w_\perp| \le \varepsilon$ after $O((g_0^2/d_0) \log(1/\varepsilon))$ steps, "
        r"$d_0 = g_*^2 - g_0^2$, uniformly as $g_0 \to 0$",
        kind=ib.UpToConstant(against="fraction", towards="zero"),
        hypotheses=_variant("b"),
        residual=lambda ds: ds.turned,
        tolerance=lambda ds: ds.printed_order,
        because="a count of steps is 1 at least, and the order falls like g0^2",
        expected="refuted",
    ),
    claim(
        id="rpgd-turns-by-T1",
        source=f"{SOURCE}, Theorem 3.2 (a) (constants derived)",
        statement=r"$g$ growing by at most $\gamma_1$: $|w_\perp| \le \varepsilon$ by "
        r"$T_1 = \log(\varepsilon^2/b_0) / \log(1 - \rho d_0/g_*^2)$",
        kind=ib.Inequality(),
        hypotheses=_variant("a"),
        residual=lambda ds: ds.turned,
        tolerance=lambda ds: ds.turn,
        because="a count of steps",
    ),
    claim(
        id="rpgd-size-stays-below-while-turning",
        source=f"{SOURCE}, Theorem 3.2 (a)",
        statement=r"$g^2 \le g_*^2 - \rho d_0$ until $T_1$",
        kind=ib.Inequality(),
        hypotheses=_variant("a"),
        residual=lambda ds: ds.size_while_turning**2 - ds.held_below,
        tolerance=lambda ds: ROUNDING,
        because="exact: g grows by gamma1 g*^2/4g a step at most",
    ),
    claim(
        id="rpgd-fits-by-T1+T2",
        source=f"{SOURCE}, Theorem 3.2 (a) and (b) (constants derived)",
        statement=r"$|A x - y|^2 \le 3 \varepsilon g_*^2$ after $T_1 + T_2$ steps",
        kind=ib.Inequality(),
        residual=lambda ds: ds.fitted,
        tolerance=lambda ds: ds.whole,
        because="a count of steps",
    ),
    claim(
        id="rpgd-size-grows-after-the-first-step",
        source=f"{SOURCE}, Lemma E.4 (corrected)",
        statement=r"$g_{t+1} \ge g_t$ for every $t \ge 1$",
        residual=lambda ds: 1.0 - ds.grows_after_the_first,
        tolerance=lambda ds: 0.0,
        because="every step is looked at, with 1e-15 for rounding",
    ),
    claim(
        id="rpgd-size-grows-as-printed",
        source=f"{SOURCE}, Lemma E.4 (as quoted: from the first step)",
        statement=r"$g_{t+1} \ge g_t$ for every $t \ge 0$",
        residual=lambda ds: 1.0 - ds.grows,
        tolerance=lambda ds: 0.0,
        because="as for t >= 1; at t = 0 it needs w0.A^T y >= g0 |A w0|^2, which a random w0 has half of the time",
        expected="refuted",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------


FROZEN, GROWN = {"variant": "b", "rho": "first"}, {"variant": "a"}
BLUE, RED = {None: {"colour": "blue", "marker": "o"}}, {None: {"colour": "vermillion", "marker": "s", "line": "--"}}
TURNED = r"until $|w_\perp| \leq \epsilon$"
every = dict(x="fraction", accepts=None)


def _black(line):
    return {None: {"colour": "black", "line": line}}


figure = ib.Figure(
    id="phases",
    panels=[
        ib.panel(
            ib.curves_of("turned", label=TURNED, join=False, of=FROZEN, looks=BLUE, **every),
            ib.theory_of("turn", label="$T_1$", of=FROZEN, looks=_black("-"), **every),
            ib.curves_of("fitted", label="until it fits", join=False, of=FROZEN, looks=RED, **every),
            ib.theory_of("whole", label="bound $T_1 + T_2$", line="--", of=FROZEN, looks=_black("--"), **every),
            x="$g_0 / g_*$", y="steps", title="(b): $g$ frozen, then grown", log="xy",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: ds.turned / ds.printed_order, of=FROZEN, join=False, looks=BLUE,
                label=TURNED, **every,
            ),
            ib.level(1.0, "printed order, constant 1", line="-"),
            x="$g_0 / g_*$", y="steps over the printed order", title="(b): the order as printed", log="xy",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: ds.turned / ds.turn, by="rho", name=r"over $T_1$, $\rho = {:g}$", of=GROWN, **every
            ),
            ib.curves_of(
                lambda ds: (ds.fitted / ds.whole).max("rho"), open=True, of=GROWN,
                looks={None: ib.figures.Look(r"over $T_1 + T_2$, worst $\rho$", "black", "D", ":")}, **every,
            ),
            ib.level(1.0, "the bound", line="-"),
            x="$g_0 / g_*$", y="steps over the bound", title="(a): $g$ grown slowly from the start",
            log="x", ylim=(0, 1.15),
        ),
    ],
    caption=f"Steps of rPGD until |w_perp| <= {EPS:g} and until |A x - y|^2 <= 3 eps g*^2, A A^T = I; medians and "
    "ranges over "
    "{seed.count} seeds. Left: with g frozen first, against the exact count T1 and the bound T1 + T2. Middle: "
    "the first count "
    "over the printed order g0^2 / (g*^2 - g0^2) log(1/eps): it grows without end as g0 -> 0, because"
    " no count is below one step. Right: "
    "with g grown slowly from the start, over the bounds, for {rho.count} values of rho.",
    claims=["rpgd-turns-at-exactly-T1", "rpgd-turns-by-T1", "rpgd-fits-by-T1+T2", "rpgd-turns-by-T1-as-printed"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(variant=["b", "a"], seed=range(16), fraction=[0.025, 0.05, 0.1, 0.2, 0.4, 0.8], rho=[0.5, 0.1, 0.9]),
    facts={"w_perp": ib.orthogonal_size},
    observe={
        "log_w_perp": ib.orthogonal_log,
        "contraction_gap": ib.worst_change(contraction_gap),
        "parallel_gap": ib.worst_change(parallel_gap),
        "turned": ib.first_time(turned),
        "fitted": ib.first_time(fitted),
        "size_while_turning": ib.running_max(size_while_turning),
        "grows": ib.always(grows),
        "grows_after_the_first": ib.always(grows_after_the_first),
    },
    predict={"turn": turn, "whole": whole, "printed_order": printed_order, "held_below": held_below},
    records=ib.log_records(3),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(200), fraction=ib.linspace(0.05, 0.95, 19))},
)
