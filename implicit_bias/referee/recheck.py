r"""Recheck: one run again, in exact data and 30 digits, by a scheme that shares no code with the engine.

Data A, y, w0, g0, c are rationals. With z = A x, q = -A^T l'(z) and u = w/|w|, in the original coordinates:

    Euclidean   x                dx = q
    Polar       x = g w/|w|      dg = c <u, q>,    dw = (g/|w|) (q - <u, q> u)
    Sphere      x = g w          dg = c <w, q>,    dw = g q        (flow: its part orthogonal to w; descent: w/|w| after)

    flow        the modified midpoint rule with 2, 4, 6, ... substeps, extrapolated in h^2 (Gragg, Bulirsch, Stoer) until
                two neighbours of the last row agree to 1e-20; the step follows the column that was needed. It lands on
                every record, on a ratio's switch, and by bisection in log(loss) on the stop rule
    descent     the same steps as the run, which is the definition of the run

Each is done twice, with less accuracy the second time; their difference at the end is the `error` that is shown.

    >>> motion = Motion(loss="square", weights="Euclidean", law="flow", A=[[1, 0]], y=[1], start=[0, 1], scale=1, end=1)
    >>> x = recheck(motion).moments[-1].weights["x"]  # x1 = 1 - e^-t, and x2 does not move
    >>> with mp.workdps(DIGITS):
    ...     abs(x[0] - (1 - mpmath.exp(-1))) < 1e-18, float(x[1])
    (True, 1.0)
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mpmath
from mpmath import mp, mpf

DIGITS = 30
ACCURACY = "1e-20"
MOST_STEPS = 300_000
MOST_EVALUATIONS = 600_000
COLUMNS = 12
_until = contextvars.ContextVar("until", default=float("inf"))


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """A recheck in here gives up after so long."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def _in_time() -> None:
    if time.monotonic() > _until.get():
        raise NotAvailable("want of time: it takes longer than the referee has")


Vector = list
"""Of mpmath's numbers."""


class NotAvailable(Exception):
    """Why this run cannot be done again here."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """A run as plain data."""

    loss: str
    weights: str
    law: str
    A: Sequence[Sequence[Any]]
    y: Sequence[Any]
    start: Sequence[Any]
    """The direction of the first weights, of any length."""
    scale: Any
    norm: Any = 1
    ratio: Any = 1
    """A number, or (first, second, switch)."""
    step: Any = None
    stop: Any = None
    """The loss below which it ends."""
    end: Any = None
    clock: Sequence[Any] = ()


@dataclasses.dataclass(frozen=True)
class Moment:
    weights: dict[str, Any]
    perp: tuple[int, Any]
    """The orthogonal amplitude of w (or x): its sign along its first direction, and log of its size."""
    steps: int
    time: Any
    loss: Any


@dataclasses.dataclass(frozen=True)
class Rechecked:
    moments: list[Moment]
    """One for each record; those after the end repeat it."""
    converged: bool
    error: float
    digits: int = DIGITS


def number(value: Any) -> mpf:
    """A rational, or a float, as the number that it is."""
    if hasattr(value, "numerator") and hasattr(value, "denominator"):
        return mpf(int(value.numerator)) / int(value.denominator)
    return mpf(value)


# -- losses ------------------------------------------------------------------------------------------------------------


def _log_cosh(r: mpf) -> mpf:
    return abs(r) + mpmath.log1p(mpmath.exp(-2 * abs(r))) - mpmath.log(2)


LOSSES: dict[str, tuple[Callable, Callable]] = {
    "square": (lambda z, y: (z - y) ** 2 / 2, lambda z, y: z - y),
    "log_cosh": (lambda z, y: _log_cosh(z - y), lambda z, y: mpmath.tanh(z - y)),
    "logistic": (lambda z, y: mpmath.log1p(mpmath.exp(-y * z)), lambda z, y: -y / (1 + mpmath.exp(y * z))),
    "exponential": (lambda z, y: mpmath.exp(-y * z), lambda z, y: -y * mpmath.exp(-y * z)),
}
"""l(z, y) of one example, and dl/dz."""


def _dot(a: Vector, b: Vector) -> mpf:
    return mpmath.fdot(a, b)


def _length(a: Vector) -> mpf:
    return mpmath.sqrt(_dot(a, a))


class _System:
    """The weights as one vector: [g, w...] or [x...]."""

    def __init__(self, motion: Motion):
        self.motion = motion
        if motion.loss not in LOSSES:
            raise NotAvailable(f"the loss {motion.loss} is not known here")
        if motion.weights not in ("Euclidean", "Polar", "Sphere"):
            raise NotAvailable(f"the parameterization {motion.weights} is not known here")
        self.value, self.slope = LOSSES[motion.loss]
        self.A = [[number(a) for a in row] for row in motion.A]
        self.y = [number(v) for v in motion.y]
        self.columns = [list(c) for c in zip(*self.A)]
        start = [number(v) for v in motion.start]
        unit = [v / _length(start) for v in start]
        scale = number(motion.scale)
        if motion.weights == "Euclidean":
            self.start = [scale * v for v in unit]
        else:
            norm = number(motion.norm) if motion.weights == "Polar" else mpf(1)
            self.start = [scale, *(norm * v for v in unit)]
        self.first_perp = self.perp_vector(self.vector(self.start))

    def vector(self, state: Vector) -> Vector:
        return state if self.motion.weights == "Euclidean" else state[1:]

    def predictor(self, state: Vector) -> Vector:
        if self.motion.weights == "Euclidean":
            return state
        factor = state[0] if self.motion.weights == "Sphere" else state[0] / _length(state[1:])
        return [factor * v for v in state[1:]]

    def loss(self, state: Vector) -> mpf:
        x = self.predictor(state)
        return mpmath.fsum(self.value(_dot(row, x), y) for row, y in zip(self.A, self.y))

    def downhill(self, state: Vector, ratio: mpf, *, flow: bool) -> Vector:
        """Minus the gradient in the weights, `ratio` times for g."""
        x = self.predictor(state)
        slopes = [self.slope(_dot(row, x), y) for row, y in zip(self.A, self.y)]
        q = [-_dot(column, slopes) for column in self.columns]
        if self.motion.weights == "Euclidean":
            return q
        g, w = state[0], state[1:]
        if self.motion.weights == "Sphere":
            along = _dot(w, q)
            turn = along if flow else 0
            return [ratio * along, *(g * (qi - turn * wi) for qi, wi in zip(q, w))]
        length = _length(w)
        along = _dot(w, q) / length
        return [ratio * along, *(g / length * (qi - along / length * wi) for qi, wi in zip(q, w))]

    def ratio(self, clock: mpf) -> mpf:
        given = self.motion.ratio
        if not isinstance(given, tuple):
            return number(given)
        first, second, switch = map(number, given)
        return first if clock < switch else second

    def perp_vector(self, w: Vector) -> Vector:
        """(I - A^T (A A^T)^{-1} A) w."""
        gram = mpmath.matrix([[_dot(a, b) for b in self.A] for a in self.A])
        inner = mpmath.matrix([_dot(a, w) for a in self.A])
        solved = list(mpmath.lu_solve(gram, inner))
        return [wi - _dot(column, solved) for wi, column in zip(w, self.columns)]

    def moment(self, state: Vector, steps: int, time: mpf) -> Moment:
        perp = self.perp_vector(self.vector(state))
        size = _length(perp)
        log = mpmath.log(size) if size > 0 else mpf("-inf")
        sign = int(mpmath.sign(_dot(perp, self.first_perp)))
        if self.motion.weights == "Euclidean":
            weights = {"x": list(state)}
        else:
            weights = {"g": state[0], "w": list(state[1:])}
        return Moment(weights, (sign, log), steps, time, self.loss(state))


# -- the flow ----------------------------------------------------------------------------------------------------------


class _Extrapolation:
    """Gragg, Bulirsch and Stoer: the modified midpoint rule has an error in even powers of its substep."""

    def __init__(self, field: Callable[[Vector], Vector], accuracy: mpf):
        self.field, self.accuracy = field, accuracy
        self.evaluations = 0

    def _midpoint(self, state: Vector, slope: Vector, width: mpf, count: int) -> Vector:
        h = width / count
        before, now = state, [s + h * f for s, f in zip(state, slope)]
        for _ in range(count - 1):
            before, now = now, [b + 2 * h * f for b, f in zip(before, self.field(now))]
        self.evaluations += count
        return [(n + b + h * f) / 2 for n, b, f in zip(now, before, self.field(now))]

    def attempt(self, state: Vector, width: mpf) -> tuple[Vector | None, int]:
        """The state after `width`, and the columns it took; None where COLUMNS are too few."""
        _in_time()
        slope = self.field(state)
        row: list[Vector] = []
        for j in range(COLUMNS):
            count = 2 * (j + 1)
            new = [self._midpoint(state, slope, width, count)]
            for k in range(1, j + 1):
                factor = (mpf(count) / (2 * (j - k + 1))) ** 2 - 1
                new.append([a + (a - b) / factor for a, b in zip(new[k - 1], row[k - 1])])
            if j and max(abs(a - b) for a, b in zip(new[-1], new[-2])) < self.accuracy:
                return new[-1], j
            row = new
        if self.evaluations > MOST_EVALUATIONS:
            raise NotAvailable(f"the flow is stiff: {MOST_EVALUATIONS:,} evaluations were not enough")
        return None, COLUMNS


def _goals(motion: Motion) -> list[mpf]:
    marks = {number(t) for t in motion.clock} | {number(motion.end)}
    if isinstance(motion.ratio, tuple):
        marks.add(number(motion.ratio[2]))
    return sorted(t for t in marks if 0 < t <= number(motion.end))


def _flow(system: _System, accuracy: mpf) -> Iterator[tuple[Vector, int, mpf, bool]]:
    """(state, steps, time, ended) at the start, at every goal, and where the stop rule is met."""
    motion = system.motion
    clock = mpf(0)
    scheme = _Extrapolation(lambda state: system.downhill(state, ratio, flow=True), accuracy)
    state, steps, width = system.start, 0, mpf("0.05")
    stop = None if motion.stop is None else number(motion.stop)
    yield state, steps, clock, stop is not None and system.loss(state) <= stop
    for goal in _goals(motion):
        ratio = system.ratio(clock)
        while clock < goal:
            reach = min(width, goal - clock)
            new, columns = scheme.attempt(state, reach)
            if new is None:
                width = reach / 2
                if width < mpf("1e-12"):
                    raise NotAvailable("the flow could not be resolved: its step fell below 1e-12")
                continue
            if stop is not None and system.loss(new) <= stop:
                new, reach = _land(system, scheme, state, reach, stop)
                yield new, steps + 1, clock + reach, True
                return
            state, steps, clock = new, steps + 1, clock + reach
            if columns <= 7:
                width = max(width, reach * (2 if columns <= 5 else mpf("1.2")))
            elif columns >= 10:
                width = reach * mpf("0.7")
        clock = goal
        yield state, steps, clock, False


def _land(system: _System, scheme: _Extrapolation, state: Vector, width: mpf, stop: mpf) -> tuple[Vector, mpf]:
    """Where the loss meets `stop` within a step: secants in log(loss), kept inside a bracket."""
    low, high = mpf(0), width
    at_low, at_high = mpmath.log(system.loss(state) / stop), None
    new = None
    for _ in range(60):
        if at_high is None:
            middle = high
        else:
            middle = low + (high - low) * at_low / (at_low - at_high)
            margin = (high - low) / 50
            middle = min(max(middle, low + margin), high - margin) if high - low > mpf("1e-9") * width else middle
        new, _ = scheme.attempt(state, middle)
        if new is None:
            raise NotAvailable("the stop rule could not be located")
        excess = mpmath.log(system.loss(new) / stop)
        if excess <= 0:
            high, at_high = middle, excess
        else:
            low, at_low = middle, excess
        if -mpf("1e-9") < excess <= 0:
            return new, middle
    return new, middle


# -- descent -----------------------------------------------------------------------------------------------------------


def _descent(system: _System) -> Iterator[tuple[Vector, int, mpf, bool]]:
    motion = system.motion
    step = number(motion.step)
    stop = None if motion.stop is None else number(motion.stop)
    goals = {int(t) for t in motion.clock} | {int(motion.end)}
    state, count = system.start, 0
    while True:
        met = stop is not None and system.loss(state) < stop
        if count in goals or met:
            yield state, count, count * step, met
        if met or count >= int(motion.end):
            return
        _in_time()
        if count >= MOST_STEPS:
            raise NotAvailable(f"the run takes more than {MOST_STEPS:,} steps")
        move = system.downhill(state, system.ratio(mpf(count)), flow=False)
        state = [s + step * m for s, m in zip(state, move)]
        if motion.weights == "Sphere":
            length = _length(state[1:])
            state = [state[0], *(v / length for v in state[1:])]
        count += 1


# -- both --------------------------------------------------------------------------------------------------------------


def _once(motion: Motion, digits: int, accuracy: str) -> tuple[list[Moment], bool]:
    with mp.workdps(digits):
        system = _System(motion)
        visits = _flow(system, mpf(accuracy)) if motion.law == "flow" else _descent(system)
        due = [number(t) for t in (motion.clock or [motion.end])]
        moments: list[Moment] = []
        ended, moment = False, None
        for state, steps, time, ended in visits:
            at = time if motion.law == "flow" else mpf(steps)
            if ended or at >= due[min(len(moments), len(due) - 1)]:
                moment = system.moment(state, steps, time)
                moments += [moment] * sum(t <= at for t in due[len(moments) :])
        moments += [moment] * (len(due) - len(moments))
        return moments, ended


def recheck(motion: Motion, digits: int = DIGITS) -> Rechecked:
    """The run again; `NotAvailable` says why not."""
    if motion.law not in ("flow", "descent"):
        raise NotAvailable(f"the law {motion.law} is not known here")
    moments, converged = _once(motion, digits, ACCURACY)
    coarse, _ = _once(motion, digits - 8, "1e-15")
    error = mpf(0)
    for name, value in moments[-1].weights.items():
        other = coarse[-1].weights[name]
        pairs = zip(value, other) if isinstance(value, list) else [(value, other)]
        error = max([error, *(abs(a - b) for a, b in pairs)])
    return Rechecked(moments, converged, float(error), digits)
