r"""The reduced step of weight normalisation in machine code: C with OpenMP, and Numba.

The same rewriting as the framework's, m + 1 coordinates, and one trick more that a hand would use: with p = s b, everything
that a step needs of the rows is three sums over them, in one pass,

    n^2 = t^2 + sum w^2,    a = sum s^2 w^2,    b = sum p w,    k = g / n,    w . grad_x = k a - b,
    g' = g - eta c (k a - b) / n,    w' = (h - eta k^2 s^2) w + eta k p,    t' = h t,    h = 1 + eta k (k a - b) / n^2,

so that w is read and written once more, and s^2 and p are one number for all lanes of a seed. A few lanes at a time take
all of their steps: their state stays in the first cache. Seeds are dealt to the threads.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

C = r"""
#include <math.h>
#ifndef LANES
#define LANES 8
#endif

void run(long seeds, long scales, long rows, long steps, double step, double ratio, int threads, const double *restrict square,
         const double *restrict pull, const double *restrict start, const double *restrict perp,
         const double *restrict scale, double *restrict out) {
#pragma omp parallel for num_threads(threads) schedule(dynamic) collapse(2)
    for (long seed = 0; seed < seeds; seed++)
        for (long first = 0; first < scales; first += LANES) {
            const double *s2 = square + seed * rows, *p = pull + seed * rows;
            double w[rows][LANES], t[LANES], g[LANES];
            for (int l = 0; l < LANES; l++) {
                t[l] = perp[seed];
                g[l] = scale[first + l];
                for (long i = 0; i < rows; i++) w[i][l] = start[seed * rows + i];
            }
            for (long k = 0; k < steps; k++) {
                double n2[LANES], a[LANES], b[LANES], h[LANES], e[LANES], f[LANES];
                for (int l = 0; l < LANES; l++) n2[l] = t[l] * t[l], a[l] = 0, b[l] = 0;
                for (long i = 0; i < rows; i++)
                    for (int l = 0; l < LANES; l++) {
                        double x = w[i][l], xx = x * x;
                        n2[l] += xx;
                        a[l] += s2[i] * xx;
                        b[l] += p[i] * x;
                    }
                for (int l = 0; l < LANES; l++) {
                    double n = sqrt(n2[l]), k_ = g[l] / n, wq = k_ * a[l] - b[l];
                    g[l] -= step * ratio * wq / n;
                    e[l] = step * k_;
                    h[l] = 1 + e[l] * wq / n2[l];
                    f[l] = e[l] * k_;
                    t[l] *= h[l];
                }
                for (long i = 0; i < rows; i++)
                    for (int l = 0; l < LANES; l++) w[i][l] = (h[l] - f[l] * s2[i]) * w[i][l] + e[l] * p[i];
            }
            for (int l = 0; l < LANES; l++) out[seed * scales + first + l] = fabs(g[l]);
        }
}
"""
FLAGS = ("-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC")
LANES = (4, 8, 16, 32)
Run = Callable[[int], np.ndarray]


def in_c(data, scales: np.ndarray, step: float, ratio: float) -> dict[str, Run]:
    """By name: on one thread and on as many as there are cores, each with the lanes that are fastest; {} without a compiler."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        print("C: no compiler found, and no rows\n")
        return {}
    kept = tempfile.mkdtemp()
    source = Path(kept, "wn.c")
    source.write_text(C)
    found = {}
    for lanes in LANES:
        library = Path(kept, f"wn{lanes}.so")
        subprocess.run([compiler, *FLAGS, f"-DLANES={lanes}", str(source), "-o", str(library), "-lm"], check=True)
        found[lanes] = ctypes.CDLL(str(library)).run
    shutil.rmtree(kept)
    seeds, rows = data.row.shape
    arrays = [np.ascontiguousarray(x) for x in (data.singular**2, data.singular * data.target, data.row, data.perp, scales)]
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in arrays]

    def given(function, threads: int) -> Run:
        def run(steps: int) -> np.ndarray:
            out = np.empty((seeds, len(scales)))
            sizes = map(ctypes.c_long, (seeds, len(scales), rows, steps))
            rates = map(ctypes.c_double, (step, ratio))
            function(*sizes, *rates, ctypes.c_int(threads), *pointers, out.ctypes.data_as(ctypes.c_void_p))
            assert arrays  # they live as long as what points to them
            return out

        return run

    return _best("C", lambda lanes, threads: given(found[lanes], threads))


def in_numba(data, scales: np.ndarray, step: float, ratio: float) -> dict[str, Run]:
    """The same, where Numba is installed."""
    if importlib.util.find_spec("numba") is None:
        print("numba: not installed, and without rows\n")
        return {}
    import numba

    @numba.njit(fastmath=True, parallel=True, boundscheck=False)
    def stepped(square, pull, start, perp, scale, steps, step, ratio, lanes):
        seeds, rows = start.shape
        parts = len(scale) // lanes
        out = np.empty((seeds, len(scale)))
        for job in numba.prange(seeds * parts):
            seed, first = job // parts, job % parts * lanes
            w, t, g = np.empty((rows, lanes)), np.full(lanes, perp[seed]), scale[first : first + lanes].copy()
            n2, a, b = np.empty(lanes), np.empty(lanes), np.empty(lanes)  # Numba knows no comprehension here
            h, e, f = np.empty(lanes), np.empty(lanes), np.empty(lanes)
            for i in range(rows):
                w[i] = start[seed, i]
            for _ in range(steps):
                for l in range(lanes):
                    n2[l], a[l], b[l] = t[l] * t[l], 0.0, 0.0
                for i in range(rows):
                    s2, p = square[seed, i], pull[seed, i]
                    for l in range(lanes):
                        x = w[i, l]
                        n2[l] += x * x
                        a[l] += s2 * x * x
                        b[l] += p * x
                for l in range(lanes):
                    n = np.sqrt(n2[l])
                    k = g[l] / n
                    wq = k * a[l] - b[l]
                    g[l] -= step * ratio * wq / n
                    e[l] = step * k
                    h[l] = 1 + e[l] * wq / n2[l]
                    f[l] = e[l] * k
                    t[l] *= h[l]
                for i in range(rows):
                    s2, p = square[seed, i], pull[seed, i]
                    for l in range(lanes):
                        w[i, l] = (h[l] - f[l] * s2) * w[i, l] + e[l] * p
            out[seed, first : first + lanes] = np.abs(g)
        return out

    arrays = data.singular**2, data.singular * data.target, data.row, data.perp, scales

    def given(lanes: int, threads: int) -> Run:
        def run(steps: int) -> np.ndarray:
            numba.set_num_threads(threads)
            return stepped(*arrays, steps, step, ratio, lanes)

        return run

    return _best("numba", given)


def _best(name: str, given: Callable[[int, int], Run]) -> dict[str, Run]:
    from .common import seconds

    found = {}
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        choices = {lanes: given(lanes, threads) for lanes in LANES}
        best = min(choices, key=lambda lanes: min(seconds(choices[lanes], 200) for _ in range(3)))
        found[f"{name}, {threads} thread{'s' * (threads > 1)}, {best} lanes at a time"] = choices[best]
    return found
