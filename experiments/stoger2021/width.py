r"""Does over-parameterisation help?  The time of phase I against the width of U.   (Stoeger & Soltanolkotabi 2021)

With as many columns as X has rank, a random start lies badly to one of X's directions now and then, and has to be
turned; with more columns that becomes rare.
"""

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
        "width-shortens-phase-I", "twice as many columns as X has rank than with as many",
        lambda ds: 2 * ds["rank"], lambda ds: ds["rank"],
    ),
    _shortens(
        "more-width-shortens-phase-I-further", "n columns than with twice the rank",
        lambda ds: ds["size"], lambda ds: 2 * ds["rank"],
    ),
]  # fmt: skip

SERIES = dict(x="width", accepts=ANY_END)


def _seen(ds):
    return ds.turned.where(np.isfinite(ds.turned))


figure = ib.Figure(
    id="width",
    panels=[
        ib.panel(
            ib.runs_of(_seen, label="one run", looks={None: dict(colour="sky")}, join=False, **SERIES),
            ib.curves_of(
                _seen, middle="mean", spread="error", label="mean", looks={None: dict(colour="blue", marker="s")}, **SERIES
            ),
            x="width of $U$", y="length of phase I, steps", log="x", ylim=(0, None),
        ),
    ],
    caption="Steps until the leading directions of U U^T align with X (sin of the angle below 1/4), against the number of "
    "columns of U, from the same alpha: with as many columns as X has rank, some starts lie badly; with more it is rare.",
    claims=["width-shortens-phase-I", "more-width-shortens-phase-I-further"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(width=[2, 4, 12], seed=range(32)),
    observe={"error": ib.relative_error, "misalignment": ib.misalignment},
    predict={"turned": turned},
    records=ib.records_at(range(1000)),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(200))},
)
