"""What a run is: its program, without data, and its data, by content. Two studies may share the first, never the second."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.sweep.ask import plan as planning
from implicit_bias.sweep.program import fingerprint
from implicit_bias.sweep.program.code import code_of, constants_digest
from implicit_bias.sweep.program.cut import Lifted
from implicit_bias.sweep.ask.plan import OlderTiles
from implicit_bias.sweep.keep.store import Store
from tests.sweep.laboratory import study as laboratory

LABELS = np.where(np.arange(150) % 7 < 3, 1, 2)
A = np.column_stack([np.eye(150), np.ones(150)])


def study(labels, seen=lambda snapshot: jnp.sqrt(jnp.sum(snapshot.x**2))):
    """Least squares with given labels."""

    def cell(*, key, step=1e-3):
        problem = ib.linear.fixed(A, labels)(key)
        return ib.Run(problem, ib.Euclidean(0.5, direction=jnp.eye(151)[-1]), ib.Descent(step, max_steps=3))

    return ib.Study(cell=cell, grids=ib.grid(seed=[0]), observe={"norm": seen}, records=ib.log_records(2))


def by_numpy(labels):
    x = 0.5 * np.eye(151)[-1]
    for _ in range(3):
        x = x - 1e-3 * A.T @ (A @ x - labels)
    return np.linalg.norm(x)


@pytest.mark.slow
def test_other_labels_in_the_same_folder_are_another_run(tmp_path):
    """150 labels from {1, 2}: their first different byte is behind digits that once were taken for an address."""
    other = np.where(np.arange(150) == 140, 3 - LABELS, LABELS)
    for labels in (LABELS, other):
        norm = study(labels).run(out=tmp_path, width=2).norm.isel(record=-1).item()
        np.testing.assert_allclose(norm, by_numpy(labels), rtol=1e-12)
    assert len(Store(tmp_path).names()) == 2


@pytest.mark.slow
def test_studies_that_differ_in_data_share_a_program_and_no_more():
    one, other = (study(labels).plan(width=2).batches[0].program for labels in (LABELS, 3 - LABELS))
    assert {n: c.text for n, c in one.code.items()} == {n: c.text for n, c in other.code.items()}
    assert one.code["advance"] is other.code["advance"]  # compiled once for both
    assert one.identity != other.identity


@pytest.mark.slow
def test_what_an_observable_has_closed_over_is_data_too():
    one, other = (
        study(LABELS, seen=lambda s, w=jnp.asarray(w): w @ s.x).plan(width=2).batches[0].program
        for w in (np.ones(151), np.eye(151)[0])
    )
    assert one.code["advance"].text == other.code["advance"].text and one.identity != other.identity


def lifted(array):
    return Lifted.of(lambda x: array.astype(float).sum() * x, jax.ShapeDtypeStruct((), float))


@pytest.mark.parametrize(
    "other", [np.array([1, 3]), np.array([1, 2], np.int32), np.array([[1, 2]]), np.array([1.0, 2.0])], ids=str
)
def test_constants_are_told_apart_by_content_dtype_and_shape(other):
    one = lifted(jnp.array([1, 2])).constants
    assert constants_digest(one) == constants_digest(lifted(jnp.array([1, 2])).constants)
    assert constants_digest(one) != constants_digest(lifted(jnp.asarray(other)).constants)


def test_a_number_in_the_program_is_in_its_text():
    shape = jax.ShapeDtypeStruct((), float)
    codes = [code_of(Lifted.of(lambda x, k=k: k * x, shape), [shape]) for k in (0.1, np.nextafter(0.1, 1), 0.1)]
    assert codes[0] is codes[2] and codes[0].text != codes[1].text


def test_an_array_that_is_met_twice_is_handed_over_once():
    one, same = jnp.arange(5.0), jnp.arange(5.0)
    found = Lifted.of(lambda x: one @ (x * same) + same.sum(), jax.ShapeDtypeStruct((), float))
    assert len(found.constants) == 1
    assert float(found.bare(found.constants, 2.0)) == 2.0 * 30 + 10


def test_the_text_has_no_data_in_it():
    """A program on 2 MB of data is a few kilobytes of text."""
    data = jnp.asarray(np.random.default_rng(0).normal(size=(500, 500)))
    shape = jax.ShapeDtypeStruct((500,), float)
    found = Lifted.of(lambda x: data @ x, shape)
    assert len(code_of(found, [shape])._lowered.as_text()) < 5_000


def test_a_cell_that_calls_back_into_python_is_refused():
    """What the callback computes is no part of a program: no identity could notice that it has changed."""

    def seen(snapshot):
        shape = jax.ShapeDtypeStruct((), float)
        return jax.pure_callback(np.asarray, shape, snapshot.loss, vmap_method="sequential")

    with pytest.raises(ib.Mistake, match="calls back into Python.*jax.numpy"):
        study(LABELS, seen=seen).plan(width=2)


@pytest.mark.slow
def test_tiles_of_another_format_are_said_in_one_line_stay_there_and_are_computed_again(tmp_path):
    """The format is in a tile's name, too: none is ever in the place of a new one."""
    laboratory().run(out=tmp_path, width=4, seed=[0])
    store = Store(tmp_path)
    (name,) = store.names()
    new = store.path(name).read_bytes()
    old = store.path("0" * 32)
    old.write_bytes(new.replace(b'\\"format\\":4', b'\\"format\\":3'))
    store.path(name).unlink()
    with pytest.warns(OlderTiles, match="1 tile there is not read .format 3, this version reads 4") as said:
        laboratory().run(out=tmp_path, width=4, seed=[0])
    assert len(said) == 1 and old.exists() and not (tmp_path / "damaged").exists()
    assert store.path(name).read_bytes() == new


def test_constants_that_do_not_fit_are_said_at_plan(monkeypatch):
    assert A.nbytes > 100_000
    monkeypatch.setattr(planning, "free_memory", lambda device: 100_000)
    with pytest.raises(ib.Mistake, match=r"constants: of the cell take .* of memory, .* are free; give it fewer data"):
        study(LABELS).plan(width=2)


def test_an_option_that_another_jaxlib_has_not_got_is_left_out():
    """jaxlib 0.11.2 knows no `xla_cpu_use_fusion_emitters`, and every program failed there."""
    lowered = jax.jit(lambda x: 2 * x).lower(1.0)
    run = fingerprint.compile_with(lowered, {"xla_backend_optimization_level": 1, "xla_cpu_of_another_age": True})
    assert run(3.0) == 6.0 and fingerprint._UNKNOWN == {"xla_cpu_of_another_age"}
    fingerprint._UNKNOWN.clear()
    with pytest.raises(Exception, match="xla_backend_optimization_level"):
        fingerprint.compile_with(lowered, {"xla_backend_optimization_level": "as you like"})
