r"""Reading mathematics: words with a small LaTeX between dollars, into words and trees.

    read : text -> (words, Row, words, Row, ..., words)

A tree has the parts below. Brackets and bars are paired here, so both maps of `tex` know what they hold; whether a bar
opens or closes is told by what stands before it. A slip is a `Mistake` of the field that it stands in.

>>> read("if $x_0 < 1$")[1].parts[0]
Script(base=Sign('letter', 'x', 'x'), below=Row(parts=(Sign('number', '0', '0'),)), above=None, primes=0)
>>> read("$|x$", "statement", "claim small: ")
Traceback (most recent call last):
implicit_bias._errors.Mistake: statement: claim small: | is not closed, in $|x$; close it; a bar of its own is \mid
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Sequence
from typing import NamedTuple, Union

from ..._errors import Mistake, nearest
from .signs import (
    ACCENTS,
    ALPHABETS,
    BARS,
    BY_SIGN,
    CLOSES,
    COMMANDS,
    OPENS,
    SIZES,
    SPACES,
    TYPED,
    UPRIGHT,
    WORDS,
    Sign,
    styled,
)

DEEPEST = 40
"""Groups within groups, beyond which nobody reads a formula."""


class Space(NamedTuple):
    """A space of so many em; of none where it is a blank of the source, which LaTeX ignores and a terminal shows."""

    em: float


class Words(NamedTuple):
    text: str


class Row(NamedTuple):
    parts: tuple[Part, ...]


class Script(NamedTuple):
    base: Part
    below: Row | None
    above: Row | None
    primes: int = 0


class Fraction(NamedTuple):
    top: Row
    bottom: Row


class Root(NamedTuple):
    inside: Row
    degree: Row | None


class Accent(NamedTuple):
    mark: str
    word: str
    inside: Row


class Fence(NamedTuple):
    """Left and right as (sign, word), empty for the dot of `\\left.`; after `\\left` it grows with what it holds."""

    left: tuple[str, str]
    inside: Row
    right: tuple[str, str]
    grows: bool = False


Part = Union[Sign, Space, Words, Row, Script, Fraction, Root, Accent, Fence]


# -- reading -----------------------------------------------------------------------------------------------------------


class _Slip(Exception):
    pass


def read(text: object, field: str = "text", whose: str = "") -> tuple[str | Row, ...]:
    """Words and formulas in turn; a slip is a `Mistake` of that field, with `whose` it is."""
    if not isinstance(text, str):
        raise Mistake(field, f"{whose}is {text!r}", "give words, with mathematics between dollars")
    try:
        return _read(text)
    except _Slip as slip:
        what, remedy = slip.args
        raise Mistake(field, whose + what, remedy) from None


@functools.lru_cache(maxsize=None)
def _read(text: str) -> tuple[str | Row, ...]:
    pieces = split(text)
    if len(pieces) % 2 == 0:
        raise _Slip(f"one $ is without its partner, in {text!r}", r"close the mathematics; a dollar itself is \$")
    found: list[str | Row] = []
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            found.append(piece.replace(r"\$", "$"))
            continue
        try:
            found.append(_Reader(piece).whole())
        except _Slip as slip:
            raise _Slip(f"{slip.args[0]}, in ${piece}$", slip.args[1]) from None
    return tuple(found)


def split(text: str) -> list[str]:
    """The source of words and formulas in turn.

    >>> split("the size $|x|$ costs \\\\$5")
    ['the size ', '|x|', ' costs \\\\$5']
    """
    return re.split(r"(?<!\\)\$", text)


_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)
_OPERATORS = ("binary", "prefix", "relation", "point", "slash", "tight", "dot", "name", "big")
_COMMANDS = (*COMMANDS, *ACCENTS, *ALPHABETS, *WORDS, *UPRIGHT, *SIZES, "frac", "sqrt", "left", "right", "operatorname")


def _unescaped(text: str) -> str:
    return re.sub(r"\\([&%#_{}])", r"\1", text)


class _Reader:
    def __init__(self, source: str):
        self.tokens = _TOKEN.findall(source)
        self.at = self.depth = 0

    def whole(self) -> Row:
        row = self.row()
        if self.at < len(self.tokens):
            raise _Slip(f"{self.tokens[self.at]} closes what nothing opens", "leave it out, or open it before")
        if not any(not isinstance(part, Space) for part in row.parts):
            raise _Slip("there is no mathematics between two dollars", r"a dollar itself is \$")
        return row

    def row(self, bar: tuple[str, str] | None = None) -> Row:
        """Up to what closes it, which is left to be read."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise _Slip(f"there are more than {DEEPEST} groups within groups", "name a part of it")
        parts: list[Part] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            closes = token in CLOSES or token in ("}", r"\right")
            if closes or (bar is not None and BARS.get(token) == bar and not _wants_an_operand(parts)):
                break
            self.at += 1
            if token in ("^", "_", "'"):
                self.script(token, parts)
            elif token[1:] not in SIZES or token[0] != "\\":
                part = self.part(token)
                if isinstance(part, Sign) and part.sort == "binary" and _wants_an_operand(parts):
                    part = part._replace(sort="prefix")
                parts.append(part)
        self.depth -= 1
        return Row(tuple(parts))

    def part(self, token: str) -> Part:
        if token.isspace():
            return Space(0.0)
        if token == "{":
            inside = self.row()
            self.close("{", ("}",))
            return inside
        if token in OPENS:
            inside = self.row()
            return Fence(OPENS[token], inside, CLOSES[self.close(token, CLOSES)])
        if token in BARS:
            inside = self.row(BARS[token])
            return Fence(BARS[token], inside, BARS[self.close(token, BARS)])
        if token[0].isdigit():
            return Sign("number", token, token)
        if token in TYPED:
            return TYPED[token]
        if token[0] == "\\":
            return self.command(token[1:])
        if token in BY_SIGN:
            return BY_SIGN[token]
        if token.isalpha():
            return Sign("letter", token, token)
        remedy = rf"write \{token}" if token in "&%#" else "write it outside the dollars"
        raise _Slip(f"{token!r} has no meaning", remedy)

    def close(self, opened: str, closing: Container[str]) -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if token not in closing:
            what = f"{token} comes before {opened} is closed" if token else f"{opened} is not closed"
            raise _Slip(what, r"close it; a bar of its own is \mid" if opened == "|" else "close it")
        self.at += 1
        return token

    def command(self, name: str) -> Part:
        if name in COMMANDS:
            return COMMANDS[name]
        if name in SPACES:
            return Space(SPACES[name])
        if name in ("frac", "tfrac", "dfrac"):
            return Fraction(self.argument(name), self.argument(name))
        if name == "sqrt":
            degree = None
            if self.tokens[self.at : self.at + 1] == ["["]:
                self.at += 1
                degree = self.row()
                self.close("[", ("]",))
            return Root(self.argument(name), degree)
        if name in ACCENTS:
            return Accent(*ACCENTS[name], self.argument(name))
        if name in ALPHABETS:
            parts = self.argument(name).parts
            return Row(tuple(p._replace(sign="".join(styled(c, name) for c in p.sign)) if isinstance(p, Sign) else p for p in parts))
        if name in WORDS:
            return Words(_unescaped(self.raw(name)))
        if name in UPRIGHT:
            word = _unescaped(self.raw(name))
            return Sign("mark", word, word)
        if name == "operatorname":
            if self.tokens[self.at : self.at + 1] == ["*"]:
                self.at += 1
            word = _unescaped(self.raw(name))
            return Sign("name", word, word)
        if name == "left":
            left = self.delimiter()
            inside = self.row()
            self.close(r"\left", (r"\right",))
            return Fence(left, inside, self.delimiter(), grows=True)
        remedy = nearest(name, _COMMANDS)
        raise _Slip(
            rf"no command is called \{name}",
            remedy if remedy.startswith("did") else rf"write it in words, or \operatorname{{{name}}}",
        )

    def delimiter(self) -> tuple[str, str]:
        self.skip_blanks()
        token = "".join(self.tokens[self.at : self.at + 1])
        known = {**OPENS, **CLOSES, **BARS, ".": ("", ""), "<": ("⟨", "<"), ">": ("⟩", ">")}
        if token not in known:
            raise _Slip(r"\left or \right has no fence after it", r"write \left( ... \right), with . for none")
        self.at += 1
        return known[token]

    def skip_blanks(self) -> None:
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1

    def argument(self, of: str) -> Row:
        """A group, or one sign: of a number its first digit, as in TeX."""
        self.skip_blanks()
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if not token or token in ("}", "^", "_", "'", r"\right") or token in CLOSES:
            raise _Slip(f"nothing comes after {_spelled(of)}", "give it a group in braces")
        if token in OPENS or token in BARS:
            raise _Slip(f"{_spelled(of)} takes one sign or a group", f"write {_spelled(of)}{{...}}")
        if token[0].isdigit() and len(token) > 1:
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
            token = token[0]
        self.at += 1
        part = self.part(token)
        if isinstance(part, Sign) and part.sort == "binary":
            part = part._replace(sort="prefix")
        return part if isinstance(part, Row) else Row((part,))

    def raw(self, of: str) -> str:
        """The words of a group, as they are."""
        self.skip_blanks()
        if self.tokens[self.at : self.at + 1] != ["{"]:
            raise _Slip(f"nothing comes after {_spelled(of)}", rf"write \{of}{{...}}")
        start, depth = self.at + 1, 0
        while self.at < len(self.tokens):
            depth += {"{": 1, "}": -1}.get(self.tokens[self.at], 0)
            self.at += 1
            if depth == 0:
                return "".join(self.tokens[start : self.at - 1])
        raise _Slip("{ is not closed", "close it")

    def script(self, mark: str, parts: list[Part]) -> None:
        """A sub- or superscript, or a prime, of the part before it."""
        while parts and parts[-1] == Space(0.0):
            parts.pop()
        base = parts.pop() if parts else Row(())
        base = base if isinstance(base, Script) else Script(base, None, None)
        if mark == "'":
            base = base._replace(primes=base.primes + 1)
        else:
            place = "below" if mark == "_" else "above"
            if getattr(base, place) is not None:
                raise _Slip(f"there are two {mark} at one sign", f"put braces around the first: {{x{mark}a}}{mark}b")
            base = base._replace(**{place: self.argument(mark)})
        parts.append(base)


def _spelled(of: str) -> str:
    return of if of in ("^", "_") else f"\\{of}"


def sort_of(part: Part | None) -> str:
    """The sort of a sign, with or without scripts; else "" where there is nothing, and the kind of the part."""
    while isinstance(part, Script):
        part = part.base
    return part.sort if isinstance(part, Sign) else "" if part is None else type(part).__name__


def shown(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, Space)]


def _wants_an_operand(parts: Sequence[Part]) -> bool:
    seen = shown(parts)
    return not seen or sort_of(seen[-1]) in _OPERATORS


def flat(row: Row) -> list[Part]:
    """Without the groups, which are seen in nothing but their scripts."""
    return [inner for part in row.parts for inner in (flat(part) if isinstance(part, Row) else [part])]
