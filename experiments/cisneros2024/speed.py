r"""Is training faster with longer rows?  At one and the same step it is slower; what is exact is a scaling.   (arXiv 2409.08935)

f(s W, v) = f(W, v), and its gradient in W is 1/s of that at W: rows of norm s under the step eta s^2 (v keeps eta) are the same
run as rows of norm 1 under eta, step by step. At one step eta rows of norm s turn as under eta / s^2, so that longer rows learn
more slowly. Hidden layers have the step eta s^power.
"""

import numpy as np

import implicit_bias as ib

from .network import network, regression


def cell(*, power, size, key, step=0.2, depth=2, width=16, dimension=10, examples=64, output=4.0, below=0.02, max_steps=3000):
    rates = {f"layer{number}": size**power for number in range(1, depth + 1)}
    descent = ib.Descent(step, rates=rates, stop=ib.loss_below(below), max_steps=max_steps)
    problem = regression(key, examples, dimension, dimension**0.5)
    return ib.Run(problem, network(depth, width, size=size, output=output), descent)


# -- claims ------------------------------------------------------------------------------------------------------------

ENDS = (ib.Status.CONVERGED, ib.Status.CAPPED)


def apart(ds):
    """|L / L of the shortest rows - 1| at all records, and the same of the number of steps."""
    loss, steps = (value / ib.curves.at_smallest(value, "size") for value in (ds.loss, ds.steps.astype(float)))
    return np.maximum(abs(loss - 1).max("record"), abs(steps - 1))


def slower(ds):
    """log steps at the next larger norm, less those at a norm; a run that ends at the cap takes that many or more."""
    taken = np.log(ds.steps.astype(float))
    return ib.curves.at_next(taken, "size") - taken


def fixed(ds):
    return {
        "one step for all norms": -abs(ds.power),
        "norms of 1 or more": ds["size"] - 1,
        "a larger norm stands beside it": ib.curves.has_next(ds["size"]),
        "the loss is reached before the cap": ds.max_steps - 0.5 - ds.steps,
    }


def _over_norms(id, statement, sign, **more):
    return ib.Claim(
        id=id, statement=statement, kind=ib.Ordering(over="seed"), hypotheses=fixed, accepts=ENDS,
        residual=lambda ds: sign * slower(ds), because="over seeds, from each norm to the next", **more,
    )  # fmt: skip


CLAIMS = [
    ib.Claim(
        id="norm-s-at-step-eta-s2-is-one-run", source="arXiv 2409.08935, derived", accepts=ENDS,
        statement=r"rows of norm $s$ under the step $\eta s^2$ have the losses of the shortest rows at all records, "
        "and end with them",
        hypotheses=lambda ds: {r"hidden layers have the step $\eta s^2$": -abs(ds.power - 2)},
        residual=apart, tolerance=lambda ds: 1e-9, because="rounding, which hundreds of steps enlarge",
    ),
    _over_norms("longer-rows-are-faster", "the loss is reached in fewer steps where rows are longer", 1,
                source="arXiv 2409.08935, as read: a larger least row norm converges faster", expected="refuted"),
    _over_norms("longer-rows-are-slower", "at one step the loss is reached in more steps where rows are longer", -1,
                source="arXiv 2409.08935, corrected"),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

lines = dict(x="size", accepts=ENDS)
figure = ib.Figure(
    id="speed",
    panels=[
        ib.panel(
            ib.curves_of("steps", of={"power": 0.0}, label="step $\\eta$", looks={None: dict(colour="blue")}, **lines),
            ib.curves_of("steps", of={"power": 2.0}, label="step $\\eta s^2$",
                         looks={None: dict(colour="vermillion", marker="s", line="--")}, **lines),
            ib.level("max_steps", "cap"),
            x="norm of the rows $s$", y="steps to the loss", log="xy",
        )
    ],
    caption="Steps of gradient descent until the loss is {below:g}, step {step:g} for v; medians and ranges over {seed.count} "
    "seeds. Where hidden layers have the step eta s^2 the norm of the rows makes no difference at all.",
    claims=["norm-s-at-step-eta-s2-is-one-run", "longer-rows-are-faster", "longer-rows-are-slower"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(power=[0.0, 2.0], size=[0.3, 0.5, 1.0, 2.0, 5.0, 10.0], seed=range(10)),
    records=ib.log_records(12),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(40), width=256, max_steps=20_000)},
)
