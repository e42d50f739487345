"""Results for other tools: csv (each run once, at its last record) or netCDF (everything), with a codebook."""

from __future__ import annotations

import csv
from pathlib import Path


from .._errors import Mistake, one_line
from .._lazy import lazy
from ..sweep.keep.dataset import to_dataframe
from .claims import Data

xr = lazy("xarray")


def codebook(data: Data) -> list[tuple[str, str, str, str]]:
    """(variable, dimensions, units, definition) of every variable."""
    nodes = [node.to_dataset() for node in data.children.values()] if isinstance(data, xr.DataTree) else [data]
    rows = {}
    for ds in nodes:
        for name in [*ds.coords, *ds.data_vars]:
            attrs = ds[name].attrs
            unsaid = "axis" if name in ds.dims else "setting" if name in ds.coords else ""
            meaning = attrs.get("definition", unsaid)
            meaning += f" [{attrs['codes']}]" if "codes" in attrs else ""
            rows.setdefault(name, (str(name), " ".join(map(str, ds[name].dims)), attrs.get("units", ""), meaning))
    return list(rows.values())


def export(data: Data, format: str, to: Path) -> list[Path]:
    """Write the table and its codebook; returns the files."""
    if not to.name:
        raise Mistake("to", f"{to} names no file", "write --to FILE")
    target = to if to.suffix else to.with_suffix(".csv" if format == "csv" else ".nc")
    book = target.with_suffix(".codebook.csv")
    try:
        if format == "csv":
            to_dataframe(data).to_csv(target, index=False)  # repr of a float64: every digit
        else:
            data.to_netcdf(target)
        with open(book, "w", newline="") as file:
            csv.writer(file).writerows([("variable", "dimensions", "units", "definition"), *codebook(data)])
    except OSError as error:
        raise Mistake(
            "to", f"cannot write {target} ({error.strerror or error})", "choose another file with --to"
        ) from None
    except ImportError:
        raise Mistake("format", "netcdf needs the netCDF4 package", "install implicit-bias[export]") from None
    except (ValueError, TypeError) as error:  # a name of a variable that the format has no place for
        raise Mistake("format", f"{format} cannot hold these results ({one_line(error)})", "try the other") from None
    return [target, book]
