"""Writes docs/certificates/*.py and docs/certificates.md: each claim that has an exact form and data, proved false.

    python scripts/write_certificates.py [PAPER ...]     (all)

The data are the EXAMPLES of a paper's `certified.py`. A claim that is not proved false stops it.
"""

from __future__ import annotations

import ast
import re
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from implicit_bias import catalogue, claim_names, session  # noqa: E402
from implicit_bias.referee.certify.certify import file_of, heading, prove, proved  # noqa: E402
from implicit_bias.referee.certify.program import name_of, program  # noqa: E402

FOLDER = ROOT / "docs" / "certificates"
HEAD = """# Certificates

Statements that the laboratory holds false, proved false: each is a Python file of at most 60 lines that needs `python-flint`
alone and does the counterexample in ball arithmetic. A ball holds the true number, a comparison is true where it is certain,
so `residual in [a, b] > 0` is a proof, by computer, that the statement fails on the data in the file. Every step of a descent
is enclosed; a flow by Taylor's polynomial with a bound of its remainder; where it ends, from where the loss is small, with a
bound of how far it can still move; x* by a linear system; a cycle by a contraction. How one is made of a claim of yours:
[Make it a proof](how-to/certificate.md).

```sh
pip install python-flint
python docs/certificates/{first}
```

`scripts/write_certificates.py` writes this page and the files; a test runs each of them.
"""


def examples() -> list[tuple[str, Path, Any, dict[str, Any]]]:
    """(address, folder, claim, data) of every claim with data for its exact form."""
    found = []
    for folder in sorted(path.parent for path in (ROOT / "experiments").glob("*/certified.py")):
        claims = claim_names.claims_of([entry for entry in catalogue.entries() if entry.paper == folder.name])
        by_id = {claim.id: (entry, claim) for entry, _, claim in reversed(claims)}
        for claim, data in _literal(folder / "certified.py").items():
            entry, known = by_id[claim]
            found.append((claim_names.address(entry, known), folder, known, data))
    return found


def _literal(path: Path) -> dict[str, dict[str, Any]]:
    """EXAMPLES of a file, which need nothing but Fraction."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "EXAMPLES":
            return eval(compile(ast.Expression(node.value), path, "eval"), {"Fraction": Fraction, "dict": dict})
    return {}


def text_of(address: str, folder: Path, claim: Any, data: dict[str, Any], bits: int) -> str:
    """A certificate as it would be written today."""
    said = heading(address, claim.source, claim.statement)
    return program((folder / "certified.py").read_text(), name_of(claim.id), data, said, bits)


def page(rows: list[tuple[str, Any, str]]) -> str:
    lines = [HEAD.format(first=file_of(rows[0][0])).rstrip()]
    paper = ""
    for address, claim, said in rows:
        if address.partition("/")[0] != paper:
            paper = address.partition("/")[0]
            lines += [f"\n## {paper}\n"]
        name = file_of(address)
        study = address.rpartition(":")[0]
        lines += [f"- [{claim.id}](certificates/{name}) of `{study}` ({claim.source}): {claim.statement}.<br>", f"  `{said}`"]
    return "\n".join(lines) + "\n"


def main(papers: list[str]) -> None:
    session.start()
    FOLDER.mkdir(exist_ok=True)
    rows = []
    for address, folder, claim, data in examples():
        path = FOLDER / file_of(address)
        if papers and folder.name not in papers and path.is_file():
            rows.append((address, claim, re.search(rf"\(certificates/{path.name}\).*\n  `(.*)`", PAGE.read_text())[1]))
            continue
        begun = time.time()
        said = prove(folder, address, claim.source, claim.statement, data, path)
        if not proved(said):
            raise SystemExit(f"{address}: {said}")
        print(f"{address}: {said} in {time.time() - begun:.1f} s, {len(path.read_text().splitlines())} lines")
        rows.append((address, claim, said))
    PAGE.write_text(page(rows))


PAGE = ROOT / "docs" / "certificates.md"

if __name__ == "__main__":
    main(sys.argv[1:])
