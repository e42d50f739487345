r"""Where does a weight-normalised diagonal net end?  x = w^L or u^L - v^L,  w = r u,  |A x - y|^2 / 2.   (Chou et al. 2023)

Linear measurements of a sparse vector, L = 1 to 4, under the flow with rate c for r. What the flow conserves, p = u exp(r^2/2c) up to
range(A^T), makes its limit that of the plain flow from the start over rho = (r_0/r_inf) exp((r_inf^2 - r_0^2)/2c); at
L = 2 also the minimiser of a potential. Limits are computed from the data by Newton's method on the convex dual. L = 1
is the linear model of Wu et al. 2020.
"""

import implicit_bias as ib

from . import claims, figures


def cell(*, method, branches, depth, scale, key, ratio=1.0, rows=6, columns=20, nonzeros=6, noise=0.0, stop=1e-18, rtol=1e-11):
    signed = branches == "two"
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise, nonnegative=not signed)(key)
    inner = ib.Polar(scale) if method == "wn" else ib.Euclidean(scale)
    # entries of any size keep their relative accuracy: the tolerance is relative alone
    flow = ib.Flow(3e4, ratio=ratio, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300, max_steps=3_000)
    return ib.Run(problem, ib.Power(inner, depth, signed), flow)


axes = dict(seed=range(3), scale=[0.5, 1.0, 2.0])
study = ib.Study(
    cell=cell,
    grids=ib.grid(method="wn", branches="one", depth=[1.0, 2.0, 3.0, 4.0], **axes, ratio=[0.3, 1.0, 3.0, 10.0])
    + ib.grid(method="wn", branches="two", depth=[2.0, 3.0], **axes, ratio=[0.3, 1.0, 3.0, 10.0])
    + ib.grid(method="gd", branches="one", depth=[2.0, 3.0], **axes),
    facts={"operator": ib.operator, "target": ib.target, "truth": claims.truth},
    observe={"z": ib.layer, "size": ib.layer_size},
    records=ib.log_records(6),
    claims=[
        *claims.on_branches(claims.invariant, "wn {}"), *claims.on_branches(claims.from_the_start_over_rho, "wn {}"),
        *claims.on_branches(claims.potential_of_depth_two, "wn {}"), claims.plain_limit, claims.nearer_to_l1,
    ],
    figures=[figures.magnification],
    sizes={"paper": dict(seed=range(50), scale=ib.logspace(0.2, 3, 8), ratio=ib.logspace(0.1, 10, 9))},
)  # fmt: skip
