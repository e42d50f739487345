"""Verdicts on a terminal: one row a claim, or one row a hypothesis."""

from __future__ import annotations

from collections.abc import Sequence

from ..sweep.ask.document import Document, runs_asked_for
from ..sweep.ask.names import asked
from .claims import Judgement
from .kinds import Identity
from .sharpness import LeftOut
from .tex import plain


def verdict_table(study: str, judgements: Sequence[Judgement], measured: bool = False) -> str:
    """Claim, runs tested of those inside the hypotheses, worst residual over tolerance, verdict; below it what was measured.

    >>> print(verdict_table("mine/path", []))
    mine/path: no claims
    """
    if not judgements:
        return f"{study}: no claims"
    rows = [("claim", "tested", "worst/tol", "verdict")]
    for j in judgements:
        verdict = j.verdict if j.as_expected else f"{j.verdict}, EXPECTED {j.claim.expected.upper()}"
        if j.left_out:
            verdict += " (its grid was left out)"
        elif j.as_expected and j.verdict != "supported":
            verdict += " (as expected)"
        extra = [
            f"{n:,} {word}"
            for n, word in ((j.ended_badly, "ended badly"), (j.undefined, "undefined"), (j.absent, "absent"))
            if n
        ]
        tested = f"{j.tested:,} of {j.inside:,}" + (f" ({', '.join(extra)})" if extra else "")
        rows.append((j.claim.id, tested, "-" if j.finding is None else f"{j.worst:.2g}", verdict))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}" for row in rows]
    if measured:
        lines[1:] = [f"{line.rstrip()}\n      {j.measured}" for line, j in zip(lines[1:], judgements)]
    return "\n".join([study, *(line.rstrip() for line in lines)])


def sharpness_table(study: str, claims: Sequence[str], left_out: Sequence[LeftOut]) -> str:
    """For each hypothesis left out: runs outside it, how many fail and pass, where the first fails, verdict.

    `claims` names all claims that were asked, so that those without a hypothesis are said to have none.

    >>> print(sharpness_table("mine/path", ["exact-law"], []))
    mine/path, one hypothesis left out at a time
      no hypothesis to leave out: exact-law
    """
    lines = [f"{study}, one hypothesis left out at a time"]
    rows = [
        ("claim", "left out", "outside", "fail", "pass", "slack", "res/tol", "verdict", "first failure, or finding")
    ]
    for one in left_out:
        first = one.first
        counts = ("-", "-") if one.failed is None else (f"{one.failed:,}", f"{one.outside - one.failed:,}")
        at = (f"{first.slack:.2g}", f"{first.ratio:.2g}") if first else ("-", "-")
        rows.append(
            (one.claim.id, plain(one.hypothesis), f"{one.outside:,}", *counts, *at, one.verdict, "; ".join(_seen(one)))
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    if left_out:
        for row in rows:
            cells = (f"{c:{'>' if 2 <= i <= 6 else '<'}{w}}" for i, (c, w) in enumerate(zip(row, widths)))
            lines.append("  " + "  ".join(cells).rstrip())
    named = {one.claim.id for one in left_out}
    without = [claim for claim in claims if claim not in named]
    if without:
        lines.append(f"  no hypothesis to leave out: {', '.join(without)}")
    return "\n".join(lines)


def _seen(one: LeftOut) -> list[str]:
    """Where the claim first fails; what a kind that judges many runs together found; and what was not counted."""
    words = []
    if one.first:
        words.append(
            ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in one.first.where.items())
        )
        if one.first.nearer:
            words.append(f"{one.first.nearer:,} nearer pass")
    if not isinstance(one.claim.kind, Identity) and one.outside:
        words.append(one.measured)
    counts = ((one.ended_badly, "ended badly"), (one.undefined, "undefined"), (one.unknown, "of unknown slack"))
    return [*words, *(f"{n:,} {word}" for n, word in counts if n)]


def comparison_table(
    labels: Sequence[str], documents: Sequence[Document], judgements: Sequence[Sequence[Judgement]], changed: str
) -> tuple[str, int]:
    """(the claims of two results side by side, how many verdicts differ), under what was asked for; `changed` is what computed them."""
    lines = [
        f"{label}: {runs_asked_for(document):,} runs, {asked(document) or 'the grid of the study itself'}"
        for label, document in zip(labels, documents)
    ]
    lines.append(f"computed by {changed}" if changed else "computed by the same versions on the same kind of machine")
    both = [{j.claim.id: j for j in side} for side in judgements]
    rows, differ = [("claim", "worst/tol", "verdict", "worst/tol", "verdict", "")], 0
    for claim in dict.fromkeys(name for side in both for name in side):
        pair = [side.get(claim) for side in both]
        words = [j.verdict if j else "no such claim" for j in pair]
        worst = ["-" if j is None or j.finding is None else f"{j.worst:.2g}" for j in pair]
        differ += words[0] != words[1]
        rows.append((claim, worst[0], words[0], worst[1], words[1], "differs" if words[0] != words[1] else ""))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    cells = [(f"{c:{'>' if i in (1, 3) else '<'}{w}}" for i, (c, w) in enumerate(zip(row, widths))) for row in rows]
    lines += ["  " + "  ".join(row).rstrip() for row in cells]
    lines.append(f"{differ} verdict{'s' * (differ != 1)} of {len(rows) - 1} differ{'s' * (differ == 1)}")
    return "\n".join(lines), differ
