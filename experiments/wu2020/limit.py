"""Where does the WN flow end?  G (1 - a exp((g0^2 - G)/c)) = g*^2,  |x| -> sqrt(G).   (Wu et al. 2020, Thm 2.6 I)

Equation (7) as printed puts g* in the place of g_inf and takes g_inf > 0. Both are judged beside the exact law, on a
map of the ratio c against the first size g0. Runs go to loss 1e-20, where the limit shows.
"""

import implicit_bias as ib

from . import claims, figures, observables


def cell(*, scale, ratio, key, rows=8, columns=20, target_norm=3.0, stop=1e-20):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    flow = ib.Flow(max_time=5_000.0, ratio=ratio, stop=ib.loss_below(stop), rtol=1e-12, atol=1e-14)
    return ib.Run(problem, ib.Polar(scale), flow)


study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(8), ratio=ib.logspace(0.1, 30, 12), scale=ib.logspace(0.1, 6, 12)),
    facts={
        "g_star": ib.min_norm_size,
        "w_perp": ib.orthogonal_size,
        "lambda_min": ib.lambda_min,
        "lambda_max": ib.lambda_max,
        "loss_at_zero": ib.loss_at_zero,
        "pull_size": observables.pull_size,
        "pull_along": observables.pull_along,
    },
    observe={"norm": ib.norm(2), "excess": ib.distance_to(ib.min_norm), "g": ib.size, "log_w_perp": ib.orthogonal_log},
    records=ib.log_records(8),
    claims=[
        claims.exact_excess, claims.printed_limit, claims.positive_size, claims.sign_is_lost, claims.sign_is_kept,
        claims.ends_at_zero_loss,
    ],
    figures=[figures.limit_map, figures.crossing_map],
    sizes={"paper": dict(seed=range(50), ratio=ib.logspace(0.05, 100, 32), scale=ib.logspace(0.03, 10, 32))},
)  # fmt: skip
