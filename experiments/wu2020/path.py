"""Four ways from one start to the line of interpolators  x1 = 2  in the plane.   (Wu et al. 2020, Fig. 2)

A = [1, 0], y = 2, so x* = (2, 0). From point a, with g0 < g*: the WN flow with both rates equal (a to e), with g
frozen and then released (a to b to c), with g slowed down throughout (towards c), and gradient flow (a to d). From
point f, with g0 > g* and x beyond the line, g must shrink, and the WN flow ends farther from x* than gradient flow.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .claims import FACTS, SAFETY, SOURCE, row

last, theory = ib.curves.last, ib.theory.weight_normalisation


def cell(*, course, scale, angle, ratio=1.0, slow=0.05, release=30.0, stop=1e-20):
    problem = ib.linear.fixed([[1.0, 0.0]], [2.0])(0)
    start = jnp.array([jnp.cos(angle), jnp.sin(angle)])
    pace = {"together": ratio, "frozen": ib.two_stage(0.0, ratio, release), "careful": slow, "gd": 1.0}[course]
    weights = ib.Euclidean(scale, start) if course == "gd" else ib.Polar(scale, start)
    flow = ib.Flow(max_time=2_000.0, ratio=pace, stop=ib.loss_below(stop), rtol=1e-12, atol=1e-14)
    return ib.Run(problem, weights, flow)


def pace(course, ratio, slow):
    """The ratio of the course that a run takes: the other one's setting is nothing to it."""
    return slow if course == "careful" else ratio


def exact_excess(course, scale, w_perp, g_star, pace):
    """|x_inf - x*| with a constant ratio, or of gradient flow."""
    if course == "gd":
        return theory.gradient_descent_limit_excess(scale, w_perp)
    return theory.limit_excess(scale, w_perp, g_star, pace)


def fallen(scale, g_star, release):
    """How far log|w_perp| falls before the release; above 0 it says g0 < g*."""
    return scale * (g_star - scale) * release


claim = ib.claims_with(
    residual=lambda ds: last(ds.excess),
    tolerance=lambda ds: 1e-9 + SAFETY * row(ds) * (1 + 9.0 / ds.pace),  # |x - x*| |x| / c <= 3 x 3 / c
)
CLAIMS = [
    claim(
        id="path-ends-by-the-exact-law",
        source=f"{SOURCE}, Fig. 2 with Theorem 2.6 I (corrected)",
        statement=r"with a constant ratio each path ends at $(2, \sqrt{G - 4})$; gradient flow ends at "
        r"$(2, g_0 w_\perp)$",
        hypotheses=lambda ds: {"constant ratio": ib.curves.among(ds.course, "together", "careful", "gd")},
        residual=lambda ds: abs(last(ds.excess) - ds.exact_excess),
        because="loss 1e-20 leaves sqrt(2e-20) in x1, amplified by at most |x - x*| |x| / c; integrator 1e-9",
    ),
    claim(
        id="frozen-then-released-ends-at-x*",
        source=f"{SOURCE}, Theorem 2.6 II with its missing hypothesis g0 < g*",
        statement="with $g$ frozen at $g_0 < g_*$ until $w$ has turned, then released, the path ends at $x_* = (2, 0)$",
        hypotheses=lambda ds: {
            "$g$ frozen first": ib.curves.among(ds.course, "frozen"),
            "$g_0 (g_* - g_0) T > 20$": ds.fallen - 20,
        },
        because="as for the other paths; while g is frozen |w_perp| falls like exp(-g0 (g* - g0) t), by e^-20 or more",
    ),
    claim(
        id="frozen-then-released-as-printed",
        source=f"{SOURCE}, Theorem 2.6 II (as printed: no hypothesis on g0)",
        statement="with $g$ frozen at any $g_0$ and then released, the path ends at $x_*$",
        hypotheses=lambda ds: {"$g$ frozen first": ib.curves.among(ds.course, "frozen")},
        because="as for the other paths",
        expected="refuted",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

COURSES = {
    "gd": ("gradient flow", "vermillion", "s", "--"),
    "together": ("equal rates, $c = 1$", "blue", "o", "-"),
    "careful": ("slow size, $c = 0.05$", "green", "^", "-."),
    "frozen": ("g frozen, then released", "orange", "v", ":"),
}


def ends(axes, ds):
    """The start, x*, and where each course ends."""
    for course, (_, colour, *_) in COURSES.items():
        if course in ds.course:
            end = ds.x.sel(course=course).isel(record=-1).values
            axes.plot(*end, "o", color=ib.figures.COLOURS[colour], ms=6, mfc="white", mew=1.6, zorder=4)
    axes.plot(*ds.x.isel(course=0, record=0).values, "ko", ms=5, zorder=5)
    axes.plot(2.0, 0.0, "k*", ms=10, zorder=5)
    axes.annotate("$x_*$", (2.0, 0.0), (7, -13), textcoords="offset points")


def start(name, scale, angle, label, **options):
    of = {"scale": scale, "angle": angle}
    return ib.panel(
        ib.curves_of(
            lambda ds: ds.x.isel(x_0=1), x=lambda ds: ds.x.isel(x_0=0), by="course", of=of, accepts=None, looks=COURSES
        ),
        ib.across(2.0, label, line="-", colour="0.6"),
        ib.figures.drawn(ends, of=of),
        x="$x_1$", y="$x_2$", title=f"{name}, $g_0 = {{scale:g}}$, $g_* = 2$", equal=True,
        xlim=(0.3, 3.0), ylim=(-0.3, 2.4), **options,
    )  # fmt: skip


figure_2 = ib.Figure(
    id="figure-2",
    panels=[
        start("from a", 1.0, 1.0, "interpolators $x_1 = 2$", legend="upper left"),
        start("from f", 3.0, 0.5, "", legend=None),
    ],
    share="y",
    height=4.1,
    caption="Paths of x = g w/|w| in the plane, A = [1, 0], y = 2; black dots are starts, open circles ends. Left, "
    "from g0 < g*: gradient flow keeps x2; WN with equal rates ends nearer to x*; slowing g down, or freezing it until "
    "w has turned, ends at x* itself. Right, from g0 > g* with g forced to shrink: WN ends farther from x* than "
    "gradient flow, and freezing g is no help: the frozen flow already stops at an interpolator that is not x*.",
    claims=[claim.id for claim in CLAIMS],
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(course=["together", "frozen", "careful", "gd"], scale=[1.0, 3.0], angle=[1.0, 0.5]),
    facts=FACTS,
    observe={"x": ib.predictor(), "excess": ib.distance_to(ib.min_norm)},
    predict={"pace": pace, "exact_excess": exact_excess, "fallen": ib.batched(fallen)},
    records=ib.records_at([*np.linspace(0.02, 4, 120), *np.linspace(4.2, 60, 160)]),
    claims=CLAIMS,
    figures=[figure_2],
)
