r"""How fast is descent exactly at the edge, eta = 2/L''?  Like C/k, with one C for every start.   (conjectured here)

In one dimension, at a minimum a* with h = L''(a*), a step of eta = 2/h is f(a) = a - (2/h) L'(a), of slope -1 at a*: it
overshoots by as much as it was off. What decides is the third order of two steps. With delta = a - a*,

    f(f(a* + delta)) = a* + delta - 2 beta delta^3 + O(delta^4),    beta = f''^2/4 + f'''/6 = L'''^2/h^2 - L''''/(3 h),

since f'' = -2 L'''/h and f''' = -2 L''''/h (the terms of second order cancel: the second step undoes what the first has bent).
Two steps are time 2, so d delta/dk = -beta delta^3, delta^2 -> 1/(2 beta k), and

    k (L_k - L*) -> h/(4 beta) = h^3 / (4 L'''^2 - (4/3) h L'''')        where 3 L'''^2 > h L'''',

whatever the start. The next order is of either side by turns, of the size of delta ~ 1/sqrt(k); what the start adds is log k/k.
On |a^p - y|^2/2 the limit is 3 p^2 y^2 / (16 (p - 1) (5 p - 4)): y^2/8 at p = 2. Below the edge the loss falls geometrically,
beyond it not at all; p = 1 has beta = 0, and stays where it is. `implicit-bias conjecture conjectures/flip fallen
over=max_steps depth=2 target=1` found the power -1, and over=target the 2; the constant is derived.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib


def cell(*, depth, target, max_steps, key, spread=0.2):
    """A start that is off by half of that share of the minimum, or more, and the step of exactly 2/L''."""
    minimum = target ** (1 / depth)
    off = jax.random.uniform(ib.stream(key, "start"), minval=-1.0, maxval=1.0)
    start = minimum * (1 + spread * (off + jnp.sign(off)) / 2)
    curvature = (depth * target / minimum) ** 2
    return ib.Run(
        ib.linear.fixed([[1.0]], [target])(key), ib.Power(ib.Euclidean(start), depth),
        ib.Descent(2 / curvature, max_steps=max_steps),
    )  # fmt: skip


def constant(depth, target):
    """k L_k in the limit"""
    return 3 * depth**2 * target**2 / (16 * (depth - 1) * (5 * depth - 4))


PREDICTED = {
    "fallen": lambda loss: loss[-1],
    "constant": ib.batched(constant),
    "near": lambda a, depth, target: 0.2 - abs(a[0, 0] / target ** (1 / depth) - 1),
    # of the next order, delta ~ 1/sqrt(2 beta k): on which side of the minimum the last step was
    "off": ib.batched(lambda loss, steps, constant: abs(steps * loss[..., -1] / constant - 1)),
}

claim = ib.claims_with(
    source="conjectured here, derived in the study", accepts=(ib.Status.CAPPED,),
    hypotheses=lambda ds: {
        "$p > 1$": ds.depth - 1.5, r"$k \ge 100$": ds.steps - 99.5, "the start is within a fifth of the minimum": ds.near,
    },
)  # fmt: skip
CLAIMS = [
    claim(
        id="at-the-edge-the-loss-falls-like-one-over-k",
        statement=r"at $\eta = 2/L''$ the loss after $k$ steps falls like $1/k$",
        kind=ib.Exponent(against="max_steps", value=-1.0, within=0.05),
        residual=lambda ds: ds.fallen,
        because="over a hundred steps or more; the next orders, 1/sqrt(k) and log k/k, bend it by 0.01 to 0.02",
    ),
    claim(
        id="at-the-edge-every-start-has-one-constant",
        statement=r"$k L_k \to 3 p^2 y^2 / (16 (p - 1) (5 p - 4))$, whatever the start",
        kind=ib.Limit(against="max_steps", towards="infinity"),
        residual=lambda ds: ds.off,
        tolerance=lambda ds: 3 / np.sqrt(ds.steps),
        because="the next order: L'''/L'' and the terms of third order, some delta = 1/sqrt(2 beta k)",
    ),
    claim(
        id="at-the-edge-the-loss-is-of-order-two-in-the-target",
        statement=r"after $k$ steps the loss is proportional to $y^2$",
        kind=ib.Exponent(against="target", value=2.0, within=1e-6),
        residual=lambda ds: ds.fallen,
        because="units: a relative start and eta = 2/L'' make a^p/y the same run; rounding over the steps",
    ),
]

figure = ib.Figure(
    id="flip",
    panels=[
        ib.panel(
            ib.curves_of(
                "fallen", x="max_steps", by="depth", name="$p = {:g}$", of={"target": 1.0}, accepts=(ib.Status.CAPPED,)
            ),
            ib.theory_of(
                lambda ds: ds.constant / ds.steps, x="max_steps", by="depth", theory_label="$C/k$", of={"target": 1.0},
                accepts=(ib.Status.CAPPED,),
            ),
            x="steps $k$", y="loss", log="xy",
        ),
        ib.panel(
            ib.curves_of("off", x="max_steps", by="depth", name="$p = {:g}$", of={"target": 1.0}, accepts=(ib.Status.CAPPED,)),
            ib.guide(-0.5, "slope {:g}", series=0),
            x="steps $k$", y=r"$|k L_k / C - 1|$", log="xy",
        ),
    ],
    caption="Descent exactly at the edge, eta = 2/L'', on |a^p - y|^2/2 with y = 1, medians and ranges over {seed.count} "
    "starts. Left: the loss after k steps, with C/k. Right: how far k times the loss is from its constant.",
    claims=["at-the-edge-the-loss-falls-like-one-over-k", "at-the-edge-every-start-has-one-constant"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        depth=[2.0, 3.0, 4.0], target=[0.1, 1.0, 10.0], max_steps=[100, 300, 1000, 3000, 10_000, 30_000], seed=range(8)
    ),
    observe={"a": ib.layer},
    predict=PREDICTED,
    records=ib.linear_records(2),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(32))},
)
