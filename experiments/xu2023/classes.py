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
from .readers import of, panels, vanishes


def cell(*, decay, key, start=2.0, step=0.025, classes=5, of_each=16, width=32, data="digits", max_steps=8000):
    images, labels = ib.data.load(data).only(*range(classes)).per_class(of_each, key)
    problem = ib.supervised(images.reshape(classes * of_each, -1), jax.nn.one_hot(labels, classes), square)
    return ib.Run(problem, net(width, start, classes), ib.Descent(step, law=RungeKutta(step, decay), max_steps=max_steps))


def state(snapshot):
    """rho, how far the spheres are left, and the variation of margins over their mean."""
    rho, v, y = snapshot.theta["rho"], snapshot.theta["v"], snapshot.problem.targets
    values = h(v, snapshot.problem.inputs)
    margins = jnp.sum(y * values, axis=1) - jnp.max(jnp.where(y > 0, -jnp.inf, values), axis=1)
    norms = jnp.stack([norm(w) for w in v.values()])
    return {"rho": rho, "off_spheres": jnp.max(abs(norms - 1)), "margins": jnp.std(margins) / jnp.mean(margins)}


# -- claims ------------------------------------------------------------------------------------------------------------


def nc1(ds, at=1.0):
    return of("within", at)(ds)


def long_enough(ds):
    return {
        "up to $t = 200$": ds.step * ds.max_steps - 199.9, "steps of 0.025 or less": 0.025 - ds.step,
        "five classes or fewer: more take longer": 5 - ds.classes.astype(float),
    }  # fmt: skip


def without_decay(ds):
    return long_enough(ds) | {"no decay": -ds.decay}


def with_more(ds):
    """Runs with a decay of 1e-3 or more: less has had little effect by t = 200."""
    return long_enough(ds) | {"decay of $10^{-3}$ or more": ds.decay - 1e-3}


SOURCE = "Xu et al. 2023, collapse on the normalised flow"
claim = ib.claims_with(source=SOURCE, accepts=CAPPED, hypotheses=long_enough)
ordered = ib.claims_with(
    source=SOURCE, accepts=CAPPED, kind=ib.Ordering(over="seed"), hypotheses=long_enough, because="over seeds, each decay"
)
AS_READ = dict(source=f"{SOURCE} (as read)")
CLAIMS = [
    claim(
        id="spheres-are-kept", statement="$| |V_k| - 1 |$ stays below $10^{-3}$",
        hypotheses=lambda ds: {"steps of 0.025 or less": 0.025 - ds.step, r"step $\rho^2 \le 3$": 3 - ds.step * ds["at.rho"] ** 2},
        residual=lambda ds: ds["at.off_spheres"], tolerance=lambda ds: 1e-3,
        because="the flow keeps them; steps of order four, and of lower order where they cross a kink",
    ),
    claim(
        id="nc1-falls-threefold", kind=ib.Inequality(), hypotheses=without_decay, because="what is claimed",
        statement=r"without decay $\operatorname{tr}(S_W S_B^+)/C$ falls threefold or further from $t = 20$ to 200",
        residual=lambda ds: nc1(ds) - nc1(ds, at=0.1) / 3, bound=lambda ds: nc1(ds, at=0.1) / 3,
        tolerance=lambda ds: 0.0,
    ),
    claim(
        id="nc1-goes-on-falling", kind=ib.Inequality(), hypotheses=without_decay, because="what is claimed",
        statement="without decay it is less at the end than $3/4$ of what it was at half of the time",
        residual=lambda ds: nc1(ds) - nc1(ds, at=0.5) * 3 / 4, bound=lambda ds: nc1(ds, at=0.5) * 3 / 4,
        tolerance=lambda ds: 0.0,
    ),
    ordered(
        id="decay-improves-nc1", **AS_READ, expected="refuted", hypotheses=with_more,
        statement="with decay classes are tighter about their means than without",
        residual=lambda ds: nc1(ds) - ib.curves.at(nc1(ds), decay=0),
    ),
    ordered(
        id="decay-loosens-classes", hypotheses=with_more,
        statement=r"with decay classes are looser about their means than without: $\rho$ is held below what fits",
        residual=lambda ds: ib.curves.at(nc1(ds), decay=0) - nc1(ds),
    ),
    ordered(
        id="nc2-angles-fall", statement="the cosines of class means vary less at $t = 200$ than at $t = 20$",
        hypotheses=lambda ds: long_enough(ds) | {
            "a start of 3 or less": 3 - ds.start, "five classes or more": ds.classes.astype(float) - 5,
        },
        residual=lambda ds: of("angles")(ds) - of("angles", 0.1)(ds),
    ),
    vanishes(claim, "angles", "nc2-angles", r"the cosines of class means become equal, $\text{std} \to 0$", 0.05,
        **AS_READ),
    vanishes(claim, "norms", "nc2-norms", r"the norms of class means become equal, $\text{std} / \text{mean} \to 0$",
        0.02, **AS_READ),
    vanishes(claim, "duality_centred", "nc3", "class means and rows of the last matrix become parallel", 0.1, **AS_READ),
    claim(
        id="nc4-nearest-mean",
        statement="with decay of $10^{-3}$ or less each example ends in the class of its nearest mean",
        hypotheses=lambda ds: long_enough(ds) | {"decay of $10^{-3}$ or less": 1e-3 - ds.decay},
        residual=of("nearest"), tolerance=lambda ds: 0.01, because="one in a hundred",
    ),
    ordered(
        id="margins-equalise-as-decay-falls", hypotheses=with_more,
        statement=r"without decay margins $f_y - \max f_{\text{other}}$ vary less about their mean than with it",
        residual=lambda ds: ib.curves.at(ib.curves.last(ds["at.margins"]), decay=0) - ib.curves.last(ds["at.margins"]),
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

figure = ib.Figure(
    id="classes",
    panels=panels(by="decay", name=r"$\lambda = {:g}$", accepts=CAPPED),
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
