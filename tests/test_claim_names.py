"""Claims keep their names: what a paper has cited means the same claim next year."""

import re
from pathlib import Path

import pytest

from implicit_bias import catalogue, claim_names
from implicit_bias._errors import Mistake
from implicit_bias.cite import key_of
from implicit_bias.claim_names import address, claims_of, find, one, places

PUBLISHED = Path(__file__).parent / "claim_ids.txt"


@pytest.fixture(scope="module")
def claims():
    return claims_of([entry for entry in catalogue.entries() if catalogue.is_shipped(entry.path)])


@pytest.mark.slow
def test_no_published_claim_has_gone_and_every_claim_is_published(claims):
    """A claim that is renamed breaks what cites it: give it a new line here only if it is a new claim."""
    published = PUBLISHED.read_text().splitlines()
    known = [address(entry, claim) for entry, _, claim in claims]
    assert len(set(known)) == len(known)
    assert not set(published) - set(known), "these were cited already: keep their names"
    assert published == sorted(known), f"add to {PUBLISHED.name}: {sorted(set(known) - set(published))}"


@pytest.mark.slow
def test_a_place_means_what_is_printed_there_and_what_was_corrected(claims):
    found = find("wu2020:T2.6-I")
    assert {entry.name for entry, *_ in found} >= {"wu2020/limit", "wu2020/discrete", "wu2020/robustness"}
    assert all("2.6 I" in claim.source and "II" not in claim.source for *_, claim in found)
    # none of another paper's, though its theorem has a number here, too
    assert not any("T3" in places(c.source) for e, _, c in claims if e.paper == "wu2020" and c.source.startswith("Wu"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong, said",
    [
        ("wu2020:T2.6-III", "did you mean 'T2.6-II"),
        ("wu2020:T9", "no place and no claim"),
        ("wu2020/limit:limit-excess-exactly", "did you mean 'limit-excess-exact'"),
        ("wu2020/limits:x", "no study"),
    ],
)
def test_a_wrong_name_is_one_line_with_the_nearest(wrong, said):
    with pytest.raises(Mistake, match="claim|study") as caught:
        find(wrong)
    assert said in str(caught.value)


@pytest.mark.slow
def test_of_a_place_with_several_claims_one_has_to_be_named():
    with pytest.raises(Mistake, match="claims are about") as caught:
        one("wu2020:T2.6-I")
    assert "wu2020/limit:" in str(caught.value)


def test_places_of_no_paper_are_none():
    assert places("derived") == places("linear programming duality") == []
    assert places("Wu et al. 2020, Appendix D with Soudry et al. 2018, Theorem 3 (derived)") == ["App-D"]
    assert places("Galanti et al. 2022, Lemma 3.2 with Weyl's inequality") == ["L3.2"]
    assert places("Wu et al. 2020, Lemma E.4 (corrected)") == ["LE.4"]
    assert claim_names.cited("Stoeger & Soltanolkotabi 2021, phase I") == "Stoeger & Soltanolkotabi 2021"


BIBS = [entry for entry in {e.paper: e for e in catalogue.entries() if catalogue.is_shipped(e.path)}.values()]


@pytest.mark.parametrize("entry", BIBS, ids=lambda entry: entry.paper)
def test_a_source_is_cited_by_the_key_of_its_own_paper(entry):
    """Of another paper than the folder's there is no key, but where its bibliography has it."""
    bibliography = catalogue.bibliography(entry)
    assert re.match(r"@\w+{" + entry.paper + ",", bibliography)
    assert key_of("Nobody et al. 1999", bibliography) == ""
    if entry.paper == "cohen2021":
        assert key_of("Cohen et al. 2022", bibliography) == "cohen2022"
    if entry.paper == "chou2023":
        assert key_of("Woodworth et al. 2020", bibliography) == ""


@pytest.mark.slow
def test_each_paper_is_found_by_what_its_claims_cite(claims):
    cites = {}
    for entry, _, claim in claims:
        key = key_of(claim_names.cited(claim.source), catalogue.bibliography(entry))
        cites.setdefault(entry.paper, []).append(key)
    for paper, keys in cites.items():
        assert (paper in keys) == (paper != "conjectures"), paper  # what the laboratory itself says cites nobody


def test_a_paper_without_claims_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments/none").mkdir(parents=True)
    text = catalogue.template().read_text().replace("claims=[shrinks],", "claims=[],")
    (tmp_path / "experiments/none/bare.py").write_text(text)
    with pytest.raises(Mistake, match="the studies of none have no claims"):
        find("none:T1")
