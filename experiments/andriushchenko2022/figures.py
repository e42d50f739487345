"""Figures of `gain`, `recovery`, `survivor` and `sequence`."""

import numpy as np

import implicit_bias as ib

CAPPED = (ib.Status.CAPPED,)
GROWING = (ib.Status.ESCAPING, ib.Status.CAPPED, ib.Status.STALLED)
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)
RHO = r"perturbation $\rho$"
METHODS = {
    "full": dict(label="all examples", colour="vermillion", marker="s"),
    "one": dict(label="1-SAM: each example", colour="blue", marker="o"),
    "sam": dict(label=r"SAM, $\rho / |\mathrm{grad}|$", colour="green", marker="^"),
}


def _methods(*names):
    return {name: METHODS[name] for name in names}


def _nearer(ds):
    end = ib.curves.last(ds.error)
    return (end / ib.curves.at(end, rho=0.0) - 1).where(ds.rho > 0)


recovery = ib.Figure(
    id="recovery",
    panels=[
        ib.panel(
            ib.curves_of(_nearer, x="rho", by="method", looks=_methods("full", "one"), accepts=CAPPED, join=True),
            ib.level(0.0, "descent"),
            x=RHO, y=r"$|x - x_0|$ over that of descent, less 1",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: ds.gain_on / ds.gain_off, x="rho", by="method", looks=_methods("full", "one"), accepts=CAPPED,
                join=True,
            ),
            ib.level(1.0, "even"),
            x=RHO, y=r"taken from $\log |a b|$: on the support / off it", log="y",
        ),
    ],
    caption="SAM with a constant rho on {rows} x {columns} problems with {nonzeros} entries, medians and ranges over "
    "{seed.count} seeds. Left: one perturbation for all examples ends further from x0 than descent, a perturbation of each "
    "example nearer. Right: why. What SAM takes from the start is uneven where one perturbation serves all examples.",
    claims=["sam-of-all-examples-ends-nearer", "sam-of-each-example-ends-nearer"],
)  # fmt: skip


def _off(limit, label, **looks):
    return dict(y=limit, x="rho", label=label, looks={None: looks}, accepts=ENDED, join=True)


def _limits(title, **where):
    return ib.panel(
        ib.curves_of(**_off("off_plain", "of its start", colour="vermillion", marker="s"), **where),
        ib.curves_of(**_off("off_limit", "of its start with the gain", colour="blue", marker="o"), **where),
        x=RHO, y="distance of the end to the minimiser", title=title, log="y",
    )  # fmt: skip


gain = ib.Figure(
    id="gain",
    panels=[
        _limits("flow", on="flow", of={"method": "flow"}),
        _limits("descent, all examples", on="full+one+sam", of={"method": "full"}),
        _limits(r"descent, SAM, $\rho / |\mathrm{grad}|$", on="full+one+sam", of={"method": "sam"}),
    ],
    caption="Where SAM ends, and the minimisers of two hyperbolic entropies on the data A x that it has reached: that of its "
    "start, and that of its start with the measured gain; medians and ranges over {seed.count} seeds of {rows} x {columns} "
    "problems. The second is the end to rounding (descent), or to the integrator's tolerance (flow), for every rho.",
    claims=["limit-with-gain", "limit-with-gain-flow", "limit-of-the-plain-start"],
)  # fmt: skip


SHARES = dict(of={"scale": "least"}, accepts=GROWING)

survivor = ib.Figure(
    id="survivor",
    panels=[
        ib.panel(
            ib.curves_of(
                lambda ds: ds.others.where(ds.survivors_count > 0).dropna("ratio", how="all"), x="scale", by="ratio",
                name=r"$\rho = {:g}$ scale", accepts=GROWING,
            ),
            x="scale of the start", y=r"$1 - x_j / |x|_1$, $j$ the largest survivor", log="xy", ylim=(1e-8, 1),
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: (ds.survivors_best == 0).where(ds.survivors_count > 0, 0.0).mean("seed"), x="ratio",
                label="follow the dominant feature", looks={None: dict(colour="blue", marker="o")}, **SHARES,
            ),
            ib.curves_of(
                lambda ds: (ds.survivors_count == 0).mean("seed"), x="ratio", label="tend to 0",
                looks={None: dict(colour="vermillion", marker="s")}, **SHARES,
            ),
            x=r"$\rho$ over the scale of the start", y="share of seeds",
        ),
    ],
    caption="l_inf SAM from a_i uniform in (1/2, 3/2) times a scale, on one example with features 1, .5, .3, .2. Left: what is "
    "not in the largest feature that starts above rho, medians and ranges over those of {seed.count} seeds in which one does "
    "(from 1e-8). Right: how often that is the dominant feature, as under descent (rho = 0), and how often no entry starts "
    "above rho.",
    claims=["largest-survivor-takes-all", "nobody-survives"],
)  # fmt: skip


def _rates(axes, ds):
    """The growth of each entry from record to record, over that of a GD entry of feature 1, against N / rho."""
    one = ds.isel(start=0, seed=0)
    a, n = np.log(one.z.values), one.norm.values / float(one.rho)
    share = np.diff(a, axis=0) / np.sum(np.diff(a, axis=0), 1, keepdims=True)
    features = one.features.values.reshape(-1)
    shown = n[1:] < 4
    for f, colour, marker, course in zip(features, ("#0072B2", "#009E73", "#D55E00"), "os^", share.T):
        at = (n[1:] + n[:-1]) / 2
        axes.plot(at[shown], course[shown], marker, color=colour, label=f"$f = {f:g}$", ms=4)
        dense = np.linspace(n[0], 4, 300)
        exact = features[:, None] * (1 - features[:, None] / dense)
        axes.plot(dense, f * (1 - f / dense) / exact.sum(0), color=colour, lw=1)


def _thresholds(axes, ds):
    f = np.sort(ds.features.values.reshape(-1, ds.features.shape[-1])[0])
    for one, two in ((0, 1), (1, 2)):
        axes.axvline(f[one] + f[two], color="black", lw=0.9, ls=":", zorder=1.5)


sequence = ib.Figure(
    id="sequence",
    panels=[
        ib.panel(
            ib.figures.drawn(_rates, accepts=GROWING), ib.figures.drawn(_thresholds),
            x=r"$N / \rho$, $N = |a f|_2$", y=r"share in $\Sigma (\log a_i)'$",
        )
    ],
    caption="The growth of each entry under l2 SAM on one example, as a share of that of all, along one run from N = 1.05 rho: "
    "measured between records (points) and f_i (1 - rho f_i / N) (lines). Dotted: rho times the sum of two neighbours, where "
    "the larger of them overtakes.",
    claims=["minor-first-major-last", "larger-grows-faster-above-its-threshold"],
)  # fmt: skip
