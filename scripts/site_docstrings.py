"""Docstrings for the documentation site: they are written to be read as text, and become Markdown that looks the same.

Examples are fenced; outside of code `<` is no tag and a lone `*`, as in x*, no emphasis: *words* alone are.

>>> print(markdown("|x* - a| < 1, *not* y*"))
|x\\* - a| &lt; 1, *not* y\\*
"""

import re

import griffe

EXAMPLE = re.compile(r"^(?P<margin> *)>>> .*(?:\n(?! *$).*)*", re.M)
CODE = re.compile(r"(^ *```.*?^ *```$|^ {4}.*$|`+[^`\n]+`+)", re.S | re.M)
EMPHASIS = re.compile(r"(?<![\w*|)])\*\w[^*\n]*(?<=[\w.])\*(?![\w*])")


def _prose(text: str) -> str:
    kept = [found.span() for found in EMPHASIS.finditer(text)]
    marks = [i for i, letter in enumerate(text) if letter in "*<"]
    for i in reversed([i for i in marks if text[i] == "<" or not any(a <= i < b for a, b in kept)]):
        text = text[:i] + ("\\*" if text[i] == "*" else "&lt;") + text[i + 1 :]
    return text


def markdown(docstring: str) -> str:
    """A docstring as Markdown."""
    fenced = EXAMPLE.sub(lambda found: f"{found['margin']}```pycon\n{found[0]}\n{found['margin']}```", docstring)
    return "".join(piece if i % 2 else _prose(piece) for i, piece in enumerate(CODE.split(fenced)))


class Markdown(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_) -> None:
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
