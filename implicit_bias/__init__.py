"""A laboratory for implicit bias: of the many solutions that fit, which one does training choose, and does the theorem say so?

A study is a pure function from named scalars to a `Run`; everything else is vmap, storage and judgement.

Importing the package does not import JAX: public names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "_errors": ["Mistake"],
    "_keys": ["SeedKey", "stream"],
    "_results": ["Status"],
    "problems.base": ["AbstractProblem", "min_norm", "orthogonal_part", "singular_values", "truth"],
    "problems.certified": ["box_least_squares", "lasso", "min_l1", "min_norm_separator"],
    "problems.margin": ["max_margin"],
    "problems.supervised": ["supervised"],
    "problems.toy": ["toy"],
    "problems.losses": ["exponential", "log_cosh", "logistic", "square"],
    "parameterizations.base": ["AbstractParameterization"],
    "parameterizations.diagonal": ["Exponential", "Power"],
    "parameterizations.factored": ["Asymmetric", "DeepLinear", "Normalised", "Symmetric"],
    "parameterizations.network": ["RowNormalised", "aligned", "mlp", "network", "row_norm"],
    "parameterizations.polar": ["Euclidean", "Polar", "Sphere"],
    "parameterizations.stiefel": ["Stiefel"],
    "dynamics.base": ["AbstractDynamics", "AbstractPenalty"],
    "dynamics.central": ["Central"],
    "dynamics.descent": ["Descent"],
    "dynamics.fields": ["AbstractField", "GradientField", "Inertial", "Rescaled", "UnitSpeed"],
    "dynamics.flow": ["Flow"],
    "dynamics.laws": [
        "AbstractLaw", "adam", "chain", "clipped", "decayed", "from_optax", "gradient_descent", "heavy_ball", "over_size_squared",
        "rmsprop",
    ],
    "dynamics.batches": ["label_noise", "minibatch"],
    "dynamics.penalties": ["weight_decay"],
    "dynamics.schedules": ["over_loss", "two_stage"],
    "dynamics.sharpness_aware": ["SharpnessAware", "sharpness_aware"],
    "dynamics.steepest": ["muon", "signs", "spectral", "unit_gradient"],
    "dynamics.stopping": ["loss_below"],
    "observables.base": ["Measure", "Snapshot", "at_end", "every"],
    "observables.classes": ["neural_collapse"],
    "observables.curvature": ["output_curvature", "preconditioned_sharpness", "sharpness", "spectral_density"],
    "observables.diagonal": ["layer", "layer_size", "operator", "target"],
    "observables.folds": ["always", "first_time", "mean_change", "running_max", "running_min", "summed", "worst_change"],
    "observables.matrix": [
        "imbalance", "imbalance_drift", "isometry_at_the_truth", "isometry_defect", "misalignment", "rank_ratio",
        "relative_error", "signal", "spectral_least", "spectrum", "truth_least",
    ],
    "observables.networks": [
        "block_spectrum", "error_rate", "error_rate_held_out", "homogeneity", "loss_held_out", "outputs", "row_norms",
        "stable_rank", "step_length",
    ],
    "observables.predictor": [
        "angle_to", "distance_to", "lambda_max", "lambda_min", "loss", "loss_at_zero", "min_norm_size", "norm",
        "predictor",
    ],
    "observables.separable": ["best_margin", "margin", "max_margin_gap"],
    "observables.weights": [
        "log_invariant", "orthogonal_direction", "orthogonal_log", "orthogonal_sign", "orthogonal_size", "size",
        "weight_norm",
    ],
    "sweep.ask.grid": ["grid", "linspace", "logspace"],
    "sweep.program.prepare": ["Run"],
    "sweep.ask.records": ["linear_records", "log_records", "records_at", "time_records"],
    "sweep.keep.clock": ["at_clock"],
    "sweep.keep.dataset": ["to_dataframe"],
    "evidence.claims": ["Claim", "claims_with", "judge"],
    "evidence.figures": [
        "Figure", "across", "curves_of", "guide", "level", "map_of", "panel", "runs_of", "theory_of",
    ],
    "evidence.kinds": [
        "Exponent", "Identity", "Inequality", "Limit", "Ordering", "Probability", "UpToConstant",
    ],
    "evidence.predictions": ["batched"],
    "evidence.reductions": ["accepted", "best_of", "by_seed"],
    "study": ["Study"],
}  # fmt: skip
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
_MODULES = {
    "balls": "referee.certify.balls",
    "data": "data",
    "linalg": "linalg",
    "linear": "problems.linear",
    "matrix": "problems.matrix",
    "multiclass": "problems.multiclass",
    "curves": "evidence.curves",
    "figures": "evidence.figures",
    "theory": "theory",
}
_RENAMED = {"open": ("sweep.keep.dataset", "open_results")}

__all__ = sorted([*_HOME, *_MODULES, *_RENAMED])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{_MODULES[name]}", __name__)
    module, attribute = _RENAMED.get(name, (_HOME.get(name), name))
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{module}", __name__), attribute)


def __dir__() -> list[str]:
    return __all__
