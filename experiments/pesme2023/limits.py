"""What the homotopy says of a run of `staircase`: saddles, margins, arrivals, and how well its jumps are told apart."""

import numpy as np

import implicit_bias as ib

theory = ib.theory.saddles


def least_l1(operator, target):
    """The least l1 norm, and how far its certificate leaves it open."""
    found = ib.min_l1(operator, target)
    return {"norm": found.value, "doubt": max(abs(found.gap), found.residual)}


def limit(operator, target, tau):
    """The staircase at the records, with its rule of signs and without, and the margin there."""
    path, nested = theory.homotopy(operator, target), theory.homotopy(operator, target, signs=False)
    k, s = path.step_at(tau), path.s_at(tau)
    halves = [operator[:, x != 0] * np.sqrt(abs(x[x != 0])) for x in path.x[1:]]
    speeds = np.array([0.0] + [np.linalg.svd(h, compute_uv=False)[-1] ** 2 for h in halves])
    settled = np.where(k > 0, speeds[k] * (tau - path.tau[k]), np.inf)
    asleep = np.where(path.x[k] == 0, 1 - abs(s), np.inf).min(-1)
    return {
        "x": path.x[k], "s": s, "margin": np.minimum(settled, asleep), "nested": nested.x[nested.step_at(tau)],
        "norm": np.sum(abs(path.x[-1])),
    }  # fmt: skip


def arrival(operator, target, level, duration):
    """tau at which each entry jumps over the level, nan if to less than twice of it or not at all."""
    path = theory.homotopy(operator, target)
    above = abs(path.x) > level
    first, each = above.argmax(0), np.arange(above.shape[1])
    seen = above.any(0) & (path.tau[first] < duration) & (abs(path.x[first, each]) > 2 * level)
    return np.where(seen, path.tau[first], np.nan)


def apart(operator, target, duration):
    """How far every |s_i| is from 1 at the end of each rest where x_i = 0: all but the one that arrives."""
    path = theory.homotopy(operator, target)
    ends = np.minimum(np.append(path.tau[1:], np.inf), duration)[path.tau < duration]
    gaps = []
    for k, end in enumerate(ends):
        s = path.s[k] + (end - path.tau[k]) * path.v[k]
        gaps += np.sort(1 - abs(s[path.x[k] == 0]))[int(end < duration) :].tolist()
    return min(gaps, default=1.0)


@ib.batched
def asleep(operator, s, x, ell):
    """log 2|x_i| + l (1 - |s_i|), s as far as it is in range(A^T): of the entries the greatest, but at the first record."""
    basis = np.linalg.svd(operator, full_matrices=False)[2][..., None, :, :]
    seen = np.einsum("...rc,...rd,...d->...c", basis, basis, s)
    with np.errstate(divide="ignore"):
        over = np.log(2 * abs(x)) + ell[..., None, None] * (1 - abs(seen))
    return np.where(np.arange(x.shape[-2]) > 0, over.max(-1), np.nan)


def leave(x, rests, level):
    """How many entries were there at one rest, and are gone at a later one."""
    seen = abs(x[rests > 0])
    return np.sum((np.maximum.accumulate(seen > level) & (seen < 1e-4 * level)).any(0))
