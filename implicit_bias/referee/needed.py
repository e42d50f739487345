"""Which predictions a claim reads: a search judges thousands of runs, and theory may cost more than they do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import xarray as xr

from ..evidence.claims import Claim, weigh
from ..evidence.predictions import needs, with_predictions


def _owner(name: str, predict: Mapping[str, Any]) -> str | None:
    """The prediction that a variable is, or is a part of: `least_l1` of `least_l1_norm`."""
    whole = [p for p in predict if name == p or name.startswith(f"{p}_")]
    return max(whole, key=len, default=None)


def _closure(name: str, predict: Mapping[str, Any], found: set[str]) -> None:
    if name in found:
        return
    found.add(name)
    for other in (*needs(predict[name])[0], *needs(predict[name])[1]):
        if (owner := _owner(other, predict)) is not None and owner != name:
            _closure(owner, predict, found)


class Needed:
    """The predictions of a study that one claim reads, found by what it asks for and has not got."""

    def __init__(self, claim: Claim, predict: Mapping[str, Any]):
        self.claim, self.predict, self.names = claim, predict, set()

    def __call__(self, data: xr.Dataset) -> xr.Dataset:
        while True:
            chosen = {n: p for n, p in self.predict.items() if n in self.names}  # in the study's order
            known = with_predictions(data, chosen)
            try:
                weigh(self.claim, known)
                return known
            except Exception as error:
                asked = [_owner(word, self.predict) for word in re.findall(r"\w+", str(error))]
                new = [n for n in asked if n is not None and n not in self.names]
                if not new:  # its own mistake, or what it says of a missing name is not to be read
                    return known if len(chosen) == len(self.predict) else with_predictions(data, self.predict)
                for name in new:
                    _closure(name, self.predict, self.names)
