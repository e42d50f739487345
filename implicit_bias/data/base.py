"""Examples: inputs and class labels, with the digest by which they are known, and where they come from."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from .._errors import Mistake, nearest
from .._keys import SeedKey, stream
from . import cifar, digits, idx

CLASSES = 10
"""Of each of the sets that are read here."""


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Images as they are in the files, a byte a point, with the number in [0, 1] that each byte stands for.

    Labels are 0, 1, ..., classes - 1. Numbers are made of those examples alone that are drawn.

    >>> e = Examples(np.array([[0, 3], [3, 1]], np.uint8), np.array([0, 1]), 2, "two", levels=np.arange(4) / 3)
    >>> e.inputs.tolist(), e[1:].labels.tolist()
    ([[0.0, 1.0], [1.0, 0.3333333333333333]], [1])
    """

    points: UInt8[np.ndarray, "examples ..."]
    labels: Int[np.ndarray, " examples"]
    classes: int
    source: str
    levels: Float[np.ndarray, " levels"] = dataclasses.field(kw_only=True)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray | Sequence[int]) -> Examples:
        """Some of them, by a slice, by their places, or by a mask."""
        return dataclasses.replace(self, points=self.points[which], labels=self.labels[which])

    @property
    def inputs(self) -> Float[np.ndarray, "examples ..."]:
        """All of them as numbers, made whenever this is read: eight times the bytes of the file."""
        return self.levels[self.points]

    @functools.cached_property
    def digest(self) -> str:
        """A hash of every number, by which two sets of data are the same or not."""
        found = hashlib.sha256(f"{self.levels.dtype} {self.points.shape} ".encode())
        for at in range(0, len(self), 1000):
            found.update(self[at : at + 1000].inputs.tobytes())
        found.update(f"{self.labels.dtype} {self.labels.shape} ".encode() + self.labels.tobytes())
        return found.hexdigest()[:16]

    def only(self, *classes: int) -> Examples:
        """Those of some classes, which are numbered anew in the order given."""
        for c in classes:
            if c not in range(self.classes):
                raise Mistake("classes", f"{self.source} has no class {c}", f"known: 0 to {self.classes - 1}")
        if len(set(classes)) != len(classes) or not classes:
            raise Mistake("classes", f"got {classes}", "name one or more, each once")
        number = np.full(self.classes, -1)
        number[list(classes)] = np.arange(len(classes))
        some = np.isin(self.labels, classes)
        return dataclasses.replace(self[some], labels=number[self.labels[some]], classes=len(classes))

    def sample(self, count: int, key: SeedKey | Key[Array, ""] | int) -> tuple[Array, Array]:
        """`count` different ones, drawn from the stream `data`: (inputs, labels)."""
        if not 1 <= count <= len(self):
            raise Mistake("count", f"of examples must be from 1 to {len(self)}, got {count}", "ask for fewer")
        drawn = jax.random.permutation(stream(key, "data"), len(self))[:count]
        return self._at(drawn)

    def _at(self, places: Int[Array, " some"]) -> tuple[Array, Array]:
        """By a table, because a division that is compiled may round as another number does."""
        return jnp.asarray(self.levels)[jnp.asarray(self.points)[places]], jnp.asarray(self.labels)[places]

    def per_class(self, count: int, key: SeedKey | Key[Array, ""] | int) -> tuple[Array, Array]:
        """`count` of each class, class by class, drawn from the stream `data`."""
        fewest = int(np.bincount(self.labels, minlength=self.classes).min())
        if not 1 <= count <= fewest:
            raise Mistake("count", f"of each class must be from 1 to {fewest}, got {count}", "ask for fewer")
        parts = []
        for c in range(self.classes):
            places = np.flatnonzero(self.labels == c)
            parts.append(jax.random.permutation(jax.random.fold_in(stream(key, "data"), c), jnp.asarray(places))[:count])
        drawn = jnp.concatenate(parts)
        return self._at(drawn)


_noting: list[dict[str, str]] = []


@contextlib.contextmanager
def noted() -> Iterator[dict[str, str]]:
    """Name and digest of what is loaded meanwhile."""
    found: dict[str, str] = {}
    _noting.append(found)
    try:
        yield found
    finally:
        _noting[:] = [notes for notes in _noting if notes is not found]


def _stamp(path: Path) -> tuple[str, int, int]:
    about = os.stat(path)
    return str(path.resolve()), about.st_size, about.st_mtime_ns


def load(name: str) -> Examples:
    """The data of a name: "digits", or the path of a file of images. Read again where a file has changed."""
    if name == "digits":
        found = _read(digits.read, name, ())
    else:
        path = Path(name).expanduser()
        if not path.exists():
            close = nearest(name, ["digits"])
            remedy = close if close.startswith("did") else "give digits, or the path of a file of images that exists"
            raise Mistake("data", f"there is no file {name}", remedy)
        reader, paths = _reader(path)
        found = _read(reader, name, tuple(_stamp(p) for p in paths))
    for notes in _noting:
        notes[name] = found.digest
    return found


@functools.lru_cache(maxsize=8)
def _read(reader: Callable[..., tuple], name: str, stamps: tuple[tuple[str, int, int], ...]) -> Examples:
    points, levels, labels = reader(*(Path(path) for path, _, _ in stamps))
    return Examples(points, labels, CLASSES, name, levels=levels)


def _reader(path: Path) -> tuple[Callable[..., tuple], tuple[Path, ...]]:
    if path.is_dir():
        if batches := sorted(path.glob("data_batch_*.bin")):
            return cifar.read, tuple(batches)
        raise Mistake("data", f"{path} has no data_batch_*.bin", "name the file of images itself")
    with path.open("rb") as file:
        first = file.read(4)
    if idx.is_idx(first):
        return idx.read, (path, idx.labels_of(path))
    if path.suffix == ".bin":
        return cifar.read, (path,)
    if first[:1] == b"\x80" or path.suffix in (".pkl", ".pickle"):
        what = f"{path} is a pickle, which runs what is written in it"
        raise Mistake("data", what, "give the binary version of CIFAR-10 (data_batch_1.bin), or idx files")
    what = f"{path} is neither an idx file nor a .bin of CIFAR-10"
    raise Mistake("data", what, "give train-images-idx3-ubyte[.gz] or data_batch_1.bin")
