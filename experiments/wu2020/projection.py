r"""How fast does projection alone forget w_perp?  |w_perp'| = |w_perp| / |v|,  |v| >= 1 + delta + lambda_min.   (Wu et al. 2020, Prop. 3.3)

General A with lambda_max = 1, g fixed at g0 = g* lambda_min / (2 + delta), step 1/g0^2. The eigenvalues of A A^T are
equally spaced from lambda_min to 1.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import observables
from .claims import ENDS_AT_T, SOURCE

theory = ib.theory.projected_descent
EPS = 1e-6


def cell(*, smallest, delta, key, rows=8, columns=20, target_norm=1.0):
    eigenvalues = smallest + (1 - smallest) * jnp.linspace(0.0, 1.0, rows)
    problem = ib.linear.with_spectrum(jnp.sqrt(eigenvalues), columns, target_norm=target_norm)(key)
    g0 = target_norm * smallest / (2 + delta)
    descent = ib.Descent(1.0, ratio=0.0, law=ib.over_size_squared(), max_steps=400)
    return ib.Run(problem, ib.Sphere(g0), descent)


def length_before_projection(snapshot):
    """|v|, v = w - (1/g) grad L(g w)"""
    w, g = snapshot.theta.w, snapshot.theta.g
    return jnp.linalg.norm(w - observables.slope(snapshot) / g)


def turned(snapshot):
    """|w_perp| <= eps"""
    return ib.orthogonal_log(snapshot) <= np.log(EPS)


# -- what theory says of a run -----------------------------------------------------------------------------------------

PREDICTED = {
    "printed_length": ib.batched(lambda delta: 1 + delta),
    "derived_length": ib.batched(lambda delta, smallest: 1 + delta + smallest),
    "printed_count": ib.batched(lambda w_perp, delta: theory.projection_steps(w_perp, EPS, delta)),
    "derived_count": ib.batched(lambda w_perp, delta, smallest: theory.projection_steps(w_perp, EPS, delta + smallest)),
    "of_printed": ib.batched(lambda turned, printed_count: turned / printed_count),
    "of_derived": ib.batched(lambda turned, derived_count: turned / derived_count),
}

claim = ib.claims_with(kind=ib.Inequality(), accepts=ENDS_AT_T)
length = {"tolerance": lambda ds: 1e-12}
count = {"residual": lambda ds: ds.turned, "because": "a count of steps"}

CLAIMS = [
    claim(
        id="projection-length",
        source=f"{SOURCE}, Proposition 3.3",
        statement=r"$|v| \ge 1 + \delta$ at every step",
        residual=lambda ds: ds.printed_length - ds.length,
        because="exact; rounding",
        **length,
    ),
    claim(
        id="projection-length-derived",
        source=f"{SOURCE}, Proposition 3.3 (derived)",
        statement=r"$|v| \ge 1 + \delta + \lambda_{\min}$ at every step",
        residual=lambda ds: ds.derived_length - ds.length,
        because="exact: |v| >= lambda_min g*/g0 - (1 - lambda_min); rounding",
        **length,
    ),
    claim(
        id="projection-count",
        source=f"{SOURCE}, Proposition 3.3",
        statement=r"$|w_\perp| \le \varepsilon$ after $\log(|w_\perp(0)|/\varepsilon) / \log(1 + \delta)$ steps",
        tolerance=lambda ds: ds.printed_count,
        **count,
    ),
    claim(
        id="projection-count-derived",
        source=f"{SOURCE}, Proposition 3.3 (derived)",
        statement=r"$|w_\perp| \le \varepsilon$ after "
        r"$\log(|w_\perp(0)|/\varepsilon) / \log(1 + \delta + \lambda_{\min})$ steps",
        tolerance=lambda ds: ds.derived_count,
        **count,
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------


def _over(value, y, **options):
    return ib.panel(
        ib.curves_of(value, x="delta", by="smallest", name=r"$\lambda_{{\min}} = {:g}$", accepts=None),
        ib.level(1.0, "the bound", line="-"),
        x=r"$\delta$", y=y, **options,
    )  # fmt: skip


steps = dict(log="x", ylim=(0, 1.15))
figure = ib.Figure(
    id="projection",
    panels=[
        _over(
            "of_printed", r"steps over $\log(|w_\perp| / \epsilon) / \log(1 + \delta)$", title="bound as printed", **steps
        ),
        _over(
            "of_derived", r"steps over $\log(|w_\perp| / \epsilon) / \log(1 + \delta + \lambda_{\min})$",
            title="bound derived", **steps,
        ),
        _over(
            lambda ds: ds.length / ds.derived_length, r"least $|v|$ over $1 + \delta + \lambda_{\min}$",
            title="length before projection", log="xy",
        ),
    ],
    caption=f"Projection with g fixed at g* lambda_min / (2 + delta), steps until |w_perp| <= eps = {EPS:g}; "
    "medians and ranges "
    "over {seed.count} seeds. Left and middle: over the bound of Proposition 3.3 and over the derived one, of "
    "which they take "
    "up at most {of_printed.largest:.2f} and {of_derived.largest:.2f}. Right: the least |v| of all steps over "
    "its derived "
    "lower bound. All bounds are far from reached where lambda_min is small; where it is large, the derived one is "
    "nearly reached.",
    claims=["projection-count", "projection-count-derived", "projection-length-derived"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(16), smallest=[0.03, 0.1, 0.3, 0.8], delta=[0.1, 0.3, 1.0, 3.0]),
    facts={"w_perp": ib.orthogonal_size},
    observe={"length": ib.running_min(length_before_projection), "turned": ib.first_time(turned)},
    predict=PREDICTED,
    records=ib.log_records(3),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(200), smallest=ib.logspace(0.01, 0.9, 16), delta=ib.logspace(0.03, 10, 16))},
)
