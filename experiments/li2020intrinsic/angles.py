r"""How far does a step turn a weight that counts by its direction?  mean(-log cos) = -log(1 - eta lam).   (Li et al. 2020)

Rows W of a layer of which only W/|W| counts, any loss, any batch, and decay of the rows alone: W' = a W - eta d with
a = 1 - eta lam and d orthogonal to W. So, with nothing said about d,

    |W'|^2 = a^2 |W|^2 + eta^2 |d|^2,    cos(W, W') = a |W| / |W'|,    sum log cos = K log a - log(|W_K| / |W_0|):

where log |W| stays bounded a step turns by -log cos = -log a on average: the product eta lam alone decides, the paper's
intrinsic rate. Averages of the first law give (1 - a^2) mean |W|^2 = eta^2 mean |d|^2; but |W|^4 is not what a constant
G = |d|^2 |W|^2 would make it, eta G/(lam (2 - eta lam)), where G varies.

The cosine is measured as <W, W'>: from the norms, by the second law, the sum telescopes whatever the run does.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .measures import defect, log_cos, log_norm, means, started
from .noise import late


def cell(
    *, objective, batch, intrinsic, key, step=1.0, width=4, examples=8, dimension=6, noise=0.5, output=0.5, max_steps=2000
):
    drawn = jax.random.normal(ib.stream(key, "data"), (examples + 1, dimension + 1))  # at once: a draw takes long to compile
    x, teacher = drawn[:-1, :-1], drawn[-1, :-1]
    y = x @ teacher / dimension**0.5 + noise * drawn[:-1, -1]
    problem = ib.supervised(x, jnp.where(y > 0, 1.0, -1.0) if objective == "logistic" else y, objective)
    net = ib.RowNormalised(ib.mlp((width,), start=[jax.tree_util.Partial(started, output)]), ("layer1",))
    law = ib.decayed(intrinsic / step, on="layer1")
    some = ib.minibatch(batch, key) if batch else None
    return ib.Run(problem, net, ib.Descent(step, law=law, rates={"layer2": 0.0}, batch=some, max_steps=max_steps))


# -- what theory says --------------------------------------------------------------------------------------------------

PREDICTED = {
    "due": ib.batched(lambda intrinsic: -np.log1p(-intrinsic)),
    "left_over": ib.batched(
        lambda turned, log_norm, due, max_steps: turned + max_steps * due + log_norm[..., -1] - log_norm[..., 0]
    ),
    "mean_turn": ib.batched(lambda means: means[..., 0]),
    "per_rate": ib.batched(lambda mean_turn, intrinsic: mean_turn / intrinsic),
    "due_per_rate": ib.batched(lambda due, intrinsic: due / intrinsic),
    "balance": ib.batched(lambda means, intrinsic: intrinsic * (2 - intrinsic) * means[..., 1] / means[..., 2]),
    "naive": ib.batched(lambda means, intrinsic: intrinsic * (2 - intrinsic) * means[..., 3] / means[..., 4]),
}

# -- claims ------------------------------------------------------------------------------------------------------------

LATE = r"decay alone makes $e^{-25}$ in half of the run"


def at_equilibrium(ds):
    return {LATE: ds.due * ds.max_steps / 2 - 25}


claim = ib.claims_with(source="Li et al. 2020 (derived)", accepts=(ib.Status.CAPPED,))
CLAIMS = [
    claim(
        id="norms-of-a-step",
        statement=r"$|W'|^2 = (1 - \eta \lambda)^2 |W|^2 + \eta^2 |d|^2$ of every row at every step",
        residual=lambda ds: ds.defect,
        tolerance=lambda ds: 1e-12,
        because="rounding, relative to |W'|^2",
    ),
    claim(
        id="turns-telescope",
        statement=r"$\sum \log \cos(W_k, W_{k+1}) = K \log(1 - \eta \lambda) - \log(|W_K| / |W_0|)$, the cosine measured",
        residual=lambda ds: abs(ds.left_over),
        tolerance=lambda ds: 1e-12 * ds.max_steps,
        because="rounding of K cosines, more where a step turns a row by nearly a right angle",
    ),
    claim(
        id="mean-turn",
        statement=r"over half of the run the mean of $-\log \cos$ is $-\log(1 - \eta \lambda)$, of any loss and batch",
        hypotheses=at_equilibrium,
        residual=lambda ds: abs(ds.mean_turn / ds.due - 1),
        tolerance=lambda ds: 0.05,
        because="log |W| changes by some tenths, rarely by 1, over half a run in which decay alone makes 25",
    ),
    claim(
        id="mean-turn-as-printed",
        source="Li et al. 2020 (recalled: squared angle 2 eta lam, to first order), read as an equality",
        statement=r"over half of the run the mean of $-\log \cos$ is $\eta \lambda$",
        hypotheses=lambda ds: at_equilibrium(ds) | {r"$\eta \lambda \ge 0.2$": ds.intrinsic - 0.2},
        residual=lambda ds: abs(ds.mean_turn / ds.intrinsic - 1),
        tolerance=lambda ds: 0.05,
        because="as for the mean above",
        expected="refuted",
    ),
    claim(
        id="balance-of-norms",
        statement=r"over half of the run $(1 - (1 - \eta \lambda)^2)\,\mathrm{mean} |W|^2 = \eta^2\,\mathrm{mean} |d|^2$",
        hypotheses=at_equilibrium,
        residual=lambda ds: abs(ds.balance - 1),
        tolerance=lambda ds: 0.05,
        because="|W|^2 changes by a few of its mean over half a run in which decay alone makes 25",
    ),
    claim(
        id="fourth-power-with-the-mean-of-G",
        source="Li et al. 2020 (recalled for constant G), with E G where G varies",
        statement=r"over half of the run $\mathrm{mean} |W|^4 = \eta\,\mathrm{mean}\,G / (\lambda (2 - \eta \lambda))$",
        hypotheses=lambda ds: at_equilibrium(ds) | {r"$\eta \lambda \ge 0.1$": ds.intrinsic - 0.1 + 1e-9},
        residual=lambda ds: abs(ds.naive - 1),
        tolerance=lambda ds: 0.1,
        because="twice what the balance of norms is allowed",
        expected="refuted",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

SERIES = dict(x="intrinsic", accepts=(ib.Status.CAPPED,))


def _panel(batch, title):
    return ib.panel(
        ib.curves_of("per_rate", by="objective", of={"batch": batch}, join=False, **SERIES),
        ib.theory_of("due_per_rate", of={"batch": batch}, label=r"$-\log(1 - \eta \lambda)$", **SERIES),
        ib.level(1, r"first order: $\eta \lambda$"),
        title=title, x=r"$\eta \lambda$", y=r"mean of $-\log \cos$, over $\eta \lambda$", log="x", ylim=(0.9, 1.6),
    )


figure = ib.Figure(
    id="turns",
    panels=[_panel(1, "one example a step"), _panel(0, "all examples")],
    caption="By how much a step turns a row, on average over the second half of {max_steps} steps, in units of "
    "eta lam: medians and ranges over {seed.count} seeds. The law (line) knows neither loss nor batch.",
    claims=["mean-turn", "mean-turn-as-printed"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        objective=["square", "logistic"], batch=[1, 0], intrinsic=[0.03, 0.1, 0.2, 0.4, 0.6], seed=range(8)
    ),
    observe={
        "log_norm": log_norm, "turned": ib.summed(log_cos), "means": ib.mean_change(means, late),
        "defect": ib.worst_change(defect),
    },
    predict=PREDICTED, records=ib.linear_records(5),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(30), max_steps=20_000)},
)  # fmt: skip
