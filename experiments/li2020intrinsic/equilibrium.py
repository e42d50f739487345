r"""At which norm does decay hold a scale-invariant weight?  |w|^4 = eta G/(lam (2 - eta lam)).   (Li et al. 2020)

Pure noise: d is uniform on the directions orthogonal to w, |d| |w| = sqrt(G) constant, as a gradient's would be for a loss
of w/|w| alone. The norm then needs no average: with n = |w|^2 and a = 1 - eta lam,

    n' = a^2 n + eta^2 G / n:    n -> n_* = sqrt(eta G/(lam (2 - eta lam))),    n' - n_* = (2 a^2 - 1)(n - n_*) + ...,

and each step turns w by cos = 1 - eta lam. To first order in eta lam that is |w|^4 = eta G/(2 lam) and an angle of
sqrt(2 eta lam), the forms that the paper is quoted for: right in the limit, off by 1/(1 - eta lam/2) in |w|^4 beyond it.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .noise import Perpendicular, late


def cell(*, intrinsic, key, step=0.5, strength=2.0, dimension=10, scale=1.0, max_steps=6000):
    problem = ib.linear.gaussian(1, dimension)(key)  # of which nothing is used
    law = ib.chain(Perpendicular(strength), ib.decayed(intrinsic / step))
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(step, law=law, key=key, max_steps=max_steps))


def norm(snapshot):
    """|w|"""
    return jnp.linalg.norm(snapshot.theta.x)


def turned(before, after):
    """<w, w'> / (|w| |w'|), and the angle"""
    w, new = before.theta.x, after.theta.x
    cos = jnp.sum(w * new) / jnp.sqrt(jnp.sum(w * w) * jnp.sum(new * new))
    return jnp.stack([cos, jnp.arccos(cos)])


# -- what theory says --------------------------------------------------------------------------------------------------


@ib.batched
def settled(norm, exact, intrinsic, max_steps):
    """Steps of half of the run, less those that bring n to its order and then |n - n_*| down to e^-25 of itself."""
    a, off = 1 - intrinsic, abs(np.log(norm[..., 0] ** 4 / exact)) / 2
    return max_steps / 2 - 10 - off / -np.log(a**2) - 25 / -np.log(np.maximum(abs(2 * a**2 - 1), 1e-3))


PREDICTED = {
    "fourth": ib.batched(lambda norm: norm[..., -1] ** 4),
    "exact": ib.batched(lambda step, strength, intrinsic: step**2 * strength / (intrinsic * (2 - intrinsic))),
    "printed": ib.batched(lambda step, strength, intrinsic: step**2 * strength / (2 * intrinsic)),
    "excess": ib.batched(lambda fourth, printed: fourth / printed),
    "excess_due": ib.batched(lambda exact, printed: exact / printed),
    "settled": settled,
    "cos": ib.batched(lambda turned: turned[..., 0]),
    "turn": ib.batched(lambda turned, intrinsic: turned[..., 1] / np.sqrt(2 * intrinsic)),
    "turn_due": ib.batched(lambda intrinsic: np.arccos(1 - intrinsic) / np.sqrt(2 * intrinsic)),
}

# -- claims ------------------------------------------------------------------------------------------------------------


def at_equilibrium(ds):
    return {"time to settle": ds.settled}


def _large(ds):
    return at_equilibrium(ds) | {r"$\eta \lambda \ge 0.1$": ds.intrinsic - 0.1 + 1e-9}


SOURCE = "Li et al. 2020"
claim = ib.claims_with(
    source=f"{SOURCE} (derived)", accepts=(ib.Status.CAPPED,), hypotheses=at_equilibrium, tolerance=lambda ds: 1e-9,
    because="what is left of the start after half of the run, and rounding",
)  # fmt: skip
printed = ib.claims_with(
    source=f"{SOURCE} (recalled, to first order in eta lam), read as an equality", accepts=(ib.Status.CAPPED,),
    hypotheses=_large, tolerance=lambda ds: 1e-3, because="what is left of the start is 1e-9", expected="refuted",
)  # fmt: skip
CLAIMS = [
    claim(
        id="norm-at-equilibrium",
        statement=r"$|w|^4 = \eta G / (\lambda (2 - \eta \lambda))$ at the end",
        residual=lambda ds: abs(ds.fourth / ds.exact - 1),
    ),
    claim(
        id="turn-at-equilibrium",
        statement=r"$\cos(w, w') = 1 - \eta \lambda$, on average over half of the run",
        residual=lambda ds: abs(ds.cos - (1 - ds.intrinsic)),
    ),
    printed(
        id="norm-as-printed",
        statement=r"$|w|^4 = \eta G / 2 \lambda$ at the end",
        residual=lambda ds: abs(ds.excess - 1),
    ),
    printed(
        id="turn-as-printed",
        statement=r"a step turns $w$ by the angle $\sqrt{2 \eta \lambda}$",
        residual=lambda ds: abs(ds.turn - 1),
    ),
    claim(
        id="printed-norm-is-of-first-order",
        source=f"{SOURCE} (recalled), with its order (derived)",
        statement=r"$|w|^4 / (\eta G / 2 \lambda) - 1$ falls like $\eta \lambda$",
        kind=ib.Exponent(against="intrinsic", value=1.0, within=0.1),
        hypotheses=lambda ds: at_equilibrium(ds) | {r"$\eta \lambda \le 0.1$": 0.1 + 1e-9 - ds.intrinsic},
        residual=lambda ds: ds.excess - 1,
        tolerance=None,
        because="1/(1 - x/2) - 1 = x/2 + x^2/4 + ..., of a slope up to 1.05 at x = 0.1",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

SERIES = dict(x="intrinsic", accepts=(ib.Status.CAPPED,))

figure = ib.Figure(
    id="equilibrium",
    panels=[
        ib.panel(
            ib.curves_of("excess", label="measured", join=False, **SERIES),
            ib.theory_of("excess_due", label=r"$1 / (1 - \eta \lambda / 2)$", **SERIES),
            ib.level(1, "first order"),
            x=r"$\eta \lambda$", y=r"$|w|^4 / (\eta G / 2 \lambda)$", log="x", ylim=(0.95, None), legend="upper left",
        ),
        ib.panel(
            ib.curves_of("turn", label="measured", join=False, **SERIES),
            ib.theory_of("turn_due", label=r"$\arccos(1 - \eta \lambda) / \sqrt{2 \eta \lambda}$", **SERIES),
            ib.level(1, "first order"),
            x=r"$\eta \lambda$", y=r"angle of a step, over $\sqrt{2 \eta \lambda}$", log="x", ylim=(0.995, None),
            legend="upper left",
        ),
    ],
    caption="Pure noise of constant |d||w| with decay, {seed.count} seeds. Over their first-order "
    "forms: the norm at the end, and the angle by which a step turns the weights, on average.",
    claims=["norm-at-equilibrium", "norm-as-printed", "turn-at-equilibrium", "turn-as-printed"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(intrinsic=[0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6], seed=range(4)),
    observe={"norm": norm, "turned": ib.mean_change(turned, late)},
    predict=PREDICTED,
    records=ib.linear_records(3),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), intrinsic=[0.003, 0.006, *np.linspace(0.01, 0.9, 30)])},
)  # fmt: skip
