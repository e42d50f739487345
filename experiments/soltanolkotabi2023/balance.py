r"""Do the factors of V W^T stay balanced?  D = V^T V - W^T W under the flow and under descent.   (Soltanolkotabi et al. 2023)

The flow conserves D, for two factors and for more. A step mu of descent adds mu^2 (W^T R^T R W - V^T R R^T V) exactly:
a start of size alpha^2 << mu is soon forgotten, and max |D| saturates at the order of mu, whatever alpha. With
A*A = I the two terms cancel but for the order of alpha^2, and D follows alpha^2, whatever mu.
"""

import numpy as np
import xarray as xr

import implicit_bias as ib

from .._sensing import ANY_END

END = 40.0


def cell(
    *, law, scale, key, model="factors", operator="gaussian", step=0.2, shape=(12, 10), rank=2, width=6, measurements=64,
    max_time=END, rtol=1e-11, atol=1e-13,
):  # fmt: skip
    problem = {
        "gaussian": lambda: ib.matrix.gaussian(shape, rank, measurements)(key),
        "population": lambda: ib.matrix.population(shape, rank)(key),
    }[operator]()
    weights = {"factors": lambda: ib.Asymmetric(scale, width), "layers": lambda: ib.DeepLinear(scale, 3, width)}[
        model
    ]()
    flow = ib.Flow(max_time=max_time, rtol=rtol, atol=atol)
    return ib.Run(problem, weights, flow if law == "flow" else ib.Descent(step, max_steps=100_000))


# -- claims ------------------------------------------------------------------------------------------------------------

ABOUT = "Soltanolkotabi et al. 2023, coupling of the factors"
FLOW, DESCENT = "flow factors+layers", "descent gaussian+population"


def _where(ds, data):
    slacks = {data: ib.curves.among(ds.operator, data), r"$\mu \le 1/4$": np.log(0.2501) - np.log(ds.step)}
    if data == "gaussian":  # what is left of the start in max |D| is below a hundredth
        slacks[r"$\alpha^2 < \mu/1000$"] = np.log(1e-3 * ds.step) - 2 * np.log(ds.scale)
    return slacks


def _order(name, data, against, exponent, within, statement, because):
    """max |D| of descent is proportional to a power of an axis."""
    return ib.Claim(
        id=name,
        source=f"{ABOUT} ({'derived order' if data == 'gaussian' else 'derived'})",
        statement=statement,
        kind=ib.Exponent(against=against, value=exponent, within=within),
        on=DESCENT,
        accepts=ANY_END,
        hypotheses=lambda ds: _where(ds, data),
        residual=lambda ds: ds.largest_imbalance,
        because=because,
    )


CLAIMS = [
    ib.Claim(
        id="flow-conserves-the-imbalance",
        source=f"{ABOUT} (derived)",
        statement=r"$V^\top V - W^\top W$ is constant under the flow, and $W_{l+1}^\top W_{l+1} - W_l W_l^\top$ for "
        "three factors",
        on=FLOW,
        accepts=ANY_END,
        residual=lambda ds: ds.imbalance_drift,
        tolerance=lambda ds: ds.rtol * np.maximum(1, ds.first_imbalance),
        because="the integrator's rtol; exact in time, and what hundreds of steps leave has both signs",
    ),
    _order(
        "imbalance-saturates", "gaussian", "scale", 0.0, 0.1,
        r"under descent with $A^*A \ne I$ and $\alpha^2 \ll \mu$, $\max |D|$ does not depend on $\alpha$",
        "how far the iterate aligns before it grows depends on alpha, weakly",
    ),
    _order(
        "imbalance-is-first-order", "gaussian", "step", 1.0, 0.2,
        r"under descent with $A^*A \ne I$ and $\alpha^2 \ll \mu$, $\max |D|$ is proportional to $\mu$",
        "1/mu steps of order mu^2; at mu = 1/5 the next order adds a tenth",
    ),
    _order(
        "population-imbalance-follows-the-start", "population", "scale", 2.0, 0.1,
        r"with $A^*A = I$, $\max |D|$ is proportional to $\alpha^2$",
        "the error is R = X - V W^T, of which mu^2 (W^T R^T R W - V^T R R^T V) sees the start alone",
    ),
    _order(
        "population-imbalance-ignores-the-step", "population", "step", 0.0, 0.1,
        r"with $A^*A = I$, $\max |D|$ does not depend on $\mu$",
        "as for the exponent of alpha",
    ),
    ib.Claim(
        id="descent-conserves-the-imbalance",
        source=f"{ABOUT} (the flow's law, taken for descent)",
        statement=r"$V^\top V - W^\top W$ is constant under descent",
        on=DESCENT,
        accepts=ANY_END,
        hypotheses=lambda ds: _where(ds, "gaussian"),
        residual=lambda ds: ds.imbalance_drift,
        tolerance=lambda ds: 1e-8,
        because="as for the flow",
        expected="refuted",
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------


def _drift(of_runs):
    """|D(t) - D(0)|, from the first record on."""
    def drift(ds):
        found = of_runs(ds.imbalance_drift)
        return found.where(found > 0)
    return drift


def _as_a_level(data, power):
    """max |D| over what it is proportional to, and over its mean for the seed: 1 by the law."""
    def share(ds):
        inside = xr.concat([slack >= 0 for slack in _where(ds, data).values()], "slack").all("slack")
        found = np.log(ds.largest_imbalance / power(ds)).where(inside)
        return np.exp(found - found.mean(["scale", "step"]))
    return (
        ib.curves_of(
            share, x="scale", by="step", name=r"$\mu = {:.3g}$", on=DESCENT, accepts=ANY_END, of={"operator": data},
            middle="mean", spread="error", join=False,
        ),
        ib.level(1.0, on=DESCENT, line="-"),
    )  # fmt: skip


LEVEL = dict(x=r"size of the start $\alpha$", log="x", ylim=(0.5, 1.6))

figure = ib.Figure(
    id="balance",
    panels=[
        ib.panel(
            ib.curves_of(
                _drift(lambda drift: drift.max(["seed", "scale"])), x="clock", on=FLOW, by="model", accepts=ANY_END,
                looks={"factors": ("flow, $VW^\\top$", "black", "o", "-"), "layers": ("flow, three factors", "black", "o", ":")},
            ),
            ib.curves_of(
                _drift(lambda drift: drift.median("seed")), x=lambda ds: ds.clock * ds.step, on=DESCENT, by="step",
                accepts=ANY_END, of={"operator": "gaussian", "scale": "largest"}, name=r"$\mu = {:.3g}$",
            ),
            x=r"time $t = \mu k$", y=r"$|D(t) - D(0)|$", title="flow, and descent under sensing",
            log="y", ylim=(1e-13, 0.1),
        ),
        ib.panel(
            *_as_a_level("gaussian", lambda ds: ds.step),
            y=r"$\max_t |D| / \mu$, over its mean", title="descent under sensing", legend=None, **LEVEL,
        ),
        ib.panel(
            *_as_a_level("population", lambda ds: ds.scale**2),
            y=r"$\max_t |D| / \alpha^2$, over its mean", title="descent with $A^*A = I$", **LEVEL,
        ),
    ],
    caption="The imbalance D = V^T V - W^T W. Left: the flow keeps it to the integrator's tolerance, for two factors "
    "and for three (worst run); descent does not (median over seeds, the largest start), and is off by more the "
    "larger its step. Middle: under sensing the largest imbalance of a run is proportional to the step and does not "
    "depend on the start, where alpha^2 < mu/1000: over the step it is level (shown over its mean for the seed, "
    "so that 1 is the average by construction). Right: "
    "with A*A = I it is proportional to the square of the start, whatever the step. Mean and two standard errors "
    "over seeds.",
    claims=["flow-conserves-the-imbalance", "imbalance-saturates", "imbalance-is-first-order",
            "population-imbalance-follows-the-start", "population-imbalance-ignores-the-step"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(law="flow", model=["factors", "layers"], seed=range(3), scale=[0.1, 0.3, 1.0])
    + ib.grid(
        law="descent", operator=["gaussian", "population"], seed=range(8),
        scale=ib.logspace(1e-6, 1e-2, 5), step=[0.2, 0.1, 0.05, 0.025],
    ),
    facts={"first_imbalance": ib.imbalance},
    observe={
        "error": ib.relative_error,
        "imbalance_drift": ib.imbalance_drift,
        "imbalance": ib.imbalance,
        "largest_imbalance": ib.running_max(ib.imbalance),
    },
    records=ib.time_records(np.linspace(0, END, 21)),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(50), scale=ib.logspace(1e-6, 1e-2, 9))},
)  # fmt: skip
