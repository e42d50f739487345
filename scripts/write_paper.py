"""Write docs/papers/PAPER.md from results: every claim with its statement and verdict, every figure with its caption.

    scripts/lab reproduce wu2020 && .venv/bin/python scripts/write_paper.py wu2020

Nothing in that page is typed by hand: the statements are the claims', the numbers are the results', the titles are the
first lines of the studies.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from implicit_bias import catalogue, session
from implicit_bias.evidence.claims import Judgement
from implicit_bias.evidence.figures import render
from implicit_bias.evidence.tex.formula import split
from implicit_bias.session import Judged


def own(source: str, paper: str) -> str:
    """The source without the paper's own name, which is most of them."""
    return source.removeprefix(f"{paper}, ")


def place(source: str) -> tuple:
    """Where in the paper: sections and numbered statements by number, then appendices, figures, other papers."""
    numbers = re.findall(r"\d+(?:\.\d+)?", source)
    part = ("App" in source) + 2 * ("Fig" in source) + 3 * ("et al." in source)
    return part, float(numbers[0]) if numbers else 0.0, source


MARKS = {
    r"\|": r"\Vert ", "|": r"\vert ", "*": r"\ast ", "<": r"\lt ", ">": r"\gt ", r"\,": r"\thinspace ",
    r"\{": r"\lbrace ", r"\}": r"\rbrace ",
}  # fmt: skip
"""What a table, or GitHub's Markdown, would read before its mathematics does."""


def mathematics(statement: str) -> str:
    """A statement with its `$...$` for GitHub: `$|x_*| < 1$` as `$\\vert x_\\ast \\vert \\lt 1$`."""
    pieces = split(statement)
    pieces[1::2] = (re.sub(r"\\[|,{}]|[|*<>]", lambda mark: MARKS[mark[0]], piece).strip() for piece in pieces[1::2])
    return "$".join(pieces)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def verdict(j: Judgement) -> str:
    if j.verdict == j.claim.expected == "supported":
        return "**supported**"
    return f"**{j.verdict}**, {'as expected' if j.as_expected else f'EXPECTED {j.claim.expected}'}"


def number(j: Judgement) -> str:
    return "" if j.finding is None else f"{j.worst:.2g}"


def table(rows: list[list[str]]) -> list[str]:
    head, *body = [" | ".join(cell(text) for text in row) for row in rows]
    return [f"| {head} |", "|" + "---|" * len(rows[0]), *(f"| {line} |" for line in body), ""]


def overview(judged: list[Judged]) -> list[str]:
    sources = Counter(j.claim.source.partition(",")[0] for study in judged for j in study.judgements)
    paper = sources.most_common(1)[0][0]
    claims = [(own(j.claim.source, paper), j, study) for study in judged for j in study.judgements]
    rows = [["of the paper", "statement", "study", "verdict"]]
    for source, j, study in sorted(claims, key=lambda claim: place(claim[0])):
        name = study.study.name.rpartition("/")[2]
        rows.append([source, mathematics(j.claim.statement), f"[{name}](#{name})", verdict(j)])
    return table(rows)


def study_section(study: Judged, folder: Path) -> list[str]:
    name = study.study.name.rpartition("/")[2]
    lines = [f"## {name}", "", study.study.statement.split("\n")[0], ""]
    rows = [["claim", "runs tested", "worst / tolerance", "measured", "tolerance because", "verdict"]]
    for j in study.judgements:
        tested = f"{j.tested:,} of {j.inside:,} inside, {j.outside:,} outside"
        rows.append([f"`{j.claim.id}`", tested, number(j), j.measured, j.claim.because, verdict(j)])
    lines += table(rows)
    for figure in study.study.figures:
        (png,) = render(figure, study.data, "png")
        (folder / f"{figure.id}.png").write_bytes(png)
        caption = figure.caption_for(study.data, study.judgements)
        lines += [f"![{figure.id}]({folder.name}/{figure.id}.png)", "", f"*{caption}*".replace("**", "*"), ""]
    return lines


def questions(file: Path, judged: list[Judged]) -> list[str]:
    """What the paper asks and tries, each with its claims and figures, where a paper has such a file.

    `study/claim` there becomes a link and the verdict, `study:figure` a link to the picture.
    """
    if not file.is_file():
        return []
    known = {}
    for study in judged:
        name = study.study.name.rpartition("/")[2]
        known |= {f"{name}/{j.claim.id}": f"[{j.claim.id}](#{name}) ({verdict(j)})" for j in study.judgements}
        known |= {f"{name}:{figure.id}": f"[figure {figure.id}](#{name})" for figure in study.study.figures}
    text = file.read_text()
    if unknown := [word for word in re.findall(r"`([\w/:().-]+)`", text) if word not in known]:
        sys.exit(f"error: {file.name}: names {unknown[0]}, which no study has; known: {', '.join(known)}")
    return ["## What the paper asks", "", *re.sub(r"`([\w/:().-]+)`", lambda word: known[word[1]], text).splitlines(), ""]


def absences(file: Path) -> list[str]:
    """What the paper says and no study judges, in its own words, where a paper has such a file."""
    return ["## Not judged", "", *file.read_text().splitlines(), ""] if file.is_file() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paper", help="a folder of studies, as in wu2020")
    parser.add_argument("--out", type=Path, default=ROOT / "results", help="where the results are (results)")
    options = parser.parse_args()
    session.start()
    entries = catalogue.expand([options.paper])
    missing = [e.name for e in entries if not (options.out / e.name / "plans").is_dir()]
    if missing:
        parser.exit(
            2,
            f"error: out: {missing[0]} has no results in {options.out}; run `scripts/lab reproduce {options.paper}`\n",
        )
    judged = [session.judge_folder(e.name, options.out / e.name) for e in entries]
    page = ROOT / "docs" / "papers" / f"{options.paper}.md"
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    unexpected = sum(not j.as_expected for study in judged for j in study.judgements)
    total = sum(len(study.judgements) for study in judged)
    lines = [
        f"# {options.paper}, judged",
        "",
        f"Written by `.venv/bin/python scripts/write_paper.py {options.paper}` from the results of `scripts/lab reproduce "
        f"{options.paper}`: {sum(s.runs for s in judged):,} runs in {len(judged)} studies, {total} claims, "
        f"{unexpected} unexpected verdicts. A claim *as printed* that is off stands beside the corrected one, and is "
        "expected to be refuted.",
        "",
        *overview(judged),
        *questions(ROOT / "experiments" / options.paper / "asked.md", judged),
        *absences(ROOT / "experiments" / options.paper / "absent.md"),
    ]
    for study in judged:
        lines += study_section(study, folder)
    page.write_text("\n".join(lines).rstrip() + "\n")
    print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
