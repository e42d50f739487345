"""Which interpolator does weight normalisation choose?  x = g w/|w|,  |Ax - y|^2 / 2.   (Wu et al. 2020, Fig. 1, Thm 2.6)

GD, WN and rPGD start from the same point x0 = g0 u and stop at loss 1e-5. The paper's effect, a solution near the one
of least norm for a wide range of g0, shows where |x*|^2 is large against c (|x*| = 3, c = 1) and reverses where it is
not (|x*| = 0.6).
"""

import implicit_bias as ib

from . import claims, figures


def cell(*, scale, method, key, ratio=1.0, rows=20, columns=50, target_norm=3.0, step=5e-3, stop=1e-5):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    weights = {"gd": ib.Euclidean(scale), "wn": ib.Polar(scale), "rpgd": ib.Sphere(scale)}[method]
    return ib.Run(problem, weights, ib.Descent(step, ratio=ratio, stop=ib.loss_below(stop), max_steps=200_000))


axes = dict(seed=range(16), target_norm=[3.0, 0.6], scale=ib.logspace(1e-2, 4, 24))
study = ib.Study(
    cell=cell,
    grids=ib.grid(method="gd", **axes) + ib.grid(method=["wn", "rpgd"], **axes, ratio=1.0),
    facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size, "lambda_min": ib.lambda_min},
    observe={"norm": ib.norm(2), "excess": ib.distance_to(ib.min_norm)},
    records=ib.log_records(12),
    claims=[claims.descent_limit, claims.robust_limit, claims.printed_descent_limit, claims.closer_by_the_mean, claims.closer_if_small],
    figures=[figures.figure_1],
    sizes={"paper": dict(seed=range(200), scale=ib.logspace(1e-3, 10, 128), rows=200, columns=10_000)},
)
