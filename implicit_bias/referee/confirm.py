"""What was found, done again: in 30 digits where another scheme knows the run, and as data to print.

A failure that was found is printed whatever becomes of its recheck.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import message_of
from .._keys import SeedKey
from .._results import Status
from ..catalogue import Entry
from ..evidence.claims import Claim
from . import recheck as again
from .clock import Clock
from .counterexample import Counterexample, exact
from .given import START, directions
from .motion import motion_of
from .recast import Subject
from .region import Region
from .runs import Runs
from .search import Found, score
from .told import told


@dataclasses.dataclass(frozen=True)
class Candidate:
    subject: Subject
    runs: Runs
    region: Region
    found: Found


def named(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(message_of(error).split())[:200]}"


def done_again(entry: Entry, claim: Claim, top: Candidate, seconds: float = 60.0) -> tuple[Counterexample, str, bool]:
    """The failure as data, what its recheck showed in words, and whether it still fails.

    With the numbers of 30 digits where those can be had, and of float64 where not. Whatever the recheck comes upon, the
    failure that was found is not lost.
    """
    runs, point = top.runs, top.found.point
    run, runs.clock = runs.run(point), Clock(2.0)  # to its end, whatever the search had left
    data, opens = runs(point[None])
    judged, precision, motion = score(claim, data, opens), "float64", None
    confirmed, first = bool(judged.ratio[0] > 1), f"residual {judged.residual[0]:.9g}, tolerance {judged.tolerance[0]:.9g}"
    try:
        motion = _motion(top, run)
        with again.within(seconds):
            done = again.recheck(motion)
        measured = score(claim, runs.measured(point, done.moments, status_of(done.converged, data)), opens)
        if np.isnan(measured.residual[0]):
            raise again.NotAvailable("a claim that reads every step (a fold)")
        said = f"rechecked in {done.digits} digits by another scheme (its own error {done.error:.0e}): residual "
        said += f"{measured.residual[0]:.9g}, tolerance {measured.tolerance[0]:.9g}"
        confirmed = bool(measured.ratio[0] > 1)
        if confirmed:
            precision = f"run rechecked in {done.digits} digits, to {max(done.error, 1e-30):.0e}"
            judged = measured
        else:
            precision = "float64, not confirmed in 30 digits"
            said = f"a run with ratio {top.found.ratio:.3g} in float64 ({first}) was NOT CONFIRMED: {said}"
    except again.NotAvailable as reason:
        said = f"recheck in higher precision is not available for {reason}; the numbers are those of float64"
    except Exception as error:  # a defect of the recheck must not cost the failure that was found
        said = f"the recheck stopped on an exception of its own ({named(error)}); the numbers are those of float64"
    return _example(entry, claim, top, run, motion, judged, precision, data), said, confirmed


def _motion(top: Candidate, run: Any) -> again.Motion:
    form, values = top.runs.form, top.runs.form.unpack(top.found.point)
    theta = top.runs.first_weights(run, 0 if form.arrays else int(values["seed"][0]))
    clock = np.asarray(top.subject.recipe.records(run.dynamics), float)
    return motion_of(run, theta, clock, values["u"] if form.arrays else None)


def status_of(converged: bool, data: Any) -> int:
    """A status for a rechecked run: that of the run itself where it ended at its cap."""
    if converged:
        return int(Status.CONVERGED)
    own = int(data["status"].values.ravel()[0])
    return own if own in (Status.ESCAPING, Status.STALLED) else int(Status.CAPPED)


def _example(entry, claim, top: Candidate, run: Any, motion: again.Motion | None, judged, precision, data) -> Counterexample:
    form, (words,) = top.runs.form, top.subject.combinations
    values = form.unpack(top.found.point)
    arrays: dict[str, Any] = {"A": None, "y": None, "start": None}
    if motion is not None:
        arrays = dict(A=motion.A, y=motion.y, start=motion.start)
    elif form.arrays:
        A, y, u = (values[n] for n in "Ayu")
        arrays = dict(A=[[exact(a) for a in row] for row in A], y=[*map(exact, y)], start=[*map(exact, u)])
    whole, moved = top.subject.settings, set(top.region.usual)
    usual = {n for n in moved & set(form.axes) if values[n] == top.region.usual[n]}
    return Counterexample(
        claim=claim,
        study=entry.name,
        words={n: getattr(v, "label", v) for n, v in words.items()},
        settings={n: v for n, v in whole.items() if n not in ("rows", "columns") or not form.arrays},
        axes={n: exact(float(values[n])) for n in form.axes if n not in usual},
        **arrays,
        scale=motion.scale if motion else None,
        ratio=motion.ratio if motion and motion.weights != "Euclidean" else None,
        seed=None if form.arrays else int(values["seed"][0]),
        residual=float(judged.residual[0]),
        tolerance=float(judged.tolerance[0]),
        slacks={n: float(s[0]) for n, s in judged.slacks.items()},
        precision=precision,
        given=_given(run, form, values),
        constants=_constants(top, form),
        told=told(claim, run, data),
        typed=entry.typed,
    )


def _constants(top: Candidate, form: Any) -> dict[str, Any]:
    """Numbers of the cell that are no axis, as it was given them: of what only replaced arrays are made, none."""
    known = {**top.subject.keywords, **top.region.usual}
    left_out = {*form.axes, *top.subject.settings, *form.silent, *(("rows", "columns") if form.arrays else ())}
    numbers = {n: v for n, v in known.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    usual = {n for n, v in top.region.usual.items() if n in form.axes and form.unpack(top.found.point)[n] == v}
    return {n: exact(v) if np.isfinite(v) else v for n, v in numbers.items() if n not in left_out - usual}


def _given(run: Any, form: Any, values: Any) -> dict[str, Any]:
    """The arrays of a run that were given in the place of what its seed draws, as they are in the run."""
    if not form.parts:
        return {}
    theta = jax.tree.leaves(run.parameterization.init(run.problem, SeedKey(jnp.asarray(int(values["seed"][0])))))
    known = {**directions(run.problem), **{f"{START}{i}": leaf for i, leaf in enumerate(theta)}}
    return {n: np.asarray(known[n]).tolist() for n, _ in form.parts}
