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
        statement="|v| >= 1 + delta at every step",
        residual=lambda ds: ds.printed_length - ds.length,
        because="exact; rounding",
        **length,
    ),
    claim(
        id="projection-length-derived",
        source=f"{SOURCE}, Proposition 3.3 (derived)",
        statement="|v| >= 1 + delta + lambda_min at every step",
        residual=lambda ds: ds.derived_length - ds.length,
        because="exact: |v| >= lambda_min g*/g0 - (1 - lambda_min); rounding",
        **length,
    ),
    claim(
        id="projection-count",
        source=f"{SOURCE}, Proposition 3.3",
        statement="|w_perp| <= eps after log(|w_perp(0)|/eps) / log(1 + delta) steps",
        tolerance=lambda ds: ds.printed_count,
        **count,
    ),
    claim(
        id="projection-count-derived",
        source=f"{SOURCE}, Proposition 3.3 (derived)",
        statement="|w_perp| <= eps after log(|w_perp(0)|/eps) / log(1 + delta + lambda_min) steps",
        tolerance=lambda ds: ds.derived_count,
        **count,
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------


def _panel(measured, middle, printed, derived, y, legend):
    series = dict(x="delta", by="smallest", name=r"$\lambda_{{\min}} = {:g}$", middle=middle, accepts=None)
    black = {None: {"colour": "black"}}
    return ib.panel(
        ib.curves_of(measured, theory=derived, theory_label="derived bound", **series),
        ib.theory_of(printed, x="delta", label="printed bound", line=":", looks=black),
        x=r"$\delta$", y=y, log="xy", legend=legend,
    )  # fmt: skip


figure = ib.Figure(
    id="projection",
    panels=[
        _panel(
            "turned", "mean",
            lambda ds: ds.printed_count.max(["seed", "smallest"]), lambda ds: ds.derived_count.max("seed"),
            r"steps until $|w_\perp| \leq 10^{-6}$", "best",
        ),
        _panel("length", "min", "printed_length", "derived_length", r"least $|v|$ over all steps", None),
    ],
    caption="Projection with g fixed at g* lambda_min / (2 + delta). Left: mean number of steps until w_perp has died "
    "out (points), the bound of Proposition 3.3 (dotted) and the derived bound (lines); steps over bound are at most "
    "{of_printed.largest:.2f} and {of_derived.largest:.2f}. Right: the least |v| of {seed.count} seeds, with 1 + delta "
    "(dotted) and 1 + delta + lambda_min (lines).",
    claims=["projection-count", "projection-length-derived"],
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
