r"""A user's own network: a flax module of width 64, 20 seeds, full batches, fixed steps of gradient descent.

    page      the network of docs/how-to/network.md, wider: one layer, 40 examples of 5 numbers, square loss
    digits    two layers, 256 digits of 8 x 8, cross-entropy; a twentieth of the steps

The framework's row is a whole sweep into an empty folder, with its draws. Peers get their first weights for nothing: the
same module trained by a loop written by hand, jit of scan, with seeds at once (vmap) or one after another, on one or two
Python threads; and, where PyTorch is installed, the same network as `Sequential` under SGD, or all seeds at once by
`torch.func.vmap`, in float64 and float32, on as many threads as are fastest. Each must first reproduce the framework's
weights after the steps that it is given.
"""

import argparse
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.flatten_util import ravel_pytree

import implicit_bias as ib

from .common import Row, framework, installed, report, seconds, turns

SEEDS, WIDTH, STEP = 20, 64, 0.1
FEW = 2  # seeds of a loop of PyTorch, whose seeds cost the same
AGREE = {"float64": 1e-8, "float32": 1e-3}
TURN = 0.5  # seconds that one turn of PyTorch should take


class Net(nn.Module):
    layers: int
    outputs: int | None

    @nn.compact
    def __call__(self, x):
        for _ in range(self.layers):
            x = jnp.tanh(nn.Dense(WIDTH, param_dtype=float)(x))
        z = nn.Dense(self.outputs or 1, param_dtype=float)(x)
        return z if self.outputs else z[:, 0]


class Task(NamedTuple):
    title: str
    net: Net
    x: np.ndarray
    y: np.ndarray

    @property
    def problem(self) -> ib.AbstractProblem:
        if self.net.outputs is None:
            return ib.supervised(self.x, self.y, "square")
        return ib.supervised(self.x, self.y, "cross_entropy", classes=self.net.outputs)

    def loss(self, weights, x, y):
        """As one writes it by hand."""
        z = self.net.apply({"params": weights}, x)
        if self.net.outputs is None:
            return 0.5 * jnp.mean((z - y) ** 2)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(z, y))


class Peer(NamedTuple):
    name: str
    seeds: int
    run: Callable[[int], np.ndarray]  # steps -> weights, [seeds, n]
    kind: str = "float64"


def tasks() -> list[Task]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 5))
    y = np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=40)
    digits = ib.data.load("digits")
    few = digits[:256].inputs.reshape(256, -1)
    return [
        Task(f"One layer of {WIDTH}, 40 examples of 5 numbers", Net(1, None), x, y),
        Task(f"Two layers of {WIDTH}, 256 digits", Net(2, 10), few, digits.labels[:256]),
    ]


def study(task: Task, records: list[int], observe: dict) -> ib.Study:
    def cell(*, key):
        return ib.Run(task.problem, ib.network(task.net), ib.Descent(STEP, max_steps=records[-1]))

    return ib.Study(cell=cell, grids=ib.grid(seed=range(SEEDS)), observe=observe, records=ib.records_at(records))


def flat(weights) -> jax.Array:
    return ravel_pytree(weights)[0]


def first_weights(task: Task):
    """Of every seed, as the framework draws them."""
    draw = jax.vmap(lambda seed: ib.network(task.net).init(task.problem, ib.SeedKey(seed)))
    return jax.jit(draw)(jnp.arange(SEEDS))


# -- by hand, in jax ---------------------------------------------------------------------------------------------------


def by_hand(task: Task, first, steps: int) -> list[Peer]:
    def train(weights, x, y):
        def step(weights, _):
            gradient = jax.grad(task.loss)(weights, x, y)
            return jax.tree.map(lambda w, g: w - STEP * g, weights, gradient), None

        return jax.lax.scan(step, weights, length=steps)[0]

    one, many, data = jax.jit(train), jax.jit(jax.vmap(train, (0, None, None))), (jnp.asarray(task.x), jnp.asarray(task.y))

    def blocks(size: int, threads: int) -> Callable[[int], np.ndarray]:
        parts = [jax.tree.map(lambda w: w[i : i + size], first) for i in range(0, SEEDS, size)]
        if size == 1:
            parts = [jax.tree.map(lambda w: w[0], part) for part in parts]
        each = ThreadPoolExecutor(threads).map if threads > 1 else map

        def block(weights):
            return jax.block_until_ready((one if size == 1 else many)(weights, *data))

        def run(_: int) -> np.ndarray:
            ends = list(each(block, parts))
            return np.concatenate([np.atleast_2d(flat(end) if size == 1 else jax.vmap(flat)(end)) for end in ends])

        return run

    choices = {size: blocks(size, 2) for size in (2, 5, 10)}
    for run in choices.values():
        run(steps)
    best = min(choices, key=lambda size: min(seconds(choices[size], steps) for _ in range(2)))
    return [
        Peer("jax, jit(vmap(scan)), all seeds at once", SEEDS, blocks(SEEDS, 1)),
        Peer("jax, jit(scan), one seed after another", SEEDS, blocks(1, 1)),
        Peer("jax, jit(scan), one seed a thread, 2 threads", SEEDS, blocks(1, 2)),
        Peer(f"jax, jit(vmap(scan)), blocks of {best}, 2 threads", SEEDS, choices[best]),
    ]


# -- in PyTorch --------------------------------------------------------------------------------------------------------


def pytorch(task: Task, first, kind: str) -> list[Peer]:
    """One seed after another, and all at once; each on 1 or 2 threads, whichever is faster."""
    import torch

    number = getattr(torch, kind)
    x = torch.as_tensor(task.x).to(number)
    y = torch.as_tensor(task.y).to(number if task.net.outputs is None else torch.long)
    sizes = [task.x.shape[1], *[WIDTH] * task.net.layers, task.net.outputs or 1]

    def module(seed: int) -> torch.nn.Module:
        layers = []
        for i, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
            layer = torch.nn.Linear(fan_in, fan_out, dtype=number)
            with torch.no_grad():
                layer.weight.copy_(torch.as_tensor(np.array(first[f"Dense_{i}"]["kernel"][seed].T)))
                layer.bias.copy_(torch.as_tensor(np.array(first[f"Dense_{i}"]["bias"][seed])))
            layers += [layer, torch.nn.Tanh()]
        return torch.nn.Sequential(*layers[:-1])

    def loss(z):
        return 0.5 * ((z[:, 0] - y) ** 2).mean() if task.net.outputs is None else torch.nn.functional.cross_entropy(z, y)

    def flattened(parameters) -> np.ndarray:
        """In the order of `flat`: of each layer the bias, and the kernel [inputs, outputs]."""
        parts = [p.detach().numpy() for p in parameters]
        return np.concatenate([part for w, b in zip(parts[::2], parts[1::2]) for part in (b, w.T.ravel())])

    def one_by_one(steps: int) -> np.ndarray:
        ends = []
        for seed in range(FEW):
            net = module(seed)
            rule = torch.optim.SGD(net.parameters(), lr=STEP)
            for _ in range(steps):
                rule.zero_grad()
                loss(net(x)).backward()
                rule.step()
            ends.append(flattened(net.parameters()))
        return np.array(ends)

    def at_once(steps: int) -> np.ndarray:
        nets = [module(seed) for seed in range(SEEDS)]
        weights, _ = torch.func.stack_module_state(nets)
        weights = {name: w.detach() for name, w in weights.items()}
        gradient = torch.func.vmap(torch.func.grad(lambda w: loss(torch.func.functional_call(nets[0], w, (x,)))))
        for _ in range(steps):
            slope = gradient(weights)
            weights = {name: w.sub_(slope[name], alpha=STEP) for name, w in weights.items()}
        return np.array([flattened([w[seed] for w in weights.values()]) for seed in range(SEEDS)])

    def on(threads: int, run: Callable[[int], np.ndarray], steps: int) -> np.ndarray:
        torch.set_num_threads(threads)
        return run(steps)

    peers = []
    both = ("SGD, one seed after another", FEW, one_by_one), ("func.vmap, all seeds at once", SEEDS, at_once)
    for name, seeds, run in both:
        choices = {threads: functools.partial(on, threads, run) for threads in (1, 2)}
        best = min(choices, key=lambda threads: min(seconds(choices[threads], 20) for _ in range(3)))
        peers.append(Peer(f"pytorch {kind}, {name}, {best} thread{'s' * (best > 1)}", seeds, choices[best], kind))
    return peers


def job(options: argparse.Namespace) -> None:
    torch_too = installed("torch")
    for task, steps in zip(tasks(), (options.steps, max(options.steps // 20, 1))):
        first = first_weights(task)
        peers, given = by_hand(task, first, steps), [steps] * 4
        if torch_too:
            for peer in (p for kind in AGREE for p in pytorch(task, first, kind)):
                few = min(10, steps)
                peers.append(peer)
                given.append(int(np.clip(few * TURN / seconds(peer.run, few), few, steps)))
        weights = ib.Measure(lambda snapshot: flat(snapshot.theta), "the weights")
        truth = study(task, sorted({0, steps, *given}), {"weights": weights}).run()
        turn = framework(study(task, [0, steps], {}), jax.local_devices()[:1])
        rows = [Row("framework", turn, f"{SEEDS} x {steps}", 0.0)]
        for peer, step in zip(peers, given):
            place = int(np.flatnonzero(truth["clock"].values.ravel() == step)[0])
            ours = truth["weights"].isel(record=place).transpose("seed", ...).values[: peer.seeds]
            error = np.abs(peer.run(step) - ours).max()
            if not error < AGREE[peer.kind]:
                raise SystemExit(f"error: {peer.name} does not agree with the framework: weights {error:.1e} apart")
            spent = functools.partial(lambda p, k: 1e6 * seconds(p.run, k) / (p.seeds * k), peer, step)
            rows.append(Row(peer.name, spent, f"{peer.seeds} x {step}", error))
        rows[0] = rows[0]._replace(turn=lambda turn=turn: turn() / 1e3)
        times = turns(rows, options.rounds)
        words = {"error": "error in weights", "interval": True}
        print(report(task.title, rows, times, options.markdown, "us a run-step", **words), flush=True)
