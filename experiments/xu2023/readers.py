"""What `collapse` and `classes` read from their runs, say of it and draw; and hypotheses of claims."""

import numpy as np
import xarray as xr

import implicit_bias as ib


def noise(moved, clock):
    """Root mean square of the steps over the last sixth, and the logarithm of it over that about the middle."""
    share = clock / clock[-1]
    middle, late = (np.sqrt(np.mean(moved[where] ** 2)) for where in (abs(share - 0.5) < 0.1, share > 5 / 6))
    return {"late": late, "kept": np.log(late / middle)}


def of(name, at=1.0):
    """A number of the collapse at the end of a run, or at a share of its records."""
    return lambda ds: ds[f"collapse.{name}"].isel(record=round(at * (ds.sizes["record"] - 1)))


def vanishes(claim, name, label, said, level, **more):
    """A claim, as read, that a number of the collapse has vanished by the end."""
    return claim(
        id=f"{label}-vanishes", statement=f"{said}: at most {level:g} at the end", expected="refuted", residual=of(name),
        tolerance=lambda ds: level, because="what is left of it in the paper's figures, or more", **more,
    )  # fmt: skip


def panels(**series):
    """NC1, NC2 and NC3 against the step."""

    def panel(name, y, **options):
        return ib.panel(ib.curves_of(f"collapse.{name}", x="clock", **series), x="step", y=y, **options)

    return [
        panel("within", r"NC1: tr$(S_W S_B^+)/C$", log="y"),
        panel("angles", "NC2: deviation of cosines", ylim=(0, None), legend=None),
        panel("duality_centred", "NC3: means against weights", ylim=(0, None), legend=None),
    ]


def _slack(condition):
    return xr.where(condition, 1.0, -1.0)


def with_decay(ds):
    return {
        "decay": ds.decay - 1e-12,
        r"$2 \eta \lambda T$ is 2 or more": ds.times_decayed - 1.99,
        "steps of 0.1 or less, for batches of 4 to be stable": 0.1 - ds.step,
    }


def on_all(ds):
    return {"all examples at each step": _slack(ds.batch == "0")}


def in_batches(ds):
    smaller = ds.classes * ds.of_each - ds.batch.astype(float) - 1
    return {"batches smaller than the data": xr.where(ds.batch == "0", -1.0, smaller)}
