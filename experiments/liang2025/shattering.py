r"""Can a stable minimum fit noise?  One neuron for each example that has a cap of its own.   (Liang et al. 2025)

x_k uniform in the ball of R^d, y_k = x_k1 + N(0, 1); the network of `witness`, with the gauges c times the best one to the
power `own`: the same for all neurons at own = 0, and the best of each at own = 1, c = 1. There

    lambda_max <= 1 + (2 / n) max_k |y_k| sqrt(1 + |x_k|^2),

and descent of a step below 2 / lambda_max stays: all v_k are off by a relative `kick`, which it takes back. In high
dimension every example has a cap of its own.
"""

import implicit_bias as ib

from .network import ENDS, FLATNESS, SOURCE, ball, noisy_line, norms, number, two_layer
from .witness import all_private, at_start, law, least, mean_share, seen, share, top, witness


def cell(*, dimension, gauge, own, key, examples=64, noise=1.0, kick=1e-6, step=1.0, max_steps=150):
    x, y = noisy_line(key, examples, dimension, noise)
    fresh = ball(ib.stream(key, "fresh"), 500, dimension)
    first = witness(x, y, gauge, own, kick, ib.stream(key, "kick"))
    problem = ib.supervised(x, y, held_out=(fresh, fresh[:, 0]))
    return ib.Run(problem, two_layer(examples, first), ib.Descent(step, max_steps=max_steps))


# -- claims ------------------------------------------------------------------------------------------------------------

claim = ib.claims_with(accepts=ENDS, source="derived")
every = ib.claims_with(accepts=ENDS, source="derived", kind=ib.Inequality())
PRIVATE = "where every example has a cap of its own"


def reached(ds):
    return {
        "64 examples or more": number(ds, "examples") - 64,
        "noise of deviation 1 or less": 1 - ds.noise,
        "gauges from 10 or less to 60 or more": min(10 - ds.gauge.min(), ds.gauge.max() - 60),
        "nine gauges or more": ds.gauge.size - 9,
    }


def small(ds):
    return {"a kick from $10^{-8}$ to $10^{-5}$": min(ds.kick - 1e-8, 1e-5 - ds.kick)}


KICKED = "a kick of 6 deviations to labels of up to 5; Lanczos stops at 1e-8"


def off(ds):
    return 1e-7 + 30 * ds.kick


def rises(ds):
    """The share at the dimension before, less the share, where theory has them 5 % apart."""
    value, expected = mean_share(ds), ds.private_share
    less, fewer = (ib.curves.at_next(v, "dimension", by=-1) for v in (value, expected))
    return (less - value).where(expected - fewer > 0.05)


CLAIMS = [
    FLATNESS,
    claim(
        id="curvature-of-the-witness", statement=r"$\lambda_{\max}$ is the largest eigenvalue of "
        r"$(\mathbf{1} \mathbf{1}^\top + \operatorname{diag} q) / n$",
        residual=lambda ds: abs(top(ds) - ds.law_top) / ds.law_top, tolerance=off, because=KICKED,
    ),
    claim(
        id="private-examples-are-fitted", statement="$f(x_k) = y_k$ where $x_k$ has a cap of its own",
        residual=lambda ds: at_start(ds, "seen.off"), tolerance=off, because=KICKED,
    ),
    every(
        id="the-best-gauge", statement=r"with the best gauge $\lambda_{\max} \le 1 + (2 / n) \max_k |y_k| \sqrt{1 + |x_k|^2}$",
        hypotheses=lambda ds: {"the best gauge": -abs(ds.own - 1) - abs(ds.gauge - 1)}, bound=lambda ds: ds.law_best,
        residual=lambda ds: top(ds) - ds.law_best, tolerance=off, because=KICKED,
    ),
    every(
        id="noise-is-fitted-by-a-stable-minimum", source=f"{SOURCE}, neural shattering",
        statement=rf"{PRIVATE}, the best gauge common to all has $\lambda_{{\max}} < 2$: stable at step 1",
        bound=lambda ds: 2.0, hypotheses=lambda ds: all_private(ds) | reached(ds),
        residual=lambda ds: least(ds, 0.0) - 2, tolerance=lambda ds: 0.0, because="what is claimed",
    ),
    every(
        id="descent-stays", statement=rf"{PRIVATE} and step $\lambda_{{\max}} \le 1.9$, the loss is lower at the end",
        hypotheses=lambda ds: all_private(ds) | small(ds) | {"stable": 1.9 - ds.step * top(ds)}, tolerance=lambda ds: 0.0,
        residual=lambda ds: ib.curves.last(ds.loss) - at_start(ds, "loss"), because="linear about the witness",
    ),
    every(
        id="descent-leaves", statement=rf"{PRIVATE} and step $\lambda_{{\max}} \ge 2.5$, the loss rises a thousandfold",
        hypotheses=lambda ds: all_private(ds) | small(ds) | {
            "unstable": ds.step * top(ds) - 2.5, "50 steps or more": number(ds, "max_steps") - 50,
        },
        residual=lambda ds: 1e3 * at_start(ds, "loss") - ds.loss.max("record"), tolerance=lambda ds: 0.0,
        because="the kick grows by 1.5 a step", accepts=(*ENDS, ib.Status.DIVERGED),
    ),
    claim(
        id="share-of-private-caps",
        statement=r"the mean share of examples with a cap of their own is $E (1 - P(\text{cap}))^{n-1}$",
        residual=lambda ds: abs(mean_share(ds).mean("seed") - ds.private_share),
        tolerance=lambda ds: 4 * mean_share(ds).std("seed") / ds.sizes["seed"] ** 0.5 + 1 / number(ds, "examples"),
        because="four standard errors of the mean over seeds, and one example",
    ),
    claim(
        id="more-caps-in-higher-dimension", source=SOURCE, statement="the share rises with $d$", kind=ib.Ordering(over="seed"),
        residual=rises, hypotheses=lambda ds: {"theory has two dimensions 5 % apart": 2.0 * rises(ds).notnull() - 1},
        because="over seeds, where the two expectations are 5 % apart",
    ),
    claim(
        id="fresh-inputs-see-little-of-it", statement=f"{PRIVATE}, the mean square of $f - x_1$ is larger at training inputs "
        "than at fresh ones", kind=ib.Ordering(over="seed"), hypotheses=all_private, because="over seeds; caps are small",
        residual=lambda ds: 2 * at_start(ds, "held_out") - at_start(ds, "seen.noise"),
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

along = dict(x="dimension", accepts=ENDS)
own = ib.curves_of(lambda ds: least(ds, 1.0), label="each its own", looks={None: dict(colour="orange", marker="s")}, **along)
figure = ib.Figure(
    id="shattering",
    panels=[
        ib.panel(
            ib.curves_of(mean_share, middle="mean", theory="private_share", theory_label="expected", **along),
            x="dimension $d$", y="examples with a cap of their own", ylim=(0, 1.05),
        ),
        ib.panel(
            ib.curves_of(lambda ds: least(ds, 0.0), label="one gauge for all", **along), own,
            ib.level(lambda ds: 2 / ds.step, r"$2/\eta$"), x="dimension $d$", y=r"least $\lambda_{\max}$", log="y",
        ),
    ],
    caption="{examples} examples of the unit ball with labels x_1 + N(0, {noise:g}^2), and ranges over {seed.count} "
    "seeds. Left: the mean share that a neuron can fit by itself. Right: the least lambda_max (median), over the "
    "gauge, of the network that does so: a minimum that is stable at step {step:g} fits noise, and the more "
    "easily the higher the dimension.",
    claims=["curvature-of-the-witness", "share-of-private-caps", "noise-is-fitted-by-a-stable-minimum"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(dimension=[3, 5, 10, 20], gauge=ib.logspace(1.0, 100.0, 9), own=[0.0, 1.0], seed=range(10)),
    observe={
        "sharpness": ib.every(3, ib.sharpness(tolerance=1e-8)), "norms": ib.every(3, norms), "seen": seen,
        "held_out": ib.loss_held_out(),
    },
    predict={"law": law, "private_share": share},
    records=ib.linear_records(4),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(40), dimension=[2, 3, 5, 7, 10, 14, 20])},
)  # fmt: skip
