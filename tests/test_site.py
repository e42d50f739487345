"""The documentation site is built with `--strict`, is read from files, and asks nobody for anything."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from . import browser as browsers
from .documents import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Asked(HTMLParser):
    """Addresses that a browser fetches by itself to show a page, and not those that a reader may follow."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "link" and given.get("rel") not in ("next", "prev", "canonical"):
            self.found.append(given.get("href"))
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed"):
            self.found += [given.get("src"), *(given.get("srcset") or "").split(",")]


def test_no_page_asks_the_network(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > 30
    for page in pages:
        reader = Asked()
        reader.feed(page.read_text())
        assert reader.found and not [a for a in reader.found if a and re.match(r"\s*(https?:)?//", a)], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text()), sheet


def test_mathematics_is_set_and_examples_are_code(site):
    tutorial = (site / "tutorial.html").read_text()
    assert tutorial.count("<math") > 10 and "$g_0" not in re.sub(r"<pre.*?</pre>", "", tutorial, flags=re.S)
    for page in site.rglob("*.html"):
        words = re.sub(r"<(pre|code|script|style|annotation)\b.*?</\1>", "", page.read_text(), flags=re.S)
        assert not re.search(r"\$[^$<]*\\[a-z]+", words), page
    assert not [page for page in site.rglob("*.html") if re.search(r"mathematics\d+here", page.read_text())]
    assert "class=\"gp\">&gt;&gt;&gt; </span>" in (site / "reference/problems.html").read_text()


def test_it_is_searched_from_files(site, tmp_path):
    program = browsers.chromium()
    if program is None:
        pytest.skip("there is no Chromium")
    browser = browsers.Browser(program, tmp_path)
    try:
        with browser.tab() as tab:
            tab.open(site / "index.html")
            assert [a for a in tab.asked if not a.startswith(("file:", "data:", "blob:"))] == []
            ask = "new Promise(done => { const field = document.querySelector('[data-md-component=search-query]'); "
            ask += "field.focus(); field.value = 'invariant'; field.dispatchEvent(new Event('keyup')); "
            ask += "let left = 200; const look = () => { "
            ask += "const n = document.querySelectorAll('.md-search-result__item').length; "
            ask += "n || !left-- ? done(n) : setTimeout(look, 100) }; look() })"
            found = tab.call("Runtime.evaluate", expression=ask, awaitPromise=True, returnByValue=True, seconds=60)
            assert found["result"]["value"] > 0
    finally:
        browser.close()
