r"""Which margin does a diagonal net maximise?  sum exp(-y_i <a_i, x>), x = u^L - v^L.   (Lyu & Li 2020; Soudry et al. 2018)

A net that is L-homogeneous in its weights theta raises its smoothed margin log(1/Loss)/|theta|^L at every moment once Loss < 1, and

    Loss ~ 1 / (t (log t)^{2 - 2/L}),     x -> infinity in the direction of the largest margin in l2 (L = 1), l1 (L = 2):

|x|_p grows by 1/margin_p for each unit of log(1/Loss). Descent by signs, which is steepest in l-infinity, does so with
that norm. The largest margins come from linear programs and least squares, each with its duality gap.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import implicit_bias as ib


def _by_signs(gradient, state, weights):
    del weights
    total = sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(gradient))
    return jax.tree.map(lambda leaf: total * jnp.sign(leaf), gradient), state


SIGNS = ib.from_optax(
    optax.GradientTransformation(lambda weights: optax.EmptyState(), _by_signs), "steepest descent in l-infinity"
)


def cell(*, law, depth, scale, key, step=0.01, rows=5, columns=10, log_time=180.0, rtol=1e-10, max_steps=6_000):
    problem = ib.linear.gaussian(rows, columns, loss=ib.exponential)(key)
    if law == "signs":
        descent = ib.Descent(ib.over_loss(step), law=SIGNS, max_steps=max_steps)
        return ib.Run(problem, ib.Power(ib.Euclidean(scale), depth), descent)
    net = ib.Power(ib.Euclidean(scale), depth, signed=True)
    return ib.Run(problem, net, ib.Flow(jnp.exp(log_time), rtol=rtol, atol=1e-300, max_steps=10_000))


def records(dynamics):
    """Even in log t under the flow, in steps under descent."""
    if dynamics.unit == "t":
        return ib.log_records(61, first=np.exp(3))(dynamics)
    return ib.linear_records(60)(dynamics)


def smoothed_margin(snapshot):
    """log(1/Loss) / |theta|^L."""
    size = jnp.linalg.norm(snapshot.parameterization.layer(snapshot.theta))
    return -jnp.log(snapshot.loss) / size**snapshot.parameterization.depth


def _fall(before, after):
    """relative fall of log(1/Loss) / |theta|^L over one step from where Loss < 1"""
    fall = 1 - smoothed_margin(after) / smoothed_margin(before)
    return jnp.where(before.loss < 1, fall, -jnp.inf)


# -- what theory says of a run -----------------------------------------------------------------------------------------


def late(log_time):
    """The log t from which rates are read: two thirds of the end."""
    return 2 * log_time / 3


def best(operator, target):
    """The largest margins in l1, l2 and l-infinity, how far their certificates leave them open, and l1's dual point."""
    rows = target[:, None] * operator
    found = {name: ib.min_norm_separator(rows, p) for name, p in (("l1", 1), ("l2", 2), ("linf", np.inf))}
    margins = {name: 1 / one.value for name, one in found.items()}
    doubts = {f"{name}_doubt": max(abs(one.gap), one.residual) for name, one in found.items()}
    return margins | doubts | {"dual": found["l1"].dual}


def named(law, depth, best_l1, best_l2, best_linf):
    """The p of the norm whose margin grows largest, and that margin."""
    p = np.inf if law == "signs" else 1.0 if depth == 2 else 2.0
    return {"p": p, "margin": {1.0: best_l1, 2.0: best_l2, np.inf: best_linf}[p]}


def growth(x, loss, p, margin):
    """Growth of |x|_p for each unit of log(1/Loss), over the last third of the run, times the best margin: 1 in theory."""
    size, level, begin = np.linalg.norm(x, p, axis=-1), -np.log(loss), -(len(x) // 3)
    return (size[-1] - size[begin]) / (level[-1] - level[begin]) * margin


def creeping(depth, operator, target, best_dual, log_time):
    """At L = 2 an entry with |B^T v|_i = k < 1 grows like (log t)^k beside log t: what is still to come of the slope.

    It takes |x|_1 up by (1 - k) of itself; v is the dual point of the largest l1 margin.
    """
    k = abs(operator.T @ (target * best_dual))
    return np.sum(k * (1 - k) * late(log_time) ** (k - 1), where=k < 1 - 1e-9) if depth == 2 else 0.0


def short(operator, target, x, named_p, named_margin):
    """1 - margin / largest margin, in the norm that theory names."""
    return 1 - np.min(target * (x @ operator.T), -1) / np.linalg.norm(x, named_p, axis=-1) / named_margin


def bend(depth, log_time):
    """How far a slope over log t >= T may be from -p, p = 2 - 2/L.

    1/Loss ~ t l^p for the level l = log(1/Loss) = log t + p log l + O(1), whose slope against log log t is p up to a
    relative (p log T + O(1)) / T; 1/T is for what is bounded. The O(1) is taken as 3, e^3 for the constants of the margin.
    """
    power, start = 2 - 2 / depth, late(log_time)
    return (power * (power * np.log(start) + 3) + 1) / start


PREDICTED = {
    "best": best, "named": named, "creeping": creeping, "short": short,
    "grown": lambda x, loss, named_p, named_margin: growth(x, loss, named_p, named_margin),
    "grown_l2": lambda x, loss, best_l2: growth(x, loss, 2, best_l2),
    "level": ib.batched(lambda loss: -np.log(loss)),
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE, SOUDRY = "Lyu & Li 2020", "Soudry et al. 2018"
ENDED = (ib.Status.ESCAPING, ib.Status.CAPPED)
claim = ib.claims_with(on="flow", accepts=ENDED)


def _certified(name, doubt, on):
    return claim(
        id=f"largest-margin-is-certified-{name}",
        source="linear and quadratic programming duality",
        statement=f"the largest margins in {name} have dual points of the same value",
        on=on,
        residual=doubt,
        tolerance=lambda ds: 1e-9,
        because="vertices of HiGHS, feasible to its 1e-7 and rescaled; the gap is of second order for l2",
    )


CLAIMS = [
    _certified("l1 and l2", lambda ds: np.maximum(ds.best_l1_doubt, ds.best_l2_doubt), "flow"),
    _certified("l-infinity", lambda ds: ds.best_linf_doubt, "signs"),
    claim(
        id="smoothed-margin-never-falls",
        source=f"{SOURCE}, monotonicity of the smoothed margin under the flow",
        statement=r"$\log(1/\mathrm{Loss}) / |\theta|^L$ does not fall over any step once $\mathrm{Loss} < 1$, "
        "$L = 1, 2, 3$",
        kind=ib.Inequality(),
        residual=lambda ds: ds.fall,
        tolerance=lambda ds: 10 * ds.rtol,
        because="integrator at a relative rtol a step",
    ),
    claim(
        id="loss-falls-like-1/(t-log^(2-2/L)t)",
        source=f"{SOURCE}, loss convergence rate",
        statement=r"$\mathrm{Loss}\, t \sim (\log t)^{-(2 - 2/L)}$, $L = 1, 2, 3$: the slope of "
        r"$\log(\mathrm{Loss}\, t)$ against $\log\log t$, last third of $\log t$",
        # below 2 entries reach 0 in finite time
        hypotheses=lambda ds: {"$L = 1, 2, 3$": ib.curves.among(ds.depth, 1, 2, 3)},
        residual=lambda ds: abs(ib.curves.log_exponent(ds, late(ds.log_time)) + 2 - 2 / ds.depth),
        tolerance=lambda ds: bend(ds.depth, ds.log_time),
        because="next order: [p (p log T + 3) + 1] / T, p = 2 - 2/L, T where the last third begins",
    ),
    claim(
        id="grows-along-the-largest-margin",
        source=f"{SOUDRY}, Theorem 3 (L = 1); {SOURCE}, KKT directions (L = 2)",
        statement=r"$|x|_p$ grows by $1/\text{margin}_p$ a unit of $\log(1/\mathrm{Loss})$, $p = 2$ at $L = 1$ and "
        "$p = 1$ at $L = 2$",
        hypotheses=lambda ds: {"$L = 1, 2$": ib.curves.among(ds.depth, 1, 2)},
        residual=lambda ds: abs(ds.grown - 1),
        tolerance=lambda ds: 0.01 + ds.creeping,
        because="L = 1: 1 %, what is bounded drops out of differences; L = 2: 1 % and the entries that still creep, sum "
        "k (1 - k) (log t)^(k-1) over k = |B^T v|_i < 1: 5 to 22 % at log t = 120",
    ),
    claim(
        id="signs-grow-along-the-largest-l-infinity-margin",
        source="Gunasekar et al. 2018, steepest descent (as remembered; derived for l-infinity)",
        statement=r"descent by signs: $|x|_\infty$ grows by $1/\text{margin}_\infty$ a unit of $\log(1/\mathrm{Loss})$",
        on="signs",
        residual=lambda ds: abs(ds.grown - 1),
        tolerance=lambda ds: 9 / ds.max_steps,
        because="differences over the last third of the steps, with an oscillation of some three of them",
    ),
    claim(
        id="depth-2-grows-along-the-largest-l2-margin",
        source=f"{SOUDRY}, Theorem 3 (asked of L = 2)",
        statement=r"$|x|_2$ grows by $1/\text{margin}_2$ a unit of $\log(1/\mathrm{Loss})$ at $L = 2$ as well",
        hypotheses=lambda ds: {"$L = 2$": ib.curves.among(ds.depth, 2)},
        residual=lambda ds: abs(ds.grown_l2 - 1),
        tolerance=lambda ds: 0.03,
        because="as for the margin of its own norm",
        expected="refuted",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

LACKS = dict(x="level", accepts=ENDED, above=0.0)


def _log_time(ds):
    return np.log(ds.clock.where(ds.clock > 0))


figure = ib.Figure(
    id="margins",
    panels=[
        ib.panel(
            *(
                ib.curves_of("short", on=on, of={"depth": depth}, label=label, looks={None: look}, **LACKS)
                for on, depth, label, look in (
                    ("flow", 1.0, r"$L = 1$, $\ell_2$", dict(colour="blue")),
                    ("flow", 2.0, r"$L = 2$, $\ell_1$", dict(colour="vermillion", line="--")),
                    ("signs", 1.0, r"signs, $\ell_\infty$", dict(colour="green", line=":")),
                )
            ),
            x=r"$\log(1/\mathrm{Loss})$", y="1 - margin / largest margin", log="xy", xlim=(2, None), ylim=(None, 1),
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: ds.loss * ds.clock * _log_time(ds) ** (2 - 2 / ds.depth), x=_log_time,
                on="flow", by="depth", name="$L = {:g}$", accepts=ENDED,
            ),
            x=r"$\log t$", y=r"$\mathrm{Loss}\; t\, (\log t)^{2 - 2/L}$", ylim=(0, None), legend="upper center", columns=2,
        ),
    ],
    caption="Separable data, exponential loss, medians and ranges over {seed.count} seeds. Left: what the margin lacks of "
    "the largest one in the norm that the theorem names, for plain nets under the flow and for descent by signs; the "
    "largest margins come from programs with duality gaps. Right: the loss times its predicted rate levels off.",
    claims=["grows-along-the-largest-margin", "smoothed-margin-never-falls"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(law="flow", depth=[1.0, 2.0, 3.0], seed=range(6), scale=[1.0])
    + ib.grid(law="signs", depth=[1.0], seed=range(6), scale=[1.0]),
    facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor(), "fall": ib.worst_change(_fall)},
    predict=PREDICTED,
    records=records,
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(50))},
)  # fmt: skip
