r"""Mathematics in a claim's words: between dollars, in a small LaTeX, read once and said in two ways.

    read    : text -> words and trees            `$...$` is mathematics, `\$` a dollar; a slip is a `Mistake`
    plain   : text -> text                       for terminals, tables and files
    typeset : text -> Markup                     for pages: MathML, which browsers draw without a script

What LaTeX draws, `typeset` draws, with TeX's spaces; the commands are those of `signs`. Terminals are told the same in
ASCII: blanks between factors are the author's own, parentheses of a quotient are those that it needs, x_0 is x0.

>>> print(plain(r"$|w'|^2 = |w|^2 + \eta^2 |\nabla_w h|^2$ at every step"))
|w'|^2 = |w|^2 + eta^2 |grad_w h|^2 at every step
>>> print(plain(r"$g_* \le \frac{1}{a + b}\sqrt{\lambda_{\min}}$"))
g* <= (1/(a + b)) sqrt(lambda_min)
>>> print(typeset("if $x < 1$"))
if <math><mi>x</mi><mo lspace="0.278em" rspace="0.278em">&lt;</mo><mn>1</mn></math>
>>> plain(r"$\lamda x$")
Traceback (most recent call last):
implicit_bias._errors.Mistake: text: no command is called \lamda, in $\lamda x$; did you mean 'lambda'?
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .formula import Accent, Fence, Fraction, Part, Root, Row, Script, Space, Words, flat, read, shown, sort_of
from ..page.markup import Markup, element, join
from .signs import Sign

# -- in a terminal -----------------------------------------------------------------------------------------------------


def plain(text: str, field: str = "text") -> str:
    """Words with their mathematics in ASCII; what has no dollar is returned as it is."""
    return "".join(piece if isinstance(piece, str) else _line(flat(piece), False) for piece in read(text, field))


def _line(parts: Sequence[Part], close: bool) -> str:
    """Parts in a row; in a script they stand `close`, as TeX has them there."""
    said, before, blank = "", None, False
    for place, part in enumerate(parts):
        if isinstance(part, Space):
            blank = blank or part.em >= 0
            continue
        if isinstance(part, Fraction):
            after = next((p for p in parts[place + 1 :] if not isinstance(p, Space)), None)
            word = _quotient(part, sort_of(before), sort_of(after), close)
        else:
            word = _word(part, close)
        said += _gap(before, part, said, word, blank, close) + word
        before, blank = part, False
    return said


def _gap(before: Part | None, part: Part, said: str, word: str, blank: bool, close: bool) -> str:
    """A blank between two parts, or nothing."""
    sorts = left, right = sort_of(before), sort_of(part)
    if right == "dot" and said[-1:].isdigit() or left == "dot" and word[:1].isdigit():
        return " "  # 2 . 3 is no 2.3
    if before is None or said.endswith(" ") or word.startswith(" ") or {"tight", "dot"} & {*sorts}:
        return ""
    touching = said[-1].isalnum() and word[:1].isalnum()
    if right == "point" or left == "prefix":
        return ""
    if left == "point" or {"binary", "relation"} & {*sorts}:
        return " " if touching or not close else ""
    if blank or right in ("name", "big") and left != "slash":
        return " "
    if not touching or "slash" in sorts:
        return " " if left == "Fraction" else ""
    letters = isinstance(before, Sign) and isinstance(part, (Sign, Script)) and left in ("letter", "number")
    short = letters and right == "letter" and (len(before.word) == 1 or left == "number") and len(_first(part)) == 1
    return "" if short else " "


def _first(part: Part) -> str:
    while isinstance(part, Script):
        part = part.base
    return part.word if isinstance(part, Sign) else ""


def _word(part: Part, close: bool) -> str:
    match part:
        case Sign():
            return "inf" if close and part.word == "infinity" else part.word
        case Words(text):
            return text
        case Row():
            return _line(flat(part), close)
        case Script():
            return _with_scripts(part)
        case Fraction():
            return _quotient(part, "", "", close)
        case Root(inside, None):
            return f"sqrt({_line(flat(inside), close)})"
        case Root(inside, degree):
            return f"({_line(flat(inside), close)})^(1/{_line(flat(degree), True)})"
        case Accent(_, word, inside):
            said = _line(flat(inside), True)
            return f"{said}_{word}" if said.isalnum() else f"{word}({said})"
        case Fence((_, left), inside, (_, right)):
            said = _line(flat(inside), close)
            if "|" in left and (said.startswith("|") or said.endswith("|")):
                said = f" {said} "  # | |v| - 1 |
            return left + said + right
    raise TypeError(type(part).__name__)


def _with_scripts(part: Script) -> str:
    base, inside = _word(part.base, False), shown(flat(Row((part.base,))))
    raised = inside and isinstance(inside[0], Script) and inside[0].above and "^" in base
    if len(inside) > 1 or raised or any(isinstance(p, Fraction) or isinstance(p, Root) and p.degree for p in inside):
        base = f"({base})"
    below, above = (_line(flat(row), True) if row else "" for row in (part.below, part.above))
    if above == "*":
        base, above = f"{base}*", ""
    if below:
        index = len(base) == 1 and base.isalpha() and re.fullmatch(r"\d", below)
        base += below if index or below in "*+" else f"_{_grouped(below)}"
    return base + "'" * part.primes + (f"^{_grouped(above)}" if above else "")


def _grouped(script: str) -> str:
    return script if re.fullmatch(r"[^\W\d_]+|-?\d+|-?\w|[^\w\s{]", script) else f"{{{script}}}"


def _quotient(part: Fraction, before: str, after: str, close: bool) -> str:
    """a/b with the parentheses that it needs, inside and around."""
    top, bottom = (_line(flat(row), close) for row in part)
    above, below = (shown(flat(row)) for row in part)
    top = f"({top})" if any(_ends_a_product(p, q) for p, q in zip(above, [*above[1:], None])) else top
    if len(below) == 2 and sort_of(below[0]) == "name" and isinstance(below[1], Fence):
        below = below[1:]  # log(x) is one factor
    differential = re.fullmatch(r"d[^\W\d]\w*|partial [^\W\d]\w*", bottom)
    bottom = f"({bottom})" if not differential and (len(below) > 1 or isinstance(below[0], Fraction)) else bottom
    slash = "/" if close or re.fullmatch(r"\S+|\(.*\)", top) and re.fullmatch(r"\S+|\(.*\)", bottom) else " / "
    said = top + slash + bottom
    goes_on = after not in ("", "binary", "relation", "point")
    return f"({said})" if goes_on or before in ("name", "big", "slash", "tight", "dot", "number") else said


def _ends_a_product(part: Part, after: Part | None) -> bool:
    """Whether a quotient would take only what comes last: of a sum, of a quotient, of `log n`."""
    sort = sort_of(part)
    if sort == "name":
        return not isinstance(after, Fence)
    return sort in ("binary", "relation", "point", "slash", "big", "Fraction")


# -- on a page ---------------------------------------------------------------------------------------------------------

LONG = 24
"""Letters of a formula in a terminal, beyond which it may be broken after its relations, signs and commas."""
_THIN, _MEDIUM, _THICK = "0.167em", "0.222em", "0.278em"
_AROUND = {
    "binary": (_MEDIUM, _MEDIUM),
    "dot": (_MEDIUM, _MEDIUM),
    "relation": (_THICK, _THICK),
    "point": ("0", _THIN),
}
_GLUE = "\u2060"
"""Between a formula and what follows it without a blank: no line is broken there."""


def typeset(text: str, field: str = "text") -> Markup:
    """Words, escaped, with their mathematics as MathML."""
    pieces = read(text, field)
    words = (_GLUE + p if i and not p[:1].isspace() and p else p for i, p in enumerate(pieces) if isinstance(p, str))
    return join(*(next(words) if isinstance(piece, str) else _formula(flat(piece)) for piece in pieces))


def _formula(parts: Sequence[Part]) -> Markup:
    """Elements next to each other are where a browser may break a line, as TeX does after a sign or a relation."""
    if len(_line(parts, False)) <= LONG:
        return element("math", *_drawn(parts, False))
    pieces: list[list[Part]] = [[]]
    for part in parts:
        pieces[-1].append(part)
        if sort_of(part) in ("binary", "relation", "point"):
            pieces.append([])
    pieces = [piece for piece in pieces if shown(piece)]
    return join(*(element("math", *_drawn(piece, False, piece is pieces[-1])) for piece in pieces))


def _drawn(parts: Sequence[Part], close: bool, ends: bool = True) -> list[Markup]:
    """The elements of parts in a row; in a script, or a fraction, they stand `close`. No space begins or ends it."""
    found, before, last = [], "", len(parts) - 1
    for place, part in enumerate(parts):
        if isinstance(part, Space):
            found += [element("mspace", width=f"{part.em:.3f}em")] if part.em else []
            continue
        if _is_apart(before, part):
            found.append(element("mspace", width=_THIN))
        alone = (not before, ends and place == last)
        found.append(_sign(part, close, *alone) if isinstance(part, Sign) else _element(part, close))
        before = sort_of(part)
    return found


def _is_apart(before: str, part: Part) -> bool:
    """TeX's thin space beside the name of a function, or a sum."""
    if before in ("name", "big"):
        of = part.base if isinstance(part, Script) else part
        named = isinstance(of, Fence) and of.left[0] in ("(", "[", "{", "⟨") and not of.grows
        return not named and sort_of(part) not in ("binary", "relation", "point", "slash", "tight")
    none = ("", "binary", "prefix", "relation", "point", "slash", "tight")
    return sort_of(part) in ("name", "big") and before not in none


def _one(parts: Sequence[Part], close: bool) -> Markup:
    found = _drawn(parts, close)
    return found[0] if len(found) == 1 else element("mrow", *found)


def _element(part: Part, close: bool) -> Markup:
    match part:
        case Sign():
            return _sign(part, close, False, False)
        case Words(text):
            kept = re.sub(r"^ | $", "\u00a0", text)
            return element("mtext", kept)
        case Row():
            return _one(flat(part), close)
        case Script():
            return _scripts(part, close)
        case Fraction(top, bottom):
            return element("mfrac", _one(flat(top), True), _one(flat(bottom), True))
        case Root(inside, None):
            return element("msqrt", *_drawn(flat(inside), close))
        case Root(inside, degree):
            return element("mroot", _one(flat(inside), close), _one(flat(degree), True))
        case Accent(mark, _, inside):
            over = element("mo", mark, stretchy="true" if len(shown(flat(inside))) > 1 else "false")
            return element("mover", _one(flat(inside), close), over, accent="true")
        case Fence():
            opens, closes = _fences(part)
            return element("mrow", opens, *_drawn(flat(part.inside), close), closes)
    raise TypeError(type(part).__name__)


def _fences(part: Fence) -> tuple[Markup, Markup]:
    said = {"stretchy": "true" if part.grows else "false", "lspace": "0", "rspace": "0"}
    ends = ((part.left[0], "prefix"), (part.right[0], "postfix"))
    opens, closes = (element("mo", sign, form=form, **said) if sign else Markup() for sign, form in ends)
    return opens, closes


def _sign(part: Sign, close: bool, first: bool, last: bool) -> Markup:
    match part.sort:
        case "number":
            return element("mn", part.sign)
        case "letter":
            upright = "Α" <= part.sign <= "Ω"  # capital Greek letters, as in LaTeX
            return element("mi", part.sign, **({"mathvariant": "normal"} if upright else {}))
        case "mark" | "name":
            return element("mi", part.sign, **({"mathvariant": "normal"} if len(part.sign) == 1 else {}))
    left, right = ("0", "0") if close else _AROUND.get(part.sort, ("0", "0"))
    left, right = "0" if first else left, "0" if last else right
    return element("mo", part.sign, lspace=left, rspace=right, **({"form": "prefix"} if part.sort == "prefix" else {}))


def _scripts(part: Script, close: bool) -> Markup:
    if isinstance(part.base, Fence) and not part.base.grows:  # as in TeX, at the height of what closes
        opens, closes = _fences(part.base)
        return element("mrow", opens, *_drawn(flat(part.base.inside), close), _with(closes, part))
    return _with(_element(part.base, close), part)


def _with(base: Markup, part: Script) -> Markup:
    """Something with the scripts of a part."""
    below = part.below
    above = [element("mo", "′" * part.primes, lspace="0", rspace="0")] if part.primes else []
    above += _drawn(flat(part.above), True) if part.above else []
    over = above[0] if len(above) == 1 else element("mrow", *above)
    if below and above:
        return element("msubsup", base, _one(flat(below), True), over)
    return element("msub", base, _one(flat(below), True)) if below else element("msup", base, over)
