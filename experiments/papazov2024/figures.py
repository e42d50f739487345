"""The figure of `collapse`."""

import implicit_bias as ib

from .claims import ENDED, gap, size

LOOKS = {
    "printed": (r"$\lambda$, from rest (printed)", "vermillion", "s"),
    "matched": (r"$\lambda$, matched start", "orange", "^"),
    "corrected": (r"$\lambda_c$, from rest", "sky", "v"),
    "corrected and matched": (r"$\lambda_c$, matched start", "blue", "o"),
}
TWO = {"printed": (*LOOKS["printed"], "--"), "corrected and matched": (*LOOKS["corrected and matched"], "-")}


def _off_at_each_moment(ds):
    """w of a flow less w of heavy ball, in |w| of heavy ball"""
    heavy = ib.curves.at(ds.z, law="heavy ball")
    off = (ds.z.sel(law="flow") - heavy).sel(flow=ds.flow.isin(list(TWO)))
    return size(off) / size(heavy)


collapse = ib.Figure(
    id="collapse",
    panels=[
        ib.panel(
            ib.curves_of(
                lambda ds: gap(ds).sel(law="flow"), x="interval", by="flow", looks=LOOKS, of={"inertia": "least"}, join=False,
                accepts=ENDED,
            ),
            ib.guide(1.0, "slope {:g}", series=0), ib.guide(2.0, "slope {:g}", series=3),
            title=r"$\lambda = {inertia.least:g}$", x=r"step of time $\varepsilon = \gamma / (1 - \beta)$",
            y=r"$\max_t |w - w_{\mathrm{heavy\ ball}}|$", log="xy",
        ),
        ib.panel(
            ib.curves_of(
                _off_at_each_moment, x="moment", by="flow", looks=TWO, of={"inertia": "least", "interval": "largest"},
                above=1e-15, accepts=ENDED,
            ),
            title=r"$\varepsilon = {interval.largest:g}$", x="time $t = k \\varepsilon$",
            y=r"$|w - w_{\mathrm{heavy\ ball}}| / |w_{\mathrm{heavy\ ball}}|$", log="y", ylim=(1e-4, None),
        ),
    ],
    caption="Heavy ball on x = a^2 - b^2 and flows with inertia, {rows} x {columns}, medians and ranges over {seed.count} "
    "seeds. Left: the greatest distance up to the last moment, against the step of time at one lambda: of first order with "
    "lambda, of second with lambda_c = lambda - eps/2 and the start that matches it; either of the two alone is of first. "
    "Right: the distance in the course of time at the largest step.",
    claims=["printed-inertia-is-of-first-order", "corrected-inertia-is-of-second-order", "one-inertia-one-path"],
)  # fmt: skip
