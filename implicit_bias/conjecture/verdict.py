r"""What became of a candidate on what was kept back. It survives if, on seeds that were not fitted,

    explains    it is nearer to them than a constant is, by Student's t over seeds at 5 % over the number of candidates; and
                to their mean at least three times as near
    holds       beyond the fitted part of the axes, the mean over seeds is off at no point by more than 1.5 times the most
                it was off where it was fitted, and what noise and the doubt of its numbers allow there; of a power law,
                by `WITHIN` of an exponent more
    verdict     its claims, in the words that are printed, are `supported`
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from .._results import Status
from ..evidence.claims import Claim, judge
from .candidate import WITHIN, Candidate
from .measured import Measured
from .writing import written

ALLOWED = 1.5
LEVEL = 0.05
ROUNDING = 1e-10
WIDEST = 0.25
"""A tolerance, or a half-width of an exponent, with which nothing is said."""
NEARER = 3.0
"""Than a constant, in root mean square of the mean over seeds: a step is no power, however sure its mean slope is."""


@dataclasses.dataclass(frozen=True)
class Judged:
    candidate: Candidate
    survives: bool
    why: str
    rms: float
    """Of the mean over seeds that were kept back, in the logarithm of q where it has one."""
    expected: float
    """The same from the seeds that were fitted, at all points, with the noise of a mean: those that were kept back have no part
    in which law is the best."""
    claims: Sequence[Claim]
    python: str

    @property
    def score(self) -> float:
        return float(np.log(max(self.expected, ROUNDING))) + self.candidate.length


@dataclasses.dataclass(frozen=True)
class _Off:
    """How far a candidate is off, and a constant, on some seeds: [seeds, points], of value over the range of q."""

    by: np.ndarray
    flat: np.ndarray
    logs: np.ndarray
    """The first in the logarithm of q, where it has one, so that candidates of either link can be compared."""

    @classmethod
    def of(cls, candidate: Candidate, m: Measured, rows: np.ndarray, columns: np.ndarray) -> _Off:
        q = m.q[np.ix_(rows, columns)]
        with np.errstate(all="ignore"):
            seen = np.log(q) if candidate.link == "log" else q / m.reach
            said = candidate.of(m.x[columns]) / (1.0 if candidate.link == "log" else m.reach)
            by = np.where(np.isfinite(said), seen - said, np.nan)
            by, flat = _centred(by) if candidate.free else by, _centred(seen)
            logs = by if candidate.link == "log" else np.log(q / (q - by * m.reach)) if m.positive else by
        return cls(by, flat, np.where(np.isfinite(logs), logs, by))

    @property
    def mean(self) -> np.ndarray:
        """Over seeds: [points]."""
        known = np.isfinite(self.by)
        return np.where(known.any(0), np.where(known, self.by, 0.0).sum(0) / np.maximum(known.sum(0), 1), np.nan)

    @property
    def in_logs(self) -> _Off:
        """Off in the logarithm of q."""
        return dataclasses.replace(self, by=self.logs)

    @property
    def of_flat(self) -> np.ndarray:
        """The mean over seeds of how far a constant is off, where the candidate says something: [points]."""
        return dataclasses.replace(self, by=np.where(np.isfinite(self.by), self.flat, np.nan)).mean

    @property
    def noise(self) -> float:
        """Standard deviation of a run about the mean of its point."""
        squares, degrees = self._about_the_mean
        return float(np.sqrt(squares.sum() / max(degrees.sum(), 1)))

    @property
    def most_noise(self) -> float:
        """The same at the point where it is greatest."""
        squares, degrees = self._about_the_mean
        return float(np.sqrt(np.max(squares / np.maximum(degrees, 1), initial=0.0)))

    @property
    def _about_the_mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Squares, and runs beyond one: [points]."""
        known = np.isfinite(self.by)
        return (np.where(known, self.by - self.mean, 0.0) ** 2).sum(0), np.maximum(known.sum(0) - 1, 0)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.inf


def _centred(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    mean = np.where(known, values, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    return values - mean[:, None]


def _beyond(m: Measured) -> np.ndarray:
    """How far each point is from the fitted part, in the logarithms of the axes together."""
    u = np.log(m.x)
    low, high = u[m.inner].min(0), u[m.inner].max(0)
    return np.maximum(np.maximum(low - u, u - high), 0.0).sum(1)


def _explains(off: _Off, tried: int) -> bool:
    """Whether it is nearer than a constant, over seeds."""
    from scipy import stats

    known = np.isfinite(off.by)
    squares = [np.where(known, e, 0.0) ** 2 for e in (off.by, off.flat)]
    least = ROUNDING**2 * off.by.shape[1]  # below it one is as near as another
    gain = np.log(np.maximum(squares[0].sum(1), least)) - np.log(np.maximum(squares[1].sum(1), least))
    spread = gain.std(ddof=1) if len(gain) > 1 else np.inf
    if spread < 1e-9:
        return bool(gain.mean() < np.log(0.5))
    t = gain.mean() / (spread / np.sqrt(len(gain)))
    return bool(stats.t.cdf(t, len(gain) - 1) < LEVEL / tried)


def judged(candidate: Candidate, m: Measured, ds: xr.Dataset, study: str, accepts: Sequence[Status], tried: int) -> Judged:
    """What became of it on the seeds that were kept back."""
    from scipy import stats

    everywhere = np.ones(len(m.x), bool)
    fitted, beside = (_Off.of(candidate, m, m.fitted, columns) for columns in (m.inner, everywhere))
    kept = _Off.of(candidate, m, ~m.fitted, everywhere)
    count = max(int(np.isfinite(kept.mean).sum()), 1)
    z = stats.norm.ppf(1 - LEVEL / (2 * count))
    systematic = float(np.nanmax(abs(fitted.mean), initial=0.0))
    with np.errstate(invalid="ignore"):
        doubt = candidate.doubt(m.x) / (1.0 if candidate.link == "log" else m.reach)
    doubt = np.where(np.isfinite(doubt), doubt, np.inf)
    allowed = ALLOWED * systematic + ROUNDING + doubt + z * fitted.noise / np.sqrt(max(int((~m.fitted).sum()), 1))
    if candidate.exponents:
        allowed = allowed + WITHIN * _beyond(m)
    # noise is that of the other seeds: of what is judged nothing is in its tolerance
    of_a_run = float(np.max(allowed)) + stats.norm.ppf(1 - LEVEL / (2 * max(kept.by.size, 1))) * beside.most_noise
    known = np.isfinite(kept.mean)
    rms, off, flat = (_rms(values[known]) for values in (kept.in_logs.mean, kept.mean, kept.of_flat))
    near = beside.in_logs
    expected = float(np.hypot(_rms(near.mean[np.isfinite(near.mean)]), near.noise / np.sqrt(m.fitted.sum())))
    outside = known & ~m.inner
    beyond = int((abs(kept.mean) > allowed)[outside].sum())
    python, claims = "", []
    if candidate.vanishing:
        why = "every exponent's interval contains 0: no dependence is seen"
    elif any(half > WIDEST for _, half in candidate.exponents.values()):
        why = "its exponents are not known: " + ", ".join(f"{v:.3g} +- {h:.2g}" for v, h in candidate.exponents.values())
    elif np.max(allowed) > WIDEST and not candidate.exponents:
        why = f"beyond the fitted part it is known to {np.max(allowed):.2g} only"
    elif not _explains(kept, tried):
        why = "on fresh seeds it is no nearer than a constant"
    elif off > max(flat / NEARER, ROUNDING):
        why = f"on fresh seeds it is only {flat / off:.2g} times as near as a constant"
    elif outside.sum() < 0.5 * (~m.inner).sum():
        why = "it says nothing at most points beyond the fitted part"
    elif beyond:
        worst = np.nanmax(np.where(outside, abs(kept.mean) / allowed, 0.0))
        at = f"at {beyond} of {int(outside.sum())} points beyond the fitted part"
        why = f"{at} it is off by more than is allowed, {worst:.3g} times at most"
    else:
        python = written(candidate, m, study, accepts, of_a_run)
        space: dict[str, Any] = {}
        exec(python, space)  # noqa: S102 - what is printed is what is judged
        claims = space["CLAIMS"]
        verdicts = [judge(claim, ds) for claim in claims]
        why = "; ".join(f"{j.verdict}: {j.measured}" for j in verdicts if j.verdict != "supported")
    return Judged(candidate, not why, why, rms, expected, claims, python)
