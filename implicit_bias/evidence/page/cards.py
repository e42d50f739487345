"""A claim on its study's page: the verdict and why, the hypotheses and whom they leave out, its runs as points, its replay.

Verdicts are words with a mark, so they are told apart without colour. One against expectation is loud; a printed
formula that is refuted as expected is not.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..claims import Judgement, Weighed
from .markup import Markup, command, described, element, join, note
from .scatter import scatter
from ..tex import typeset

MARKS = {"supported": "\u2713", "refuted": "\u2717", "vacuous": "\u2205", "unresolved": "?"}


def phrase(judgement: Judgement) -> str:
    if judgement.left_out:
        return "not asked for"
    if not judgement.as_expected:
        return f"{judgement.verdict}, expected {judgement.claim.expected}"
    return judgement.verdict if judgement.verdict == "supported" else f"{judgement.verdict}, as expected"


def badge(judgement: Judgement, count: str = "") -> Markup:
    kind = ("good" if judgement.verdict == "supported" else "calm") if judgement.as_expected else "against"
    loud = "" if judgement.as_expected else "\u26a0 "
    said = f"{loud}{MARKS[judgement.verdict]} {count}{phrase(judgement)}"
    return element("span", said, class_=f"verdict {kind}")


def tally(judgements: Sequence[Judgement]) -> Markup:
    """The verdicts counted, those against expectation first."""
    counts = Counter(map(phrase, judgements))
    one_of_each = {phrase(j): j for j in sorted(judgements, key=lambda j: j.as_expected)}
    return join(*(join(badge(j, f"{counts[said]} "), " ") for said, j in one_of_each.items()))


def outcome(judgements: Sequence[Judgement]) -> str:
    against = sum(not j.as_expected for j in judgements)
    if not judgements:
        return "No claim is made. "
    if not against:
        return "All verdicts are as expected. "
    return f"{against} of {len(judgements)} verdicts {'is' if against == 1 else 'are'} against expectation. "


def number(value: float) -> str:
    """Three digits, or as many as tell it from 1, where a verdict turns.

    >>> [number(x) for x in (0.0, 3.2e-4, 0.5, 1.0000004, 12345.0, float("inf"), float("nan"))]
    ['0', '3.2e-4', '0.5', '1.0000004', '1.23e4', 'inf', '-']
    """
    if not math.isfinite(value):
        return "-" if math.isnan(value) else f"{value}"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        digits = 3
        while value != 1 and float(f"{value:.{digits}g}") == 1:
            digits += 1
        return f"{value:.{digits}g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def anchor(claim: str) -> str:
    """Where a claim stands on its study's page: letters, digits, and what may stand beside them in an address.

    >>> anchor("limit-decays-like-1/c")
    'claim-limit-decays-like-1-c'
    """
    return "claim-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", claim)


# -- why -----------------------------------------------------------------------------------------------------------------

_WHY = {
    "identity": (
        "the residual is within its tolerance in every run that was tested",
        "the residual is beyond its tolerance in a run that was tested",
        "",
    ),
    "inequality": (
        "the left side is at most the right in every run that was tested, up to the tolerance",
        "the left side is above the right by more than the tolerance in a run that was tested",
        "",
    ),
    "exponent": (
        "the 95 % interval of the common slope lies where the claim says",
        "the 95 % interval of the common slope lies outside of what the claim says",
        "the 95 % interval of the common slope lies neither within what the claim says nor outside of it",
    ),
    "limit": (
        "over the last four values the residual decays, and at the end its interval and its worst run are within tolerance",
        "even the slowest decay that is allowed would leave more than the tolerance",
        "it is shown neither that the residual decays to within its tolerance nor that more must be left",
    ),
    "uptoconstant": (
        "over the last half of the axis the ratio of residual to tolerance grows no faster than is allowed",
        "the ratio of residual to tolerance grows along the axis, and may grow faster than is allowed",
        "the 95 % interval of the ratio's growth holds both no growth and more than is allowed",
    ),
    "ordering": (
        "at every point the differences are below 0, by flipping their signs",
        "at some point the differences are above 0, by flipping their signs",
        "at some point the runs do not tell which of the two is less, and at none that it is the other one",
    ),
    "probability": (
        "the lower end of its 95 % interval, with lost runs failing, is high enough",
        "the upper end of its 95 % interval, with lost runs holding, is too low",
        "the level lies in its 95 % interval",
    ),
}  # fmt: skip
"""Kind -> why it is supported, refuted or unresolved, where nothing else decides."""


def _unresolved(j: Judgement) -> str:
    """What is missing: runs inside, numbers of them, or evidence."""
    short = next((r for r in j.remarks if "that it needs" in r), "")
    if not j.tested:
        return f"of {j.inside:,} runs inside its hypotheses none could be tested"
    if short:
        return f"too few could be tested: {short}"
    if j.finding is not None and j.finding.verdict == "supported" and j.undefined:
        return f"it says nothing of {j.undefined:,} run{'s' * (j.undefined != 1)} that it covers, whose residual is no number"
    needed = re.search(r"\((?:at least [^()]*|more [^()]*|one scale [^()]*)\)", j.finding.measured)
    if needed:
        return f"there are too few: {needed[0].strip('()')}"
    if "do not reach the end" in j.finding.measured:
        return "a trend is judged at the end of its axis, and not every curve reaches it"
    return _WHY.get(j.claim.kind.name, ("", "", ""))[2]


def why(j: Judgement) -> Markup | str:
    """The reason of a verdict, in words."""
    if j.left_out:
        return "the request left out the grid that it speaks of"
    if j.verdict == "vacuous":
        if not (j.outside and j.outside_by):
            return "no run that it speaks of is computed"
        by = max(j.outside_by, key=j.outside_by.get)
        return join("no run is inside its hypotheses: \u201c", typeset(by), f"\u201d alone leaves out {j.outside_by[by]:,}")
    if j.verdict == "unresolved":
        return _unresolved(j)
    return _WHY.get(j.claim.kind.name, ("", "", ""))[j.verdict == "refuted"]


# -- the card --------------------------------------------------------------------------------------------------------------


def _hypotheses(j: Judgement) -> Markup:
    if not j.outside_by:
        return Markup()
    said = [
        element("li", typeset(name), element("span", f"leaves out {count:,}" if count else "leaves out none", class_="note"))
        for name, count in j.outside_by.items()
    ]
    return element("ul", *said, class_="hypotheses")


def counted(j: Judgement) -> str:
    """
    >>> counted(Judgement(None, "supported", 5, 8, 2, 3, 0, 0, None, {}))
    '5 tested of 8 inside, 2 outside, 3 ended badly'
    """
    counts = {"outside": j.outside, "ended badly": j.ended_badly, "undefined": j.undefined, "absent": j.absent}
    others = [f"{count:,} {word}" for word, count in counts.items() if count]
    return ", ".join([f"{j.tested:,} tested of {j.inside:,} inside", *others])


def place(where: Any) -> str:
    return ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in where.items())


def card(j: Judgement, runs: Weighed | None, replay: str | None) -> Markup:
    claim = j.claim
    here = f"#{anchor(claim.id)}"
    reason, hypotheses = why(j), _hypotheses(j)
    worst = join(number(j.worst), " at " if j.where else "", place(j.where)) if j.finding else ""
    facts = [
        ("why", reason and join(reason, ".")),
        ("hypotheses", hypotheses or "none"),
        ("runs", counted(j)),
        ("measured", j.measured),
        ("worst", worst and join(worst, note(claim.ratio_is) if claim.kind.uses_tolerance else "")),
        ("judged as", claim.reason),
        ("of", claim.source),
        ("again", replay and command(replay)),
    ]
    drawing = scatter(claim, runs) if runs else ""
    return element(
        "article",
        element("header", badge(j), " ", element("h3", element("a", element("code", claim.id), href=here))),
        element("p", typeset(claim.statement), class_="said"),
        element("div", described((term, what) for term, what in facts if what), drawing, class_="evidence"),
        id=anchor(claim.id), class_="claim",
    )  # fmt: skip
