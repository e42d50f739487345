"""Pages: complete, inert, the same for the same results, and honest about what was expected."""

import doctest
import html
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from implicit_bias import _files
from implicit_bias._errors import Mistake
from implicit_bias._results import Status
from implicit_bias.evidence.page import markup as pages
from implicit_bias.evidence.page import report
from implicit_bias.evidence.claims import VERDICTS, Claim, Judgement
from implicit_bias.evidence.figures import Figure, house_style, render
from implicit_bias.evidence.figures.table import Numbers, Row
from implicit_bias.evidence.kinds import Finding

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
SVG = """<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g id="a"><text> x </text></g></svg>"""


class Elements(HTMLParser):
    """What a browser would build: the tags with their attributes, and the words."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.words, self.ends = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self.ends.append(tag)

    def handle_data(self, data):
        if self.lasttag != "style":
            self.words.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    @property
    def shape(self):
        """All that a word must not change: attributes that carry words only by name."""
        worded = ("aria-label", "href", "id")
        return [(t, {k: None if k in worded else v for k, v in a.items()}) for t, a in self.tags], self.ends

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def every(self, name):
        return [a[name] for _, a in self.tags if name in a]


def judgement(verdict="supported", expected="supported", text="word", worst=0.5, **counts):
    claim = Claim(
        id=text,
        source=text,
        statement=text,
        because=text,
        expected=expected,
        residual=lambda d: d,
        tolerance=lambda d: 1.0,
    )
    counts = dict(tested=7, inside=8, outside=0, ended_badly=0, absent=0, undefined=0, outside_by={text: 0}) | counts
    finding = Finding(verdict, worst, {text: text, "scale": 0.25}, text)
    return Judgement(claim, verdict, finding=finding, **counts)


def results(statuses=(1, 1)):
    return xr.Dataset({"status": ("seed", np.array(statuses, dtype=np.int8))})


def measured(text="word"):
    """Results with a number for each run, whose every name is a word of the study."""
    numbers = (text, [0.5, 2.0, 3.0], {"definition": text})
    return xr.Dataset({"status": (text, np.array([1, 1, 2], np.int8)), f"{text}.": numbers}, {text: [text, f"{text} 2", f"{text} 3"]})


def plan(text="word", grids=1):
    axes = {text: {"traced": True, "labels": [text] * 5, "values": ["0x0p+0"] * 5, "words": True}}
    return {
        "study": text,
        "fingerprint": {text: text},
        "settings": {text: text},
        "grids": [{"name": text, "order": [text], "axes": axes} for _ in range(grids)],
        "batches": [{"grid": 0, "statics": {text: text}, "program": text, "rewriting": text, "dynamics": text}],
    }


def draw(data, text="word"):
    with house_style() as plt:
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.plot([0, 1], [0, 1], "o", label=text, clip_on=True, url=text, gid=text)
        axes.imshow([[0, 1]], extent=(0, 1, 0, 1))
        axes.set(xlabel=text, title=text)
        axes.legend()
        return figure


def page(text="word", data=None, judgements=None, figures=(), document=None, drawing=None, numbers=None, **more):
    return report.study_page(
        name=text,
        statement=text,
        data=results() if data is None else data,
        judgements=[judgement(text=text, outside=1, outside_by={text: 1})] if judgements is None else judgements,
        figures=[report.Shown(f, drawing or render(f, results())[0], numbers) for f in figures],
        document=document or plan(text),
        **more,
    )


def index(text="word"):
    entry = dict(
        name=text, statement=text, href=text, runs=3, judgements=[judgement("refuted", text=text)]
    )
    return report.index_page([report.Entry(**entry), report.Entry(**entry)])


BEFORE = [
    "",
    '"',
    "'",
    "-->",
    "]]>",
    "</style>",
    "</title>",
    "</p></td></table>",
    "&quot;",
    "\u202e\x00\x1b[31m",
    '" onload="',
    "é ∥w∥ ",
]
ATTACKS = [
    "</svg><script>alert(1)</script>", "<script src=//evil.example/x.js></script>", "<img src=x onerror=alert(1)>",
    "javascript:alert(1)", "<iframe srcdoc='&lt;script&gt;1&lt;/script&gt;'>", "<!--", "<!DOCTYPE x>", "<?php 1 ?>",
    "<base href=https://evil.example/>", "<meta http-equiv=refresh content=0>", "<style>*{display:none}</style>",
    "<a href='data:text/html,1'>x</a>", "&lt;script&gt;", "<plaintext>", "<math><mtext></mtext></math>", "\ud800</b>",
    "style=background:url(//evil.example)",
]  # fmt: skip
PAYLOADS = [before + attack for before, attack in itertools.product(BEFORE, ATTACKS)]


@pytest.mark.slow
def test_no_word_of_a_study_changes_the_elements_of_a_page():
    assert len(PAYLOADS) >= 200
    def whole(text):
        table = Numbers(text, [Row(text, 1, text, text, text, 0.0, 1.0, band=text)])
        figure, words = Figure(id=text, draw=draw, caption=text, claims=[text]), ([text], [text])
        more = dict(numbers=table, replay=words, replays={text: text}, bibliography=text, laboratory=text, up="../", siblings=[text])
        return page(text, data=measured(text), figures=[figure], drawing=SVG.encode(), **more)

    shapes = Elements(whole("word")).shape, Elements(index("word")).shape
    for text in PAYLOADS:
        study = Elements(whole(text))
        listed = Elements(index(text))
        # a word with "/" is a paper's name in the index: the same elements all the same
        assert (study.shape, listed.shape) == shapes, text
        assert " ".join(pages.clean(text).split()) in study.text
        assert all(re.match(r"[^:]*$", link) for link in listed.every("href"))
        (study.text + listed.text).encode()


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    "text",
    [
        "</svg><script>alert(1)</script>",
        '"><b onload="x',
        "javascript:alert(1)",
        "]]>",
        "-->",
        "--!> <!--",
        "a\x07b",
        "é ∥w∥ &amp;",
    ],
)
def test_no_label_of_a_figure_changes_the_elements_of_a_page(text):
    shape = lambda text: [
        (tag, set(attributes)) for tag, attributes in Elements(
            page("word", figures=[Figure(id="a", draw=lambda data: draw(data, text), caption=text)])
        ).tags if tag not in ("g", "path", "rect", "use")
    ]  # fmt: skip
    assert shape(text) == shape("word")
    drawn = page("word", figures=[Figure(id="a", draw=lambda data: draw(data, text), caption="")])
    assert html.escape(pages.clean(text), quote=False).replace("&quot;", '"') in drawn.replace("&quot;", '"').replace(
        "&#x27;", "'"
    )


def test_a_drawing_keeps_only_what_draws():
    hostile = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 10"
      onload="a()"><script>b()</script><style>p{color:red}</style><metadata>c</metadata>
      <foreignObject><p xmlns="http://www.w3.org/1999/xhtml">d</p></foreignObject><title>e</title>
      <a xlink:href="javascript:f()"><path d="M 0 0" onclick="g()" class="against" fill="#000000"/></a>
      <image xlink:href="https://evil.example/h.png"/><image xlink:href="data:image/svg+xml,i"/>
      <image xlink:href="data:image/png;base64,AA=="/><use href="//evil.example/j.svg#k"/>
      <rect style="fill: url(https://evil.example/l)"/><rect fill="u\\72l(m)"/><rect clip-path="url(#n)"/></svg>"""
    drawing = pages.inline_svg(hostile, "f1-", 'a "label"')
    tags = Elements(drawing).tags
    assert [tag for tag, _ in tags] == ["svg", "g", "path", "image", "image", "image", "use", "rect", "rect", "rect"]
    assert [a for _, a in tags if a] == [
        {"viewbox": "0 0 10 10", "role": "img", "aria-label": 'a "label"', "style": "--printed: 10pt"},
        {"d": "M 0 0", "fill": "#000000"},
        {"href": "data:image/png;base64,AA=="},
        {"clip-path": "url(#f1-n)"},
    ]
    assert Elements(drawing).text == ""


def test_a_page_loads_nothing_and_runs_nothing():
    figures = [Figure(id="a", draw=draw, caption="c")]
    for text in (page(figures=figures), index()):
        found = Elements(text)
        assert [a.get("content") for t, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"] == [POLICY]
        assert not {"script", "link", "iframe", "object", "embed", "base", "form", "foreignobject"} & {
            t for t, _ in found.tags
        }
        assert "://" not in text and "@import" not in text
        assert all(re.match(r"#|data:image/png;base64,|word(#claim-word)?$", link) for link in found.every("href"))
        assert not found.every("src")


def test_two_figures_share_no_id_and_find_their_own_parts():
    drawings = [Figure(id="a", draw=draw, caption="c"), Figure(id="b", draw=draw, caption="c")]
    text = page(figures=drawings)
    ids = Elements(text).every("id")
    assert len(ids) == len(set(ids)) > 0
    used = re.findall(r'(?:url\(#|href="#)([^")]+)', text)
    assert set(used) <= set(ids)
    parts = re.findall('<section id="([^"]*)"', text)
    assert {i[:3] for i in ids if not i.startswith("claim-") and i not in parts} == {"f1-", "f2-"}


def test_a_drawing_scales_and_has_a_name():
    text = page(figures=[Figure(id="a", draw=draw, caption="What is seen.")])
    [drawing] = [a for t, a in Elements(text).tags if t == "svg"]
    assert drawing["role"] == "img" and drawing["aria-label"] == "Figure 1: What is seen."
    assert drawing["viewbox"] == "0 0 216 144" and "width" not in drawing
    assert drawing["style"] == "--printed: 216pt"  # of matplotlib's three inches
    assert "figure svg { width: 100%; max-width: var(--printed); height: auto;" in text
    assert "<figcaption><b>Figure 1.</b> What is seen.</figcaption>" in text


@pytest.mark.parametrize("verdict, expected", list(itertools.product(VERDICTS, VERDICTS)))
def test_a_verdict_is_loud_only_against_expectation(verdict, expected):
    text = page(judgements=[judgement(verdict, expected)])
    found = Elements(text)
    classes = [c for c in found.every("class") if c.startswith("verdict")]
    if verdict == expected:
        assert "against" not in "".join(classes)
        assert "All verdicts are as expected." in found.text
        assert ("supported" if verdict == "supported" else f"{verdict}, as expected") in found.text
    else:
        assert set(classes) == {"verdict against"}
        assert "1 of 1 verdicts is against expectation." in found.text
        assert f"{verdict}, expected {expected}" in found.text


def test_the_counts_of_a_claim_are_shown():
    one = judgement(
        tested=5, inside=1234, outside=3, ended_badly=2, absent=4, undefined=6, outside_by={"g0 < g*": 3, "c > 0": 0}
    )
    text = Elements(page(judgements=[one])).text
    for said in (
        "5 tested of 1,234 inside",
        "2 ended badly",
        "6 undefined",
        "3 outside",
        "4 absent",
        "g0 < g* leaves out 3",
        "c > 0 leaves out none",
        "scale=0.25",
    ):
        assert said in text
    quiet = Elements(page(judgements=[judgement(tested=8)])).text
    for word in ("ended badly", "undefined", " outside", "absent"):
        assert word not in quiet


def test_a_claim_without_a_run_to_test_has_no_worst():
    none = Judgement(judgement().claim, "vacuous", 0, 0, 9, 0, 0, 0, None, {})
    text = Elements(page(judgements=[none])).text
    assert "no run to test" in text and not re.search(r"\bnan\b", text)


def test_every_status_is_counted_and_advises():
    data = results([s for s in Status for _ in range(2)])
    text = Elements(page(data=data)).text
    for status in Status:
        assert status.label in text
        assert (status.advice in text) == (status != Status.CONVERGED)
    assert f"{2 * len(Status) - 2} of {2 * len(Status)} runs computed." in text


def test_each_grid_of_a_union_has_its_row():
    data = xr.DataTree.from_dict({"gd": results([1] * 1000), "wn+rpgd": results([1, 2, -1])})
    text = page(data=data, document=plan(grids=2))
    assert Elements(text).text.startswith("word word word 1,002 of 1,003 runs computed.")
    assert (
        '<th scope="row">wn+rpgd</th><td class="n">3</td><td class="n">1</td><td class="n">1</td><td class="n">1</td>'
        in text
    )


def test_where_the_numbers_come_from():
    document = plan()
    document["settings"] = {"rows": "20", "law": "a b"}
    document["grids"][0] = {
        "name": "wn", "order": ["scale"], "axes": {"scale": {"labels": ["0.01", "0.1", "1", "2", "4"], "words": False}},
    }  # fmt: skip
    document["batches"][0]["program"] = "0123456789abcdef" * 4
    text = Elements(report.study_page(
        name="wu2020/path", statement="First\nparagraph.\n\nSecond.", data=results(), judgements=[], figures=[],
        document=document, label="fine", again="implicit-bias run wu2020/path rows=20 'law=a b' --as fine",
    )).text  # fmt: skip
    assert "wu2020/path@fine" in text and "implicit-bias run wu2020/path rows=20 'law=a b' --as fine" in text
    assert "asked for in Python" in Elements(page()).text
    assert "scale: 5 values from 0.01 to 4" in text and "rows: 20" in text
    assert "0123456789ab" in text and "0123456789abc" not in text
    assert "First paragraph." in text and "Second" not in text
    assert "No claim is made." in text and "Verdict" not in text and "Figures" not in text


def test_the_index_puts_what_is_against_expectation_on_top():
    entry = lambda name, *judgements: report.Entry(
        name=name, statement="s", href=f"{name}/report.html", runs=5, judgements=judgements
    )
    fine = entry("wu2020/path", judgement(), judgement("refuted", "refuted"))
    bad = entry("chou2023/basin", judgement("refuted", text="printed"))
    lone = entry("mine")
    calm, loud = report.index_page([fine, lone]), report.index_page([fine, bad, lone])
    assert "Against expectation" not in calm and "verdict against" not in calm
    assert "All verdicts are as expected." in Elements(calm).text and "no claim is made" in Elements(calm).text
    headings = re.findall("<h2>(.*?)</h2>", loud)
    assert headings == ["Against expectation", "wu2020", "chou2023", "studies"]
    top = loud[loud.index("<h2>Against") : loud.index("<h2>wu2020")]
    assert 'href="chou2023/basin/report.html#claim-printed"' in top and "printed" in top and "refuted, expected supported" in top
    assert Elements(loud).every("href").count("wu2020/path/report.html") == 1
    assert next(c for c in Elements(loud).every("class") if c.startswith("verdict")) == "verdict against"
    assert "Studies: 3. Runs: 15. Claims: 3. 1 of 3 verdicts is against expectation." in Elements(loud).text


def test_an_index_links_to_relative_paths_only():
    entry = lambda href: report.Entry(name="a", statement="", href=href, runs=0, judgements=[])
    for href in ("", "/etc/passwd", "//evil.example/x"):
        with pytest.raises(Mistake, match="href"):
            entry(href)
    assert 'href="javascript%3Aalert%281%29"' in entry("javascript:alert(1)").link
    assert 'href="wu2020/a%20b/report.html"' in entry("wu2020/a b/report.html").link


def test_the_same_results_give_the_same_bytes():
    figures = [Figure(id="a", draw=draw, caption="c")]
    assert page(figures=figures) == page(figures=figures)


def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "wu2020" / "report.html"
    pages.write_page(target, "∥w∥")
    pages.write_page(target.with_suffix(".png"), b"\x89PNG")
    assert target.read_text(encoding="utf-8") == "∥w∥" and target.with_suffix(".png").read_bytes() == b"\x89PNG"
    monkeypatch.setattr(_files.os, "replace", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(Mistake, match="out: cannot write .*the disk is full; 3 B to write"):
        pages.write_page(target, "new")
    assert target.read_text(encoding="utf-8") == "∥w∥"
    assert sorted(p.name for p in target.parent.iterdir()) == ["report.html", "report.png"]


def test_a_place_that_cannot_be_written_is_a_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file" / "report.html", tmp_path / "file" / "deeper" / "report.html"):
        with pytest.raises(Mistake, match="out: cannot write"):
            pages.write_page(target, "page")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Mistake, match="out: cannot write"):
        pages.write_page(tmp_path / "folder", "page")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_pages_need_no_jax():
    code = "import sys, implicit_bias.evidence.page.report; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_examples_hold():
    assert doctest.testmod(report).failed == 0


def test_the_index_says_of_each_study_what_holds_what_is_refuted_and_what_is_open():
    """By claims, each a link to its place on the study's page, which is there."""
    found = [judgement(), judgement("refuted", "refuted", text="as-printed"), judgement("unresolved", "unresolved", text="who-knows")]
    entry = report.Entry(name="wu2020/path", statement="s", href="wu2020/path/report.html", runs=5, judgements=found)
    index = report.index_page([entry])
    said = re.findall(r"<dt>(\w+)</dt><dd>(.*?)</dd>", index)
    assert [word for word, _ in said] == ["holds", "refuted", "open"]
    assert "as-printed" in said[1][1] and "who-knows" in said[2][1]
    there = set(re.findall('id="(claim-[^"]*)"', page(judgements=found)))
    assert {href.partition("#")[2] for href in re.findall('href="([^"#]+#[^"]*)"', index)} == there and len(there) == 3


def test_the_verdict_comes_first():
    """In the first cell of its row, which a narrow screen shows."""
    row = re.search("<tbody><tr>(.*?)</tr>", page())[1]
    assert row.startswith('<th scope="row"><span class="verdict')
