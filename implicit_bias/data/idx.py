"""idx files (MNIST, Fashion-MNIST), packed with gzip or not: a magic number, big-endian sizes, bytes."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from .._errors import Mistake

IMAGES, LABELS = 2051, 2049
_GZIP = b"\x1f\x8b"


def is_idx(first: bytes) -> bool:
    """Of the first four bytes of a file; a packed one is looked into as it is read."""
    return first[:2] in (_GZIP, b"\x00\x00")


def labels_of(images: Path) -> Path:
    """The file of labels beside a file of images, by their usual names, packed or not."""
    name = images.name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1")
    if name == images.name:
        raise Mistake("data", f"the labels of {images} are not known", "keep the name ...-images-idx3-ubyte[.gz]")
    plain = name.removesuffix(".gz")
    for candidate in (images.with_name(name), images.with_name(plain), images.with_name(plain + ".gz")):
        if candidate.exists():
            return candidate
    raise Mistake("data", f"there is no {images.with_name(name)}", "put the labels beside the images")


def read(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pixels, numbers = _array(images, IMAGES, 3, "images"), _array(labels, LABELS, 1, "labels")
    if len(pixels) != len(numbers):
        raise Mistake("data", f"{labels} has {len(numbers)} labels for {len(pixels)} images", "give files of one set")
    if numbers.size and numbers.max() > 9:
        raise Mistake("data", f"{labels} has a label {numbers.max()}", "give labels from 0 to 9")
    return pixels, np.arange(256) / 255.0, numbers.astype(np.int64)


def _array(path: Path, magic: int, axes: int, what: str) -> np.ndarray:
    content = path.read_bytes()
    if content[:2] == _GZIP:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise Mistake("data", f"{path} is a damaged gzip file", "get it again") from None
    header = 4 * (1 + axes)
    if len(content) < header:
        raise Mistake("data", f"{path} ends within its header", "get it again")
    found, *shape = np.frombuffer(content[:header], dtype=">u4").tolist()
    if found != magic:
        raise Mistake("data", f"{path} has the magic number {found}, and {what} have {magic}", f"give a file of {what}")
    due, here = int(np.prod(shape)), len(content) - header
    if here != due:
        raise Mistake("data", f"{path} has {here} bytes of {what}, and its header says {due}", "get it again")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
