"""The shipped studies, at a small size: every verdict as expected, and every claim able to fail."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from implicit_bias import catalogue
from implicit_bias.evidence.claims import judge_all
from implicit_bias.evidence.figures import numbers, render
from tests import compiled, figure_rules

pytestmark = pytest.mark.slow

SMALL = {
    "andriushchenko2022/gain": dict(seed=range(2), rho=[0.0, 0.05, 0.1]),
    "andriushchenko2022/recovery": dict(rho=[0.0, 0.01, 0.02]),
    "andriushchenko2022/sequence": dict(seed=range(3)),
    "andriushchenko2022/survivor": {},
    "chou2023/limit": dict(seed=range(2), scale=[0.5, 2.0], ratio=[0.3, 3.0]),
    "chou2023/gap": dict(seed=range(2), scale=[0.2, 1.7, 4.0], ratio=[0.1, 3.0]),
    "chou2023/recovery": dict(seed=range(12, 24), alpha=[1e-3, 3e-3, 0.01, 0.03, 0.1, 1.0]),
    "chou2023/phases": dict(rows=[8, 16], alpha=[0.01, 0.1, 1.0]),
    "cisneros2024/convexity": dict(width=[64]),
    "cisneros2024/curvature": dict(depth=[1], size=[3.0, 10.0], output=1.0),
    "cisneros2024/decay": dict(seed=range(2), decay=[0.0, 0.01]),
    "cisneros2024/depth": dict(depth=[1, 4]),
    "cisneros2024/exact": dict(seed=range(2)),
    "cisneros2024/gap": {},
    "cisneros2024/rademacher": {},
    "cisneros2024/speed": dict(size=[1.0, 2.0, 5.0]),
    "cohen2021/edge": {},
    "cohen2021/flow": {},
    "even2023/law": dict(seed=range(4), momentum=[0.0, 0.9], step=[0.0025, 0.005, 0.01, 0.08]),
    "even2023/orderings": dict(share=[1.0]),
    "fan2025/bounds": dict(law=["signs", "spectral"], seed=range(2), power=[0.3, 0.5]),
    "fan2025/norms": {},
    "damian2021/lasso": {},
    "conjectures/catapult": dict(curvature=[2.4, 3.6]),
    "conjectures/flip": dict(depth=[2.0, 3.0], target=[0.1, 1.0, 10.0], max_steps=[300, 1000, 3000, 10_000]),
    "conjectures/frame": dict(width=[3]),
    "damian2023/cycle": dict(edge=[0.3, 0.45, 0.51, 0.55, 0.6, 0.65, 0.99, 1.001], seed=range(2)),
    "damian2023/edge": {},
    "damian2023/network": {},
    "damian2023/valley": dict(top=[2.2, 2.49, 2.51, 2.6], seed=range(2)),
    "galanti2022/rank": {},
    "gunasekar2017/commuting": dict(scale=[1e-4, 1e-3, 1e-2, 1.0]),
    "lewkowycz2020/catapult": dict(seed=[0], width=[4]),
    "liang2025/bound": dict(seed=range(6)),
    "liang2025/caps": dict(seed=range(3)),
    "liang2025/neurons": dict(examples=[16, 32]),
    "liang2025/rates": dict(dimension=[1.0, 5.0]),
    "liang2025/shattering": dict(seed=range(6), dimension=[3, 20]),
    "liang2025/univariate": dict(seed=range(10), step=[0.02, 0.2]),
    "li2020intrinsic/angles": dict(objective=["logistic"], batch=[1], intrinsic=[0.03, 0.2, 0.6], seed=range(3)),
    "li2020intrinsic/equilibrium": dict(seed=range(2)),
    "li2020intrinsic/momentum": dict(intrinsic=[0.1, 0.7], momentum=[0.0, 0.9], seed=range(2)),
    "lyu2020/margin": dict(seed=range(3)),
    "morwani2021/node": {},
    "papazov2024/collapse": dict(seed=range(4), interval=[0.04, 0.02, 0.01]),
    "soltanolkotabi2023/balance": dict(seed=range(6), scale=[1e-6, 1e-4, 1e-3]),
    "soltanolkotabi2023/recovery": dict(scale=[*np.geomspace(1e-6, 2e-3, 8), 0.5]),
    "soltanolkotabi2023/step": dict(seed=range(2)),
    "stoger2021/measurements": dict(measurements=[8.0, 24.0, 72.0], rank=[1, 2]),
    "stoger2021/phases": dict(seed=range(2), scale=[1e-6, 1e-5, 1e-4, 1e-3]),
    "stoger2021/recovery": dict(scale=[*np.geomspace(1e-6, 2e-3, 8), 0.5]),
    "stoger2021/width": {},
    "wei2025/angle": dict(width=[1, 3], seed=range(2)),
    "wei2025/escape": dict(width=[1, 10], seed=range(12)),
    "wei2025/rates": dict(seed=range(3)),
    "arora2019/edge": dict(depth=[2], seed=range(2)),
    "arora2019/infinity": dict(depth=[2, 3], seed=range(2)),
    "arora2019/spectrum": dict(depth=[2], seed=range(2)),
    "arora2019/times": dict(depth=[2, 3], seed=range(2)),
    "pesme2023/staircase": dict(seed=range(12)),
    "pesme2023/tuned": dict(seed=range(6)),
    "woodworth2020/entropy": dict(seed=range(3), alpha=[0.03, 0.1, 0.3, 1.0, 2.0, 2.8, 4.0]),
    "xu2023/classes": dict(seed=range(6), decay=[0.0, 4e-3]),
    "xu2023/collapse": dict(batch=[4, 0], seed=range(6)),
    "xu2023/flow": {},
    "wu2020/robustness": dict(seed=range(3), scale=[0.1, 1.0, 4.0]),
    "wu2020/limit": dict(seed=range(3), ratio=[0.3, 3.0, 30.0], scale=[0.1, 1.0, 4.0]),
    "wu2020/path": {},
    "wu2020/plane": {},
    "wu2020/separable": dict(seed=range(6)),
    "wu2020/discrete": dict(seed=range(4), scale=[0.5, 2.0]),
    "wu2020/common": dict(seed=range(3), scale=[1.0]),
    "wu2020/decay": dict(seed=range(3), scale=[0.3, 6.0]),
    "wu2020/excess": dict(seed=range(2), scale=[0.3, 1.0, 4.0], ratio=[0.3, 3.0, 30.0]),
    "wu2020/frozen": dict(seed=range(2), fraction=[0.5, 1.3]),
    "wu2020/phases": dict(seed=range(4), fraction=[0.1, 0.3, 0.9], rho=[0.5]),
    "wu2020/projection": dict(seed=range(3), smallest=[0.1, 0.8], delta=[0.1, 3.0]),
    "wu2020/rates": dict(seed=range(4), ratio=[0.1, 1.0, 10.0], scale=[0.1, 1.0, 4.0]),
    "wu2020/slow": {},
    "wu2020/saddle": dict(seed=range(2), ratio=[0.1, 4.0]),
    "wu2020/invariant": dict(seed=range(4), ratio=[1.0], scale=[0.5], objective=["square", "logistic"]),
    "zhang2024adam/boxes": dict(seed=range(4)),
    "zhang2024adam/margin": dict(seed=range(6)),
    "zhang2024adam/samples": dict(seed=range(8)),
}


COMPUTES_FOR_LONG = {
    "chou2023/recovery", "cohen2021/edge", "cohen2021/flow", "damian2021/lasso", "galanti2022/rank", "liang2025/neurons",
    "liang2025/rates", "liang2025/univariate", "xu2023/classes", "xu2023/collapse", "xu2023/flow",
}  # fmt: skip
"""Studies whose steps take longer than it takes to compile them as they are shipped, at the small size too."""


def small_run(study, **settings):
    """The study at its small size, the settings beside or instead of those that it names."""
    asked = {**SMALL[study.name], **settings}
    with compiled.as_shipped() if study.name in COMPUTES_FOR_LONG else contextlib.nullcontext():
        return study.run(asked)


@pytest.fixture(scope="module")
def outcome():
    """(study, results) by name, computed once."""
    known = {}

    def get(name):
        if name not in known:
            study = catalogue.load(catalogue.find(name))
            known[name] = study, small_run(study)
        return known[name]

    return get


def test_every_shipped_study_is_tested_here():
    assert {e.name for e in catalogue.entries()} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_verdicts_are_as_expected(outcome, name):
    study, data = outcome(name)
    judgements = judge_all(study.claims, data)
    assert judgements
    for j in judgements:
        assert j.as_expected and not j.left_out, (j.claim.id, j.verdict, j.measured, j.where)


def mirrored(claim, ds):
    """What held by some margin fails by it."""
    return 2 * claim.tolerance(ds) - claim.residual(ds)


@pytest.mark.parametrize("name", SMALL)
def test_every_claim_can_fail(outcome, name):
    """A wrong constant turns each supported claim red: its quantity off by 20 % and 0.05, its exponent by 0.5.

    An inequality, an ordering and a probability are turned round, a quantity that vanishes is made to grow; a bound on a positive quantity, which that cannot refute, is made ten times sharper.
    """
    study, data = outcome(name)
    for claim in study.claims:
        if claim.expected != "supported":
            continue
        if hasattr(claim.kind, "value"):
            wrong = [dataclasses.replace(claim, kind=dataclasses.replace(claim.kind, value=claim.kind.value + 0.5))]
        elif claim.kind.name == "inequality":
            wrong = [
                dataclasses.replace(claim, residual=lambda ds, claim=claim: -claim.residual(ds)),
                dataclasses.replace(claim, tolerance=lambda ds, claim=claim: 0.1 * claim.tolerance(ds)),
            ]
        elif claim.kind.name == "ordering":
            wrong = [dataclasses.replace(claim, residual=lambda ds, claim=claim: -claim.residual(ds))]
        elif claim.kind.name == "probability":
            wrong = [dataclasses.replace(claim, residual=lambda ds, claim=claim: mirrored(claim, ds))]
        elif claim.kind.name == "limit":
            wrong = [dataclasses.replace(claim, residual=lambda ds, claim=claim: 1 / claim.residual(ds))]
        else:
            wrong = [dataclasses.replace(claim, residual=lambda ds, claim=claim: 1.2 * claim.residual(ds) + 0.05)]
        found = judge_all(wrong, data)
        assert any(j.verdict == "refuted" for j in found), (claim.id, [(j.verdict, j.worst) for j in found])


@pytest.mark.parametrize("name", SMALL)
def test_figures_are_drawn_with_captions_and_the_same_bytes_twice(outcome, name):
    study, data = outcome(name)
    judgements = judge_all(study.claims, data)
    for figure in study.figures:
        (svg,) = render(figure, data)
        assert svg.startswith(b"<?xml") and render(figure, data) == [svg]
        caption = figure.caption_for(data, judgements)
        assert len(caption) > 80 and all(claim_id in caption for claim_id in figure.claims)
        assert not figure_rules.broken(figure, data) + figure_rules.miscounted(caption, numbers(figure, data))


def test_figure_1_reverses_with_the_size_of_the_solution(outcome):
    """The paper's effect at |x*| = 3 (WN nearer to |x*| than GD at g0 = 1), its reverse at |x*| = 0.6 (at g0 = 0.1)."""
    _, data = outcome("wu2020/robustness")
    gd = data["gd"].norm.isel(record=-1, method=0)
    wn = data["wn+rpgd"].norm.isel(record=-1, ratio=0).sel({"method": "wn"})
    assert (wn.sel(target_norm=3.0, scale=1.0) < gd.sel(target_norm=3.0, scale=1.0)).all()
    assert (wn.sel(target_norm=0.6, scale=0.1) > gd.sel(target_norm=0.6, scale=0.1)).all()


def test_the_template_runs_and_its_claim_is_supported():
    study = catalogue.load(catalogue.find(str(catalogue.template())))
    (found,) = judge_all(study.claims, study.run())
    assert found.verdict == "supported" and found.tested


PAGES = {page.stem: page.read_text() for page in (Path(__file__).parents[1] / "docs/papers").glob("*.md")}


@pytest.mark.parametrize("paper", PAGES)
def test_the_page_of_a_paper_shows_every_claim_and_figure(paper):
    """docs/papers/*.md are written from results (scripts/write_paper.py); here: that none is an old one."""
    for name in (n for n in SMALL if n.startswith(f"{paper}/")):
        study = catalogue.load(catalogue.find(name))
        assert all(f"`{claim.id}`" in PAGES[paper] for claim in study.claims), name
        assert all(f"{paper}/{figure.id}.png" in PAGES[paper] for figure in study.figures), name
