"""The table of faults: what is done to the laboratory, how often, and what must hold; for tests and `torture.py`."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path

from tests.compiled import shipped_environment

from .common import Outcome

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Fault:
    """A row of the table."""

    name: str
    """Also of the module here that holds the attack, unless `module` says another."""
    quick: int
    long: int
    does: str
    must: str
    unit: str = "tries"
    slow: bool = False
    """Takes more than about 10 s with quick counts."""
    shipped: bool = False
    """It is about bits: programs are compiled as a user's, in tests too."""
    own_test: bool = False
    """Its quick form is a test elsewhere."""
    module: str = ""

    @property
    def home(self):
        return importlib.import_module(f".{self.module or self.name}", __package__)

    def attack(self, count: int, seed: int, folder: Path, sabotage: str = "") -> Outcome:
        """In this process."""
        attack = self.home.attacks[self.name] if self.module else self.home.attack
        with self.home.SABOTAGE[sabotage]() if sabotage else contextlib.nullcontext():
            return attack(count, seed, folder)

    def alone(self, count: int, seed: int, folder: Path, sabotage: str = "", patience: float | None = None) -> Outcome:
        """In a process of its own, which may fork, limit and kill; it has `patience` seconds."""
        words = [self.name, str(count), str(seed), str(folder), *([sabotage] if sabotage else [])]
        command = [sys.executable, "-m", __package__, *words]
        environment = shipped_environment() if self.shipped else None
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=patience, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome(0, 1, f"the attack has not ended in {patience:.0f} s")
        try:
            return Outcome(**json.loads(done.stdout.splitlines()[-1]))
        except (IndexError, ValueError, TypeError):
            return Outcome(0, 1, f"the attack ended with code {done.returncode}: {done.stderr[-2000:]}")


FAULTS = {
    f.name: f
    for f in [
        Fault(
            "killed_writes", 200, 5_000, unit="kills",
            does="kill -9 at a random moment of a process that writes tiles",
            must="every tile it acknowledged is whole; no torn file has a tile's name",
        ),
        Fault(
            "every_write", 400, 5_000, unit="positions",
            does="death, EIO, ENOSPC, EDQUOT, EROFS, EACCES and short writes at every system call of every kind of "
            "write",
            must="what was there is whole, what is written is whole or absent, the error names the path (exit code "
            "74), and the same write succeeds afterwards",
        ),
        Fault(
            "unsynced", 200, 5_000, unit="crashes",
            does="a crash of the machine at a random call of two writers: unsynced data dropped, cut or zeroed, "
            "unsynced names forgotten",
            must="every tile and plan that was acknowledged is whole; the writers can begin again",
        ),
        Fault(
            "corrupted", 8_000, 200_000, unit="changes", slow=True,
            does="tiles with flipped bits, cut, zeroed, swapped, of a foreign plan, appended to, empty, garbage",
            must="reading notices every change; planning sets the tile aside, and a run computes the same bytes again",
        ),
        Fault(
            "writers_of_one_folder", 1_500, 160_000, unit="tiles", module="together",
            does="8 writers (32 where there are many tiles) on one folder, each tile written by two of them",
            must="every tile has the bytes of a lone writer; nothing temporary stays behind",
        ),
        Fault(
            "writers_of_one_tile", 100, 2_000, unit="rounds", module="together",
            does="8 writers on one tile, five times each",
            must="readers see it whole or not at all; its bytes are a lone writer's; nothing temporary stays behind",
        ),
        Fault(
            "disk_full", 40, 600, unit="fills", slow=True,
            does="a full tmpfs and a limit on the size of files at 20 fill levels; folders that may not be written; "
            "whole runs on a full disk",
            must="one line names the path and what there was to write (exit code 74); what is there is whole; with "
            "room again the rest is written",
        ),
        Fault(
            "hostile", 300, 3_000, unit="files", slow=True,
            does="pickles, headers that promise too much, endless and nested JSON, names that climb out, forged plans "
            "and tiles, links, pipes, devices and folders in the place of every file",
            must="one line at most, exit code 0, 1 or 2, under a second and 200 MB, nothing executed",
        ),
        Fault(
            "poisoned", 600, 2_500, unit="lanes", slow=True, shipped=True,
            does="nan, inf, 1e38, -1e308 and 5e-324 as start, step and ratio of one lane of eight, at each position",
            must="the other lanes keep their bits; the poisoned run ends with a status and is a row like the others",
        ),
        Fault(
            "foreign", 35, 350, unit="edits", slow=True,
            does="tiles of another library, machine, program or plan; edited helpers, claims, figures, comments, "
            "defaults",
            must="foreign tiles are refused with the remedy, or computed anew; what changes no bit computes nothing",
        ),
        Fault(
            "constants", 60, 500, unit="edits", slow=True,
            does="one number of a study's data edited (int, unsigned, bool, float32, float64; in a closure, a nested "
            "one, a helper module, a default, behind a label, an observable) and run into the folder of the other data",
            must="the run is computed again, and is gradient descent on the new data, by NumPy",
        ),
        Fault(
            "payloads", 300, 3_000, unit="pages", slow=True,
            does="204 payloads in every text field of a study's page and of the index, in labels of drawings, and "
            "drawings that were edited",
            must="the elements of the page are those of a page of plain words, and the words are there to be read",
        ),
        Fault(
            "mistyped", 300, 20_000, unit="mistakes", slow=True,
            does="mistyped commands, flags, studies, axes and values; study files with pieces replaced, lost or "
            "garbled",
            must="exactly one line, `error: FIELD: what; remedy`, exit code 2, nothing on stdout",
        ),
        Fault(
            "arrangements", 24, 500, unit="arrangements", slow=True, shipped=True,
            does="1, 2, 3 and 5 workers of 1, 2 and 4 devices, begun again after each tile, extended by seeds, and "
            "real ones",
            must="the tiles have the bytes of one worker on one device",
        ),
        Fault(
            "killed_runs", 40, 1_000, unit="kills", slow=True, shipped=True,
            does="kill -9 at a random moment of two workers on one plan, together or alone, until the sweep is done",
            must="every tile has the bytes of an uninterrupted run; none is damaged, none is missing",
        ),
        Fault(
            "cluster", 8, 80, unit="scenarios", own_test=True,
            does="a real SLURM: arrays, requeue, pre-emption, the warning before the time limit; a node, the controller "
            "and a worker killed; cancelled and submitted again",
            must="the tiles have the bytes of a run without SLURM",
        ),
    ]
}  # fmt: skip
