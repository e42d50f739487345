r"""How far does momentum turn a weight under noise and decay?  cos = (a + b)/(1 + a b), a = 1 - eta lam.   (Li et al. 2020)

Isotropic noise u in R^d, momentum b, decoupled decay: m' = b m + u, W' = a W - eta m'. Each entry is an autoregression of
order 2 with roots a and b, so that for d -> infinity

    cos(W, W') = (a + b)/(1 + a b),    |W|^2 = eta^2 |m|^2 (1 + a b)/((1 - a^2)(1 - a b)),    |m|^2 of the update.

A blog post of 2025 (Wen, Dang, Lyu, Ma, Liang) has the second, and calls |W'/|W'| - W/|W|| the effective step: that is the
chord sqrt(2 (1 - cos)), where it prints sqrt((1 - a^2)(1 - b^2))/(1 + a b), the sine. For small turns they are one.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .noise import Isotropic, late


def cell(*, intrinsic, momentum, key, step=0.5, dimension=400, max_steps=2000):
    problem = ib.linear.gaussian(1, dimension)(key)  # of which nothing is used
    law = ib.chain(Isotropic(), ib.heavy_ball(momentum), ib.decayed(intrinsic / step))
    return ib.Run(problem, ib.Euclidean(1.0), ib.Descent(step, law=law, key=key, max_steps=max_steps))


def turned(before, after):
    """<W, W'> / (|W| |W'|), |W'/|W'| - W/|W||, |W|^2, eta^2 |m'|^2"""
    w, new = before.theta.x, after.theta.x
    a = 1 - before.dynamics.step * before.dynamics.law.laws[-1].hyper["weight_decay"]
    unit, turned = w / jnp.linalg.norm(w), new / jnp.linalg.norm(new)
    squares = jnp.sum(w * w), jnp.sum((a * w - new) ** 2)
    return jnp.stack([jnp.sum(unit * turned), jnp.linalg.norm(turned - unit), *squares])


# -- what theory says --------------------------------------------------------------------------------------------------


def autoregression(intrinsic, momentum, dimension, max_steps):
    """cos, and two standard deviations: of the mean cosine (Bartlett) and of a mean square, relative; and steps to forget."""
    a, b = 1 - intrinsic, momentum
    rho = [1.0, (a + b) / (1 + a * b)]
    for _ in range(500):
        rho.append((a + b) * rho[-1] - a * b * rho[-2])
    rho, numbers = np.array(rho), dimension * max_steps / 2
    bartlett = np.sum((rho[2:] + rho[:-2] - 2 * rho[1] * rho[1:-1]) ** 2)
    spread = 1 + 2 * np.sum(rho[1:] ** 2)
    forgets = max_steps / 2 + 20 / np.log(max(a, b))
    return dict(cos=rho[1], of_cos=(bartlett / numbers) ** 0.5, of_square=(2 * spread / numbers) ** 0.5, forgets=forgets)


PREDICTED = {
    "theory": autoregression,
    "cos": ib.batched(lambda turned: turned[..., 0]),
    "chord": ib.batched(lambda turned: turned[..., 1]),
    "allowed": ib.batched(
        lambda theory_cos, theory_of_cos, dimension: 5 * theory_of_cos + (1 - theory_cos**2) / dimension
    ),
    "chord_due": ib.batched(lambda theory_cos: np.sqrt(2 * (1 - theory_cos))),
    "sine": ib.batched(
        lambda intrinsic, momentum: np.sqrt(intrinsic * (2 - intrinsic) * (1 - momentum**2))
        / (1 + (1 - intrinsic) * momentum)
    ),
    "square_over": ib.batched(
        lambda turned, intrinsic, momentum: turned[..., 2] / turned[..., 3] * intrinsic * (2 - intrinsic)
        * (1 - (1 - intrinsic) * momentum) / (1 + (1 - intrinsic) * momentum)
    ),
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

BLOG = "Wen, Dang, Lyu, Ma, Liang, blog 2025"
claim = ib.claims_with(
    source=f"{BLOG} (derived)", accepts=(ib.Status.CAPPED,),
    hypotheses=lambda ds: {"the start is forgotten": ds.theory_forgets},
    because="5 standard errors of the mean over half of the run, and 1/d of what is squared",
)  # fmt: skip


def _chord_allowed(ds):
    return ds.allowed / (2 * (1 - ds.theory_cos)) + 1 / ds.dimension


CLAIMS = [
    claim(
        id="cosine-with-momentum",
        statement=r"the mean of $\cos(W, W')$ is $(a + b) / (1 + a b)$, $a = 1 - \eta \lambda$",
        residual=lambda ds: abs(ds.cos - ds.theory_cos),
        tolerance=lambda ds: ds.allowed,
    ),
    claim(
        id="norm-with-momentum",
        source=f"{BLOG}, its table",
        statement=r"$|W|^2 = \eta^2 |m|^2 (1 + a b) / ((1 - a^2)(1 - a b))$ on average, $|m|$ that of the update",
        residual=lambda ds: abs(ds.square_over - 1),
        tolerance=lambda ds: 5 * ds.theory_of_square,
        because="5 standard errors of the mean of |W|^2 over half of the run: that of |m|^2 is narrower",
    ),
    claim(
        id="effective-step-is-the-chord",
        statement=r"the mean of $|W'/|W'| - W/|W||$ is $\sqrt{2 (1 - \cos)}$, $\cos = (a + b) / (1 + a b)$",
        residual=lambda ds: abs(ds.chord / ds.chord_due - 1),
        tolerance=_chord_allowed,
    ),
    claim(
        id="effective-step-as-printed",
        source=f"{BLOG}, its table",
        statement=r"the mean of $|W'/|W'| - W/|W||$ is $\sqrt{(1 - a^2)(1 - b^2)} / (1 + a b)$",
        residual=lambda ds: abs(ds.chord / ds.sine - 1),
        tolerance=_chord_allowed,
        expected="refuted",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

SERIES = dict(x="intrinsic", by="momentum", name="$b = {:g}$")

figure = ib.Figure(
    id="momentum",
    panels=[
        ib.panel(
            ib.curves_of("chord", accepts=(ib.Status.CAPPED,), join=False, **SERIES),
            ib.theory_of("chord_due", theory_label="chord", line="-", **SERIES),
            ib.theory_of("sine", theory_label="sine, as printed", line=":", **SERIES),
            x=r"$\eta \lambda$", y=r"$|W'/|W'| - W/|W||$", log="xy",
        ),
    ],
    caption="How far a step moves the direction of a weight under isotropic noise in {dimension} dimensions, momentum b and "
    "decay, on average over {seed.count} seeds. The printed form is the sine of the angle, and the length is its chord.",
    claims=["effective-step-is-the-chord", "effective-step-as-printed"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(intrinsic=[0.03, 0.1, 0.3, 0.7], momentum=[0.0, 0.5, 0.9], seed=range(4)),
    observe={"turned": ib.mean_change(turned, late)},
    predict=PREDICTED,
    records=ib.linear_records(2),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), dimension=4000)},
)  # fmt: skip
