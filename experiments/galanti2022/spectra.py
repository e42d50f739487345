"""What is read from the singular values of the three matrices along a run, and what the paper says of them."""

import numpy as np

import implicit_bias as ib

from .._classifiers import times_decayed

MATRICES = {"first": "layer1", "second": "layer2", "head": "layer3"}
OBSERVED = {name: ib.block_spectrum(block) for name, block in MATRICES.items()}
EPS = 1e-3
"""The tolerance of the authors' code."""


def records(dynamics):
    """Evenly, and each of the 32 steps after the start and before the end."""
    window = np.arange(33)
    evenly = np.linspace(0, dynamics.end, 21).round().astype(int)
    moments = np.unique(np.concatenate([window, evenly, dynamics.end - window]))
    return ib.records_at(moments[moments >= 0].tolist())(dynamics)


def stable_rank(first, second):
    """|W|_F^2 / |W|^2"""
    return {"first": (first**2).sum(-1) / first[..., 0] ** 2, "second": (second**2).sum(-1) / second[..., 0] ** 2}


def rank(first, second):
    """Singular values of W / |W|_F above the tolerance."""
    share = {name: s / np.sqrt((s**2).sum(-1, keepdims=True)) for name, s in {"first": first, "second": second}.items()}
    return {name: (s > EPS).sum(-1).astype(float) for name, s in share.items()}


def inequality(first, second, head, clock, batch, step, decay):
    """Its two sides where it is tightest over matrices, j, k and pairs of records, with the rounding of |W|."""
    batch, kept, most = int(batch), abs(1 - 2 * step * decay), -1.0
    found = {"left": np.nan, "right": np.nan, "rounding": np.nan}
    for s in (first, second, head):
        for k in range(1, (s.shape[-1] - 1) // batch + 1):
            in_step = clock[k:] - clock[:-k] == k
            left, old = s[k:][in_step][:, k * batch :], s[:-k][in_step]
            right, rounding = kept**k * old[:, : left.shape[1]], 1e-13 * old[:, :1] + 0 * left
            ratio = left / (right + rounding)
            if ratio.max(initial=-1.0) > most:
                most, place = ratio.max(), ratio.argmax()
                found = {"left": left.flat[place], "right": right.flat[place], "rounding": rounding.flat[place]}
    return found


def theorem(batch, step, decay):
    """B log(2/eps) / (2 eta lam)"""
    with np.errstate(divide="ignore"):
        return batch.astype(float) * np.log(2 / EPS) / (2 * step * decay)


PREDICTED = {
    "stable_rank": ib.batched(stable_rank), "rank": ib.batched(rank), "inequality": inequality,
    "theorem": ib.batched(theorem), "times_decayed": times_decayed,
}  # fmt: skip

# -- compared ----------------------------------------------------------------------------------------------------------


def end(what, matrix):
    return lambda ds: ib.curves.last(ds[f"{what}_{matrix}"])


def by_batch(value):
    """In batches of 1, less in batches of 16."""
    return lambda ds: ib.curves.at(value(ds), batch=1) - ib.curves.at(value(ds), batch=16)


def along(axis, value):
    """At each place of an axis, less at the next smaller one."""
    return lambda ds: value(ds) - ib.curves.at_next(value(ds), axis, by=-1)
