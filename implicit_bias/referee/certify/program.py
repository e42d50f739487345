r"""The text of a certificate: what a claim's exact form calls, copied, so that the file needs python-flint alone.

The form is a function of a paper's `certified.py` and calls `ib.balls.flow`, ...; that prefix is dropped. What it calls is
found by name, in either file; a docstring becomes a comment, and a function that only returns becomes a line.

>>> name_of("released-ends-at-x*-as-printed"), written([[1, Fraction(1, 3)], "wn"])
('released_ends_at_x_as_printed', "[[1, fmpq(1, 3)], 'wn']")
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..counterexample import exact

MOST = 60
"""Lines of a certificate; where they are too few for blank ones, those go."""
WIDTH = 128
BALLS = Path(__file__).with_name("balls.py")
PREFIX = "ib.balls."

_END = """\
def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = {name}(**{{name: ball(value) for name, value in DATA.items()}})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {{[s.str(3) for s in slacks]}}"
print(f"{{verdict}}: residual in [{{low}}, {{high}}]{{' > 0' * (low > 0)}} ({{ctx.prec}} bits, {{len(STEPS)}} steps)")
"""


def name_of(claim: str) -> str:
    """The function that is the exact form of a claim."""
    return re.sub(r"\W+", "_", claim).strip("_")


def written(value: Any) -> str:
    """A number, a word or lists of them, as data of a certificate."""
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    number = value if isinstance(value, (int, Fraction)) else exact(float(value))
    return str(number.numerator) if number.denominator == 1 else f"fmpq({number.numerator}, {number.denominator})"


class Source:
    """Functions and constants of a file, as text."""

    def __init__(self, text: str):
        text = text.replace(PREFIX, "")
        self.lines = text.splitlines()
        self.nodes: dict[str, ast.stmt] = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                self.nodes[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.nodes[node.targets[0].id] = node

    def arguments(self, name: str) -> list[str]:
        node = self.nodes.get(name)
        return [a.arg for a in node.args.args] if isinstance(node, ast.FunctionDef) else []

    def needs(self, name: str) -> set[str]:
        return {n.id for n in ast.walk(self.nodes[name]) if isinstance(n, ast.Name)}

    def written(self, name: str) -> list[str]:
        """The lines of a function or constant, tight."""
        node = self.nodes[name]
        if not isinstance(node, ast.FunctionDef):
            return self.lines[node.lineno - 1 : node.end_lineno]
        said = " ".join((ast.get_docstring(node) or "").split())
        first = node.body[1] if said else node.body[0]
        above = self.lines[node.lineno - 1 : node.body[0].lineno - 1]
        body = [line for line in self.lines[first.lineno - 1 : node.end_lineno] if line.strip()]
        lines = _joined([*above, *body])
        if said and len(lines[0]) + len(said) + 4 <= WIDTH:
            return [f"{lines[0]}  # {said}", *lines[1:]]
        return [*_comment(said), *lines]


def _joined(lines: list[str]) -> list[str]:
    """With what is the whole body of a line at its right, where it fits: `if x:` and `return y`."""
    done: list[str] = []
    for i, line in enumerate(lines):
        depth = _indent(line)
        alone = i > 0 and _indent(lines[i - 1]) < depth and (i + 1 == len(lines) or _indent(lines[i + 1]) < depth)
        simple = not re.match(r"(if|for|while|def|with|try|else)\b", line.strip())
        if alone and simple and done[-1].endswith(":") and len(done[-1]) + len(line.strip()) < WIDTH:
            done[-1] += f" {line.strip()}"
        else:
            done.append(line)
    return done


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _comment(said: str) -> list[str]:
    return textwrap.wrap(said, WIDTH, initial_indent="# ", subsequent_indent="# ") if said else []


def program(form: str, name: str, data: Mapping[str, Any], heading: str, bits: int) -> str:
    """The file; `form` is the text of the paper's `certified.py`, `name` a function of it."""
    own, balls = Source(form), Source(BALLS.read_text())
    due, found = [name, "STEPS"], set()
    while due:
        now = due.pop()
        for source in (own, balls):
            if now in source.nodes and now not in found:
                found.add(now)
                due += source.needs(now)
                break
    blocks = [balls.written(n) for n in balls.nodes if n in found and n not in own.nodes]
    blocks += [own.written(n) for n in own.nodes if n in found]
    end = _END.format(name=name)
    text = "\n".join(line for block in blocks for line in block) + end
    flint = ("acb_mat", "arb", "arb_mat", "arb_series", "ctx", "fmpq")
    used = [n for n in flint if re.search(rf"\b{n}\b", f"{text} {written([*data.values()])}")]
    values = f"DATA = dict({', '.join(f'{n}={written(v)}' for n, v in data.items())})"
    head = [f'r"""{heading}"""', "from math import inf, nextafter", f"from flint import {', '.join(used)}"]
    head += [f"ctx.prec = ctx.cap = {bits}", *textwrap.wrap(values, WIDTH, subsequent_indent="    ")]
    tight = [line for block in blocks for line in block]
    for body in (
        [line for block in blocks for line in ([""] * (len(block) > 1) + block)] + [""],
        [*tight[: -len(blocks[-1])], "", *blocks[-1], ""],
        tight,
    ):
        text = "\n".join([*head, *body, end])
        if len(text.splitlines()) <= MOST:
            break
    return text
