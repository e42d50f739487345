"""The spectrum of the Hessian along one run, drawn: `implicit-bias spectrum STUDY name=value ...`.

The run is computed again, with Lanczos at some records: the ends of the spectrum with their bounds, and its density from a
few random probes. A study's own results have no weights in them, so there is nothing to read it from.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from . import catalogue
from ._errors import Mistake
from ._files import place
from .catalogue import Entry
from .evidence.figures import WIDTH
from .evidence.figures.base import house_style
from .library import one
from .linalg import Density
from .observables.curvature import sharpness, spectral_density
from .request import parsed, planned
from .session import guarded, start
from .sweep.ask import names
from .sweep.ask.grid import Grid, Grids
from .sweep.ask.records import log_records

LINEAR = 1e-2
"""Below this share of the largest |eigenvalue| the axis is linear, above it is logarithmic."""


def run(entry: Entry, settings: Mapping[str, Any], records: int, steps: int, probes: int) -> tuple[xr.Dataset, dict[str, Any]]:
    """One run of a study, the first of what is asked for, with its spectrum at records; and which run it is."""
    start()

    def act() -> tuple[xr.Dataset, dict[str, Any]]:
        study = catalogue.load(entry)
        grids, fixed = study.resolve(settings)
        axes = {name: values[:1] for name, values in grids[0].axes.items()}
        observe = {
            "density": spectral_density(steps, probes), "largest": sharpness(tolerance=1e-4),
            "least": sharpness(end="smallest", tolerance=1e-4),
        }  # fmt: skip
        one = dataclasses.replace(
            study, grids=Grids([Grid(axes)]), observe=observe, facts={}, predict={}, claims=(), figures=(),
            records=log_records(records),
        )  # fmt: skip
        found = one.run(fixed, width=1)
        return found.squeeze([*axes], drop=True), {n: getattr(v[0], "label", v[0]) for n, v in axes.items()} | fixed

    return guarded(entry, act)


def described(ds: xr.Dataset) -> str:
    """A line for each record: the ends, the larger of their bounds, and the products that they took."""
    lines = [f"  {'clock':>12}  {'loss':>10}  {'least':>12}  {'largest':>12}  {'bound':>8}  products"]
    for k in range(ds.sizes["record"]):
        at = ds.isel(record=k)
        lines.append(
            f"  {float(at.clock):12.6g}  {float(at.loss):10.3g}  {float(at['least.value']):12.5g}  {float(at['largest.value']):12.5g}  "
            f"{max(float(at['least.bound']), float(at['largest.bound'])):8.1g}  {int(at['least.products'] + at['largest.products'])}"
        )
    return "\n".join(lines)


def draw(ds: xr.Dataset, title: str, path: Path) -> None:
    """Density over record and eigenvalue, with the ends; and the density at the first record and the last."""
    nodes, weights = ds["density.nodes"].values, ds["density.weights"].values  # [record, probe, node]
    scale = LINEAR * max(np.nanmax(np.abs(nodes)), 1e-300)
    places = np.arcsinh(nodes / scale)
    span = max(np.ptp(places), 1e-9)
    edges = np.linspace(places.min() - 0.05 * span, places.max() + 0.05 * span, 241)
    middle, width = (edges[1:] + edges[:-1]) / 2, span / 40
    density = np.stack([Density(*probes).smoothed(middle, width)[0] for probes in zip(places, weights)])
    labels = [f"{float(c):g}" for c in ds.clock]
    with house_style() as plt:
        drawing, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2), width_ratios=(3, 2))
        shown = np.log10(np.maximum(density, 1e-4))
        mesh = left.pcolormesh(np.arange(len(density) + 1) - 0.5, scale * np.sinh(edges), shown.T, cmap="viridis", rasterized=True)
        for end in ("largest", "least"):
            left.plot(ds[f"{end}.value"], color="white", lw=1, marker=".", ms=3)
        left.set_yscale("asinh", linear_width=scale)
        left.set(xlabel="steps or time", ylabel="eigenvalue of the Hessian")
        stride = -(-len(labels) // 6)
        left.set_xticks(range(0, len(labels), stride), labels[::stride])
        drawing.colorbar(mesh, ax=left, label="log10 density")
        for record, look, name in ((0, "--", "start"), (-1, "-", "end")):
            right.plot(scale * np.sinh(middle), np.maximum(density[record], 1e-6), look, label=name)
        right.set_xscale("asinh", linear_width=scale)
        right.set_yscale("log")
        right.set(xlabel="eigenvalue", ylabel="density (of its arsinh)", ylim=(1e-4, None))
        right.legend()
        drawing.suptitle(title)
        drawing.savefig(path)
        plt.close(drawing)


def along_a_run(arguments: argparse.Namespace) -> None:
    """The command: a table of the ends, and a picture."""
    settings = parsed(arguments.settings)
    for name, least in (("records", 2), ("products", 1), ("probes", 1)):
        if getattr(arguments, name) < least:
            raise Mistake(name, f"must be at least {least}", f"write --{name} {least}, or more")
    if (place(arguments.study) / "plans").is_dir() or names.target(arguments.study)[1]:
        made, _ = planned(one(arguments.study, place(arguments.out))[1])
        entry, settings = made.entry, {**made.settings, **settings}
    else:
        entry = catalogue.find(arguments.study)
    path = arguments.to or Path(f"{Path(entry.name).name}-spectrum.png")
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise Mistake("to", f"{path} has no ending of a picture", "write --to FILE.png, .svg or .pdf")
    ds, point = run(entry, settings, arguments.records, arguments.products, arguments.probes)
    title = ", ".join([entry.name, *(f"{n}={v:g}" if isinstance(v, float) else f"{n}={v}" for n, v in point.items())])
    print(title)
    print(described(ds))
    draw(ds, title, path)
    print(path)
