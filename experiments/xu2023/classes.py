r"""Do classes collapse on the flow with multipliers, and does it need decay?   (Xu et al. 2023)

f = rho h(x; V) in R^C, |V_k| = 1, one-hot classes y of digits, under the flow of `normalised` of mean |y - f|^2 + lam rho^2.
In `collapse`, where weights have no spheres, decay is what tightens classes. Here spheres hold the weights and rho is all
that decay acts on: rho ends where the decay lets it, and the residual that is left there keeps classes apart from their means.
"""

import jax
import jax.numpy as jnp

import implicit_bias as ib

from .._classifiers import CAPPED, square
from .normalised import RungeKutta, h, net, norm


def cell(*, decay, key, start=2.0, step=0.025, classes=5, of_each=16, width=32, data="digits", max_steps=8000):
    images, labels = ib.data.load(data).only(*range(classes)).per_class(of_each, key)
    problem = ib.supervised(images.reshape(classes * of_each, -1), jax.nn.one_hot(labels, classes), square)
    return ib.Run(problem, net(width, start, classes), ib.Descent(step, law=RungeKutta(step, decay), max_steps=max_steps))


def state(snapshot):
    """rho over rho_eq, how far the spheres are left, and the variation of margins over their mean."""
    (rho, v), y, decay = snapshot.theta.values(), snapshot.problem.targets, snapshot.dynamics.law.decay
    values = h(v, snapshot.problem.inputs)
    margins = jnp.sum(y * values, axis=1) - jnp.max(jnp.where(y > 0, -jnp.inf, values), axis=1)
    equilibrium = jnp.mean(jnp.sum(y * values, axis=1)) / (decay + jnp.mean(jnp.sum(values**2, axis=1)))
    return {
        "rho": rho, "off_equilibrium": abs(equilibrium / rho - 1), "margins": jnp.std(margins) / jnp.mean(margins),
        "off_spheres": jnp.max(abs(jnp.stack([norm(w) for w in v.values()]) - 1)),
    }  # fmt: skip


# -- claims ------------------------------------------------------------------------------------------------------------


def of(name, at=1.0):
    """A number at the end of a run, or at a share of its records."""
    return lambda ds: ds[name].isel(record=round(at * (ds.sizes["record"] - 1)))


def long_enough(ds):
    return {
        "up to t = 200": ds.step * ds.max_steps - 199.9, "steps of 0.025 or less": 0.025 - ds.step,
        "five classes or fewer: more take longer": 5 - ds.classes.astype(float),
    }  # fmt: skip


def without_decay(ds):
    return long_enough(ds) | {"no decay": -ds.decay}


def with_more(ds):
    """Runs with a decay of 1e-3 or more: less has had little effect by t = 200."""
    return long_enough(ds) | {"decay of 1e-3 or more": ds.decay - 1e-3}


NC1 = "collapse.within"
SOURCE = "Xu et al. 2023, collapse on the normalised flow"
claim = ib.claims_with(source=SOURCE, accepts=CAPPED, hypotheses=long_enough)
ordered = ib.claims_with(
    source=SOURCE, accepts=CAPPED, kind=ib.Ordering(over="seed"), hypotheses=long_enough, because="over seeds, each decay"
)


def vanishes(name, label, said, level):
    return claim(
        id=f"{label}-vanishes", source=f"{SOURCE} (as read)", expected="refuted", residual=of(f"collapse.{name}"),
        statement=f"{said}: at most {level:g} at the end", tolerance=lambda ds: level,
        because="what is left of it in the paper's figures, or more",
    )  # fmt: skip


CLAIMS = [
    claim(
        id="spheres-are-kept", statement="| |V_k| - 1 | stays below 1e-3",
        hypotheses=lambda ds: {"steps of 0.025 or less": 0.025 - ds.step, "step rho^2 <= 3": 3 - ds.step * ds["at.rho"] ** 2},
        residual=lambda ds: ds["at.off_spheres"], tolerance=lambda ds: 1e-3,
        because="the flow keeps them; steps of order four, and of lower order where they cross a kink",
    ),
    claim(
        id="nc1-falls-threefold", kind=ib.Inequality(), hypotheses=without_decay, because="what is claimed",
        statement="without decay tr(S_W S_B^+)/C falls threefold or further from t = 20 to 200",
        residual=lambda ds: of(NC1)(ds) - of(NC1, 0.1)(ds) / 3, bound=lambda ds: of(NC1, 0.1)(ds) / 3, tolerance=lambda ds: 0.0,
    ),
    claim(
        id="nc1-goes-on-falling", kind=ib.Inequality(), hypotheses=without_decay, because="what is claimed",
        statement="without decay it is less at the end than 3/4 of what it was at half of the time",
        residual=lambda ds: of(NC1)(ds) - of(NC1, 0.5)(ds) * 3 / 4, bound=lambda ds: of(NC1, 0.5)(ds) * 3 / 4,
        tolerance=lambda ds: 0.0,
    ),
    ordered(
        id="decay-improves-nc1", source=f"{SOURCE} (as read)", expected="refuted", hypotheses=with_more,
        statement="with decay classes are tighter about their means than without",
        residual=lambda ds: of(NC1)(ds) - ib.curves.at(of(NC1)(ds), decay=0),
    ),
    ordered(
        id="decay-loosens-classes", hypotheses=with_more,
        statement="with decay classes are looser about their means than without: rho is held below what fits",
        residual=lambda ds: ib.curves.at(of(NC1)(ds), decay=0) - of(NC1)(ds),
    ),
    ordered(
        id="nc2-angles-fall", statement="the cosines of class means vary less at t = 200 than at t = 20",
        hypotheses=lambda ds: long_enough(ds) | {
            "a start of 3 or less": 3 - ds.start, "five classes or more": ds.classes.astype(float) - 5,
        },
        residual=lambda ds: of("collapse.angles")(ds) - of("collapse.angles", 0.1)(ds),
    ),
    vanishes("angles", "nc2-angles", "the cosines of class means become equal, std -> 0", 0.05),
    vanishes("norms", "nc2-norms", "the norms of class means become equal, std / mean -> 0", 0.02),
    vanishes("duality_centred", "nc3", "class means and rows of the last matrix become parallel", 0.1),
    claim(
        id="nc4-nearest-mean", statement="with decay of 1e-3 or less each example ends in the class of its nearest mean",
        hypotheses=lambda ds: long_enough(ds) | {"decay of 1e-3 or less": 1e-3 - ds.decay},
        residual=of("collapse.nearest"), tolerance=lambda ds: 0.01, because="one in a hundred",
    ),
    ordered(
        id="margins-equalise-as-decay-falls", hypotheses=with_more,
        statement="without decay margins f_y - max f_other vary less about their mean than with it",
        residual=lambda ds: ib.curves.at(of("at.margins")(ds), decay=0) - of("at.margins")(ds),
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

along = dict(x="clock", by="decay", name=r"$\lambda = {:g}$", accepts=CAPPED)
figure = ib.Figure(
    id="classes",
    panels=[
        ib.panel(ib.curves_of("collapse.within", **along), x="step", y=r"NC1: tr$(S_W S_B^+)/C$", log="y"),
        ib.panel(ib.curves_of("collapse.angles", **along), x="step", y="NC2: deviation of cosines", ylim=(0, None), legend=None),
        ib.panel(
            ib.curves_of("collapse.duality_centred", **along), x="step", y="NC3: means against weights", ylim=(0, None),
            legend=None,
        ),
    ],
    caption="The flow with multipliers, {classes} classes of {of_each} digits, steps of time {step:g}, medians and ranges over "
    "{seed.count} seeds. Classes tighten without decay, and decay holds them off; NC2 falls slowly, NC3 stays.",
    claims=["nc1-goes-on-falling", "decay-improves-nc1", "decay-loosens-classes", "nc3-vanishes"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(decay=[0.0, 1e-3, 4e-3], seed=range(8)),
    observe={"collapse": ib.neural_collapse("v/third"), "at": state},
    records=ib.linear_records(41),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), of_each=32, max_steps=32_000)},
)
