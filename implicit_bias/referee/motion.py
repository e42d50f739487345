r"""A run as plain data for `recheck`, and its rechecked moments as weights again.

Each part of a run says by its type what it is in 30 digits; what says nothing is not rechecked, and the reason is told:

    data_of    problem                  -> A, y, the loss's name
    start_of   parameterization, theta  -> the first weights: kind, scale, direction, norm
    law_of     dynamics                 -> flow or descent, with its step
    ratio_of   ratio                    -> a number, or (first, second, switch)
    weights_of parameterization, moment, vector -> theta

>>> from implicit_bias.problems import linear
>>> data_of(linear.fixed([[1.0, 0.5]], [3.0])(0))["y"]
[Fraction(3, 1)]
>>> from implicit_bias.parameterizations.factored import Symmetric
>>> start_of(Symmetric(1.0, width=2), None)
Traceback (most recent call last):
implicit_bias.referee.recheck.NotAvailable: weights of the kind Symmetric
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import singledispatch
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..dynamics.base import AbstractDynamics
from ..dynamics.descent import Descent
from ..dynamics.fields import GradientField
from ..dynamics.flow import Flow
from ..dynamics.laws import gradient_descent
from ..dynamics.schedules import OverLoss, TwoStage
from ..dynamics.stopping import AbstractStop, LossBelow
from ..parameterizations.base import AbstractParameterization
from ..parameterizations.polar import Euclidean, EuclideanWeights, Polar, PolarWeights, Sphere
from ..problems.base import AbstractProblem
from ..problems.linear import Linear
from .counterexample import exact
from .recheck import Moment, Motion, NotAvailable


def _plain(name: str, value: Any) -> Fraction:
    if callable(value):
        raise NotAvailable(f"a schedule for {name}")
    return exact(float(value))


def _vector(values: Any) -> list[Fraction]:
    return [exact(v) for v in np.asarray(values, float)]


# -- parts of a run ------------------------------------------------------------------------------------------------------


@singledispatch
def data_of(problem: AbstractProblem) -> dict[str, Any]:
    """`A`, `y` and `loss` of a motion."""
    raise NotAvailable(f"problems of the kind {type(problem).__name__}")


@data_of.register
def _(problem: Linear) -> dict[str, Any]:
    matrix = [_vector(row) for row in np.asarray(problem.operator, float)]
    return dict(A=matrix, y=_vector(problem.target), loss=problem.of_predictions.__name__)


@singledispatch
def start_of(parameterization: AbstractParameterization, theta: Any) -> dict[str, Any]:
    """`weights`, `scale`, `start` and `norm` of a motion; `theta` is its first weights, in the user's coordinates."""
    del theta
    raise NotAvailable(f"weights of the kind {type(parameterization).__name__}")


def _unit(w: Any) -> list[Fraction]:
    w = np.asarray(w, float)
    return _vector(w / np.linalg.norm(w))


@start_of.register
def _(parameterization: Euclidean, theta: EuclideanWeights) -> dict[str, Any]:
    scale = float(parameterization.scale)
    if scale == 0:
        raise NotAvailable("a start at 0, which has no direction")
    # x0 = scale u: of x0 itself the sign would be lost
    return dict(weights="Euclidean", scale=_plain("scale", scale), start=_unit(np.sign(scale) * np.asarray(theta.x)))


@start_of.register
def _(parameterization: Polar, theta: PolarWeights) -> dict[str, Any]:
    scale, norm = _plain("scale", parameterization.scale), _plain("norm", parameterization.norm)
    return dict(weights="Polar", scale=scale, start=_unit(theta.w), norm=norm)


@start_of.register
def _(parameterization: Sphere, theta: PolarWeights) -> dict[str, Any]:
    return dict(weights="Sphere", scale=_plain("scale", parameterization.scale), start=_unit(theta.w))


@singledispatch
def law_of(dynamics: AbstractDynamics) -> dict[str, Any]:
    """`law` and `step` of a motion."""
    raise NotAvailable(f"the law {dynamics.name}")


def _as_written(part: Any, kind: type) -> None:
    """A class derived from one that is known may do anything."""
    if type(part) is not kind:
        raise NotAvailable(f"the kind {type(part).__name__}")


@law_of.register
def _(dynamics: Flow) -> dict[str, Any]:
    _as_written(dynamics, Flow)
    if type(dynamics.field) is not GradientField:
        raise NotAvailable(f"the law {dynamics.name}")
    return dict(law="flow")


@law_of.register
def _(dynamics: Descent) -> dict[str, Any]:
    _as_written(dynamics, Descent)
    if dynamics.draws_examples:
        raise NotAvailable("examples that are drawn")
    if dynamics.law != gradient_descent():
        raise NotAvailable(f"the rule {dynamics.law.name}")
    return dict(law="descent", step=_plain("step", dynamics.step))


@singledispatch
def ratio_of(ratio: Any) -> Fraction | tuple[Fraction, ...]:
    """A ratio as a number, or as (first, second, switch)."""
    return _plain("ratio", ratio)


@ratio_of.register
def _(ratio: TwoStage) -> tuple[Fraction, ...]:
    return tuple(_plain("ratio", v) for v in (ratio.first, ratio.second, ratio.switch))


@ratio_of.register
def _(ratio: OverLoss) -> Fraction:
    raise NotAvailable("a ratio that follows the loss")


@singledispatch
def stop_of(stop: AbstractStop | None) -> Fraction | None:
    """The loss below which a run ends."""
    raise NotAvailable(f"the stop rule {type(stop).__name__}")


@stop_of.register
def _(stop: None) -> None:
    return None


@stop_of.register
def _(stop: LossBelow) -> Fraction:
    return _plain("stop", stop.threshold)


def motion_of(run: Any, theta: Any, clock: Any, start: Any = None) -> Motion:
    """A run as plain data: numbers as the rationals they were typed as, `start` along its first weights if it is known."""
    if run.penalty is not None:
        raise NotAvailable("a penalty")
    if run.dynamics.rates:
        raise NotAvailable("rates by label")
    parts = data_of(run.problem) | start_of(run.parameterization, theta) | law_of(run.dynamics)
    if start is not None:
        parts["start"] = _vector(start)
    return Motion(
        **parts,
        ratio=ratio_of(run.dynamics.ratio),
        stop=stop_of(run.dynamics.stop),
        end=_plain("end", run.dynamics.end),
        clock=[Fraction(float(t)) for t in np.asarray(clock)],
    )


# -- and back --------------------------------------------------------------------------------------------------------------


@singledispatch
def weights_of(parameterization: AbstractParameterization, moment: Moment, vector: Callable[[Any], Any]) -> Any:
    """A rechecked moment as theta; `vector` carries a vector of weights as the study's own runs do."""
    raise NotAvailable(f"weights of the kind {type(parameterization).__name__}")


@weights_of.register
def _(parameterization: Euclidean, moment: Moment, vector: Callable[[Any], Any]) -> EuclideanWeights:
    return EuclideanWeights(vector(np.array(moment.weights["x"], float)))


@weights_of.register(Polar)
@weights_of.register(Sphere)
def _(parameterization: Polar | Sphere, moment: Moment, vector: Callable[[Any], Any]) -> PolarWeights:
    return PolarWeights(jnp.asarray(float(moment.weights["g"])), vector(np.array(moment.weights["w"], float)))
