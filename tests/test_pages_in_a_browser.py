"""Pages as a reader meets them: in a browser, on a phone, in the dark, by keyboard, without scripts, and asking nobody.

The pages are written here from numbers made up for them; a browser is asked where there is one, and axe-core where npm can
fetch it or IMPLICIT_BIAS_AXE names its file.
"""

import html
import os
import re
import shlex
import shutil
import subprocess
import tarfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import xarray as xr

from implicit_bias.evidence.page import report
from implicit_bias.evidence.claims import Claim, judge, weigh
from implicit_bias.evidence.figures import Figure, curves_of, panel, rendered
from implicit_bias.evidence.kinds import Exponent
from tests import browser as browsers

pytestmark = pytest.mark.slow
SCALES, RATIOS, SEEDS = np.geomspace(1e-3, 10, 9), np.array([0.3, 1.0, 3.0]), np.arange(3)
SIZES, SCHEMES = (390, 1280), ("light", "dark")


def results():
    """error = scale^2 (1 + seed / 10) / ratio, of two methods; the largest starts are lost."""
    axes = {"method": ["gd", "wn"], "seed": SEEDS, "scale": SCALES, "ratio": RATIOS}
    ds = xr.Dataset(coords=axes)
    error = ds.scale**2 * (1 + ds.seed / 10) / ds.ratio * xr.where(ds.method == "gd", 1.0, 2.0)
    status = xr.where(ds.scale > 5, 3, xr.where(ds.scale > 2, 2, 1)) * xr.ones_like(error, dtype=int)
    error = error.transpose(*axes).where(status.transpose(*axes) != 3).assign_attrs(definition="how far from the limit")
    size = (xr.ones_like(ds.scale) * ds.scale + ds.seed).assign_attrs(definition="size of the solution")
    return ds.assign(status=status.transpose(*axes), error=error, size=size)


def hypotheses(ds):
    return {r"$r \ge 1$": ds.ratio - 0.9, "the start is small": 1 - ds.scale}


CLAIMS = [
    Claim(id="bounded-by-1/c", source="here", statement=r"$|x - x_\infty| \le s^2$", because="made up", hypotheses=hypotheses,
          residual=lambda ds: ds.error, tolerance=lambda ds: 2.5 * ds.scale**2),
    Claim(id="as-printed", source="here (as printed)", statement="the error is below 1e-3", because="made up", expected="refuted",
          residual=lambda ds: ds.error, tolerance=lambda ds: 1e-3),
    Claim(id="of-second-order", source="here", statement="the error is of order 2 in the start", kind=Exponent("scale", 2.0),
          residual=lambda ds: ds.error, expected="unresolved"),
    Claim(id="against-expectation", source="here", statement="the error is below 1e-4", because="made up",
          residual=lambda ds: ds.error, tolerance=lambda ds: 1e-4),
]  # fmt: skip

FIGURE = Figure(
    id="error", panels=[panel(curves_of("error", x="scale", by="ratio", of={"method": "gd"}), x="start", y="error", log="xy")],
    caption="The error against the start.", claims=[CLAIMS[0].id],
)  # fmt: skip


def document(name):
    axes = {
        "method": {"traced": False, "labels": ["gd", "wn"], "values": ["gd", "wn"], "words": True},
        **{a: {"traced": True, "labels": [f"{v:g}" for v in values], "values": [float(v).hex() for v in values], "words": False}
           for a, values in (("seed", SEEDS), ("scale", SCALES), ("ratio", RATIOS))},
    }  # fmt: skip
    batch = {"grid": 0, "statics": {"method": "gd"}, "program": "0" * 64, "rewriting": "none", "dynamics": "gradient descent"}
    return {
        "study": name, "fingerprint": {"jax": "0", "x64": "True"}, "settings": {}, "keywords": {"stop": ["float", "0x1p-20"]},
        "grids": [{"name": "runs", "order": [*axes], "axes": axes}], "batches": [batch],
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of results with an index and two studies of a paper; a third was not run."""
    out = tmp_path_factory.mktemp("results")
    ds = results()
    judgements = [judge(claim, ds) for claim in CLAIMS]
    assert [j.verdict for j in judgements] == ["supported", "refuted", "unresolved", "refuted"]
    drawn = rendered(FIGURE, ds, "svg")
    names, entries = ["paper/first", "paper/second", "paper/third"], []
    for name in names[:2]:
        page = report.study_page(
            name=name, statement="What is made up?", data=ds, judgements=judgements, document=document(name),
            figures=[report.Shown(FIGURE, drawn.pictures[0], drawn.numbers)], again=f"implicit-bias run {name}",
            replays={CLAIMS[0].id: f"implicit-bias replay {name} seed=0"}, weighed={c.id: weigh(c, ds) for c in CLAIMS},
            replay=(["implicit-bias", "replay", name], ["--out", "my results"]), bibliography="@misc{first,\n  title = {First}\n}",
            laboratory="@software{lab}", up="../../", siblings=[n for n in names if n != name],
        )  # fmt: skip
        (out / name / "figures").mkdir(parents=True)
        (out / name / "report.html").write_text(page)
        (out / name / "figures" / "error.csv").write_text(drawn.numbers.csv(name))
        entries.append(report.Entry(name=name, statement="What is made up?", href=f"{name}/report.html", runs=ds.status.size, judgements=judgements))
    (out / "index.html").write_text(report.index_page(entries, missing=names[2:]))
    return out


class Links(HTMLParser):
    """Addresses and ids of a page."""

    def __init__(self, page):
        super().__init__()
        self.links, self.ids = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.links += [attributes["href"]] if tag == "a" else []
        self.ids += [attributes["id"]] if "id" in attributes else []


def test_links_and_anchors_resolve(site):
    """From every page to every other, and back."""
    pages = {path: Links(path.read_text()) for path in site.rglob("*.html")}
    seen = set()
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.links:
            file, _, anchor = link.partition("#")
            target = (path.parent / unquote(file)).resolve() if file else path
            assert target.is_file(), f"{path}: {link}"
            assert not anchor or anchor in pages[target].ids, f"{path}: {link}"
            seen.add((path.name, target.name, bool(anchor)))
    ways = {(a, b) for a, b, _ in seen}
    assert ways == {("index.html", "report.html"), ("report.html", "index.html"), ("index.html", "index.html"),
                    ("report.html", "report.html"), ("report.html", "error.csv")}  # fmt: skip
    assert "study-paper-third" in pages[site / "index.html"].ids


def test_a_claims_runs_are_drawn_once_each_and_told_apart_by_shape(site):
    text = (site / "paper/first/report.html").read_text()
    card = text[text.index('id="claim-bounded-by-1-c"') : text.index('id="claim-as-printed"')]
    judged = judge(CLAIMS[0], results())
    assert f"\u25cf\u00a0{judged.tested:,} tested" in card and f"\u25a1\u00a0{judged.outside:,} outside" in card
    tested = re.search('<path d="([^"]*)" class="tested"', card)[1]
    assert set(re.sub(r"[\d.]", "", tested)) == {"M", " ", "h"} and 0 < tested.count("M") <= judged.tested
    by = judged.outside_by["the start is small"]
    assert "<math><mi>r</mi>" in card and by and f">leaves out {by:,}<" in card
    trend = text[text.index('id="claim-of-second-order"') : text.index('id="claim-against-expectation"')]
    assert "residual against scale" in trend and "lies neither within what the claim says" in trend or "too few" in trend


# -- in a browser ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = browsers.started(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def tab(chromium):
    with chromium.tab() as tab:
        yield tab


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The source of axe-core."""
    if os.environ.get("IMPLICIT_BIAS_AXE"):
        return Path(os.environ["IMPLICIT_BIAS_AXE"]).read_text()
    if shutil.which("npm") is None:
        pytest.skip("there is no npm to fetch axe-core with, and IMPLICIT_BIAS_AXE names no file")
    folder = tmp_path_factory.mktemp("axe")
    try:
        fetched = subprocess.run(["npm", "pack", "axe-core"], cwd=folder, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot fetch axe-core here: it takes more than two minutes")
    if fetched.returncode:
        pytest.skip(f"npm cannot fetch axe-core here: {fetched.stderr.strip()[-200:]}")
    (packed,) = folder.glob("axe-core-*.tgz")
    with tarfile.open(packed) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


PAGES = ("paper/first/report.html", "index.html")
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(document.querySelector('.picture')?.innerHTML))))"
READING, COMMAND = "document.querySelector('.reading').textContent", "document.querySelector('#explorer pre').textContent"


def set_control(tab, name, value):
    event = "input" if name.startswith("slide") else "change"
    return tab.evaluate(
        f"(() => {{ const node = document.getElementById('explorer-{name}'); node.value = {value!r};"
        f" node.dispatchEvent(new Event('{event}', {{bubbles: true}})); return node.value; }})()"
    )


@pytest.mark.parametrize("page", PAGES)
def test_no_request_leaves_and_nothing_is_refused(site, tab, page):
    """But for the page itself; its policy refuses nothing that it holds, its script throws nothing."""
    tab.look()
    tab.open(site / page)
    tab.evaluate(DRAWN)
    assert tab.asked == [(site / page).as_uri()]
    assert tab.evaluate("performance.getEntriesByType('resource').length") == 0
    assert tab.complaints == []
    # the policy has teeth: neither another script nor another address
    tab.evaluate("(() => { const s = document.createElement('script'); s.textContent = 'window.intruder = 1'; document.body.append(s); })()")
    assert tab.evaluate("window.intruder === undefined")
    assert "refused" in tab.evaluate("fetch('data:text/plain,1').then(() => 'let through', () => 'refused')")


@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(site, tab, axe, page):
    for width in SIZES:
        for scheme in SCHEMES:
            tab.look(width, 900, scheme)
            tab.open(site / page)
            tab.evaluate(DRAWN)
            assert tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            tab.call("Runtime.evaluate", expression=axe)
            found = tab.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 120))))")
            assert found == [], (width, scheme)
            assert tab.evaluate("axe.run().then(r => r.passes.length)") > 10


def test_the_explorer_slides_hovers_and_replays(site, tab):
    tab.look()
    tab.open(site / PAGES[0])
    first = tab.evaluate(DRAWN)
    options = "[...document.getElementById('explorer-quantity').options].map(o => o.textContent)"
    assert tab.evaluate(options) == ["error", "size"]
    # one point a run: 9 starts of 3 seeds, those that diverged at the edge
    assert tab.evaluate("document.querySelectorAll('.picture circle').length") == 3 * int((SCALES <= 2).sum())
    set_control(tab, "slide-ratio", "2")
    slid = tab.evaluate(DRAWN)
    assert slid != first and tab.evaluate("document.getElementById('explorer-slide-ratio').nextSibling.textContent") == "3"
    set_control(tab, "slide-seed", "1")
    assert tab.evaluate(DRAWN) != slid
    assert tab.evaluate("document.querySelectorAll('.picture circle').length") == int((SCALES <= 2).sum())
    set_control(tab, "slide-method", "1")
    # the first run of what is shown: method wn, seed 1, scale 1e-3, ratio 3
    tab.evaluate(DRAWN)
    x, y = tab.evaluate(
        "(() => { const c = document.querySelector('.picture circle'); c.scrollIntoView({block: 'center'});"
        " const b = c.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
    )
    tab.mouse(x, y)
    error = 2 * 1e-6 * 1.1 / 3
    read = tab.evaluate(READING)
    assert re.fullmatch(r"error = (\S+) method = wn, seed = 1, scale = 0.001, ratio = 3; converged", read)
    assert float(read.split()[2]) == pytest.approx(error, rel=1e-3)
    tab.mouse(x, y, click=True)
    words = shlex.split(tab.evaluate(COMMAND))
    assert words[:3] == ["implicit-bias", "replay", "paper/first"] and words[-2:] == ["--out", "my results"]
    assert words[3:-2] == ["method=wn", "seed=1", f"scale={SCALES[0].item()!r}", "ratio=3.0"]
    assert tab.evaluate("getSelection().toString()") == tab.evaluate(COMMAND)


def test_the_explorer_draws_a_map_and_is_walked_by_keys(site, tab):
    tab.look(390, 800, "dark")
    tab.open(site / PAGES[0])
    tab.evaluate(DRAWN)
    set_control(tab, "up", "ratio")
    tab.evaluate(DRAWN)
    assert tab.evaluate("document.querySelectorAll('.picture .cell').length") == len(SCALES) * len(RATIOS)
    assert tab.evaluate("document.getElementById('explorer-slide-ratio')") is None
    tab.evaluate("document.querySelector('.picture svg').focus()")
    tab.key("ArrowRight")
    assert "scale = 0.001, ratio = 0.3" in tab.evaluate(READING) and "median of 3" in tab.evaluate(READING)
    tab.key("ArrowRight")
    tab.key("ArrowUp")
    assert "scale = 0.003162, ratio = 1;" in tab.evaluate(READING)
    tab.key("Enter")
    assert "seed=1" in tab.evaluate(COMMAND)  # the median's own run


def test_without_scripts_one_line_stands_in_its_place(site, tab):
    tab.look(scripts=False)
    tab.open(site / PAGES[0])
    said = tab.evaluate("document.getElementById('explorer').innerText")
    assert said == "The explorer needs JavaScript; nothing else on this page does."
    assert tab.evaluate("document.querySelector('#explore svg')") is None
    assert html.escape(CLAIMS[1].statement) in tab.evaluate("document.body.innerHTML")


def test_the_verdict_is_in_the_first_screen_of_a_phone(site, tab):
    tab.look(390, 844)
    tab.open(site / PAGES[0])
    assert tab.evaluate("document.querySelector('tbody .verdict').getBoundingClientRect().bottom") < 844
    tab.evaluate("location.hash = '#claim-as-printed'")
    assert abs(tab.evaluate("document.getElementById('claim-as-printed').getBoundingClientRect().top")) < 40
