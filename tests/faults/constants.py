"""Edits of the data that a study has closed over, into a folder where the same study has run with other data.

A run is everything that determines it: where one number of its data is another, it is computed again, and what is
computed is of the new data. The reference is a few steps of gradient descent in NumPy.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .common import Outcome, Tally, replaced

STEPS, STEP, SCALE = 5, 1e-3, 0.5
ROWS = (1, 2, 5, 40, 150)
VALUES = {
    "int64": (1, 2),
    "int32": (-3, 0, 7, 10, 16),
    "uint8": (0, 1, 255),
    "bool": (False, True),
    "float64": (1.0, 2.0, 4.0, 3.0),
    "float32": (0.0, 0.5, 10.0, 17.0),
}
"""Numbers to choose from: whole ones and small ones have many digits in common as bytes."""


def attack(count: int, seed: int, folder: Path) -> Outcome:
    from . import jaxed

    jaxed.start()
    tally = Tally(seed)
    while tally.tried < count:
        number = tally.tried
        random = tally.random(number)
        place = list(PLACES)[number % len(PLACES)]
        kind = list(VALUES)[number // len(PLACES) % len(VALUES)]
        data = random.choice(np.array(VALUES[kind], kind), int(random.choice(ROWS)))
        said = f"{place}, {len(data)} of {kind}"
        pool = folder / str(number)
        with tally.one(said):
            for given in (data, _edited(data, VALUES[kind], random)):
                found, right = _run(PLACES[place], given, pool), _reference(place, given)
                near = abs(found - right) < 1e-10 * max(abs(right), STEP)  # a sum may cancel to 0, but for rounding
                tally.check(near, f"{said}: {found} instead of {right}")
        tally.tidy(pool)
    return tally.outcome()


def _edited(data: np.ndarray, values: tuple, random: np.random.Generator) -> np.ndarray:
    """One entry is another."""
    new = data.copy()
    place = random.integers(len(data))
    new[place] = random.choice([v for v in values if v != data[place]])
    return new


# -- the study, and what it should give --------------------------------------------------------------------------------

# Gradient descent on |A x - y|^2 / 2 with A = (1 | ones) and y = data + 1/4, from x = SCALE e_last; at its end w . x is
# observed, with w = ones, or w = data + 1/4 and y = ones where the data are an observable's.


def _operator(rows: int) -> np.ndarray:
    return np.column_stack([np.eye(rows), np.ones(rows)])


def _reference(place: str, data: np.ndarray) -> float:
    ones, given = np.ones(len(data)), data.astype(float) + 0.25
    target, weights = (ones, given) if place == "an observable" else (given, ones)
    A = _operator(len(data))
    x = SCALE * np.eye(len(data) + 1)[-1]
    for _ in range(STEPS):
        x = x - STEP * A.T @ (A @ x - target)
    return float(weights @ x[:-1])


def _maker(rows: int, data: Callable[..., object]) -> Callable:
    """make(key, *given): the run whose data are `data(*given)`."""
    import jax.numpy as jnp

    import implicit_bias as ib

    A, last = _operator(rows), np.eye(rows + 1)[-1]

    def make(key, *given):
        problem = ib.linear.fixed(A, jnp.asarray(data(*given)).astype(float) + 0.25)(key)
        return ib.Run(problem, ib.Euclidean(SCALE, direction=jnp.asarray(last)), ib.Descent(STEP, max_steps=STEPS))

    return make


def _cell(rows: int, data: Callable[[], object]) -> Callable:
    make = _maker(rows, data)
    return lambda *, key: make(key)


def _sum(snapshot):
    return snapshot.x[:-1].sum()


def _closed_over(data: np.ndarray, pool: Path):
    return dict(cell=_cell(len(data), lambda: data))


def _nested(data: np.ndarray, pool: Path):
    """In a function in a function, of NumPy, and compiled by itself."""
    import jax
    import jax.numpy as jnp

    def outer():
        inside = {"deep": (data,)}

        @jax.jit
        def inner(zero):
            return inside["deep"][0] + zero.astype(data.dtype)

        return inner(jnp.zeros(()))

    return dict(cell=_cell(len(data), outer))


def _helper(data: np.ndarray, pool: Path):
    """In a module that the study imports."""
    path = pool / "helper.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"import numpy as np\nDATA = np.array({data.tolist()}, {data.dtype.name!r})\n")
    spec = importlib.util.spec_from_file_location("helper", path)
    module = importlib.util.module_from_spec(spec)
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)  # not from bytecode of the same second
    return dict(cell=_cell(len(data), lambda: module.DATA))


def _default(data: np.ndarray, pool: Path):
    """A keyword's default."""
    make = _maker(len(data), lambda given: given)
    return dict(cell=lambda *, key, given=data: make(key, given))


def _looked_up(data: np.ndarray, pool: Path):
    """In a table, under a word that is an axis."""
    table = {"mine": data}
    make = _maker(len(data), lambda which: table[which])
    return dict(cell=lambda *, key, which: make(key, which), axes=dict(which=["mine"]))


def _labelled(data: np.ndarray, pool: Path):
    """The array behind an axis's label."""
    make = _maker(len(data), lambda given: given)
    return dict(cell=lambda *, key, given: make(key, given), axes=dict(given={"mine": data}))


def _numbers(data: np.ndarray, pool: Path):
    """One by one, as numbers of Python in the program itself."""
    import jax.numpy as jnp

    return dict(cell=_cell(len(data), lambda: jnp.stack([jnp.zeros(()) + v for v in data.astype(float).tolist()])))


def _observable(data: np.ndarray, pool: Path):
    import jax.numpy as jnp

    weights = jnp.asarray(data).astype(float) + 0.25
    return dict(cell=_cell(len(data), lambda: np.full(len(data), 0.75)), measure=lambda s: weights @ s.x[:-1])


PLACES = {
    "a closure": _closed_over,
    "a nested closure": _nested,
    "a helper module": _helper,
    "a default": _default,
    "a static label's array": _looked_up,
    "an axis's array": _labelled,
    "numbers in the program": _numbers,
    "an observable": _observable,
}


def _run(place: Callable, data: np.ndarray, pool: Path) -> float:
    """The end of one run, computed in a folder or found there."""
    import implicit_bias as ib

    made = place(data, pool)
    study = ib.Study(
        cell=made["cell"],
        grids=ib.grid(seed=[0], **made.get("axes", {})),
        observe={"measured": made.get("measure", _sum)},
        records=ib.log_records(2),
    )
    return study.run(out=pool, width=2).measured.isel(record=-1).item()


# -- sabotage ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _scrubbed() -> Iterator[None]:
    """Data in the program's text, and what looks like an address taken out of it."""
    import jax

    from implicit_bias.sweep.program.engine import Program

    def identity(program: Program) -> str:
        functions = {"first": program._first, "advance": program._advance_block}
        text = "\n".join(jax.jit(lambda *a, f=f: f(*a)).lower(*program.shapes[n]).as_text() for n, f in functions.items())
        return hashlib.sha256(re.sub(r"0x[0-9a-f]+", "0x", text).encode()).hexdigest()

    with replaced(Program, "identity", property(identity)):
        yield


SABOTAGE = {"addresses are scrubbed from the text": _scrubbed}
