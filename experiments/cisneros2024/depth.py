r"""Does curvature grow with depth?  Not with weight normalisation; without it, that depends on the gain.   (arXiv 2409.08935)

The derived bound on |Hess f(x)| (`curvature`) grows by powers of L, and by no factor per layer. A start from drawn rows shows
that for a trivial reason: the signal shrinks by 1/sqrt m a layer, and curvature collapses. From aligned rows (equal, and along
what equal rows say, but for a hundredth of what was drawn) the signal survives, and the bound is put to a test. Beside it
stands the *twin*, the same network without normalisation, whose rows are as long as those of independent entries N(0, gain^2):
its curvature grows by a factor a layer, a large one where the gain is. ReLU and GELU are drawn beside tanh: the first has
no phi'', the second no |phi'| <= 1 (1.129 at most), so that no bound is claimed of them.
"""

import numpy as np

import implicit_bias as ib

from .curvature import CAPPED, CURVATURE, among, bound, cell, claim


def deep(value):
    """(at the least depth, at the largest, layers between)"""
    depths = value.depth.astype(int).values
    return value.isel(depth=depths.argmin(), drop=True), value.isel(depth=depths.argmax(), drop=True), np.ptp(depths)


def _by_a_factor(id, grid, factor, what, hypotheses, sign=1, **more):
    """sign * (log growth - layers * log factor) >= 0"""

    def residual(ds):
        first, last, layers = deep(np.log(ds[CURVATURE]))
        return sign * (layers * np.log(factor) - (last - first))

    how = f"is multiplied by {factor:g} or {'more' if sign > 0 else 'less'}"
    return claim(
        id=id, on=f"tanh {grid}", kind=ib.Ordering(over="seed"), residual=residual, because="over seeds, at each gain",
        statement=rf"{what}: $|\operatorname{{Hess}} f(x)|$ {how} with each layer", hypotheses=hypotheses, **more,
    )  # fmt: skip


def rows(aligned):
    return lambda ds: {"rows this far apart": 1e-9 - abs(ds.aligned - aligned)}


def gains(least, most=np.inf):
    return lambda ds: {"gain": np.minimum(ds["size"] - least, most - ds["size"])}


CLAIMS = [
    claim(
        id="curvature-is-bounded-at-every-depth", on="tanh rows",
        statement=r"$|\operatorname{Hess} f(x)|$ is at most the derived bound, at every input",
        kind=ib.Inequality(),
        residual=lambda ds: ds[CURVATURE] + ds["hessian.bound"] - ds.bound, bound=lambda ds: ds.bound,
        tolerance=lambda ds: 1e-12 * ds.bound, because="a theorem; what Lanczos may be off is added to what it measured",
    ),
    _by_a_factor("drawn-rows-collapse", "rows", 0.5, "weight normalisation, drawn rows", rows(1.0), sign=-1),
    _by_a_factor("aligned-rows-grow-slowly", "rows", 1.1, "weight normalisation, aligned rows", rows(0.01), sign=-1),
    _by_a_factor("the-twin-grows-as-read", "twin", 1.5, "not normalised, gain 1", gains(1.0, 1.0), expected="refuted"),
    _by_a_factor("the-twin-grows-at-gain-2", "twin", 1.5, "not normalised, gain 2 or more", gains(2.0)),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

GAINS = {
    1.0: dict(colour="sky", marker="o", line=":"),
    1.5: dict(colour="sky", marker="s", line="--"),
    2.0: dict(colour="sky", marker="^", line="-."),
}
GAIN = "twin, gain {:g}"
ROWS = {0.01: dict(colour="vermillion"), 1.0: dict(colour="blue")}
shown = dict(x="depth", accepts=CAPPED)
view = dict(x="depth $L$", log="y", ylim=(1e-4, 1e3))


def _other(activation, name):
    at = dict(on="relu+gelu rows+twin", **shown)
    rows = dict(of={"activation": activation, "norm": "rows", "size": 1.0}, label="rows apart by 1",
                looks={None: dict(colour="blue", marker="s", line="--")})
    twin = dict(of={"activation": activation, "norm": "twin"}, by="size", name=GAIN, looks=GAINS)
    lines = ib.curves_of(CURVATURE, **rows, **at), ib.curves_of(CURVATURE, **twin, **at)
    return ib.panel(*lines, title=name, legend=None, **view)


figure = ib.Figure(
    id="depth",
    panels=[
        ib.panel(
            ib.curves_of(CURVATURE, on="tanh rows", by="aligned", name="rows apart by {:g}", looks=ROWS, **shown),
            ib.theory_of("bound", x="depth", on="tanh rows", of={"aligned": "largest"},
                         label="derived bound", looks={None: dict(colour="black", line="--")}),
            ib.curves_of(CURVATURE, on="tanh twin", by="size", name=GAIN, looks=GAINS, **shown),
            title="tanh", y=r"$\max_x |\mathrm{Hess}\, f(x)|$", **view,
        ),
        _other("relu", "ReLU"),
        _other("gelu", "GELU"),
    ],
    caption="The largest curvature of f over {examples} inputs, width {width}, |v| = {output:g}, against depth; medians and "
    "ranges over {seed.count} seeds. Left: with weight normalisation it is below the derived bound, from drawn rows (1) far "
    "below, from aligned ones (0.01) by less; without it the growth depends on the gain. "
    "Middle and right: activations of which no bound is claimed.",
    claims=["curvature-is-bounded-at-every-depth", "the-twin-grows-as-read", "the-twin-grows-at-gain-2"],
)  # fmt: skip

plain = dict(width=16, examples=4, seed=range(6))
study = ib.Study(
    cell=cell,
    grids=ib.grid(activation="tanh", norm="rows", depth=[1, 2, 4, 8], aligned=[0.01, 1.0], **plain)
    + ib.grid(activation="tanh", norm="twin", depth=[1, 2, 4, 8], size=[1.0, 1.5, 2.0], **plain)
    + ib.grid(activation=["relu", "gelu"], norm=["rows", "twin"], depth=[1, 2, 4], size=[1.0, 2.0], **plain),
    facts={"hessian": ib.output_curvature(tolerance=1e-4)},
    predict={"bound": bound},
    records=ib.linear_records(2),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), width=64)},
)
