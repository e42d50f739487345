"""Write what README.md and docs/ show of the project: an excerpt of the README's study, and the table of all studies.

    .venv/bin/python scripts/write_docs.py      (scripts/write-docs draws the README's figure, too)
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from implicit_bias import catalogue

STUDY = ROOT / "experiments/wu2020/robustness.py"
SHOWN = ("cell", "weight-normalisation-limit", "study")
"""What of the study the README shows, in this order: lines but for a margin, `# ...` for what stands between."""
BEGIN = "# Studies\n\nEvery study by paper, and its question. `implicit-bias run STUDY` runs one.\n"


def _named(node: ast.AST) -> str | None:
    if isinstance(node, ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.Call):
        given = {k.arg: k.value for k in node.keywords}
        return given["id"].value if isinstance(given.get("id"), ast.Constant) else None
    return None


def excerpt(path: Path = STUDY, shown: tuple[str, ...] = SHOWN) -> str:
    """The first line of a study and some of its definitions."""
    text = path.read_text()
    lines, tree = text.splitlines(), ast.parse(text)
    found = {_named(node): node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Assign, ast.Call))}
    nodes = [found[name] for name in shown]
    parts = [textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno])) for node in nodes]
    return "\n\n# ...\n".join([f'{lines[0]}"""\n\n# ...\n{parts[0]}', *parts[1:]]) + "\n"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def studies() -> str:
    """docs/studies.md"""
    lines, paper = [BEGIN], None
    for entry in catalogue.entries():
        if entry.paper != paper:
            paper = entry.paper
            lines += [f"\n## {paper}\n", f"[The paper, judged](papers/{paper}.md)\n"]
            lines += ["| study | question |", "|---|---|"]
        lines.append(f"| `{entry.name}` | {cell(entry.summary)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    (ROOT / "docs/studies.md").write_text(studies())
    readme = ROOT / "README.md"
    block = f"<!-- study -->\n```python\n{excerpt()}```\n<!-- /study -->"
    readme.write_text(re.sub(r"<!-- study -->.*?<!-- /study -->", lambda _: block, readme.read_text(), flags=re.S))


if __name__ == "__main__":
    main()
