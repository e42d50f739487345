"""`implicit-bias cite CLAIM`: what a paper says of a claim that the laboratory judged, with where it stands and BibTeX.

CLAIM is `STUDY:id`, `STUDY@NAME:id`, an id, or `PAPER:place` (see `claim_names`): of a place every claim is cited, as
printed and as corrected. Verdicts come from their files: one that is not true of the results and the code any more is no verdict.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence

from . import catalogue, claim_names
from ._files import FilePath
from .catalogue import Entry
from .evidence.claims import Claim, Judgement
from .evidence.page.report import anchor
from .evidence.tex import plain
from .evidence.verdicts import Kept
from .library import PAGE, NoResults, found
from .referee.counterexample import escaped
from .session import newest_verdicts
from .sweep.ask import names
from .sweep.ask.names import plan_of

KEY = "implicit-bias"


def version() -> str:
    try:
        return importlib.metadata.version("implicit-bias")
    except importlib.metadata.PackageNotFoundError:
        return "of a source tree"


def laboratory() -> str:
    """The laboratory itself as BibTeX."""
    return (
        f"@software{{{KEY},\n  author  = {{{{The developers of implicit-bias}}}},\n"
        "  title   = {implicit-bias: studies of implicit bias as compiled grids and judged claims},\n"
        f"  version = {{{version()}}}\n}}\n"
    )


def latex(text: str) -> str:
    """Words with `$...$` for a paper: outside of mathematics what LaTeX reads as marks is written out.

    >>> print(latex("of 5 % of $|x_*|$ & more"))
    of 5 \\% of $|x_*|$ \\& more
    """
    parts = re.split(r"((?<!\\)\$.*?(?<!\\)\$)", text)
    return "".join(part if i % 2 else escaped(part.replace(r"\$", "$")) for i, part in enumerate(parts))


def keys(bibliography: str) -> list[str]:
    """
    >>> keys("@article{wu2020,\\n title={On}}")
    ['wu2020']
    """
    return re.findall(r"^@\w+\{([^,\s]+),", bibliography, re.MULTILINE)


def _kept(entry: Entry, name: str, out: FilePath) -> tuple[FilePath, Kept | None] | None:
    """The plan that the study's result means, and verdicts that are true of it; None where nothing was run."""
    try:
        ((_, plan),) = found([(entry.name if "/" in entry.name else str(entry.path)) + name], out)
    except NoResults:
        return None
    return plan, newest_verdicts(entry, plan)


def _standing(entry: Entry, name: str, claim: Claim, out: FilePath) -> tuple[list[str], Judgement | None]:
    """How a claim stands in a folder of results, in lines, and its verdict if it has one."""
    there = _kept(entry, name, out)
    if there is None:
        return [f"no results in {out}: `implicit-bias run {entry.name}` makes them"], None
    plan, kept = there
    judgement = next((j for j in kept.judgements if j.claim.id == claim.id), None) if kept else None
    if judgement is None:
        return [f"not judged since its results or its code changed: `implicit-bias check {entry.name}` does"], None
    store, _ = plan_of(plan)
    expected = "" if judgement.verdict == "supported" else ", as expected" if judgement.as_expected else ", AGAINST EXPECTATION"
    runs = f"{judgement.tested:,} of {judgement.inside:,} runs inside its hypotheses tested, {judgement.outside:,} outside"
    page = store.folder / f"{names.place_of_page(store, plan)}{PAGE}"
    return [
        f"{judgement.verdict}{expected}: {runs}; {judgement.measured}",
        f"{page}#{anchor(claim.id)}",
        f"plan {plan.stem}, implicit-bias {version()}",
    ], judgement


def _hypotheses(judgement: Judgement | None) -> list[str]:
    """By name; they are functions of results, so that a claim that was not judged has none to tell."""
    return [] if judgement is None else [*judgement.outside_by]


def _sentence(entry: Entry, claim: Claim, judgement: Judgement | None) -> str:
    """The claim as a sentence of LaTeX, with what it supposes: without that it is another claim."""
    own, where = claim_names.cited(claim.source), claim.source.removeprefix(claim_names.cited(claim.source)).strip(" ,")
    key = next(iter(keys(catalogue.bibliography(entry))), "")
    source = rf"\cite{{{key}}}" + f", {where}" * bool(where) if key and own[-4:].isdigit() else claim.source
    verdict = "was not judged" if judgement is None else rf"is \emph{{{judgement.verdict}}}"
    count = "" if judgement is None else f" by {judgement.tested} runs inside its hypotheses"
    name = escaped(claim_names.address(entry, claim))
    supposed = " and ".join(latex(h) for h in _hypotheses(judgement))
    under = f", supposing {supposed}," * bool(supposed)
    return rf"``{latex(claim.statement)}''{under} ({source}) {verdict}{count} \cite[\texttt{{{name}}}]{{{KEY}}}."


def text(wanted: str, out: FilePath) -> str:
    """Everything that `cite` prints."""
    study, at, claim_id = re.fullmatch(r"(.*?)(@[^:@]*)?(:[^:]*)?", wanted).groups(default="")
    cited: Sequence[claim_names.Addressed] = claim_names.find(study + claim_id)
    parts, bibliographies = [], {}
    for entry, _, claim in cited:
        lines, judgement = _standing(entry, at, claim, out)
        also = [f"{entry.paper}:{place}" for place in claim_names.places(claim.source) if "/" in entry.name]
        head = claim_names.address(entry, claim) + f"  (of {', '.join(also)})" * bool(also)
        supposed = [f"supposing {plain(name)}" for name in _hypotheses(judgement)]
        said = [claim.source, plain(claim.statement), *supposed, *lines]
        parts.append("\n".join([head, *(f"  {line}" for line in said), "", _sentence(entry, claim, judgement), ""]))
        if bibliography := catalogue.bibliography(entry):
            bibliographies[bibliography.strip()] = None
    return "\n".join([*parts, *bibliographies, laboratory()]).rstrip()
