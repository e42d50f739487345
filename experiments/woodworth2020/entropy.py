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

import implicit_bias as ib

theory = ib.theory.diagonal


def cell(*, depth, alpha, key, rows=6, columns=15, nonzeros=4, noise=0.1, stop=1e-16, rtol=1e-11):
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), depth, signed=True)
    flow = ib.Flow(1e5, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300, max_steps=4_000)
    return ib.Run(problem, net, flow)


# -- what theory says of a run, of the data A x that it has reached ----------------------------------------------------


def minimiser(operator, x, z, depth):
    """The minimiser of the potential."""
    branches = theory.plain_limit(np.concatenate([operator, -operator], -1), operator @ x[-1], z[0], depth)
    return np.subtract(*np.split(branches, 2))


def least_l1(operator, x):
    """The least l1 norm Q, and how far its certificate leaves it open."""
    found = ib.min_l1(operator, operator @ x[-1])
    return {"norm": found.value, "doubt": max(abs(found.gap), found.residual)}


def least_l2(operator, x):
    """The interpolator of least l2 norm."""
    return np.linalg.pinv(operator) @ (operator @ x[-1])


def imbalance(z, depth):
    """The greatest |u v / alpha^2 - 1| at L = 2, |(alpha/u)^{L-2} + (alpha/v)^{L-2} - 2| beyond."""
    u, v = np.split(z[1:] / z[0], 2, -1)
    return np.max(abs(u * v - 1 if depth == 2 else u ** (2 - depth) + v ** (2 - depth) - 2))


def moved(z, depth, rtol):
    """What the integrator moves u and v by, relative to them, it moves x by relative to u^L + v^L."""
    return 1e3 * rtol * (1 + np.sum(z[-1] ** depth))


def outside_rows(operator, x, alpha):
    """The part of the entropy's gradient (L = 2) outside range(A^T), of the whole."""
    slope = theory.hyperbolic_entropy_gradient(x[-1], alpha)
    basis = np.linalg.svd(operator, full_matrices=False)[2]
    return np.linalg.norm(slope - basis.T @ (basis @ slope)) / np.linalg.norm(slope)


PREDICTED = {
    "minimiser": minimiser, "least_l1": least_l1, "least_l2": least_l2, "imbalance": imbalance, "moved": moved,
    "outside_rows": outside_rows,
    "off_potential": lambda x, minimiser: np.linalg.norm(x[-1] - minimiser),
    "off_l2": lambda x, least_l2: np.linalg.norm(x[-1] - least_l2) / np.linalg.norm(least_l2),
    "excess": lambda x, least_l1_norm: np.sum(abs(x[-1])) - least_l1_norm,
    "bound": lambda x, least_l1_norm, alpha, depth: theory.plain_gap_bound(x[-1], least_l1_norm, alpha, depth),
    "fitted": lambda loss, target: 0.5 - np.sqrt(2 * loss[-1]) / np.linalg.norm(target),
    "loose": lambda bound, excess, alpha: bound / excess if excess > 1e-8 and alpha < 1 else np.nan,
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Woodworth et al. 2020"
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)
claim = ib.claims_with(accepts=ENDED)


def _kernel_rate(depth):
    return claim(
        id=f"least-l2-for-large-starts-depth-{depth}",
        source=f"{SOURCE}, kernel limit (derived, with its rate)",
        statement=rf"$L = {depth}$: $|x - x_*|$ falls like $\alpha^{{-{2 * depth}}}$ as $\alpha \to \infty$, $x_*$ of "
        "least l2 norm",
        kind=ib.Exponent(against="alpha", value=-2.0 * depth, within=0.15),
        hypotheses=lambda ds: {
            f"$L = {depth}$": ib.curves.among(ds.depth, depth),
            r"$\alpha \ge 2$": ds.alpha - 1.999,
            r"$|x|_\infty < \alpha^L / 3$": ds.alpha**depth / 3 - abs(ib.curves.last(ds.x)).max("x_0"),
        },
        residual=lambda ds: ds.off_l2,
        because="the potential is |x|^2 up to relative (x/alpha^L)^2; the next order bends the slope at alpha = 2",
    )


CLAIMS = [
    claim(
        id="branches-keep-their-balance",
        source=f"{SOURCE}, the two branches move with opposite gradients",
        statement=r"$u_i v_i = \alpha^2$ ($L = 2$), $(\alpha/u_i)^{L-2} + (\alpha/v_i)^{L-2} = 2$ ($L \ge 3$), at "
        "every time",
        residual=lambda ds: ds.imbalance,
        tolerance=lambda ds: 1e4 * ds.rtol,
        because="integrator at a relative rtol a step, over at most 4,000 steps",
    ),
    claim(
        id="limit-minimises-its-potential",
        source=f"{SOURCE}, hyperbolic entropy and its analogue of depth 3 and more",
        statement="the end minimises the potential at its data $A x$ ($= y$ to the stop rule, where it converged)",
        residual=lambda ds: ds.off_potential,
        tolerance=lambda ds: ds.moved,
        because="integrator: 1000 rtol (1 + sum u^L + v^L); the minimiser by Newton on the convex dual",
    ),
    claim(
        id="entropy-gradient-is-in-the-row-space",
        source=f"{SOURCE}, the KKT condition of min Q_alpha",
        statement=r"$L = 2$: $\operatorname{arcsinh}(x_i / 2 \alpha^2)$ lies in $\operatorname{range}(A^\top)$, at "
        "every end, whether it fits or not",
        hypotheses=lambda ds: {"$L = 2$": ib.curves.among(ds.depth, 2)},
        residual=lambda ds: ds.outside_rows,
        tolerance=lambda ds: ds.rtol * (1e5 + 1e2 * ds.alpha**2),
        because="integrator: u v = alpha^2 to 1000 rtol, and x = u^2 - v^2 rounds to 1e-16 alpha^2",
    ),
    claim(
        id="least-l1-is-certified",
        source="linear programming duality",
        statement="the least l1 norm $Q$ of the data $A x$ has a dual point of the same value, and a primal one that "
        "fits",
        residual=lambda ds: ds.least_l1_doubt,
        tolerance=lambda ds: 1e-10,
        because="a vertex from a linear solve on its support; HiGHS's own tolerance is 1e-7",
    ),
    claim(
        id="l1-excess-bound",
        source=f"{SOURCE}, rich limit (derived, with its rate)",
        statement=r"$|x|_1 - Q \le \alpha^{L-2} \sum |x_i|^{2/L}$ ($L \ge 3$), $O(1 / \log(1/\alpha))$ with its "
        r"constants ($L = 2$), $\alpha < 1$",
        kind=ib.Inequality(),
        hypotheses=lambda ds: {r"$\alpha < 1$": 0.999 - ds.alpha},
        residual=lambda ds: ds.excess / ds.bound,
        tolerance=lambda ds: 1 + ds.moved / ds.bound,
        because="the bound; integrator, as for the limit",
    ),
    claim(
        id="least-l1-for-small-starts",
        source=f"{SOURCE}, rich limit",
        statement=r"$L = 3$: $|x|_1 \to Q$ as $\alpha \to 0$, $Q$ of the data $A x$ (at $L = 2$ the limit is "
        "log-slow: l1-excess-bound)",
        kind=ib.Limit(against="alpha", towards="zero"),
        hypotheses=lambda ds: {r"$L \ge 3$": ds.depth - 3, r"$\alpha < 1$": 0.999 - ds.alpha, "$|A x - y| < |y| / 2$": ds.fitted},
        residual=lambda ds: ds.excess,
        tolerance=lambda ds: ds.bound + ds.moved,
        because="the bound, at each alpha",
    ),
    _kernel_rate(2),
    _kernel_rate(3),
]

# -- figure ------------------------------------------------------------------------------------------------------------

SERIES = dict(x="alpha", by="depth", name="$L = {:g}$", join=False)

figure = ib.Figure(
    id="kernel-to-rich",
    panels=[
        ib.panel(
            ib.curves_of(lambda ds: ds.excess / ds.least_l1_norm, above=1e-8, **SERIES),
            ib.theory_of(lambda ds: (ds.bound / ds.least_l1_norm).where(ds.alpha < 1), theory_label="bound", **SERIES),
            x=r"first size of each entry, $\alpha$", y="$(|x|_1 - Q) / Q$", log="xy", ylim=(1e-6, None),
        ),
        ib.panel(
            ib.curves_of("off_l2", above=1e-8, **SERIES),
            *(ib.guide(-2.0 * depth, "slope {:g}", series=i, within=(1.9, np.inf)) for i, depth in enumerate((2, 3))),
            x=r"first size of each entry, $\alpha$", y=r"$|x - x_*| / |x_*|$, least $\ell_2$", log="xy",
        ),
    ],
    caption="Where plain signed nets end, against the size of their start, {seed.count} seeds. Left: excess over the least "
    "l1 norm Q, with the bounds (medians, dashed; {loose.least:.2g} to {loose.largest:.2g} times what is seen). Right: "
    "distance to the interpolator of least l2 norm, with the slope -2L. Values below 1e-8 are not shown.",
    claims=["limit-minimises-its-potential", "l1-excess-bound"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        depth=[2.0, 3.0], seed=range(6), alpha=[1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0, 1.4, 2.0, 2.8, 4.0],
    ),
    facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor(), "z": ib.layer},
    predict=PREDICTED,
    records=ib.log_records(6),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(50), rows=40, columns=100, nonzeros=5)},
)  # fmt: skip
