r"""Is the Rademacher complexity free of the width?  Rows are unit vectors, and each has its supremum alone.   (arXiv 2409.08935)

    R_n = E sup (1/n) sum_i s_i f(x_i),   s_i random signs, over all W and |v| = 1:   R_n <= X (sqrt(2 L log 2) + 1) / sqrt n

for 1-Lipschitz phi with phi(0) = 0 (derived by peeling through a convex function of each row, as for weights of bounded
norm). The supremum is approached from below by gradient ascent over directions, v's too. It is large where the rows are
aligned and the network nearly linear, so that neither width nor depth shows.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .network import ACTIVATIONS, unit


def cell(
    *, width, examples, key, depth=2, activation="tanh", dimension=10, radius=1.0, step=30.0, max_steps=400
):  # fmt: skip
    x = radius * unit(ib.stream(key, "inputs"), examples, dimension)
    signs = jax.random.rademacher(ib.stream(key, "signs"), (examples, 1)).astype(float)
    phi = ACTIVATIONS[activation]
    net = ib.RowNormalised(ib.mlp((width,) * depth, lambda z: phi(z / width**0.5)))
    return ib.Run(ib.supervised(x, signs, correlation), net, ib.Descent(step, max_steps=max_steps))


def correlation(output, sign):
    """-s f(x), whose mean is to be small."""
    return -jnp.sum(output * sign)


# -- claims ------------------------------------------------------------------------------------------------------------


def value(loss):
    return -loss.min()


def bound(examples, depth, radius):
    return radius * (np.sqrt(2 * np.log(2) * depth) + 1) / np.sqrt(int(examples))


ENDS = (ib.Status.CAPPED, ib.Status.STALLED)
claim = ib.claims_with(source="arXiv 2409.08935, with constants that are derived here", accepts=ENDS)


def narrow(ds):
    return {"a larger width stands beside it": ib.curves.has_next(ds.width)}


def _wider(id, factor, sign, what):
    return claim(
        id=id, statement=f"the supremum is {what} that of the next larger width, on average over draws",
        kind=ib.Ordering(over="seed"), hypotheses=narrow, because="over seeds, at each n",
        residual=lambda ds: sign * (ds.value - factor * ib.curves.at_next(ds.value, "width")),
    )  # fmt: skip


CLAIMS = [
    claim(
        id="supremum-is-below-the-bound", statement="what ascent finds is below the bound on average over signs",
        kind=ib.Ordering(over="seed"), residual=lambda ds: ds.value - ds.bound, because="over seeds; the bound is of the mean",
    ),
    claim(
        id="it-falls-as-1/sqrt-n", statement="what ascent finds falls as $n^{-1/2}$",
        kind=ib.Exponent("examples", -0.5, 0.1),
        residual=lambda ds: ds.value,
    ),
    _wider("no-smaller-for-a-wider-network", 1.05, 1, "at most 1.05 times"),
    _wider("no-larger-for-a-wider-network", 0.95, -1, "at least 0.95 times"),
]

def of_the_order(value):
    """Times sqrt(n)."""
    return value * value.examples.astype(float) ** 0.5


figure = ib.Figure(
    id="rademacher",
    panels=[
        ib.panel(
            ib.curves_of(
                lambda ds: of_the_order(ds.value), x="examples", by="width", name="$m = {}$", accepts=ENDS, middle="mean",
                spread="error",
            ),
            ib.theory_of(
                lambda ds: of_the_order(ds.bound), x="examples", label="bound", looks={None: dict(colour="black")}, line="--"
            ),
            x="examples $n$", y=r"$\sqrt{n} \, \sup_f \frac{1}{n} \sum_i s_i f(x_i)$", log="x", ylim=(0, None),
        )
    ],
    caption="What gradient ascent finds of the supremum over networks of {depth} hidden layers, |x| = {radius:g}, |v| = 1, times "
    "sqrt(n): level where it falls as 1/sqrt(n), and the same for both widths. Mean and two standard errors over {seed.count} "
    "draws of inputs and signs, and the derived bound.",
    claims=["supremum-is-below-the-bound", "it-falls-as-1/sqrt-n"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(width=[8, 32], examples=[16, 64, 256], seed=range(20)),
    predict={"value": value, "bound": bound},
    records=ib.linear_records(5),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(width=[8, 32, 128], examples=[16, 64, 256, 1024], seed=range(40), max_steps=2000)},
)
