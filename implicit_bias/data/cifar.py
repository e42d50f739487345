"""CIFAR-10, the binary version: records of a label and 3 x 32 x 32 bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._errors import Mistake

RECORD = 1 + 3 * 32 * 32


def read(*paths: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    records = []
    for path in paths:
        content = np.fromfile(path, dtype=np.uint8)
        if content.size == 0 or content.size % RECORD:
            what = f"{path} has {content.size} bytes, which are no whole number of records of {RECORD}"
            raise Mistake("data", what, "give data_batch_1.bin of the binary version of CIFAR-10")
        records.append(content.reshape(-1, RECORD))
        if (label := records[-1][:, 0].max()) > 9:
            raise Mistake("data", f"{path} has a label {label}", "give the binary version of CIFAR-10, with labels 0 to 9")
    whole = np.concatenate(records)
    images = whole[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.arange(256) / 255.0, whole[:, 0].astype(np.int64)
