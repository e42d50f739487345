r"""A counterexample as data: every number that determines a run on which a claim fails, as Python and as LaTeX.

Numbers are the rationals that they were typed as, so that a reader can do the run again exactly.

>>> exact(0.75), exact(1e-5), rational(0.1 + 1e-9)
(Fraction(3, 4), Fraction(1, 100000), None)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .._files import RESULTS
from ..evidence.claims import Claim
from ..evidence.tex.formula import split
from ..evidence.tex import plain
from ..sweep.ask.document import LAPTOP, command

LONG = 1000
"""A denominator beyond which a number is shown as a decimal."""


def rational(value: float, most: int = LONG) -> Fraction | None:
    """The fraction of small denominator that this float is the nearest to, if there is one."""
    near = Fraction(value).limit_denominator(most)
    return near if float(near) == value else None


def exact(value: float) -> Fraction:
    """A float as the rational that it was typed as: a small fraction, or its own decimals."""
    return rational(value) or Fraction(repr(float(value)))


@dataclasses.dataclass(frozen=True)
class Counterexample:
    """A run on which a claim fails, with every number that determines it."""

    claim: Claim
    study: str
    words: Mapping[str, Any]
    settings: Mapping[str, Any]
    axes: Mapping[str, Fraction]
    A: Sequence[Sequence[Fraction]] | None
    """None, as `y` and `start`, where the study's own draw is all that is known: `seed` gives it."""
    y: Sequence[Fraction] | None
    start: Sequence[Fraction] | None
    """Any multiple of w0 (of x0 under gradient descent)."""
    scale: Fraction | None
    ratio: Any
    seed: int | None
    residual: float
    tolerance: float
    slacks: Mapping[str, float]
    precision: str
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Arrays, as nested lists, that stand in the place of what `seed` draws: of the data, and `start 0`, `start 1`, ... of
    the first weights, counted as jax.tree counts them."""
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Numbers of the cell that are no axis and no setting."""
    told: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Its law and weights, where it ended and where it is seen to fail: `told`."""
    typed: str = ""
    """The study as a command takes it, where that is not its name."""

    @property
    def times(self) -> float:
        if self.tolerance:
            return self.residual / self.tolerance
        return float("inf") if self.residual > 0 else 0.0

    @property
    def command(self) -> str:
        """What repeats the run, of one that its seed draws; "" where arrays are given."""
        if self.given or self.seed is None:
            return ""
        said = {**self.words, **self.settings, **{n: float(v) for n, v in self.axes.items()}, "seed": self.seed}
        return command(self.typed or self.study, {n: str(v) for n, v in said.items()}, LAPTOP, RESULTS)

    def _length(self) -> tuple[list[Fraction], str, str]:
        """Whole numbers along w0, and their length in Python and in LaTeX; decimals of length 1 if they are long."""
        if max(f.denominator for f in self.start) > LONG:
            unit = np.array(self.start, float)
            return [exact(v) for v in unit / np.linalg.norm(unit)], "1", "1"
        common = int(np.lcm.reduce([f.denominator for f in self.start]))
        whole = [f * common for f in self.start]
        divisor = int(np.gcd.reduce([int(w) for w in whole]))
        whole = [w / divisor for w in whole]
        square = sum(w * w for w in whole)
        root = int(np.sqrt(float(square)) + 0.5)
        if root * root == square:
            return whole, str(root), str(root)
        return whole, f"{square}**0.5", rf"\sqrt{{{square}}}"

    def python(self) -> str:
        """A literal to paste into Python; fractions are quotients."""
        lines = [("claim", json.dumps(f"{self.study}:{self.claim.id}"))]
        lines += [(n, _plain(v) if _is_number(v) else repr(v)) for n, v in self.constants.items()]
        lines += [(n, repr(v)) for n, v in {**self.words, **self.settings}.items()]
        lines += [(n, _plain(v)) for n, v in self.axes.items()]
        if self.seed is not None:
            lines.append(("seed", str(self.seed)))
        lines += [*self._arrays(), *((n, json.dumps(v)) for n, v in self.given.items())]
        if self.scale is not None:
            lines.append(("g0", _plain(self.scale)))
        if isinstance(self.ratio, tuple):
            first, second, switch = map(_plain, self.ratio)
            lines.append(("c", f'{{"until": {switch}, "first": {first}, "then": {second}}}'))
        elif self.ratio is not None:
            lines.append(("c", _plain(self.ratio)))
        if self.told:
            said = {n: _plain(v) if _is_number(v) else repr(v) for n, v in self.told.items()}
            lines.append(("run", f"{{{', '.join(f'{json.dumps(n)}: {v}' for n, v in said.items())}}}"))
        lines += [
            ("residual", f"{self.residual:.12g}"),
            ("tolerance", f"{self.tolerance:.12g}"),
            ("slacks", json.dumps({plain(n): float(f"{v:.12g}") for n, v in self.slacks.items()})),
        ]
        return "{\n" + "".join(f"    {json.dumps(n)}: {v},\n" for n, v in lines) + "}"

    def _arrays(self) -> list[tuple[str, str]]:
        if self.A is None:
            return []
        whole, length, _ = self._length()

        def over(w: Fraction) -> str:
            return _plain(w) if length == "1" or w == 0 else f"{_plain(w)}/{length}"

        return [
            ("A", f"[{', '.join('[' + ', '.join(map(_plain, row)) + ']' for row in self.A)}]"),
            ("y", f"[{', '.join(map(_plain, self.y))}]"),
            ("w0", f"[{', '.join(map(over, whole))}]"),
        ]

    def _arrays_in_latex(self) -> list[str]:
        """Of data that are given; where a seed gives them, the seed, and what stands in the place of what it draws."""
        if self.A is None:
            given = [rf"\mathtt{{{escaped(n)}}} = {_matrix(v)}" for n, v in self.given.items()]
            return [rf"\mathtt{{seed}} = {self.seed}", *given]
        whole, _, length = self._length()
        A = r" \\ ".join(" & ".join(map(_tex, row)) for row in self.A)
        w0 = rf"({', '.join(map(_tex, whole))})^\top" + (rf"/{length}" if length != "1" else "")
        y = _tex(self.y[0]) if len(self.y) == 1 else rf"({', '.join(map(_tex, self.y))})^\top"
        return [rf"A = \begin{{pmatrix}} {A} \end{{pmatrix}}", f"y = {y}", f"w_0 = {w0}"]

    def _numbers_in_latex(self) -> list[str]:
        """Axes, settings and constants of the cell; what is g_0, c or the step already is not said again."""
        already = {"scale": self.scale, "ratio": self.ratio, "step": self.told.get("step")}
        rest = {n: v for n, v in {**self.axes, **self.settings, **self.constants}.items() if already.get(n) != v or v is None}
        values = [_tex(v) if _is_number(v) else rf"\text{{{escaped(str(v))}}}" for v in rest.values()]
        return [rf"\mathtt{{{escaped(n)}}} = {v}" for n, v in zip(rest, values)]

    def _motion_in_latex(self) -> str:
        """How it is moved: weights, law, step, rates, stop rule, cap; where it ended, and where it is seen to fail."""
        if not self.told:
            return ""
        found = {n: v for n, v in self.told.items() if n != "ratio" or self.ratio is None}
        first = f"Weights {escaped(str(found.pop('weights', '')))}, {escaped(str(found.pop('law')))}"
        seen = found.pop("seen at", None)
        ended = found.pop("ended", "")
        said = [rf"{escaped(n)} ${_tex(v)}$" if _is_number(v) else f"{escaped(n)} {escaped(str(v))}" for n, v in found.items()]
        at = f", and is seen to fail at the record ${_tex(seen)}$" if seen is not None else ""
        return f"{', '.join([first, *said])}; the run {escaped(ended)}{at}."

    def latex(self) -> str:
        r"""A sentence for a paper: `\begin{example} ... \end{example}`."""
        said = self._arrays_in_latex()
        if self.scale is not None:
            said.append(f"g_0 = {_tex(self.scale)}")
        if isinstance(self.ratio, tuple):
            first, second, switch = map(_tex, self.ratio)
            said.append(rf"c = {first} \text{{ until }} t = {switch} \text{{, then }} {second}")
        elif self.ratio is not None:
            said.append(f"c = {_tex(self.ratio)}")
        said += self._numbers_in_latex()
        words = "".join(f", {escaped(n)} {escaped(str(v))}" for n, v in self.words.items())
        slacks = "; ".join(rf"${_number(v)} \ge 0$ for {_named(n)}" for n, v in self.slacks.items())
        inside = f" It is inside the hypotheses ({slacks})." if slacks else ""
        return "\n".join(
            [
                r"\begin{example}",
                rf"% against {self.claim.source}: {self.claim.statement}",
                f"Let ${'$, $'.join(said)}${words}.{inside}",
                *([motion] if (motion := self._motion_in_latex()) else []),
                rf"The residual of \texttt{{{escaped(self.claim.id)}}} is ${_number(self.residual)}$, its tolerance "
                + rf"${_number(self.tolerance)}$ ({self.precision}).",
                r"\end{example}",
            ]
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Fraction)) and not isinstance(value, bool) and bool(np.isfinite(float(value)))


def _matrix(values: Any) -> str:
    """Of nested lists, by rows."""
    rows = np.atleast_2d(np.asarray(values, float))
    rows = rows.reshape(-1, rows.shape[-1])
    body = r" \\ ".join(" & ".join(_tex(v) for v in row) for row in rows)
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


def _plain(value: Any) -> str:
    value = value if isinstance(value, Fraction) else exact(float(value))
    if value.denominator == 1:
        return str(value.numerator)
    return f"{value.numerator}/{value.denominator}" if value.denominator <= LONG else repr(float(value))


def _tex(value: Any) -> str:
    value = value if isinstance(value, Fraction) else exact(float(value))
    if value.denominator == 1:
        return str(value.numerator)
    if value.denominator > LONG:
        return _decimal(repr(float(value)))  # every digit: a reader does the run again
    return rf"{'-' * (value < 0)}\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _number(value: float) -> str:
    """A float in six digits for LaTeX.

    >>> _number(1.5e-9), _number(0.25)
    ('1.5 \\\\times 10^{-9}', '0.25')
    """
    return _decimal(f"{value:.6g}")


def _decimal(text: str) -> str:
    mantissa, e, power = text.partition("e")
    return text if not e else rf"{mantissa} \times 10^{{{int(power)}}}"


def _named(name: str) -> str:
    """A hypothesis: its mathematics goes in as it is.

    >>> print(_named("step $< 1$"), _named("3_seeds"))
    step $< 1$ \\texttt{3\\_seeds}
    """
    first, *rest = split(name)
    if not rest:
        return rf"\texttt{{{escaped(name)}}}"
    return escaped(first) + "".join(f"${piece}$" if i % 2 == 0 else escaped(piece) for i, piece in enumerate(rest))


def escaped(words: str) -> str:
    """Words for LaTeX."""
    for mark in "&%$#_{}":
        words = words.replace(mark, f"\\{mark}")
    return words.replace("^", r"\textasciicircum{}").replace("~", r"\textasciitilde{}")
