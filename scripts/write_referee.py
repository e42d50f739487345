r"""What does the referee find?  Twenty planted falsehoods and ten true claims, each refuted in a process of its own.

    python scripts/write_referee.py [--minutes 5] [--only ID ...] [--to docs/referee.md]

The claims are those of tests/referee/planted.py. A falsehood that is not found within the time is written down as not found.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the commands do

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

HEAD = """# What the referee finds

`scripts/write_referee.py` writes this page, and `tests/referee/planted.py` holds the claims. `implicit-bias refute` is given
each with its usual budget and {minutes:g} minutes, in a process of its own, compilers and imports included, and knows nothing
of how the claim is false. Wall seconds are of {cores} cores, of which other work had a share (load {load:.1f}); CPU seconds are
the process's own. How it searches: [the referee](commands.md#the-referee).
"""


def one(name: str, minutes: float) -> dict[str, Any]:
    """What the referee says of one planted claim."""
    from implicit_bias import catalogue, session

    session.start()
    from implicit_bias.referee.refute import refute
    from tests.referee import planted

    known = planted.BY_ID[name]
    claim = dataclasses.replace(known.claim, expected="supported" if known.how == "true" else "refuted")
    entry = catalogue.Entry("planted", catalogue.template(), "")
    outcome = refute(entry, known.study, claim, minutes=minutes)
    if outcome.counterexample is not None:
        said = f"a run: {outcome.where}; {outcome.counterexample.times:.3g} times its tolerance"
    elif outcome.fallen is not None:
        said = f"a setting: {outcome.fallen.setting}"
    elif outcome.largest > -float("inf"):
        said = f"largest residual/tolerance {outcome.largest:.2g}"
    else:
        said = outcome.looked
    return {
        "id": name, "family": known.family, "how": known.how, "kind": claim.kind.name, "found": outcome.found,
        "runs": outcome.runs, "said": said, "left": outcome.clock.said != "",
    }  # fmt: skip


def measured(name: str, minutes: float) -> dict[str, Any]:
    """The same in a process of its own, with its seconds."""
    begun, before = time.perf_counter(), os.times()
    command = [sys.executable, __file__, "--one", name, "--minutes", str(minutes)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    after = os.times()
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.perf_counter() - begun, "cpu": cpu}


def _table(rows: list[dict[str, Any]], false: bool) -> list[str]:
    shown = ["| claim | family | kind | " + "false by | found | " * false + "s | CPU s | runs | what was seen |"]
    shown.append("|---|---|---|" + "---|---|" * false + "--:|--:|--:|---|")
    for r in rows:
        cells = [f"`{r['id']}`", r["family"], r["kind"]]
        cells += [r["how"], "yes" if r["found"] else "**no**"] if false else []
        seen = r["said"].replace("|", "\\|") if false or not r["found"] else f"**REFUTED**: {r['said']}"
        cells += [f"{r['seconds']:.0f}", f"{r['cpu']:.0f}", f"{r['runs']:,}", seen]
        shown.append(f"| {' | '.join(cells)} |")
    return shown


def page(rows: list[dict[str, Any]], minutes: float, load: float) -> str:
    false, true = [r for r in rows if r["how"] != "true"], [r for r in rows if r["how"] == "true"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found, refuted = sum(r["found"] for r in false), sum(r["found"] for r in true)
    lines = [HEAD.format(minutes=minutes, cores=cores, load=load), f"**{found} of {len(false)} falsehoods are found.**", ""]
    lines += _table(false, True)
    lines += ["", f"**{refuted} of {len(true)} true claims are refuted.** What was looked at in vain:", ""]
    lines += _table(true, False)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--one")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "referee.md")
    asked = parser.parse_args()
    if asked.only and asked.to == parser.get_default("to"):
        parser.error("the page has all of them: --only needs --to FILE")
    if asked.one:
        print(json.dumps(one(asked.one, asked.minutes)))
        return
    from tests.referee import planted

    rows, load = [], os.getloadavg()[0]
    for name in asked.only or planted.BY_ID:
        rows.append(measured(name, asked.minutes))
        r = rows[-1]
        print(f"{name}: {'found' if r['found'] else 'not found'} in {r['seconds']:.0f} s ({r['said']})", file=sys.stderr)
        asked.to.write_text(page(rows, asked.minutes, load))


if __name__ == "__main__":
    main()
