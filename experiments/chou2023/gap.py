r"""How near to the least l1 norm Q does weight normalisation end?  x = u^2 or u^2 - v^2,  s0 = r_0^2.   (Chou et al. 2023)

    r_inf^2 - Q  <=  sqrt((Q - s0)^2 + 2 c Q log n) - (Q - s0)        for every s0
                 <=  min(c Q log n / (Q - s0), sqrt(2 c Q log n))     for s0 < Q

and |x|_1 <= r_inf^2. Small ratios c bring the limit to Q from starts below Q; from beyond they bring |x|_1 near s0
instead. Q comes from a linear program with its duality gap.
"""

import diffrax
import numpy as np

import implicit_bias as ib

from .claims import ENDED, SOURCE, on_branches, stacked, truth

theory = ib.theory.diagonal


def cell(*, branches, scale, ratio, key, rows=8, columns=24, nonzeros=8, noise=0.0, stop=1e-12, rtol=1e-11):
    signed = branches == "two"
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise, nonnegative=not signed)(key)
    # of order 8: at c = 0.03 accuracy, not stability, is what costs steps
    flow = ib.Flow(
        3e4, ratio=ratio, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300, max_steps=4_000, solver=diffrax.Dopri8()
    )
    return ib.Run(problem, ib.Power(ib.Polar(scale), 2, signed), flow)


# -- what theory says of a run: Q is of the data A x that it has reached, y where it has fitted ------------------------


def least_l1(operator, data, branches):
    """Q = min |x|_1 over A x = data, x >= 0 for one branch, and how far its certificate leaves it open."""
    found = ib.min_l1(operator, data, nonnegative=branches == "one")
    return {"norm": found.value, "doubt": max(abs(found.gap), found.residual)}


def gap_doubt(rtol, scale, least_norm, least_doubt):
    """What the integrator moves r^2 by, and what the certificate leaves open of Q."""
    return 1e4 * rtol * (1 + scale**2) + least_norm * least_doubt


def bound(least_norm, scale, ratio, z):
    """sqrt((Q - s0)^2 + 2 c Q log n) - (Q - s0)."""
    return theory.gap_bound(least_norm, scale**2, ratio, z.shape[-1])


def simple_bound(least_norm, scale, ratio, z):
    """min(c Q log n / (Q - s0), sqrt(2 c Q log n)), the root alone beyond s0 = Q."""
    return theory.simple_gap_bound(least_norm, scale**2, ratio, z.shape[-1])


def certified(least_of_y_doubt, gap, gap_doubt):
    """The doubt of Q, or what a run ends below it in units in which the integrator loses 1e-10: the greater."""
    return max(least_of_y_doubt, -1e-10 * gap / gap_doubt)


def loose(bound, gap, scale, least_norm, status):
    """bound / gap, of runs that have fitted from below s0 = Q."""
    return bound / gap if gap > 0 and scale**2 < least_norm and status == ib.Status.CONVERGED else np.nan


PREDICTED = {
    "stacked": stacked,
    "reached": lambda stacked, z: stacked @ z[-1] ** 2,
    "least_of_y": lambda operator, target, branches: least_l1(operator, target, branches),
    "least": lambda operator, reached, branches: least_l1(operator, reached, branches),
    "gap": lambda size, least_norm: size[-1] ** 2 - least_norm,
    "gap_doubt": gap_doubt,
    "bound": bound,
    "simple_bound": simple_bound,
    "certified": certified,
    "loose": loose,
}

# -- claims ------------------------------------------------------------------------------------------------------------


def _bounded(name, bound, source, statement, **own):
    claim = ib.Claim(
        id=f"l1-gap-bound{name}",
        source=f"{SOURCE}, abstract: {source}",
        statement=f"$L = 2$, {statement}, $Q$ of $A x$; share of it",
        kind=ib.Inequality(),
        accepts=ENDED,
        residual=lambda ds: ds.gap / ds[bound],
        tolerance=lambda ds: 1 + ds.gap_doubt / ds[bound],
        because="the bound; integrator 1e4 rtol (1 + s0), doubt of Q of A x",
        **own,
    )
    return on_branches(claim)


CLAIMS = [
    *on_branches(
        ib.Claim(
            id="least-l1-is-certified",
            source="linear programming duality (a check of the reference)",
            statement=r"the least l1 norm $Q$ has a dual point of its value, and no net is below: $r^2 \ge Q$ of its "
            "data $A x$",
            accepts=ENDED,
            residual=lambda ds: ds.certified,
            tolerance=lambda ds: 1e-10,
            because="Q: a vertex from a linear solve on its support, 1e-10; "
            "r^2: integrator 1e4 rtol (1 + s0), doubt of Q of A x",
        )
    ),
    *_bounded(
        "", "simple_bound", "sparse bias (derived)",
        r"$s_0 = r_0^2 < Q$: $|x|_1 - Q \le r^2 - Q \le \min(c Q \log n/(Q - s_0), \sqrt{2 c Q \log n})$",
        hypotheses=lambda ds: {"$s_0 < Q$": ds.least_norm - ds.scale**2},
    ),
    *_bounded(
        "-on-both-sides", "bound", "sparse bias (derived)",
        r"any $s_0$: $r^2 - Q \le \sqrt{(Q - s_0)^2 + 2 c Q \log n} - (Q - s_0)$",
    ),
    *_bounded(
        "-without-its-hypothesis", "simple_bound", "practically large starts (asked without s0 < Q)",
        r"any $s_0$: $r^2 - Q \le \sqrt{2 c Q \log n}$",
        expected="refuted",
    ),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------


def _from_beyond(axes, ds):
    """What the bound is, and what r^2 = s0 would be, as c vanishes: nothing below s0 = Q."""
    share = np.geomspace(1, max(float((ds.scale**2 / ds.least_norm).max()), 1.1), 200)[1:]
    axes.plot(share, 2 * (share - 1), "k-", lw=1, label="bound as $c \\to 0$")
    axes.plot(share, share - 1, "k--", lw=1, label="$r_\\infty = r_0$")


def _against_the_start(value, *more, **labels):
    """Every run, one that was capped too: its Q is of the data that it has reached."""
    every = ib.curves_of(
        lambda ds: value(ds).where(ds.gap > ds.gap_doubt), x=lambda ds: ds.scale**2 / ds.least_norm, by="ratio",
        name="$c = {:.2g}$", on="one", of={"branches": "one"}, accepts=ENDED,
    )  # fmt: skip
    return ib.panel(every, *more, ib.across(1.0, "$s_0 = Q$", on="one"), x="$s_0 / Q$", log="xy", **labels)


figure = ib.Figure(
    id="l1-gap",
    panels=[
        _against_the_start(
            lambda ds: ds.gap / ds.least_norm, ib.figures.drawn(_from_beyond, on="one"),
            y=r"$(r_\infty^2 - Q) / Q$", title="excess over the least $\\ell_1$ norm",
        ),
        _against_the_start(
            lambda ds: ds.gap / ds.bound, ib.level(1.0, on="one", line="-"),
            y="excess / bound", title="bound for every $s_0$", ylim=(None, 40.0),
        ),
        _against_the_start(
            lambda ds: ds.gap / ds.simple_bound, ib.level(1.0, on="one", line="-"),
            y="excess / bound", title="bound for $s_0 < Q$", ylim=(None, 40.0),
        ),
    ],
    caption="How far r_inf^2 = |x|_1 ends above the least l1 norm Q against the size of the start s0 = r_0^2, nets x "
    "= w^2; every run, {seed.count} seeds, {scale.count} starts and {ratio.count} ratios, on the data that it has "
    "reached. Left: below s0 = Q small ratios c bring the excess to 0, from beyond they leave r where it was (not "
    "drawn: what is below the integrator's doubt). Middle: as a share of sqrt((Q - s0)^2 + 2 c Q log n) - (Q - s0), "
    "which no run exceeds; the nearest are those from beyond, at half of it. Right: as a share of min(c Q log n / (Q "
    "- s0), sqrt(2 c Q log n)), which holds for s0 < Q and fails beyond (of sqrt alone). Of runs from below that "
    "have fitted, the bound is {loose.least:.2g} to {loose.largest:.2g} times what is seen (median "
    "{loose.median:.2g}): true, and far from sharp.",
    claims=["l1-gap-bound", "l1-gap-bound-on-both-sides", "l1-gap-bound-without-its-hypothesis"],
)  # fmt: skip

axes = dict(seed=range(4), scale=ib.logspace(0.2, 4, 8), ratio=ib.logspace(0.03, 3, 5))
study = ib.Study(
    cell=cell,
    grids=ib.grid(branches="one", **axes) + ib.grid(branches="two", **axes),
    facts={"operator": ib.operator, "target": ib.target, "truth": truth},
    observe={"z": ib.layer, "size": ib.layer_size},
    predict=PREDICTED,
    records=ib.log_records(3),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(50), rows=40, columns=100, nonzeros=5, ratio=ib.logspace(0.01, 3, 9))},
)  # fmt: skip
