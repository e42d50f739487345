"""Makers of hostile files: each takes random numbers and a folder of good results, spoils it, and says how."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pickle
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from implicit_bias.sweep.keep.store import Store, encode

from . import readable

Rng = np.random.Generator
Maker = Callable[[Rng, Path], str]

PLACES = {
    "tile": lambda folder, rng: Store(folder).path(str(rng.choice(Store(folder).names()))),
    "new tile": lambda folder, rng: Store(folder).path(rng.bytes(16).hex()),
    "plan": lambda folder, rng: folder / "plans" / "0123456789abcdef.json",
    "new plan": lambda folder, rng: folder / "plans" / f"{rng.bytes(8).hex()}.json",
    "log": lambda folder, rng: folder / "log.jsonl",
    "failed": lambda folder, rng: folder / "failed" / f"{'a' * 32}.json",
    "worker": lambda folder, rng: folder / "workers" / "here-1.json",
    "job": lambda folder, rng: folder / "jobs" / "7.json",
}
FOLDERS = ("tiles", "plans", "failed", "workers", "jobs", "damaged")

WORDS = [
    "", " ", "..", "../../x", "/etc/passwd", "a/b", "nul\0nul", "line\nline", "\x1b[31mred\x1b[0m", "\u202eevil",
    "\ud800",
    "x" * 100_000, "nan", "1e999", "-1", "0x1p+2", "0x1p+99999", "inf", "NaN", "__class__", "status", "seed",
    "'; rm -rf /",
    "$(reboot)", "<b>", "%s%n", "{0}", "%(a)s", "é∥", "a" * 32, "f" * 32 + "\n", "A" * 32,
]  # fmt: skip


def number(rng: Rng) -> Any:
    return [0, -1, 1, 2, 2**31, -(2**63), 2**64, 10**30, 10**400, 1e308, float("nan"), float("inf"), 0.5, True, None][
        rng.integers(15)
    ]


def junk(rng: Rng, depth: int = 0) -> Any:
    """A value of JSON that nobody expects."""
    kind = rng.integers(6 if depth < 3 else 3)
    if kind == 0:
        return number(rng)
    if kind in (1, 2):
        return WORDS[rng.integers(len(WORDS))]
    if kind == 3:
        return [junk(rng, depth + 1) for _ in range(rng.integers(4))]
    if kind == 4:
        return {WORDS[rng.integers(len(WORDS))]: junk(rng, depth + 1) for _ in range(rng.integers(4))}
    return [number(rng)] * int(rng.integers(1, 2000))


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


class _Executes:
    """A pickle of this makes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


# -- contents of any file ----------------------------------------------------------------------------------------------


def contents(marker: Path) -> dict[str, Callable[[Rng], bytes]]:
    pickled = pickle.dumps(_Executes(marker))
    npz = save({"a": np.zeros(3)})
    return {
        "a pickle": lambda rng: pickled,
        "a pickle in a header": lambda rng: len(pickled).to_bytes(8, "little") + pickled,
        "Python": lambda rng: f"import os; os.mkdir({str(marker)!r})".encode(),
        "nothing": lambda rng: b"",
        "a null": lambda rng: b"null",
        "a number": lambda rng: str(number(rng)).encode(),
        "digits": lambda rng: b"9" * 100_000,
        "a word": lambda rng: dumped(WORDS[rng.integers(len(WORDS))]),
        "random bytes": lambda rng: rng.bytes(int(rng.integers(1, 5000))),
        "zeros": lambda rng: bytes(int(rng.integers(1, 5000))),
        "deep lists": lambda rng: b"[" * int(10 ** rng.uniform(2, 6)),
        "deep tables": lambda rng: b'{"a":' * int(10 ** rng.uniform(2, 6)),
        "many lists": lambda rng: b"[" + b"[]," * 2_500_000 + b"0]",
        "many words": lambda rng: b"[" + b'"ab",' * 1_500_000 + b"0]",
        "many names": lambda rng: b"{" + b",".join(b'"%x":0' % i for i in range(600_000)) + b"}",
        "not unicode": lambda rng: '{"study": "é"}'.encode("latin-1"),
        "UTF-16": lambda rng: '{"study": "x"}'.encode("utf-16"),
        "a table of junk": lambda rng: dumped({w: junk(rng) for w in WORDS[:9]}),
        "an honest file of arrays": lambda rng: npz,
        "a header that promises too much": header_too_long,
        "a header of wrong types": wrong_header,
    }


def header_too_long(rng: Rng) -> bytes:
    length = [2**63, 2**64 - 1, 2**40, 10**8, 10**6, 0, 1, 3][rng.integers(8)]
    return int(length).to_bytes(8, "little") + b'{"a":0}'


def wrong_header(rng: Rng) -> bytes:
    """Names, forms and places of arrays that are none."""
    form = {
        "dtype": ["F64", "BF16", "F8_E4M3", "I1", "", None, 7][rng.integers(7)],
        "shape": [[2**40], [2**62, 2**62], [-1], [0], [], [1.5], "x", [[1]], [10**30]][rng.integers(9)],
        "data_offsets": [[0, 2**40], [0, 0], [8, 0], [-8, 8], [0], "x", [0, 8], [2**63, 2**63 + 8]][rng.integers(8)],
    }
    said = [json.dumps({"sha256": "0"}), "[" * 50_000, "null", "7", "{}", "", "\0"][rng.integers(7)]
    meta = [{"implicit_bias": said}, {"implicit_bias": 7}, [], None, "x", {}][rng.integers(6)]
    name = ["a", "", "../../x", "nul\0", "x" * 10**5, "coordinates", "status"][rng.integers(7)]
    header = dumped({"__metadata__": meta, name: form})
    return len(header).to_bytes(8, "little") + header + bytes(8)


# -- what is no file ---------------------------------------------------------------------------------------------------


def _gone(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def _sparse(path: Path, beginning: bytes = b"") -> None:
    path.write_bytes(beginning)
    os.truncate(path, 20 * 10**9)


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # its name may be no longer than 108 characters
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # as /dev/zero
    except OSError:
        os.symlink("/dev/zero", path)


def _pipe_behind_a_link(path: Path) -> None:
    other = path.with_name("pipe")
    os.mkfifo(other)
    os.symlink(other, path)


ODD: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to a pipe": _pipe_behind_a_link,
    "a socket": _socket,
    "a device": _device,
    "a link to /dev/zero": lambda p: os.symlink("/dev/zero", p),
    "a link to /dev/random": lambda p: os.symlink("/dev/random", p),
    "a link to /dev/full": lambda p: os.symlink("/dev/full", p),
    "a link to /dev/stdin": lambda p: os.symlink("/dev/stdin", p),
    "a link to the memory of this process": lambda p: os.symlink("/proc/self/mem", p),
    "a link to itself": lambda p: os.symlink(p.name, p),
    "a link to nothing": lambda p: os.symlink("nothing", p),
    "a link to /etc/passwd": lambda p: os.symlink("/etc/passwd", p),
    "a link to a folder": lambda p: os.symlink("/usr", p),
    "a folder": os.mkdir,
    "a folder with something in it": lambda p: (os.mkdir(p), (p / "x").write_text("")),
    "20 GB of nothing": _sparse,
    "20 GB after a header": lambda p: _sparse(p, (2**20).to_bytes(8, "little") + b'{"a":0}'),
    "20 GB of a plan": lambda p: _sparse(p, b'{"study": "x", "tiles": ['),
}


# -- forged plans and tiles --------------------------------------------------------------------------------------------


def _places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Ways to all values inside a value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield from _places(below, (*path, key))


def forged_plan(rng: Rng, folder: Path) -> str:
    """The good plan with some of its values replaced or removed."""
    plan, said = readable.document(), []
    for _ in range(int(rng.integers(1, 4))):
        ways = [w for w in _places(plan) if w]
        *above, key = ways[rng.integers(len(ways))]
        inner = plan
        for k in above:
            inner = inner[k]
        if rng.random() < 0.2:
            del inner[key]
            said.append(f"{above}.{key} removed")
        else:
            inner[key] = junk(rng)
            said.append(f"{'.'.join(map(str, (*above, key)))} = {str(inner[key])[:60]!r}")
    (folder / "plans" / "0123456789abcdef.json").write_bytes(dumped(plan))
    return f"a plan with {', '.join(said)}"


def huge_plan(rng: Rng, folder: Path) -> str:
    """A plan of more runs than fit anywhere, or that name the same tile again and again."""
    plan, kind = readable.document(), int(rng.integers(4))
    axes = plan["grids"][0]["axes"]
    if kind < 3:
        n = [200, 2_000, 100_000][kind]
        for name in ("seed", "scale"):
            axes[name]["values"] = [float(i).hex() for i in range(n)]
            axes[name]["labels"] = [str(i) for i in range(n)]
    else:
        plan["tiles"] = [of * 30_000 for of in plan["tiles"]]
    (folder / "plans" / "0123456789abcdef.json").write_bytes(dumped(plan))
    return f"a huge plan of kind {kind}"


def odd_names(rng: Rng, folder: Path) -> str:
    """Files of odd names beside the good ones."""
    named = [os.fsdecode(n) for n in (b"\xff\xfe", b"a\nb", b"\x1b[31m", b"-rf", b"x" * 200, b"..a", "é∥".encode())]
    for name in named:
        shutil.copy(folder / "plans" / "0123456789abcdef.json", folder / "plans" / f"{name}.json")
        shutil.copy(Store(folder).path(Store(folder).names()[0]), folder / "tiles" / f"{name}.safetensors")
        shutil.copy(folder / "failed" / f"{'a' * 32}.json", folder / "failed" / f"{name}.json")
    newest = folder / "plans" / f"{named[rng.integers(len(named))]}.json"
    os.utime(newest, (time.time() + 60,) * 2)
    return f"odd names, {newest.name!r} the newest plan"


def forged_tile(rng: Rng, folder: Path) -> str:
    """A tile that the plan names, its checksum and its name right, which says what no run does."""
    n = 3
    odd: dict[str, np.ndarray] = [
        {"status": np.full(n, 77, np.int32)},
        {"status": np.full(n, -1, np.int32)},
        {"status": np.ones((n, 2), np.int32)},
        {"status": np.full(n, np.nan)},
        {"status": np.ones(n)},
        {"status": np.ones(n, bool)},
        {"steps": np.ones((n, 3), np.int32)},
        {"steps": np.full(n, -5, np.int64)},
        {"clock": np.zeros(n)},
        {"clock": np.full((n, 3), np.nan)},
        {"x": np.zeros((n, 0))},
        {"x": np.zeros((n, 1, 2, 1, 2, 1, 2))},
        {"x": np.zeros((n, 3, 2), np.float16)},
        {"x": np.zeros((n, 3, 2), np.uint8)},
        {"loss": np.zeros(n, bool)},
        {"": np.zeros(n)},
        {"../../x": np.zeros(n)},
        {"nul\0": np.zeros(n)},
        {"line\nline": np.zeros(n)},
        {"\x1b[31m": np.zeros(n)},
        {"fact.": np.zeros(n)},
        {"fact.status": np.zeros(n)},
        {"seed": np.zeros(n)},
        {"scale": np.zeros((n, 4))},
        {"record": np.zeros((n, 3))},
        {"x" * 10_000: np.zeros(n)},
        {f"y{i}": np.zeros(n) for i in range(500)},
        {"big": np.zeros((n, 200_000))},
    ][rng.integers(28)]
    store = Store(folder)
    new = readable.tile("wn", readable.SCALES, odd)
    store.path(new.id).write_bytes(encode(new))
    return f"a forged tile with {str({k[:20]: (v.dtype.name, v.shape) for k, v in odd.items()})[:80]}"


def forged_coordinates(rng: Rng, folder: Path) -> str:
    """A tile whose runs lie nowhere."""
    place = [
        np.zeros((0, 2)), np.full((3, 2), np.nan), np.array([[0, 0.5]] * 3), np.zeros((3, 2), np.int64),
        np.zeros((3, 3)),
        np.zeros((3, 2), np.float32), np.zeros(3), np.zeros((3, 0)), np.full((3, 2), 1e308),
    ][rng.integers(9)]  # fmt: skip
    good = readable.tile("wn", readable.SCALES)
    n = len(place) if rng.random() < 0.5 else 3
    arrays = {name: np.resize(a, (n, *a.shape[1:])) for name, a in good.arrays.items()}
    from dataclasses import replace

    new = replace(good, coordinates=place, arrays=arrays)
    plan = readable.document()
    plan["tiles"][1] = [new.id]
    Store(folder).path(new.id).write_bytes(encode(new))
    (folder / "plans" / "0123456789abcdef.json").write_bytes(dumped(plan))
    return f"a tile whose runs lie at {place.dtype.name} {place.shape} {str(place.ravel()[:2])}"


def forged_table(rng: Rng, folder: Path) -> str:
    """A failure, a worker or a job of wrong types."""
    where = ["failed", "workers", "jobs"][rng.integers(3)]
    keys = "id cluster plan tasks submitted again" if where == "jobs" else "tile why runs at host pid worker"
    table = {key: junk(rng) for key in keys.split() if rng.random() < (0.98 if where == "jobs" else 0.8)}
    if where == "jobs" and rng.random() < 0.7:
        table["id"] = "7"
    if rng.random() < 0.5:
        table["at"] = number(rng)
    for path in (folder / where).iterdir():
        path.write_bytes(dumped(table))
    return f"{where} {str(table)[:80]}"


def forged_log(rng: Rng, folder: Path) -> str:
    """Lines of a log that are none, of wrong types, torn, or endless; the last one is without an end."""
    lines = (folder / "log.jsonl").read_bytes().splitlines()
    for _ in range(20):
        event = {key: junk(rng) for key in ("event", "steps", "seconds", "tile")} | {"event": "tile"}
        odd = [dumped(event), lines[0][: rng.integers(1 + len(lines[0]))], b"\xff\n\x00", b"[" * 5000, b"7"][
            rng.integers(5)
        ]
        lines.insert(int(rng.integers(len(lines) + 1)), odd)
    if rng.random() < 0.2:
        lines.append(b"x" * 50_000_000)
    (folder / "log.jsonl").write_bytes(b"\n".join(lines))
    return "a log of odd lines"


def many_files(rng: Rng, folder: Path) -> str:
    for k in range(1000):
        (folder / "failed" / f"{k:032x}.json").write_text('{"tile": "x", "why": "y", "runs": 1}')
        (folder / "workers" / f"w-{k}.json").write_text('{"at": 0, "host": "h"}')
    return "a thousand failures and workers"


# -- all of it ---------------------------------------------------------------------------------------------------------


def all_of(marker: Path) -> list[Maker]:
    """Every content and every odd thing in every place, and as many forgeries."""

    def filled(place: str, name: str, content: Callable[[Rng], bytes]) -> Maker:
        def make(rng: Rng, folder: Path) -> str:
            path = PLACES[place](folder, rng)
            _gone(path)
            path.write_bytes(content(rng))
            os.utime(path, (time.time() + 60,) * 2)
            return f"{name} as {place}"

        return make

    def odd(place: Callable[[Path, Rng], Path], where: str, name: str) -> Maker:
        def make(rng: Rng, folder: Path) -> str:
            path = place(folder, rng)
            _gone(path)
            ODD[name](path)
            with contextlib.suppress(OSError):
                os.utime(path, (time.time() + 60,) * 2, follow_symlinks=False)
            return f"{name} as {where}"

        return make

    in_files = [filled(p, n, c) for p, (n, c) in itertools.product(PLACES, contents(marker).items())]
    no_files = [odd(p, where, n) for (where, p), n in itertools.product(PLACES.items(), ODD)]
    above = [odd(lambda f, r, w=w: f / w, f"the folder {w}", n) for w, n in itertools.product(FOLDERS, ODD)]
    forged = [forged_plan] * 90 + [forged_tile] * 40 + [forged_coordinates] * 15 + [forged_table] * 60
    forged += [forged_log] * 10 + [huge_plan] * 6 + [odd_names] * 6 + [many_files]
    everything = [*in_files, *no_files, *above, *forged]
    order = np.random.default_rng(0).permutation(len(everything))
    return [everything[i] for i in order]


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
