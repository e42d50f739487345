"""What a claim is called in print: its address, and the places of the paper that it speaks of.

    wu2020/limit:exact-limit     the address: the study and the claim's id; one claim
    wu2020:T2.6-I                a place: every claim about part I of Theorem 2.6, as printed and as corrected

A place is read off the claim's `source`, where that cites the paper itself: T a theorem, L a lemma, P a proposition, C a
corollary, D a definition, S a section, App an appendix, F a figure, E an equation, `after-` what stands after one.

>>> places("Wu et al. 2020, Theorem 2.6 I (corrected)"), places("Wu et al. 2020, after Theorem 2.6 (as printed)")
(['T2.6-I'], ['after-T2.6'])
>>> places("Wu et al. 2020, Theorem 3.2 (a) and (b) (constants derived)"), places("Wu et al. 2020, eq. (7)")
(['T3.2-a', 'T3.2-b'], ['E7'])
>>> places("Wu et al. 2020, Lemma 2.5 and Appendix D"), places("Wu et al. 2020, Appendix D with Soudry et al. 2018, Theorem 3")
(['L2.5', 'App-D'], ['App-D'])
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import catalogue
from ._errors import Mistake, nearest
from .catalogue import Entry
from .evidence.claims import Claim

Addressed = tuple[Entry, Any, Claim]
"""A claim with the study that makes it."""

_KINDS = {
    "theorem": "T", "thm.": "T", "lemma": "L", "proposition": "P", "corollary": "C", "definition": "D", "condition": "Con-",
    "section": "S", "appendix": "App-", "figure": "F", "fig.": "F", "eq.": "E",
}  # fmt: skip
_PLACE = re.compile(
    r"(after )?\b(theorem|thm\.|lemma|proposition|corollary|definition|condition|section|appendix|figure|fig\.|eq\.) "
    r"\(?((?:[A-Z]\.?)?\d+(?:\.\d+)*|[A-Z]\b)\)?(?: ([IVX]+)\b)?((?: (?:and )?\([a-z]\))*)",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"[A-Z]\w+ (?:et al\. |& \w+ )\d{4}")


def cited(source: str) -> str:
    """The paper that a source cites.

    >>> cited("Wu et al. 2020, Theorem 2.6 I (corrected)"), cited("linear programming duality")
    ('Wu et al. 2020', 'linear programming duality')
    """
    return re.split(r", | \(", source)[0]


def places(source: str) -> list[str]:
    """The numbered places of a paper that a source names, once each; what it names of another paper is none."""
    own = source.removeprefix(cited(source))
    another = _ANOTHER.search(own)
    found = []
    for after, kind, number, roman, letters in _PLACE.findall(own[: another.start()] if another else own):
        place = f"{'after-' * bool(after)}{_KINDS[kind.lower()]}{number}" + f"-{roman}" * bool(roman)
        found += [f"{place}-{letter}" for letter in re.findall(r"\((\w)\)", letters)] or [place]
    return list(dict.fromkeys(found))


def claims_of(entries: Sequence[Entry]) -> list[Addressed]:
    return [(entry, study, claim) for entry in entries for study in [catalogue.load(entry)] for claim in study.claims]


def address(entry: Entry, claim: Claim) -> str:
    return f"{entry.name}:{claim.id}"


def claims_at(paper: str, place: str) -> list[Addressed]:
    """Every claim of a paper's folder that is about one place of that paper, or that has this id."""
    known = claims_of([entry for entry in catalogue.entries() if entry.paper == paper])
    if not known:
        raise Mistake("claim", f"the studies of {paper} have no claims", "give one of them `claims=[...]`")
    (own, _), *_ = Counter(cited(claim.source) for *_, claim in known).most_common(1)
    of = {address(entry, claim): places(claim.source) * (cited(claim.source) == own) for entry, _, claim in known}
    found = [one for one in known if place in of[address(one[0], one[2])] or place == one[2].id]
    if not found:
        words = [*dict.fromkeys(p for there in of.values() for p in there), *(claim.id for *_, claim in known)]
        raise Mistake("claim", f"{paper} has no place and no claim {place!r}", nearest(place, words))
    return found


def find(text: str) -> list[Addressed]:
    """The claims that `STUDY:id`, `PAPER:place` or an id means; several of a place alone."""
    where, _, name = text.rpartition(":")
    if where in {entry.paper for entry in catalogue.entries() if "/" in entry.name}:
        return claims_at(where, name)
    return [_of_a_study(where, name) if where else _by_its_id(text)]


def one(text: str) -> Addressed:
    """The claim that a text means, of a place that has one claim, too."""
    found = find(text)
    if len(found) > 1:
        raise Mistake("claim", f"{text} is what {len(found)} claims are about", f"write {_any_of(found)}")
    return found[0]


def _any_of(found: Sequence[Addressed]) -> str:
    return " or ".join(address(entry, claim) for entry, _, claim in found)


def _of_a_study(name: str, wanted: str) -> Addressed:
    entry = catalogue.find(name)
    study = catalogue.load(entry)
    known = {claim.id: claim for claim in study.claims}
    if wanted not in known:
        raise Mistake("claim", f"{entry.name} has no claim {wanted!r}", nearest(wanted, known))
    return entry, study, known[wanted]


def _by_its_id(text: str) -> Addressed:
    found, known, broken = [], [], None
    for entry in catalogue.entries():
        try:
            study = catalogue.load(entry)
        except Mistake as mistake:  # a file that cannot be read is no obstacle to a claim of another
            broken = broken or mistake
            continue
        known += [claim.id for claim in study.claims]
        found += [(entry, study, claim) for claim in study.claims if claim.id == text]
    if not found and broken is not None and not known and Path(text).suffix != ".py":
        raise broken
    if not found:
        raise Mistake("claim", f"there is no claim {text!r}", nearest(text, known))
    if len(found) > 1:
        raise Mistake("claim", f"{text} is a claim of {len(found)} studies", f"write {_any_of(found)}")
    return found[0]
