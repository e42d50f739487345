r"""On the line: are stable minima smooth, and smoother at larger steps?   (Mulayoff et al. 2021, Qiao et al. 2024)

For d = 1, |f|_Vg = sum over knots of |v_k| |w_k| g = int |f''| g, g = min over the two sides of a knot of

    P^2 E|x - knot| sqrt(1 + E[x]^2)       of the examples there,

and a minimum that steps of eta do not leave has int |f''| g <= 1/eta - 1/2 + sqrt(1 + R^2) sqrt(2 L) / 2. That bound falls
with eta. Does f follow? Descent of step eta, and from there of `factor` eta for as many steps. Below the edge the larger
step only trains for longer, and f is rougher. Beyond it neurons die: f is smoother, and fits less.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .network import ENDS, FLATNESS, curvature, norms, number, parts, two_layer
from .training import Kaiming


def cell(*, step, key, factor=3.0, examples=30, width=60, noise=0.3, max_steps=8000):
    x = jax.random.uniform(ib.stream(key, "inputs"), (examples, 1), minval=-1.0, maxval=1.0)
    y = jnp.sin(jnp.pi * x[:, 0]) + noise * jax.random.normal(ib.stream(key, "noise"), (examples,))
    steps = ib.Descent(ib.two_stage(step, factor * step, max_steps // 2), max_steps=max_steps, law=ib.clipped(50.0))
    return ib.Run(ib.supervised(x, y), two_layer(width, Kaiming(jnp.asarray(1.0))), steps)


def knots(snapshot):
    """how many neurons are active at some examples and not at others"""
    z = parts(snapshot)[2]
    share = jnp.mean((z > 0).astype(z.dtype), 0)
    return jnp.sum(((share > 0) & (share < 1)).astype(float))


def halfway(ds, value):
    """At the last moment of the first step."""
    return value.isel(record=ds.sizes["record"] // 2)


def gain(ds, value):
    """By how much it has grown under the larger step."""
    return ib.curves.last(value) - halfway(ds, value)


def smooth(ds):
    """int |f''| g"""
    return ds["norms.weighted"]


def allowed(ds, step):
    """1/eta - 1/2 + sqrt(1 + R^2) sqrt(2 L) / 2, at every record."""
    return 1 / step - 1 / 2 + np.sqrt(1 + ds["norms.radius"] ** 2) * np.sqrt(2 * ds.loss) / 2


# -- claims ------------------------------------------------------------------------------------------------------------


def trained(ds):
    return {
        "8000 steps or more": number(ds, "max_steps") - 8000,
        "the second step is 3 to 3.5 times the first": np.minimum(ds.factor - 3, 3.5 - ds.factor),
        "noise of deviation 0.3 to 0.6": np.minimum(ds.noise - 0.3, 0.6 - ds.noise),
        "30 examples": -abs(number(ds, "examples") - 30), "60 neurons": -abs(number(ds, "width") - 60),
    }


def small(ds):
    return trained(ds) | {"steps of 0.02 or less": 0.02 - ds.step, "and 0.01 or more": ds.step - 0.01}


def large(ds):
    return trained(ds) | {"steps of 0.1 or more": ds.step - 0.1, "and 0.2 or less": 0.2 - ds.step}


READ = "Mulayoff et al. 2021, as one might read the bound"
ordering = ib.claims_with(source=READ, accepts=ENDS, kind=ib.Ordering(over="seed"), because="over seeds")
CLAIMS = [
    FLATNESS,
    ib.Claim(
        id="stable-minima-are-smooth", source="Mulayoff et al. 2021; Qiao et al. 2024 (sharp constants, derived)",
        statement=r"where $\lambda_{\max} \le 2/\eta$ after steps of $\eta$, "
        r"$\int |f''| g \le 1/\eta - 1/2 + \sqrt{1 + R^2} \sqrt{2 L} / 2$",
        kind=ib.Inequality(), accepts=ENDS, hypotheses=lambda ds: {"stable": 2 / ds.step - halfway(ds, curvature(ds))},
        residual=lambda ds: halfway(ds, smooth(ds) - allowed(ds, ds.step)),
        bound=lambda ds: halfway(ds, allowed(ds, ds.step)),
        tolerance=lambda ds: 1e-5 / ds.step, because="Lanczos stops at 1e-6",
    ),
    ordering(
        id="a-larger-step-is-smoother", expected="refuted", residual=lambda ds: gain(ds, smooth(ds)),
        statement=r"$\eta \le 0.02$: $\int |f''| g$ is lower after the larger step, where the loss ends no higher",
        hypotheses=lambda ds: small(ds) | {"the loss ends no higher": -gain(ds, ds.loss)},
    ),
    ordering(
        id="below-the-edge-it-grows-rougher", source="measured",
        statement=r"$\eta \le 0.02$, below the edge: $\int |f''| g$ is higher after the larger step, for training goes on",
        hypotheses=small, residual=lambda ds: -gain(ds, smooth(ds)),
    ),
    ordering(
        id="beyond-the-edge-it-is-smoother", statement=r"$\eta \ge 0.1$: $\int |f''| g$ is lower after the larger step",
        hypotheses=large, residual=lambda ds: gain(ds, smooth(ds)),
    ),
    ordering(
        id="and-has-fewer-knots", statement=r"$\eta \ge 0.1$: fewer neurons have a knot among the examples after the larger step",
        hypotheses=large, residual=lambda ds: gain(ds, ds.knots),
    ),
    ordering(
        id="at-no-cost", statement=r"$\eta \ge 0.1$: the loss is lower after the larger step, too", hypotheses=large,
        residual=lambda ds: gain(ds, ds.loss), expected="refuted",
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------


def both(value, **more):
    """Before and after."""
    series = dict(x="step", accepts=ENDS, spread="middle 80 %")
    return [
        ib.curves_of(lambda ds: halfway(ds, value(ds)), label=r"after $\eta$", **series, **more),
        ib.curves_of(lambda ds: ib.curves.last(value(ds)), label="and then the larger step",
                     looks={None: dict(colour="vermillion", marker="s")}, **series, **more),
    ]  # fmt: skip


figure = ib.Figure(
    id="univariate",
    panels=[
        ib.panel(
            *both(smooth),
            ib.theory_of(lambda ds: halfway(ds, allowed(ds, ds.step)), x="step", label=r"allowed to $\eta$", line="--"),
            x=r"step $\eta$", y=r"$\int |f''| g$", log="xy",
        ),
        ib.panel(*both(lambda ds: ds.loss), x=r"step $\eta$", y="training loss", log="xy", legend=None),
    ],
    caption="{width} neurons on {examples} examples of a sine, medians and the middle 80 % of {seed.count} seeds: "
    "{max_steps} steps, the second half {factor:g} times as large. What stability allows falls with the step "
    "(dashed), and what is found is far below. Where the larger step makes f smoother, it fits less.",
    claims=["stable-minima-are-smooth", "a-larger-step-is-smoother", "at-no-cost"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(step=[0.02, 0.05, 0.1, 0.2], seed=range(20)),
    observe={"sharpness": ib.sharpness(tolerance=1e-6), "norms": norms, "knots": knots},
    records=ib.linear_records(5),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(200), step=ib.logspace(0.01, 0.2, 8))},
)
