"""Four ways from one start to the line of interpolators  x1 = 2  in the plane.   (Wu et al. 2020, Fig. 2)

A = [1, 0], y = 2, so x* = (2, 0). From point a, with g0 < g*: the WN flow with both rates equal (a to e), with g
frozen and then released (a to b to c), with g slowed down throughout (towards c), and gradient flow (a to d). From
point f, with g0 > g* and x beyond the line, g must shrink, and the WN flow ends farther from x* than gradient flow.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import claims, figures


def cell(*, course, scale, angle, ratio=1.0, slow=0.05, release=30.0, stop=1e-20):
    problem = ib.linear.fixed([[1.0, 0.0]], [2.0])(0)
    start = jnp.array([jnp.cos(angle), jnp.sin(angle)])
    pace = {"together": ratio, "frozen": ib.two_stage(0.0, ratio, release), "careful": slow, "gd": 1.0}[course]
    weights = ib.Euclidean(scale, start) if course == "gd" else ib.Polar(scale, start)
    flow = ib.Flow(max_time=2_000.0, ratio=pace, stop=ib.loss_below(stop), rtol=1e-12, atol=1e-14)
    return ib.Run(problem, weights, flow)


study = ib.Study(
    cell=cell,
    grids=ib.grid(course=["together", "frozen", "careful", "gd"], scale=[1.0, 3.0], angle=[1.0, 0.5]),
    facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size, "lambda_min": ib.lambda_min},
    observe={"x": ib.predictor(), "excess": ib.distance_to(ib.min_norm)},
    records=ib.records_at([*np.linspace(0.02, 4, 120), *np.linspace(4.2, 60, 160)]),
    claims=[claims.path_ends, claims.released_ends_at_min_norm, claims.release_beyond],
    figures=[figures.figure_2],
)
