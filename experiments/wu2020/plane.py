r"""The example in the plane: A = [1, 0], y = 1, w0 = [0, 1], c = 1.   (Wu et al. 2020, Sect. 2, after Theorem 2.6)

x* = [1, 0], g* = 1, and w0 is orthogonal to the data, so a = 1: from g0 the flows end at

    weight normalisation   [1, sqrt(G - 1)],   G (1 - exp(g0^2 - G)) = 1,     printed [1, exp((g0^2 - 1)/2)]
    gradient flow          [1, g0],                                           printed [1, 1].

"If g0 is relatively small", says the text, the first "is close to x*, closer than the gradient flow solution [1, 1]".
It is closer than [1, 1] if and only if g0^2 < 2 - log 2 (`excess`: c log(1 + a) < g*^2 (1 + a) - g0^2), so for every
g0 <= g*; and farther than where gradient flow ends, [1, g0], for small g0, where sqrt(G - 1) tends to 0.59.
At the points that the flow could get stuck at, (g, w) = (0, [0, +-1]), the loss |A x - y|^2 / 2 is 1/2, printed 1.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .claims import FACTS, LIMITS, ROUNDING, SAFETY, SOURCE, row

last, theory = ib.curves.last, ib.theory.weight_normalisation


def cell(*, method, scale, ratio=1.0, stop=1e-20):
    problem = ib.linear.fixed([[1.0, 0.0]], [1.0])(0)
    start = jnp.array([0.0, 1.0])
    weights = ib.Euclidean(scale, start) if method == "gd" else ib.Polar(scale, start)
    flow = ib.Flow(max_time=2_000.0, ratio=ratio, stop=ib.loss_below(stop), rtol=1e-12, atol=1e-14)
    return ib.Run(problem, weights, flow)


def exact(method, scale, limit_excess):
    return scale if method == "gd" else limit_excess


def printed(method, scale, ratio):
    return 1.0 if method == "gd" else theory.printed_limit_excess(scale, 1.0, 1.0, ratio)


def tolerance(ds):
    return 1e-9 + SAFETY * row(ds) * (1 + ds.limit_excess * ds.limit_norm / ds.ratio)


def of(method):
    return lambda ds: {f"method {method}": ib.curves.among(ds.method, method)}


def small(ds):
    """What the text says of a "relatively small" g0."""
    return {**of("wn")(ds), r"$g_0 \le g_* = 1$": 1.0 - ds.scale, r"$c \le 1$, as in the example": 1.0 - ds.ratio}


claim = ib.claims_with(
    tolerance=tolerance,
    because="loss 1e-20 leaves sqrt(2e-20) in x1, amplified by at most |x - x*| |x| / c; integrator 1e-9",
)
CLAIMS = [
    claim(
        id="plane-weight-normalisation",
        source=f"{SOURCE}, the example in the plane (corrected)",
        statement=r"WN flow ends at $[1, \sqrt{G - 1}]$, $G (1 - \exp(g_0^2 - G)) = 1$",
        hypotheses=of("wn"),
        residual=lambda ds: abs(ds.end - ds.exact),
    ),
    claim(
        id="plane-weight-normalisation-as-printed",
        source=f"{SOURCE}, the example in the plane (as printed)",
        statement=r"WN flow ends at $[1, \exp((g_0^2 - 1)/2)]$",
        hypotheses=of("wn"),
        residual=lambda ds: abs(ds.end - ds.printed),
        expected="refuted",
    ),
    claim(
        id="plane-gradient-flow",
        source=f"{SOURCE}, the example in the plane (corrected)",
        statement="gradient flow from $x_0 = [0, g_0]$ ends at $[1, g_0]$",
        hypotheses=of("gd"),
        residual=lambda ds: abs(ds.end - ds.exact),
    ),
    claim(
        id="plane-gradient-flow-as-printed",
        source=f"{SOURCE}, the example in the plane (as printed)",
        statement="gradient flow from $x_0 = [0, g_0]$ ends at $[1, 1]$",
        hypotheses=of("gd"),
        residual=lambda ds: abs(ds.end - ds.printed),
        expected="refuted",
    ),
    claim(
        id="plane-closer-than-printed-gradient-flow",
        source=f"{SOURCE}, the example in the plane (as printed)",
        statement=r"if $g_0 \le g_*$, WN flow ends closer to $x_*$ than $[1, 1]$",
        kind=ib.Inequality(),
        hypotheses=small,
        residual=lambda ds: ds.end - 1.0,
    ),
    claim(
        id="plane-closer-than-gradient-flow-as-read",
        source=f"{SOURCE}, the example in the plane (as read: closer than where gradient flow ends, which is [1, g0])",
        statement=r"if $g_0 \le g_*$, WN flow ends closer to $x_*$ than gradient flow from the same point",
        kind=ib.Inequality(),
        hypotheses=small,
        residual=lambda ds: ds.end - ds.scale,
        expected="refuted",
    ),
    claim(
        id="plane-spurious-loss",
        source=f"{SOURCE}, the example in the plane (corrected: by eq. (2))",
        statement=r"the loss at the spurious points $(0, [0, \pm 1])$ is $1/2$",
        residual=lambda ds: abs(ds.loss_at_zero - 0.5),
        tolerance=lambda ds: ROUNDING,
        because="exact",
    ),
    claim(
        id="plane-spurious-loss-as-printed",
        source=f"{SOURCE}, the example in the plane (as printed)",
        statement=r"the loss at the spurious points $(0, [0, \pm 1])$ is 1",
        residual=lambda ds: abs(ds.loss_at_zero - 1.0),
        tolerance=lambda ds: ROUNDING,
        because="exact",
        expected="refuted",
    ),
]

series = dict(x="scale", by="method", looks={"gd": "gradient flow", "wn": "weight normalisation"})
figure = ib.Figure(
    id="plane",
    panels=[
        ib.panel(
            ib.curves_of("end", theory="exact", theory_label="exact law", **series),
            ib.theory_of("printed", theory_label="as printed", **series),
            x="initial size $g_0$", y=r"second coordinate of the solution, $|x - x_*|$", log="xy", ylim=(None, 10),
        )
    ],
    caption="Where the flows end on the line x1 = 1 from x0 = [0, g0]: points measured, lines the exact laws, "
    "sqrt(G - 1) and g0, dashed as printed, exp((g0^2 - 1)/2) and 1. Weight normalisation ends closer to x* = [1, 0] "
    "than the printed [1, 1] for every g0 <= 1, but from a small start farther than gradient flow does.",
    claims=["plane-closer-than-printed-gradient-flow", "plane-closer-than-gradient-flow-as-read"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=["gd", "wn"], scale=ib.logspace(0.05, 2, 12)),
    facts={**FACTS, "loss_at_zero": ib.loss_at_zero},
    observe={"x": ib.predictor()},
    predict={**LIMITS, "end": lambda x: x[-1, 1], "exact": exact, "printed": printed},
    records=ib.log_records(3),
    claims=CLAIMS,
    figures=[figure],
)
