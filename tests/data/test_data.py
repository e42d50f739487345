"""Files of data: written here byte by byte, read back; each kind of damage is one line that names the file."""

import gzip
import hashlib
import pickle
import re
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias import Mistake, data

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, size=(12, 4, 3), dtype=np.uint8)
LABELS = RNG.integers(0, 10, size=12, dtype=np.uint8)


def idx(array, magic):
    return struct.pack(f">{1 + array.ndim}i", magic, *array.shape) + array.tobytes()


def write(folder, images=None, labels=None, packed=False):
    close = gzip.compress if packed else bytes
    end = ".gz" if packed else ""
    (folder / f"train-images-idx3-ubyte{end}").write_bytes(close(images if images is not None else idx(PIXELS, 2051)))
    (folder / f"train-labels-idx1-ubyte{end}").write_bytes(close(labels if labels is not None else idx(LABELS, 2049)))
    return str(folder / f"train-images-idx3-ubyte{end}")


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path, packed):
    with data.noted() as notes:
        found = data.load(write(tmp_path, packed=packed))
    np.testing.assert_array_equal(found.inputs, PIXELS / 255)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.classes == 10 and notes == {found.source: found.digest}


def test_packed_images_beside_plain_labels(tmp_path):
    write(tmp_path, packed=True)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS, 2049))
    assert len(data.load(str(tmp_path / "train-images-idx3-ubyte.gz"))) == 12


@pytest.mark.parametrize("whole", [False, True])
def test_cifar(tmp_path, whole):
    images = RNG.integers(0, 256, size=(4, 32, 32, 3), dtype=np.uint8)
    labels = np.array([[0], [9], [3], [3]], dtype=np.uint8)
    records = np.concatenate([labels, images.transpose(0, 3, 1, 2).reshape(4, -1)], axis=1)
    records[:2].tofile(tmp_path / "data_batch_1.bin")
    records[2:].tofile(tmp_path / "data_batch_2.bin")
    found = data.load(str(tmp_path if whole else tmp_path / "data_batch_2.bin"))
    np.testing.assert_array_equal(found.inputs, (images if whole else images[2:]) / 255)
    np.testing.assert_array_equal(found.labels, labels[:, 0] if whole else [3, 3])


DAMAGE = {
    "a wrong magic number": (dict(images=idx(PIXELS, 2049)), "has the magic number 2049, and images have 2051"),
    "labels that are images": (dict(labels=idx(PIXELS, 2051)), "has the magic number 2051, and labels have 2049"),
    "a truncated file": (dict(images=idx(PIXELS, 2051)[:-5]), "has 139 bytes of images, and its header says 144"),
    "a truncated header": (dict(images=idx(PIXELS, 2051)[:9]), "ends within its header"),
    "more than was said": (dict(labels=idx(LABELS, 2049) + b"x"), "has 13 bytes of labels"),
    "another count": (dict(labels=idx(LABELS[:5], 2049)), "has 5 labels for 12 images"),
    "labels out of range": (dict(labels=idx(LABELS + 9, 2049)), "has a label"),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_one_line_with_the_file(tmp_path, name, packed):
    contents, words = DAMAGE[name]
    with pytest.raises(Mistake) as refused:
        data.load(write(tmp_path, **contents, packed=packed))
    said = str(refused.value)
    assert words in said and str(tmp_path) in said and "\n" not in said


def test_other_refusals(tmp_path):
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": PIXELS}))
    (tmp_path / "data_batch_1.bin").write_bytes(b"\x01" * 3000)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "odd-ubyte").write_bytes(idx(PIXELS, 2051))
    (tmp_path / "empty").mkdir()
    torn = tmp_path / "t10k-images-idx3-ubyte.gz"
    torn.write_bytes(gzip.compress(idx(PIXELS, 2051))[:40])
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS, 2049))
    for name, words in {
        "batch": "is a pickle", "data_batch_1.bin": "3000 bytes", "text": "neither an idx file nor", "nowhere": "no file",
        "odd-ubyte": "labels of .* are not known", "empty": "no data_batch_", torn.name: "damaged gzip",
    }.items():  # fmt: skip
        with pytest.raises(Mistake, match=words):
            data.load(str(tmp_path / name))
    with pytest.raises(Mistake, match="did you mean 'digits'"):
        data.load("digit")


def test_a_file_that_changes_is_read_again(tmp_path):
    first = data.load(write(tmp_path))
    again = data.load(write(tmp_path, images=idx(255 - PIXELS, 2051)))
    assert first.digest != again.digest


@pytest.mark.slow
def test_digits_and_their_samples():
    digits = data.load("digits")
    assert digits.inputs.shape == (1797, 8, 8) and digits.inputs.max() == 1
    few = digits.only(3, 8)
    assert set(few.labels) == {0, 1} and len(few) == (digits.labels == 3).sum() + (digits.labels == 8).sum()
    np.testing.assert_array_equal(few.inputs[few.labels == 1], digits.inputs[digits.labels == 8])
    x, y = few.sample(50, ib.SeedKey(jnp.asarray(0)))
    of = {image.tobytes(): label for image, label in zip(few.inputs, few.labels)}
    assert x.shape == (50, 8, 8) and [of[np.asarray(a).tobytes()] for a in x] == y.tolist()
    assert len({np.asarray(a).tobytes() for a in x}) == 50
    x, y = digits.per_class(5, ib.SeedKey(jnp.asarray(0)))
    assert y.tolist() == [c for c in range(10) for _ in range(5)]
    for call, words in (
        (lambda: few.sample(400, 0), "from 1 to 357"), (lambda: few.per_class(0, 0), "from 1 to 1"),
        (lambda: few.only(7), "no class 7"), (lambda: few.only(1, 1), "each once"),
    ):  # fmt: skip
        with pytest.raises(Mistake, match=words):
            call()


STUDY = """
import jax.numpy as jnp
import implicit_bias as ib

def cell(*, key, images="digits", max_steps=3):
    x, y = ib.data.load(images).sample(6, key)
    return ib.Run(ib.supervised(x, y.astype(float)), ib.mlp(), ib.Descent(0.01, max_steps=max_steps))

study = ib.Study(cell=cell, grids=ib.grid(seed=[0]), records=ib.log_records(3))
"""


@pytest.mark.slow
def test_a_file_that_changes_is_another_run(tmp_path, monkeypatch, capsys):
    """The data are in the identity, and a request that was met is not taken for met when its file has changed."""
    from implicit_bias.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(STUDY)
    images = write(tmp_path)

    def loss():
        assert main(["run", "mine.py", f"images={images}"]) == 0
        told = capsys.readouterr()
        return float(ib.open("results/mine").loss.isel(record=-1).squeeze()), "nothing to compute" in told.err

    first, again = loss(), loss()
    (page,) = (tmp_path / "results/mine/at").glob("*/report.html")
    assert data.load(images).digest in page.read_text()
    assert first[0] == again[0] and not first[1] and again[1]
    write(tmp_path, images=idx(255 - PIXELS, 2051))
    other = loss()
    assert other[0] != first[0] and not other[1]
    write(tmp_path, images=idx(PIXELS, 2051)[:-1])
    assert main(["run", "mine.py", f"images={images}"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: data: ")


# -- as large as a file may be ------------------------------------------------------------------------------------------

IMAGES = np.random.default_rng(1).integers(0, 256, size=(2000, 28, 28), dtype=np.uint8)


def large(folder):
    return write(folder, idx(IMAGES, 2051), idx((np.arange(2000) % 10).astype(np.uint8), 2049))


def test_images_stay_bytes_until_they_are_drawn(tmp_path):
    """And what is drawn is NumPy's division to the last bit, in and outside of a program."""
    found = data.load(large(tmp_path))
    held = [getattr(found, field) for field in ("points", "labels", "levels")]
    assert found.points.dtype == np.uint8 and sum(a.nbytes for a in held) < IMAGES.nbytes + 20_000
    of = {image.tobytes(): number % 10 for number, image in enumerate(IMAGES / 255)}
    for draw in (found.sample, jax.jit(found.sample, static_argnums=0)):
        x, y = draw(300, jax.random.key(0))
        assert x.dtype == float and x.shape == (300, 28, 28)
        assert [of[image.tobytes()] for image in np.asarray(x)] == y.tolist()
    np.testing.assert_array_equal(found[1990:].inputs, IMAGES[1990:] / 255)
    np.testing.assert_array_equal(found[found.labels == 3].inputs, IMAGES[3::10] / 255)
    assert found[5:8].labels.tolist() == [5, 6, 7] and found.only(7, 2)[:2].labels.tolist() == [1, 0]


def test_the_digest_is_that_of_the_numbers(tmp_path):
    """As it was when the numbers themselves were kept: results of before are those of the same data."""
    found = data.load(large(tmp_path))
    inputs, labels = IMAGES / 255, np.arange(2000) % 10
    expected = hashlib.sha256("float64 (2000, 28, 28) ".encode() + inputs.tobytes())
    expected.update("int64 (2000,) ".encode() + labels.tobytes())
    assert found.digest == expected.hexdigest()[:16]


SIZES = """
import implicit_bias as ib

def cell(*, key, images="digits", examples=50, max_steps=3):
    x, y = ib.data.load(images).sample(examples, key)
    return ib.Run(ib.supervised(x, y, "cross_entropy", classes=10), ib.mlp((8,)), ib.Descent(0.01, max_steps=max_steps))

study = ib.Study(
    cell=cell, grids=ib.grid(seed=[0, 1]), records=ib.log_records(3),
    sizes={"paper": {"images": r"%s", "examples": 1500}},
)
"""


@pytest.mark.slow
def test_a_file_of_many_images_at_the_size_of_a_paper(tmp_path, monkeypatch, capsys):
    """Planned with the memory of its bytes and of the examples drawn, not of every number in the file; and it runs."""
    from implicit_bias.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SIZES % large(tmp_path))
    assert main(["plan", "mine.py", "--size", "paper"]) == 0
    said = capsys.readouterr().out
    megabytes = float(re.search(r"about ([\d.]+) MB a block", said)[1])
    bytes_of_file, drawn = IMAGES.nbytes / 1e6, 8 * 1500 * 28 * 28 / 1e6
    assert bytes_of_file + drawn < megabytes < 8 * bytes_of_file + 4 * drawn + 20
    assert main(["run", "mine.py", "--size", "paper"]) == 0
    losses = ib.open("results/mine").loss
    assert losses.shape == (2, 3) and (losses.isel(record=-1) < losses.isel(record=0)).all()
