r"""Checkpoints of blocks that take long: the state between two segments, so that a killed hour loses a minute.

    <folder>/unfinished/<tile>-<block>.safetensors

A block whose steps may last longer than a minute is advanced along its clock in segments of about `SECONDS`. Where a
segment ends changes no bit. A checkpoint is read with suspicion: what is torn, forged or of another program counts as
absent, and the block begins anew. It is removed when its tile is written; all of the folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import PyTree
from safetensors.numpy import load, save

from ..._files import CannotWrite, make_folder, put, read
from ..keep.store import LARGEST_TILE, Store, canonical

SECONDS = 20.0
"""How long a segment lasts, about: what a kill may cost."""
_KEY = "implicit_bias_state"


@dataclasses.dataclass(frozen=True)
class Segments:
    """How a block goes along its clock: `length` at a time, or as far as `SECONDS` go; and what it keeps on the way."""

    length: float | None = None
    checkpoint: Checkpoint | None = None
    ends: Callable[[], bool] = lambda: False
    """Whether the sweep ends, and a block is left where it stands."""

    def resumed(self, like: PyTree) -> tuple[PyTree, float] | None:
        return self.checkpoint.load(like) if self.checkpoint else None

    def stops(self, begin: float, end: float) -> Iterator[float]:
        if self.length is None:
            return ends_of_segments(begin, end)
        return itertools.count(begin + self.length, self.length)

    def passed(self, state: PyTree, until: float) -> None:
        """A segment is over, and the block is not."""
        if self.checkpoint is None:
            return
        self.checkpoint.save(state, until)
        if self.ends():
            raise Left


class Left(Exception):
    """A block was left at the end of a segment, because the sweep ends."""


class Checkpoint:
    """The last state of one block of a tile."""

    def __init__(self, store: Store, tile: str, block: int, program: str):
        self._path = store.folder / "unfinished" / f"{tile}-{block}.safetensors"
        self._about = {"tile": tile, "block": block, "program": program}

    def save(self, state: PyTree, until: float) -> None:
        """Keep a state that has been advanced to `until`. Where it cannot be written the block goes on without."""
        arrays = {f"{i:04d}": np.asarray(leaf, order="C") for i, leaf in enumerate(jax.tree.leaves(state))}
        about = {**self._about, "until": until.hex(), "sha256": _digest(arrays, until)}
        with contextlib.suppress(CannotWrite):
            make_folder(self._path.parent)
            put(self._path, save(arrays, metadata={_KEY: canonical(about)}))

    def load(self, like: PyTree) -> tuple[PyTree, float] | None:
        """(state, until) as saved, of the shapes and dtypes of `like`; None if there is no such thing, whole."""
        try:
            data = read(self._path, LARGEST_TILE)
            length = int.from_bytes(data[:8], "little")
            about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
            arrays, until = load(data), float.fromhex(about.pop("until"))
            whole = about.pop("sha256") == _digest(arrays, until) and about == self._about
            leaves, tree = jax.tree.flatten(like)
            given = [arrays[f"{i:04d}"] for i in range(len(arrays))]
            fits = [(a.shape, a.dtype) for a in given] == [(s.shape, s.dtype) for s in leaves]
        except Exception:  # a stranger's file, or none
            return None
        return (jax.tree.unflatten(tree, given), until) if whole and fits else None

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()


def _digest(arrays: dict[str, np.ndarray], until: float) -> str:
    digest = hashlib.sha256(until.hex().encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]))
    return digest.hexdigest()


def ends_of_segments(begin: float, end: float, now: Callable[[], float] = time.perf_counter) -> Iterator[float]:
    """Where to stop on the way from `begin` to `end`, so that each stretch lasts about `SECONDS`.

    The first is a 1,024th of the way; each later one at most four times as long as the one before.

    >>> ticks = iter([0, 1, 1, 5, 5, 45, 45, 65])  # the segments last 1, 4, 40 and 20 seconds
    >>> ends = ends_of_segments(0.0, 1024.0, lambda: next(ticks))
    >>> [next(ends) for _ in range(4)]
    [1.0, 5.0, 21.0, 29.0]
    """
    stretch, reached = (end - begin) / 1024, begin
    while True:
        reached += stretch
        begun = now()
        yield reached
        taken = max(now() - begun, 1e-9)
        stretch *= min(4.0, max(0.25, SECONDS / taken))
