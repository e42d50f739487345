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
    "wu2020/excess": dict(
        rows=5, columns=12, target_norm=[3.0, 0.6], scale=[0.1, 1.0, 4.0], ratio=[0.3, 1.0, 3.0], step=5e-3, stop=1e-5
    ),
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
    seeds: int | None = None
    """Of each set, as many seeds as are looked at; None for all."""


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

    def by_the_arithmetic_mean(ds):
        return -np.sign(_closer_by_arithmetic_mean(**arguments(ds))) * ds.gain

    drift, exact, near = "descent-drifts-by-O(step)", "limit-excess-exact", "excess-boundary-is-the-logarithmic-mean"
    at_one = claims[near][1].sel(ratio=[1.0])
    return [
        plant(drift, "exponent 3/2 in place of 1", kind=exponent(1.5)),
        plant(drift, "exponent 1/2 in place of 1", kind=exponent(0.5)),
        plant(exact, "2c in place of c", residual=norm(other_ratio(2.0))),
        plant("limit-excess-exact", "the sign of g0^2 - G turned round", residual=_turned_round),
        plant(exact, "1 + a exp(..) in place of 1 - a exp(..)", residual=norm(_plus_norm)),
        plant(exact, "eq. (7) as printed: g* in place of g_inf", residual=norm(theory.printed_limit_norm)),
        plant(near, "its criterion left out", residual=lambda ds: -ds.gain),
        plant(
            "size-keeps-its-sign-below-the-saddle",
            "its hypothesis L0 < |y|^2/2 left out",
            "the size crosses zero in few runs: a set refutes it only if it has one of them",
            hypotheses=lambda c: without(c, "$L_0 < |y|^2/2$").hypotheses,
        ),
        plant("flow-conserves-the-invariant", "|w_perp|^2 with the exponent g^2/2c of |w_perp|", residual=squared),
        plant("gradient-descent-limit", "|w_perp(0)| forgotten", residual=descent(lambda ds: ds.scale)),
        plant(near, "arithmetic mean in place of the logarithmic", residual=by_the_arithmetic_mean),
        plant(
            near,
            "arithmetic mean in place of the logarithmic, judged at c = 1 alone",
            "at these sizes no run has c = 1 between the two means, and what a grid never visits it cannot refute",
            at_one,
            residual=by_the_arithmetic_mean,
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
COPIES = 5
HEAVY = 2.0
"""Standard deviation of the logarithm of a value that is mostly noise."""


def synthetic_rows(seeds: Sequence[int]) -> list[Row]:
    """Each kind that judges many runs together, on curves of a known law: true, false, at the edge, and hard to see.

    Hard ones have few seeds, heavy noise, cells that repeat what their seed drew, or survivors alone: a verdict may then
    be withheld, and must not be wrong.
    """
    draws = np.random.default_rng(20200)
    shape = (len(seeds), len(AXIS))

    def normal(*dims: str) -> xr.DataArray:
        values = draws.normal(size=shape) if len(dims) == 2 else draws.normal(size=shape[0])
        return xr.DataArray(values, dims=dims, coords={"seed": list(seeds)})

    axis = xr.DataArray(AXIS, dims="axis", coords={"axis": AXIS})
    copies = xr.DataArray(np.ones(COPIES), dims="copy", coords={"copy": np.arange(COPIES)})

    def power(p: float, spread: float = 0.0, noise: float = 0.1) -> xr.DataArray:
        """C axis^p with C, and p if it spreads, of each seed its own; every value is off by the noise."""
        size = np.exp(0.3 * normal("seed") + noise * normal("seed", "axis"))
        return size * axis ** (p + spread * normal("seed"))

    def chance(p: float) -> xr.DataArray:
        held = xr.DataArray(draws.random(shape) < p, dims=("seed", "axis"), coords={"seed": list(seeds), "axis": AXIS})
        return xr.where(held, 0.0, 2.0)

    def row(kind, value, law, wrong="", right="supported", tolerance=1.0, note="", seeds=None, capped=None) -> Row:
        value = value.transpose("seed", "axis", ...)
        ended = xr.ones_like(value, dtype=int) if capped is None else xr.where(capped, 2, 1).transpose(*value.dims)
        asked = dict(tolerance=lambda ds: tolerance) if kind.uses_tolerance else {}
        claim = Claim(
            id=f"{type(kind).__name__}: {law}", source="synthetic", statement=law, because="the model is known",
            kind=kind, residual=lambda ds: ds.value, **asked,
        )  # fmt: skip
        return Row(claim, xr.Dataset({"status": ended, "value": value}), wrong, right, note, seeds)

    exponent, limit, bounded = ib.Exponent("axis", 1.0), ib.Limit("axis"), ib.UpToConstant("axis")
    ordering, probability, likely = ib.Ordering(), ib.Probability(0.8), ib.Probability(0.6)
    slack, none = 0.2 * normal("seed", "axis"), 0 * axis
    skew = np.exp(normal("seed", "axis")) - np.exp(0.5)
    one, zero, bound, order = "exponent 1 +- 0.1", "-> 0 as axis -> 0", "bounded as axis -> infinity", "< 0 on average"
    true, false = "not refuted", "not supported"
    grows, flat, noisy = power(0.3), power(0.0), lambda p: power(p, noise=HEAVY)  # noqa: E731
    half, same = chance(0.5), chance(0.8).isel(axis=0) + none
    just_less = chance(0.78).isel(axis=0) + none
    shown = power(1.5)
    return [
        row(exponent, power(1.0), one),
        row(exponent, power(1.5), one, "the exponent is 1.5", "refuted"),
        row(exponent, power(1.0), one, "nothing; 4 seeds", true, seeds=4),
        row(exponent, power(1.5), one, "it is 1.5; 4 seeds", false, seeds=4),
        row(exponent, noisy(1.0), one, "nothing; heavy noise", true),
        row(exponent, noisy(1.5), one, "it is 1.5; heavy noise", false),
        row(exponent, power(1.1, 0.1), one, "nothing: at the edge, exponents 1.1 +- 0.1 over seeds", true),
        row(exponent, power(1.1, 0.1) * copies, one, f"nothing: the same, {COPIES} equal cells a seed", true),
        row(exponent, power(1.12, 0.1) * copies, one, f"it is 1.12 +- 0.1; {COPIES} equal cells a seed", false),
        row(exponent, shown, one, "it is 1.5; values below 0.02 are capped", false, capped=shown < 0.02),
        row(limit, power(1.0), zero, tolerance=0.1),
        row(limit, power(-0.5), zero, "grows as axis^(-1/2)", "refuted", 0.1),
        row(limit, power(0.0), zero, "stays near 1", "refuted", 0.1),
        row(limit, power(1.0) + 0.5, zero, "tends to 1/2", "refuted", 0.1),
        row(limit, power(1.0), zero, "nothing; 4 seeds", true, 0.1, seeds=4),
        row(limit, power(0.0), zero, "stays near 1; 4 seeds", false, 0.1, seeds=4),
        row(limit, noisy(1.0), zero, "nothing; heavy noise", true, 0.1),
        row(limit, noisy(0.0), zero, "stays near 1; heavy noise", false, 0.1),
        row(limit, noisy(0.0), zero, "the same; values above 0.1 are capped", false, 0.1, capped=noisy(0.0) > 0.1),
        row(limit, power(0.5) * copies, zero, f"nothing; {COPIES} equal cells a seed", true, 0.1),
        row(ordering, slack - 2.0 + none, order),
        row(ordering, slack + 2.0 + none, order, "it is 2 on average", "refuted"),
        row(ordering, slack - 1.0 + none, order, "nothing; 4 seeds", true, seeds=4),
        row(ordering, slack + none, order, "it is 0 on average", false),
        row(ordering, slack + none, order, "at the edge: it is 0 on average", true),
        row(ordering, skew.isel(axis=[0]), order, "it is 0 on average; lognormal, one point", false),
        row(ordering, skew, order, "at the edge: it is 0 on average; lognormal", true),
        row(ordering, 0 * skew - 1e-18, order, "equal but for rounding: -1e-18", false),
        row(ordering, skew.isel(axis=[0]), order, "it is 0 on average; values above 1 are capped", false,
            capped=skew.isel(axis=[0]) > 1.0),
        row(likely, chance(0.998), "holds with probability 0.6"),
        row(probability, chance(0.3), "holds with probability 0.8", "it is 0.3", "refuted"),
        row(probability, chance(0.998), "holds with probability 0.8", "nothing; 4 seeds", true, seeds=4),
        row(probability, chance(0.8), "holds with probability 0.8", "nothing: at the edge", true),
        row(probability, same, "holds with probability 0.8", "nothing: at the edge, one draw a seed", true),
        row(probability, just_less, "holds with probability 0.8", "it is 0.78, one draw a seed", false),
        row(likely, half, "holds with probability 0.6", "it is 1/2; every failure is capped", false, capped=half > 1),
        row(bounded, power(-0.3), bound),
        row(bounded, power(0.3), bound, "grows as axis^0.3", "refuted"),
        row(bounded, flat, bound, "nothing: no trend", true),
        row(bounded, flat, bound, "nothing: no trend; 4 seeds", true, seeds=4),
        row(bounded, power(0.3), bound, "grows as axis^0.3; 4 seeds", false, seeds=4),
        row(bounded, noisy(0.0), bound, "nothing: no trend; heavy noise", true),
        row(bounded, noisy(0.3), bound, "grows as axis^0.3; heavy noise", false),
        row(bounded, grows, bound, "grows as axis^0.3; values above 1 are capped", false, capped=grows > 1.0),
        row(bounded, flat * copies, bound, f"nothing: no trend; {COPIES} equal cells a seed", true),
    ]  # fmt: skip


# -- judging -----------------------------------------------------------------------------------------------------------


def weighed(row: Row) -> tuple[Claim, xr.Dataset]:
    """The row with its closed forms evaluated once for all seeds: they speak of each run alone."""
    ds = row.claim.of(row.data)
    runs = weigh(row.claim, ds)
    slacks = {f"slack {name}": slack for name, slack in runs.slacks.items()}
    known = xr.Dataset({"status": ds.status, "residual": runs.residual, "tolerance": runs.tolerance, **slacks})
    asked = dict(tolerance=lambda ds: ds.tolerance) if row.claim.kind.uses_tolerance else {}
    if runs.bound is not None:
        known["bound"] = runs.bound
        asked["bound"] = lambda ds: ds.bound
    claim = dataclasses.replace(
        row.claim,
        on=None,
        residual=lambda ds: ds.residual,
        **asked,
        hypotheses=lambda ds: {name: ds[name] for name in slacks},
    )
    return claim, known


def tally(row: Row, sets: int) -> Counter:
    """Verdicts over disjoint sets of consecutive seeds."""
    claim, known = weighed(row)
    width = known.sizes["seed"] // sets
    taken = row.seeds or width
    return Counter(judge(claim, known.isel(seed=slice(i * width, i * width + taken))).verdict for i in range(sets))


def right(row: Row, found: Counter) -> int:
    return found[row.right] if row.right in VERDICTS else found.total() - found[row.right.removeprefix("not ")]


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
    sought = ["supported" if row.right in ("refuted", "not supported") else "refuted" for row in rows]
    return f"{sum(count[v] for count, v in zip(found, sought)):,} of {sum(count.total() for count in found):,}"


PAGE = """# Calibration

Written by `.venv/bin/python scripts/calibrate.py{options}`. How often is a verdict right? Each row is judged on {sets}
disjoint sets of {seeds} seeds, each set alone. Rates have their 95 % interval by Clopper and Pearson. Each study runs
once, at a small size:

{sizes}

`wu2020/path` draws nothing at random, so it has no seed sets.

A true claim should be `supported`, and a planted slip `refuted`, in at least {enough:g} % of the sets; rows that fall
short are listed at the end. Where seeds are few, the noise is heavy, the runs are survivors or the truth lies on the
edge of the claim, a verdict may be withheld: a true claim should then be `not refuted`, a false one `not supported`.

## True claims of the studies

{true}

Refuted: {true_mistaken} verdicts.

## Planted slips

{planted}

Supported: {planted_mistaken} verdicts.

## Synthetic curves

Not from a study: the residuals are drawn from a known law, for each seed at {points} points of an axis, with a noise of
10 % ("heavy": a factor e^{heavy:g}).

{synthetic}

Wrong: {synthetic_mistaken} verdicts.

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
        heavy=HEAVY,
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
