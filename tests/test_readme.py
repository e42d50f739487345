"""The README cannot drift: its study is the file, its notebook cell runs, its commands parse."""

import re
import shlex
from pathlib import Path

import implicit_bias as ib
from implicit_bias import catalogue
from implicit_bias.grammar import parser
from implicit_bias.sweep.ask import names

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def test_the_study_in_the_readme_is_the_study():
    assert blocks("python")[0] == (ROOT / "experiments/wu2020/robustness.py").read_text()


def test_the_two_commands_come_first_and_are_there():
    first, *_ = blocks("sh")
    for line in first.splitlines():
        assert (ROOT / line.split()[0]).stat().st_mode & 0o111
    assert README.index("```sh") < README.index("![") < README.index("```python")


def test_every_command_in_the_readme_parses_and_names_what_exists():
    commands = [shlex.split(part, comments=True) for part in re.findall(r"^implicit-bias .*$", README, flags=re.M)]
    assert len(commands) >= 8
    for words in commands:
        words = words[: words.index("&&")] if "&&" in words else words
        arguments = parser().parse_args(words[1:])
        named = [
            getattr(arguments, "study", None),
            *(getattr(arguments, name, None) for name in ("target", "first", "second")),
            *getattr(arguments, "targets", []),
        ]
        for target in filter(None, named):
            assert catalogue.expand([names.target(target)[0]])


def test_the_notebook_cell_runs():
    said = {}
    exec(compile(blocks("python")[1], "README.md", "exec"), said)
    ds = said["ds"]
    assert dict(ds.sizes)["ratio"] == 2 and (ds.status == ib.Status.CONVERGED).all()


def test_the_table_of_studies_is_complete():
    for entry in catalogue.entries():
        assert f"`{entry.name}`" in README


def test_every_relative_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_citation_names_the_version():
    said = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert f"\nversion: {said}\n" in (ROOT / "CITATION.cff").read_text()
