r"""What do large steps do to the neurons?  They are seldom active, and not small.   (Liang et al. 2025, Figure 3)

Of each neuron the share a_k of the examples at which it is active, against |v_k| |w_k|. By decay neurons of large weights
are those that are active at most examples. By large steps they need not be: the weighted share

    sum_k |v_k| |w_k| a_k / sum_k |v_k| |w_k|

is lower, and falls as n grows.
"""

import implicit_bias as ib

from .network import ENDS, FLATNESS, SOURCE, norms, number
from .training import activation, at_dimension, both, by_decay, by_steps, large_steps, neurons
from .training import trained as cell


def before(value):
    """Of the next smaller n."""
    return ib.curves.at_next(value, "examples", by=-1)


def doubled(ds):
    """n that are at least twice the next smaller, and another that is."""
    sizes = number(ds, "examples")
    return {"$n$ is twice another, or more": (sizes / before(sizes)).fillna(0) - 2, r"$n \ge 32$": sizes - 32}


ordering = ib.claims_with(source=f"{SOURCE}, Figure 3", accepts=ENDS, kind=ib.Ordering(over="seed"), because="over seeds")
weighted, spearman = (lambda ds: ds["activation.weighted"]), (lambda ds: ds["activation.spearman"])
CLAIMS = [
    FLATNESS,
    ordering(
        id="seldom-active", statement=r"$d \ge 3$: the weighted share is lower by large steps than by decay",
        hypotheses=lambda ds: at_dimension(ds, 3, both),
        residual=lambda ds: by_steps(ds, weighted(ds)) - by_decay(ds, weighted(ds)),
    ),
    ordering(
        id="activation-falls-with-n", statement=r"$d \ge 3$, by large steps: the weighted share falls as $n$ doubles",
        hypotheses=lambda ds: at_dimension(ds, 3) | doubled(ds),
        residual=lambda ds: by_steps(ds, weighted(ds)) - before(by_steps(ds, weighted(ds))),
    ),
    ordering(
        id="norm-and-activation",
        statement=r"$d \ge 3$: over living neurons Spearman's correlation of $|v||w|$ and $a$ is lower by "
        "large steps than by decay", hypotheses=lambda ds: at_dimension(ds, 3, both),
        residual=lambda ds: by_steps(ds, spearman(ds)) - by_decay(ds, spearman(ds)),
    ),
    ordering(
        id="decay-keeps-what-is-active", statement=r"$d \ge 3$, by decay: $|v||w|$ and $a$ are correlated",
        hypotheses=lambda ds: at_dimension(ds, 3, both), residual=lambda ds: -by_decay(ds, spearman(ds)),
    ),
    ib.Claim(
        id="large-weights-where-seldom-active", source=f"{SOURCE}, Figure 3, as one might read it", accepts=ENDS,
        statement=r"$d \ge 3$, by large steps: Spearman's correlation of $|v||w|$ and $a$ is below $-0.3$",
        kind=ib.Inequality(),
        hypotheses=lambda ds: large_steps(ds, 3, 16), residual=lambda ds: spearman(ds) + 0.3, tolerance=lambda ds: 0.0,
        because="what is read", expected="refuted",
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------


def largest(ds, name):
    """Of the network of one seed, at the largest dimension and n."""
    n, d = number(ds, "examples").values.argmax(), ds.dimension.values.argmax()
    return ds[name].isel(examples=int(n), dimension=int(d), seed=0)


def cloud(axes, ds):
    for decay, marker, colour in ((ds.decay.values.min(), "o", "C1"), (ds.decay.values.max(), "s", "C0")):
        norm, active = (largest(ds, f"neurons.{n}").sel(decay=decay) for n in ("norm", "active"))
        axes.plot(active, norm, marker, ms=3, alpha=0.6, color=colour, label=f"decay {decay:g}" if decay else "large steps")


series = dict(x="examples", by="dimension", name="$d = {:g}$", accepts=ENDS, spread="middle 80 %")
figure = ib.Figure(
    id="neurons",
    panels=[
        ib.panel(
            ib.figures.drawn(cloud), x="share of the examples at which a neuron is active", y="$|v_k|\\,|w_k|$",
            log="y", ylim=(1e-5, 10),
        ),
        ib.panel(
            ib.curves_of(weighted, of={"decay": "least"}, **series),
            ib.curves_of(weighted, of={"decay": "largest"}, open=True, **{**series, "name": "$d = {:g}$, decay"}),
            x="examples $n$", y="share, weighted by $|v_k|\\,|w_k|$", log="x", ylim=(0, 1),
        ),
    ],
    caption="Left: the neurons of one network of each kind, at the largest d and n. Right: the weighted share of the "
    "examples at which neurons are active, medians and the middle 80 % of {seed.count} seeds: large steps "
    "(filled) and decay {decay.largest:g} (open).",
    claims=["seldom-active", "activation-falls-with-n", "norm-and-activation"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(dimension=[3.0, 5.0], examples=[16, 32, 64], decay=[0.0, 0.1], seed=range(20)),
    observe={
        "sharpness": ib.every(8, ib.sharpness(tolerance=1e-3)), "norms": ib.every(8, norms),
        "neurons": ib.at_end(neurons), "activation": ib.at_end(activation),
    },
    records=ib.linear_records(9),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(dimension=[3.0, 5.0, 10.0], room=10, examples=[32, 64, 128, 256, 512], per_example=4)},
)  # fmt: skip
