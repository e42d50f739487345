r"""What a small start buys in low-rank recovery: claims and a figure shared by the papers on U U^T and V W^T.

Their studies observe `error` = |Z - X| / |X| and `rank_ratio` = sigma_{r+1}(Z) / sigma_r(Z), r the rank of X, against the
size alpha of the start, the axis `scale`, in two grids: `population` (A*A = I) and `gaussian`, with the fact `least` =
sigma_r(X). Everything is read at one stated moment, at three times the first step with an error of 10 %: exponents
depend on when one stops.
"""

import numpy as np

import implicit_bias as ib

theory = ib.theory.sensing

ANY_END = (ib.Status.CAPPED, ib.Status.CONVERGED, ib.Status.STALLED)
AFTER = 3.0
"""When to stop: at this multiple of the first moment with an error of 10 %."""
LARGE = 0.5
LARGEST_FIT = 3e-3


# -- what is read off a run, and what theory says of it ----------------------------------------------------------------


def crossing(clock, ratio):
    """The time at which a ratio first is 1, its logarithm linear from record to record; inf if it never is."""
    with np.errstate(all="ignore"):
        log = np.log(ratio)
        over = np.flatnonzero(log >= 0)
        if not over.size:
            return np.inf
        i = over[0]
        before = max(i - 1, 0)
        at = clock[i] - (clock[i] - clock[before]) * log[i] / (log[i] - log[before])
    return at if np.isfinite(at) else clock[i]


def time_to_ten_percent(clock, error):
    """The first step at which |Z - X| <= |X| / 10, between records."""
    return crossing(clock, 0.1 / error)


def stopped(clock, error, rank_ratio):
    """Error and rank ratio at three times the first record with an error of 10 %; nan if the run ended before."""
    reached = clock[error <= 0.1]
    after = np.flatnonzero(clock >= AFTER * reached[0]) if reached.size else reached
    return {"error": error[after[0]], "rank": rank_ratio[after[0]]} if after.size else {"error": np.nan, "rank": np.nan}


def spacing(clock):
    """Steps from record to record: a moment is known to that."""
    return np.max(np.diff(clock))


def seen_next(snapshot):
    """What A*(y) has next to its r leading eigenvalues (singular values, where it is not symmetric). A fact."""
    import jax.numpy as jnp

    seen, rank = snapshot.problem.backprojection(), snapshot.problem.rank
    if snapshot.parameterization.symmetric:
        return jnp.linalg.eigvalsh(seen)[-1 - rank]
    return jnp.linalg.svd(seen, compute_uv=False)[rank]


def exponent(step, seen_next, seen_least):
    """The exponent of the error in alpha for r = 1, and about that for more.

    What X does not see grows like (1 + mu m_2)^t until X is there, (1 + mu m_1)^t alpha ~ 1, and Z has its square.
    """
    return 2 - 2 * np.log1p(step * seen_next) / np.log1p(step * seen_least)


FACTS = {"least": ib.truth_least, "seen_least": ib.spectral_least, "seen_next": seen_next}
OBSERVED = {"error": ib.relative_error, "rank_ratio": ib.rank_ratio}
PREDICTED = {
    "time_to_ten_percent": time_to_ten_percent, "stopped": stopped, "spacing": spacing, "exponent": exponent,
    "steps_per_log": lambda step, least: theory.steps_per_log(step, least),
    "steps_per_log_seen": lambda step, seen_least: theory.steps_per_log(step, seen_least),
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------


def small(ds):
    return {r"$\alpha \le 0.003$": np.log(LARGEST_FIT) - np.log(ds.scale)}


def of_rank_one(ds):
    return {"$r = 1$": 0.5 - abs(ds["rank"].astype(float) - 1)}


def read_closely(ds, steps_per_log):
    """A moment between records is known to second order in what Z grows by from one to the next."""
    growth = ds.spacing / steps_per_log
    return small(ds) | {"from record to record $Z$ grows by a factor 2.2 at most": 0.8 - growth}


def with_room(ds):
    """What X does not see is left behind: with too few measurements for r it grows about as fast, and nothing vanishes."""
    return small(ds) | {r"measurements leave $p \ge 1/2$": ds.exponent - 0.5}


def slope_gap(ds, steps_per_log):
    """Steps per factor e of 1/alpha, over what is expected, - 1: one number for each curve."""
    steps = ds.time_to_ten_percent.where(ds.scale <= LARGEST_FIT)
    return abs(-ib.curves.per_log(steps, "scale") / steps_per_log - 1)


def short_of_ten_times(ds):
    end = ib.curves.last(ds.error)
    return 10 * ib.curves.at_smallest(end, "scale") - end


WITHIN = {"population": 0.05, "gaussian": 0.1}
"""How far a measured exponent may be from the derived one."""


def claims_of_the_start(source, *, bound, prefix=""):
    """`bound` is the paper's own exponent of the error, as remembered; a prefix tells papers that say the same apart."""
    shared = ib.claims_with(accepts=ANY_END, hypotheses=small)

    def claim(name, about, statement, on, **more):
        return shared(id=prefix + name, source=f"{source}, {about}", statement=statement, on=on, **more)

    at_the_stop = "at three times the time to 10 %, the error is"
    return [
        claim(
            "time-per-log-alpha", "iteration count (derived constant)",
            r"with $A^*A = I$, a start $e$ times smaller needs $1/\ln(1 + \mu \sigma_{\min}(X))$ steps more to an "
            "error of 10 %",
            "population", residual=lambda ds: slope_gap(ds, ds.steps_per_log), tolerance=lambda ds: 0.02,
            hypotheses=lambda ds: read_closely(ds, ds.steps_per_log),
            because="what else has grown by then is of the order of alpha; the moment is interpolated between records",
        ),
        claim(
            "time-per-log-alpha-sensing", "iteration count (derived constant)",
            r"under sensing of $r = 1$, a start $e$ times smaller needs $1/\ln(1 + \mu \sigma_1(A^*A(X)))$ steps more",
            "gaussian",
            residual=lambda ds: slope_gap(ds, ds.steps_per_log_seen), tolerance=lambda ds: 0.02,
            hypotheses=lambda ds: read_closely(ds, ds.steps_per_log_seen) | of_rank_one(ds),
            because="as with A*A = I: while Z is small its leading direction grows as A*A(X) says",
        ),
        claim(
            "error-exponent-population", "error against alpha (derived for A*A = I)",
            rf"with $A^*A = I$, {at_the_stop} proportional to $\alpha^2$", "population",
            kind=ib.Exponent(against="scale", value=2.0, within=WITHIN["population"]), residual=lambda ds: ds.stopped_error,
            because="what X does not see of the start stays; by then the rest has contracted to below it",
        ),
        claim(
            f"error-exponent-beside-{bound}", "main theorem (exponent derived; its own bound was not read)",
            rf"under sensing of $r = 1$, {at_the_stop} proportional to $\alpha^p$, $p = 2 - 2 \ln(1 + \mu m_2) / "
            r"\ln(1 + \mu m_1)$, $m_i$ the leading singular values of $A^*A(X)$, to 0.1 in the exponent",
            "gaussian", hypotheses=lambda ds: small(ds) | of_rank_one(ds),
            kind=ib.Exponent(against="scale", value=0.0, within=WITHIN["gaussian"]),
            residual=lambda ds: ds.stopped_error / ds.scale**ds.exponent,
            remembered=f"its own bound is of the order of alpha^({bound})",
            because="the exponent less p: what X does not see grows at most like m_2 while X grows like m_1",
        ),
        claim(
            "error-vanishes-with-alpha", "main theorem (its limit)",
            r"under sensing, at that moment, the error tends to zero with $\alpha$", "gaussian",
            hypotheses=with_room, kind=ib.Limit(against="scale"),
            residual=lambda ds: ds.stopped_error, tolerance=lambda ds: 1e-3, because="seen down to alpha = 1e-6",
        ),
        claim(
            "rank-of-the-truth", "main theorem (the nuisance part)",
            r"at that moment $\sigma_{r+1}(Z) / \sigma_r(Z)$ tends to zero with $\alpha$", "gaussian",
            hypotheses=with_room, kind=ib.Limit(against="scale"),
            residual=lambda ds: ds.stopped_rank, tolerance=lambda ds: 1e-3, because="seen down to alpha = 1e-6",
        ),
        claim(
            "large-start-does-not-recover", "the role of small initialisation (control)",
            r"from $\alpha \ge 1/2$ the run ends with at least ten times the error of the smallest start", "gaussian",
            kind=ib.Inequality(), residual=short_of_ten_times, tolerance=lambda ds: 0.0,
            hypotheses=lambda ds: {
                r"$\alpha \ge 1/2$": np.log(ds.scale) - np.log(LARGE),
                r"the smallest $\alpha \le 0.003$": np.log(LARGEST_FIT) - np.log(ds.scale.min()),
            },
            because="a factor of ten",
        ),
    ]  # fmt: skip


# -- figure ------------------------------------------------------------------------------------------------------------

GRIDS = {
    "population": dict(label="$A^*A = I$", looks={None: dict(colour="orange", marker="s")}),
    "gaussian": dict(label="Gaussian sensing", looks={None: dict(colour="blue")}),
}
SLOPES = {"population": "steps_per_log", "gaussian": "steps_per_log_seen"}


def _exponent(ds, on):
    return ds.exponent if on == "gaussian" else 2.0


def figure_of_the_start(id, *, product, bound, prefix=""):
    """Steps, error and rank at the stop against alpha, and the error's exponent; `product` is Z in TeX."""

    def measured(value, on, **more):
        """Of the largest condition, large starts apart."""
        def shown(ds):
            found = value(ds)
            return found.where(np.isfinite(found) & (ds.scale < LARGE))
        of = {"condition": "last", "rank": "last"}
        return ib.curves_of(shown, x="scale", on=on, of=of, accepts=ANY_END, join=False, **(GRIDS[on] | more))

    def from_the_smallest(on):
        """The derived slope, through the time from the smallest start."""
        def steps(ds):
            first, scale = ds.time_to_ten_percent.isel(scale=0), ds.scale.where(ds.scale < LARGE)
            return first - ds[SLOPES[on]] * np.log(scale / ds.scale[0])
        return steps

    def power_from_the_smallest(on):
        """The derived power of alpha, through the error from the smallest start."""
        def error(ds):
            scale = ds.scale.where(ds.scale <= LARGEST_FIT)
            return ds.stopped_error.isel(scale=0) * (scale / ds.scale[0]) ** _exponent(ds, on)
        return error

    def local_exponent(on):
        """From each start to the next, less the derived one."""
        def off(ds):
            log, at = np.log(ds.stopped_error.where(ds.scale <= LARGEST_FIT)), np.log(ds.scale)
            rise = (ib.curves.at_next(log, "scale") - log) / (ib.curves.at_next(at, "scale") - at)
            return rise - _exponent(ds, on)
        return off

    def caption(data):
        slopes, exponents = [], []
        for on, words in (("population", "with A*A = I"), ("gaussian", "under sensing")):
            if on in data.children:
                ds = data[on].to_dataset()
                ds = ds.isel({axis: -1 for axis in ("condition", "rank") if axis in ds.dims})
                power = ib.curves.per_log(np.log(ds.stopped_error.where(ds.scale <= LARGEST_FIT)), "scale")
                half = 2 * float(power.std(ddof=int(power.size > 1))) / power.size**0.5
                slopes.append(f"{float(ds[SLOPES[on]].mean()):.3g} {words}")
                due = float(np.mean(_exponent(ds, on)))
                of = f"derived: {due:.3g}; sigma_min(X) = {float(ds.least.mean()):.2g}, {power.size} seeds"
                exponents.append(f"{float(power.mean()):.3f} +- {half:.3f} {words} ({of})")
        return (
            "Against the size of the start. Top left: steps until |Z - X| <= |X|/10; the lines have the derived "
            f"slope 1/ln(1 + mu sigma), {' and '.join(slopes)}, sigma the least singular value of X that A*A(X) "
            "shows. Top right: the error at three times that moment, with the derived power of alpha through the "
            f"smallest start; measured up to {LARGEST_FIT:g}, to two standard errors: {' and '.join(exponents)}. Bottom "
            "left: its exponent from each start to the next, less the derived one of the seed, mean and two standard "
            "errors, and what the claims allow (dotted). Bottom right: what there is besides rank r at that moment. Else median and "
            "range over seeds."
        )

    alpha = dict(x=r"size of the start $\alpha$")
    steps, error = lambda ds: ds.time_to_ten_percent, lambda ds: ds.stopped_error
    slopes = dict(theory_label="derived slope")
    return ib.Figure(
        id=id,
        panels=[
            [
                ib.panel(
                    *(measured(steps, on, theory=from_the_smallest(on), **slopes) for on in GRIDS),
                    y="steps to an error of 10 %", log="x",
                ),
                ib.panel(
                    *(measured(error, on, theory=power_from_the_smallest(on), **slopes) for on in GRIDS),
                    y=rf"$|{product} - X| / |X|$", log="xy",
                ),
            ],
            [
                ib.panel(
                    *(measured(local_exponent(on), on, middle="mean", spread="error") for on in GRIDS),
                    *(ib.level(sign * width, on=on) for on, width in WITHIN.items() for sign in (-1, 1)),
                    *(ib.level(0.0, on=on, line="-") for on in GRIDS),
                    **alpha, y="exponent of the error, less the derived", log="x", ylim=(-0.15, 0.15),
                ),
                ib.panel(
                    *(measured(lambda ds: ds.stopped_rank, on) for on in GRIDS),
                    **alpha, y=r"$\sigma_{r+1}(Z) / \sigma_r(Z)$", log="xy", legend=None,
                ),
            ],
        ],
        share="x",
        height=2.9,
        caption=caption,
        claims=[
            prefix + name
            for name in ("time-per-log-alpha", "error-exponent-population", f"error-exponent-beside-{bound}", "rank-of-the-truth")
        ],
    )  # fmt: skip
