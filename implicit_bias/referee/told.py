r"""What determines a run besides its data and its axes: its law, step, rates, stop rule and cap; and how far it went.

>>> from implicit_bias.dynamics.descent import Descent
>>> from implicit_bias.dynamics.stopping import loss_below
>>> law_told(Descent(0.005, stop=loss_below(1e-9), max_steps=100))
{'law': 'gradient descent', 'step': Fraction(1, 200), 'stop': 'loss below 1e-09', 'at most': '100 steps'}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._results import Status
from ..dynamics.base import AbstractDynamics
from ..dynamics.schedules import TwoStage
from ..dynamics.stopping import LossBelow
from ..evidence.claims import Claim
from ..parameterizations.base import AbstractParameterization
from .counterexample import exact


def _number(value: Any) -> Any:
    """As it was typed; in words where it is no number."""
    if isinstance(value, TwoStage):
        first, second, switch = (f"{float(v):g}" for v in (value.first, value.second, value.switch))
        return f"{first} until {switch}, then {second}"
    if callable(value):
        return f"{type(value).__name__} over the run"
    return exact(float(value)) if np.ndim(value) == 0 and np.isfinite(float(value)) else str(np.asarray(value).tolist())


def law_told(dynamics: AbstractDynamics) -> dict[str, Any]:
    """Of a law, by the names that its class gives them; what is left out of a run's own is not said."""
    found: dict[str, Any] = {"law": dynamics.name}
    if hasattr(dynamics, "step"):
        found["step"] = _number(dynamics.step)
    ratio = getattr(dynamics, "ratio", 1.0)
    if callable(ratio) or float(ratio) != 1:
        found["ratio"] = _number(ratio)
    found |= {f"rate of {label}": _number(rate) for label, rate in getattr(dynamics, "rates", {}).items()}
    stop = getattr(dynamics, "stop", None)
    if stop is not None:
        found["stop"] = f"loss below {float(stop.threshold):g}" if type(stop) is LossBelow else type(stop).__name__
    return found | {"at most": f"{'t = ' * (dynamics.unit != 'steps')}{dynamics.end:g}{' steps' * (dynamics.unit == 'steps')}"}


def weights_told(parameterization: AbstractParameterization) -> str:
    """Of the weights: the class, and its whole numbers and words."""
    parts = {n: v for n, v in vars(parameterization).items() if isinstance(v, (int, str, bool)) and v is not None}
    said = ", ".join(f"{n} {v}" for n, v in parts.items())
    return type(parameterization).__name__ + (f" ({said})" if said else "")


def told(claim: Claim, run: Any, data: Any) -> dict[str, Any]:
    """Of one run: its law and weights, where it ended, and the record at which the claim fails the most."""
    found = law_told(run.dynamics) | {"weights": weights_told(run.parameterization)}
    norm = getattr(run.parameterization, "norm", 1.0)
    if not callable(norm) and float(norm) != 1:
        found["norm"] = _number(norm)
    if run.penalty is not None:
        found["penalty"] = type(run.penalty).__name__
    status, steps, time = (data[n].values.ravel()[0] for n in ("status", "steps", "time"))
    found["ended"] = f"{Status(int(status)).name.lower()} after {int(steps)} steps, at t = {float(time):.6g}"
    return found | _worst(claim, data)


def _worst(claim: Claim, data: Any) -> Mapping[str, Any]:
    """The record of the greatest residual over tolerance, where the claim speaks of records."""
    residual = claim.residual(data)
    if "record" not in getattr(residual, "dims", ()) or "clock" not in data.coords:
        return {}
    over = residual if claim.kind.signed else abs(residual)
    if claim.tolerance is not None:
        over = over - claim.tolerance(data)
    over = over.max([d for d in over.dims if d != "record"]).values
    clock = np.asarray(data.clock.values, float)
    if clock.ndim != 1 or not np.isfinite(over).any():
        return {}
    return {"seen at": exact(float(clock[int(np.nanargmax(over))]))}
