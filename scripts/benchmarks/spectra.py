r"""The Hessian of a network: its products, its five largest eigenvalues, its density and its trace.

Of a tanh network 64-128-128-10 with cross-entropy on all 1,797 digits, in float64, after 200 steps of gradient descent:
26,122 weights. Data and weights are arguments of every program. Peers:

    eigsh         SciPy's ARPACK on a jitted product; and on one that is linearised before (jax.linearize), which a
                  product by itself is not
    matfree       eigh_partial, given as many products as ours took: it has no rule to stop by
    PyHessian     where it and PyTorch are installed; its constructor, which computes the gradient, is in its time;
                  float64 and float32 at two of its tolerances, and once as exact as it gets: it divides vectors by
                  |v| + 1e-6, which leaves an error of 2e-6
    by hand       Lanczos in NumPy on the jitted product, from the same probes (density); Hutchinson (trace)

The error of eigenvalues is the largest of the five over the first one, against eigsh at a tolerance of 1e-12. Ours and
eigsh must be within 1e-6, and PyHessian within 3e-6 where it is asked for that; at its own settings it is timed with the
error that it has.
"""

import argparse
import functools
import importlib
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.linalg
import scipy.sparse.linalg
from jax.flatten_util import ravel_pytree
from matfree import decomp, eig
from matfree.stochtrace import sampler_signs

import implicit_bias as ib
from implicit_bias import linalg

from .common import Row, installed, report, seconds, turns

STEPS, STEP, COUNT = 200, 0.5, 5
LOOP = 20  # products of one program
PROBES, NODES = 4, 40
PRODUCTS, DRAWS = 60, 10  # of an estimate of the trace, and estimates
AGREE = 1e-6
Theirs = dict[str, tuple[str, Callable]]
"""By type: how PyHessian's row is called, and a function that makes its object; empty where it is not installed."""
NET = ib.mlp((128, 128), jnp.tanh, bias=True)


def loss(theta, x, y):
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(NET.apply(theta, x), y))


class Case(NamedTuple):
    theta: dict
    x: jax.Array
    y: jax.Array
    values: np.ndarray  # the five, by eigsh at 1e-12

    @property
    def flat(self) -> jax.Array:
        return ravel_pytree(self.theta)[0]


def product(theta, x, y, v):
    return linalg.hvp(loss, theta, x, y)(v)


def of_vectors(theta, x, y, flat):
    """The product as SciPy wants it."""
    return ravel_pytree(product(theta, x, y, ravel_pytree(theta)[1](flat)))[0]


def train() -> tuple:
    digits = ib.data.load("digits")
    x, y = jnp.asarray(digits.inputs.reshape(len(digits), -1)), jnp.asarray(digits.labels)

    def descend(theta, x, y):
        def step(_, theta):
            return jax.tree.map(lambda w, g: w - STEP * g, theta, jax.grad(loss)(theta, x, y))

        return jax.lax.fori_loop(0, STEPS, step, theta)

    first = NET.init(ib.supervised(x, y, "cross_entropy", classes=10), ib.SeedKey(jnp.asarray(0)))
    return jax.jit(descend)(first, x, y), x, y


def operator(matvec: Callable, size: int) -> tuple[scipy.sparse.linalg.LinearOperator, list[int]]:
    """With the number of its products."""
    counted = [0]

    def apply(v: np.ndarray) -> np.ndarray:
        counted[0] += 1
        return np.asarray(matvec(v))

    return scipy.sparse.linalg.LinearOperator((size, size), matvec=apply, dtype=float), counted


def eigsh(matvec: Callable, case: Case, tolerance: float) -> tuple[np.ndarray, int]:
    start = np.random.default_rng(0).normal(size=case.flat.size)
    of, counted = operator(matvec, start.size)
    values = scipy.sparse.linalg.eigsh(of, COUNT, which="LA", tol=tolerance, v0=start)[0]
    return np.sort(values)[::-1], counted[0]


def timed(function: Callable) -> Callable[[], float]:
    """Milliseconds of a turn; compiled before."""
    jax.block_until_ready(function())
    return lambda: 1e3 * seconds(lambda: jax.block_until_ready(function()))


def check(name: str, error: float, most: float) -> float:
    if not error < most:
        raise SystemExit(f"error: {name} does not agree: {error:.1e} apart")
    return error


def apart(found, due) -> float:
    return float(np.abs(np.asarray(found) - np.asarray(due)).max() / np.abs(np.asarray(due)).max())


# -- products ----------------------------------------------------------------------------------------------------------


def products(case: Case, theirs: Theirs) -> list[Row]:
    """A product against a gradient: each alone, and one after another inside a program, as Lanczos has them."""
    theta, x, y, _ = case
    v = jax.tree.map(lambda w: w / jnp.linalg.norm(case.flat), theta)
    exact = of_vectors(theta, x, y, ravel_pytree(v)[0])
    ahead, behind = (jax.tree.map(lambda w, d, s=s: w + s * d, theta, v) for s in (1e-5, -1e-5))
    slopes = jax.tree.map(lambda a, b: (a - b) / 2e-5, *(jax.grad(loss)(at, x, y) for at in (ahead, behind)))
    off = check("a difference of gradients", apart(ravel_pytree(slopes)[0], exact), AGREE)

    def gradients(theta, x, y):
        def step(_, theta):
            return jax.tree.map(lambda w, g: w - 1e-6 * g, theta, jax.grad(loss)(theta, x, y))

        return jax.lax.fori_loop(0, LOOP, step, theta)

    def repeated(theta, x, y, v):
        matvec = linalg.hvp(loss, theta, x, y)
        return jax.lax.fori_loop(0, LOOP, lambda _, v: matvec(v), v)

    gradient, several, alone, many = map(jax.jit, (jax.grad(loss), gradients, product, repeated))
    rows = [
        Row("gradient, one after another", lambda t=timed(lambda: several(theta, x, y)): t() / LOOP, f"{LOOP}", 0.0),
        Row("product, one after another", lambda t=timed(lambda: many(theta, x, y, v)): t() / LOOP, f"{LOOP}", off),
        Row("gradient, alone", timed(lambda: gradient(theta, x, y)), "1", 0.0),
        Row("product, alone", timed(lambda: alone(theta, x, y, v)), "1", off),
    ]
    if theirs:
        import torch

        apply = importlib.import_module("pyhessian.utils").hessian_vector_product
        for kind in ("float64", "float32"):
            called, hessian = theirs[kind]
            vector = [torch.as_tensor(np.array(part)).to(getattr(torch, kind)) for part in in_torch(v)]
            made = hessian()
            found = np.concatenate([part.detach().numpy().ravel() for part in apply(made.gradsH, made.params, vector)])
            ours = np.concatenate([part.ravel() for part in in_torch(ravel_pytree(theta)[1](exact))])
            off = check(f"pytorch {kind}", apart(found, ours), 1e-10 if kind == "float64" else 1e-3)
            turn = timed(lambda m=made, v=vector: apply(m.gradsH, m.params, v) and 0)
            rows.append(Row(f"product, pytorch {called}", turn, "1", off))
    return rows


# -- PyHessian ---------------------------------------------------------------------------------------------------------


def in_torch(theta) -> list[np.ndarray]:
    """In the order and the layout of the parameters of a Sequential."""
    return [p for n in sorted(theta) for p in (np.array(theta[n]["kernel"]).T, np.array(theta[n]["bias"]))]


def pyhessian(case: Case, kind: str) -> Callable:
    """A function that makes PyHessian's object for the trained network."""
    import torch
    from pyhessian import hessian

    number = getattr(torch, kind)
    torch.set_default_dtype(number)  # its vectors are of the default type
    shapes = [case.theta[name]["kernel"].shape for name in sorted(case.theta)]
    layers = [part for shape in shapes for part in (torch.nn.Linear(*shape), torch.nn.Tanh())]
    net = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), in_torch(case.theta)):
            parameter.copy_(torch.as_tensor(value))
    x, y = torch.as_tensor(np.array(case.x)).to(number), torch.as_tensor(np.array(case.y)).long()

    def make():
        torch.set_default_dtype(number)
        torch.manual_seed(0)
        net.zero_grad()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backward(create_graph=True)
            return hessian(net, torch.nn.CrossEntropyLoss(), data=(x, y), cuda=False)

    return make


def tuned(case: Case, kind: str) -> tuple[str, Callable]:
    """On 1 thread or 2, whichever is faster: how it is called, and the function that makes the object."""
    import torch

    make, spent = pyhessian(case, kind), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        spent[threads] = min(seconds(lambda: make().eigenvalues(maxIter=5, top_n=1)) for _ in range(3))
    threads = min(spent, key=spent.get)

    def on():
        torch.set_num_threads(threads)
        return make()

    return f"{kind}, {threads} thread{'s' * (threads > 1)}", on


def counted(run: Callable) -> tuple:
    """(what it returns, how many products it took)"""
    module = importlib.import_module("pyhessian.hessian")
    original, count = module.hessian_vector_product, [0]

    def counting(*arguments):
        count[0] += 1
        return original(*arguments)

    module.hessian_vector_product = counting
    try:
        return run(), count[0]
    finally:
        module.hessian_vector_product = original


# -- the five largest --------------------------------------------------------------------------------------------------


def largest(case: Case, theirs: Theirs) -> list[Row]:
    theta, x, y, values = case
    first = values[0]

    def off(found) -> float:
        return float(np.abs(np.sort(np.asarray(found))[::-1][:COUNT] - values).max() / first)

    rows = []

    def add(name: str, turn: Callable, spent: int, found, most: float = AGREE) -> None:
        rows.append(Row(name, turn, str(spent), check(name, off(found), most)))

    ours = jax.jit(lambda theta, x, y: linalg.top(linalg.hvp(loss, theta, x, y), theta, COUNT))
    found = ours(theta, x, y)
    add("linalg.top", timed(lambda: ours(theta, x, y)), int(found.products), found.values)

    apply = jax.jit(of_vectors)
    linear = jax.jit(lambda theta, x, y: jax.linearize(jax.grad(lambda theta: loss(theta, x, y)), theta)[1])
    push = jax.jit(lambda linear, v: ravel_pytree(linear(ravel_pytree(theta)[1](v)))[0])

    def jitted(tolerance):
        return eigsh(functools.partial(apply, theta, x, y), case, tolerance)

    def linearised(tolerance):
        return eigsh(functools.partial(push, linear(theta, x, y)), case, tolerance)

    for name, solve in (("a jitted product", jitted), ("a product linearised before", linearised)):
        found, spent = solve(1e-8)
        add(f"scipy eigsh, {name}", timed(lambda solve=solve: solve(1e-8)[0]), spent, found)

    spent = int(rows[0].job)
    start = jax.tree.unflatten(jax.tree.structure(theta), [jnp.ones_like(w) for w in jax.tree.leaves(theta)])
    partial = eig.eigh_partial(decomp.tridiag_sym(spent, reortho="full"))
    fixed = jax.jit(lambda theta, x, y, v: partial(linalg.hvp(loss, theta, x, y), v)[0])
    add("matfree eigh_partial", timed(lambda: fixed(theta, x, y, start)), spent, fixed(theta, x, y, start))

    if theirs:
        settings = [(kind, tol, 100, np.inf) for kind in ("float64", "float32") for tol in (1e-3, 1e-6)]
        for kind, tol, most, due in [*settings, ("float64", 1e-9, 5000, 3e-6)]:
            called, make = theirs[kind]

            def solve(make=make, tol=tol, most=most):
                return make().eigenvalues(top_n=COUNT, tol=tol, maxIter=most)[0]

            found, spent = counted(solve)
            name = f"PyHessian {called}, tol {tol:g}" + ("" if most == 100 else f", {most} at most")
            add(name, timed(lambda solve=solve: solve() and 0), spent, found, due)
    return rows


# -- density and trace -------------------------------------------------------------------------------------------------


def density(case: Case, theirs: Theirs, reference: float) -> list[Row]:
    """Nodes and weights from the same probes; the error is that of tr H, which the probes have."""
    theta, x, y, _ = case
    key, size = jax.random.key(0), case.flat.size
    ours = jax.jit(
        lambda theta, x, y, key: linalg.density(linalg.hvp(loss, theta, x, y), theta, key, steps=NODES, probes=PROBES)
    )
    apply = jax.jit(of_vectors)

    def by_hand():
        nodes, weights = [], []
        for one in jax.random.split(key, PROBES):
            basis = np.zeros((NODES + 1, size))
            v = np.asarray(jax.random.normal(one, (size,)))
            basis[0], alpha, beta = v / np.linalg.norm(v), np.zeros(NODES), np.zeros(NODES)
            for k in range(NODES):
                w = np.array(apply(theta, x, y, basis[k]))
                alpha[k] = basis[k] @ w
                for _ in range(2):
                    w -= (basis[: k + 1] @ w) @ basis[: k + 1]
                beta[k] = np.linalg.norm(w)
                basis[k + 1] = w / beta[k]
            values, vectors = scipy.linalg.eigh_tridiagonal(alpha, beta[:-1])
            nodes.append(values)
            weights.append(vectors[0] ** 2)
        return np.array(nodes), np.array(weights)

    def off(nodes, weights) -> float:
        return float(abs(np.mean(np.sum(np.multiply(nodes, weights), axis=1)) * size / reference - 1))

    found, same = ours(theta, x, y, key), by_hand()
    check("Lanczos by hand", max(float(np.abs(a - b).max()) for a, b in zip(found, same)), 1e-7)
    spent = f"{PROBES} x {NODES}"
    rows = [
        Row("linalg.density", timed(lambda: ours(theta, x, y, key)), spent, off(*found)),
        Row("numpy Lanczos, a jitted product", timed(by_hand), spent, off(*same)),
    ]
    if theirs:
        import torch

        called, make = theirs["float64"]
        try:
            make().density(iter=NODES, n_v=PROBES)
            raise SystemExit("error: PyHessian's density works on this PyTorch: time it as it is")
        except RuntimeError as error:
            print(f"PyHessian's density fails on PyTorch {torch.__version__}: {str(error).split('. ')[0]}\n")

        def mended():
            old, torch.eig = torch.eig, by_eigh
            try:
                return make().density(iter=NODES, n_v=PROBES)
            finally:
                torch.eig = old

        def by_eigh(T, eigenvectors=True):
            values, vectors = torch.linalg.eigh(T)
            return torch.stack([values, torch.zeros_like(values)], 1), vectors

        name = f"PyHessian {called}, torch.eig replaced"
        rows.append(Row(name, timed(lambda: mended() and 0), spent, off(*mended())))
    return rows


def hutchinson(matvec: linalg.Matvec, like, key) -> jax.Array:
    def one(key):
        v = sampler_signs(like, num=1)(key)
        v = jax.tree.map(lambda w: w[0], v)
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, v, matvec(v))))

    return jnp.mean(jax.lax.map(one, jax.random.split(key, PRODUCTS)))


def trace(case: Case, theirs: Theirs, reference: float) -> list[Row]:
    """The error is the root mean square over some draws, relative."""
    theta, x, y, _ = case
    keys = jax.random.split(jax.random.key(1), DRAWS)
    ours = jax.jit(
        lambda theta, x, y, key: linalg.trace(linalg.hvp(loss, theta, x, y), theta, key, products=PRODUCTS)[0]
    )
    plain = jax.jit(lambda theta, x, y, key: hutchinson(linalg.hvp(loss, theta, x, y), theta, key))

    def spread(values) -> float:
        return float(np.sqrt(np.mean((np.array(values) / reference - 1) ** 2)))

    rows = []
    for name, estimate in (("linalg.trace (XTrace)", ours), ("Hutchinson, in one jit", plain)):
        error = check(name, spread([estimate(theta, x, y, key) for key in keys]), 0.2)
        rows.append(Row(name, timed(lambda estimate=estimate: estimate(theta, x, y, keys[0])), str(PRODUCTS), error))
    if theirs:
        import torch

        called, make = theirs["float64"]

        def estimate(seed):
            made = make()
            torch.manual_seed(seed)
            return np.mean(made.trace())

        values, spent = counted(lambda: [estimate(seed) for seed in range(DRAWS)])
        name = f"PyHessian {called}, tol 1e-3"
        rows.append(Row(name, timed(lambda: estimate(0)), f"{spent / DRAWS:.0f}", check(name, spread(values), 0.5)))
    return rows


def job(options: argparse.Namespace) -> None:
    theta, x, y = train()
    case = Case(theta, x, y, np.zeros(COUNT))
    case = case._replace(values=eigsh(functools.partial(jax.jit(of_vectors), theta, x, y), case, 1e-12)[0])
    estimate = jax.jit(lambda theta, x, y, key: linalg.trace(linalg.hvp(loss, theta, x, y), theta, key, products=1000))
    reference, error = map(float, estimate(theta, x, y, jax.random.key(2)))
    five = ", ".join(f"{value:.6f}" for value in case.values)
    print(f"{case.flat.size} weights, loss {float(loss(theta, x, y)):.4f}; the five largest: {five}")
    print(f"tr H = {reference:.3f} +- {error:.3f} by 1000 products\n")
    theirs = {kind: tuned(case, kind) for kind in ("float64", "float32")} if installed("torch", "PyHessian") else {}
    for title, make, unit, word in (
        ("Products with the Hessian", products, "ms each", "error of H v"),
        ("The five largest eigenvalues", largest, "ms", "error"),
        ("Density of the spectrum", functools.partial(density, reference=reference), "ms", "error of tr H"),
        ("Trace", functools.partial(trace, reference=reference), "ms", "error"),
    ):
        rows = make(case, theirs)
        times = turns(rows, options.rounds)
        print(report(title, rows, times, options.markdown, unit, job="products", error=word, interval=True), flush=True)
