r"""Is the loss restricted strongly convex along descent?  With one hidden layer, where rows are long.   (arXiv 2409.08935)

L is the mean of (f - y)^2 / 2, w the least row norm, |v| the larger one of a step's ends. B = `network.curvature_bound`
holds on the whole segment D of a step, for no row shrinks, and |grad f|^2 <= G^2 = X^2 (1 + depth |v|^2 / (m w^2)). Derived:

    L(theta + D) >= L + <grad L, D> + alpha |D|^2 / 2,      alpha = |grad L|^2 / (2 L) - sqrt(2 L) B - (2/3) G B |D|,
    L(theta + D) <= (1 - eta (1 - eta beta / 2) rho) L,     rho = |grad L|^2 / L,   beta = G^2 + sqrt(2 L) B,   eta <= 1/beta.

The first is restricted strong convexity where alpha > 0; the second is geometric decrease wherever rho stays away from 0.
The step is `share` / beta at the start, with a |v| that is a fifth larger.
"""

import numpy as np

import implicit_bias as ib

from .network import network, regression
from .steps import convexity_gap, descent, log_factor, positive, smoothness, step_times_beta


def cell(
    *, depth, width, examples, key, size=1.0, output=4.0, share=1.0, dimension=10, radius=1.0, max_steps=200
):  # fmt: skip
    problem, net = regression(key, examples, dimension, radius), network(depth, width, size=size, output=output)
    first = problem.loss(net(net.init(problem, key)))
    beta = smoothness(depth, width, radius, size, 1.2 * output, first)[2]
    return ib.Run(problem, net, ib.Descent(share / beta, max_steps=max_steps))


# -- claims ------------------------------------------------------------------------------------------------------------

CAPPED = (ib.Status.CAPPED,)
claim = ib.claims_with(source="arXiv 2409.08935, derived with every constant", accepts=CAPPED)


def small_steps(ds):
    return {r"$\eta \le 1/\beta$ at every step": 1 - ds.step_times_beta}


def as_here(ds):
    """Of what is seen and not proved."""
    return {
        r"steps of half of $1/\beta$ or more": np.minimum(ds.share - 0.5, 1 - ds.share),
        "200 steps": 0.5 - abs(ds.max_steps - 200),
        "inputs of 10 numbers": 0.5 - abs(ds.dimension - 10),
        "$|x| = 1$": 1e-9 - abs(ds.radius - 1),
        "$|v| = 4$": 1e-9 - abs(ds.output - 4),
        "4 to 16 examples": 6.5 - abs(ds.examples.astype(float) - 10),
    }  # fmt: skip


def deeper(ds):
    return ds.depth.astype(int) - 1


def _longer(ds):
    """log of the loss at the end at the next larger norm, less that at a norm"""
    end = np.log(ib.curves.last(ds.loss))
    return ib.curves.at_next(end, "size") - end


CLAIMS = [
    claim(
        id="restricted-strong-convexity",
        statement=r"$L(\theta + D) \ge L + \langle \nabla L, D \rangle + \alpha |D|^2 / 2$ at every step",
        kind=ib.Inequality(), hypotheses=small_steps, residual=lambda ds: ds.convexity_gap, tolerance=lambda ds: 1e-10,
        because="a theorem; rounding of L, over L",
    ),
    claim(
        id="descent", statement=r"$L' \le (1 - \eta (1 - \eta \beta / 2) \rho) L$ at every step", kind=ib.Inequality(),
        hypotheses=small_steps, residual=lambda ds: ds.descent, tolerance=lambda ds: 1e-12, because="a theorem; rounding",
    ),
    claim(
        id="geometric-decrease", kind=ib.Inequality(), tolerance=lambda ds: 1e-9, because="a theorem; rounding",
        statement=r"where $\alpha > 0$ at every step $L$ falls to $q^T$ of itself or further, $q$ the largest factor "
        "of a step",
        hypotheses=lambda ds: small_steps(ds) | {r"$\alpha > 0$ at every step": ds.positive - 1},
        residual=lambda ds: np.log(ib.curves.last(ds.loss) / ds.loss.isel(record=0)) - ds.steps * ds.log_factor,
    ),
    claim(
        id="loss-is-restricted-strongly-convex", source="arXiv 2409.08935, its condition, as read of every network",
        statement=r"$\alpha > 0$ at nine steps of ten", kind=ib.Inequality(), residual=lambda ds: 0.9 - ds.positive,
        tolerance=lambda ds: 0.0, bound=lambda ds: ds.positive, because="a share of steps", expected="refuted",
    ),
    claim(
        id="one-layer-of-long-rows-is", kind=ib.Inequality(), residual=lambda ds: 0.75 - ds.positive,
        bound=lambda ds: ds.positive,
        statement=r"one hidden layer, 64 wide or more, rows of norm 16 or more: $\alpha > 0$ at three steps of four",
        hypotheses=lambda ds: small_steps(ds) | as_here(ds)
        | {"one layer": -deeper(ds), "wide": ds.width.astype(float) - 64, "long rows": ds["size"] - 16},
        tolerance=lambda ds: 0.0, because="a share of steps",
    ),
    claim(
        id="two-layers-are-not", kind=ib.Inequality(), bound=lambda ds: 0.1 + 0 * ds.positive,
        statement=r"two hidden layers, 64 wide or less, rows of norm 16 or less, 16 examples: $\alpha > 0$ at a step "
        "of ten, or fewer",
        hypotheses=lambda ds: as_here(ds)
        | {"two layers or more": deeper(ds) - 1, "narrow": 64 - ds.width.astype(float), "short rows": 16 - ds["size"],
           "16 examples or more": ds.examples.astype(float) - 16},
        residual=lambda ds: ds.positive - 0.1, tolerance=lambda ds: 0.0, because="a share of steps",
    ),
    claim(
        id="longer-rows-end-lower", source="arXiv 2409.08935, as read: a larger least row norm converges faster",
        statement=r"at steps of $1/\beta$ the loss at the end is lower where rows are longer",
        kind=ib.Ordering(over="seed"),
        expected="refuted",
        hypotheses=lambda ds: {"a larger norm stands beside it": ib.curves.has_next(ds["size"])},
        residual=_longer, because="over seeds, from each norm to the next",
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

LOOKS = {
    "16": dict(colour="blue"), "32": dict(colour="orange", line="-."), "64": dict(colour="vermillion", line="--"),
    "256": dict(colour="green", line=":"),
}  # fmt: skip
ROWS = "norm of the rows $s$"


def _map(depth, examples, title):
    share = ib.map_of(
        "positive", x="size", y="width", label=r"share of steps with $\alpha > 0$", limits=(0, 1), accepts=CAPPED,
        of={"depth": depth, "examples": examples},
    )
    return ib.panel(share, x=ROWS, y="width $m$", title=title)


loss = ib.curves_of(
    lambda ds: ib.curves.last(ds.loss), x="size", by="width", name="$m = {}$", looks=LOOKS, accepts=CAPPED,
    of={"depth": 1, "examples": 16},
)
figure = ib.Figure(
    id="convexity",
    panels=[
        _map(1, 4, "one layer, 4 examples"),
        _map(1, 16, "one layer, 16 examples"),
        ib.panel(loss, x=ROWS, log="xy", title="one layer, 16 examples", y="loss at the end"),
    ],
    caption="Left and middle: at how many of {max_steps} steps of 1/beta the derived alpha is positive, so that restricted strong "
    "convexity says something, means over {seed.count} seeds; with two layers at hardly any, which is not drawn. Right: the loss "
    "at the end, medians and ranges, which does not fall with the norm; whether it falls with the width depends on the norm "
    "(open question 3).",
    claims=["restricted-strong-convexity", "loss-is-restricted-strongly-convex", "one-layer-of-long-rows-is"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(depth=[1, 2], examples=[4, 16], width=[16, 32, 64], size=[1.0, 2.0, 4.0, 8.0, 16.0], seed=range(6)),
    observe={
        "positive": ib.mean_change(positive), "convexity_gap": ib.worst_change(convexity_gap),
        "descent": ib.worst_change(descent), "log_factor": ib.worst_change(log_factor),
        "step_times_beta": ib.worst_change(step_times_beta),
    },
    records=ib.linear_records(11),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(width=[16, 32, 64, 128, 256], seed=range(20))},
)  # fmt: skip
