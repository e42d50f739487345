r"""Does flatness bound the weighted norm, at any weights, and is any constant loose?   (Liang et al. 2025, Theorem 3.2)

    S = sum_k |v_k| |w_k| g~(u_k, t_k) <= lambda_max / 2 - 1/2 + sqrt(1 + R^2) sqrt(2 L) / 2     (derived in `network`)

holds at every point, minimum or not: random nets whose v_k, w_k and b_k have sizes exp(mix N(0, 1)) of their own. Balanced
neurons (|v_k| |(x, 1)| = <w_k, x> + b_k), inputs close to one point x and labels above f by `offset` reach it: then without
the term of the residual it fails, and so would a smaller factor.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .network import ENDS, FLATNESS, SOURCE, First, bound, inequality, noisy_line, norms, two_layer


def drawn(key, width, dimension, mix):
    normal = jax.random.normal(ib.stream(key, "weights"), (dimension + 2, width))
    size = jnp.exp(mix * jax.random.normal(ib.stream(key, "sizes"), (3, width)))
    return First(size[:1] * normal[:-2], size[1] * normal[-2], size[2] * normal[-1])


def balanced(key, width, dimension, mix):
    """All along one x of norm 1/2, the first axis; v > 0."""
    size = jnp.exp(mix * jax.random.normal(ib.stream(key, "sizes"), (width,)))
    kernel = jnp.zeros((dimension, width)).at[0].set(size)
    return First(kernel, size, 1.5 * size / 1.25**0.5)


def cell(*, weights, dimension, mix, offset, spread, key, examples=24, width=12, noise=1.0):
    x, y = noisy_line(key, examples, dimension, noise)
    x = spread * x + (1 - spread) * jnp.eye(dimension)[:1] / 2
    first = (drawn if weights == "drawn" else balanced)(key, width, dimension, mix)
    if weights == "balanced":
        hidden = jax.nn.relu(x @ first.kernel + first.bias[None])
        y = hidden @ first.outer + offset
    return ib.Run(ib.supervised(x, y), two_layer(width, first), ib.Descent(1e-12, max_steps=1))


# -- claims ------------------------------------------------------------------------------------------------------------


def ratio(ds):
    """S over its bound."""
    return ds["norms.directed"] / bound(ds)


def reaches(ds):
    """Where every step of the proof is nearly an equality."""
    return {
        "inputs within $10^{-3}$ of a point": 1e-3 - ds.spread,
        "labels on $f$ or above it": ds.offset,
        r"$S$ above $10 (1 + \text{offset})$": ds["norms.directed"].isel(record=0) - 10 * (1 + ds.offset),
    }


CLAIMS = [
    inequality("flatness-at-random-weights", FLATNESS.source, f"at random weights {FLATNESS.statement}", on="drawn"),
    inequality("flatness-at-balanced-weights", FLATNESS.source, f"at balanced weights {FLATNESS.statement}", on="balanced"),
    inequality(
        "flatness-as-printed", f"{SOURCE}, Theorem 3.2",
        r"$\sum |v| |w| \tilde g \le \lambda_{\max} / 2 - 1/2 + (R + 1) \sqrt{2 L}$",
        lambda ds: bound(ds, lambda radius: radius + 1), on="drawn",
    ),
    ib.Claim(
        id="the-bound-is-reached", source="derived", kind=ib.Inequality(),
        statement="balanced neurons, inputs close to one point: $S$ reaches 97 % of it",
        accepts=ENDS, on="balanced", hypotheses=reaches, residual=lambda ds: 0.97 - ratio(ds),
        tolerance=lambda ds: 0.0, because="what the bias of the output and the spread of the inputs leave",
    ),
    inequality(
        "a-smaller-factor", "asked of nine tenths of the residual's term",
        r"$S \le \lambda_{\max} / 2 - 1/2 + 0.45 \sqrt{1 + R^2} \sqrt{2 L}$",
        lambda ds: bound(ds, lambda radius: 0.45 * np.sqrt(1 + radius**2)), on="balanced",
        hypotheses=lambda ds: reaches(ds) | {"labels off by $1/2$ or more": ds.offset - 0.5}, expected="refuted",
    ),
]  # fmt: skip

figure = ib.Figure(
    id="bound",
    panels=[
        ib.panel(
            ib.runs_of("norms.directed", x=lambda ds: bound(ds).isel(record=0), by="dimension", name="$d = {}$", on="drawn",
                       accepts=ENDS),
            ib.figures.drawn(lambda axes, ds: axes.axline((1, 1), slope=1, color="black", ls="--", lw=0.9), on="drawn"),
            x=r"$\lambda_{\max}/2 - 1/2 + \sqrt{1+R^2}\sqrt{2L}/2$", y=r"$S = \sum_k |v_k||w_k|\tilde g_k$", log="xy",
        ),
        ib.panel(
            ib.curves_of(ratio, x="spread", by="offset", name="labels off by {:g}", on="balanced", accepts=ENDS),
            ib.level(1.0, on="balanced"), x="spread of the inputs", y="$S$ / bound", log="x", ylim=(0, 1.05),
        ),
    ],
    caption="The weighted norm against what the curvature allows. Left: random nets of {width} neurons on {examples} "
    "examples, sizes of all weights drawn apart; none is above the diagonal. Right: balanced neurons, medians and "
    "ranges over seeds: the bound is reached as the inputs close up.",
    claims=[claim.id for claim in CLAIMS],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(weights="drawn", dimension=[1, 3, 5], mix=[0.0, 1.0, 2.0], offset=0.0, spread=1.0, seed=range(40))
    + ib.grid(weights="balanced", dimension=3, mix=0.5, offset=[0.0, 1.0], spread=ib.logspace(1e-3, 1.0, 4), seed=range(10)),
    observe={"sharpness": ib.sharpness(tolerance=1e-9), "norms": norms},
    records=ib.linear_records(2),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(1000))},
)
