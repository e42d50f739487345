"""The store: one immutable, self-describing file per tile; a tile is done if and only if its file is valid.

    <folder>/tiles/<id>.safetensors     arrays of its runs; one metadata key of canonical JSON
    <folder>/plans/<digest>.json        which tiles make up a sweep
    <folder>/damaged/                   what failed verification
    <folder>/log.jsonl                  wall times, host, pid: nothing that a result depends on

A file is written under a temporary name, synced, renamed, and the folder synced; there is no marker, lock, index or
pickle. A duplicate is harmless, because a tile's id is a hash of all that determines its bytes. Reading verifies: a
torn, flipped, renamed or foreign file is noticed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import socket
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from .._errors import Mistake

FORMAT = 2
_KEY = "implicit_bias"


class DamagedTile(UserWarning):
    """A tile failed verification and was set aside."""


def canonical(value: Any) -> str:
    """JSON with one spelling: sorted keys, no spaces, no nan."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclasses.dataclass(frozen=True)
class Tile:
    """The results of some runs of one program."""

    program: str
    fingerprint: Mapping[str, str]
    statics: Mapping[str, str]
    axes: tuple[str, ...]
    coordinates: np.ndarray
    """[runs, axes], float64: where each run lies on the traced axes."""
    arrays: Mapping[str, np.ndarray]
    """Each [runs, ...]."""

    @property
    def id(self) -> str:
        return tile_id(self.program, self.fingerprint, self.axes, self.coordinates)

    @property
    def size(self) -> int:
        return len(self.coordinates)


def tile_id(program: str, fingerprint: Mapping[str, str], axes: tuple[str, ...], coordinates: np.ndarray) -> str:
    """A hash of what determines a tile's content: program, fingerprint, and the runs in it (bit for bit)."""
    said = canonical({"format": FORMAT, "program": program, "fingerprint": dict(fingerprint), "axes": list(axes)})
    digest = hashlib.sha256(said.encode())
    digest.update(np.ascontiguousarray(coordinates, dtype="<f8").tobytes())
    return digest.hexdigest()[:32]


def _payload_hash(arrays: Mapping[str, np.ndarray]) -> str:
    said = [[name, arrays[name].dtype.str, list(arrays[name].shape)] for name in sorted(arrays)]
    digest = hashlib.sha256(canonical(said).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]))
    return digest.hexdigest()


def encode(tile: Tile) -> bytes:
    arrays = {**tile.arrays, "coordinates": tile.coordinates}
    header = {
        "format": FORMAT,
        "program": tile.program,
        "fingerprint": dict(tile.fingerprint),
        "statics": dict(tile.statics),
        "axes": list(tile.axes),
        "sha256": _payload_hash(arrays),
    }
    return save({n: np.ascontiguousarray(a) for n, a in arrays.items()}, metadata={_KEY: canonical(header)})


def decode(data: bytes, expected: str) -> Tile:
    """The tile in a file's bytes; `ValueError` with the reason if it is not the tile `expected`, whole."""
    try:
        length = int.from_bytes(data[:8], "little")
        if not 2 <= length <= len(data) - 8:
            raise ValueError("the file is cut short")
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        header = json.loads(metadata[_KEY])
        arrays = load(data)
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}, this version reads {FORMAT}")
        if _payload_hash(arrays) != header["sha256"]:
            raise ValueError("its content does not match its checksum")
        coordinates = arrays.pop("coordinates")
        tile = Tile(
            header["program"], header["fingerprint"], header["statics"], tuple(header["axes"]), coordinates, arrays
        )
        if any(len(a) != tile.size for a in arrays.values()):
            raise ValueError("its arrays disagree on the number of runs")
    except ValueError:
        raise
    except Exception as error:  # safetensors, json and numpy each have their own words for "not a tile"
        raise ValueError(f"not a tile: {type(error).__name__}") from error
    if tile.id != expected:
        raise ValueError("its content belongs to another name")
    return tile


class Store:
    """The tiles and plans of one study."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.tiles = self.folder / "tiles"
        self.plans = self.folder / "plans"

    def prepare(self) -> None:
        """Make the folders, and find out now whether they can be written."""
        try:
            for folder in (self.tiles, self.plans):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise _cannot_write(self.folder, error) from None

    def path(self, tile: str) -> Path:
        return self.tiles / f"{tile}.safetensors"

    def names(self) -> list[str]:
        return sorted(p.stem for p in self.tiles.glob("*.safetensors")) if self.tiles.is_dir() else []

    def read(self, tile: str) -> Tile:
        """One tile, verified; `ValueError` if it is damaged, `FileNotFoundError` if it is not there."""
        return decode(self.path(tile).read_bytes(), tile)

    def read_or_set_aside(self, tile: str) -> Tile | None:
        """One tile; a damaged one is moved to `damaged/`, named in a warning, and counts as not computed."""
        try:
            return self.read(tile)
        except FileNotFoundError:
            return None
        except ValueError as reason:
            aside = self.folder / "damaged"
            try:
                aside.mkdir(exist_ok=True)
                os.replace(self.path(tile), aside / f"{tile}.safetensors")
            except OSError as error:
                raise _cannot_write(aside, error) from None
            warnings.warn(
                f"{self.path(tile)}: {reason}; moved to {aside.name}/ and computed again", DamagedTile, stacklevel=2
            )
            return None

    def write(self, tile: Tile) -> str:
        name = tile.id
        self._atomic(self.path(name), encode(tile))
        return name

    def write_plan(self, digest: str, plan: Mapping[str, Any], file: str | None = None) -> Path:
        """Keep a plan under its digest; `file` says where its study was found, so that `check` finds it again."""
        path = self.plans / f"{digest}.json"
        data = json.dumps({**plan, "file": file}, sort_keys=True, indent=1, allow_nan=False).encode()
        if not path.exists() or path.read_bytes() != data:
            self._atomic(path, data)
        else:
            os.utime(path)  # the newest plan is what `check` and `report` show
        return path

    def latest_plan(self) -> Path | None:
        plans = list(self.plans.glob("*.json")) if self.plans.is_dir() else []
        return max(plans, key=lambda p: (p.stat().st_mtime_ns, p.name), default=None)

    def log(self, **event: Any) -> None:
        line = canonical({**event, "at": round(time.time(), 3), "host": socket.gethostname(), "pid": os.getpid()})
        with open(self.folder / "log.jsonl", "a") as file:
            file.write(line + "\n")

    def _atomic(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> Mistake:
    return Mistake(
        "out", f"cannot write {path} ({error.strerror})", "choose another folder with --out, or mend its permissions"
    )
