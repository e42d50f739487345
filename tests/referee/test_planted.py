"""Planted falsehoods are found, and a true claim is not refuted; docs/referee.md has all of them."""

import dataclasses
import os

import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias import catalogue
from implicit_bias.cli import main
from implicit_bias.evidence import kinds
from implicit_bias.evidence.intervals import at_confidence, confidence, share, student
from implicit_bias.referee import proposed, settings
from implicit_bias.referee.clock import Clock
from implicit_bias.referee.refute import refute

from . import planted


def tried(name, minutes=3.0, **options):
    known = planted.BY_ID[name]
    claim = dataclasses.replace(known.claim, expected="supported" if known.how == "true" else "refuted")
    return refute(catalogue.Entry("planted", catalogue.template(), ""), known.study, claim, minutes=minutes, **options)


def test_there_are_twenty_of_all_kinds_and_ten_that_are_true():
    assert (len(planted.FALSE), len(planted.TRUE)) == (20, 10)
    assert len(planted.BY_ID) == 30
    kinds = {p.claim.kind.name for p in planted.FALSE}
    assert kinds == {"identity", "inequality", "ordering", "exponent", "limit", "probability", "uptoconstant"}
    assert {p.how for p in planted.FALSE} == {"constant", "thin", "end", "dropped"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["norm-below-nine-tenths", "paths-bend", "heavy-ball-never-rises"])
def test_a_single_run_refutes(name):
    outcome = tried(name)
    assert outcome.as_expected and outcome.counterexample.times > 1


@pytest.mark.slow
def test_a_setting_refutes_on_fresh_seeds_and_is_a_command():
    outcome = tried("wn-ends-closer")
    fallen = outcome.fallen
    assert outcome.as_expected and fallen.judgement.verdict == "refuted" and outcome.counterexample is None
    assert fallen.data.seed.values.min() >= settings.FRESH  # no look has seen them
    run, check = fallen.commands
    file = os.path.relpath(catalogue.template())  # which has no name that a command knows
    assert run.startswith(f"implicit-bias run {file} ") and run.endswith(" seed=20000..20023 --as refuted")
    assert check == "implicit-bias check planted@refuted"
    assert "at most 0.01 in this search" in fallen.chance and run in outcome.text()


@pytest.mark.slow
def test_the_setting_that_is_printed_refutes_the_claim_when_it_is_run():
    """By the study itself, with the words of the command."""
    known, fallen = planted.BY_ID["wn-ends-closer"], tried("wn-ends-closer").fallen
    words = {n: list(v) for n, v in fallen.setting.values.items()}
    judged = dataclasses.replace(known.study, claims=[known.claim]).check(known.study.run(seed=range(20000, 20024), **words))
    assert [j.verdict for j in judged] == ["refuted"]


@pytest.mark.slow
def test_a_claim_that_reads_its_seeds_together_goes_to_fresh_ones():
    """A mean within four standard errors fails now and then of many settings; the user's seeds are not those of the command."""
    claim = ib.Claim(
        id="mean", source="planted", statement="the mean of $|w_\\perp|$ is $1/10$", because="four standard errors",
        accepts=planted.ENDED, residual=lambda ds: ds.w_perp.mean("seed") - 0.1, expected="refuted",
        tolerance=lambda ds: 4 * ds.w_perp.std("seed") / ds.sizes["seed"] ** 0.5,
    )  # fmt: skip
    entry = catalogue.Entry("planted", catalogue.template(), "")
    outcome = refute(entry, planted.BALL, claim, {"seed": [0, 1, 2]}, minutes=1)
    assert outcome.as_expected and "that which its own tolerance leaves" in outcome.fallen.chance
    assert outcome.fallen.data.seed.values.min() >= settings.FRESH
    assert outcome.fallen.commands[0].count("seed=") == 1


@pytest.mark.slow
def test_a_true_claim_is_not_refuted_and_what_was_not_tried_is_said():
    outcome = tried("pythagoras", minutes=0.3)
    assert outcome.as_expected and not outcome.found
    assert "not tried in 0.3 minutes" in outcome.text()


# -- parts -------------------------------------------------------------------------------------------------------------


def test_confirmations_share_one_chance():
    """Level ALARM / (k (k + 1)) for the k-th: however many there are, they sum to less than ALARM."""
    assert sum(settings.ALARM / (k * (k + 1)) for k in range(1, 10_000)) < settings.ALARM


def test_another_confidence_is_that_of_intervals_and_ends():
    """Student's t and Clopper-Pearson at 99 %, by tables."""
    with at_confidence(0.99):
        assert abs(student(10) - 3.1693) < 1e-4 and abs(share(10, 10).low - 0.5887) < 1e-4
    assert confidence() == 0.95 and abs(student(10) - 2.2281) < 1e-4


def test_the_twentieth_confirmation_can_refute_an_ordering():
    """Of 24 pairs that are all above 0; the chance that none is seen among the swapped is 1 / count."""
    with at_confidence(1 - settings.ALARM / (20 * 21)):
        assert kinds._turned(np.linspace(1.0, 2.0, 24)[:, None])


def test_settings_are_halved_and_doubled_before_anything_else():
    found = list(proposed.singles({"scale": (0.1, 1.0), "seed": (0,)}, {"rows": 4, "flag": True, "word": "a"}, None))
    first = [dict(s.values) for s in found[:4]]
    assert first == [{"scale": (0.05, 0.5)}, {"scale": (0.2, 2.0)}, {"rows": (2,)}, {"rows": (8,)}]
    assert {"flag": (False,)} in [dict(s.values) for s in found]
    assert not any("seed" in s.values or "word" in s.values for s in found)


def test_no_integrator_is_made_less_accurate():
    found = [v for s in proposed.singles({}, {"rtol": 1e-9, "stop": 1e-9}, None) for v in s.values.get("rtol", ())]
    assert found and max(found) < 1e-9


def test_a_clock_that_is_over_says_what_was_left_out():
    clock = Clock(0.0)
    clock.skip("this"), clock.skip("this")
    assert clock.over and clock.said.endswith("this") and clock.said.count("this") == 1


def test_nothing_is_given_that_another_array_was_made_from():
    """A certificate is made from the truth, and stays as drawn; Gaussian measurements are given; a start is, beside both."""
    import jax.numpy as jnp

    from implicit_bias.referee.given import free_arrays

    def free(problem):
        descent = ib.Descent(0.1, max_steps=3)
        return free_arrays(lambda v, key: ib.Run(problem(key), ib.Symmetric(v["scale"], 2), descent), {"scale": [0.1, 1.0]})

    assert set(free(ib.matrix.certified(4, 1, 3)).shapes) == {"start 0"}
    assert set(free(ib.matrix.gaussian(4, 1, 3)).shapes) == {"A", "left", "start 0"}

    def beside(v, key):
        problem = ib.matrix.gaussian(4, 1, 3)(key)
        start = jnp.concatenate([problem.left, problem.left], 1)
        return ib.Run(problem, ib.Symmetric(v["scale"], 2, start), ib.Descent(0.1, max_steps=3))

    assert set(free_arrays(beside, {"scale": [0.1, 1.0]}).shapes) == {"A"}


@pytest.mark.parametrize("balanced", [True, False])
def test_layers_that_are_made_for_each_other_are_not_given_apart(balanced):
    """W_2 = W_1^T diag(+-1) of a draw is balanced, and a claim may lean on it."""
    import jax
    import jax.numpy as jnp

    from implicit_bias.referee.given import free_arrays

    def cell(v, key):
        first, other = jax.random.normal(ib.stream(key, "frames"), (2, 3, 3))
        start = (first, first.T * jnp.array([1.0, -1.0, 1.0])[:, None] if balanced else other)
        net = ib.DeepLinear(v["scale"], 2, 3, start=start)
        return ib.Run(ib.matrix.population((3, 3), 2)(key), net, ib.Descent(0.1, max_steps=3))

    free = free_arrays(cell, {"scale": [0.1, 1.0]})
    assert set(free.shapes) == ({"left", "right"} if balanced else {"left", "right", "start 0", "start 1"})
    assert ("start 0, start 1" in free.why) == balanced


def test_a_given_start_keeps_its_size_and_the_data_keep_theirs():
    import jax.numpy as jnp

    from implicit_bias.referee.given import arrays_of, with_given

    key = ib.SeedKey(jnp.asarray(0))
    run = ib.Run(ib.linear.sparse(2, 4, 1)(key), ib.Power(ib.Euclidean(0.3), 2), ib.Descent(0.1, max_steps=3))
    before = arrays_of(run, key)
    given = {"A": np.eye(2, 4), "x": np.array([0.0, 2.0, 0.0, 0.0]), "start 0": np.array([1.0, 0.0, 0.0, 0.0])}
    after = arrays_of(with_given(run, given), key)
    for name, direction in given.items():
        size = np.linalg.norm(before[name])
        np.testing.assert_allclose(after[name], size * direction / np.linalg.norm(direction), rtol=1e-12)
    problem = with_given(run, given).problem
    np.testing.assert_allclose(problem.operator @ problem.made_from, problem.target)  # there was no noise


@pytest.mark.parametrize(
    "words, said",
    [
        (["--minutes", "x"], "invalid float value: 'x'; `implicit-bias refute --help` shows how"),
        (["--minutes", "-1"], "minutes: must be above 0; write --minutes 5"),
        (["--minutes", "0"], "minutes: must be above 0; write --minutes 5"),
        (["--minutes", "nan"], "minutes: must be above 0; write --minutes 5"),
        (["--minuts", "1"], "unrecognized arguments: --minuts 1; `implicit-bias --help` shows how"),
        (["--minutes"], "expected one argument; `implicit-bias refute --help` shows how"),
    ],
)
def test_a_time_that_is_none_is_one_line(capsys, words, said):
    code = main(["refute", "limit-excess-exact", *words])
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1 and said in err
