r"""The claims of Soltanolkotabi et al. 2023 that these studies judge. Formulas are in `implicit_bias.theory.sensing`.

Of the paper only the abstract was at hand: what is tested is derived; its own exponent 3/5, which is remembered, is
drawn beside the measured one.
"""

import numpy as np

import implicit_bias as ib
from implicit_bias.evidence.curves import among

from .._sensing import ANY_END, claims_of_the_start

SOURCE = "Soltanolkotabi et al. 2023"


# -- balance -------------------------------------------------------------------------------------------------------

flow_conserves = ib.Claim(
    id="flow-conserves-the-imbalance",
    source=f"{SOURCE}, coupling of the factors (derived)",
    statement="V^T V - W^T W is constant under the flow, and W_{l+1}^T W_{l+1} - W_l W_l^T for three factors",
    on="flow factors+layers",
    accepts=ANY_END,
    residual=lambda ds: ds.imbalance_drift,
    tolerance=lambda ds: ds.rtol * np.maximum(1, ds.first_imbalance),
    because="the integrator's rtol; exact in time, and what hundreds of steps leave has both signs",
)

_descent = "descent gaussian+population"


def _hypotheses(ds, data):
    slacks = {data: among(ds.operator, data), "mu <= 1/4": np.log(0.2501) - np.log(ds.step)}
    if data == "gaussian":  # what is left of the start in max |D| is below a hundredth
        slacks["alpha^2 < mu/1000"] = np.log(1e-3 * ds.step) - 2 * np.log(ds.scale)
    return slacks


descent_conserves = ib.Claim(
    id="descent-conserves-the-imbalance",
    source=f"{SOURCE}, coupling of the factors (the flow's law, taken for descent)",
    statement="V^T V - W^T W is constant under descent",
    on=_descent,
    accepts=ANY_END,
    hypotheses=lambda ds: _hypotheses(ds, "gaussian"),
    residual=lambda ds: ds.imbalance_drift,
    tolerance=lambda ds: 1e-8,
    because="as for the flow",
    expected="refuted",
)

one_step = ib.Claim(
    id="one-step-of-the-imbalance",
    source=f"{SOURCE}, coupling of the factors (derived: exact)",
    statement="D(next) - D = mu^2 (W^T R^T R W - V^T R R^T V) at every step of descent, D = V^T V - W^T W",
    accepts=ANY_END,
    residual=lambda ds: ds.identity_gap,
    tolerance=lambda ds: 1e-14 * np.maximum(1, ds.largest),
    because="exact; rounding of a step, of numbers as large as |V|^2 + |W|^2",
)


def _largest_imbalance(name, data, against, exponent, within, statement, because):
    """max |D| of descent is proportional to a power of an axis."""

    return ib.Claim(
        id=name,
        source=f"{SOURCE}, coupling of the factors ({'derived order' if data == 'gaussian' else 'derived'})",
        statement=statement,
        kind=ib.Exponent(against=against, value=exponent, within=within),
        on=_descent,
        accepts=ANY_END,
        hypotheses=lambda ds: _hypotheses(ds, data),
        residual=lambda ds: ds.largest_imbalance,
        because=because,
    )


orders = [
    _largest_imbalance(
        "imbalance-saturates", "gaussian", "scale", 0.0, 0.1,
        "under descent with A*A != I and alpha^2 << mu, max |D| does not depend on alpha",
        "how far the iterate aligns before it grows depends on alpha, weakly",
    ),
    _largest_imbalance(
        "imbalance-is-first-order", "gaussian", "step", 1.0, 0.2,
        "under descent with A*A != I and alpha^2 << mu, max |D| is proportional to mu",
        "1/mu steps of order mu^2; at mu = 1/5 the next order adds a tenth",
    ),
    _largest_imbalance(
        "population-imbalance-follows-the-start", "population", "scale", 2.0, 0.1,
        "with A*A = I, max |D| is proportional to alpha^2",
        "the error is R = X - V W^T, of which mu^2 (W^T R^T R W - V^T R R^T V) sees the start alone",
    ),
    _largest_imbalance(
        "population-imbalance-ignores-the-step", "population", "step", 0.0, 0.1,
        "with A*A = I, max |D| does not depend on mu",
        "as for the exponent of alpha",
    ),
]  # fmt: skip

# -- recovery ------------------------------------------------------------------------------------------------------

of_the_start = claims_of_the_start(SOURCE, bound="3/5")
