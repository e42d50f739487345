"""Verdicts as files: what was found, beside what it was found from.

    <results>/verdicts/<plan>.json     {plan, tiles, sources, runs, edited, judgements, page}

A verdict is a function of the tiles, of the plan that reads them, and of the code that judges. The file holds the
digest of each, so it is either still true or judged again; a file that is torn, edited or of another format is none.
What a claim says in words is kept with its verdict; its functions are not, so what was read back can be shown and
counted, and not judged again.

>>> from .kinds import Finding
>>> claim = Claim(id="one", source="here", statement="x = 1", residual=abs, tolerance=abs, because="example")
>>> found = Judgement(claim, "refuted", 2, 2, 0, 0, 0, 0, Finding("refuted", float("inf"), {"scale": 1.0}, "2 of 2"), {})
>>> back = decode(json.loads(canonical(encode(found))))
>>> back.verdict, back.worst, back.where, back.claim.statement, back.claim.kind
('refuted', inf, {'scale': 1.0}, 'x = 1', Identity())
>>> back.claim.residual(None)
Traceback (most recent call last):
implicit_bias._errors.Mistake: claim: was read from a file, without its functions; load its study
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._errors import Mistake
from .._files import FilePath, make_folder, put, read
from .._results import Status
from . import claims, kinds
from .claims import Claim, Judgement

FORMAT = 1
LARGEST = 2**21
"""Bytes of a file of verdicts: a small file of nothing but lists would fill the memory."""
_MADE = {c.__name__: c for c in (Claim, Judgement, kinds.Finding)}


def canonical(value: Any) -> str:
    """JSON with one spelling; the order of a table's rows is kept."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _no_function(*arguments: Any, **named: Any) -> Any:
    del arguments, named
    raise Mistake("claim", "was read from a file, without its functions", "load its study")


def encode(value: Any) -> Any:
    """As JSON: every number bit for bit, every object of this floor by its fields, every function as one that was."""
    match value:
        case None | bool() | str():
            return value
        case Status():
            return {"status": int(value)}
        case np.generic():
            return encode(value.item())
        case int():
            return value
        case float():
            return value if math.isfinite(value) else {"float": str(value)}
        case Mapping():
            return {"table": [[encode(k), encode(v)] for k, v in value.items()]}
        case list() | tuple():
            return [encode(v) for v in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
            return {"made": type(value).__name__, "of": fields}
        case _ if callable(value):
            return {"function": getattr(value, "__name__", "")}
    raise ValueError(f"{type(value).__name__} cannot be written")


def decode(value: Any) -> Any:
    """What `encode` wrote; `ValueError` for anything else."""
    match value:
        case None | bool() | str() | int() | float():
            return value
        case list():
            return tuple(map(decode, value))
        case {"status": int(number)}:
            return Status(number)
        case {"float": "inf" | "-inf" | "nan" as word}:
            return float(word)
        case {"function": str()}:
            return _no_function
        case {"table": list(rows)}:
            return {decode(k): decode(v) for k, v in rows}
        case {"made": str(name), "of": dict(fields)}:
            kind = _MADE.get(name) or getattr(kinds, name, None) or getattr(claims, name, None)
            if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
                raise ValueError(f"{name} is not made here")
            return kind(**{field: decode(v) for field, v in fields.items()})
    raise ValueError("it holds what no verdict has")


@dataclasses.dataclass(frozen=True)
class Kept:
    """A file of verdicts."""

    plan: str
    """Digest of the plan file."""
    tiles: str
    """Digest of the names of its tiles that were there."""
    sources: Mapping[str, Any] | None
    """What the code that judged had read; None where that cannot be told, and the file is true for nobody."""
    study: str
    statement: str
    runs: int
    judgements: Sequence[Judgement]
    replays: Mapping[str, str]
    """Claim -> the command that runs its worst run again."""
    page: Mapping[str, str] | None = None
    """File of the page and its drawings, from the study's folder -> digest; None where none was drawn."""
    edited: str = ""
    """What of the study was edited between computing its runs and judging them."""


def _seal(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def path_of(plan: FilePath) -> FilePath:
    """Where the verdicts of a plan file are kept."""
    return plan.parent.parent / "verdicts" / plan.name


def write(kept: Kept, plan: FilePath) -> None:
    """Keep verdicts beside a plan; those that cannot be written as JSON (a kind of the user's own) are judged each time."""
    try:
        verdicts = [
            {
                "claim": j.claim.id,
                "verdict": j.verdict,
                "expected": j.claim.expected,
                "measured": j.measured,
                "replay": kept.replays.get(j.claim.id),
                "judgement": encode(j),
            }
            for j in kept.judgements
        ]
        if tuple(decode(v["judgement"]).claim.kind for v in verdicts) != tuple(j.claim.kind for j in kept.judgements):
            return
    except (ValueError, TypeError):
        return
    body = {
        "format": FORMAT,
        **{f: getattr(kept, f) for f in ("plan", "tiles", "sources", "study", "statement", "runs", "edited", "page")},
        "verdicts": verdicts,
    }
    path, data = path_of(plan), json.dumps({**body, "sha256": _seal(body)}, indent=1, allow_nan=False).encode()
    if len(data) <= LARGEST:
        make_folder(path.parent)
        put(path, data)


def read_kept(plan: FilePath) -> Kept | None:
    """The verdicts of a plan file; None if there are none, or if they are not what `write` wrote."""
    try:
        body = json.loads(read(path_of(plan), LARGEST))
        if body["format"] != FORMAT or body.pop("sha256") != _seal(body):
            return None
        judgements = [decode(v["judgement"]) for v in body["verdicts"]]
        if not all(isinstance(j, Judgement) and isinstance(j.claim, Claim) for j in judgements):
            return None
        replays = {v["claim"]: v["replay"] for v in body["verdicts"] if v["replay"]}
        named = {f.name: body[f.name] for f in dataclasses.fields(Kept) if f.name not in ("judgements", "replays")}
        return Kept(**named, judgements=judgements, replays=replays)
    except Exception:  # whatever it is, it is no file of ours
        return None
