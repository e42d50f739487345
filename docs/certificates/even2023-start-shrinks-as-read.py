r"""even2023/law:start-shrinks-as-read, against the abstract of a submission on momentum, "initialization mitigation" (as read),
is PROVED FALSE. The statement: $|a b|$ has grown for no entry, whatever the momentum and step. Every number below is a ball
that holds the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, ctx, fmpq
ctx.prec = ctx.cap = 512
DATA = dict(law='heavy ball', gradient='full', A=[[1]], x=[1], alpha=fmpq(1, 10), momentum=fmpq(4, 5), step=fmpq(3, 10))
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def norm(a): return dot(a, a).nonnegative_part().sqrt()
def plus(a, b, s=1): return [p + s * q for p, q in zip(a, b, strict=True)]  # a + s b
def ratio(p, q=1): return arb(fmpq(p, q))
def misfit(A, y, x): return [t - dot(row, x) for row, t in zip(A, y, strict=True)]  # y - A x
def downhill(A, y, x): return [dot(column, r) for r in [misfit(A, y, x)] for column in zip(*A)]  # A^T (y - A x)

def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x

# the greatest log(|a b| / alpha^2) of an entry after 200 steps, on the data A x; by then they are fitted to 10^-6
def start_shrinks_as_read(law, gradient, A, x, alpha, momentum, step):
    if (law, gradient) != ("heavy ball", "full"):
        raise ArithmeticError(f"{law} on the gradient of {gradient} examples is not done here")
    n, y = len(x), [dot(row, x) for row in A]
    def move(state):
        z, before = state[: 2 * n], state[2 * n :]
        pull = downhill(A, y, [p**2 - q**2 for p, q in zip(z[:n], z[n:])])
        forces = [2 * step * p * q for p, q in zip(z, [*pull, *(-p for p in pull)])]
        return [*plus(plus(z, forces), plus(z, before, -1), momentum), *z]
    z = descent(move, [alpha] * (4 * n), 200)
    logs = [abs(p * q / alpha**2).log() for p, q in zip(z[:n], z[n : 2 * n])]
    left = norm(misfit(A, y, [p**2 - q**2 for p, q in zip(z[:n], z[n : 2 * n])]))
    return [max(logs, key=lambda v: float(v.mid())), ratio(1, 10**6) - left]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = start_shrinks_as_read(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
