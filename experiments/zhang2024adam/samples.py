r"""Does Adam stay in the span of the examples?  x - x_0 in range(B^T): on one example a step, if all |b_ij| = c_i.   (Baek et al. 2025)

Rows b_i = y_i a_i with entries c_i or -c_i. A gradient of one example, -p b_i, has one square in all coordinates: so has v,
whatever was drawn, and Adam moves by multiples of the b_i that were drawn, as descent with momentum does. It comes to a large
l2 margin. The full gradient has other squares in other coordinates, and leaves the span.

Columns that are equal, or opposite, move alike under every law that acts entry by entry: with no more such patterns than rows
the span is all that the full batch can reach, too. There are at most 2^(rows - 1) of them.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .claims import ENDED, SAMPLES
from .margin import eta


def examples_of(key, rows, columns, spread, uneven):
    """Entries c_i or -c_i, c from 1/spread to spread, times exp(uneven N(0, 1)). The first columns make them independent."""
    signs = jnp.where(jax.random.bernoulli(ib.stream(key, "signs"), shape=(rows, columns)), 1.0, -1.0)
    signs = signs.at[:, :rows].set(2 * jnp.tril(jnp.ones((rows, rows))) - 1)
    sizes = spread ** jax.random.uniform(ib.stream(key, "sizes"), (rows, 1), minval=-1.0, maxval=1.0)
    sizes = sizes * jnp.exp(uneven * jax.random.normal(ib.stream(key, "entries"), (rows, columns)))
    return sizes * signs, jnp.where(jax.random.bernoulli(ib.stream(key, "labels"), shape=(rows,)), 1.0, -1.0)


def cell(
    *, batch, uneven, key, rows=5, columns=24, spread=1.5, step=0.1, power=0.5, b1=0.9, b2=0.95, eps=0.0, scale=0.5,
    max_steps=3000,
):  # fmt: skip
    problem = ib.linear.fixed(*examples_of(key, rows, columns, spread, uneven), loss=ib.exponential)(key)
    steps = jax.tree_util.Partial(eta, step=step, power=power, horizon=jnp.inf)
    some = ib.minibatch(1, key) if batch == "one" else None
    descent = ib.Descent(steps, law=ib.adam(b1, b2, eps), batch=some, max_steps=max_steps)
    return ib.Run(problem, ib.Euclidean(scale), descent)


# -- what is read from a run -------------------------------------------------------------------------------------------


def outside(x, operator):
    """The part of x - x_0 outside the span of the rows, of the whole."""
    moved, basis = x - x[0], np.linalg.qr(operator.T)[0]
    sizes = np.linalg.norm(moved, axis=-1)
    return np.linalg.norm(moved - (moved @ basis) @ basis.T, axis=-1) / np.where(sizes > 0, sizes, np.nan)


def patterns(operator):
    """Columns that differ by more than their sign."""
    return len(np.unique((operator * np.sign(operator[:1])).round(9), axis=1).T)


def margin(x, operator, target):
    """The l2 margin of x - x_0, of the largest."""
    labelled, moved = target[:, None] * operator, x[-1] - x[0]
    return np.min(labelled @ moved) / np.linalg.norm(moved) * ib.min_norm_separator(labelled, 2).value


# -- figure ------------------------------------------------------------------------------------------------------------

LOOKS = {"one": dict(label="one example a step"), "all": dict(label="all examples")}
figure = ib.Figure(
    id="span",
    panels=[
        ib.panel(
            ib.curves_of("outside", x="clock", by="batch", looks=LOOKS, of={"uneven": uneven}, accepts=ENDED),
            x="steps $k$", y="part outside the span", log="xy", ylim=(1e-17, 3), title=title,
        )
        for uneven, title in ((0.0, "$|b_{ij}| = c_i$"), ("largest", "uneven entries"))
    ],
    caption="Adam on {rows} examples in {columns} dimensions, exponential loss: how much of x - x_0 lies outside the span of "
    "the examples, medians and ranges over {seed.count} seeds. Left: entries of one size in each example. Right: entries of "
    "different sizes.",
    claims=["adam-on-one-example-stays-in-the-span", "adam-on-all-examples-stays-in-the-span"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(batch=["one", "all"], uneven=[0.0, 0.5], seed=range(12)),
    facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor()},
    predict={"outside": outside, "patterns": patterns, "margin": margin},
    records=ib.log_records(17),
    claims=SAMPLES,
    figures=[figure],
    sizes={"paper": dict(seed=range(50))},
)  # fmt: skip
