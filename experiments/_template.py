"""What does this study ask?  x = g w/|w|,  |Ax - y|^2 / 2.   (Author et al. 2020, Thm 1)

The first line above is what `implicit-bias list` shows. Run this file with `implicit-bias run FILE`; any keyword of
the cell can be set: `implicit-bias run FILE scale=1e-2..1:8:log seed=0..15`.
"""

import implicit_bias as ib


def cell(*, scale, key, ratio=1.0, rows=5, columns=12, step=2e-2):
    """One run: a problem, a map from weights to predictors, and a law of motion."""
    problem = ib.linear.gaussian(rows, columns, target_norm=2.0)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(step, ratio=ratio, stop=ib.loss_below(1e-8), max_steps=20_000))


shrinks = ib.Claim(
    id="orthogonal-part-shrinks",
    source="Wu et al. 2020, Lemma 2.5",
    statement=r"where $|g|$ has grown, $|w_\perp|$ has shrunk",
    hypotheses=lambda ds: {"$|g|$ grew": abs(ds.g.isel(record=-1)) - ds.scale},
    kind=ib.Inequality(),
    residual=lambda ds: ds.log_w_perp.isel(record=-1) - ds.log_w_perp.isel(record=0),
    tolerance=lambda ds: 1e-12,
    because="the invariant gives the sign; rounding of a logarithm",
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(4), scale=ib.logspace(0.1, 1, 4)),
    observe={"norm": ib.norm(2), "g": ib.size, "log_w_perp": ib.orthogonal_log},
    claims=[shrinks],
)
