r"""Why do small batches and decay lower the rank?  W_T = (1 - 2 eta lam)^k W_{T-k} + rank kB.   (Galanti et al. 2022)

The gradient in a matrix of a fully connected net is a sum of delta a^T over the batch: of rank at most B. Unroll k steps
of W' = (1 - 2 eta lam) W - eta G: W_T is (1 - 2 eta lam)^k W_{T-k} and a matrix of rank at most kB. By Weyl, for all j,

    sigma_{kB+j}(W_T) <= |1 - 2 eta lam|^k sigma_j(W_{T-k})

at every step, whatever the data and the loss. With j = 1 the left is the distance to matrices of rank kB, and k = log(2/eps)
/ (2 eta lam) makes the theorem: rank B log(2/eps) / (2 eta lam) up to eps, which says something where it is below the width.

Ranks are those of the authors' code (singular values of W/|W|_F above 1e-3), and the stable rank |W|_F^2/|W|^2.
"""

import implicit_bias as ib

from .._classifiers import CAPPED, training
from .spectra import OBSERVED, PREDICTED, along, by_batch, end, records


def cell(*, batch, decay, step, key, classes=5, of_each=16, width=32, data="digits", max_steps=6000):
    sizes = dict(classes=classes, of_each=of_each, width=width, max_steps=max_steps)
    return training(batch=batch, decay=decay, step=step, key=key, data=data, **sizes)


# -- claims ------------------------------------------------------------------------------------------------------------

ABSTRACT = "Galanti et al. 2022, the abstract (as read)"


def forgotten(ds):
    """Ranks see what is left of the start, whose rank is full, unless it is decayed."""
    return {"the start is decayed by $e^{-5}$": ds.times_decayed - 5}


def long_enough(ds):
    return {"6000 steps or more": ds.max_steps - 6000}


claim = ib.claims_with(accepts=CAPPED)


def ordered(id, statement, residual, hypotheses, **more):
    return claim(
        id=id, statement=statement, residual=residual, hypotheses=hypotheses, source=ABSTRACT, kind=ib.Ordering(over="seed"),
        because="over seeds, at each point", **more,
    )


CLAIMS = [
    claim(
        id="a-window-of-steps-is-of-low-rank", source="Galanti et al. 2022, Lemma 3.2 with Weyl's inequality",
        statement=r"$\sigma_{kB+j}(W_T) \le |1 - 2 \eta \lambda|^k \sigma_j(W_{T-k})$ for every matrix, $j$ and $k$",
        hypotheses=lambda ds: {"batches smaller than the width": ds.width - 1 - ds.batch.astype(float)},
        kind=ib.Inequality(), bound=lambda ds: ds.inequality_right, tolerance=lambda ds: ds.inequality_rounding,
        residual=lambda ds: ds.inequality_left - ds.inequality_right, because="exact; rounding of 1e-13 |W|",
    ),
    claim(
        id="rank-within-the-theorem", source="Galanti et al. 2022, Theorem 3.4", kind=ib.Inequality(), expected="vacuous",
        statement=r"hidden matrices have rank $B \log(2/\varepsilon) / (2 \eta \lambda)$ at most, up to $\varepsilon = 10^{-3}$",
        hypotheses=lambda ds: {"the bound is below the width": ds.width - ds.theorem, "decay": ds.decay - 1e-12},
        residual=lambda ds: end("rank", "second")(ds) - ds.theorem, bound=lambda ds: ds.theorem,
        tolerance=lambda ds: 0.0, because="counts",
    ),
    *(
        ordered(
            f"decay-lowers-the-{what.replace('_', '-')}-{matrix}", f"{matrix} matrix: {said}",
            along("decay", end(what, matrix)),
            lambda ds, where=where: {"a smaller decay beside it": ib.curves.has_next(ds.decay, by=-1)} | where(ds),
        )
        for what, where, said in (
            ("stable_rank", long_enough, "more decay leaves a lower stable rank, for each batch and step"),
            ("rank", forgotten, "decay that has forgotten the start leaves a lower rank than less decay"),
        )
        for matrix in ("first", "second")
    ),
    ordered(
        "small-batches-lower-the-stable-rank-first",
        "first matrix: batches of 1 leave a lower stable rank than batches of 16, for each decay above 0",
        by_batch(end("stable_rank", "first")), lambda ds: {"decay": ds.decay - 1e-12} | long_enough(ds),
    ),
    ordered(
        "small-batches-lower-the-stable-rank-second", "second matrix: the same, once the start is forgotten",
        by_batch(end("stable_rank", "second")), forgotten, expected="unresolved",
    ),
    ordered(
        "small-batches-lower-the-rank-first",
        "first matrix: batches of 1 leave a lower rank than batches of 16, once the start is forgotten",
        by_batch(end("rank", "first")), forgotten,
    ),
    ordered(
        "large-steps-lower-the-rank-first",
        "first matrix: after as many steps, larger steps leave a lower rank, once the start is forgotten",
        along("step", end("rank", "first")),
        lambda ds: {"a smaller step beside it": ib.curves.has_next(ds.step, by=-1)} | forgotten(ds),
    ),
    claim(
        id="without-decay-the-rank-is-full", source=ABSTRACT, kind=ib.Inequality(), bound=end("rank", "second"),
        statement="without decay nine in ten singular values of the second matrix stay above $10^{-3} |W|_F$",
        hypotheses=lambda ds: {"no decay": -ds.decay}, residual=lambda ds: 0.9 * ds.width - end("rank", "second")(ds),
        tolerance=lambda ds: 0.0, because="counts",
    ),
    claim(
        id="without-decay-batches-do-not-matter", source=ABSTRACT, expected="refuted",
        statement="first matrix: without decay the stable rank is the same in batches of 1 and of 16",
        hypotheses=lambda ds: {"no decay": -ds.decay, "steps of 0.1 or more": ds.step - 0.1} | long_enough(ds),
        residual=lambda ds: abs(by_batch(end("stable_rank", "first"))(ds)), tolerance=lambda ds: 1.0,
        because="seeds differ by 0.6 about their mean",
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------


def drawn(what, **of):
    by = dict(by="batch", name="$B = {}$") if "decay" in of else dict(by="decay", name=r"$\lambda = {:g}$")
    return ib.curves_of(what, x="clock", accepts=CAPPED, of={"step": "largest", **of}, **by)


figure = ib.Figure(
    id="rank",
    panels=[
        ib.panel(
            drawn("rank_first", batch="first"), x="step", y="rank of the first matrix", title="batches of 1", ylim=(0, None)
        ),
        *(
            ib.panel(drawn(f"stable_rank_{m}", decay=1e-3), x="step", y="stable rank",
                     title=rf"{m} matrix, $\lambda = 10^{{-3}}$", ylim=(1, None))
            for m in ("first", "second")
        ),
    ],
    caption="A ReLU net with two hidden layers of {width} on {of_each} digits of each of {classes} classes, steps of "
    "{step.largest:g}, medians and ranges over {seed.count} seeds. Left: singular values above 1e-3 |W|_F. Others: "
    "|W|_F^2/|W|^2 of the two hidden matrices, in batches of 1 and of 16.",
    claims=["decay-lowers-the-rank-first", *(f"small-batches-lower-the-stable-rank-{m}" for m in ("first", "second"))],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(batch=[1, 16], decay=[0.0, 1e-3, 1e-2], step=[0.05, 0.1], seed=range(16)),
    observe=OBSERVED,
    predict=PREDICTED,
    records=records,
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), batch=[1, 4, 16], width=64, max_steps=20_000)},
)  # fmt: skip
