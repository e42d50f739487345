"""What the documentation site does beside mkdocs: mathematics between dollars becomes MathML, which needs no script.

`$...$` outside code is read by `implicit_bias.evidence.tex`, the same that typesets a claim's statement, so that a slip
fails the build. While Markdown is read, a word stands for each, since `*`, `_` and `|` would mean something there.
Also links that lead out of docs/ (../README.md, ../scripts/bench.py) are shown as the names of those files.
"""

import posixpath
import re

from implicit_bias.evidence.tex import typeset

CODE = re.compile(r"(^ *```.*?^ *```[^\n]*$|(`+).+?\2)", re.S | re.M)
MATHS = re.compile(r"(?<![\\$\w])\$(?=\S)([^$\n]*(?:\n[^$\n]+)?[^$\s])\$(?!\d)")
LINK = re.compile(r"\[([^\]]+)\]\((\.\.?/[^)#:]+)(#[^)]*)?\)")
_set: list[str] = []


def _outside_code(text: str, change) -> str:
    """`change` of what is not code: `CODE` has two groups, so that of three pieces one is text."""
    pieces = CODE.split(text)
    return "".join(change(p) if i % 3 == 0 else p for i, p in enumerate(pieces) if i % 3 != 2)


def _kept(found: re.Match) -> str:
    # a bar inside a table is written \|
    _set.append(str(typeset(f"${found[1]}$".replace(r"\|", "|").replace("\n", " "))))
    return f"mathematics{len(_set) - 1}here"


def on_page_markdown(markdown: str, *, page, **_) -> str:
    folder = posixpath.dirname(page.file.src_uri)

    def named(found: re.Match) -> str:
        path = posixpath.normpath(posixpath.join(folder, found[2]))
        return f"`{path.removeprefix('../')}`" if path.startswith("../") else found[0]

    return _outside_code(markdown, lambda text: LINK.sub(named, MATHS.sub(_kept, text)))


def _back(html: str) -> str:
    return re.sub(r"mathematics(\d+)here", lambda found: _set[int(found[1])], html)


def on_page_content(html: str, **_) -> str:
    return _back(html)


def on_post_page(output: str, **_) -> str:
    """Headings, which the table of contents has, too."""
    return _back(output)
