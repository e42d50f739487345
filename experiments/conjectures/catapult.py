r"""Where does a catapult land?  f = <v, w>, f^2/2: log-periodic in the loss at the start.   (conjectured here)

With s = eta (|v|^2 + |w|^2) and z = eta^2 f^2 a step of descent is z' = (1 - s + z)^2 z, s' = s - (4 - s) z, at every width.
For 2 < s_0 < 4 and a small z_0 nothing happens for long: s stays, and z grows by q = (s_0 - 1)^2 a step. So the run from
z_0/q is after one step nearly where the run from z_0 begins, and takes one step more:

    log z_1 = log z_0 - O(z_0),    s_1 = s_0 - (4 - s_0) z_0/q.

That s is less costs 2 (s_0 - s_1)/(s_0 - 1) of log z at each of the log(1/z_0) / log q steps to come. Hence of s_end, a
function of log z_0 and s_0, with kappa = 2 (4 - s_0) / (q (s_0 - 1) log q),

    s_end(z_0/q) - s_end(z_0) = -kappa (d s_end / d log z_0) z_0 log(1/z_0) + O(z_0).

The curvature at which a catapult lands is in the limit a function of log z_0 / log q with period 1: of the loss at the start
only the phase counts, however small it is; and z first grows no more after log(1/z_0) / (2 log(s_0 - 1)) steps and a constant.
The order 1 in z_0, and the coefficient of the logarithm in the wait, were found by `implicit-bias conjecture`; the logarithm
beside z_0 is derived above.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib


def cell(*, curvature, start, key, spread=0.1, stop=1e-28, max_steps=5000):
    """s_0 is `curvature` and a little more or less, and the step is 1; z_0 is `start`, and beside it `start` over q.

    Two nets of one run: |V W^T|^2 / 2 of diagonal V and W is a sum of two, and stays so to the bit.
    """
    curvature = curvature + spread * jax.random.uniform(ib.stream(key, "curvature"), minval=-1.0, maxval=1.0)
    z = start * jnp.array([1.0, (curvature - 1) ** -2])
    share = 2 * jnp.sqrt(z) / curvature  # of the largest |f| that s_0 allows
    p, q = (jnp.sqrt(curvature * (1 + sign * share) / 2) for sign in (1, -1))
    problem = ib.matrix.fixed(np.eye(4).reshape(4, 2, 2), np.zeros((2, 2)), weight=1.0)(key)
    net = ib.Asymmetric(1.0, 2, start=(jnp.diag(p + q) / np.sqrt(2), jnp.diag(p - q) / np.sqrt(2)))
    return ib.Run(problem, net, ib.Descent(1.0, stop=ib.loss_below(stop), max_steps=max_steps))


def s_of(snapshot):
    """s = eta lam of either net, the step being 1"""
    return sum(jnp.diag(x) ** 2 for x in snapshot.theta)


def z_of(snapshot):
    """z = eta^2 f^2 of either net"""
    return jnp.diag(snapshot.pred) ** 2


def large(snapshot):
    """whether z of either net is `SMALL` or more"""
    return z_of(snapshot) >= SMALL


SMALL = 1e-4  # of z: until there it has grown at each step, by q and a little more


def lag(s):
    """How much smaller log z is at most, when it is `SMALL`, than z_0 q^k."""
    whole = (s - 1) ** 2 / ((s - 1) ** 2 - 1)  # sum of a geometric series: z_k over the last
    return 2 * SMALL * whole * (1 + (4 - s) * whole) / (s - 1)


PREDICTED = {
    "landed": lambda s: s[-1, 0],
    "apart": lambda s: abs(s[-1, 1] - s[-1, 0]),
    "turn": lambda waits: waits[1] - waits[0],
    "per_factor": lambda s: 1 / (2 * np.log(s[0, 0] - 1)),
    "due": lambda per_factor, start: per_factor * np.log(SMALL / start),
    # at each step z is smaller by 2 z/(s_0 - 1), relatively, and by as much of what s has fallen, (4 - s_0) z q/(q - 1) or
    # less; twice that, for the second order
    "late": lambda s, per_factor: 2 * per_factor * lag(s[0, 0]),
    "off": lambda waits, due: waits[0] - due,
    "between": lambda due, late: abs(due - np.round(due)) - late,  # of two counts, both of which are late by so much at most
    "inside": lambda s: min(s[0, 0] - 2, 4 - s[0, 0]),
    "slow": lambda s: 0.02 - lag(s[0, 0]),  # next to 2, s falls below it before z is `SMALL`
}

# -- claims ------------------------------------------------------------------------------------------------------------


def where(ds):
    return {
        "$2 < s_0 < 4$": ds.inside - 1e-2, "$s_0$ is not next to 2": ds.slow, r"$z_0 \le 10^{-5}$": 1.0001e-5 - ds.start,
        "it is run to its end": 1e-6 * ds.start**2 - ds.stop,
    }  # fmt: skip


claim = ib.claims_with(source="conjectured here, derived in the study", hypotheses=where)
CLAIMS = [
    claim(
        id="a-catapult-lands-log-periodically",
        statement=r"$|s_\mathrm{end}(z_0 / (s_0 - 1)^2) - s_\mathrm{end}(z_0)|$ falls like $z_0$, up to a logarithm",
        kind=ib.Exponent(against="start", value=1.0, within=0.1),
        residual=lambda ds: ds.apart,
        because="log(1/z_0) beside z_0 bends it by 0.06; a start next to one that lands on f = 0 bends it too",
    ),
    claim(
        id="a-turn-is-a-step",
        statement=r"the run from $z_0 / (s_0 - 1)^2$ waits one step longer than that from $z_0$",
        hypotheses=lambda ds: where(ds) | {"the count is not about to change": ds.between - 1e-9},
        residual=lambda ds: ds.turn - 1,
        tolerance=lambda ds: 0.0,
        because="whole numbers: what is due, which is one step more, and at most `late` later, rounded up; rounding of 1e-9",
    ),
    claim(
        id="a-catapult-waits-for-a-logarithm",
        statement=r"from $z_0$ to $10^{-4}$ it takes $\log(10^{-4}/z_0) / (2 \log(s_0 - 1))$ steps, rounded up",
        residual=lambda ds: ds.off - 0.5,  # never early, and late by less than a step and `late`
        tolerance=lambda ds: 0.5 + ds.late,
        because="z passes 10^-4 between two steps, each of which makes it (s_0 - 1)^2 larger, or less by at most `late`",
    ),
]

figure = ib.Figure(
    id="catapult",
    panels=[
        ib.panel(
            ib.curves_of("landed", x="start", by="curvature", name="$s_0 = {:g}$"),
            x="$z_0$", y=r"$s_\mathrm{end}$", log="x",
        ),
        ib.panel(
            ib.curves_of("apart", x="start", by="curvature", name="$s_0 = {:g}$", above=1e-14),
            ib.guide(1.0, "slope {:g}", series=0),
            x="$z_0$", y=r"$|s_\mathrm{end}(z_0/q) - s_\mathrm{end}(z_0)|$", log="xy",
        ),
    ],
    caption="Where catapults land, medians and ranges over {seed.count} curvatures near each. Left: the curvature at the end "
    "over the loss at the start. Right: how much it changes when the start is a whole turn, q = (s_0 - 1)^2, smaller.",
    claims=["a-catapult-lands-log-periodically"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(curvature=[2.4, 3.0, 3.6], seed=range(8), start=ib.logspace(1e-10, 1e-5, 31)),
    observe={"s": s_of, "waits": ib.first_time(large)},
    predict=PREDICTED,
    records=ib.linear_records(2),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(32))},
)
