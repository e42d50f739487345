"""The README and its pages cannot drift: what they quote is the file, what they list is there, commands parse."""

import importlib.util
import re

import pytest

import implicit_bias as ib
from implicit_bias import catalogue
from implicit_bias.grammar import parser
from implicit_bias.sweep.ask import names

from .documents import DOCS, ROOT, blocks, commands

README = ROOT / "README.md"
TEXT = README.read_text()
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted((DOCS / "how-to").glob("*.md"))]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_quoted_is_what_is_there():
    written = script("write_docs")
    (quoted,) = blocks(README, "python")
    assert quoted.text == written.excerpt()
    assert (DOCS / "studies.md").read_text() == written.studies()


def test_the_two_commands_come_first_and_are_there():
    first = next(blocks(README, "sh")).text
    for line in first.splitlines():
        assert (ROOT / line.split()[0]).stat().st_mode & 0o111
    assert TEXT.index("```sh") < TEXT.index("![") < TEXT.index("```python")


def test_the_readme_is_short_and_has_every_paper():
    assert len(TEXT.splitlines()) <= 120
    for paper in {entry.paper for entry in catalogue.entries()}:
        assert f"(docs/papers/{paper}.md)" in TEXT


@pytest.fixture(scope="module")
def known():
    """Every name of a study or a paper: by its short name, by its file's, by its folder's."""
    return {word for e in catalogue.entries() for word in (e.name, e.paper, e.name.rpartition("/")[2])}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_parses_and_names_what_exists(page, known):
    asked = [words for _, text, _ in blocks(page, "sh") for words, _ in commands(text) if words[0] == "implicit-bias"]
    assert asked or page.name not in ("README.md", "commands.md", "tutorial.md", "cluster.md", "referee-reply.md")
    for words in asked:
        arguments = parser().parse_args([word for word in words[1:] if word != ">" and not word.endswith(".yaml")])
        named = [
            getattr(arguments, "study", None),
            *(getattr(arguments, name, None) for name in ("target", "first", "second")),
            *getattr(arguments, "targets", []),
        ]
        for target in filter(None, named):
            assert target.startswith("me/") or names.target(target)[0] in known, target


def test_every_command_there_is_has_its_line():
    said = {words[1] for _, text, _ in blocks(DOCS / "commands.md", "sh") for words, _ in commands(text)}
    (known,) = (action.choices for action in parser()._actions if action.choices)
    assert set(known) == said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_public_name_is_in_the_reference():
    listed = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    for module, public in ib._PUBLIC.items():
        head = rf"^::: implicit_bias\.{re.escape(module)}\n    options:\n      members: "
        (members,) = re.findall(rf"{head}\[(.*)\]$", listed, re.M)
        assert set(public) <= set(members.split(", ")), module
    for module in ib._MODULES.values():
        assert f"::: implicit_bias.{module}" in listed


def test_the_citation_names_the_version():
    said = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert f"\nversion: {said}\n" in (ROOT / "CITATION.cff").read_text()
