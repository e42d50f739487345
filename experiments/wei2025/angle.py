r"""What is weight normalisation of a matrix at rank one?  |X Theta X^T - v v^T|^2 / 4: one angle.   (Wei et al. 2025)

X in R^{m x r} is a frame, Theta = X^T M X the best core for it, and a step goes along the gradient on the manifold and back
by the polar factor. With M = s v v^T and c = |X^T v|^2, for every m, r, step eta and start (derived; here s = 1),

    c' = c (1 + z c (1 - c))^2 / (1 + z^2 c^3 (1 - c)),    z = eta s^2,        4 f = s^2 (1 - c^2):

the gradient is -s^2 c (I - X X^T) v v^T X, of rank one. Near c = 1 the map is 1 - c' = (1 - z)^2 (1 - c): stable iff z < 2.
Near c = 0 it is c' = c + 2 z c^2: a frame that is almost orthogonal to v stays so for 1/(2 z c) steps.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib


def cell(*, width, overlap, step, key, size=12, stop=1e-12, max_steps=3000):
    problem = ib.matrix.population(size, 1)(key)
    drawn = jax.random.normal(ib.stream(key, "frame"), (size, width))
    start = drawn - (1 - overlap) * problem.left @ (problem.left.T @ drawn)
    descent = ib.Descent(step, stop=ib.loss_below(stop), max_steps=max_steps)
    return ib.Run(problem, ib.Stiefel(width, problem.truth, start), descent)


def aligned(snapshot):
    """c = |X^T v|^2"""
    return jnp.sum((snapshot.theta.x.T @ snapshot.problem.left) ** 2)


def mapped(c, z):
    return c * (1 + z * c * (1 - c)) ** 2 / (1 + z**2 * c**3 * (1 - c))


def off_the_map(before, after):
    """|c' - what the map makes of c|"""
    return jnp.abs(aligned(after) - mapped(aligned(before), before.dynamics.step))


def off_the_frame(snapshot):
    """max |X^T X - I|"""
    x = snapshot.theta.x
    return jnp.max(jnp.abs(x.T @ x - jnp.eye(x.shape[1])))


# -- what theory says --------------------------------------------------------------------------------------------------


PREDICTED = {
    # from c_0 to 1/2 the flow takes (1/c_0 + log(1/c_0 - 1) - 2) / 2 z, which is at most 1.2/c_0 over 2 z
    "left": ib.batched(lambda c, step, max_steps: max_steps - 20 - 1.2 / (2 * step * c[..., 0])),
    "shrinks": ib.batched(lambda step: -2 * np.log(np.maximum(abs(1 - step), 0.05))),
}

# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Wei et al. 2025"
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED)
claim = ib.claims_with(source=f"{SOURCE}, generalised weight normalisation at its best core (derived)", accepts=ENDED)
end = ib.curves.last
CLAIMS = [
    claim(
        id="one-angle",
        statement=r"$c' = c (1 + z c (1 - c))^2 / (1 + z^2 c^3 (1 - c))$, $c = |X^\top v|^2$, $z = \eta s^2$, at every step",
        residual=lambda ds: ds.off_the_map,
        tolerance=lambda ds: 1e-13,
        because="rounding of X, whose entries are at most 1",
    ),
    claim(
        id="loss-of-the-angle",
        statement=r"$4 f = s^2 (1 - c^2)$ at every record",
        residual=lambda ds: abs(4 * ds.loss - (1 - ds.c**2)).max("record"),
        tolerance=lambda ds: 1e-13,
        because="rounding",
    ),
    claim(
        id="frames-stay-frames",
        statement=r"$X^\top X = I$ at every step",
        residual=lambda ds: ds.off_the_frame,
        tolerance=lambda ds: 1e-13,
        because="each polar factor is one to rounding",
    ),
    claim(
        id="stable-below-two",
        statement=r"$\eta s^2 < 2$: the loss falls below the stop rule's, from every start with $c > 0$",
        kind=ib.Inequality(),
        hypotheses=lambda ds: {
            r"$\eta s^2 \le 1.95$": 1.95 - ds.step,
            "time to leave $c = 0$ and to reach $c = 1$": ds.left * ds.shrinks + np.log(ds.stop),
        },
        residual=lambda ds: np.log10(end(ds.loss) / ds.stop),
        tolerance=lambda ds: 0.0,
        because="the stop rule",
    ),
    claim(
        id="unstable-beyond-two",
        statement=r"$\eta s^2 > 2$: the loss does not come near the stop rule's",
        kind=ib.Inequality(),
        hypotheses=lambda ds: {r"$\eta s^2 \ge 2.05$": ds.step - 2.05, "time to leave $c = 0$": ds.left},
        residual=lambda ds: np.log10(100 * ds.stop / end(ds.loss)),
        tolerance=lambda ds: 0.0,
        because="a hundred times the stop rule",
    ),
]

study = ib.Study(
    cell=cell,
    grids=ib.grid(width=[1, 3], overlap=[1.0, 0.3, 1e-3], step=[0.3, 1.0, 1.6, 1.9, 2.1, 3.0], seed=range(4)),
    observe={
        "c": aligned, "off_the_map": ib.worst_change(off_the_map), "off_the_frame": ib.running_max(off_the_frame),
    },
    predict=PREDICTED,
    records=ib.log_records(12),
    claims=CLAIMS,
    sizes={"paper": dict(width=[1, 3, 6, 12], seed=range(20))},
)
