r"""The referee: look for a run inside a claim's hypotheses on which it fails, and make that run small.

    maximise   residual / tolerance     over   points = (numeric axes, A, y, direction)
    subject to every slack >= 0, a status that the claim accepts, and a problem of the study's own kind

1. *Random search.* Axes are drawn log-uniformly in the study's ranges (a fifth of them at an end). A is drawn by its
   singular values, between half the least and twice the greatest that the study draws; y by the size of x* = pinv(A) y,
   likewise. What every draw of the study has in common (A A^T = I, one greatest singular value, one |x*|, labels) is kept,
   because it may be a hypothesis that no slack states.
2. *Climbing*, where that found nothing or little. The slope of log(residual / tolerance) goes forward through the run
   to its recorded numbers; the claim, a closed form of those, is differenced along it. Beside points along the slope,
   each round tries random ones nearby, which carry it on where there is no slope (a sign, a maximum, a tie).
3. *Shrinking* (`shrink`), to the simplest numbers under which the claim still fails.

Nothing found is no proof. What is reported then is the greatest ratio and how many runs were spent.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from .._errors import Mistake
from ..evidence.claims import Claim, weigh
from ..evidence.kinds import Identity, over_tolerance
from .region import Region
from .runs import WIDTH, Runs

CLEAR = 10.0
"""A ratio from which a failure needs no climbing, and below which shrinking does not take it."""
PLENTY = 1e9
"""A ratio beyond which more says nothing."""
ROUNDS = 25


@dataclasses.dataclass(frozen=True)
class Score:
    """A claim on several points. `ratio` is -inf where it was not tested."""

    ratio: np.ndarray
    residual: np.ndarray
    tolerance: np.ndarray
    slacks: dict[str, np.ndarray]
    inside: np.ndarray
    undefined: np.ndarray
    """Runs inside that ended as the claim accepts, of which it says nothing: its residual or tolerance is nan."""

    @property
    def best(self) -> int:
        return int(np.argmax(self.ratio))


def score(claim: Claim, data: xr.Dataset, opens: np.ndarray) -> Score:
    """As `judge` sees each run, with a tested run's ratio: inf where a tolerance of 0 is exceeded."""
    try:
        with np.errstate(all="ignore"):  # a closed form may be nan where the claim says nothing
            seen = weigh(claim, data)
    except (KeyError, IndexError, ValueError) as error:  # of xarray, about an axis that single runs do not have
        raise Mistake(
            "claim",
            f"{claim.id} cannot be asked of single runs ({type(error).__name__}: {error})",
            "write it as a function of one run's numbers: no .sel, .isel or loop over an axis",
        ) from None
    inside = seen.met().values.ravel() & np.ravel(opens)
    ended = inside & seen.accepted.values.ravel()
    tested = ended & seen.defined.values.ravel()
    return Score(
        ratio=np.where(tested, over_tolerance(seen.residual, seen.tolerance).values.ravel(), -np.inf),
        residual=seen.residual.values.ravel(),
        tolerance=seen.tolerance.values.ravel(),
        slacks={n: s.values.ravel() for n, s in seen.slacks.items()},
        inside=inside,
        undefined=ended & ~tested,
    )


@dataclasses.dataclass(frozen=True)
class Found:
    point: np.ndarray
    ratio: float


NOTHING = Found(np.zeros(0), -np.inf)


def draw_and_test(claim: Claim, runs: Runs, region: Region, count: int, rng: np.random.Generator) -> Found:
    """Random search. A first block with no run inside the hypotheses ends it: words may be a hypothesis."""
    best, undefined = NOTHING, False
    for start in range(0, count, WIDTH):
        points = region.draw(rng, min(WIDTH, count - start))
        found = score(claim, *runs(points))
        undefined |= bool(found.undefined.any())
        if found.ratio[found.best] > best.ratio:
            best = Found(points[found.best], float(found.ratio[found.best]))
        if start == 0 and not found.inside.any():
            break
    if undefined and best is NOTHING:
        raise Mistake(
            "claim",
            f"{claim.id} is nan for every run tried that it speaks of",
            "let it read what the run has: a keyword that a run does not use is nan",
        )
    return best


def slope(claim: Claim, runs: Runs, region: Region, point: np.ndarray) -> np.ndarray:
    """d log(residual / tolerance), per natural length of each number; zeros where there is no slope."""
    lengths = region.scales(point)
    moved, data = runs.slopes(point, 1e-6 * lengths)
    with np.errstate(all="ignore"):
        found = score(claim, data, np.ones(len(moved), bool))
        logs = np.log(np.where(found.ratio > 0, found.ratio, np.nan))
        plus, minus = np.split(logs, 2)
        rise = (plus - minus) / 2e-6
    return np.where(np.isfinite(rise) & (lengths > 0), rise, 0.0)


def climb(claim: Claim, runs: Runs, region: Region, begin: Found, rng: np.random.Generator) -> Found:
    """Uphill from a tested point, until three rounds bring less than a hundredth or a clear failure is found."""
    best, idle = begin, 0
    for _ in range(ROUNDS):
        if best.ratio >= CLEAR or idle == 3:
            break
        lengths = region.scales(best.point)
        rise = slope(claim, runs, region, best.point)
        size = np.linalg.norm(rise)
        along = rise / size if size > 0 else np.zeros_like(rise)
        reach = np.geomspace(1e-4, 2, WIDTH // 2)
        straight = best.point + reach[:, None] * lengths * along
        around = best.point + reach[:, None] * lengths * rng.normal(size=(len(reach), len(lengths)))
        points = np.stack([region.project(p) for p in (*straight, *around)])
        points = points[[region.admits(p) for p in points]]
        if not len(points):
            break
        found = score(claim, *runs(points))
        gain = found.ratio[found.best]
        idle = idle + 1 if not gain > best.ratio + 0.01 * abs(best.ratio) else 0
        if gain > best.ratio:
            best = Found(points[found.best], float(gain))
    return best


def askable(claim: Claim) -> None:
    """Whether the claim is about single runs."""
    if not isinstance(claim.kind, Identity):
        raise Mistake(
            "claim",
            f"{claim.id} is about many runs together (its kind is {claim.kind.name})",
            "the referee takes identities and inequalities, which one run can refute",
        )
