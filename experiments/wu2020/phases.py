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
from implicit_bias.evidence.curves import among
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.theory import projected_descent as theory

from .claims import ENDS_AT_T, ROUNDING, SOURCE

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


def _once(ds):
    """Variant (b) knows no rho: its runs are the same at each, and count once."""
    return {"(b) at one rho": xr.where((ds.variant == "b") & (ds.rho < ds.rho.max()), -1.0, 1.0)}


def _variant(ds, name):
    return {f"variant ({name})": among(ds.variant, name)} | _once(ds)


def _g0(ds):
    return ds.fraction * ds.target_norm


def _turn(ds):
    """The steps of the first phase, by the closed form of each variant."""
    exact = theory.turning_steps(_g0(ds), ds.target_norm, ds.w_perp, EPS)
    return exact.where(ds.variant == "b", theory.turning_bound(_g0(ds), ds.target_norm, ds.w_perp, EPS, ds.rho))


contraction = ib.Claim(
    id="rpgd-contraction",
    source=f"{SOURCE}, Theorem 3.2 (derived: exact)",
    statement="b' = b / (b + g*^2/g^2) at every step, b = |w_perp|^2, for A A^T = I and step 1/g^2",
    accepts=ENDS_AT_T,
    hypotheses=_once,
    residual=lambda ds: ds.contraction_gap,
    tolerance=lambda ds: ROUNDING + 1e-13 * abs(ds.log_w_perp),
    because="exact; rounding of one step, relative to the logarithm it is read from",
)

parallel = ib.Claim(
    id="rpgd-step-makes-w-parallel-to-w*",
    source=f"{SOURCE}, Lemma E.2 (as quoted in Section 3)",
    statement="A w' = A g* w* / (g |v|) = y / (g |v|) after every step, for A A^T = I and step 1/g^2: no step ends in S",
    accepts=ENDS_AT_T,
    hypotheses=_once,
    residual=lambda ds: ds.parallel_gap,
    tolerance=lambda ds: ROUNDING,
    because="exact; rounding of one step, relative to |A w'|, with |v|^2 = b + g*^2/g^2",
)

exact_turn = ib.Claim(
    id="rpgd-turns-at-exactly-T1",
    source=f"{SOURCE}, Theorem 3.2 (b) (derived: exact)",
    statement="g frozen at g0 < g*: |w_perp| <= eps for the first time at T1, from 1/b_t = k^t/b_0 + (k^t - 1)/(k - 1)",
    accepts=ENDS_AT_T,
    hypotheses=lambda ds: _variant(ds, "b"),
    residual=lambda ds: abs(ds.turned - _turn(ds)),
    tolerance=lambda ds: 0.0,
    because="a count of steps",
)

printed_turn = ib.Claim(
    id="rpgd-turns-by-T1-as-printed",
    source=f"{SOURCE}, Theorem 3.2 (b) (the printed order, with one constant for all g0)",
    statement="|w_perp| <= eps after O((g0^2/d0) log(1/eps)) steps, d0 = g*^2 - g0^2, uniformly as g0 -> 0",
    kind=ib.UpToConstant(against="fraction", towards="zero"),
    accepts=ENDS_AT_T,
    hypotheses=lambda ds: _variant(ds, "b"),
    residual=lambda ds: ds.turned,
    tolerance=lambda ds: theory.printed_turning_order(_g0(ds), ds.target_norm, EPS),
    because="a count of steps is 1 at least, and the order falls like g0^2",
    expected="refuted",
)

turns_in_time = ib.Claim(
    id="rpgd-turns-by-T1",
    source=f"{SOURCE}, Theorem 3.2 (a) (constants derived)",
    statement="g growing by at most gamma1: |w_perp| <= eps by T1 = log(eps^2/b_0) / log(1 - rho d0/g*^2)",
    kind=ib.Inequality(),
    accepts=ENDS_AT_T,
    hypotheses=lambda ds: _variant(ds, "a"),
    residual=lambda ds: ds.turned,
    tolerance=_turn,
    because="a count of steps",
)

stays_below = ib.Claim(
    id="rpgd-size-stays-below-while-turning",
    source=f"{SOURCE}, Theorem 3.2 (a)",
    statement="g^2 <= g*^2 - rho d0 until T1",
    kind=ib.Inequality(),
    accepts=ENDS_AT_T,
    hypotheses=lambda ds: _variant(ds, "a"),
    residual=lambda ds: ds.size_while_turning**2 - (ds.target_norm**2 - ds.rho * (ds.target_norm**2 - _g0(ds) ** 2)),
    tolerance=lambda ds: ROUNDING,
    because="exact: g grows by gamma1 g*^2/4g a step at most",
)

fits = ib.Claim(
    id="rpgd-fits-by-T1+T2",
    source=f"{SOURCE}, Theorem 3.2 (a) and (b) (constants derived)",
    statement="|A x - y|^2 <= 3 eps g*^2 after T1 + T2 steps",
    kind=ib.Inequality(),
    accepts=ENDS_AT_T,
    hypotheses=_once,
    residual=lambda ds: ds.fitted,
    tolerance=lambda ds: _turn(ds) + theory.growing_steps(_g0(ds), ds.target_norm, EPS, ds.gamma),
    because="a count of steps",
)

monotone = ib.Claim(
    id="rpgd-size-grows-after-the-first-step",
    source=f"{SOURCE}, Lemma E.4 (corrected)",
    statement="g_{t+1} >= g_t for every t >= 1",
    accepts=ENDS_AT_T,
    hypotheses=_once,
    residual=lambda ds: 1.0 - ds.grows_after_the_first,
    tolerance=lambda ds: 0.0,
    because="every step is looked at, with 1e-15 for rounding",
)

printed_monotone = ib.Claim(
    id="rpgd-size-grows-as-printed",
    source=f"{SOURCE}, Lemma E.4 (as quoted: from the first step)",
    statement="g_{t+1} >= g_t for every t >= 0",
    accepts=ENDS_AT_T,
    hypotheses=_once,
    residual=lambda ds: 1.0 - ds.grows,
    tolerance=lambda ds: 0.0,
    because="as for t >= 1; at t = 0 it needs w0.A^T y >= g0 |A w0|^2, which a random w0 has half of the time",
    expected="refuted",
)


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, panels = plt.subplots(1, 2, figsize=(9.6, 3.9))
    for panel, variant in zip(panels, ("b", "a")):
        runs = ds.sel(variant=variant)
        runs = runs.isel(rho=0) if "rho" in runs.dims else runs
        bound = _turn(ds).sel(variant=variant)
        bound = bound.isel(rho=0) if "rho" in bound.dims else bound
        panel.plot(
            runs.fraction, runs.turned.transpose("fraction", "seed"), "o", ms=4, color=COLOURS["blue"], alpha=0.6
        )
        panel.plot(runs.fraction, bound.max("seed"), "-", color=COLOURS["blue"], label="$T_1$, greatest over seeds")
        if variant == "b":
            order = theory.printed_turning_order(_g0(runs), runs.target_norm, EPS)
            panel.plot(runs.fraction, order, ":", color=COLOURS["blue"], label="printed order, constant 1")
        whole = bound + theory.growing_steps(_g0(runs), runs.target_norm, EPS, runs.gamma)
        panel.plot(
            runs.fraction, runs.fitted.transpose("fraction", "seed"), "x", ms=5, color=COLOURS["vermillion"], alpha=0.6
        )
        panel.plot(runs.fraction, whole.max("seed"), "--", color=COLOURS["vermillion"], label="$T_1 + T_2$")
        panel.set(yscale="log", xlabel="$g_0 / g_*$", ylabel="steps")
        panel.set_title({"b": "(b): g frozen, then grown", "a": "(a): g grown slowly from the start"}[variant])
        panel.legend(fontsize=8.5)
    return drawing


def _caption(ds):
    return (
        f"Steps of rPGD until |w_perp| <= {EPS:g} (dots) and until |A x - y|^2 <= 3 eps g*^2 (crosses), "
        f"{ds.sizes['seed']} seeds, A A^T = I, against the counts T1 and T1 + T2 (lines). In (b) T1 is exact run by run; "
        f"the printed order, here with constant 1, falls below one step as g0 -> 0."
    )


figure = Figure(
    id="phases", draw=_draw, caption=_caption,
    claims=["rpgd-turns-at-exactly-T1", "rpgd-turns-by-T1", "rpgd-fits-by-T1+T2", "rpgd-turns-by-T1-as-printed"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(variant=["b", "a"], seed=range(16), fraction=[0.1, 0.3, 0.5, 0.7, 0.9], rho=[0.5, 0.1, 0.9]),
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
    records=ib.log_records(3),
    claims=[contraction, parallel, exact_turn, printed_turn, turns_in_time, stays_below, fits, monotone, printed_monotone],
    figures=[figure],
    sizes={"paper": dict(seed=range(200), fraction=ib.linspace(0.05, 0.95, 19))},
)
