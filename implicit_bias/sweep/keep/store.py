"""The store: one immutable, self-describing file per tile; a tile is done if and only if its file is valid.

    <folder>/tiles/<id>.safetensors     arrays of its runs; one metadata key of canonical JSON
    <folder>/plans/<digest>.json        which tiles make up a sweep
    <folder>/damaged/                   what failed verification

A file is written whole or not at all (`_files`), in a folder or in an object store; there is no marker, lock, index or
pickle. A duplicate is harmless, because a tile's id is a hash of all that determines its bytes. Reading verifies: a
torn, flipped, renamed or foreign file is noticed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ..._errors import Mistake, written_bytes
from ..._files import (
    FilePath,
    check_length,
    is_local,
    listed,
    make_folder,
    move,
    place,
    put,
    read,
    size_of_file,
    touch,
)
from ..._results import Status

FORMAT = 4
LARGEST_TILE = 2**36
LONG = 2**24
"""Bytes from which on a tile's header is looked at first, so that a file that is none is not read to its end."""
LARGEST_PLAN = 2**23
"""Bytes of a plan file: 200,000 tiles."""
TILE_NAME = re.compile("[0-9a-f]{32}")
_KEY = "implicit_bias"
_STATUSES = [int(s) for s in Status if s != Status.ABSENT]


class DamagedTile(UserWarning):
    """A tile failed verification and was set aside."""


class OtherFormat(ValueError):
    """A tile that another version wrote: whole, as far as this one can tell, and never read."""


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


def _checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """A hash of all that a tile says: its header but for the hash itself, and its arrays."""
    said = {name: value for name, value in header.items() if name != "sha256"}
    forms = [[name, arrays[name].dtype.str, list(arrays[name].shape)] for name in sorted(arrays)]
    digest = hashlib.sha256(canonical([said, forms]).encode())
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
    }
    header["sha256"] = _checksum(header, arrays)
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
            raise OtherFormat(f"format {header['format']}, this version reads {FORMAT}")
        if _checksum(header, arrays) != header["sha256"]:
            raise ValueError("its content does not match its checksum")
        coordinates = arrays.pop("coordinates")
        tile = Tile(
            header["program"], header["fingerprint"], header["statics"], tuple(header["axes"]), coordinates, arrays
        )
        if coordinates.shape != (tile.size, len(tile.axes)) or any(len(a) != tile.size for a in arrays.values()):
            raise ValueError("its arrays disagree on the number of runs")
        if coordinates.dtype != np.float64 or any(arrays[n].shape != (tile.size,) for n in ("status", "steps")):
            raise ValueError("its arrays have other forms than a tile's")
        if not np.isin(arrays["status"], _STATUSES).all() or arrays["steps"].dtype.kind not in "iu":
            raise ValueError("its statuses are none")
        identity = tile.id
    except ValueError:
        raise
    except Exception as error:  # safetensors, json and numpy each have their own words for "not a tile"
        raise ValueError(f"not a tile: {type(error).__name__}") from error
    if identity != expected:
        raise ValueError("its content belongs to another name")
    return tile


def _check_header(path: Path, size: int) -> None:
    """Raise unless a file is as long as its header says."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        check_length(length, LONG)
        try:
            header = json.loads(file.read(length))
            end = max(header[name]["data_offsets"][1] for name in header if name != "__metadata__")
        except Exception as error:
            raise ValueError(f"not a tile: {type(error).__name__}") from None
    if 8 + length + end != size:
        raise ValueError("it is not as long as its header says")


class Store:
    """The tiles and plans of one study."""

    def __init__(self, folder: FilePath | str):
        self.folder = place(folder)
        self.tiles = self.folder / "tiles"
        self.plans = self.folder / "plans"

    def prepare(self) -> None:
        """Make the folders, find out now whether they can be written, and remove what dead writers left."""
        for folder in (self.tiles, self.plans):
            make_folder(folder)

    def path(self, tile: str) -> FilePath:
        return self.tiles / f"{tile}.safetensors"

    def names(self) -> list[str]:
        """Of every file that is named like a tile."""
        return sorted(n for p in listed(self.tiles, ".safetensors") if TILE_NAME.fullmatch(n := p.stem))

    def has(self, tile: str) -> bool:
        """Whether a file of that name is there; whether it is whole, reading tells."""
        return self.path(tile).exists()

    def read(self, tile: str) -> Tile:
        """One tile, verified; `ValueError` if it is damaged, `FileNotFoundError` if it is not there."""
        path = self.path(tile)
        if is_local(path) and (size := size_of_file(path)) > LONG:
            _check_header(path, size)
        return decode(read(path, LARGEST_TILE), tile)

    def read_or_set_aside(self, tile: str) -> Tile | None:
        """One tile; a damaged one is moved to `damaged/`, named in a warning, and counts as not computed.

        One of another format stays where it is: `OtherFormat` passes through.
        """
        try:
            return self.read(tile)
        except FileNotFoundError:
            return None
        except OtherFormat:
            raise
        except ValueError as reason:
            aside = self.folder / "damaged"
            move(self.path(tile), aside / f"{tile}.safetensors")
            warnings.warn(
                f"{self.path(tile)}: {reason}; moved to {aside.name}/ and computed again", DamagedTile, stacklevel=2
            )
            return None

    def write(self, tile: Tile) -> str:
        name = tile.id
        put(self.path(name), encode(tile))
        return name

    def write_plan(self, digest: str, plan: Mapping[str, Any], **found: Any) -> FilePath:
        """Keep a plan under its digest; `found` says where its study is and what was asked of it, to find it again."""
        path = self.plans / f"{digest}.json"
        data = json.dumps({**plan, **found}, sort_keys=True, indent=1, allow_nan=False).encode()
        if len(data) > LARGEST_PLAN:
            raise Mistake("size", f"makes a plan of {written_bytes(len(data))}", "ask for fewer runs at a time")
        touch(path, data)  # an exploration has the date at which it was asked for last
        return path
