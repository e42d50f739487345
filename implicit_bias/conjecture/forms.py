r"""Closed forms of at most two constants, from a small grammar:

    T(q) = x^a (c1 + c2 phi(kappa x^b))        T one of q, 1/q, q^2;  x^a and x^b products of simple powers of the axes
                                               kappa a simple number, or where c1 = 0 the second constant

    phi(z) = z^p, log z, log(1 + z), log(1 - z), exp(-z), sqrt(1 + z), sqrt(1 - z), 1/(1 + z), 1/(1 - z), tanh z

with c1 or c2 or both. Each is linear in its constants, so that all of them, some 10^4 to 10^5, are solved by least squares
of the relative error at once; the best few in error and length are kept. What so many forms fit by chance does not survive
seeds and points that they have not seen. Three ways in which seeds may differ: not at all; by a factor; by a constant that
is added (then T = q and x^a = 1).

>>> x = np.geomspace(0.1, 0.9, 9)[:, None]
>>> best = search(x, -np.log(1 - x.T), "alike")[0]
>>> best.text(["eta"]), best.latex(["eta"])
('-np.log1p(-ds.eta)', '-\\log(1 - \\eta)')
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..evidence.tex.signs import COMMANDS
from .laws import curve_of

HALF = Fraction(1, 2)
POWERS = [Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2), HALF, -HALF]
SCALES = [Fraction(1), Fraction(2), HALF, Fraction(4), Fraction(1, 4)]
KEPT = 4
BEST = 6
"""Of each phi: outer products that are kept."""
WORST = 0.3
LOOKED_AT = 300
FLOOR = 1e-10
"""A relative error below which one form is as good as another."""

class Phi(NamedTuple):
    of: Callable[[np.ndarray], np.ndarray]
    python: str
    latex: str
    length: float
    """Beside that of a constant."""


class Transform(NamedTuple):
    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    python: str
    latex: str
    length: float
    stretch: float
    """A relative error of q over that of T(q)."""


PHI = {
    "1": Phi(np.ones_like, "1", "1", 0.0),
    "z": Phi(lambda z: z, "{z}", "{z}", 0.5),
    "z^2": Phi(np.square, "{z}**2", "{z}^2", 1.0),
    "sqrt z": Phi(np.sqrt, "np.sqrt({z})", r"\sqrt{{{z}}}", 1.0),
    "1/z": Phi(lambda z: 1 / z, "1 / {z}", "1 / {z}", 0.7),
    "log z": Phi(np.log, "np.log({z})", r"\log({z})", 1.0),
    "log(1+z)": Phi(np.log1p, "np.log1p({z})", r"\log(1 + {z})", 1.5),
    "log(1-z)": Phi(lambda z: np.log1p(-z), "np.log1p(-{z})", r"\log(1 - {z})", 1.5),
    "exp(-z)": Phi(lambda z: np.exp(-z), "np.exp(-{z})", r"\exp(-{z})", 1.2),
    "sqrt(1+z)": Phi(lambda z: np.sqrt(1 + z), "np.sqrt(1 + {z})", r"\sqrt{{1 + {z}}}", 1.5),
    "sqrt(1-z)": Phi(lambda z: np.sqrt(1 - z), "np.sqrt(1 - {z})", r"\sqrt{{1 - {z}}}", 1.5),
    "1/(1+z)": Phi(lambda z: 1 / (1 + z), "1 / (1 + {z})", "1 / (1 + {z})", 1.2),
    "1/(1-z)": Phi(lambda z: 1 / (1 - z), "1 / (1 - {z})", "1 / (1 - {z})", 1.2),
    "tanh z": Phi(np.tanh, "np.tanh({z})", r"\tanh({z})", 1.3),
}
SIMPLE_PHI = {"1", "z", "z^2", "sqrt z", "1/z", "log z"}
"""Those of which another kappa is another constant."""
POWERS_OF_Z = {"z": Fraction(1), "z^2": Fraction(2), "sqrt z": HALF, "1/z": Fraction(-1)}
TRANSFORMS = {
    "q": Transform(lambda q: q, lambda t: t, "{}", "{}", 0.0, 1.0),
    "1/q": Transform(lambda q: 1 / q, lambda t: 1 / t, "1 / ({})", "1 / ({})", 0.6, 1.0),
    "q^2": Transform(np.square, np.sqrt, "np.sqrt({})", r"\sqrt{{{}}}", 0.8, 0.5),
}
WAYS = ("alike", "factor", "added")
"""How seeds may differ."""


def symbol(name: str) -> str:
    r"""An axis in LaTeX.

    >>> symbol("alpha"), symbol("x"), symbol("target_norm")
    ('\\alpha', 'x', '\\mathtt{target\\_norm}')
    """
    if name in COMMANDS and COMMANDS[name].sort == "letter":
        return "\\" + name
    return name if len(name) == 1 else rf"\mathtt{{{name}}}".replace("_", r"\_")


@dataclasses.dataclass(frozen=True)
class Form:
    """One form, with its constants (0 where there is none)."""

    transform: str
    phi: str
    scale: Fraction | float
    outer: tuple[Fraction, ...]
    inner: tuple[Fraction, ...]
    constants: tuple[float, float]
    way: str
    error: float = 0.0
    """Root of the mean square of its relative error where it was fitted."""

    @property
    def axes(self) -> int:
        return len(self.outer)

    @property
    def names(self) -> list[str]:
        fitted = [n for n, c in zip(("c1", "c2"), self.constants) if c]
        return fitted[self.way == "factor" :] + ["kappa"] * self.scaled  # of a factor that is free one is 1

    @property
    def scaled(self) -> bool:
        """Whether kappa was fitted."""
        return not isinstance(self.scale, Fraction)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is a power alone: of another T it is one form twice, with a factor for each seed it is a law of `laws`."""
        return self.phi == "1" and (self.transform != "q" or self.way == "factor")

    @property
    def numbers(self) -> np.ndarray:
        """(c1, c2, kappa)"""
        return np.array([*self.constants, float(self.scale)])

    def normalised(self) -> Form:
        """Of the two constants the first is 1, up to its sign, where a factor is free."""
        by = next((abs(c) for c in self.constants if c), 1.0)
        if self.way != "factor":
            return self
        return dataclasses.replace(self, constants=tuple(_snapped(c / by) for c in self.constants))

    def with_numbers(self, numbers: np.ndarray) -> Form:
        c1, c2, scale = map(float, numbers)
        return dataclasses.replace(self, constants=(c1, c2), scale=scale if self.scaled else self.scale)

    @property
    def length(self) -> float:
        """Of what has to be said: constants that are simple numbers are short."""
        said = sum(0 if not c else 0.5 if simple(c) is not None else 2.0 for c in self.constants)
        powers = sum(0.0 if not p else 0.5 + 0.25 * (abs(p) != 1) for p in (*self.outer, *self.inner))
        scale = 2.0 if self.scaled else 0.5 * (self.scale != 1)
        return said + powers + PHI[self.phi].length + TRANSFORMS[self.transform].length + scale

    @property
    def score(self) -> float:
        return float(np.log(max(self.error, FLOOR))) + self.length

    def __call__(self, x: np.ndarray) -> np.ndarray:
        outer, inner = (np.prod([x[:, j] ** float(p) for j, p in enumerate(of)], axis=0) for of in (self.outer, self.inner))
        c1, c2 = self.constants
        with np.errstate(all="ignore"):
            return TRANSFORMS[self.transform].back(outer * (c1 + c2 * PHI[self.phi].of(float(self.scale) * inner)))

    def text(self, axes: Sequence[str]) -> str:
        """In Python, of a dataset `ds`."""
        said = self._said([f"ds.{n}" for n in axes], PHI[self.phi].python, Python())
        return TRANSFORMS[self.transform].python.format(said)

    def latex(self, axes: Sequence[str]) -> str:
        said = self._said([symbol(n) for n in axes], PHI[self.phi].latex, Latex())
        return TRANSFORMS[self.transform].latex.format(said)

    def _said(self, axes: list[str], phi: str, way: Python | Latex) -> str:
        z = _product(axes, self.inner, way)
        z = z if float(self.scale) == 1 else f"{way.number(float(self.scale))}{way.times}{z}"
        if self.phi in way.bracketed and any(mark in z for mark in (" ", "/", "*", "^")):
            z = f"({z})"
        outer, (c1, c2) = _product(axes, self.outer, way), self.constants
        if self.phi == "1":
            c1, c2 = c1 + c2, 0.0
        said = _sum(c1, c2, phi.format(z=z), way)
        if outer == "1":
            return said
        if said in ("1", "-1"):
            return said.replace("1", outer)
        said = f"({said})" if c1 and c2 else said
        return f"{said}{outer[1:]}" if outer.startswith("1 / ") else f"{said}{way.times}{outer}"


class Python:
    times, power = " * ", "**"
    bracketed = {"z^2", "1/z", "exp(-z)", "log(1-z)", "sqrt(1-z)", "1/(1-z)"}
    """Where a sign or a power stands before or behind z."""

    @staticmethod
    def exponent(p: Fraction) -> str:
        return str(p) if p.denominator == 1 else str(float(p))

    @staticmethod
    def number(value: float) -> str:
        near = simple(value)
        return f"{value:.10g}" if near is None else str(near) if near.denominator == 1 else repr(float(near))


class Latex:
    times, power = r" \, ", "^"
    bracketed = {"z^2", "1/z"}

    @staticmethod
    def exponent(p: Fraction) -> str:
        return f"{{{p}}}"

    @staticmethod
    def number(value: float) -> str:
        near = simple(value)
        if near is None:
            mantissa, e, power = f"{value:.6g}".partition("e")
            return rf"{mantissa} \cdot 10^{{{int(power)}}}" if e else mantissa
        said = f"{abs(near)}" if near.denominator == 1 else rf"\frac{{{abs(near.numerator)}}}{{{near.denominator}}}"
        return "-" * (near < 0) + said


def _sum(c1: float, c2: float, phi: str, way: Python | Latex) -> str:
    def term(c: float) -> str:
        if c == 1:
            return phi
        whole = f"({phi})" if phi.startswith("1 / ") else phi
        if c == -1:
            return f"-{whole}"
        return f"{way.number(c)}{way.times}{whole}"

    if not c2:
        return way.number(c1)
    if not c1:
        return term(c2)
    return f"{way.number(c1)} {'-' if c2 < 0 else '+'} {term(abs(c2))}"


def _product(axes: list[str], powers: Sequence[Fraction], way: Python | Latex) -> str:
    def side(sign: int) -> list[str]:
        some = [(n, sign * p) for n, p in zip(axes, powers) if sign * p > 0]
        return [n if p == 1 else f"{n}{way.power}{way.exponent(p)}" for n, p in some]

    over, under = side(1), side(-1)
    top, below = way.times.join(over) or "1", way.times.join(under)
    if not under:
        return top
    return f"{top} / {below}" if len(under) == 1 else f"{top} / ({below})"


def simple(value: float, within: float = 1e-9) -> Fraction | None:
    """A fraction of small numbers that is as near as `within` of it."""
    near = Fraction(value).limit_denominator(12) if np.isfinite(value) else Fraction(0)
    close = near != 0 and abs(float(near) - value) <= within * abs(value)
    return near if close and abs(near.numerator) <= 24 else None


# -- the search --------------------------------------------------------------------------------------------------------


def search(x: np.ndarray, q: np.ndarray, way: str, most: int = KEPT) -> list[Form]:
    """The best forms of q[seeds, points] > 0, each of another error: the shortest of those that fit as well."""
    if way == "added":
        return _kept(_added(x, q), most)
    found = _multiplied(x, _mean(q, way), way)
    polished = [refit(_free_scale(f), x, q) for f in _kept([f for f in found if _scalable(f)], 3 * most)]
    return _kept([*found, *(f for f in polished if f is not None and f.error < WORST)], most)


def _mean(q: np.ndarray, way: str) -> np.ndarray:
    """The curve that is fitted, of mean 1 in its logarithm where a factor is free."""
    curve, offset = curve_of(np.log(q))
    return np.exp(curve + (np.mean(offset) if way == "alike" else 0.0))


def _scalable(form: Form) -> bool:
    return not form.constants[0] and form.phi not in SIMPLE_PHI


def _free_scale(form: Form) -> Form:
    return dataclasses.replace(form, scale=float(form.scale))


def refit(form: Form, x: np.ndarray, q: np.ndarray) -> Form | None:
    """The same form with its constants fitted again, kappa too where it is one; None where that is not possible."""
    if form.way == "added":
        curve, _ = curve_of(q)
        unit = dataclasses.replace(form, constants=(0.0, 1.0))(x)
        centred = unit - unit.mean()
        if not (square := centred @ centred) > 0 or not np.isfinite(square):
            return None
        return dataclasses.replace(form, constants=(0.0, float(centred @ curve / square)))
    mean = _mean(q, form.way)
    of = TRANSFORMS[form.transform]
    flat = dataclasses.replace(form, transform="q", constants=(0.0, 1.0))
    outer = np.prod([x[:, j] ** float(p) for j, p in enumerate(form.outer)], axis=0)

    def solved(scale: Fraction | float) -> tuple[float, tuple[float, float]]:
        columns = [outer] * bool(form.constants[0]) + [dataclasses.replace(flat, scale=scale)(x)] * bool(form.constants[1])
        A = np.stack(columns, 1) / of.there(mean)[:, None]
        if not np.isfinite(A).all():
            return np.inf, (np.nan, np.nan)
        c, *_ = np.linalg.lstsq(A, np.ones(len(A)), rcond=None)
        both = iter(c)
        constants = tuple(float(next(both)) if given else 0.0 for given in form.constants)
        return of.stretch * float(np.sqrt(np.mean((A @ c - 1) ** 2))), constants

    scale: Fraction | float = form.scale
    if form.scaled:
        from scipy import optimize

        with np.errstate(all="ignore"):
            steps = np.log(np.geomspace(0.5, 2, 9))
            errors = [solved(float(scale) * np.exp(t))[0] for t in steps]
            at = steps[int(np.argmin(errors))]
            near = optimize.minimize_scalar(
                lambda t: solved(float(form.scale) * np.exp(t))[0], bounds=(at - 0.2, at + 0.2), method="bounded",
                options={"xatol": 1e-12},
            )  # fmt: skip
        scale = _snapped(float(scale) * float(np.exp(near.x)), 1e-6)
    error, constants = solved(scale)
    if not np.isfinite(error):
        return None
    c1, c2 = (_snapped(c) for c in constants)
    return dataclasses.replace(form, constants=(c1, c2), scale=scale, error=error).normalised()


def _kept(found: list[Form], most: int) -> list[Form]:
    kept: list[Form] = []
    for form in sorted((f for f in found if not f.is_elsewhere), key=lambda f: f.score):
        if all(abs(np.log(max(form.error, FLOOR)) - np.log(max(k.error, FLOOR))) > 1e-3 for k in kept):
            kept.append(form)
        if len(kept) == most:
            break
    return kept


def _products(axes: int) -> tuple[list[tuple[Fraction, ...]], list[tuple[Fraction, ...]]]:
    """Outer products, and inner ones of which the first power is positive: 1/z is another phi."""
    some = POWERS if axes < 3 else POWERS[:3]
    outer = list(itertools.product(some, repeat=axes))
    inner = [b for b in outer if next((p for p in b if p), Fraction(0)) > 0 and max(map(abs, b)) >= 1]
    smaller = [b for b in inner if not all(p.numerator % 2 == 0 for p in b)]  # z^2 is another phi
    return outer, smaller


def _multiplied(x: np.ndarray, mean: np.ndarray, way: str) -> list[Form]:
    outer, inner = _products(x.shape[1])
    log_x = np.log(x) if (x > 0).all() else np.full_like(x, np.nan)
    outers = np.exp(log_x @ np.array(outer, float).T).T  # [outer, points]
    targets = {name: of.there(mean) / outers for name, of in TRANSFORMS.items()}
    longer = np.array([sum(0.5 + 0.25 * (abs(p) != 1) for p in a if p) for a in outer])
    found: list[tuple] = []  # (score, error, c1, c2, outer, inner, phi, scale, transform): most of them are nothing
    for b in inner:
        z = np.exp(log_x @ np.array(b, float))
        for name, phi in PHI.items():
            if name == "1" and b != inner[0]:
                continue
            for scale in SCALES[:1] if name in SIMPLE_PHI else SCALES:
                with np.errstate(all="ignore"):
                    values = phi.of(float(scale) * z)
                if not np.isfinite(values).all():
                    continue
                length = phi.length + 0.5 * (scale != 1) + sum(0.5 for p in b if p)
                for transform, target in targets.items():
                    for error, c1, c2 in _solved(target, values, TRANSFORMS[transform].stretch, name == "1"):
                        score = np.log(np.maximum(error, FLOOR)) + longer
                        with np.errstate(invalid="ignore"):
                            good = np.flatnonzero(error < WORST)
                        for i in good[np.argsort(score[good])][:BEST]:
                            at = (float(score[i]) + length + 2 * (c1[i] != 0), float(error[i]), float(c1[i]), float(c2[i]))
                            found.append((*at, int(i), b, name, scale, transform))
    found.sort(key=lambda f: f[0])
    return [
        _folded(Form(transform, name, scale, outer[i], b, (_snapped(c1), _snapped(c2)), way, error).normalised())
        for _, error, c1, c2, i, b, name, scale, transform in found[:LOOKED_AT]
    ]


def _solved(target: np.ndarray, values: np.ndarray, stretch: float, constant: bool) -> list[tuple[np.ndarray, ...]]:
    """Least squares of (c1 + c2 phi) / target - 1 for every outer product at once, with c2 alone and with both.

    Returned are relative errors of q (inf where some point is off by all of it), c1 and c2; c1 alone is phi = 1.
    """
    A, B = 1 / target, values / target  # [outer, points]
    saa, sbb, sab, sa, sb = (A * A).sum(1), (B * B).sum(1), (A * B).sum(1), A.sum(1), B.sum(1)
    with np.errstate(all="ignore"):
        choices = [(np.zeros_like(sb), sb / sbb)]
    if not constant:
        det = saa * sbb - sab**2
        with np.errstate(all="ignore"):
            both = ((sbb * sa - sab * sb) / det, (saa * sb - sab * sa) / det)
        choices.append(tuple(np.where(det > 1e-12 * saa * sbb, c, np.nan) for c in both))
    found = []
    for c1, c2 in choices:
        with np.errstate(all="ignore"):
            rest = c1[:, None] * A + c2[:, None] * B - 1
            error = stretch * np.sqrt((rest**2).mean(1))
            found.append((np.where(abs(rest).max(1) < 0.9, error, np.inf), c1, c2))
    return found


def _snapped(value: float, within: float = 1e-9) -> float:
    near = simple(value, within)
    return float(value if near is None else near)


def _folded(form: Form) -> Form:
    """A product of powers is written as one."""
    if form.constants[0] or form.phi not in POWERS_OF_Z:
        return form
    by = POWERS_OF_Z[form.phi]
    outer = tuple(a + by * b for a, b in zip(form.outer, form.inner))
    return dataclasses.replace(form, phi="1", outer=outer, inner=tuple(Fraction(0) for _ in outer))


def _added(x: np.ndarray, q: np.ndarray) -> list[Form]:
    """q = c_s + c2 phi: the error is that beside the range of q."""
    curve, _ = curve_of(q)
    _, inner = _products(x.shape[1])
    log_x = np.log(x) if (x > 0).all() else np.full_like(x, np.nan)
    nothing, found = tuple(Fraction(0) for _ in range(x.shape[1])), []
    for b in inner:
        z = np.exp(log_x @ np.array(b, float))
        for name, phi in PHI.items():
            for scale in () if name == "1" else SCALES[:1] if name in SIMPLE_PHI else SCALES:
                with np.errstate(all="ignore"):
                    values = phi.of(float(scale) * z)
                if not np.isfinite(values).all():
                    continue
                centred = values - values.mean()
                if not (square := centred @ centred) > 0:
                    continue
                c2 = float(centred @ curve / square)
                error = float(np.sqrt(np.mean((curve - c2 * centred) ** 2)) / np.ptp(curve)) if np.ptp(curve) else np.inf
                if error < 0.1:
                    found.append(Form("q", name, scale, nothing, b, (0.0, _snapped(c2)), "added", error))
    return found
