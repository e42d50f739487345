"""A small study that the tests of engine, store and commands share."""

import implicit_bias as ib

STEPS = 240


def cell(*, scale, key, method="wn", ratio=1.0, step=2e-2, stop=0.0, rows=3, columns=7, loss_bound=float("inf")):
    problem = ib.linear.gaussian(rows, columns, target_norm=2.0)(key)
    weights = {"gd": ib.Euclidean(scale), "wn": ib.Polar(scale), "rpgd": ib.Sphere(scale)}[method]
    rule = ib.loss_below(stop) if stop else None
    return ib.Run(problem, weights, ib.Descent(step, ratio=ratio, stop=rule, max_steps=STEPS, bound=loss_bound))


def study(**changes):
    said = dict(
        cell=cell,
        grids=ib.grid(seed=range(3), scale=[0.1, 0.5, 1.0, 2.0], ratio=[0.5, 1.0]),
        facts={"g_star": ib.min_norm_size, "w_perp": ib.orthogonal_size},
        observe={"norm": ib.norm(2), "x": ib.predictor(), "log_invariant": ib.log_invariant},
        records=ib.log_records(5),
    )
    return ib.Study(**{**said, **changes})
