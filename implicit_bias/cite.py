"""`implicit-bias cite CLAIM`: what a paper says of a claim that the laboratory judged, with where it stands and BibTeX.

CLAIM is `STUDY:id`, `STUDY@NAME:id`, an id, or `PAPER:place` (see `claim_names`): of a place every claim is cited, as
printed and as corrected. Verdicts come from their files: one that is not true of the results and the code any more is no verdict.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence

from . import catalogue, claim_names
from ._files import RESULTS, FilePath
from .catalogue import Entry
from .evidence.claims import Claim, Judgement
from .evidence.page.report import anchor
from .evidence.tex import plain
from .evidence.verdicts import Kept
from .library import PAGE, NoResults, found
from .referee.counterexample import escaped
from .session import newest_verdicts, edit_notice
from .sweep.ask import names
from .sweep.ask.document import read_plan
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


def _spelled(name: str) -> str:
    """Letters and figures alone, an umlaut without its e: as a key is written."""
    return re.sub(r"[^a-z0-9]|(?<=[aou])e", "", name.lower())


def key_of(cited: str, bibliography: str) -> str:
    """The key of the paper that a source cites, by its first author and year, or by its number; "" where none is its.

    >>> entries = "@article{stoger2021sensing,\\n year={2021}}\\n@misc{cisneros2024,\\n eprint = {2409.08935}}"
    >>> key_of("Stoeger & Soltanolkotabi 2021", entries), key_of("arXiv 2409.08935", entries), key_of("Stone et al. 2021", entries)
    ('stoger2021sensing', 'cisneros2024', '')
    """
    for entry in re.split(r"^@", bibliography, flags=re.MULTILINE)[1:]:
        key = entry.partition("{")[2].partition(",")[0].strip()
        number = re.search(r"eprint\s*=\s*[{\"]([^}\"]+)", entry)
        author, year = cited.partition(" ")[0], cited[-4:]
        own = re.match(r"[a-z]+\d{4}", key)
        if own and _spelled(own[0]) == _spelled(author + year) or number and number[1] in cited:
            return key
    return ""


def _kept(entry: Entry, name: str, out: FilePath) -> tuple[FilePath, Kept | None] | None:
    """The plan that the study's result means, and verdicts that are true of it; None where nothing was run."""
    try:
        ((_, plan),) = found([(entry.name if "/" in entry.name else str(entry.path)) + name], out)
    except NoResults:
        return None
    return plan, newest_verdicts(entry, plan)


def _to(out: FilePath) -> str:
    return f" --out {out}" if str(out) != RESULTS else ""


def _standing(entry: Entry, name: str, claim: Claim, out: FilePath) -> tuple[list[str], Judgement | None]:
    """How a claim stands in a folder of results, in lines, and its verdict if it has one."""
    there = _kept(entry, name, out)
    if there is None:
        named = f" --as {name[1:]}" if name else ""
        return [f"no results in {out}: `implicit-bias run {entry.typed}{named}{_to(out)}` makes them"], None
    plan, kept = there
    judgement = next((j for j in kept.judgements if j.claim.id == claim.id), None) if kept else None
    if judgement is None:
        return [f"not judged since its results or its code changed: `implicit-bias check {entry.typed}{name}{_to(out)}` does"], None
    store, _ = plan_of(plan)
    if kept and kept.edited:  # a verdict, and of another study than the one that would be cited
        return [edit_notice(entry.typed, kept, names.again(store, plan, read_plan(plan)))], None
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


def _sentence(entry: Entry, name: str, claim: Claim, judgement: Judgement | None) -> str:
    """The claim as a sentence of LaTeX, with what it supposes: without that it is another claim."""
    own = claim_names.cited(claim.source)
    where = latex(claim.source.removeprefix(own).strip(" ,"))
    key = key_of(own, catalogue.bibliography(entry))
    source = rf"\cite{{{key}}}" + f", {where}" * bool(where) if key else latex(claim.source)
    verdict = "was not judged" if judgement is None else rf"is \emph{{{judgement.verdict}}}"
    count = "" if judgement is None else f" by {judgement.tested} runs inside its hypotheses"
    address = escaped(f"{entry.name}{name}:{claim.id}")
    supposed = " and ".join(latex(h) for h in _hypotheses(judgement))
    under = f", supposing {supposed}," * bool(supposed)
    return rf"``{latex(claim.statement)}''{under} ({source}) {verdict}{count} \cite[\texttt{{{address}}}]{{{KEY}}}."


def _places(entry: Entry, claim: Claim) -> list[str]:
    """Names of the places of the study's own paper that the claim is about: what it cites of another's has none here."""
    bibliography = catalogue.bibliography(entry)
    ours = re.search(r"{([^,\s]+),", bibliography)
    if "/" not in entry.name or ours and key_of(claim_names.cited(claim.source), bibliography) != ours[1]:
        return []
    return [f"{entry.paper}:{place}" for place in claim_names.places(claim.source)]


def text(wanted: str, out: FilePath) -> str:
    """Everything that `cite` prints."""
    study, at, claim_id = re.fullmatch(r"(.*?)(@[^:@]*)?(:[^:]*)?", wanted).groups(default="")
    cited: Sequence[claim_names.Addressed] = claim_names.find(study + claim_id)
    parts, bibliographies = [], {}
    for entry, _, claim in cited:
        lines, judgement = _standing(entry, at, claim, out)
        also = _places(entry, claim)
        head = claim_names.address(entry, claim) + f"  (of {', '.join(also)})" * bool(also)
        supposed = [f"supposing {plain(name)}" for name in _hypotheses(judgement)]
        said = [claim.source, plain(claim.statement), *supposed, *lines]
        parts.append("\n".join([head, *(f"  {line}" for line in said), "", _sentence(entry, at, claim, judgement), ""]))
        if bibliography := catalogue.bibliography(entry):
            bibliographies[bibliography.strip()] = None
    return "\n".join([*parts, *bibliographies, laboratory()]).rstrip()
