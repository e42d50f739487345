r"""The referee: look for a run inside a claim's hypotheses on which it fails, and make that run small.

    maximise   residual / tolerance     over   points = (numeric axes, A, y, direction)
    subject to every slack >= 0, a status that the claim accepts, and a problem of the study's own kind

1. *Thin sets* (`thin`), which no random draw meets: ties, zero blocks, aligned starts, axes at their ends or equal.
2. *Random search.* Axes are drawn log-uniformly in the study's ranges (a fifth of them at an end). A is drawn by its
   singular values, between half the least and twice the greatest that the study draws; y by the size of x* = pinv(A) y,
   likewise; of other problems, the study's own draws. What every draw of the study has in common (A A^T = I, one greatest
   singular value, one |x*|, labels) is kept, because it may be a hypothesis that no slack states.
3. *Climbing*, where that found nothing or little. The slope of log(residual / tolerance) goes forward through the run
   to its recorded numbers; the claim, a closed form of those, is differenced along it. Beside points along the slope,
   each round tries random ones nearby, which carry it on where there is no slope (a sign, a maximum, a tie). Where a
   point has more than `FEW` numbers, and after the climb, CMA-ES (`cma`) goes on, a population a block.
4. *Shrinking* (`shrink`), to the simplest numbers under which the claim still fails.

Nothing found is no proof. What is reported then is the greatest ratio and how many runs were spent.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import xarray as xr

from .._errors import Mistake
from ..evidence.claims import Claim, weigh
from ..evidence.kinds import over_tolerance
from .clock import Clock
from .region import Region
from .runs import WIDTH, Runs

CLEAR = 10.0
"""A ratio from which a failure needs no climbing, and below which shrinking does not take it."""
PLENTY = 1e9
"""A ratio beyond which more says nothing."""
ROUNDS = 25
FEW = 40
"""Numbers of a point up to which its slope is taken: one tangent, which repeats the run, for each."""
MANY = 200
"""Numbers beyond which a covariance of them is not learnt."""
FIRST = 16
"""Points of the first block: it tells what a point costs."""
STRUCTURED = 192
"""Structured points that are tried at most before random ones."""


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


class NotOfOneRun(Exception):
    """A claim that reads several runs together, though its kind would not need it."""


def score(claim: Claim, data: xr.Dataset, opens: np.ndarray) -> Score:
    """As `judge` sees each run, with a tested run's ratio: inf where a tolerance of 0 is exceeded."""
    try:
        with np.errstate(all="ignore"):  # a closed form may be nan where the claim says nothing
            seen = weigh(claim, data)
    except (KeyError, IndexError, ValueError) as error:  # of xarray, about an axis that single runs do not have
        raise NotOfOneRun(f"{type(error).__name__}: {error}") from None
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


def draw_and_test(
    claim: Claim, runs: Runs, region: Region, count: int, rng: np.random.Generator, clock: Clock | None = None
) -> Found:
    """Structured points, then random ones. A first block with no run inside the hypotheses ends it: words may be one."""
    best, undefined, inside = NOTHING, False, False
    clock = clock or Clock(np.inf)
    structured = list(itertools.islice(_bounded(region.structured(rng)), min(STRUCTURED, max(count // 2, WIDTH))))
    # a random block comes after the first: it says whether these words are spoken of
    points, first = [*structured[:WIDTH], *region.draw(rng, count), *structured[WIDTH:]], len(structured[:WIDTH])
    done, begun, drawn = 0, clock.spent, min(count, WIDTH)
    while done < len(points):
        each = (clock.spent - begun) / max(done, 1)
        size = int(min(WIDTH if done else FIRST, clock.left / (2 * each) if each > 0 else WIDTH))
        if clock.over or size < 1:
            clock.skip(f"{len(points) - done} of {len(points)} points of {runs.said}")
            break
        block = np.stack(points[done : done + size])
        done += len(block)
        found = score(claim, *runs(block))
        undefined, inside = undefined or bool(found.undefined.any()), inside or bool(found.inside.any())
        near = np.array([not region.far(p) for p in block])  # a failure within the study's ranges says more
        ratio = np.where(near, found.ratio, -np.inf) if (found.ratio[near] > 1).any() else found.ratio
        top, is_far = int(np.argmax(ratio)), best is not NOTHING and bool(region.far(best.point))
        if ratio[top] > 1 and best.ratio > 1 and near[top] == is_far:
            better = bool(near[top])
        else:
            better = ratio[top] > best.ratio
        best = Found(block[top], float(ratio[top])) if better else best
        enough = done >= first + drawn
        if enough and not inside or best.ratio >= CLEAR and (enough or not region.far(best.point)):
            break
    if undefined and best is NOTHING:
        raise Mistake(
            "claim",
            f"{claim.id} is nan for every run tried that it speaks of",
            "let it read what the run has: a keyword that a run does not use is nan",
        )
    return best


def _bounded(points: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Of a region that admits few of its structured points, those that it gives within a second."""
    clock = Clock(1 / 60)
    for point in points:
        yield point
        if clock.over:
            return


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


def climb(
    claim: Claim, runs: Runs, region: Region, begin: Found, rng: np.random.Generator, clock: Clock | None = None
) -> Found:
    """Uphill from a tested point, until three rounds bring less than a hundredth or a clear failure is found."""
    best, idle, clock = begin, 0, clock or Clock(np.inf)
    for _ in range(ROUNDS if runs.form.size <= FEW else 0):
        if best.ratio >= CLEAR or idle == 3 or clock.over:
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
    return best if best.ratio > 1 else evolve(claim, runs, region, best, rng, clock)


def evolve(
    claim: Claim, runs: Runs, region: Region, begin: Found, rng: np.random.Generator, clock: Clock, *, rounds: int = 20
) -> Found:
    """CMA-ES from a tested point, in lengths of its natural moves; what is not tested is worse the further outside it is."""
    import cma

    lengths = region.scales(begin.point)
    free = np.flatnonzero(lengths > 0)
    if len(free) > MANY or not len(free):
        return begin
    options = {"popsize": WIDTH, "verbose": -9, "seed": int(rng.integers(1, 2**31)), "maxiter": rounds}
    strategy, best = cma.CMAEvolutionStrategy(np.zeros(len(free)), 0.3, options), begin
    while not strategy.stop() and not clock.over and best.ratio < CLEAR:
        asked = strategy.ask()
        points = np.tile(begin.point, (len(asked), 1))
        points[:, free] += lengths[free] * np.stack(asked)
        points = np.stack([region.project(p) for p in points])
        found = score(claim, *runs(points))
        good = np.array([region.admits(p) for p in points])
        ratio = np.where(good, found.ratio, -np.inf)
        outside = sum((np.maximum(-np.nan_to_num(s, nan=-1.0), 0.0) for s in found.slacks.values()), np.zeros(len(ratio)))
        inside = -np.sign(ratio) * np.log1p(np.minimum(abs(ratio), PLENTY))
        cost = np.where(ratio > -np.inf, inside, 1e3 + np.minimum(outside, 1e6))
        strategy.tell(asked, cost.tolist())
        if (top := int(np.argmax(ratio))) >= 0 and ratio[top] > best.ratio:
            best = Found(points[top], float(ratio[top]))
    return best
