r"""Where does rho settle?  f = rho h(x; V), |V_k| = 1, under the square loss with decay.   (Xu et al. 2023)

The flow of `normalised`. With r = y - rho h, at any time mean(rho h r) - lam rho^2 = rho rho'/2, and

    rho_eq - rho = rho' / (2 (lam + mean h^2)),     rho_eq = mean(y h) / (lam + mean h^2):

algebra of the field at one point, which tests the program and not that anything converges. Where all margins y h are equal
rho fits them all at 1/margin. Digits 3 against 8, |x| = 1; sizes, times and steps are ours.
"""

import jax.numpy as jnp

import implicit_bias as ib

from .._classifiers import CAPPED
from .normalised import RungeKutta, net, of_rank, square, state


def cell(*, start, decay, key, step=0.05, examples=64, width=16, held_out=200, data="digits", max_steps=4000):
    images, labels = ib.data.load(data).only(3, 8).sample(examples + held_out, key)
    inputs = images.reshape(examples + held_out, -1)
    inputs, y = inputs / jnp.linalg.norm(inputs, axis=1, keepdims=True), 2.0 * labels.astype(float) - 1
    problem = ib.supervised(inputs[:examples], y[:examples], square, held_out=(inputs[examples:], y[examples:]))
    return ib.Run(problem, net(width, start), ib.Descent(step, law=RungeKutta(step, decay), max_steps=max_steps))


# -- claims ------------------------------------------------------------------------------------------------------------


def end(name):
    return lambda ds: ib.curves.last(ds[name])


def of_rank_two(ds):
    """Of seeds of which no start ends at rank one."""
    return {"no start ends at rank one": end("rank_one")(ds).min("start") - 0.01}


def long_enough(ds):
    return {"up to $t = 200$": ds.step * ds.max_steps - 199.9, "steps of 0.05 or less": 0.05 - ds.step}


def with_decay(ds):
    return {"decay": ds.decay - 1e-12} | long_enough(ds)


def from_largest(ds, name):
    return ib.curves.at(end(name)(ds), start=float(ds.start.max()))


def less(name):
    """At each decay, less at the next smaller one."""
    return lambda ds: from_largest(ds, name) - ib.curves.at_next(from_largest(ds, name), "decay", by=-1)


def starts_differ(ds):
    return 1 - end("at.rho")(ds).min("start") / end("at.rho")(ds).max("start")


SOURCE = "Xu et al. 2023"
claim = ib.claims_with(source=SOURCE, accepts=CAPPED, hypotheses=long_enough)
ordered = ib.claims_with(
    source=f"{SOURCE} (as read)", accepts=CAPPED, kind=ib.Ordering(over="seed"),
    because="over seeds, at each decay, from the largest start, from which no run ends at rank one",
    hypotheses=lambda ds: {"a smaller decay beside it": ib.curves.has_next(ds.decay, by=-1)} | long_enough(ds),
)  # fmt: skip
CLAIMS = [
    claim(
        id="identities-of-the-field", hypotheses=lambda ds: {},
        statement=r"at each record $\operatorname{mean}(\rho h r) - \lambda \rho^2 = \rho \rho'/2$, "
        r"$\rho_{\text{eq}} - \rho = \rho'/(2 (\lambda + \operatorname{mean} h^2))$ and "
        r"$\langle V_k, V_k' \rangle = 2 \rho \operatorname{mean}(r h) (1 - |V_k|^2)$: algebra of the field at one point",
        residual=lambda ds: ds["at.left"], tolerance=lambda ds: 1e-11, because="rounding over mean h^2, relative to rho",
    ),
    claim(
        id="spheres-are-kept", statement=r"$| |V_k| - 1 |$ stays below $5 \times 10^{-3}$",
        hypotheses=lambda ds: {"steps of 0.05 or less": 0.05 - ds.step, r"step $\rho^2 \le 2$": 2 - ds.step * ds["at.rho"] ** 2},
        residual=lambda ds: ds["at.off_spheres"], tolerance=lambda ds: 5e-3,
        because="the flow keeps them; steps of order four, and of lower order where they cross a kink",
    ),
    claim(
        id="rho-ends-at-equilibrium", statement=r"with decay $\rho$ is $\rho_{\text{eq}}$ at $t = 200$, to 2 %",
        tolerance=lambda ds: 0.02, hypotheses=with_decay,
        residual=lambda ds: abs(end("at.equilibrium")(ds) / end("at.rho")(ds) - 1), because="what is left of rho'",
    ),
    claim(
        id="rho-is-independent-of-its-start", source=f"{SOURCE} (as read)", expected="refuted",
        statement=r"with decay the $\rho$ at the end is the same from each start, to 1 %", tolerance=lambda ds: 0.01,
        hypotheses=lambda ds: with_decay(ds) | {"6 seeds or more": ds.sizes["seed"] - 6},
        residual=starts_differ, because="rho is at its equilibrium to about as much",
    ),
    claim(
        id="rho-is-independent-of-its-start-at-rank-two", tolerance=lambda ds: 0.01,
        statement="with decay it is, of seeds of which no start ends with a second matrix of rank one",
        hypotheses=lambda ds: with_decay(ds) | of_rank_two(ds), residual=starts_differ,
        because="rho is at its equilibrium to about as much",
    ),
    ordered(
        id="margins-equalise-as-decay-falls", statement="with less decay margins $y h$ vary less about their mean",
        residual=lambda ds: -less("at.margins")(ds),
    ),
    ordered(id="rho-falls-with-decay", residual=less("at.rho"), statement=r"with more decay $\rho$ is smaller at the end"),
    ordered(
        id="smaller-rho-errs-less", expected="refuted", hypotheses=long_enough,
        statement=r"test error grows with $\rho$ across decays, by the slope of each seed",
        residual=lambda ds: -ib.curves.slope(from_largest(ds, "error"), from_largest(ds, "at.rho"), "decay"),
    ),
    claim(
        id="rank-two-at-most", statement=r"with decay $\sigma_3 / \sigma_1$ of the second matrix ends below 0.01",
        hypotheses=with_decay, residual=end("rank_two"), tolerance=lambda ds: 0.01,
        because="what is claimed",
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

along = dict(accepts=CAPPED, of={"decay": "largest"})
by_decay = dict(accepts=CAPPED, of={"start": "largest"}, name=r"$\lambda = {:g}$")
figure = ib.Figure(
    id="flow",
    panels=[
        ib.panel(
            ib.runs_of("at.rho", x="clock", by="start", name=r"$\rho_0 = {:g}$", **along),
            title=r"each run, $\lambda = {decay.largest:g}$", x="step", y=r"$\rho$", ylim=(0, None),
        ),
        ib.panel(
            ib.curves_of("at.margins", x="clock", by="decay", **by_decay), y="deviation of margins / mean",
            log="y", ylim=(0.05, 3),
        ),
        ib.panel(
            ib.curves_of("error", x=end("at.rho"), by="decay", **by_decay),
            x=r"$\rho$ at the end", y="test error", ylim=(0, None),
        ),
    ],
    caption="Digits 3 against 8, {examples} of them, {seed.count} seeds. Left: rho from two starts; a run that ends lower "
    "has a second matrix of rank one. Middle: how much margins vary, medians and ranges over seeds. Right: test error on "
    "{held_out} others against rho, a point for each seed.",
    claims=["rho-is-independent-of-its-start", "margins-equalise-as-decay-falls", "smaller-rho-errs-less"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(start=[0.5, 5.0], decay=[0.0, 3e-3, 1e-2, 6e-2], seed=range(12)),
    observe={"at": state, "error": ib.error_rate_held_out(), "second": ib.block_spectrum("v/second")},
    predict={"rank": ib.batched(of_rank)},
    records=ib.linear_records(41),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), examples=200, width=32, step=0.025, max_steps=40_000)},
)
