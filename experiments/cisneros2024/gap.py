r"""Is the generalisation gap free of the width?  The bound is; the gap falls faster than 1/sqrt n.   (arXiv 2409.08935)

Rows are unit vectors, so that in the Rademacher complexity each row's supremum is taken alone and the width cancels
(`rademacher`): R_n <= |v| X (sqrt(2 L log 2) + 1) / sqrt n for 1-Lipschitz phi with phi(0) = 0. On |f| <= |v| X and |y| <= Y
the loss (f - y)^2 / 2 has slope |v| X + Y at most, and over draws of the examples

    E sup (L_true - L) <= 2 (|v| X + Y) R_n,      over all networks of that |v|, whatever their width.

Labels are tanh of a linear function, with noise; what is measured is the loss of 1024 examples that are held out, less L.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .network import last_of, network, regression


def cell(
    *, width, examples, key, step=0.5, depth=2, dimension=10, noise=0.3, output=2.0, held_out=1024, max_steps=1500
):  # fmt: skip
    problem = regression(key, examples, dimension, dimension**0.5, noise, held_out)
    return ib.Run(problem, network(depth, width, output=output), ib.Descent(step, max_steps=max_steps))


def ball(snapshot):
    """|v|"""
    return jnp.linalg.norm(last_of(snapshot.theta))


# -- what theory says of a run -----------------------------------------------------------------------------------------

def bound(examples, depth, dimension, noise, output):
    """2 (|v| X + Y) R_n of all networks whose |v| is at most twice that of the start"""
    reach, most = 2 * output * dimension**0.5, 1 + 3**0.5 * noise
    complexity = reach * (np.sqrt(2 * np.log(2) * depth) + 1) / np.sqrt(int(examples))
    return 2 * (reach + most) * complexity


def gap(held_out_loss, loss):
    return held_out_loss - loss[-1]


# -- claims ------------------------------------------------------------------------------------------------------------

CAPPED = (ib.Status.CAPPED,)


def in_the_ball(ds):
    return {"$|v|$ is at most twice its start": 2 * ds.output - ds.ball}


claim = ib.claims_with(
    accepts=CAPPED, source="arXiv 2409.08935, with constants that are derived here",
    hypotheses=in_the_ball,
)  # fmt: skip


def _wider(id, factor, sign, what, **more):
    return claim(
        id=id, statement=f"the gap is {what} that of the next larger width, on average over draws",
        kind=ib.Ordering(over="seed"), residual=lambda ds: sign * (ds.gap - factor * ib.curves.at_next(ds.gap, "width")),
        because="over seeds, at each n",
        hypotheses=lambda ds: in_the_ball(ds) | {"a larger width stands beside it": ib.curves.has_next(ds.width)}, **more,
    )  # fmt: skip


CLAIMS = [
    claim(
        id="gap-is-below-the-bound",
        statement="the gap is below $2 (|v| X + Y) R_n$ on average over draws of the data, at each $n$ and $m$",
        kind=ib.Ordering(over="seed"), residual=lambda ds: ds.gap - ds.bound,
        because="over seeds; the bound is of the mean",
    ),
    claim(
        id="gap-is-O(1/n)", statement="the gap is $O(1/n)$, and so $O(n^{-1/2})$, at each width",
        residual=lambda ds: ds.gap, kind=ib.UpToConstant(against="examples"),
        tolerance=lambda ds: 1 / ds.examples.astype(float),
        because="a rate: its constant is free",
    ),
    claim(
        id="gap-falls-as-1/sqrt-n", source="arXiv 2409.08935, its rate read as an equality", expected="refuted",
        statement="the gap falls as $n^{-1/2}$", kind=ib.Exponent("examples", -0.5, 0.2), residual=lambda ds: ds.gap,
    ),
    _wider("gap-is-that-of-a-wider-network", 1.25, 1, "at most 1.25 times", expected="refuted"),
    _wider("gap-is-not-larger-for-a-wider-network", 0.8, -1, "at least 0.8 times"),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

figure = ib.Figure(
    id="gap",
    panels=[
        ib.panel(
            ib.curves_of("gap", x="examples", by="width", name="$m = {}$", accepts=CAPPED, middle="mean", spread="deviation"),
            ib.theory_of("bound", x="examples", label="bound", looks={None: dict(colour="black")}, line="--"),
            ib.guide(-0.5, "$n^{{-1/2}}$", through="first"),
            x="examples $n$", y="held-out loss less training loss", log="xy",
        )
    ],
    caption="The gap after {max_steps} steps, mean and standard deviation over {seed.count} draws, and what bounds its mean over "
    "draws at any width, for all networks whose |v| is at most twice that of the start.",
    claims=["gap-is-below-the-bound", "gap-is-O(1/n)", "gap-falls-as-1/sqrt-n"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(width=[8, 32], examples=[16, 64, 256], seed=range(16)),
    observe={"held_out_loss": ib.at_end(ib.loss_held_out()), "ball": ib.running_max(ball)},
    predict={"bound": bound, "gap": gap},
    records=ib.linear_records(6),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(width=[8, 32, 128], examples=[16, 64, 256, 1024], seed=range(40))},
)
