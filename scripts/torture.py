"""Attack the laboratory, and write down what it lost:  docs/reliability.json, and from it docs/reliability.md.

    python scripts/torture.py                          every fault, as often as tests/faults/table.py says under `long`
    python scripts/torture.py killed_writes unsynced   these
    python scripts/torture.py --counts quick           as often as the tests
    python scripts/torture.py --scale 0.1 --seed 7     a tenth as often, with other random numbers
    python scripts/torture.py --render                 the page again, of what was tried before

Results of faults that are not named stay as they are. Exit code 1 if anything was lost.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.faults.table import FAULTS, Fault

PAGE = """# Reliability

Written by `scripts/torture.py` from `reliability.json`: what was done to the laboratory, how often, and what it lost.

What it promises:

- **A tile is done if and only if its file is valid.** A file is written under a temporary name, synced, renamed, and
  its folder is synced; so are the names of new folders. What `Store.write` has acknowledged outlives a kill and a
  crash.
- **What is damaged is noticed.** Every bit of a tile is under a checksum, and its name is a hash of what determines it.
  A tile that is torn, changed, foreign or no file at all is set aside, named in a warning, and computed again.
- **Who computes what, when and where changes no bit.** Any number of workers on any number of devices, killed and begun
  again, extended or interrupted, write the bytes of one uninterrupted run.
- **A run that fails is a row.** Numbers that are not finite end as a status, and leave their companions' bits alone.
- **Verdicts are of the study that they stand under.** Editing a claim judges the same runs again; where the cell, an
  observable or a grid was edited, `check`, `status`, the page and the index say of which study the runs are, and `cite`
  gives no verdict, until `run` has computed today's.
- **What cannot be written or read is said in one line** that names the field or path, and the remedy; exit code 2, or
  74 (`EX_IOERR`) where results cannot be written. Finished tiles are kept, and the same command goes on.
- **Results of strangers are read, not run.** No pickle; sizes are bounded before a file is read; a page is inert
  whatever its words are. A *study* is a program: `check`, `report` and `work` run the study file that a plan names.

| what is done | times | lost | what must hold | seconds |
|---|---:|---:|---|---:|
{rows}

{machine}{notes}

Each attack is a module of `tests/faults/`, with the table of them in `table.py`; each try has its own random numbers,
which follow from the seed and the number of the try. `scripts/test tests/faults` runs them as often as
`--counts quick`, and shows that those of the store and of the pages find what a sabotaged laboratory loses. To run them
oneself:

```sh
.venv/bin/python scripts/torture.py             # or names of faults; --scale 10, --seed 7, --counts quick
```
"""


def row(fault: Fault, result: Mapping[str, Any]) -> str:
    cells = (
        fault.does,
        f"{result['tried']:,} {fault.unit}",
        f"{result['lost']:,}",
        fault.must,
        f"{result['seconds']:,}",
    )
    return "| " + " | ".join(str(c).replace("|", r"\|") for c in cells) + " |"


def rendered(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page. Only what was really tried is on it."""
    tried = {name: (FAULTS[name], results[name]) for name in FAULTS if results.get(name, {}).get("tried")}
    cores = sorted({result["cores"] for _, result in tried.values()})
    lost = [f"- {f.name}, {r['lost']:,} lost: {r['what']}" for f, r in tried.values() if r["lost"]]
    notes = [f"- {f.name}: {r['note']}" for f, r in tried.values() if r["note"]]
    listed = "".join(
        f"\n\n{title}:\n\n" + "\n".join(lines) for title, lines in (("Lost", lost), ("Notes", notes)) if lines
    )
    return PAGE.format(
        rows="\n".join(row(*one) for one in tried.values()),
        machine=f"On a machine of {' and of '.join(map(in_words, cores))}." if cores else "Nothing was tried yet.",
        notes=listed,
    )


def in_words(cores: int) -> str:
    """
    >>> in_words(1), in_words(2), in_words(64)
    ('one core', 'two cores', '64 cores')
    """
    words = {1: "one", 2: "two", 3: "three", 4: "four", 6: "six", 8: "eight", 12: "twelve"}
    return f"{words.get(cores, cores)} core{'s' * (cores != 1)}"


def tortured(fault: Fault, count: int, seed: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix=f"torture-{fault.name}-"))
    begun = time.monotonic()
    outcome = fault.alone(count, seed, folder)
    seconds = round(time.monotonic() - begun)
    if outcome.lost:
        print(f"  what is left of it is in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = dict(tried=outcome.tried, lost=outcome.lost, what=outcome.what, note=outcome.note)
    return {**found, "seed": seed, "seconds": seconds, "cores": cores}


def options_of(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)} (default: all)")
    parser.add_argument("--counts", choices=["quick", "long"], default="long")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="so many times as often")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "reliability.md", metavar="FILE")
    parser.add_argument("--render", action="store_true", help="try nothing: write the page again")
    asked = parser.parse_args(argv)
    if unknown := [name for name in asked.faults if name not in FAULTS]:
        parser.exit(2, f"error: FAULT: there is no {unknown[0]!r}; known: {', '.join(FAULTS)}\n")
    if not asked.scale > 0 or asked.seed < 0:
        parser.exit(2, "error: scale, seed: must be positive; write --scale 0.1 --seed 7\n")
    return asked


def main(argv: Sequence[str] | None = None) -> int:
    asked = options_of(argv)
    kept = asked.out.with_suffix(".json")
    kept.parent.mkdir(parents=True, exist_ok=True)
    lost = 0
    for name in [] if asked.render else asked.faults or FAULTS:
        fault = FAULTS[name]
        count = max(1, round(asked.scale * getattr(fault, asked.counts)))
        found = tortured(fault, count, asked.seed)
        lost += found["lost"]
        said = f"{name}: {found['tried']:,} {fault.unit}, {found['lost']:,} lost, {found['seconds']:,} s"
        print("; ".join(filter(None, (said, found["what"], found["note"]))), flush=True)
        # after each, so that an interrupted hour is not lost; and read again, because another torture may run meanwhile
        results = {**read(kept), name: found}
        kept.write_text(json.dumps(results, sort_keys=True, indent=1) + "\n")
        asked.out.write_text(rendered(results))
    asked.out.write_text(rendered(read(kept)))
    return 1 if lost else 0


def read(kept: Path) -> dict[str, Any]:
    return json.loads(kept.read_text()) if kept.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
