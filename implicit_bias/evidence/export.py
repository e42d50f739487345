"""Results for other tools: a table (csv, parquet) with a row for each run, or netCDF with everything; and a codebook.

Beside the numbers of a run stand what each claim says of it, in columns that begin with the claim's id:

    ID.residual, ID.tolerance    ID.slack.1, .2, ... one for each hypothesis, in the codebook by name: inside if all are >= 0
    ID.verdict                   of the claim, from all runs: the same in each row

With every record (`records="all"`) a run has a row for each record until it ended; `clock` is then the record's own, at most
the step or time at which the run stopped. Arrays have no place in a table, and are named as left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._errors import Mistake, one_line
from .._files import whole
from .._lazy import lazy
from .._results import Status
from ..sweep.keep.dataset import to_dataframe, until_stopped
from .claims import Claim, Data, weigh
from .tex import plain

xr = lazy("xarray")

SUFFIXES = {"csv": ".csv", "parquet": ".parquet", "netcdf": ".nc"}
STUDY = "study"
"""First line of a codebook below its head: whose results the file holds."""


class Row(NamedTuple):
    """A line of the codebook."""

    variable: str
    dimensions: str
    units: str
    definition: str


def _nodes(data: Data) -> dict[str, xr.Dataset]:
    if isinstance(data, xr.DataTree):
        return {name: node.to_dataset() for name, node in data.children.items()}
    return {"": data}


def codebook(data: Data) -> list[Row]:
    """Of every variable, in the order of the data."""
    rows = {}
    for ds in _nodes(data).values():
        for name in [*ds.coords, *ds.data_vars]:
            attrs = ds[name].attrs
            unsaid = "axis" if name in ds.dims else "setting" if name in ds.coords else ""
            meaning = attrs.get("definition", unsaid)
            meaning += f" [{attrs['codes']}]" if "codes" in attrs else ""
            rows.setdefault(name, Row(str(name), " ".join(map(str, ds[name].dims)), attrs.get("units", ""), meaning))
    return list(rows.values())


# -- what claims say of runs ---------------------------------------------------------------------------------------------


def _said(claim: Claim, verdict: str, ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """The columns of a claim, with their definitions."""
    found = weigh(claim, ds)
    statement = " ".join(plain(claim.statement).split())
    columns = {
        "residual": (found.residual, f"of: {statement} ({claim.reason})"),
        "tolerance": (found.tolerance, f"of {claim.id}: a run passes where its residual is at most this"),
    }
    for number, (name, slack) in enumerate(found.slacks.items(), 1):
        columns[f"slack.{number}"] = slack, f"of {claim.id}: {plain(name)}; met from 0 on"
    columns["verdict"] = xr.full_like(found.residual, verdict, dtype=object), f"on {claim.id}, from all runs"
    head = claim.id.replace("/", ":")  # a slash is a way into a tree
    return {f"{head}.{name}": value.assign_attrs(definition=meaning) for name, (value, meaning) in columns.items()}


def with_claims(data: Data, claims: Sequence[tuple[Claim, str]]) -> Data:
    """The results with the columns of claims, each with its verdict, in the grid that it is about."""
    nodes = _nodes(data)
    for claim, verdict in claims:
        ds = claim.of(data)
        if ds is not None:
            grid = claim.on if claim.on in nodes else next(iter(nodes))
            nodes[grid] = nodes[grid].assign(_said(claim, verdict, ds))
    return xr.DataTree.from_dict(nodes) if isinstance(data, xr.DataTree) else nodes[""]


# -- tables --------------------------------------------------------------------------------------------------------------


def frame(data: Data, records: str = "last"):
    """A tidy table: each run once, at its end, or with all its records until then."""
    import pandas as pd

    nodes = _nodes(data)
    parts = [_frame(ds, records).assign(**({"grid": grid} if grid else {})) for grid, ds in nodes.items()]
    return pd.concat(parts, ignore_index=True)


def _columns(ds: xr.Dataset, records: str) -> Iterator[str]:
    within = {*ds["status"].dims, *(["record"] if records == "all" else [])}
    return (str(v) for v in ds.data_vars if {*ds[v].dims} <= within)


def _frame(ds: xr.Dataset, records: str):
    if records == "last":
        return _with_settings(to_dataframe(ds), ds)
    if "clock" in ds:
        ds = until_stopped(ds)
        ds = ds.assign(goes_on=~(ds["clock"] <= ds["clock"].shift(record=1, fill_value=-np.inf)))
    table = ds[[*_columns(ds, records)]].to_dataframe().reset_index()
    if "goes_on" in table:
        table = table[table.pop("goes_on").astype(bool)]
    table["status"] = [Status(int(s)).label for s in table["status"]]
    return _with_settings(table.reset_index(drop=True), ds)


def _with_settings(table, ds: xr.Dataset):
    """What is the same for all runs, too: tables of two results are put together by it."""
    fixed = {str(c): ds[c].item() for c in ds.coords if not ds[c].dims and c not in table}
    return table.assign(**fixed)


def left_out(data: Data, records: str) -> list[str]:
    """Variables that a table has no place for."""
    gone = {str(v) for ds in _nodes(data).values() for v in ds.data_vars} - {"clock"}
    for ds in _nodes(data).values():
        flat = ds if records == "all" else ds.isel(record=-1) if "record" in ds.dims else ds
        gone -= {*_columns(flat, records)}
    return sorted(gone)


# -- files ---------------------------------------------------------------------------------------------------------------


def _owner(book: Path) -> str | None:
    """Whose results the file of a codebook holds."""
    try:
        with open(book, newline="") as file:
            lines = csv.reader(file)
            next(lines, None)
            first = next(lines, [])
    except (OSError, ValueError, csv.Error):
        return None
    return first[-1] if first and first[0] == STUDY else None


def export(
    data: Data, format: str, to: Path, study: str, claims: Sequence[tuple[Claim, str]] = (), records: str = "last"
) -> list[Path]:
    """Write the table and its codebook; returns the files. One that holds something else is not written over."""
    if not to.name:
        raise Mistake("to", f"{to} names no file", "write --to FILE")
    target = to if to.suffix else to.with_name(to.name + SUFFIXES[format])
    if target.suffix != SUFFIXES[format]:
        other = next((name for name, suffix in SUFFIXES.items() if suffix == target.suffix), None)
        how = f"write --format {other}" if other else f"call it {target.with_suffix(SUFFIXES[format]).name}"
        raise Mistake("to", f"{target.name} does not end as {format} does", how)
    book = target.with_suffix(".codebook.csv")
    if target.exists() and _owner(book) != study:
        whose = f"holds {_owner(book)}" if _owner(book) else "was not written by an export"
        raise Mistake("to", f"{target} is there and {whose}", "choose another file with --to, or remove it")
    try:
        full = with_claims(data, claims)
        with whole(target) as here:
            if format == "netcdf":
                full.to_netcdf(here)
            elif format == "parquet":
                frame(full, records).to_parquet(here, index=False)
            else:
                frame(full, records).to_csv(here, index=False)  # repr of a float64: every digit
        with open(book, "w", newline="") as file:
            csv.writer(file).writerows([Row._fields, Row(STUDY, "", "", study), *codebook(full)])
    except OSError as error:
        raise Mistake(
            "to", f"cannot write {target} ({error.strerror or error})", "choose another file with --to"
        ) from None
    except ImportError:
        package = {"netcdf": "netCDF4", "parquet": "pyarrow"}.get(format, "pandas")
        raise Mistake("format", f"{format} needs the {package} package", "install implicit-bias[export]") from None
    except (ValueError, TypeError) as error:  # a name of a variable that the format has no place for
        raise Mistake("format", f"{format} cannot hold these results ({one_line(error)})", "try another") from None
    return [target, book]
