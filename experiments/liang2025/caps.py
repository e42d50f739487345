r"""How high may a function be near the sphere, at no cost in curvature?  Neurons on caps of the ball.   (Liang et al. 2025)

Neurons relu(<u, x> - (1 - s)) on caps of depth s that hold no example: the Hessian of the loss is that of beta alone,

    lambda_max = 1     for all labels, and whatever |v| and |w| are.

That costs little because caps are small. For x uniform in the ball, c_d = Gamma(d/2 + 1) / (sqrt(pi) Gamma((d+1)/2)),

    P(<u, x> > 1 - s) = c_d int_0^s (2 h - h^2)^((d-1)/2) dh ~ s^((d+1)/2),      g ~ s^(d+2).
"""

import jax.numpy as jnp
import numpy as np
from scipy import integrate, special

import implicit_bias as ib

from .network import ENDS, SOURCE, First, ball, noisy_line, number, parts, two_layer


TINY = 1e-12
"""The step: what is looked at is the start."""


def cell(*, dimension, depth, key, examples=40, width=8, inner=50.0, outer=100.0, noise=1.0):
    x, y = noisy_line(key, examples, dimension, noise)
    u = ball(ib.stream(key, "caps"), width, dimension)
    u = u / jnp.broadcast_to(jnp.linalg.norm(u, axis=1, keepdims=True), u.shape)
    first = First(inner * u.T, jnp.full(width, -inner * (1 - depth)), jnp.full(width, outer))
    return ib.Run(ib.supervised(x, y), two_layer(width, first), ib.Descent(TINY, max_steps=1))


def nearest(snapshot):
    """the largest <w_k, x_i> + b_k, over |w_k|: an example lies in a cap where it is above 0"""
    _, inner, z = parts(snapshot)
    return jnp.max(z / jnp.broadcast_to(inner, z.shape))


# -- theory ------------------------------------------------------------------------------------------------------------


def cap(dimension, depth):
    """P, and g = P^2 E[<u, x> - t | cap] sqrt(1 + E[<u, x> | cap]^2), by quadrature; h = s z^2."""
    dimension = int(dimension)
    power = (dimension - 1) / 2
    c = special.gamma(dimension / 2 + 1) / (np.sqrt(np.pi) * special.gamma((dimension + 1) / 2))

    def mean(of):
        """The integral of a function of the height h above the cap's floor, over the cap."""

        def inside(z):
            return of(depth * (1 - z**2)) * (depth * z**2 * (2 - depth * z**2)) ** power * 2 * depth * z

        return c * integrate.quad(inside, 0, 1, epsabs=0, epsrel=1e-12)[0]

    share, height = mean(lambda h: 1.0), mean(lambda h: h)
    weight = share * height * np.sqrt(1 + (1 - depth + height / share) ** 2)
    leading = (2 ** (power + 1) * c / (dimension + 1)) ** 2 * depth ** (dimension + 2) * 2**1.5 / (dimension + 3)
    return {"share": share, "weight": weight, "leading": leading}


# -- claims ------------------------------------------------------------------------------------------------------------

SHALLOW = 0.005


def exponent(ds, value):
    """The slope of its logarithm against log s over caps shallower than `SHALLOW`, and the depth of the deepest."""
    shallow = ds.depth.where(ds.depth <= SHALLOW)
    return ib.curves.per_log(np.log(value.where(shallow.notnull())), "depth"), shallow.max()


def _exponent(id, statement, of, is_, slack):
    return ib.Claim(
        id=id, source=f"{SOURCE}, Section 3.1 and Appendix E", statement=statement, accepts=ENDS,
        hypotheses=lambda ds: {"three caps or more, shallower than 0.005": int((ds.depth <= SHALLOW).sum()) - 3},
        residual=lambda ds: abs(exponent(ds, ds[of])[0] - is_(ds)),
        tolerance=lambda ds: slack(ds) * exponent(ds, ds[of])[1] + 1e-6,
        because="the next order in s, relative, at the deepest of these; twice it for g, with 3 s for means",
    )  # fmt: skip


def next_order(ds):
    """P s^(-(d+1)/2) = const (1 - s (d-1)(d+1) / (4 (d+3)) + ...)"""
    d = number(ds, "dimension")
    return (d**2 - 1) / (4 * (d + 3))


CLAIMS = [
    ib.Claim(
        id="empty-caps-cost-no-curvature", source=f"{SOURCE}, the proof of Theorem 3.7 (derived)",
        statement=r"$\lambda_{\max} = 1$ where no example lies in a cap, for all labels and weights",
        accepts=ENDS, hypotheses=lambda ds: {"no example in a cap": -ds.nearest},
        residual=lambda ds: abs(ds["sharpness.value"] - 1), tolerance=lambda ds: 1e-12, because="rounding of Lanczos",
    ),
    _exponent("share-of-a-cap", r"$P \sim s^{(d+1)/2}$", "cap_share", lambda ds: (number(ds, "dimension") + 1) / 2,
              next_order),
    _exponent("weight-of-a-cap", r"$g \sim s^{d+2}$", "cap_weight", lambda ds: number(ds, "dimension") + 2,
              lambda ds: 2 * next_order(ds) + 3),
]  # fmt: skip

series = dict(by="dimension", name="$d = {}$", accepts=ENDS)
figure = ib.Figure(
    id="caps",
    panels=[
        ib.panel(
            ib.curves_of("cap_weight", theory="cap_leading", theory_label="leading order", x="depth", **series),
            x="depth $s$ of the cap", y="weight $g(u, 1 - s)$", log="xy", ylim=(1e-20, 1),
        ),
        ib.panel(
            ib.runs_of("sharpness.value", x="nearest", **series), ib.across(0.0),
            x=r"$\max_{k,i}\ \langle u_k, x_i\rangle - (1 - s)$", y=r"$\lambda_{\max}$", log="y",
            xlim=(-0.25, 0.25), legend=None,
        ),
    ],
    caption="Caps of depth s of the unit ball. Left: their weight g, by quadrature: s^(d+2) as s vanishes. Right: {width} "
    "neurons of |w| = {inner:g} and |v| = {outer:g} on such caps, {examples} examples, each run of {seed.count} "
    "seeds: lambda_max is 1 until an example lies in a cap (dotted), and hundreds or more from there on.",
    claims=[claim.id for claim in CLAIMS],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(dimension=[1, 3, 5], depth=ib.logspace(1e-4, 1.0, 17), seed=range(8)),
    observe={"sharpness": ib.at_end(ib.sharpness(tolerance=1e-10)), "nearest": ib.at_end(nearest)},
    records=ib.linear_records(2),
    predict={"cap": cap},
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(40), dimension=[1, 2, 3, 4, 5, 10], examples=512)},
)
