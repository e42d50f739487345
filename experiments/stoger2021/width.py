r"""Does over-parameterisation help?  The time of phase I against the width of U.   (Stoeger & Soltanolkotabi 2021)

With as many columns as X has rank, a random start lies badly to one of X's directions now and then, and has to be
turned; with more columns that becomes rare. While U follows the power method with A*A = I and X a projector, the tangent
of the angle is about |G_2 G_1^+| / (1 + mu)^t, G_1 and G_2 the parts of the start in X and across it: for k columns,

    t  =  (log |G_2 G_1^+| - log tan) / log(1 + mu),        less by log 2 / 2 log(1 + mu) for each doubling of k >> r.

What is drawn beside the runs is the mean of t over Gaussian starts, in whole steps and without that approximation.
"""

import functools

import numpy as np

import implicit_bias as ib

from .._sensing import ANY_END

ALIGNED = 0.25


def cell(*, width, key, scale=1e-5, step=0.25, size=12, rank=2, measurements=1200, max_steps=80):
    problem = ib.matrix.gaussian(size, rank, measurements)(key)
    return ib.Run(problem, ib.Symmetric(scale, width), ib.Descent(step, max_steps=max_steps))


def turned(clock, misalignment):
    """The length of phase I; inf if the run ended before."""
    return np.min(clock[misalignment <= ALIGNED], initial=np.inf)


@functools.cache
def _turned_with_isometry(size, rank, width, step, draws=600):
    """The length of phase I with A*A = I, on average over Gaussian starts: fixed draws, one after the other in X."""
    start = np.random.default_rng(0).standard_normal((draws, size, width))
    gram, grown = start @ start.transpose(0, 2, 1), np.where(np.arange(size) < rank, 1 + step, 1.0)
    taken = 0  # steps of all draws together
    while True:
        outside = np.linalg.eigh(gram)[1][:, rank:, -rank:]
        gram = gram[np.linalg.norm(outside, 2, axis=(1, 2)) > ALIGNED] * np.outer(grown, grown)
        if not len(gram):
            return taken / draws
        taken += len(gram)


def turned_due(size, rank, width, step):
    """The length of phase I as theory has it: nothing of the run but its sizes and its step."""
    size, rank, width, step = int(size), int(rank), int(width), float(step)
    over = width >= rank and step >= 0.01  # else never, or not soon
    return _turned_with_isometry(size, rank, width, step) if over else np.nan


def _shortens(name, statement, wide, than):
    """Phase I of one width less that of another, of one seed; `wide(ds)` and `than(ds)` are numbers of columns."""

    def at(ds, width):
        return ds.turned.where(ds.width.astype(int) == width(ds)).max("width")

    def residual(ds):
        # a narrow start that is not turned when the run ends takes at least so long; a wide one tells nothing
        narrow = np.minimum(at(ds, than), ds.clock.max("record"))
        return (at(ds, wide) - narrow).where(np.isfinite(at(ds, wide)))

    def run(ds, width):
        return (0.5 - abs(ds.width.astype(int) - width(ds))).max("width")

    return ib.Claim(
        id=name,
        source="Stoeger & Soltanolkotabi 2021, the role of over-parameterisation",
        statement=f"phase I is shorter, on average over paired seeds, with {statement}",
        kind=ib.Ordering(over="seed"),
        accepts=ANY_END,
        hypotheses=lambda ds: {"both widths were run": np.minimum(run(ds, wide), run(ds, than))},
        residual=residual,
        because="paired over seeds",
    )


CLAIMS = [
    _shortens(
        "width-shortens-phase-I", "twice as many columns as $X$ has rank than with as many",
        lambda ds: 2 * ds["rank"], lambda ds: ds["rank"],
    ),
    _shortens(
        "more-width-shortens-phase-I-further", "$n$ columns than with twice the rank",
        lambda ds: ds["size"], lambda ds: 2 * ds["rank"],
    ),
]  # fmt: skip

SERIES = dict(x="width", accepts=ANY_END)


def _seen(ds):
    return ds.turned.where(np.isfinite(ds.turned))


LINE = dict(join=False, theory_label="power method, $A^*A = I$", middle="mean", spread="error")

figure = ib.Figure(
    id="width",
    panels=[
        ib.panel(
            ib.runs_of(_seen, label="one run", looks={None: dict(colour="sky", marker=".")}, join=False, **SERIES),
            ib.curves_of(
                _seen, label="mean", looks={None: dict(colour="blue", marker="s")}, theory="turned_due",
                **LINE, **SERIES,
            ),
            x="width $k$ of $U$", y="length of phase I, steps", log="x", ylim=(0, None),
        ),
    ],
    caption="Steps until the leading directions of U U^T align with X (sin of the angle below 1/4), against the number of "
    "columns of U, from the same alpha: {seed.count} seeds, their mean and two standard errors. With as many columns as X "
    "has rank, {rank}, some starts lie badly; with more it is rare. Line: the mean over Gaussian starts under the power "
    "method with A*A = I, in which nothing is fitted.",
    claims=["width-shortens-phase-I", "more-width-shortens-phase-I-further"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(width=[2, 3, 4, 6, 12, 24, 48], seed=range(32)),
    observe={"error": ib.relative_error, "misalignment": ib.misalignment},
    predict={"turned": turned, "turned_due": turned_due},
    records=ib.records_at(range(1000)),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(200))},
)
