r"""Where does decoupled decay end?  x' = x - eta (d + lam x): least squares on the box |x|_inf <= 1/lam.   (Xie & Li 2024)

With d = sign(g), g the gradient, and eta_k = 2 / (lam (k + 2)) a step is one of Frank and Wolfe on the box, so

    f(x_k) - f*  <=  2 C / (k + 2),     C = (4 / lam^2) max |A s|^2 over signs s,     f* the least value on the box.

With d of Adam (AdamW) and diminishing steps <g, x> + |g|_1 / lam goes to 0, which on the box bounds f - f*. Coupled decay, d of
Adam at g + lam x, ends where |A x - y|^2 + lam |x|^2 is least, wherever the box is.

Adam's d = m / sqrt(v) has, with w_j ~ b1^j and u_j ~ b2^j the weights of the past, |d|^2 <= sum w_j^2 / u_j <= B^2. That is 1
for b1 = b2, above 1 for all others: an entry may leave the box, however b1 and b2 are ordered, but not B times the box.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .box_claims import BOXES, CAPPED
from .margin import eta


def frank_wolfe(count, decay):
    """2 / (decay (k + 2))"""
    return 2 / (decay * (count.astype(float) + 2))


def cell(
    *, law, decay, key, horizon=1e9, b1=0.9, b2=0.9, eps=1e-8, step=0.5, power=0.75, rows=4, columns=8, target_norm=3.0,
    scale=0.1, max_steps=8000,
):  # fmt: skip
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    adam = ib.adam(b1, b2, eps)
    rule = {
        "signs": ib.chain(ib.signs(), ib.decayed(decay)),
        "adamw": ib.chain(adam, ib.decayed(decay)),
        "coupled": ib.chain(ib.decayed(decay), adam),
    }[law]
    steps = jax.tree_util.Partial(eta, step=step, power=power, horizon=horizon)
    if law == "signs":
        steps = jax.tree_util.Partial(frank_wolfe, decay=decay)
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(steps, law=rule, max_steps=max_steps))


def largest(before, after):
    """|x|_inf"""
    del before
    return jnp.max(jnp.abs(after.x))


# -- what theory says of a run -----------------------------------------------------------------------------------------


def box(operator, target, decay):
    """The least value on the box, how far its certificate leaves it open, and C."""
    found = ib.box_least_squares(operator, target, 1 / decay)
    at_zero = target @ target / 2
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=operator.shape[1])))
    curvature = 4 / decay**2 * np.max(np.sum((signs @ operator.T) ** 2, -1))
    return {"least": found.value, "doubt": abs(found.gap), "share": found.value / at_zero, "curvature": curvature}


def gap(x, operator, target, decay):
    """<g, x> + |g|_1 / lam"""
    slope = (x @ operator.T - target) @ operator
    return np.sum(slope * x, -1) + np.sum(abs(slope), -1) / decay


def ridge(operator, target, decay):
    """argmin |A x - y|^2 + lam |x|^2"""
    return np.linalg.solve(operator.T @ operator + decay * np.eye(operator.shape[1]), operator.T @ target)


def reach(b1, b2, max_steps):
    """B, the most that |m| / sqrt(v) can be within the run, for b1^2 < b2."""
    t, r = np.arange(1.0, max_steps + 1), b1**2 / b2
    if not max(b1, b2, r) < 1:
        return np.nan
    first, second = ((1 - b) / (1 - b**t) for b in (b1, b2))
    return np.sqrt(np.max(first**2 / second * (1 - r**t) / (1 - r)))


PREDICTED = {
    "box": box, "gap": gap, "reach": reach,
    "off_ridge": lambda x, operator, target, decay: np.max(abs(x[-1] - ridge(operator, target, decay))),
    "excess": ib.batched(lambda loss, box_least: loss - box_least[..., None]),
    "bound": ib.batched(lambda clock, box_curvature: 2 * box_curvature[..., None] / (clock + 2)),
}  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------


def _from_the_first_step(name):
    return lambda ds: ds[name].where(ds.clock > 0)


SIGNS = dict(x="clock", by="decay", on="signs", name=r"$\lambda = {:g}$", accepts=CAPPED)
figure = ib.Figure(
    id="boxes",
    panels=[
        ib.panel(
            ib.curves_of(_from_the_first_step("excess"), above=1e-12, **SIGNS),
            ib.theory_of(_from_the_first_step("bound"), theory_label="$2 C / (k + 2)$", **SIGNS),
            x="steps $k$", y="$f - f^*$ on the box", log="xy", title="signs",
        ),
        ib.panel(
            ib.curves_of(
                _from_the_first_step("gap"), x="clock", by="b2", on="adamw", name=r"$\beta_2 = {:g}$", accepts=CAPPED,
                of={"b1": 0.9, "horizon": "largest", "decay": "first"},
            ),
            x="steps $k$", y=r"$\langle g, x \rangle + |g|_1 / \lambda$", log="xy", title="AdamW",
        ),
    ],
    caption="Decoupled decay on least squares with {rows} x {columns} data, medians and ranges over {seed.count} seeds. Left: "
    "signs with the steps of Frank and Wolfe: excess over the least value on the box, with its bound. Right: the gap that "
    "certifies AdamW, beta1 = 0.9.",
    claims=["signs-with-decay-are-frank-wolfe", "adamw-comes-to-the-least-on-the-box"],
)  # fmt: skip

LATE = [1000.0, 2000.0, 4000.0, 8000.0]
study = ib.Study(
    cell=cell,
    grids=ib.grid(law="signs", decay=[1.0, 2.0], seed=range(8))
    + ib.grid(law="adamw", decay=[1.0, 2.0], b1=[0.9, 0.99], b2=[0.9, 0.999], horizon=LATE, seed=range(8))
    + ib.grid(law="coupled", decay=[1.0, 2.0], seed=range(8)),
    facts={"operator": ib.operator, "target": ib.target},
    observe={"x": ib.predictor(), "largest": ib.worst_change(largest)},
    predict=PREDICTED,
    records=ib.log_records(17),
    claims=BOXES,
    figures=[figure],
    sizes={"paper": dict(seed=range(30))},
)  # fmt: skip
