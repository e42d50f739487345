r"""docs/conjectures.md: how often `conjecture` finds what is known, how seldom what is not there, and the laboratory's own laws.

    python scripts/write_conjectures.py [--draws 40] [--minutes 2] [--out results/conjectures] [--to docs/conjectures.md]

Known are laws of the shipped studies: a quantity that was measured, the axes over which it was, and the law, which is hidden
from the search. A law is found if it survives with each exponent inside its interval, or in exactly the form that is known.
Nulls are tables of numbers without a law, each drawn anew `draws` times. The laboratory's own laws are those of
`experiments/conjectures`: what was found on which seeds and axes, its verdict on what was kept back, and what the referee said.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the commands do: the bits of an SVD depend on it

import argparse
import dataclasses
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[1]))
from implicit_bias import Status, catalogue, session
from implicit_bias.conjecture.search import Asked, Found, gathered, law_of
from implicit_bias.conjecture.verdict import WIDEST
from implicit_bias.evidence.intervals import share
from implicit_bias.evidence.tex import plain
from implicit_bias.referee.refute import refute
from implicit_bias.sweep.ask.grid import parse


@dataclasses.dataclass(frozen=True)
class Known:
    """A quantity of a study, as it is typed, with the law that is known of it."""

    words: str
    exponents: Mapping[str, float] = dataclasses.field(default_factory=dict)
    form: str = ""
    """As a terminal shows it; # is any number."""
    law: str = ""
    """Where it is known from."""

    @property
    def typed(self) -> str:
        return f"implicit-bias conjecture {self.words}"

    def found(self, out: Path) -> Found:
        study, quantity, *rest = shlex.split(self.words)
        given = dict(word.split("=", 1) for word in rest if "=" in word)
        above = float(rest[rest.index("--above") + 1]) if "--above" in rest else None
        over = given.pop("over").split(",")
        settings = {n: parse(n, t) for n, t in given.items()}
        entry = catalogue.find(study)
        return law_of(gathered(catalogue.load(entry), quantity, over, settings, out=out / study), above)

    def held_by(self, found: Found) -> str:
        """How the law was found; "" if it was not."""
        for j in found.survivors:
            said = plain(f"${j.candidate.said}$")
            if self.form and re.fullmatch(re.escape(self.form).replace(r"\#", r"[\d.]+"), said):
                return said
            if self.exponents and (inside := _inside(j.candidate.numbers, self.exponents)):
                return inside
        return ""


def _inside(numbers: Mapping[str, tuple[float, float]], exponents: Mapping[str, float]) -> str:
    """The exponents of one power law whose intervals, none too wide to say something, contain all that are known; or ""."""
    for which in ("", ", first", ", second"):
        named = {axis: numbers.get(f"power of {axis}{which}") for axis in exponents}
        if all(n is not None and abs(n[0] - exponents[a]) <= n[1] <= WIDEST for a, n in named.items()):
            return ", ".join(f"{a}: {v:.5g} +- {h:.2g}" for a, (v, h) in named.items())
    return ""


KNOWN = [
    Known("woodworth2020/entropy off_l2 over=alpha alpha=2..8:12:log depth=2 seed=0..11", {"alpha": -4}, law="kernel limit, L = 2"),
    Known("woodworth2020/entropy off_l2 over=alpha alpha=1.6..4:12:log depth=3 seed=0..11", {"alpha": -6}, law="kernel limit, L = 3"),
    Known(
        "even2023/law off_unshifted over=step step=5e-4..8e-3:8:log 'law=heavy ball' momentum=0 gradient=full max_steps=200000", {"step": 2},
        law="the gain without its shift",
    ),
    Known(
        "even2023/law off_whole over=step step=5e-4..8e-3:8:log 'law=heavy ball' momentum=0 gradient=full max_steps=200000", {"step": 1},
        law="the limit of plain flow",
    ),
    Known(
        "li2020intrinsic/equilibrium excess over=intrinsic intrinsic=0.03..0.6:9:log", form="q = 1 / (1 - (1/2) intrinsic)",
        law="|w|^4 over the printed one",
    ),
    Known("li2020intrinsic/equilibrium cos over=intrinsic intrinsic=0.03..0.6:9:log", form="q = 1 - intrinsic", law="the angle of a step"),
    Known(
        "li2020intrinsic/equilibrium fourth over=step,strength step=0.1..1:6:log strength=0.5..4:6:log intrinsic=0.1",
        {"step": 2, "strength": 1}, law="eta^2 G / (eta lam (2 - eta lam))",
    ),
    Known("li2020intrinsic/angles mean_turn over=intrinsic intrinsic=0.03..0.6:8:log objective=square batch=1",
          form="q = -log(1 - intrinsic)", law="mean turn of a scale-invariant net"),  # fmt: skip
    Known("stoger2021/recovery time_to_ten_percent over=scale scale=1e-7..1e-3:9:log operator=gaussian condition=1 rank=1",
          form="q = C - # log(scale)", law="alignment takes a logarithm of the start"),  # fmt: skip
    Known("soltanolkotabi2023/recovery time_to_ten_percent over=scale scale=1e-7..1e-3:9:log operator=gaussian condition=1 rank=1",
          form="q = C - # log(scale)", law="the same, asymmetric"),  # fmt: skip
    Known("wu2020/saddle measured_rate over=ratio ratio=1e-3..0.1:8:log", {"ratio": 0.5}, law="escape rate of a saddle, small c"),
    Known("conjectures/flip fallen over=max_steps max_steps=200,400,800,1600,3200,6400,12800,25600,51200 depth=2 target=1",
          {"max_steps": -1}, law="the edge, derived"),  # fmt: skip
    Known("conjectures/flip fallen over=target target=0.1..10:8:log depth=3 max_steps=1000", {"target": 2}, law="units"),
    Known("conjectures/frame left over=missed missed=1e-5..0.05:10:log rate=1 width=3", {"missed": 3}, law="the best step, derived"),
    Known("conjectures/catapult apart over=start start=1e-10..1e-5:12:log curvature=3", {"start": 1}, law="log-periodic, derived"),
    Known("damian2023/cycle seen_mean over=edge edge=0.51..0.615:9 method=gd", form="q = sqrt(1/4 + (3/8) (1 / edge))",
          law="two-cycle, closed form"),  # fmt: skip
    Known("damian2023/cycle seen_mean over=target target=0.1..10:8:log edge=0.55 method=gd", {"target": 0.5}, law="units"),
    Known("wu2020/excess steps over=step step=1e-4..4e-3:8:log method=wn scale=1 ratio=1", {"step": -1}, law="time is steps times the step"),
    Known("wei2025/rates off over=until until=30..3000:8:log method=plain width=4 aligned=1", {"until": -1}, law="p' = -2 p^2"),
    Known("wu2020/invariant drift over=step step=5e-4..0.02:8:log law=wn objective=square ratio=1 scale=1", {"step": 1},
          law="descent keeps the invariant to first order"),  # fmt: skip
]  # fmt: skip


# -- quantities without a law ------------------------------------------------------------------------------------------


def _seeds(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=(shape[0], *[1] * (len(shape) - 1))) + 0.1 * rng.normal(size=shape)


NULLS = {
    "noise": lambda rng, shape: rng.normal(size=shape),
    "small noise": lambda rng, shape: 1e-3 * rng.normal(size=shape),
    "heavy tails (Student, 2 degrees)": lambda rng, shape: rng.standard_t(2, size=shape),
    "one-sided (exponential)": lambda rng, shape: rng.exponential(size=shape),
    "growing along the axis": lambda rng, shape: rng.normal(size=shape) * np.linspace(0.1, 2, shape[-1]),
    "seeds apart": _seeds,
    "outliers, one run in fifty": lambda rng, shape: 0.1 * rng.normal(size=shape) + 3 * (rng.random(shape) < 0.02),
    "rounding": lambda rng, shape: 1e-12 * rng.normal(size=shape),
    "two values": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "a walk along the axis, for each seed": lambda rng, shape: np.cumsum(0.3 * rng.normal(size=shape), axis=-1),
}
ALPHA = np.geomspace(0.01, 1, 12)


def null(name: str, key: int) -> Found:
    """What is found in exp of numbers that know no axis."""
    q = np.exp(NULLS[name](np.random.default_rng(key), (16, len(ALPHA))))
    dims = ("seed", "alpha")
    ds = xr.Dataset({"q": (dims, q), "status": (dims, np.full(q.shape, int(Status.CONVERGED)))}, {"seed": range(16), "alpha": ALPHA})
    return law_of(Asked(name, "q", ["alpha"], (Status.CONVERGED,), ds))


# -- the laboratory's own ----------------------------------------------------------------------------------------------

OWN = [k for k in KNOWN if k.words.startswith("conjectures/") and "over=target" not in k.words]


def own(known: Known, found: Found, minutes: float) -> list[str]:
    """What was found, what it became, and what the referee says of the study's claim."""
    name = known.words.split()[0]
    entry = catalogue.find(name)
    study = catalogue.load(entry)
    best = found.best
    lines = [f"### `{name}`", "", entry.summary.partition("   (")[0].strip(), "", f"    {known.typed}", ""]
    numbers = "; ".join(f"{n} {v:.5g} +- {h:.2g}" for n, (v, h) in best.candidate.numbers.items())
    said = plain(f"${best.candidate.said}$")
    lines.append(f"Found: {said} ({numbers}), {int(found.measured.fitted.sum())} seeds fitted; held on {int((~found.measured.fitted).sum())} others and")
    lines += [f"beyond the fitted values, off by {best.rms:.2g} there. The study's claims, and the referee with {minutes:g} minutes for each:", ""]
    for claim in study.claims:
        outcome = refute(entry, study, claim, minutes=minutes)
        silent = "not refuted" if outcome.counterexample is None else "REFUTED"
        lines.append(f"- `{claim.id}`: {plain(claim.statement)}. The referee: {silent} in {outcome.runs:,} runs.")
    return [*lines, "", "Derivation: in the study's docstring.", ""]


# -- the page ----------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]


def page(arguments: argparse.Namespace) -> str:
    rows, found_of = [], {}
    for known in KNOWN:
        begun = time.perf_counter()
        found = found_of[known.words] = known.found(arguments.out)
        held = known.held_by(found)
        best = plain(f"${found.best.candidate.said}$") if found.best else "none"
        print(f"{known.words}: {held or 'NOT FOUND'} ({best}; {time.perf_counter() - begun:.0f} s)", file=sys.stderr, flush=True)
        truth = known.form or ", ".join(f"{a}: {p:g}" for a, p in known.exponents.items())
        study, quantity, *_ = known.words.split()
        rows.append([f"`{study}` {quantity}", known.law, truth, held or "**not found**", best])
    count = sum(row[3] != "**not found**" for row in rows)
    nulls = []
    for name in NULLS:
        false = sum(null(name, key).best is not None for key in range(arguments.draws))
        print(f"null {name}: {false} of {arguments.draws}", file=sys.stderr, flush=True)
        nulls.append([name, f"{false} of {arguments.draws}"])
    false = sum(int(row[1].split()[0]) for row in nulls)
    most = share(false, arguments.draws * len(NULLS)).high
    lines = [
        "# Conjectures", "",
        "Written by `.venv/bin/python scripts/write_conjectures.py`. What `conjecture` does is told in [how to](how-to/conjecture.md).", "",
        "## Laws that are known", "",
        f"Each was hidden from the search, which knows the measured numbers alone. {count} of {len(KNOWN)} are found: an exponent inside its",
        "interval in a law that survives, or the form itself.", "",
        *table(["study, quantity", "what it is", "known", "found", "the best that survives"], rows), "",
        "As they are typed:", "", *(f"    {known.typed}" for known in KNOWN), "",
        "## Quantities without a law", "",
        f"exp of numbers that know no axis, 16 seeds at 12 values, {arguments.draws} draws of each. A discovery is anything that survives. {false} of",
        f"{arguments.draws * len(NULLS)}: at most {most:.1%} (95 %).", "",
        *table(["numbers", "discoveries"], nulls), "",
        "## The laboratory's own", "",
        "Laws that are in none of its papers, as far as those who wrote them know. Each is a study of `experiments/conjectures` with its derivation,",
        "claims and page.", "",
    ]  # fmt: skip
    for known in OWN:
        lines += own(known, found_of[known.words], arguments.minutes)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("results/conjectures"))
    parser.add_argument("--to", type=Path, default=Path("docs/conjectures.md"))
    arguments = parser.parse_args()
    session.start()
    arguments.to.write_text(page(arguments))


if __name__ == "__main__":
    main()
