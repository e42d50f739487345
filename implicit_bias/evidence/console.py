"""Verdicts on a terminal: one row a claim."""

from __future__ import annotations

from collections.abc import Sequence

from .claims import Judgement


def verdict_table(study: str, judgements: Sequence[Judgement]) -> str:
    """Claim, runs tested of those inside the hypotheses, worst residual over tolerance, verdict.

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
    return "\n".join([study, *(line.rstrip() for line in lines)])
