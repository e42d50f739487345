r"""What holds exactly, row by row?  Directions decide everything, and no step of descent shortens a row.   (arXiv 2409.08935)

With S = diag(s on W, 1 on v), f(s W, v) = f(W, v) gives, at every point,

    Hess f(S theta) = S^-1 Hess f(theta) S^-1,     (Hess f W^l)_l = -grad_l f,     <W_i, grad_i f> = 0,

so that a step W' = W - eta grad L, L of all or of some examples, has |W_i'|^2 = |W_i|^2 + |W_i' - W_i|^2. Heavy ball moves by
-eta m', m' = beta m + grad, of which the carried part alone is radial: c' = beta (c - eta |m|^2) for c = <W before, m>, so that
c <= 0 and a row grows as well. Adam divides entry by entry, and is not orthogonal to the rows. Where a whole layer
is normalised for each input (`layers`), the same holds of |W|_F of the layer, and of no row.
"""

import implicit_bias as ib

from .measures import first_layer, gauge, new_along, radial, shortening
from .network import least_row, network, regression

METHODS = {
    "gd": dict(step=0.5),
    "sgd, relu": dict(step=0.5, activation="relu"),
    "heavy ball": dict(step=0.1),
    "adam": dict(step=0.01),
    "gd, layers": dict(step=0.05, norm="layers"),
}


def cell(
    *, method, key, speed=1.0, depth=3, width=12, dimension=10, examples=64, batch=8, size=1.0, output=4.0, momentum=0.9,
    max_steps=1000,
):  # fmt: skip
    options = dict(METHODS[method])
    law = {"heavy ball": ib.heavy_ball(momentum), "adam": ib.adam()}.get(method, ib.gradient_descent())
    some = ib.minibatch(batch, key) if method == "sgd, relu" else None
    descent = ib.Descent(speed * options.pop("step"), law=law, batch=some, max_steps=max_steps)
    problem = regression(key, examples, dimension, dimension**0.5)
    return ib.Run(problem, network(depth, width, size=size, output=output, **options), descent)


# -- claims ------------------------------------------------------------------------------------------------------------

CAPPED = (ib.Status.CAPPED,)


ROWS = ("gd", "sgd, relu", "heavy ball")


def _exact(id, statement, residual, methods=(*ROWS, "adam"), source="derived", **more):
    return ib.Claim(
        id=id, source=f"arXiv 2409.08935, {source}", statement=statement, residual=residual, accepts=CAPPED,
        hypotheses=lambda ds: {"by " + "; ".join(methods): ib.curves.among(ds.method, *methods)},
        tolerance=lambda ds: 1e-12, because="exact; sums of some hundred rounded products", **more,
    )  # fmt: skip


CLAIMS = [
    _exact("gauge", "$f(s W, v) = f(W, v)$", lambda ds: ds["gauge.output"]),
    _exact("hessian-in-another-gauge",
           r"$\operatorname{Hess} f(S \theta) = S^{-1} \operatorname{Hess} f(\theta) S^{-1}$",
           lambda ds: ds["gauge.hessian"]),
    _exact("hessian-along-a-layer", r"$(\operatorname{Hess} f W^1)_1 = -\nabla_1 f$", lambda ds: ds.first_layer),
    _exact("gradients-are-orthogonal-to-rows",
           r"$\langle W_i, \nabla_i f \rangle = 0$ of every row", lambda ds: ds.radial),
    _exact("steps-are-orthogonal-to-rows",
           r"$\langle W_i, W_i' - W_i \rangle = 0$ at every step, but for what heavy ball "
           r"carries over: $|W_i'|^2 = |W_i|^2 + \eta^2 |\nabla_i|^2$", lambda ds: ds.new_along_rows, ROWS),
    _exact("no-row-shrinks",
           r"$|W_i'| \ge |W_i|$ of every row at every step: the least row norm is bounded below by its "
           "start (open question 1, without decay)", lambda ds: ds.shrinks, ROWS, kind=ib.Inequality()),
    _exact("no-row-shrinks-under-adam", r"$|W_i'| \ge |W_i|$ under Adam", lambda ds: ds.shrinks, ("adam",),
           "asked of a law that leaves the tangent", kind=ib.Inequality(), expected="refuted"),
    _exact("whole-layers-where-layers-are-normalised",
           r"$\langle W, W' - W \rangle = 0$ of whole layers at every step (open question 2)",
           lambda ds: ds.new_along_layers, ("gd, layers",)),
    _exact("rows-where-layers-are-normalised",
           r"$\langle W_i, W_i' - W_i \rangle = 0$ of each row where layers are normalised",
           lambda ds: ds.new_along_rows, ("gd, layers",), "asked of another normalisation", expected="refuted"),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

LOOKS = {
    "gd": dict(colour="blue"), "sgd, relu": dict(colour="sky", line="-."), "heavy ball": dict(colour="orange", line="--"),
    "adam": dict(colour="vermillion", line=":"), "gd, layers": dict(colour="green", line="--"),
}  # fmt: skip
figure = ib.Figure(
    id="rows",
    panels=[
        ib.panel(
            ib.curves_of("least_row", x="clock", by="method", looks=LOOKS, accepts=CAPPED),
            x="step", y="least row norm $|W_i|$",
        )
    ],
    caption="The least row norm of a network with weight normalisation from {size:g}, medians and ranges over {seed.count} "
    "seeds. It grows by little under descent, in full batches or not, and under heavy ball; it falls under Adam, and where "
    "layers are normalised and not rows.",
    claims=["no-row-shrinks", "no-row-shrinks-under-adam"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=list(METHODS), seed=range(4)),
    observe={
        "gauge": ib.at_end(gauge), "first_layer": ib.at_end(first_layer), "radial": ib.at_end(radial),
        "new_along_rows": new_along(), "new_along_layers": new_along(axis=None), "shrinks": shortening(), "least_row": least_row,
    },
    records=ib.linear_records(21),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), max_steps=10_000)},
)  # fmt: skip
