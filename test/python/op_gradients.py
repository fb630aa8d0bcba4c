"""Golden values and gradients of every op, by torch in float64: test/golden/op-gradients/op-gradients.safetensors.

    python test/python/op_gradients.py

For each case `<name>`: inputs `<name>/x0`, `<name>/x1`, ... (float32, or int64 for indices), `<name>/y` (float64), the
gradient `<name>/dy` (float32) that flows into it, and `<name>/dx0`, ... (float64) for every float input.
A case with several outputs has y0, y1, ... and dy0, dy1, ...
"""
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

random = torch.Generator().manual_seed(1)
tensors = {}


def r(*dims):
    """Random normal numbers that float32 holds exactly."""
    return torch.randn(dims, generator=random)


def positive(*dims):
    return r(*dims).abs() + 0.5


def t(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def i(*rows):
    return torch.tensor(rows, dtype=torch.int64)


def case(name, inputs, function):
    leaves = [x.double().requires_grad_() if x.is_floating_point() else x for x in inputs]
    out = function(*leaves)
    outputs = out if isinstance(out, tuple) else (out,)
    dys = [r(*y.shape) for y in outputs]
    torch.autograd.backward(outputs, [dy.double() for dy in dys])
    for n, (x, leaf) in enumerate(zip(inputs, leaves)):
        tensors[f"{name}/x{n}"] = x.contiguous()
        if x.is_floating_point():
            tensors[f"{name}/dx{n}"] = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    for n, (y, dy) in enumerate(zip(outputs, dys)):
        suffix = "" if len(outputs) == 1 else str(n)
        tensors[f"{name}/y{suffix}"] = y.contiguous()
        tensors[f"{name}/dy{suffix}"] = dy


# Element by element.
case("add", [r(2, 3), r(3)], lambda a, b: a + b)
case("add, itself", [r(2, 3)], lambda a: a + a)
case("sub", [r(2, 1, 3), r(4, 1)], lambda a, b: a - b)
case("mul", [r(2, 3), r(2, 1)], lambda a, b: a * b)
case("mul, itself", [r(2, 3)], lambda a: a * a)
case("mul, scalar tensor", [r(2, 3), r()], lambda a, b: a * b)
case("div", [r(2, 3), positive(3)], lambda a, b: a / b)
case("pow", [positive(2, 3), r(3)], lambda a, b: a**b)
case("pow, square", [r(2, 3)], lambda a: a**2)
case("pow, of zero", [t(0.0, 1.5, 0.0), t(2.0, 2.0, 1.0)], lambda a, b: a**b)
case("maximum", [r(2, 3), r(3)], torch.maximum)
case("maximum, equal", [t(1.0, 2.0, 3.0), t(1.0, 3.0, 2.0)], torch.maximum)
case("minimum", [r(2, 3), r(3)], torch.minimum)
case("minimum, equal", [t(1.0, 2.0, 3.0), t(1.0, 3.0, 2.0)], torch.minimum)
case("keptAbove", [t(1.0, -80.0, 2.0)], lambda x: x.clamp(min=-60) + (x - x.detach()) * (x < -60))
case("neg", [r(2, 3)], torch.neg)
case("sqrt", [positive(2, 3)], torch.sqrt)
case("exp", [r(2, 3)], torch.exp)
case("log", [positive(2, 3)], torch.log)
case("tanh", [r(2, 3)], torch.tanh)
case("sigmoid", [r(2, 3)], torch.sigmoid)
case("erf", [r(2, 3)], torch.erf)
case("relu", [r(2, 3)], torch.relu)
case("relu, at zero", [t(-1.0, 0.0, 2.0)], torch.relu)
case("reciprocal", [positive(2, 3)], torch.reciprocal)
case("abs", [r(2, 3)], torch.abs)
case("abs, at zero", [t(-1.0, 0.0, 2.0)], torch.abs)
case("identity", [r(2, 3)], lambda x: x * 1)
case("stopGradient", [r(2, 3)], lambda x: x.detach() * x)
case("cast", [r(2, 3)], lambda x: x * 1)
case("clip", [r(4, 3)], lambda x: x.clamp(-0.5, 0.75))
case("clip, at the bounds", [t(-1.0, -0.5, 0.0, 0.75, 1.0)], lambda x: x.clamp(-0.5, 0.75))
case("clip, from above", [r(4, 3)], lambda x: x.clamp(max=0.25))
case("where", [r(2, 3), r(3), r(2, 1)], lambda c, a, b: torch.where(c > 0, a, b))
case("gelu", [torch.linspace(-6, 6, 25)], F.gelu)
case("gelu, tanh", [torch.linspace(-6, 6, 25)], lambda x: F.gelu(x, approximate="tanh"))
case("silu", [torch.linspace(-6, 6, 25)], F.silu)

# Matrix products.
case("matmul", [r(2, 3), r(3, 4)], torch.matmul)
case("matmul, batched", [r(2, 2, 3), r(2, 3, 4)], torch.matmul)
case("matmul, one matrix for a batch", [r(2, 5, 3), r(3, 4)], torch.matmul)
case("matmul, a batch for one matrix", [r(5, 3), r(2, 3, 4)], torch.matmul)
case("matmul, stretched batches", [r(2, 1, 2, 3), r(4, 3, 5)], torch.matmul)
case("matmul, vector right", [r(2, 3), r(3)], torch.matmul)
case("matmul, vector left", [r(3), r(2, 3, 4)], torch.matmul)
case("matmul, vectors", [r(3), r(3)], torch.matmul)
case("gemm", [r(2, 3), r(3, 4)], torch.matmul)
case("gemm, b transposed", [r(2, 3), r(4, 3), r(4)], lambda a, b, c: 0.5 * a @ b.T - 2 * c)
case("gemm, a transposed", [r(3, 2), r(3, 4), r(2, 1)], lambda a, b, c: 0.5 * a.T @ b + c)
case("gemm, both transposed", [r(3, 2), r(4, 3)], lambda a, b: 3 * a.T @ b.T)

# Moving elements.
case("transpose", [r(2, 3, 4)], lambda x: x.permute(2, 0, 1))
case("reshape", [r(2, 6)], lambda x: x.reshape(2, 3, 2))
case("reshape, two names moved", [r(4, 3, 2)], lambda x: x.reshape(12, 2))
case("reshapeLike", [r(12, 2), r(4, 3, 2)], lambda x, like: x.reshape(4, 3, 2))
case("concat", [r(2, 3), r(2, 1), r(2, 2)], lambda *parts: torch.cat(parts, 1))
case("concat, rows", [r(2, 3), r(4, 3)], lambda *parts: torch.cat(parts, 0))
case("split", [r(2, 6)], lambda x: tuple(part.contiguous() for part in x.split([2, 3, 1], 1)))
case("split, one part used", [r(2, 6)], lambda x: x[:, 2:5])
case("splitLike", [r(6, 2), r(4, 2), r(2, 2)], lambda x, a, b: x[4:] * b)
case("slice", [r(2, 5)], lambda x: x[:, 1:4])
case("slice, from the end", [r(5, 2)], lambda x: x[-2:])
case("slice, up to the end", [r(5, 2)], lambda x: x[1:-1])
case("slice, the first", [r(5, 2)], lambda x: x[:2])
case("sliceAt", [r(5, 2), i(1), i(4)], lambda x, a, b: x[1:4])
case("padTo", [r(3, 2)], lambda x: F.pad(x, (0, 0, 2, 1)))
case("expand", [r(2, 1)], lambda x: x.expand(3, 2, 4))
case("expandLike", [r(1, 3), r(2, 3)], lambda x, like: x.expand(2, 3))
case("unsqueeze", [r(2, 3)], lambda x: x[None, :, :, None])
case("squeeze", [r(2, 1, 3, 1)], lambda x: x[:, 0, :, 0])

# Summaries.
case("reduceSum", [r(2, 3, 4)], lambda x: x.sum((0, 2)))
case("reduceSum, axis kept", [r(2, 3)], lambda x: x.sum(-1, keepdim=True))
case("reduceSum, of squares", [r(2, 3)], lambda x: (x * x).sum())
case("reduceSum, of a stretched sum", [r(2, 3), r(3)], lambda a, b: (a + b).sum())
case("reduceMean", [r(2, 3, 4)], lambda x: x.mean((0, 1)))
case("reduceMean, axis kept", [r(2, 3)], lambda x: x.mean(-1, keepdim=True))
case("reduceMax", [r(2, 5)], lambda x: x.amax(1))
case("reduceMax, equal", [t([1.0, 3.0, 3.0], [2.0, 2.0, 2.0])], lambda x: x.amax(1, keepdim=True))
case("softmax", [r(3, 5)], lambda x: x.softmax(-1))
case("softmax, first axis", [r(3, 5)], lambda x: x.softmax(0))
case("softmax, masked", [r(2, 3), t([0.0, -torch.inf, 0.0], [0.0, -torch.inf, -torch.inf])], lambda x, m: (x + m).softmax(-1))
case("logsumexp", [r(3, 5) * 30], lambda x: x.logsumexp(-1))
case("logSoftmax", [r(3, 5)], lambda x: x.log_softmax(-1))
case("cumsum", [r(3, 5)], lambda x: x.cumsum(1))
case("cumsum, exclusive and reverse", [r(3, 5)], lambda x: x.flip(1).cumsum(1).flip(1) - x)
case("topk", [r(3, 6)], lambda x: x.topk(2).values)
case("topk, smallest of the first axis", [r(6, 3)], lambda x: x.topk(2, 0, largest=False).values)
case("layerNorm", [r(3, 8), r(8), r(8)], lambda x, w, b: F.layer_norm(x, (8,), w, b, 1e-5))
case("layerNorm, no bias", [r(2, 3, 8), r(8)], lambda x, w: F.layer_norm(x, (8,), w, None, 1e-5))
case("layerNorm, small input", [r(3, 8) * 1e-3, r(8), r(8)], lambda x, w, b: F.layer_norm(x, (8,), w, b, 1e-5))
case("rmsNorm", [r(2, 3, 8), r(8)], lambda x, w: F.rms_norm(x, (8,), w, 1e-5))
case("rmsNorm, small input", [r(3, 8) * 1e-3, r(8)], lambda x, w: F.rms_norm(x, (8,), w, 1e-5))

# By index.
case("gather", [r(4, 3), i(2, 0, 2, 1, 2)], lambda x, n: x[n])
case("gather, table of indices", [r(4, 3), i([2, 0], [2, 3])], lambda x, n: x[n])
case("gather, one index", [r(4, 3), torch.tensor(2)], lambda x, n: x[n])
case("gather, last axis", [r(4, 3), i(2, 2, 0, 1)], lambda x, n: x[:, n])
case("gatherElements", [r(3, 4), i([1, 1], [0, 3], [2, 2])], lambda x, n: x.gather(1, n))
case("scatterElements", [r(3, 4), i([1, 0], [0, 3], [2, 1]), r(3, 2)], lambda x, n, u: x.scatter(1, n, u))
case("scatterElements, added", [r(3, 4), i([1, 1], [0, 3], [2, 2]), r(3, 2)], lambda x, n, u: x.scatter_add(1, n, u))

# Rotary positions; last, so that the random numbers of the others stay.
def rotary(x, cos, sin):
    a, b, rest = x.tensor_split([cos.shape[1], 2 * cos.shape[1]], -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)


case("rotary", [r(5, 3, 8), r(5, 4), r(5, 4)], rotary)
case("rotary, part of a head", [r(5, 2, 16), r(5, 4), r(5, 4)], rotary)

target = pathlib.Path(__file__).parents[1] / "golden" / "op-gradients" / "op-gradients.safetensors"
target.parent.mkdir(parents=True, exist_ok=True)
save_file({name: x.detach().clone() for name, x in tensors.items()}, target, metadata={"torch": torch.__version__})
print(f"{len({name.split('/')[0] for name in tensors})} cases, {target.stat().st_size} bytes")
