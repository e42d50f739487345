r"""Alignment, growth, refinement: the three phases of gradient descent on U U^T from a small start.   (Stoeger & Soltanolkotabi 2021)

I: U_t follows the power method (I + mu A*(y))^t U_0 and its r leading directions align with X. II: sigma_r(Z) grows
exponentially to that of X. III: the error contracts. A smaller start lengthens II and leaves I as it is.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .._sensing import ANY_END, PREDICTED, crossing

theory = ib.theory.sensing

ALIGNED, GROWN, REFINED = 0.25, 0.5, 1e-3


def cell(*, scale, key, step=0.25, size=20, rank=2, width=10, measurements=1600, condition=2.0, max_steps=300):
    problem = ib.matrix.gaussian(size, rank, measurements, condition=condition)(key)
    return ib.Run(problem, ib.Symmetric(scale, width), ib.Descent(step, max_steps=max_steps))


def power_gap(snapshot):
    """|U_t - (I + mu M)^t U_0| / |U_t|, M = A*(y)"""
    u, start = snapshot.theta.u, snapshot.first.u
    count = snapshot.steps.astype(u.dtype)
    predicted = theory.power_iterate(snapshot.problem.backprojection(), snapshot.dynamics.step, count, start, jnp)
    return jnp.linalg.norm(u - predicted) / jnp.linalg.norm(u)


def seen(snapshot):
    """|A*A(Z)|, Frobenius norm: M - A*A(Z) is what moves U"""
    problem = snapshot.problem
    return jnp.linalg.norm(problem.backprojection(problem.predictions(snapshot.pred)))


def end(clock, misalignment, signal, error, least):
    """The times at which each of the three phases is over."""
    return {
        "I": crossing(clock, ALIGNED / misalignment),
        "II": crossing(clock, signal / (GROWN * least)),
        "III": crossing(clock, REFINED / error),
    }


def length(end_I, end_II, end_III):
    """Of the phases; nan of those whose ends were not seen."""
    ends = np.where(np.isfinite([end_I, end_II, end_III]), [end_I, end_II, end_III], np.nan)
    return dict(zip(("I", "II", "III"), np.diff(ends, prepend=0.0)))


# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Stoeger & Soltanolkotabi 2021"


def _refined(ds):
    return np.isfinite(ds.end_III)


def _whole(ds):
    """From a small start, through all three phases: what a run did that was stopped before says nothing of them."""
    return {
        r"$\alpha \le 0.001$": np.log(1.001e-3) - np.log(ds.scale),
        "refined before the run ends": ds.clock.max("record") - ds.end_III,
    }


def _others(ds):
    """Those that are compared with the smallest."""
    return _whole(ds) | {r"not the smallest $\alpha$": np.log(ds.scale / ds.scale.min()) - 1e-9}


def _of_smallest(value):
    return ib.curves.at_smallest(value, "scale")


def _amplified(ds):
    """sigma_r(Z) / alpha^2 when the directions have aligned."""
    return ib.curves.at_first(ds.signal, ds.clock, ds.end_I) / ds.scale**2


def _left_out(ds):
    """What the power method leaves out, as a share: its bound."""
    return theory.power_gap(ds.seen, ds.least)


def _unseen(ds):
    """Of a badly conditioned X the leading direction is there before the last one has aligned: a slack."""
    return 0.01 - ib.curves.at_first(_left_out(ds), ds.clock, ds.end_I)


UNSEEN = r"$Z$ hardly seen when the directions have aligned: $|A^*A(Z)| \le \sigma_r(X)/50$"


def _turned_by_alpha(ds):
    """What alpha changes in the directions of phase I, over the bound of what the power method leaves out."""
    change = abs(ds.misalignment - _of_smallest(ds.misalignment))
    return ((change - 1e-10) / _left_out(ds)).where(ds.clock <= ds.end_I)


def _growth(ds):
    """The length of phase II, of the runs that its law speaks of."""
    return ds.length_II.where(_refined(ds) & (_unseen(ds) >= 0))


def _smallest_refined(ds):
    return ds.scale.where(_refined(ds)).min("scale")


def _refinement_of_smallest(ds):
    """The refinement from the smallest alpha that came to its end."""
    return ds.length_III.where(ds.scale == _smallest_refined(ds)).max("scale")


claim = ib.claims_with(kind=ib.Inequality(), accepts=ANY_END, hypotheses=_whole)

CLAIMS = [
    claim(
        id="three-phases-in-order",
        source=f"{SOURCE}, the three phases",
        statement=r"the leading directions align ($\sin$ 1/4), then $\sigma_r(Z)$ grows (half of $X$'s), then the "
        "error falls ($10^{-3}$)",
        residual=lambda ds: np.fmax(ds.end_I - ds.end_II, ds.end_II - ds.end_III) + ds.spacing,
        tolerance=lambda ds: 0.0,
        because="by more than the spacing of the records",
    ),
    claim(
        id="aligned-while-small",
        source=f"{SOURCE}, phase I",
        statement=r"when the directions have aligned, $\sigma_r(Z)$ is proportional to $\alpha^2$: as small as one "
        "likes, to 1 %",
        kind=ib.Identity(),
        hypotheses=lambda ds: _others(ds)
        | {rf"{UNSEEN}, from the smallest $\alpha$ too": np.minimum(_unseen(ds), _of_smallest(_unseen(ds)))},
        residual=lambda ds: abs(_amplified(ds) / _of_smallest(_amplified(ds)) - 1),
        tolerance=lambda ds: 0.01,
        because="what alignment costs is a power of the start that does not depend on alpha, until Z is seen in A*A(X - Z)",
    ),
    claim(
        id="phase-I-is-the-power-method",
        source=f"{SOURCE}, phase I (bound derived to leading order)",
        statement=r"while $|Z| \le \sigma_r(X)/100$, "
        r"$|U_t - (I + \mu A^*(y))^t U_0| \le |U_t| |A^*A(Z_t)| / 2 \sigma_r(X)$",
        residual=lambda ds: ((ds.power_gap - 1e-12) / _left_out(ds)).where(ds.seen <= ds.least / 100),
        tolerance=lambda ds: 1.0,
        because="a ratio, after 1e-12 for the rounding of up to 60 steps",
    ),
    claim(
        id="phase-I-does-not-depend-on-alpha",
        source=f"{SOURCE}, phase I (derived: the power method has no scale)",
        statement=r"until it is over, the directions are those from the smallest $\alpha$: to "
        r"$|A^*A(Z_t)| / 2 \sigma_r(X)$ in $\sin$",
        hypotheses=_others,
        residual=_turned_by_alpha,
        tolerance=lambda ds: 1.0,
        because="a ratio to what the power method leaves out, after 1e-10 for rounding",
    ),
    claim(
        id="phase-II-per-log-alpha",
        source=f"{SOURCE}, phase II (constant derived)",
        statement=r"a start $e$ times smaller makes phase II longer by $1/\ln(1 + \mu \sigma_r(X))$ steps, to 10 %",
        hypotheses=lambda ds: _whole(ds)
        | {r"$\sigma_r(A^*A(X))$ within 10 %": 0.1 - abs(ds.seen_least / ds.least - 1), UNSEEN: _unseen(ds)},
        residual=lambda ds: abs(-ib.curves.per_log(_growth(ds), "scale") / ds.steps_per_log - 1),
        tolerance=lambda ds: 0.1,
        because="the data see sigma_r(A*A(X)) instead, off by the isometry defect",
    ),
    claim(
        id="phase-III-does-not-depend-on-alpha",
        source=f"{SOURCE}, phase III (derived: local contraction)",
        statement=r"from $\sigma_r(X)/2$ to an error of $10^{-3}$ takes as long as from the smallest $\alpha$, to 5 %",
        hypotheses=lambda ds: _whole(ds) | {r"not the smallest $\alpha$": np.log(ds.scale / _smallest_refined(ds)) - 1e-9},
        residual=lambda ds: abs(ds.length_III / _refinement_of_smallest(ds) - 1),
        tolerance=lambda ds: 0.05,
        because="what else has grown until then is of the order of a power of alpha, at alpha = 0.001 some per cent",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

ONE = dict(of={"seed": "first", "scale": "least"}, accepts=ANY_END)


def _one(value, label, colour, line):
    return ib.curves_of(value, x="clock", label=label, looks={None: dict(colour=colour, line=line)}, **ONE)


def _by_alpha(name, label, colour, marker, **more):
    look = dict(colour=colour, marker=marker)
    return ib.curves_of(name, x="scale", label=label, looks={None: look}, join=False, accepts=ANY_END, **more)


def _derived_length(ds):
    """Of phase II, as long as measured on average over the starts."""
    less = ds.steps_per_log * np.log(ds.scale)
    return (ds.length_II + less).mean("scale") - less


figure = ib.Figure(
    id="phases",
    panels=[
        ib.panel(
            _one("misalignment", r"misalignment $\sin\angle(L_t, X)$", "orange", "-"),
            _one(lambda ds: ds.signal / ds.least, r"growth $\sigma_r(Z) / \sigma_r(X)$", "blue", "--"),
            _one("error", r"error $|Z - X| / |X|$", "vermillion", "-."),
            _one(lambda ds: ds.power_gap.where(ds.clock <= ds.end_II), "distance to the power method", "green", ":"),
            *(ib.across(f"end_{phase}", f"end of {phase}", line="-", **ONE) for phase in ("I", "II", "III")),
            x="steps", y=r"one run, $\alpha = {scale:g}$", log="y", ylim=(1e-13, 1e4), xlim=(0, None), legend="lower right",
        ),
        ib.panel(
            _by_alpha("length_I", "I, alignment", "orange", "o"),
            _by_alpha("length_II", "II, growth", "blue", "s", theory=_derived_length, theory_label=r"slope $1/\ln(1+\mu\sigma_r)$"),
            _by_alpha("length_III", "III, refinement", "vermillion", "^"),
            x=r"size of the start $\alpha$", y="length of the phase, steps", log="x", ylim=(0, None),
        ),
    ],
    caption="Left: one run of gradient descent on U U^T, phases between the lines. In I the leading directions align with X "
    "while Z is still tiny, and U follows the power method; in II sigma_r(Z) grows like a power; in III the error contracts. "
    "Right: the length of each phase against the size of the start, median and range over seeds: I and III do not depend on "
    "it, II does by the slope drawn, {steps_per_log.median:.3g} steps for a factor e.",
    claims=["three-phases-in-order", "phase-I-is-the-power-method", "phase-I-does-not-depend-on-alpha",
            "phase-II-per-log-alpha"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(seed=range(4), scale=ib.logspace(1e-6, 1e-3, 7)),
    facts={"least": ib.truth_least, "seen_least": ib.spectral_least},
    observe={
        "error": ib.relative_error,
        "misalignment": ib.misalignment,
        "signal": ib.signal,
        "rank_ratio": ib.rank_ratio,
        "power_gap": power_gap,
        "seen": seen,
    },
    predict={"end": end, "length": length, "spacing": PREDICTED["spacing"], "steps_per_log": PREDICTED["steps_per_log"]},
    records=ib.records_at(range(0, 1000, 2)),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(50), scale=ib.logspace(1e-6, 1e-3, 13))},
)
