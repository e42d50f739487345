"""The 1,797 digits of 8 x 8 points (0 to 16) in scikit-learn's wheel."""

from __future__ import annotations

import numpy as np

from .._errors import Mistake


def read() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits  # takes seconds to import, and is in an extra
    except ModuleNotFoundError:
        remedy = "pip install 'implicit-bias[data]'"
        raise Mistake("data", "digits need scikit-learn, which is not installed", remedy) from None
    found = load_digits()
    return found.images.astype(np.uint8), np.arange(17) / 16.0, found.target.astype(np.int64)
