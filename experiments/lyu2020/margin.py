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
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import log_exponent
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.evidence.references import best_margin
from implicit_bias.evidence.runs import over_runs

SOURCE, SOUDRY = "Lyu & Li 2020", "Soudry et al. 2018"


def middle(ds):
    """The log t from which rates are read: two thirds of the end."""
    return 2 * ds.log_time / 3


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
    return ib.Run(problem, net, ib.Flow(np.exp(log_time), rtol=rtol, atol=1e-300, max_steps=10_000))


def records(dynamics):
    """Even in log t under the flow, in steps under descent."""
    if dynamics.unit == "t":
        return ib.records_at(np.exp(np.linspace(3, np.log(dynamics.end), 60))[:-1])(dynamics)
    return ib.linear_records(60)(dynamics)


def smoothed_margin(snapshot):
    """log(1/Loss) / |theta|^L."""
    size = jnp.linalg.norm(snapshot.parameterization.layer(snapshot.theta))
    return -jnp.log(snapshot.loss) / size**snapshot.parameterization.depth


def _fall(before, after):
    """relative fall of log(1/Loss) / |theta|^L over one step from where Loss < 1"""
    fall = 1 - smoothed_margin(after) / smoothed_margin(before)
    return jnp.where(before.loss < 1, fall, -jnp.inf)


# -- what is read from the runs ----------------------------------------------------------------------------------------

NORMS = {1.0: 2, 2.0: 1}
"""Depth -> the norm whose margin grows largest."""


def _level(ds):
    return -np.log(ds.loss)


def _added(ds, order):
    """Growth of |x|_p for each unit of log(1/Loss), over the last third of the run, times the best margin: 1 in theory."""
    size = over_runs(ds, lambda x: np.linalg.norm(x, order, axis=-1), ds.x)
    late = [-1, -(ds.sizes["record"] // 3)]
    (x1, x0), (l1, l0) = ([v.isel(record=i, drop=True) for i in late] for v in (size, _level(ds)))
    return (x1 - x0) / (l1 - l0) * best_margin(ds, order)[0]


def _growth(ds):
    parts = [_added(ds.sel(depth=[d]), NORMS.get(float(d), 2)) for d in ds.depth.values]
    return xr.concat(parts, "depth")


def _creeping(ds):
    """At L = 2 an entry with |B^T v|_i = k < 1 grows like (log t)^k beside log t: what is still to come of the slope.

    It takes |x|_1 up by (1 - k) of itself; v is the dual point of the largest l1 margin.
    """

    def one(A, y, log_time):
        B = y[:, None] * A
        k = np.abs(B.T @ ib.min_norm_separator(B, 1).dual)
        return np.sum(np.where(k < 1 - 1e-9, k * (1 - k) * log_time ** (k - 1), 0.0))

    creeping = over_runs(ds, one, ds.operator, ds.target, middle(ds), one_by_one=True)
    return creeping.where(ds.depth == 2, 0.0)


# -- claims ------------------------------------------------------------------------------------------------------------

ENDED = (ib.Status.ESCAPING, ib.Status.CAPPED)


def _certified(name, orders, grid):
    return ib.Claim(
        id=f"largest-margin-is-certified-{name}",
        source="linear and quadratic programming duality",
        statement=f"the largest margins in {name} have dual points of the same value",
        on=grid,
        accepts=ENDED,
        residual=lambda ds: xr.concat([best_margin(ds, order)[1] for order in orders], "order").max("order"),
        tolerance=lambda ds: 1e-9,
        because="vertices of HiGHS, feasible to its 1e-7 and rescaled; the gap is of second order for l2",
    )


monotone = ib.Claim(
    id="smoothed-margin-never-falls",
    source=f"{SOURCE}, monotonicity of the smoothed margin under the flow",
    statement="log(1/Loss) / |theta|^L does not fall over any step once Loss < 1, L = 1, 2, 3",
    kind=ib.Inequality(),
    on="flow",
    accepts=ENDED,
    residual=lambda ds: ds.fall,
    tolerance=lambda ds: 10 * ds.rtol,
    because="integrator at a relative rtol a step",
)

def _bend(ds):
    """How far a slope over log t >= T may be from -p, p = 2 - 2/L.

    1/Loss ~ t l^p for the level l = log(1/Loss) = log t + p log l + O(1), whose slope against log log t is p up to a
    relative (p log T + O(1)) / T; 1/T is for what is bounded. The O(1) is taken as 3, e^3 for the constants of the margin.
    """
    power, start = 2 - 2 / ds.depth, middle(ds)
    return (power * (power * np.log(start) + 3) + 1) / start


rate = ib.Claim(
    id="loss-falls-like-1/(t-log^(2-2/L)t)",
    source=f"{SOURCE}, loss convergence rate",
    statement="Loss t ~ (log t)^-(2 - 2/L): the slope of log(Loss t) against log log t, over the last third of log t",
    on="flow",
    accepts=ENDED,
    residual=lambda ds: abs(log_exponent(ds, middle(ds)) + 2 - 2 / ds.depth),
    tolerance=_bend,
    because="next order: [p (p log T + 3) + 1] / T, p = 2 - 2/L, T where the last third begins",
)

direction = ib.Claim(
    id="grows-along-the-largest-margin",
    source=f"{SOUDRY}, Theorem 3 (L = 1); {SOURCE}, KKT directions (L = 2)",
    statement="|x|_p grows by 1/margin_p a unit of log(1/Loss), p = 2 at L = 1 and p = 1 at L = 2",
    on="flow",
    accepts=ENDED,
    hypotheses=lambda ds: {"L = 1, 2": 2.5 - ds.depth},
    residual=lambda ds: abs(_growth(ds) - 1),
    tolerance=lambda ds: 0.01 + _creeping(ds),
    because="L = 1: 1 %, what is bounded drops out of differences; L = 2: 1 % and the entries that still creep, sum "
    "k (1 - k) (log t)^(k-1) over k = |B^T v|_i < 1: 5 to 22 % at log t = 120",
)

signs = ib.Claim(
    id="signs-grow-along-the-largest-l-infinity-margin",
    source="Gunasekar et al. 2018, steepest descent (as remembered; derived for l-infinity)",
    statement="descent by signs: |x|_inf grows by 1/margin_inf a unit of log(1/Loss)",
    on="signs",
    accepts=ENDED,
    residual=lambda ds: abs(_added(ds, np.inf) - 1),
    tolerance=lambda ds: 9 / ds.max_steps,
    because="differences over the last third of the steps, with an oscillation of some three of them",
)

wrong_norm = ib.Claim(
    id="depth-2-grows-along-the-largest-l2-margin",
    source=f"{SOUDRY}, Theorem 3 (asked of L = 2)",
    statement="|x|_2 grows by 1/margin_2 a unit of log(1/Loss) at L = 2 as well",
    on="flow",
    accepts=ENDED,
    hypotheses=lambda ds: {"L = 2": 0.5 - abs(ds.depth - 2)},
    residual=lambda ds: abs(_added(ds, 2) - 1),
    tolerance=lambda ds: 0.03,
    because="as for the margin of its own norm",
    expected="refuted",
)

# -- figure ------------------------------------------------------------------------------------------------------------

LOOKS = {1.0: ("$L = 1$, $\\ell_2$", "blue", "-"), 2.0: ("$L = 2$, $\\ell_1$", "vermillion", "--")}


def _short(ds, order):
    """1 - margin / largest margin, in l_order."""
    margin = over_runs(
        ds, lambda A, y, x: np.min(y * np.einsum("...mn,...n->...m", A, x), -1) / np.linalg.norm(x, order, axis=-1),
        ds.operator, ds.target, ds.x,
    )  # fmt: skip
    return 1 - margin / best_margin(ds, order)[0]


def _band(panel, x, values, label, colour, line):
    values = values.where(values > 0)
    x = x.median("seed") if "seed" in x.dims else x
    panel.fill_between(x, values.min("seed"), values.max("seed"), color=COLOURS[colour], alpha=0.15, lw=0)
    panel.plot(x, values.median("seed"), line, color=COLOURS[colour], label=label)


def _draw(data):
    import matplotlib.pyplot as plt

    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9))
    flow, descent = (data[name].to_dataset().isel(law=0, scale=0) for name in ("flow", "signs"))
    for depth in (d for d in LOOKS if d in flow.depth):
        one = flow.sel(depth=depth).isel(record=slice(1, None))
        label, colour, line = LOOKS[depth]
        _band(left, _level(one), _short(one, NORMS[depth]), label, colour, line)
    one = descent.isel(depth=0, record=slice(1, None))
    _band(left, _level(one), _short(one, np.inf), r"signs, $\ell_\infty$", "green", ":")
    left.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\log(1/\mathrm{Loss})$",
        ylabel="1 - margin / largest margin",
        xlim=(2, None),
    )
    left.fill_between([], [], color="0.4", alpha=0.15, lw=0, label="range over seeds")
    left.legend(fontsize=8.5)
    for depth, (colour, line) in zip(flow.depth.values, (("blue", "-"), ("vermillion", "--"), ("black", "-."))):
        one = flow.sel(depth=depth).isel(record=slice(1, None))
        scaled = one.loss * one.clock * np.log(one.clock) ** (2 - 2 / depth)
        _band(right, np.log(one.clock), scaled, f"$L = {depth:g}$", colour, line)
    right.set(xlabel=r"$\log t$", ylabel=r"$\mathrm{Loss}\; t\, (\log t)^{2 - 2/L}$", ylim=(0, None))
    right.legend(fontsize=8.5)
    return drawing


def _caption(data):
    seeds = data["flow"].sizes["seed"]
    return (
        f"Separable data, exponential loss, medians and ranges over {seeds} seeds. Left: what the margin lacks of the largest "
        "one in the norm that the theorem names, for plain nets under the flow and for descent by signs; the largest margins "
        "come from programs with duality gaps. Right: the loss times its predicted rate levels off."
    )


figure = Figure(
    id="margins", draw=_draw, caption=_caption, claims=["grows-along-the-largest-margin", "smoothed-margin-never-falls"]
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(law="flow", depth=[1.0, 2.0, 3.0], seed=range(6), scale=[1.0])
    + ib.grid(law="signs", depth=[1.0], seed=range(6), scale=[1.0]),
    facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor(), "fall": ib.worst_change(_fall)},
    records=records,
    claims=[
        _certified("l1 and l2", (1, 2), "flow"), _certified("l-infinity", (np.inf,), "signs"), monotone, rate, direction,
        signs, wrong_norm,
    ],
    figures=[figure],
    sizes={"paper": dict(seed=range(50))},
)  # fmt: skip
