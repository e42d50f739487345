r"""A candidate: what is said of the quantity, in LaTeX, in Python, and as a function of the axes.

What is compared is log q, or q itself of a law that adds; each seed may have a constant of its own. A number whose interval
contains a simple one is said as that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np

from .collapse import Collapse
from . import forms
from .forms import Form, Latex, symbol
from .laws import Fit, Jackknife, Limit, TwoPowers
from .measured import Measured

WITHIN = 0.05
"""Of an exponent, as it is claimed."""
NEAR = 0.01
"""An exponent is said as a simple number that is so near."""
SURE = 0.02
"""Of a constant: a half-width that is small enough to say a simple number in its place."""
KNOTS = 20


@dataclasses.dataclass(frozen=True)
class Candidate:
    sort: str
    said: str
    """In LaTeX, of q."""
    numbers: Mapping[str, tuple[float, float]]
    """Its constants and exponents, each with the half-width of its simultaneous interval."""
    of: Callable[[np.ndarray], np.ndarray]
    """x[points, axes] -> what is compared: log q, or q itself where `link` is not log."""
    text: str
    """The same in Python, of `ds`."""
    prelude: str = ""
    """What stands before it."""
    known: str = ""
    """Where it says something, as a slack in Python; everywhere if there is none."""
    link: str = "log"
    free: bool = True
    """Whether each seed has a constant of its own, added to what is compared."""
    doubt: Callable[[np.ndarray], np.ndarray] = lambda x: np.zeros(len(x))
    """Half-width of what is said at each point."""
    length: float = 0.0
    exponents: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    """Of a power law, by axis."""
    vanishing: bool = False
    """Whether every exponent's interval contains 0."""


# -- what was found, as candidates -------------------------------------------------------------------------------------


def _tex(axes: Sequence[str], powers: Sequence[float | Fraction]) -> str:
    shown = [(symbol(n), p) for n, p in zip(axes, powers) if p]
    parts = [n if p == 1 else f"{n}^{{{short(p)}}}" for n, p in shown]
    return r" \, ".join(parts) or "1"


def _python(axes: Sequence[str], powers: Sequence[float | Fraction]) -> str:
    return " * ".join(f"ds.{n} ** {float(p):.10g}" for n, p in zip(axes, powers) if p) or "1.0"


def short(p: float | Fraction) -> str:
    return str(p) if isinstance(p, Fraction) else f"{p:.4g}"


def nearest(value: float, half: float) -> Fraction | float:
    """The simplest fraction that an interval contains; else the value in the digits that the interval leaves.

    >>> nearest(1.98, 0.03), nearest(0.71, 0.002)
    (Fraction(2, 1), 0.71)
    """
    for denominator in (1, 2, 3, 4):
        near = Fraction(round(value * denominator), denominator)
        if abs(float(near) - value) <= max(half, NEAR / denominator) + 1e-9:
            return near
    return float(f"{value:.{min(max(2, int(np.ceil(-np.log10(max(half, 1e-12))))), 6)}f}")


def of_power(found: Fit, axes: Sequence[str]) -> Candidate:
    exponents = {n: (float(v), float(h)) for n, v, h in zip(axes, found.values, found.halves)}
    powers = [nearest(v, h) for v, h in exponents.values()]
    return Candidate(
        "power law", rf"q \propto {_tex(axes, powers)}", {f"power of {n}": e for n, e in exponents.items()},
        lambda x: found(np.log(x)), _python(axes, found.values.tolist()), doubt=lambda x: found.doubt(np.log(x), free=True),
        length=2.0 * len(axes), exponents=exponents, vanishing=all(abs(v) <= h for v, h in exponents.values()),
    )  # fmt: skip


def of_two_powers(found: Fit, axes: Sequence[str]) -> Candidate:
    law: TwoPowers = found.law
    a, b, k = law.parts(found.values)
    halves = np.split(found.halves[:-1], 2)
    numbers = {f"power of {n}, first": (float(v), float(h)) for n, v, h in zip(axes, a, halves[0])}
    numbers |= {f"power of {n}, second": (float(v), float(h)) for n, v, h in zip(axes, b, halves[1])}
    first, second = ([nearest(v, h) for v, h in zip(*of)] for of in ((a, halves[0]), (b, halves[1])))
    over, said = np.exp(-k), rf"{_tex(axes, first)} + {_times(np.exp(-k), _tex(axes, second))}"
    if law.sign < 0:
        over = np.exp(k)
        said = rf"1 / ({_tex(axes, [-p for p in first])} + {_times(np.exp(-k), _tex(axes, [-p for p in second]))})"
        text = f"1 / (1 / ({_python(axes, a.tolist())}) + {np.exp(-k):.10g} / ({_python(axes, b.tolist())}))"
    else:
        text = f"{_python(axes, a.tolist())} + {over:.10g} * {_python(axes, b.tolist())}"
    numbers["log of the crossover"] = (float(k), float(found.halves[-1]))
    vanishing = all(abs(v) <= h for n, (v, h) in numbers.items() if n.startswith("power"))
    return Candidate(
        "two power laws", rf"q \propto {said}", numbers, lambda x: found(np.log(x)), text,
        doubt=lambda x: found.doubt(np.log(x), free=True), length=4.0 * len(axes) + 2.0, vanishing=vanishing,
    )  # fmt: skip


def _times(factor: float, said: str) -> str:
    number = Latex.number(float(f"{factor:.4g}"))
    return number if said == "1" else rf"{number} \, {said}"


def _bracketed(said: str) -> str:
    return f"({said})" if " " in said else said


def of_limit(found: Fit, axes: Sequence[str]) -> Candidate:
    law: Limit = found.law
    end, a, c = found.values[0], found.values[1:-1], found.values[-1]
    numbers = {"limit": (float(end), float(found.halves[0]))}
    numbers |= {f"power of {n}": (float(v), float(h)) for n, v, h in zip(axes, a, found.halves[1:-1])}
    powers = [nearest(v, h) for v, h in zip(a, found.halves[1:-1])]
    sign = "+" if law.sign > 0 else "-"
    vanishing = all(abs(v) <= h for n, (v, h) in numbers.items() if n != "limit")
    return Candidate(
        "limit", rf"q = {Latex.number(end)} {sign} {_times(np.exp(c), _tex(axes, powers))}", numbers,
        lambda x: found(np.log(x)), f"{end:.12g} {sign} {np.exp(c):.12g} * {_python(axes, a.tolist())}",
        link="value", free=False,
        doubt=lambda x: found.doubt(np.log(x), free=False), length=2.0 * len(axes) + 4.0, vanishing=vanishing,
    )  # fmt: skip


def of_form(form: Form, measured: Measured) -> Candidate:
    x, q = measured.to_fit()
    rows, columns = np.arange(len(q)), np.arange(len(x))
    parts = [(np.delete(rows, i), columns) for i in rows if len(rows) > 1], [(rows, np.delete(columns, i)) for i in columns]
    link = "value" if form.way == "added" else "log"

    def said(numbers: np.ndarray, at: np.ndarray) -> np.ndarray:
        found = form.with_numbers(numbers)(at)
        found = found if link == "value" else _log(found)
        return found - found[np.isfinite(found)].mean() if form.way != "alike" else found

    again = [[forms.refit(form, x[c], q[np.ix_(r, c)]) for r, c in part] for part in parts]
    left = Jackknife(*(np.array([f.numbers for f in some if f is not None]) for some in again), len(form.names))
    halves = dict(zip(("c1", "c2", "kappa"), left.halves(lambda p: p, 3)))
    form = _rounded(form, halves)
    numbers = {n: (v, float(halves[n])) for n, v in zip(("c1", "c2", "kappa"), form.numbers) if n in form.names}
    words = {"alike": "q = ", "factor": r"q \propto ", "added": r"q = C + "}[form.way] + form.latex(measured.axes)
    words = words.replace("C + -", "C - ")
    return Candidate(
        "closed form", words, numbers, lambda at: form(at) if link == "value" else _log(form(at)), form.text(measured.axes),
        link=link, free=form.way != "alike", length=form.length,
        doubt=lambda at: left.halves(lambda p: said(p, at), len(at), points=False),
    )  # fmt: skip


def _rounded(form: Form, halves: Mapping[str, float]) -> Form:
    """With simple numbers in the place of those that are known to contain one."""
    values = []
    for name, value in zip(("c1", "c2", "kappa"), form.numbers):
        near = nearest(value, halves[name]) if 0 < halves[name] < SURE * abs(value) else value
        values.append(float(near) if isinstance(near, Fraction) and abs(float(near) - value) <= halves[name] else value)
    return form.with_numbers(np.array(values))


def _log(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.log(values)


def of_collapse(found: Collapse, measured: Measured) -> Candidate:
    axes, (first, *others) = measured.axes, measured.axes
    a, b, (ha, hb) = found.a, found.b, np.split(found.halves, 2)
    outer, inner = ([nearest(v, h) for v, h in zip(*of)] for of in ((a, ha), (b, hb)))
    numbers = {f"power of {n} before F": (float(v), float(h)) for n, v, h in zip(others, a, ha)}
    numbers |= {f"power of {n} in z": (float(v), float(h)) for n, v, h in zip(others, b, hb)}
    cells = np.array_split(np.arange(len(found.z)), min(KNOTS, len(found.z)))
    z, F = (np.array([v[0], *(v[c].mean() for c in cells), v[-1]]) for v in (found.z, found.F))
    whole = dataclasses.replace(found, z=z, F=F)
    inside = _python(axes, [1.0, *b.tolist()])
    # numpy.interp knows no dimensions
    table = f"np.exp(np.interp(np.log(z), {z.round(6).tolist()}, {F.round(8).tolist()}))"
    prelude = f"def F(z):\n    return z.copy(data={table})"
    known = f"np.minimum(np.log({inside}) - {z[0]:.6f}, {z[-1]:.6f} - np.log({inside})) + 1e-6"
    text = f"{_python(others, a.tolist())} * F({inside})"
    over = rf" / {_bracketed(_tex(others, outer))}" if any(outer) else ""
    said, length = rf"q{over} = F({_tex(axes, [Fraction(1), *inner])})", 4.0 * len(others) + 6.0
    of = lambda x: whole(np.log(x))  # noqa: E731
    return Candidate("collapse", said, numbers, of, text, length=length, prelude=prelude, known=known)
