r"""Does curvature fall with the width, and with the norm of the rows?  So does what bounds it.   (arXiv 2409.08935)

|Hess f(x)| over all weights is bounded by the norm of an (L + 1) x (L + 1) matrix (`network.curvature_bound`, derived here with
every constant; the paper's own constants were not at hand): 1/sqrt m for wide layers, 1/m where rows are short, and between
1/w and 1/w^2 in the least row norm w. It needs phi(0) = 0, |phi'| <= 1 and |phi''| <= p2, which tanh has. From
f(s W, v) = f(W, v) it follows besides that

    |Hess f(W, v)| / s^2  <=  |Hess f(s W, v)|  <=  |Hess f(W, v)| / s,     s >= 1.
"""

import implicit_bias as ib

from .network import P2, curvature_bound, network, regression


def cell(
    *, depth, width, key, activation="tanh", norm="rows", aligned=1.0, size=1.0, output=4.0, dimension=10, examples=8
):  # fmt: skip
    net = network(depth, width, activation, size, output, norm, aligned)
    return ib.Run(regression(key, examples, dimension, dimension**0.5), net, ib.Descent(1e-6, max_steps=1))


# -- claims ------------------------------------------------------------------------------------------------------------


def bound(depth, width, dimension, size, output):
    return curvature_bound(int(depth), int(width), dimension**0.5, size, output)


CURVATURE = "hessian.value"
CAPPED = (ib.Status.CAPPED,)
among = ib.curves.among
claim = ib.claims_with(source="arXiv 2409.08935, with constants that are derived here", accepts=CAPPED)


def tanh_by_rows(ds):
    return {"rows are normalised": among(ds.norm, "rows"), "tanh": among(ds.activation, "tanh")}


def longer(ds):
    """The norm of the rows over the least one."""
    return ds["size"] / ds["size"].min()


def of_the_shortest(ds):
    return ib.curves.at_smallest(ds[CURVATURE], "size")


def coupled(ds):
    """|v| p2 X / (sqrt m w): of the terms of the bound, the curvature in W over that between W and v."""
    return ds.output * P2 * ds.dimension**0.5 / (ds.width.astype(float) ** 0.5 * ds["size"])


def _of_norm(id, statement, residual, bound):
    return claim(
        id=id, statement=statement, kind=ib.Inequality(), residual=residual, bound=bound, tolerance=lambda ds: 1e-3 * bound(ds),
        hypotheses=lambda ds: {
            "rows are normalised": among(ds.norm, "rows"), "longer than the shortest": longer(ds) - 1.001,
        },
        because="Lanczos stops at 1e-4 of an eigenvalue",
    )  # fmt: skip


CLAIMS = [
    claim(
        id="curvature-is-bounded",
        statement=r"$|\operatorname{Hess} f(x)|$ is at most the derived bound, at every input",
        kind=ib.Inequality(),
        hypotheses=tanh_by_rows, residual=lambda ds: ds[CURVATURE] + ds["hessian.bound"] - ds.bound, bound=lambda ds: ds.bound,
        tolerance=lambda ds: 1e-12 * ds.bound, because="a theorem; what Lanczos may be off is added to what it measured",
    ),
    _of_norm("curvature-falls-with-the-norm",
             r"$|\operatorname{Hess} f(s W, v)| \le |\operatorname{Hess} f(W, v)| / s$",
             lambda ds: ds[CURVATURE] - of_the_shortest(ds) / longer(ds), lambda ds: of_the_shortest(ds) / longer(ds)),
    _of_norm("but-no-faster-than-its-square",
             r"$|\operatorname{Hess} f(s W, v)| \ge |\operatorname{Hess} f(W, v)| / s^2$",
             lambda ds: of_the_shortest(ds) / longer(ds) ** 2 - ds[CURVATURE], lambda ds: ds[CURVATURE]),
    claim(
        id="curvature-is-O(1/sqrt-m)", statement=r"$|\operatorname{Hess} f(x)| = O(m^{-1/2})$, at each depth",
        hypotheses=tanh_by_rows, kind=ib.UpToConstant(against="width"), residual=lambda ds: ds[CURVATURE],
        tolerance=lambda ds: ds.width.astype(float) ** -0.5, because="a rate: its constant is free",
    ),
    claim(
        id="one-layer-has-that-rate",
        statement=r"$|\operatorname{Hess} f(x)| \sim m^{-1/2}$ with one hidden layer of long rows",
        kind=ib.Exponent("width", -0.5, 0.1),
        hypotheses=lambda ds: tanh_by_rows(ds)
        | {"one layer": among(ds.depth.astype(int), 1), "rows so long that $W$ and $v$ are what curves": 0.25 - coupled(ds)},
        residual=lambda ds: ds[CURVATURE],
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

shown = dict(by="depth", name="depth {}", accepts=CAPPED)
figure = ib.Figure(
    id="curvature",
    panels=[
        ib.panel(
            ib.curves_of(CURVATURE, x="width", of={"size": 1.0}, **shown),
            ib.theory_of("bound", x="width", of={"size": 1.0}, by="depth", label="derived bound"),
            ib.guide(-0.5, "$m^{{-1/2}}$"),
            x="width $m$", y=r"$\max_x |\mathrm{Hess}\, f(x)|$", log="xy",
        ),
        ib.panel(
            ib.curves_of(CURVATURE, x="size", of={"width": "first"}, **shown),
            ib.theory_of("bound", x="size", of={"width": "first"}, by="depth", label="derived bound"),
            x="norm of the rows $w$", log="xy",
        ),
    ],
    caption="The largest curvature of f over {examples} inputs at drawn weights with |v| = {output:g}, tanh; medians and ranges "
    "over {seed.count} seeds, and the derived bound. Left: rows of norm 1. Right: the narrowest network.",
    claims=["curvature-is-bounded", "curvature-falls-with-the-norm", "curvature-is-O(1/sqrt-m)"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(depth=[1, 2], width=[16, 32, 64], size=[1.0, 3.0, 10.0], seed=range(8)),
    facts={"hessian": ib.output_curvature(tolerance=1e-4, products=2000)},
    predict={"bound": bound},
    records=ib.linear_records(2),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(depth=[1, 2, 3], width=[16, 32, 64, 128], seed=range(20))},
)
