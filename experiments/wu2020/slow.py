r"""Does Theorem 2.7 hold for every eps?  A start from which the loss falls slower than its second rate says.   (Wu et al. 2020, Thm 2.7)

Where g0 >= delta the printed bound has no time to grow, so that as eps -> L0 it asks of the first moment

    -dL/dt / L0 = (c (w.q)^2 + g0^2 |P_w q|^2) / L0  >=  lambda_min min(delta, c),     lambda_max delta = 2 g0 w.q + |A g0 w|^2.

With the residual along the least eigenvector |q|^2 = 2 lambda_min L0 is as large as one likes at a fixed w.q = kappa:
the left side tends to 2 lambda_min g0^2, the right side stays at about 2 lambda_min g0 kappa. Here A = diag(1, 1/2)
with a column of zeros, g0 = 0.1, kappa = 0.4, |q| = 10 and c = 1, which makes t / T = 3.5 for eps close to L0.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import observables
from .claims import SOURCE
from .rates import BY_LOSS, PREDICTED, at_every_eps, hitting


def cell(*, scale, ratio=1.0, along=0.4, force=10.0, least=0.5, row=0.5, stop=1e-8):
    """w = (row, along/force, rest), and the residual (0, force/least), so that A^T r = (0, force, 0)."""
    operator = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]) * jnp.array([[1.0], [least]])
    second = along / force
    direction = jnp.array([row, second, jnp.sqrt(1 - row**2 - second**2)])
    target = scale * operator @ direction + jnp.array([0.0, force / least])
    flow = ib.Flow(max_time=2_000.0, ratio=ratio, stop=ib.loss_below(stop), rtol=1e-10, atol=1e-13)
    return ib.Run(ib.linear.fixed(operator, target)(0), ib.Polar(scale, direction), flow)


def _half_as_fast(ds):
    """The rate at which the bound has the loss fall at first, less twice that at which it does, -dL/dt / L."""
    first = ds.isel(record=0)
    return ds.by_the_loss_as_printed_pace + 2 * first.loss_rate / first.loss


CLAIMS = [
    hitting(
        "fits-in-time-by-the-loss",
        f"{SOURCE}, Theorem 2.7, second rate (as the text layer reads)",
        r"for every $\varepsilon$, $L \le \varepsilon$ by $T = \log(L_0/\varepsilon) / (\lambda_{\min} \min(\delta, "
        r"c)) + (2 - \log(g_0/\delta)) / \lambda_{\max} [g_0 < \delta]$",
        {**BY_LOSS, r"$g_0 \ge \delta$": lambda ds: ds.scale - ds.delta, "$L$ falls at half of that rate at first": _half_as_fast},
        "by_the_loss_as_printed",
        expected="refuted",
    ),
    hitting(
        "fits-in-time-by-the-loss-from-a-slow-start",
        f"{SOURCE}, Theorem 2.7, second rate (derived)",
        r"for every $\varepsilon$, $L \le \varepsilon$ by $T = \log(L_0/\varepsilon) / (\lambda_{\min} \min(\delta, "
        r"2c)) + \log(2 (1 - g_0^2/\delta))_+ / (c \lambda_{\max})$",
        BY_LOSS,
        "by_the_loss",
    ),
]

def _ratios(bound, *look):
    return ib.runs_of(
        lambda ds: at_every_eps(ds, bound),
        x=lambda ds: np.log(ds.loss.isel(record=0) / ds.loss).where(ds.loss > ds.stop),
        looks={None: ib.figures.Look(*look)}, join=False,
    )  # fmt: skip


figure = ib.Figure(
    id="slow-start",
    panels=[
        ib.panel(
            _ratios("by_the_loss_as_printed", "$T$ as it reads", "vermillion", "s"),
            _ratios("by_the_loss", "$T$ derived", "blue", "o"),
            ib.level(1.0, "the bound", line="-"),
            log="xy", x=r"fall of the loss, $\log(L_0 / L)$", y="time over the bound for it, $t / T(L)$",
        )
    ],
    caption="The time at which the loss is L over the second bound of Theorem 2.7 for eps = L, along the runs of "
    "{scale.count} starts, one point for each record. The bound as it reads fails above 1, where the loss has "
    "fallen by "
    "little; the derived one holds.",
    claims=[claim.id for claim in CLAIMS],
)

study = ib.Study(
    cell=cell,
    grids=ib.grid(scale=[0.05, 0.1, 0.15]),
    facts={"lambda_min": ib.lambda_min, "lambda_max": ib.lambda_max, "loss_at_zero": ib.loss_at_zero},
    observe={"loss_rate": observables.loss_rate},
    predict={name: PREDICTED[name] for name in ("delta", "by_the_loss_as_printed", "by_the_loss")},
    records=ib.records_at(np.geomspace(1e-4, 1e3, 60)),
    claims=CLAIMS,
    figures=[figure],
)
