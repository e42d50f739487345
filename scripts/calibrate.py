r"""How often is a verdict right?  True claims, planted slips and known models, judged on many disjoint sets of seeds.

    python scripts/calibrate.py [--sets 200] [--seeds 4] [--to docs/calibration.md]

Each study runs once, small, with sets x seeds seeds; then every row of the table is judged on each set alone, as a user
with so few seeds would judge it. A planted slip is `dataclasses.replace` of a claim that is true: the machine should
refute it. Studies have no true claim of some kinds, so these are judged on synthetic curves whose law is known.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the commands do: the bits of an SVD depend on it

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[1]))
import implicit_bias as ib
from implicit_bias import catalogue, session
from implicit_bias.evidence.claims import Claim, Data, judge, weigh
from implicit_bias.evidence.sharpness import without
from implicit_bias.theory import weight_normalisation as theory

SETTINGS = {
    "wu2020/robustness": dict(rows=5, columns=12, scale=[0.1, 1.0, 4.0], ratio=[0.3, 1.0, 3.0]),
    "wu2020/limit": dict(rows=4, columns=10, scale=[0.1, 1.0, 4.0], ratio=[0.3, 3.0, 30.0]),
    "wu2020/invariant": dict(rows=3, columns=8, scale=[0.5], ratio=[1.0], objective=["square", "logistic"]),
}
ENOUGH = 0.95
VERDICTS = ("supported", "refuted", "unresolved", "vacuous")


@dataclasses.dataclass(frozen=True)
class Row:
    """A claim to be judged on each set, and which verdict would be right."""

    claim: Claim
    data: Data
    wrong: str = ""
    """What is wrong with it; empty of a claim that is true."""
    right: str = "supported"
    note: str = ""
    """Why its rate is what it is, where that is known and the rate is below `ENOUGH`."""


# -- studies -----------------------------------------------------------------------------------------------------------


def run_studies(seeds: Iterable[int]) -> dict[str, Data]:
    """Results by study, in memory."""
    results = {}
    for name, settings in SETTINGS.items():
        print(f"{name} ...", file=sys.stderr)
        results[name] = catalogue.load(catalogue.find(name)).run(seed=seeds, **settings)
    return results


def true_rows(results: Mapping[str, Data]) -> list[Row]:
    """Every claim of the studies that is expected to hold."""
    return [Row(claim, results[name]) for name, claim in _claims() if claim.expected == "supported"]


def _claims() -> list[tuple[str, Claim]]:
    return [(name, claim) for name in SETTINGS for claim in catalogue.load(catalogue.find(name)).claims]


def planted_rows(results: Mapping[str, Data]) -> list[Row]:
    """Slips of the sort that a paper, or a person who types a formula, makes."""
    claims = {claim.id: (claim, results[name]) for name, claim in _claims()}

    def plant(claim_id: str, wrong: str, note: str = "", data: Data | None = None, **slip: Any) -> Row:
        claim, own = claims[claim_id]
        slip = {k: v(claim) if k == "hypotheses" else v for k, v in slip.items()}
        return Row(dataclasses.replace(claim, **slip), own if data is None else data, wrong, "refuted", note)

    def exponent(value: float) -> ib.Exponent:
        return ib.Exponent(against="step", value=value, within=0.1)

    def norm(law: Callable[..., Any]) -> Callable[[xr.Dataset], xr.DataArray]:
        return lambda ds: abs(ds.norm.isel(record=-1) - law(**arguments(ds)))

    def other_ratio(factor: float) -> Callable[..., Any]:
        return lambda ratio, **rest: theory.limit_norm(ratio=factor * ratio, **rest)

    def descent(law: Callable[[xr.Dataset], Any]) -> Callable[[xr.Dataset], xr.DataArray]:
        return lambda ds: abs(ds.norm.isel(record=-1) - np.hypot(ds.g_star, law(ds)))

    def squared(ds):
        read = 2 * ds.log_w_perp + ds.g**2 / (2 * ds.ratio)
        return abs(read - read.isel(record=0))

    def by_the_arithmetic_mean(claim):
        del claim
        return lambda ds: {"criterion": _closer_by_arithmetic_mean(**arguments(ds))}

    drift, exact, near = "descent-drifts-by-O(step)", "limit-norm-exact", "closer-than-gd-by-the-mean"
    at_one = xr.DataTree.from_dict(
        {name: node.to_dataset().sel(ratio=[1.0]) for name, node in claims[near][1].children.items() if "wn" in name}
    )
    return [
        plant(drift, "exponent 3/2 in place of 1", kind=exponent(1.5)),
        plant(drift, "exponent 1/2 in place of 1", kind=exponent(0.5)),
        plant(exact, "2c in place of c", residual=norm(other_ratio(2.0))),
        plant("limit-excess-exact", "the sign of g0^2 - G turned round", residual=_turned_round),
        plant(exact, "1 + a exp(..) in place of 1 - a exp(..)", residual=norm(_plus_norm)),
        plant(exact, "eq. (7) as printed: g* in place of g_inf", residual=norm(theory.printed_limit_norm)),
        plant(near, "its criterion left out", hypotheses=lambda c: without(c, "exact criterion").hypotheses),
        plant(
            "size-keeps-its-sign-below-the-saddle",
            "its hypothesis L0 < |y|^2/2 left out",
            "the size crosses zero in few runs: a set refutes it only if it has one of them",
            hypotheses=lambda c: without(c, "L0 < |y|^2/2").hypotheses,
        ),
        plant("flow-conserves-the-invariant", "|w_perp|^2 with the exponent g^2/2c of |w_perp|", residual=squared),
        plant("gradient-descent-limit", "|w_perp(0)| forgotten", residual=descent(lambda ds: ds.scale)),
        plant(near, "arithmetic mean in place of the logarithmic", hypotheses=by_the_arithmetic_mean),
        plant(
            near,
            "arithmetic mean in place of the logarithmic, judged at c = 1 alone",
            "at these sizes no run has c = 1 between the two means, and what a grid never visits it cannot refute",
            at_one,
            hypotheses=by_the_arithmetic_mean,
        ),
        plant(drift, "exponent 6/5 in place of 1", kind=exponent(1.2)),
        plant(exact, "1.001 c in place of c", residual=norm(other_ratio(1.001))),
        plant(
            "weight-normalisation-limit",
            "1.1 c in place of c, under descent to loss 1e-5",
            "the tolerance for the stop rule and the step is larger than the slip in 99 of 100 runs",
            residual=norm(other_ratio(1.1)),
        ),
        plant(
            "gradient-descent-limit",
            "1.01 |w_perp(0)| in place of |w_perp(0)|",
            residual=descent(lambda ds: 1.01 * ds.scale * ds.w_perp),
        ),
    ]


def arguments(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """The arguments of the closed forms, one value per run."""
    return dict(g0=ds.scale, orthogonal=ds.w_perp, g_star=ds.g_star, ratio=ds.ratio)


def _turned_round(ds):
    square = theory.limit_square(**arguments(ds))
    slip = np.sqrt(square) * ds.w_perp * np.exp((square - ds.scale**2) / (2 * ds.ratio))
    return abs(ds.excess.isel(record=-1) - slip)


def _plus_norm(g0, orthogonal, g_star, ratio):
    """sqrt(G) with G (1 + a exp((g0^2 - G)/c)) = g*^2, by bisection between 0 and g*^2, where the sign changes."""
    low, high = 0 * (g0 + orthogonal + g_star + ratio), g_star**2 + 0 * (g0 + orthogonal + ratio)
    for _ in range(60):
        middle = (low + high) / 2
        above = middle * (1 + orthogonal**2 * np.exp((g0**2 - middle) / ratio)) > g_star**2
        low, high = xr.where(above, low, middle), xr.where(above, middle, high)
    return np.sqrt(high)


def _closer_by_arithmetic_mean(g0, orthogonal, g_star, ratio):
    square = theory.limit_square(g0, orthogonal, g_star, ratio)
    return np.sign(square - g0**2) * ((square + g0**2) / 2 - ratio)


# -- synthetic curves --------------------------------------------------------------------------------------------------

AXIS = np.geomspace(0.01, 1.0, 8)


def synthetic_rows(seeds: Sequence[int]) -> list[Row]:
    """Each kind that judges many runs together, on curves of a known law: true, false, and true by a hair."""
    draws = np.random.default_rng(20200)
    shape = (len(seeds), len(AXIS))

    def normal(*dims: str) -> xr.DataArray:
        values = draws.normal(size=shape) if len(dims) == 2 else draws.normal(size=shape[0])
        return xr.DataArray(values, dims=dims, coords={"seed": list(seeds)})

    axis = xr.DataArray(AXIS, dims="axis", coords={"axis": AXIS})

    def power(p: float, spread: float = 0.0) -> xr.DataArray:
        """C axis^p with C, and p if it spreads, of each seed its own; every value is off by 10 %."""
        size = np.exp(0.3 * normal("seed") + 0.1 * normal("seed", "axis"))
        return size * axis ** (p + spread * normal("seed"))

    def chance(p: float) -> xr.DataArray:
        held = xr.DataArray(draws.random(shape) < p, dims=("seed", "axis"), coords={"seed": list(seeds), "axis": AXIS})
        return xr.where(held, 0.0, 2.0)

    def row(kind, value, law, wrong="", right="supported", tolerance=1.0, note="") -> Row:
        value = value.transpose("seed", "axis")
        data = xr.Dataset({"status": xr.ones_like(value, dtype=int), "value": value})
        claim = Claim(
            id=f"{type(kind).__name__}: {law}", source="synthetic", statement=law, because="the model is known",
            kind=kind, residual=lambda ds: ds.value, tolerance=lambda ds: tolerance,
        )  # fmt: skip
        return Row(claim, data, wrong, right, note)

    exponent, limit, bounded = ib.Exponent("axis", 1.0), ib.Limit("axis"), ib.UpToConstant("axis")
    ordering, probability = ib.Ordering(), ib.Probability(0.8)
    slack, none = 0.2 * normal("seed", "axis"), 0 * axis
    hair = "true by a hair"
    many = "the interval at each of the 8 points is not corrected for their number: 1 - 0.975^8 = 0.18"
    return [
        row(exponent, power(1.0), "exponent 1 +- 0.1"),
        row(exponent, power(1.5), "exponent 1 +- 0.1", "the exponent is 1.5", "refuted"),
        row(exponent, power(1.1), "exponent 1 +- 0.1", f"{hair}: the exponent is 1.1", "not refuted"),
        row(
            exponent, power(1.1, 0.1), "exponent 1 +- 0.1", f"{hair}: exponents 1.1 +- 0.1 over seeds", "not refuted",
            note="the slope's interval takes residuals to be independent, not curves of different slope",
        ),
        row(limit, power(1.0), "-> 0 as axis -> 0", tolerance=0.1),
        row(limit, power(-0.5), "-> 0 as axis -> 0", "grows as axis^(-1/2)", "refuted", 0.1),
        row(
            limit, power(0.0), "-> 0 as axis -> 0", "stays near 1", "refuted", 0.1,
            "the kind refutes growth only; a plateau above tolerance is `unresolved` by design",
        ),
        row(ordering, slack - 1.0 + none, "< 0 on average"),
        row(ordering, slack + 1.0 + none, "< 0 on average", "it is 1 on average", "refuted"),
        row(ordering, slack + none, "< 0 on average", f"{hair}: it is 0 on average", "not refuted", note=many),
        row(probability, chance(0.998), "holds with probability 0.8"),
        row(probability, chance(0.5), "holds with probability 0.8", "it is 0.5", "refuted"),
        row(probability, chance(0.8), "holds with probability 0.8", f"{hair}: it is 0.8", "not refuted"),
        row(bounded, power(-0.3), "bounded as axis -> infinity"),
        row(bounded, power(0.3), "bounded as axis -> infinity", "grows as axis^0.3", "refuted"),
        row(bounded, power(0.0), "bounded as axis -> infinity", f"{hair}: no trend", "not refuted"),
    ]  # fmt: skip


# -- judging -----------------------------------------------------------------------------------------------------------


def weighed(row: Row) -> tuple[Claim, xr.Dataset]:
    """The row with its closed forms evaluated once for all seeds: they speak of each run alone."""
    ds = row.claim.of(row.data)
    runs = weigh(row.claim, ds)
    slacks = {f"slack {name}": slack for name, slack in runs.slacks.items()}
    known = xr.Dataset({"status": ds.status, "residual": runs.residual, "tolerance": runs.tolerance, **slacks})
    claim = dataclasses.replace(
        row.claim,
        on=None,
        residual=lambda ds: ds.residual,
        tolerance=lambda ds: ds.tolerance,
        hypotheses=lambda ds: {name: ds[name] for name in slacks},
    )
    return claim, known


def tally(row: Row, sets: int) -> Counter:
    """Verdicts over disjoint sets of consecutive seeds."""
    claim, known = weighed(row)
    width = known.sizes["seed"] // sets
    return Counter(judge(claim, known.isel(seed=slice(i * width, (i + 1) * width))).verdict for i in range(sets))


def right(row: Row, found: Counter) -> int:
    return found.total() - found["refuted"] if row.right == "not refuted" else found[row.right]


# -- the page ----------------------------------------------------------------------------------------------------------


def table(rows: Sequence[Row], found: Sequence[Counter]) -> str:
    head = ("claim", "what is wrong", "right", "seed sets", *VERDICTS, "rate of right verdicts")
    lines = [head]
    for row, count in zip(rows, found):
        low, high = interval(right(row, count), count.total())
        rate = f"{right(row, count) / count.total():.3f} [{low:.3f}, {high:.3f}]"
        numbers = (str(n) for n in (count.total(), *(count[v] for v in VERDICTS)))
        words = (text.replace("|", r"\|") for text in (row.claim.id, row.wrong or "nothing", row.right))
        lines.append((*words, *numbers, rate))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, tuple("-" * w for w in widths))
    return "\n".join("| " + " | ".join(f"{c:<{w}}" for c, w in zip(line, widths)) + " |" for line in lines)


def interval(successes: int, trials: int) -> tuple[float, float]:
    """Clopper and Pearson, 95 %.

    >>> tuple(round(end, 4) for end in interval(200, 200))
    (0.9817, 1.0)
    """
    from scipy import stats

    found = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def short(rows: Sequence[Row], found: Sequence[Counter]) -> str:
    """The rows whose rate is below `ENOUGH`, with the reason where it is known."""
    lines = []
    for row, count in zip(rows, found):
        rate = right(row, count) / count.total()
        if rate < ENOUGH:
            empty = f"{count['vacuous']} sets have no run inside its hypotheses" if count["vacuous"] else ""
            reason = "; ".join(filter(None, (row.note, empty))) or "not explained"
            lines.append(f"- {row.claim.id}, {row.wrong or 'true'}: {rate:.3f}; {reason}.")
    return "\n".join(lines) or "None."


def mistaken(rows: Sequence[Row], found: Sequence[Counter]) -> str:
    """Verdicts that say the opposite of the truth; those withheld (`unresolved`, `vacuous`) are not among them."""
    sought = ["supported" if row.right == "refuted" else "refuted" for row in rows]
    return f"{sum(count[v] for count, v in zip(found, sought)):,} of {sum(count.total() for count in found):,}"


PAGE = """# Calibration

Written by `.venv/bin/python scripts/calibrate.py{options}`. How often is a verdict right? Each row is judged on {sets}
disjoint sets of {seeds} seeds, each set alone. Rates have their 95 % interval by Clopper and Pearson. Each study runs
once, at a small size:

{sizes}

`wu2020/path` draws nothing at random, so it has no seed sets.

A true claim should be `supported`, and a planted slip `refuted`, in at least {enough:g} % of the sets; rows that fall
short are listed at the end. A claim that is true *by a hair* lies on the edge of what it says: it should not be
`refuted`, and need not be `supported`.

## True claims of the studies

{true}

Refuted: {true_mistaken} verdicts.

## Planted slips

{planted}

Supported: {planted_mistaken} verdicts.

## Synthetic curves

Not from a study: the residuals are drawn from a known law, for each seed at {points} points of an axis.

{synthetic}

## Below {enough:g} %

{short}
"""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How often is a verdict right? Writes docs/calibration.md.")
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument(
        "--seeds", type=int, default=8, help="seeds in a set (8, as many as the map of limits ships with)"
    )
    parser.add_argument("--to", type=Path, default=Path(__file__).parents[1] / "docs" / "calibration.md")
    asked = parser.parse_args(argv)
    if asked.sets < 1 or asked.seeds < 1:
        parser.exit(2, "error: sets, seeds: must be at least 1\n")
    seeds = range(asked.sets * asked.seeds)
    session.start()
    results = run_studies(seeds)
    parts = {"true": true_rows(results), "planted": planted_rows(results), "synthetic": synthetic_rows(seeds)}
    found = {part: [tally(row, asked.sets) for row in rows] for part, rows in parts.items()}
    named = {k: f" --{k} {getattr(asked, k)}" for k in ("sets", "seeds") if getattr(asked, k) != parser.get_default(k)}
    sizes = "\n".join(f"- `{name} {' '.join(_setting(*s) for s in given.items())}`" for name, given in SETTINGS.items())
    page = PAGE.format(
        options="".join(named.values()),
        sets=asked.sets,
        seeds=asked.seeds,
        enough=100 * ENOUGH,
        sizes=sizes,
        points=len(AXIS),
        short=short(list(chain(*parts.values())), list(chain(*found.values()))),
        **{part: table(rows, found[part]) for part, rows in parts.items()},
        **{f"{part}_mistaken": mistaken(rows, found[part]) for part, rows in parts.items()},
    )
    asked.to.write_text(page)
    print(page)


def _setting(name: str, value: Any) -> str:
    return f"{name}={','.join(f'{v}' for v in value) if isinstance(value, list) else value}"


if __name__ == "__main__":
    main()
