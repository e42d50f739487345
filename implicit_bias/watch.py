"""`--watch`: a command again whenever a file is saved that its verdicts or its drawings were made from.

Each time it is a new process, because code that was loaded stays loaded: what is shown is what the files say.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import catalogue
from ._errors import Mistake
from ._files import FilePath
from .evidence import verdicts
from .sweep.ask.names import plan_of

EVERY = 0.2
"""Seconds between looks at the files' times."""
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from implicit_bias.cli import main; sys.exit(main(sys.argv[2:]))"
)


def watched(folders: Iterable[tuple[str, FilePath]]) -> set[Path]:
    """The files of some studies: their folders' modules, what their verdicts were made from, and their plans."""
    found: set[Path] = set()
    for name, path in folders:
        try:
            folder = catalogue.find(name).path.resolve().parent
            plan = plan_of(path, name)[1]
        except (Mistake, OSError):
            continue
        kept = verdicts.read_kept(plan)
        read = [p for p, digest in (kept.sources or {}).get("files", {}).items() if digest] if kept else []
        found |= {folder / p for p in read} | {*folder.glob("*.py")}
        found |= {Path(p) for p in (plan, plan.parent) if isinstance(p, Path)}
    return found


def times(files: Iterable[Path]) -> dict[Path, tuple[int, int] | None]:
    """When each file was written, and how long it is; None for one that is not there."""
    found: dict[Path, tuple[int, int] | None] = {}
    for path in files:
        try:
            status = os.stat(path)
            found[path] = status.st_mtime_ns, status.st_size
        except OSError:
            found[path] = None
    return found


def watch(words: Sequence[str], folders: Sequence[tuple[str, FilePath]]) -> int:
    """Run a command now and after every change; 0 when Ctrl-C ends it."""
    call = [sys.executable, "-c", _CODE, json.dumps(sys.path), *words]
    try:
        while True:
            seen = times(watched(folders))
            process = subprocess.Popen(call)
            try:
                process.wait()
            except KeyboardInterrupt:  # the terminal has told the process, too
                process.wait()
                raise
            # what is new to the list was read by that process: only what it may not have seen counts as a change
            seen = times(watched(folders)) | seen
            print("watching; Ctrl-C ends it", file=sys.stderr, flush=True)
            while times(seen) == seen:
                time.sleep(EVERY)
    except KeyboardInterrupt:
        return 0
