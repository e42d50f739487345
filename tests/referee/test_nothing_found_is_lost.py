"""What the referee finds, it prints: on sparse, deep and matrix studies, and whatever becomes of the recheck."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias import catalogue, claim_names
from implicit_bias.referee import recheck, refute
from implicit_bias.referee.motion import motion_of
from implicit_bias.referee.recast import Subject, form_of
from implicit_bias.referee.runs import Runs

ALL = tuple(ib.Status)


def sparse(*, scale, key, rows=6, columns=15, nonzeros=4):
    problem = ib.linear.sparse(rows, columns, nonzeros)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(0.05, max_steps=20))


def deep(*, scale, key, rows=2, columns=4):
    problem = ib.linear.sparse(rows, columns, 1, nonnegative=True)(key)
    return ib.Run(problem, ib.Power(ib.Polar(scale), 3), ib.Descent(0.05, max_steps=20))


def population(*, scale, key):
    return ib.Run(ib.matrix.population((3, 2), 1)(key), ib.Asymmetric(scale, 2), ib.Descent(0.05, max_steps=20))


def commuting(*, scale, key):
    return ib.Run(ib.matrix.commuting(4, 1, 2)(key), ib.Symmetric(scale, 2), ib.Descent(0.05, max_steps=20))


def exponential(*, scale):
    """A problem that no number and no seed shapes."""
    start = scale * jnp.ones(2)
    return ib.Run(ib.linear.fixed([[1.0, 2.0]], [1.0])(0), ib.Exponential(start), ib.Descent(0.05, max_steps=20))


def descent(*, scale, key, rows=2, columns=4, target_norm=2.0, step=0.05):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(step, max_steps=20))


def says(**said):
    """A claim that fails wherever the loss is at least 1e-6."""
    defaults = dict(
        id="no-loss", source="s", statement="the loss is 0", because="b", accepts=ALL, expected="refuted",
        residual=lambda ds: ds.loss.isel(record=-1), tolerance=lambda ds: 1e-6,
    )  # fmt: skip
    return ib.Claim(**{**defaults, **said})


def tried(cell, claim=None, **options):
    claim = claim or says()
    study = ib.Study(
        cell=cell, grids=ib.grid(seed=range(2), scale=[0.1, 0.5]), records=ib.log_records(3), claims=[claim]
    )
    entry = catalogue.Entry("mine", catalogue.template(), "")
    return study, refute.refute(entry, study, claim, budget=8, **options)


KINDS = [(deep, "Power"), (population, "MatrixSensing"), (commuting, "MatrixSensing"), (exponential, "Exponential")]


@pytest.mark.slow
@pytest.mark.parametrize("cell, unknown", KINDS)
def test_a_failure_without_a_recheck_is_printed_and_is_a_run_of_the_study(cell, unknown):
    """Its axes and seed give the same loss to whoever runs them."""
    study, outcome = tried(cell)
    example = outcome.counterexample
    assert outcome.as_expected and "not available for" in outcome.recheck and unknown in outcome.recheck
    pasted = eval(example.python(), {"nan": math.nan})
    settings = {n: v for n, v in example.settings.items()}
    again = study.run(scale=[pasted["scale"]], seed=[pasted["seed"]], **settings)
    np.testing.assert_allclose(float(again.loss.isel(record=-1).squeeze()), pasted["residual"], rtol=1e-9)
    tex = example.latex()
    assert "seed" in tex and tex.count("{") == tex.count("}") and tex.count("$") % 2 == 0
    assert "REFUTED" in outcome.text() and example.python() in outcome.text()


def test_what_the_search_tells_names_its_words_like_a_list():
    """It began with a comma: `1 x 2: , law=flow`."""
    assert refute._words({"law": "flow", "depth": 2.0}) == "law=flow, depth=2" and refute._words({}) == ""


@pytest.mark.slow
def test_what_counts_entries_shrinks_with_the_size():
    """At 1 x 2 there are no 4 nonzeros; the dataset says how many there were."""
    study, outcome = tried(sparse)
    assert outcome.as_expected and outcome.counterexample.settings == {"rows": 1, "columns": 2, "nonzeros": 2}
    subject = Subject(study.recipe, study.grids[0], {})
    assert subject.tiny(1, 2).keywords == {"rows": 1, "columns": 2, "nonzeros": 2}
    assert subject.tiny(2, 1) is None  # no such problem


@pytest.mark.slow
def test_a_recheck_that_stops_does_not_cost_the_failure(monkeypatch):
    def stop(motion):
        raise TypeError("no number")

    monkeypatch.setattr(recheck, "recheck", stop)
    _, outcome = tried(descent)
    assert outcome.as_expected and outcome.counterexample.precision == "float64"
    assert "exception of its own (TypeError: no number)" in outcome.recheck
    assert outcome.counterexample.python() in outcome.text()


@pytest.mark.slow
def test_a_failure_that_30_digits_do_not_show_is_printed_but_refutes_nothing(monkeypatch):
    """The recheck is given the interpolator itself at every record: there the loss is 0."""
    true = recheck.recheck

    def perfect(motion):
        done = true(motion)
        A, y = (np.array(v, float) for v in (motion.A, motion.y))
        moments = [dataclasses.replace(m, weights={"x": list(np.linalg.pinv(A) @ y)}, loss=0) for m in done.moments]
        return dataclasses.replace(done, moments=moments)

    monkeypatch.setattr(recheck, "recheck", perfect)
    _, outcome = tried(descent)
    assert outcome.counterexample is None and not outcome.as_expected
    assert outcome.unconfirmed.residual > 1e-6 and "not confirmed" in outcome.unconfirmed.precision
    assert "NOT CONFIRMED" in outcome.text() and outcome.unconfirmed.python() in outcome.text()


def test_an_exception_of_the_referee_is_not_blamed_on_the_study(monkeypatch):
    def stop(*arguments, **options):
        raise IndexError("out of points")

    monkeypatch.setattr(refute, "shrink", stop)
    with pytest.raises(ib.Mistake, match=r"^referee: .*IndexError: out of points.*is not at fault") as caught:
        tried(descent)
    assert "mend" not in str(caught.value)


def test_an_exception_of_the_study_is_blamed_on_its_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import implicit_bias as ib\n"
        "def cell(*, scale, key):\n"
        "    return ib.Run(ib.linear.gaussian(2, 4)(key), ib.Euclidean(scale), ib.Descent(0.1, max_steps=20))\n"
        "claim = ib.Claim(id='c', source='s', statement='t', because='b', accepts=tuple(ib.Status),\n"
        "                 residual=lambda ds: ds.nothing(), tolerance=lambda ds: 1.0)\n"
        "study = ib.Study(cell=cell, grids=ib.grid(seed=range(2), scale=[0.1, 0.5]), claims=[claim])\n"
    )
    entry, study, claim = claim_names.one(f"{file}:c")
    with pytest.raises(ib.Mistake, match="mine.py:5: AttributeError.*mend mine.py"):
        refute.refute(entry, study, claim, budget=8)


def test_a_keyword_that_only_the_lost_arrays_heard_is_nan():
    """A, y are given: a `target_norm` of 2 would be a lie, a `step` of 0.05 is true, and so is the size."""
    study = ib.Study(cell=descent, grids=ib.grid(seed=range(2), scale=[0.1, 0.5]), records=ib.log_records(3))
    tiny = Subject(study.recipe, study.grids[0], {}).tiny(1, 2)
    form, _ = form_of(tiny, 1, 2)
    assert form.silent == {"target_norm"}
    point = form.pack({"scale": 0.5, "A": [2.0, 0.0], "y": [3.0], "u": [3.0, 4.0]})
    data, _ = Runs(tiny, form)(point[None])
    assert np.isnan(data.target_norm) and float(data.step) == 0.05 and int(data["rows"]) == 1


def test_a_subclass_of_a_known_law_is_not_taken_for_it():
    class Halved(ib.Descent):
        pass

    run = ib.Run(ib.linear.fixed([[1.0, 0.0]], [1.0])(0), ib.Euclidean(1.0), Halved(0.1))
    with pytest.raises(recheck.NotAvailable, match="Halved"):
        motion_of(run, ib.Euclidean(1.0).init(run.problem, ib.SeedKey(jnp.asarray(0))), [0, 1], [1.0, 0.0])
