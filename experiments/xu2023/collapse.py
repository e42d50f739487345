r"""Does decay collapse the classes, and does it keep the noise of batches alive?  A ReLU net on digits.   (Xu et al. 2023)

Without decay the weights of a net that fits its data come to rest, for any batches. With decay the steps of batches stop
only where 2 lam W = -G for each batch at once, which no net that says anything does: the noise stays.

Neural collapse (Papyan et al. 2020), of the features before the last matrix:  `within` (NC1) tr(S_W S_B^+)/C;  `norms` and
`angles` (NC2), how much norms and cosines of class means vary;  `duality_centred` (NC3), means against rows of the last
matrix, both centred, for there are no biases;  `nearest` (NC4), examples not of the class of the nearest mean.
"""

import numpy as np

import implicit_bias as ib

from .._classifiers import CAPPED, at_next_larger_batch, times_decayed, training
from .readers import in_batches, noise, of, on_all, panels, vanishes, with_decay


def cell(*, batch, decay, key, step=0.1, classes=5, of_each=16, width=32, data="digits", max_steps=10_000):
    sizes = dict(classes=classes, of_each=of_each, width=width, max_steps=max_steps)
    return training(batch=batch, decay=decay, step=step, key=key, data=data, **sizes)


# -- claims ------------------------------------------------------------------------------------------------------------

COLLAPSE = "Xu et al. 2023, neural collapse (as read)"
NOISE = "Xu et al. 2023, SGD noise (as read)"
claim = ib.claims_with(source=COLLAPSE, accepts=CAPPED, hypotheses=with_decay)
ordered = ib.claims_with(
    source=COLLAPSE, accepts=CAPPED, hypotheses=with_decay, kind=ib.Ordering(over="seed"), because="over seeds, each point"
)


def improves(name, label, said, where=lambda ds: {}):
    return ordered(
        id=f"decay-improves-{label}", statement=f"with decay {said} than without, at each decay",
        residual=lambda ds: of(name)(ds) - ib.curves.at(of(name)(ds), decay=0),
        hypotheses=lambda ds: with_decay(ds) | where(ds),
    )  # fmt: skip


CLAIMS = [
    improves("within", "nc1", "classes are tighter about their means"),
    claim(
        id="nc1-falls-fiftyfold", kind=ib.Inequality(), bound=lambda ds: ds["collapse.within"].isel(record=0) / 50,
        statement=r"with decay $\operatorname{tr}(S_W S_B^+)/C$ falls to a fiftieth of its first value, or further",
        because="what is claimed",
        residual=lambda ds: of("within")(ds) - ds["collapse.within"].isel(record=0) / 50, tolerance=lambda ds: 0.0,
    ),
    ordered(
        id="more-decay-collapses-more", expected="refuted", statement="of two decays the larger one leaves classes tighter",
        hypotheses=lambda ds: {"a decay above 0 below it": ib.curves.at_next(ds.times_decayed, "decay", by=-1).fillna(-1) - 2},
        residual=lambda ds: of("within")(ds) - ib.curves.at_next(of("within")(ds), "decay", by=-1),
    ),
    improves("angles", "nc2", "cosines of class means vary less", on_all),
    improves("duality_centred", "nc3", "rows of the last matrix are nearer to the class means"),
    vanishes(claim, "norms", "nc2-norms",
        r"with decay the norms of class means become equal, $\text{std} / \text{mean} \to 0$", 0.02),
    vanishes(claim, "angles", "nc2-angles", r"with decay the cosines of class means become equal, $\text{std} \to 0$",
        0.05),
    vanishes(claim, "duality_centred", "nc3", "with decay class means and rows of the last matrix become parallel", 0.1),
    claim(
        id="nc3-levels-off", kind=ib.Inequality(), statement="from the middle of training on NC3 moves by less than a fifth",
        hypotheses=lambda ds: on_all(ds) | {r"$2 \eta \lambda T$ is 8 or more": ds.times_decayed - 7.99},
        residual=lambda ds: abs(np.log(of("duality_centred")(ds) / of("duality_centred", at=0.5)(ds))),
        tolerance=lambda ds: 0.2, because="what is claimed; it ends near 0.3 without biases",
    ),
    claim(
        id="nc4-nearest-mean", statement="with decay each example is of the class of its nearest mean",
        residual=of("nearest"), tolerance=lambda ds: 0.01, because="one in a hundred",
    ),
    ordered(
        id="decay-keeps-the-noise", source=NOISE, hypotheses=lambda ds: with_decay(ds) | in_batches(ds),
        statement="in batches, from the middle to the end of training steps shrink less with decay than without",
        residual=lambda ds: ib.curves.at(ds.noise_kept, decay=0) - ds.noise_kept,
    ),
    claim(
        id="noise-does-not-vanish", source=NOISE, kind=ib.Inequality(),
        hypotheses=lambda ds: with_decay(ds) | in_batches(ds),
        statement="in batches and with decay the steps at the end are half of those in the middle, or more",
        residual=lambda ds: -ds.noise_kept, tolerance=lambda ds: np.log(2), because="what is claimed",
    ),
    ordered(
        id="smaller-batches-are-noisier", source=NOISE, hypotheses=lambda ds: with_decay(ds) | in_batches(ds),
        statement="with decay steps at the end are longer in smaller batches",
        residual=lambda ds: np.log(at_next_larger_batch(ds.noise_late)) - np.log(ds.noise_late),
    ),
]  # fmt: skip

# -- figures -----------------------------------------------------------------------------------------------------------


collapse = ib.Figure(
    id="collapse",
    panels=panels(by="decay", name=r"$\lambda = {:g}$", of={"batch": "last"}, accepts=CAPPED),
    caption="Gradient descent on all examples, {classes} classes of {of_each} digits, medians and ranges over {seed.count} "
    "seeds. NC1 falls with decay, further with the smaller one; NC2 and NC3 improve with decay and level off.",
    claims=["decay-improves-nc1", "more-decay-collapses-more", "nc2-angles-vanishes", "nc3-vanishes"],
)  # fmt: skip

BATCHES = {
    "4": ("$B = 4$", "vermillion", "s", "--"), "20": ("$B = 20$", "orange", "^", "-."), "0": ("all", "blue", "o", "-")
}  # fmt: skip
steps = ib.curves_of("moved", x="clock", by="batch", looks=BATCHES, accepts=CAPPED)
lengths = ib.Figure(
    id="noise", share="y",
    panels=[ib.panel(steps, facet="decay", title=r"$\lambda = {decay:g}$", x="step", y="$|W' - W|$", log="y")],
    caption="Length of a step by batch, root mean square over 8 draws at the same weights; medians and ranges over "
    "{seed.count} seeds. Without decay it falls, with decay that of batches does not. Steps on all examples stay above 0 "
    "as well: they oscillate at the edge of stability and at kinks of the ReLU.",
    claims=["decay-keeps-the-noise", "smaller-batches-are-noisier"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(batch=[4, 20, 0], decay=[0.0, 1e-3, 4e-3], seed=range(8)),
    observe={"collapse": ib.neural_collapse("layer3"), "moved": ib.step_length(8)},
    predict={"noise": noise, "times_decayed": times_decayed},
    records=ib.linear_records(31),
    claims=CLAIMS,
    figures=[collapse, lengths],
    sizes={"paper": dict(seed=range(20), of_each=32, max_steps=40_000)},
)
