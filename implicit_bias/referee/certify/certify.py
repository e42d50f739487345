"""`refute CLAIM --certify`: a counterexample as a certificate, written and run.

What proves is the file itself: it is run by a Python of its own, in more and more bits, and what it prints is reported.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..counterexample import Counterexample
from .program import WIDTH, Source, name_of, program

BITS = (64, 128, 192, 256, 512, 1024, 4096, 16384)
"""A step of descent costs a bit or two where its data are many; a flow in more than some hundred runs out of time."""
SECONDS = 60.0
FORMS = "certified.py"


class NotCertified(Exception):
    """Why there is no proof, in a line."""


def proved(said: str) -> bool:
    """Of what a certificate prints."""
    return said.startswith("PROVED FALSE")


def run(path: Path, seconds: float = SECONDS) -> str:
    """What a certificate prints, in a line; where it stops, why."""
    try:
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"not proved: it ran for more than {seconds:g} s"
    lines = (done.stdout or done.stderr).strip().splitlines() or ["it printed nothing"]
    return lines[-1] if done.stdout else f"not proved: {lines[-1].partition(': ')[2] or lines[-1]}"


def heading(address: str, source: str, statement: str) -> str:
    said = f"{address}, against {source}, is PROVED FALSE. The statement: {statement}."
    said += " Every number below is a ball that holds the true one, and what is compared is certain."
    return textwrap.fill(said, WIDTH - 4, break_long_words=False, break_on_hyphens=False)


def form_of(folder: Path, claim: str) -> tuple[str, str, Sequence[str]]:
    """The text of a paper's exact forms, the name of the one that is asked for, and what it is a function of."""
    path, name = folder / FORMS, name_of(claim)
    if not path.is_file():
        raise NotCertified(f"{folder.name} has no {FORMS} that says what its claims say without a tolerance")
    text = path.read_text()
    source = Source(text)
    if name not in source.nodes:
        raise NotCertified(f"{folder.name}/{FORMS} has no function {name}, the claim without its tolerance")
    return text, name, source.arguments(name)


def known(example: Counterexample) -> dict[str, Any]:
    """Every number of a counterexample by name."""
    found: dict[str, Any] = {**example.constants, **example.words, **example.settings, **example.axes, **example.given}
    parts = {"A": example.A, "y": example.y, "w0": example.start, "g0": example.scale, "c": example.ratio}
    return found | {n: v for n, v in parts.items() if v is not None}


def prove(
    folder: Path, address: str, source: str, statement: str, data: Mapping[str, Any], path: Path, seconds: float = SECONDS
) -> str:
    """Write the certificate and run it, in more bits until it proves; what it prints, and no file where it does not."""
    if importlib.util.find_spec("flint") is None:
        raise NotCertified("python-flint is not installed: pip install 'implicit-bias[certify]'")
    text, name, arguments = form_of(folder, address.rpartition(":")[2])
    missing = [n for n in arguments if n not in data]
    if missing:
        raise NotCertified(f"the counterexample does not say {', '.join(missing)}")
    said = ""
    for bits in BITS:
        path.write_text(program(text, name, {n: data[n] for n in arguments}, heading(address, source, statement), bits))
        said = run(path, seconds)
        if proved(said) or "it ran for more than" in said:
            break
    if not proved(said):
        path.unlink()
    return said


def file_of(address: str) -> str:
    """The name of a certificate's file: paper and claim."""
    paper, _, claim = address.replace("/", ":").rpartition(":")
    return f"{paper.partition(':')[0]}-{name_of(claim).replace('_', '-')}.py"


def certify(example: Counterexample, folder: Path, into: Path) -> str:
    """In a line: what was proved and where it stands, or why it could not be."""
    address = f"{example.study}:{example.claim.id}"
    if "norm" in example.told:
        return f"not certified: |w0| = {example.told['norm']}, and exact forms are of |w0| = 1"
    path = into / file_of(address)
    try:
        said = prove(folder, address, example.claim.source, example.claim.statement, known(example), path)
    except NotCertified as reason:
        return f"not certified: {reason}"
    return f"{said}\n  {path.name} proves it, and needs python-flint alone" if proved(said) else f"not certified: {said}"
