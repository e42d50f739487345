"""Runs docs/tutorial.ipynb and writes what its cells show: `.venv/bin/python scripts/write_tutorial.py`.

Cells are run one after the other as Jupyter runs them, in this process and in a folder of their own: what is printed,
then what the last expression shows. Of that its text is kept, and one thing that is small: the table of a plan or of
verdicts, the picture of a figure. Bars are not kept. tests/test_notebook.py runs the same, and holds it against the file.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs" / "tutorial.ipynb"


def read(path: Path = NOTEBOOK) -> dict[str, Any]:
    return json.loads(path.read_text())


def run(source: str, names: dict[str, Any]) -> tuple[str, Any]:
    """What a cell prints, and the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, "cell", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return printed.getvalue(), value


def shown(value: Any) -> dict[str, Any]:
    """What a notebook keeps of a value."""
    kept = {"text/plain": repr(value)}
    if hasattr(value, "_repr_svg_"):
        kept["image/svg+xml"] = value._repr_svg_()
    elif type(value).__module__.startswith("implicit_bias"):
        kept["text/html"] = value._repr_html_()
    return kept


def outputs(printed: str, value: Any, number: int) -> list[dict[str, Any]]:
    """As nbformat has them."""
    found: list[dict[str, Any]] = []
    if printed:
        found.append({"name": "stdout", "output_type": "stream", "text": _lines(printed)})
    if value is not None:
        data = {kind: _lines(text) for kind, text in shown(value).items()}
        found.append({"data": data, "execution_count": number, "metadata": {}, "output_type": "execute_result"})
    return found


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with what its cells show, run in the current folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, number = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            number += 1
            seen = outputs(*run("".join(cell["source"]), names), number)
            cell = {**cell, "execution_count": number, "outputs": seen}
        cells.append(cell)
    return {**notebook, "cells": cells}


def main() -> None:
    from implicit_bias.session import start

    start()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        done = executed(read())
    NOTEBOOK.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n")
    print(f"{os.path.relpath(NOTEBOOK)}: {NOTEBOOK.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
