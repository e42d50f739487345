r"""Kernel or rich?  x = u^L - v^L from u = v = alpha (1, ..., 1): from least l2 to least l1.   (Woodworth et al. 2020)

The flow of the plain net ends at the minimiser over A x = y of a potential: the hyperbolic entropy at L = 2,

    Q_alpha(x) = alpha^2 sum q(x_i/alpha^2),    q(z) = 2 - sqrt(4 + z^2) + z arcsinh(z/2),

and its analogue at L >= 3, whose gradient k(x) inverts  x = alpha^L [(1 - k)^{-L/(L-2)} - (1 + k)^{-L/(L-2)}]. For alpha ->
infinity that is the interpolator of least l2 norm, for alpha -> 0 one of least l1 norm: like 1/log(1/alpha) at worst at
L = 2, like alpha^{L-2} at worst beyond.

What makes the end a minimiser holds at every moment, with A x in the place of y: x minimises the potential among all that
fit the data A x. So the end of a run that was capped is judged on the data that it has reached, and no start is lost.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.evidence.curves import last
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.evidence.references import least_l1, least_l1_is_certified
from implicit_bias.evidence.runs import along, over_runs
from implicit_bias.theory import diagonal as theory

SOURCE = "Woodworth et al. 2020"


def cell(*, depth, alpha, key, rows=6, columns=15, nonzeros=4, noise=0.1, stop=1e-16, rtol=1e-11):
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), depth, signed=True)
    flow = ib.Flow(1e5, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300, max_steps=4_000)
    return ib.Run(problem, net, flow)


# -- what theory says of a run -----------------------------------------------------------------------------------------


def _depths(ds, function, *names, out=0):
    """function(*arrays, depth) for every depth of the grid, side by side."""

    def one(at, depth):
        arrays = [getattr(at, name) if isinstance(name, str) else name(at) for name in names]
        return over_runs(at, lambda *a: function(*a, depth), *arrays, out=out)

    return along(ds, "depth", one)


def _end(ds):
    return last(ds.x)


def _layer(ds):
    return last(ds.z)


def _both(A):
    return np.concatenate([A, -A], -1)


def _start(ds):
    return ds.z.isel(record=0)


def _at_data_reached(ds):
    """The results with A x for y: y where a run has fitted."""
    data = over_runs(ds, lambda A, x: np.einsum("...mn,...n->...m", A, x), ds.operator, _end(ds), out=1)
    return ds.assign(target=data.rename({"of_0": "target_0"}))


def _minimiser(ds):
    def solve(A, y, start, depth):
        power = theory.plain_limit(_both(A), y, start, depth)
        first, second = np.split(power, 2, -1)
        return first - second

    return _depths(_at_data_reached(ds), solve, "operator", "target", _start, out=1)


def _norm(x):
    return np.sqrt((x**2).sum(x.dims[-1]))


def _distance(ds, to):
    return _norm(_end(ds) - to.rename({to.dims[-1]: "x_0"}))


def _tolerance(ds):
    """What the integrator moves u and v by, relative to them, it moves x by relative to u^L + v^L."""
    return 1e3 * ds.rtol * (1 + along(ds, "depth", lambda at, depth: (last(at.z) ** depth).sum("z_0")))


def _imbalance(ds):
    """|u v / alpha^2 - 1| at L = 2, |(alpha/u)^{L-2} + (alpha/v)^{L-2} - 2| beyond: the greatest of a record."""

    def one(z, start, depth):
        u, v = np.split(z / start, 2, -1)
        off = u * v - 1 if depth == 2 else u ** (2 - depth) + v ** (2 - depth) - 2
        return np.max(np.abs(off), -1)

    moments = [_depths(ds, one, lambda at, i=i: at.z.isel(record=i), _start) for i in range(1, ds.sizes["record"])]
    return xr.concat(moments, "moment").max("moment")


def excess_l1(ds):
    """|x|_1 - Q, Q the least l1 norm of the data reached."""
    return abs(_end(ds)).sum("x_0") - least_l1(_at_data_reached(ds))[0]


def excess_bound(ds):
    reached = _at_data_reached(ds)
    return _depths(reached, theory.plain_gap_bound, _end, lambda at: least_l1(at)[0], lambda at: at.alpha)


def _mostly_fitted(ds):
    """Slack of |A x - y| < |y| / 2: early on, x is small and says nothing."""
    return 0.5 - np.sqrt(2 * last(ds.loss)) / _norm(ds.target)


def from_least_l2(ds):
    """|x - x*| / |x*|, x* the interpolator of least l2 norm of the data reached."""
    ds = _at_data_reached(ds)
    star = over_runs(
        ds, lambda A, y: np.einsum("...nm,...m->...n", np.linalg.pinv(A), y), ds.operator, ds.target, out=1
    )
    return _distance(ds, star) / _norm(star)


# -- claims ------------------------------------------------------------------------------------------------------------

ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)

balance = ib.Claim(
    id="branches-keep-their-balance",
    source=f"{SOURCE}, the two branches move with opposite gradients",
    statement="u_i v_i = alpha^2 (L = 2), (alpha/u_i)^{L-2} + (alpha/v_i)^{L-2} = 2 (L >= 3), at every time",
    accepts=ENDED,
    residual=_imbalance,
    tolerance=lambda ds: 1e4 * ds.rtol,
    because="integrator at a relative rtol a step, over at most 4,000 steps",
)

potential = ib.Claim(
    id="limit-minimises-its-potential",
    source=f"{SOURCE}, hyperbolic entropy and its analogue of depth 3 and more",
    statement="the end minimises the potential at its data A x (= y to the stop rule, where it converged)",
    accepts=ENDED,
    residual=lambda ds: _distance(ds, _minimiser(ds)),
    tolerance=_tolerance,
    because="integrator: 1000 rtol (1 + sum u^L + v^L); the minimiser by Newton on the convex dual",
)


def _kkt(ds):
    def one(A, x, alpha):
        slope = theory.hyperbolic_entropy_gradient(x, alpha[..., None])
        basis = np.linalg.svd(A, full_matrices=False)[2]
        part = np.einsum("...mn,...m->...n", basis, np.einsum("...mn,...n->...m", basis, slope))
        return np.linalg.norm(slope - part, axis=-1) / np.linalg.norm(slope, axis=-1)

    return over_runs(ds, one, ds.operator, _end(ds), ds.alpha)


kkt = ib.Claim(
    id="entropy-gradient-is-in-the-row-space",
    source=f"{SOURCE}, the KKT condition of min Q_alpha",
    statement="L = 2: arcsinh(x_i / 2 alpha^2) lies in range(A^T), at every end, whether it fits or not",
    accepts=ENDED,
    hypotheses=lambda ds: {"L = 2": 0.5 - abs(ds.depth - 2)},
    residual=_kkt,
    tolerance=lambda ds: ds.rtol * (1e5 + 1e2 * ds.alpha**2),
    because="integrator: u v = alpha^2 to 1000 rtol, and x = u^2 - v^2 rounds to 1e-16 alpha^2",
)

l1_bound = ib.Claim(
    id="l1-excess-bound",
    source=f"{SOURCE}, rich limit (derived, with its rate)",
    statement="|x|_1 - Q <= alpha^{L-2} sum |x_i|^{2/L} (L >= 3), O(1 / log(1/alpha)) with its constants (L = 2), alpha < 1",
    kind=ib.Inequality(),
    accepts=ENDED,
    hypotheses=lambda ds: {"alpha < 1": 0.999 - ds.alpha},
    residual=lambda ds: excess_l1(ds) / excess_bound(ds),
    tolerance=lambda ds: 1 + _tolerance(ds) / excess_bound(ds),
    because="the bound; integrator, as for the limit",
)

l1_limit = ib.Claim(
    id="least-l1-for-small-starts",
    source=f"{SOURCE}, rich limit",
    statement="L = 3: |x|_1 -> Q as alpha -> 0, Q of the data A x (at L = 2 the limit is log-slow: l1-excess-bound)",
    kind=ib.Limit(against="alpha", towards="zero"),
    accepts=ENDED,
    hypotheses=lambda ds: {
        "L >= 3": ds.depth - 2.5, "alpha < 1": 0.999 - ds.alpha, "|A x - y| < |y| / 2": _mostly_fitted(ds)
    },
    residual=excess_l1,
    tolerance=lambda ds: excess_bound(ds) + _tolerance(ds),
    because="the bound, at each alpha",
)  # fmt: skip


def _kernel_rate(depth):
    return ib.Claim(
        id=f"least-l2-for-large-starts-depth-{depth}",
        source=f"{SOURCE}, kernel limit (derived, with its rate)",
        statement=f"L = {depth}: |x - x*| falls like alpha^-{2 * depth} as alpha -> infinity, x* of least l2 norm",
        kind=ib.Exponent(against="alpha", value=-2.0 * depth, within=0.15),
        accepts=ENDED,
        hypotheses=lambda ds: {
            f"L = {depth}": 0.5 - abs(ds.depth - depth),
            "alpha >= 2": ds.alpha - 1.999,
            "|x|_inf < alpha^L / 3": ds.alpha**depth / 3 - abs(_end(ds)).max("x_0"),
        },
        residual=from_least_l2,
        because="the potential is |x|^2 up to relative (x/alpha^L)^2; the next order bends the slope at alpha = 2",
    )


# -- figure ------------------------------------------------------------------------------------------------------------

LOOKS = {2.0: (COLOURS["blue"], "o"), 3.0: (COLOURS["vermillion"], "s"), 4.0: (COLOURS["green"], "^")}


def _draw(ds):
    import matplotlib.pyplot as plt

    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.9))
    least, good = least_l1(ds)[0], ds.status == ib.Status.CONVERGED
    l1, bound, l2 = (
        (values / norm).where(good)
        for values, norm in ((excess_l1(ds), least), (excess_bound(ds), least), (from_least_l2(ds), 1.0))
    )
    for depth in ds.depth.values:
        colour, marker = LOOKS.get(float(depth), (COLOURS["black"], "x"))
        for panel, values in ((left, l1), (right, l2)):
            one = values.sel(depth=depth)
            one = one.where(one > 1e-8)
            panel.fill_between(one.alpha, one.min("seed"), one.max("seed"), color=colour, alpha=0.15, lw=0)
            panel.plot(one.alpha, one.median("seed"), marker, color=colour, label=f"$L = {depth:g}$")
        rich = bound.sel(depth=depth).where(ds.alpha < 1)
        left.plot(rich.alpha, rich.median("seed"), "--", color=colour)
        far = l2.sel(depth=depth).where(ds.alpha >= 1.9)
        anchor = np.log(far) + 2 * depth * np.log(far.alpha)
        line = far.alpha.where(far.alpha >= 1, drop=True)
        right.plot(line, np.exp(float(anchor.mean()) - 2 * depth * np.log(line)), "-", lw=1, color=colour)
    left.fill_between([], [], color="0.4", alpha=0.15, lw=0, label="range over seeds")
    left.plot([], [], "--", color="0.4", label="bound")
    right.plot([], [], "-", lw=1, color="0.4", label=r"slope $-2L$")
    for panel in (left, right):
        panel.set(xscale="log", yscale="log", xlabel=r"first size of each entry, $\alpha$")
        panel.legend(fontsize=8.5)
    left.set_ylabel(r"$(|x|_1 - Q) / Q$")
    right.set_ylabel(r"$|x - x_*| / |x_*|$, least $\ell_2$")
    left.set_ylim(bottom=1e-6)
    return drawing


def _caption(ds):
    lost = int((ds.status != ib.Status.CONVERGED).sum())
    loose = (excess_bound(ds) / excess_l1(ds)).where((excess_l1(ds) > 1e-8) & (ds.alpha < 1))
    return (
        f"Where plain signed nets end, against the size of their start: markers are medians over {ds.sizes['seed']} seeds "
        f"with their range. Left: excess over the least l1 norm Q, with the bounds (medians, dashed; "
        f"{float(loose.min()):.2g} to {float(loose.max()):.2g} times what is seen). Right: distance to the "
        f"interpolator of least l2 norm, with the slope -2L. {lost} of {ds.status.size} runs were capped and are left out; "
        f"values below 1e-8 are not shown."
    )


figure = Figure(
    id="kernel-to-rich", draw=_draw, caption=_caption, claims=["limit-minimises-its-potential", "l1-excess-bound"]
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        depth=[2.0, 3.0], seed=range(6),
        alpha=[1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0, 1.4, 2.0, 2.8, 4.0],
    ),
    facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor(), "z": ib.layer},
    records=ib.log_records(6),
    claims=[balance, potential, kkt, least_l1_is_certified(), l1_bound, l1_limit, _kernel_rate(2), _kernel_rate(3)],
    figures=[figure],
    sizes={"paper": dict(seed=range(50), rows=40, columns=100, nonzeros=5)},
)  # fmt: skip
