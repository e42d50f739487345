r"""How near to the least l1 norm Q does weight normalisation end?  x = u^2 or u^2 - v^2,  s0 = r_0^2.   (Chou et al. 2023)

    r_inf^2 - Q  <=  sqrt((Q - s0)^2 + 2 c Q log n) - (Q - s0)        for every s0
                 <=  min(c Q log n / (Q - s0), sqrt(2 c Q log n))     for s0 < Q

and |x|_1 <= r_inf^2. Small ratios c bring the limit to Q from starts below Q; from beyond they bring |x|_1 near s0
instead. Q comes from a linear program with its duality gap.
"""

import diffrax

import implicit_bias as ib

from . import claims, figures


def cell(*, branches, scale, ratio, key, rows=8, columns=24, nonzeros=8, noise=0.0, stop=1e-12, rtol=1e-11):
    signed = branches == "two"
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise, nonnegative=not signed)(key)
    # of order 8: at c = 0.03 accuracy, not stability, is what costs steps
    flow = ib.Flow(
        3e4, ratio=ratio, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300, max_steps=4_000, solver=diffrax.Dopri8()
    )
    return ib.Run(problem, ib.Power(ib.Polar(scale), 2, signed), flow)


axes = dict(seed=range(4), scale=ib.logspace(0.2, 4, 8), ratio=ib.logspace(0.03, 3, 5))
study = ib.Study(
    cell=cell,
    grids=ib.grid(branches="one", **axes) + ib.grid(branches="two", **axes),
    facts={"operator": ib.operator, "target": ib.target, "truth": claims.truth},
    observe={"z": ib.layer, "size": ib.layer_size},
    records=ib.log_records(3),
    claims=[
        *claims.on_branches(claims.least_is_certified), *claims.on_branches(claims.gap_is_bounded),
        *claims.on_branches(claims.gap_is_bounded_everywhere), *claims.on_branches(claims.gap_beyond),
    ],
    figures=[figures.gap],
    sizes={"paper": dict(seed=range(50), rows=40, columns=100, nonzeros=5, ratio=ib.logspace(0.01, 3, 9))},
)  # fmt: skip
