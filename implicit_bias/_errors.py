"""A user's mistake: one line that names the field and the remedy, never a traceback."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable


class Mistake(ValueError):
    """What the user asked for cannot be done as asked.

    The command prints it as one `error:` line and exits with 2; in a notebook it is an ordinary `ValueError`.

    >>> raise Mistake("step", "must be positive, got -0.1", "give a step above 0")
    Traceback (most recent call last):
    implicit_bias._errors.Mistake: step: must be positive, got -0.1; give a step above 0
    """

    exit_code = 2

    def __init__(self, field: str, what: str, remedy: str):
        super().__init__(f"{field}: {what}; {remedy}")
        self.field = field
        self.remedy = remedy


def nearest(name: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest right one, or the whole list.

    >>> nearest("robustnes", ["robustness", "path"])
    "did you mean 'robustness'?"
    >>> nearest("zzz", ["robustness", "path"])
    'known: path, robustness'
    """
    known = sorted(set(known))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + (", ".join(known) or "none")


def one_line(text: object, most: int = 4000) -> str:
    """Words of unknown origin as one line that does nothing to a terminal; what is endless loses its middle.

    >>> one_line("a\\nred \\x1b[31m"), one_line("x" * 99 + "; remedy", most=25)
    ('a red \ufffd[31m', 'xxxxxxxxxx ... xx; remedy')
    """
    words = " ".join(_shorter(word, 500, "...") for word in str(text).split())
    return _shorter("".join(c if c.isprintable() else "\ufffd" for c in words), most, " ... ")


def shorten(line: str, most: int) -> str:
    """A line that ends with dots where it is longer.

    >>> shorten("Where does it end?", 12)
    'Where ...'
    """
    return line if len(line) <= most else line[: most - 4].rsplit(" ", 1)[0].rstrip(" ,;:") + " ..."


def _shorter(text: str, most: int, gap: str) -> str:
    half = (most - len(gap)) // 2
    return text if len(text) <= most else text[:half] + gap + text[-half:]


def message_of(error: BaseException) -> str:
    """What an exception says; one of a user's may fail even in that."""
    try:
        return str(error)
    except Exception:
        return "(it has no message)"


def written_bytes(count: float) -> str:
    """A number of bytes for a reader.

    >>> written_bytes(12), written_bytes(3_400_000)
    ('12 B', '3.4 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def warn(message, category, filename, lineno, file=None, line=None) -> None:
    """A warning as a command shows it: in one line, without a source line of the library."""
    del filename, lineno, file, line
    word = "warning" if issubclass(category, UserWarning) else category.__name__
    print(f"{word}: {one_line(message)}", file=sys.stderr)
