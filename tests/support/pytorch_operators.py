"""Gradients of single operators by PyTorch in double, for tests/lib/autodiff/pytorch_operators_test.cpp, which has the same
operators as graphs in text form, by name.

Prints one line a value: <case> <input or "loss"> <numbers>. The loss is the mean squared distance of the result from
values(shape, 51). Inputs are values(shape, position); those whose name begins with s lie around 1.
"""
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def values(shape, stream):
    count = math.prod(shape)
    return torch.tensor([math.sin(0.37 * (i + 1) * (1 + 0.1 * stream) + stream) for i in range(count)]).reshape(shape)


def lstm(x, w, r, b, reverse=False):
    """ONNX's gates i, o, f, c; x [T, N, I], w [4H, I], r [4H, H], b [8H]."""
    hidden = r.shape[1]
    h = c = torch.zeros(x.shape[1], hidden)
    out = []
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        gates = x[t] @ w.T + h @ r.T + b[: 4 * hidden] + b[4 * hidden:]
        i, o, f, g = gates.split(hidden, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        out.append(h)
    return torch.stack(out[::-1] if reverse else out)


def gru(x, w, r, b, linear_before_reset):
    """ONNX's gates z, r, h."""
    n = r.shape[1]
    h = torch.zeros(x.shape[1], n)
    out = []
    for t in range(len(x)):
        a, wb, rb = x[t] @ w.T, b[: 3 * n], b[3 * n:]
        z = torch.sigmoid(a[:, :n] + h @ r[:n].T + wb[:n] + rb[:n])
        q = torch.sigmoid(a[:, n:2 * n] + h @ r[n:2 * n].T + wb[n:2 * n] + rb[n:2 * n])
        if linear_before_reset:
            g = torch.tanh(a[:, 2 * n:] + wb[2 * n:] + q * (h @ r[2 * n:].T + rb[2 * n:]))
        else:
            g = torch.tanh(a[:, 2 * n:] + wb[2 * n:] + (q * h) @ r[2 * n:].T + rb[2 * n:])
        h = (1 - z) * g + z * h
        out.append(h)
    return torch.stack(out)


def rnn(x, w, r, b):
    n = r.shape[1]
    h = torch.zeros(x.shape[1], n)
    out = []
    for t in range(len(x)):
        h = torch.tanh(x[t] @ w.T + h @ r.T + b[:n] + b[n:])
        out.append(h)
    return torch.stack(out)


def interpolate(mode, size=None, scale=None, align=None):
    return lambda x: F.interpolate(x, size=size, scale_factor=scale, mode=mode, align_corners=align)


def class_loss(function, **options):
    return lambda x: function(x, torch.tensor([[0, 2, 1], [3, 1, 2]]), **options)


def straight_through(x, scale, low, high):
    """Rounded to multiples of `scale` within [low, high] of them; slope 1 there, and 0 outside."""
    q = (x / scale).round()
    inside = ((q >= low) & (q <= high)).to(x.dtype)
    return (q.clamp(low, high) * scale - x * inside).detach() + x * inside


SMALL = {"x": (3, 7)}
IMAGE = {"x": (2, 4, 5, 6)}
SIGNAL = {"x": (2, 4, 3)}
COS, SIN = torch.tensor([[0.5, 1], [2, 0.25], [-1, 3]]), torch.tensor([[1, -2], [0.5, 4], [0.75, 1]])
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 0.25])

CASES = {
    "hard_swish": (SMALL, lambda x: F.hardswish(4 * x)),
    "hard_sigmoid": (SMALL, lambda x: (0.75 * x + 0.5).clamp(0, 1)),
    "prelu": ({"x": (2, 3, 4), "w": (3, 1)}, lambda x, w: torch.where(x < 0, w * x, x)),
    "elu": (SMALL, lambda x: F.elu(x, 1.5)),
    "celu": (SMALL, lambda x: F.celu(x, 2.0)),
    "selu": (SMALL, lambda x: 1.25 * torch.where(x > 0, x, 1.75 * (x.exp() - 1))),
    "softplus": (SMALL, F.softplus),
    "softsign": (SMALL, F.softsign),
    "mish": (SMALL, F.mish),
    "gelu": (SMALL, F.gelu),
    "gelu_tanh": (SMALL, lambda x: F.gelu(x, approximate="tanh")),
    "softmax": (IMAGE, lambda x: F.softmax(x, 1)),
    "log_softmax": (IMAGE, lambda x: F.log_softmax(x, 2)),
    "instance_normalization": ({"x": (2, 4, 5, 6), "s": (4,), "b": (4,)}, lambda x, s, b: F.instance_norm(x, weight=s, bias=b, eps=2.0**-10)),
    "group_normalization": ({"x": (2, 4, 5, 6), "s": (4,), "b": (4,)}, lambda x, s, b: F.group_norm(x, 2, s, b, 2.0**-10)),
    "layer_normalization": ({"x": (2, 4, 5, 6), "s": (5, 6), "b": (5, 6)}, lambda x, s, b: F.layer_norm(x, (5, 6), s, b, 2.0**-10)),
    "rms_normalization": ({"x": (2, 4, 6), "s": (6,)}, lambda x, s: F.rms_norm(x, (6,), s, 2.0**-10)),
    "mean_variance_normalization": (IMAGE, lambda x: (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True).sqrt() + 1e-9)),
    "lrn": (IMAGE, lambda x: F.local_response_norm(x, 3, alpha=0.5, beta=0.75, k=1.5)),
    "lp_normalization": (IMAGE, lambda x: F.normalize(x, dim=1)),
    "resize_nearest": (IMAGE, interpolate("nearest", scale=2)),
    "resize_linear": (IMAGE, interpolate("bilinear", size=(9, 4), align=False)),
    "resize_align_corners": (IMAGE, interpolate("bilinear", size=(9, 4), align=True)),
    "resize_cubic": (IMAGE, interpolate("bicubic", size=(9, 11), align=False)),
    "resize_1d": (SIGNAL, interpolate("linear", size=7, align=False)),
    "conv_transpose": ({"x": (2, 4, 3, 4), "w": (4, 3, 3, 2), "b": (3,)}, lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1)),
    "conv_transpose_groups": ({"x": (2, 4, 3, 4), "w": (4, 3, 2, 2)}, lambda x, w: F.conv_transpose2d(x, w, groups=2, dilation=2)),
    "conv_transpose_1d": ({"x": (2, 4, 5), "w": (4, 2, 3)}, lambda x, w: F.conv_transpose1d(x, w, stride=3)),
    "conv_transpose_3d": ({"x": (1, 2, 2, 3, 2), "w": (2, 3, 2, 2, 2)}, lambda x, w: F.conv_transpose3d(x, w, stride=2)),
    "reduce_max": (IMAGE, lambda x: x.amax((1, 3))),
    "reduce_min": (IMAGE, lambda x: x.amin((1, 3))),
    "reduce_prod": (SIGNAL, lambda x: x.prod(1)),
    "reduce_log_sum_exp": (IMAGE, lambda x: x.logsumexp((1, 2))),
    "reduce_l1": (IMAGE, lambda x: x.abs().sum(2)),
    "reduce_l2": (IMAGE, lambda x: (x * x).sum((1, 2)).sqrt()),
    "reduce_sum_square": (IMAGE, lambda x: (x * x).sum(0)),
    "global_max_pool": (IMAGE, lambda x: x.amax((2, 3), keepdim=True)),
    "max_pool_dilated": (IMAGE, lambda x: F.max_pool2d(x, 2, stride=1, dilation=2, padding=1)),
    "max_pool_ceil": (IMAGE, lambda x: F.max_pool2d(x, 2, stride=2, ceil_mode=True)),
    "average_pool": (IMAGE, lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)),
    "lp_pool": (IMAGE, lambda x: (F.avg_pool2d(x * x, (2, 3)) * 6).sqrt()),
    "depth_to_space": (IMAGE, lambda x: F.pixel_shuffle(x, 2)),
    "space_to_depth": ({"x": (1, 1, 4, 6)}, lambda x: F.pixel_unshuffle(x, 2)),
    "cum_sum": (SIGNAL, lambda x: x.flip(1).cumsum(1).flip(1)),
    "cum_prod": (SIGNAL, lambda x: x.cumprod(1)),
    "einsum": ({"a": (2, 3, 4), "b": (2, 5, 4)}, lambda a, b: torch.einsum("bik,bjk->bij", a, b)),
    "einsum_three": ({"a": (2, 3), "b": (3, 4), "c": (4, 2)}, lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c)),
    "einsum_diagonal": ({"a": (3, 3), "b": (3, 4)}, lambda a, b: torch.einsum("ii,ij->j", a, b)),
    "grid_sample": ({"x": (2, 3, 4, 5), "g": (2, 3, 3, 2)}, lambda x, g: F.grid_sample(x, g, align_corners=False)),
    "grid_sample_border": ({"x": (2, 3, 4, 5), "g": (2, 3, 3, 2)}, lambda x, g: F.grid_sample(x, 1.5 * g, padding_mode="border", align_corners=True)),
    "grid_sample_reflection": ({"x": (2, 3, 4, 5), "g": (2, 3, 3, 2)}, lambda x, g: F.grid_sample(x, 1.5 * g, padding_mode="reflection", align_corners=False)),
    "where": ({"x": (2, 1, 3), "z": (4, 3)}, lambda x, z: torch.where(torch.tensor([True, False, True]), x, z)),
    "expand": ({"x": (2, 1, 3)}, lambda x: x.expand(2, 4, 3)),
    "tile": (SIGNAL, lambda x: x.tile(1, 2, 3)),
    "tril": (SIGNAL, torch.tril),
    "triu": (SIGNAL, lambda x: torch.triu(x, 1)),
    "gather": ({"x": (4, 3, 2)}, lambda x: x[:, torch.tensor([[0, 2], [2, 2]])]),
    "gather_elements": ({"x": (3, 3)}, lambda x: x.gather(1, torch.tensor([[0, 0], [2, 1], [1, 1]]))),
    "gather_nd": ({"x": (3, 3, 2)}, lambda x: x[torch.tensor([0, 2, 0]), torch.tensor([1, 1, 1])]),
    "scatter_elements": ({"x": (3, 3), "u": (2, 3)}, lambda x, u: x.scatter(0, torch.tensor([[0, 1, 2], [2, 0, 1]]), u)),
    "scatter_add": ({"x": (3, 3), "u": (2, 3)}, lambda x, u: x.scatter_add(0, torch.tensor([[0, 1, 2], [0, 0, 2]]), u)),
    "scatter_nd": ({"x": (4, 3), "u": (2, 3)}, lambda x, u: torch.stack([x[0], u[1], x[2], u[0]])),
    "pad_reflect": (IMAGE, lambda x: F.pad(x, (2, 1, 0, 2), mode="reflect")),
    "pow": ({"s": (3, 4), "z": (4,)}, lambda s, z: s**z),
    "det": ({"x": (2, 3, 3)}, torch.linalg.det),
    "lstm": ({"x": (3, 2, 3), "w": (8, 3), "r": (8, 2), "b": (16,)}, lstm),
    "lstm_reverse": ({"x": (3, 2, 3), "w": (8, 3), "r": (8, 2), "b": (16,)}, lambda *a: lstm(*a, reverse=True)),
    "gru": ({"x": (3, 2, 3), "w": (6, 3), "r": (6, 2), "b": (12,)}, lambda *a: gru(*a, False)),
    "gru_linear": ({"x": (3, 2, 3), "w": (6, 3), "r": (6, 2), "b": (12,)}, lambda *a: gru(*a, True)),
    "rnn": ({"x": (3, 2, 3), "w": (2, 3), "r": (2, 2), "b": (4,)}, rnn),
    "attention": ({"q": (2, 2, 3, 4), "k": (2, 2, 5, 4), "v": (2, 2, 5, 3), "m": (3, 5)},
                  lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m)),
    "attention_causal": ({"q": (2, 2, 3, 4), "k": (2, 2, 3, 4), "v": (2, 2, 3, 3)},
                         lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
    "attention_grouped": ({"q": (2, 4, 3, 4), "k": (2, 2, 5, 4), "v": (2, 2, 5, 3)},
                          lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)),
    "cross_entropy": (SIGNAL, class_loss(F.cross_entropy)),
    "cross_entropy_weighted": (SIGNAL, class_loss(F.cross_entropy, weight=WEIGHTS)),
    "cross_entropy_ignore": (SIGNAL, class_loss(F.cross_entropy, weight=WEIGHTS, ignore_index=2)),
    "cross_entropy_sum": (SIGNAL, class_loss(F.cross_entropy, weight=WEIGHTS, reduction="sum")),
    "cross_entropy_none": (SIGNAL, class_loss(F.cross_entropy, ignore_index=1, reduction="none")),
    "nll": (SIGNAL, class_loss(F.nll_loss)),
    "nll_weighted": (SIGNAL, class_loss(F.nll_loss, weight=WEIGHTS, ignore_index=2)),
    "nll_sum": (SIGNAL, class_loss(F.nll_loss, weight=WEIGHTS, reduction="sum")),
    "nll_none": (SIGNAL, class_loss(F.nll_loss, ignore_index=1, reduction="none")),
    "abs": (SMALL, torch.abs),
    "atan": (SMALL, torch.atan),
    "asinh": (SMALL, torch.asinh),
    "cos": (SMALL, torch.cos),
    "cosh": (SMALL, torch.cosh),
    "erf": (SMALL, torch.erf),
    "exp": (SMALL, torch.exp),
    "neg": (SMALL, torch.neg),
    "sin": (SMALL, torch.sin),
    "sinh": (SMALL, torch.sinh),
    "tan": (SMALL, torch.tan),
    "acos": (SMALL, lambda x: torch.acos(0.875 * x)),
    "asin": (SMALL, lambda x: torch.asin(0.875 * x)),
    "atanh": (SMALL, lambda x: torch.atanh(0.875 * x)),
    "log": ({"s": (3, 7)}, torch.log),
    "sqrt": ({"s": (3, 7)}, torch.sqrt),
    "reciprocal": ({"s": (3, 7)}, torch.reciprocal),
    "acosh": ({"s": (3, 7)}, lambda s: torch.acosh(1 + s)),
    "floor": (SMALL, lambda x: x * torch.floor(3 * x)),
    "ceil": (SMALL, lambda x: x * torch.ceil(3 * x)),
    "round": (SMALL, lambda x: x * torch.round(3 * x)),
    "sign": (SMALL, lambda x: x * torch.sign(3 * x)),
    "sub": ({"x": (2, 1, 3), "z": (4, 3)}, torch.sub),
    "div": ({"x": (2, 1, 3), "s": (4, 3)}, torch.div),
    "max": ({"x": (2, 1, 3), "z": (4, 3)}, torch.maximum),
    "min": ({"x": (2, 1, 3), "z": (4, 3)}, torch.minimum),
    "fmod": ({"x": (2, 1, 3), "s": (4, 3)}, lambda x, s: torch.fmod(3 * x, s)),
    "sum": ({"x": (2, 1, 3), "z": (4, 3), "q": (3,)}, lambda x, z, q: x + z + q),
    "mean": ({"x": (2, 1, 3), "z": (4, 3), "q": (3,)}, lambda x, z, q: (x + z + q) / 3),
    "reduce_sum": (IMAGE, lambda x: x.sum((0, 2))),
    "reduce_log_sum": ({"s": (2, 4, 3)}, lambda s: s.sum(2).log()),
    "reshape_transpose": (SIGNAL, lambda x: x.reshape(4, 6).t() * x.flatten()[0]),
    "slice": (IMAGE, lambda x: x[:, 1:3, :, 1::2]),
    "split": (IMAGE, lambda x: x[:, :, :, :2] * x[:, :, :, 2:4] + x[:, :, :, 4:]),
    "top_k": (SMALL, lambda x: x.topk(3, 1, largest=False)[0]),
    "thresholded_relu": (SMALL, lambda x: F.threshold(x, 0.25, 0)),
    "soft_shrink": (SMALL, lambda x: F.softshrink(x, 0.25)),
    "hard_shrink": (SMALL, lambda x: F.hardshrink(x, 0.25)),
    "swish": (SMALL, F.silu),
    "dft": ({"x": (2, 5)}, lambda x: torch.view_as_real(torch.fft.fft(x, n=7))),
    "stft": ({"x": (2, 11), "w": (4,)}, lambda x, w: torch.view_as_real(torch.stft(x, 4, 3, window=torch.tensor([0.5, 1, 2, 0.25]), center=False, return_complex=True)).transpose(1, 2) + 0 * w.sum()),
    "affine_grid": ({"x": (2, 2, 3)}, lambda x: F.affine_grid(x, (2, 1, 3, 4), align_corners=False)),
    "max_unpool": ({"x": (1, 1, 2, 2)}, lambda x: F.max_unpool2d(x, torch.tensor([[[[5, 7], [13, 15]]]]), 2)),
    "col2im": ({"x": (2, 12, 6)}, lambda x: F.fold(x, (4, 5), (2, 3), stride=(2, 2), padding=(0, 1))),
    "compress": (SIGNAL, lambda x: x[:, [0, 3]]),
    "center_crop_pad": (SIGNAL, lambda x: F.pad(x[:, 1:3], (1, 1))),
    "reverse_sequence": ({"x": (3, 4, 2)}, lambda x: torch.stack([x[0].flip(0), x[1], torch.cat([x[2, :3].flip(0), x[2, 3:]])])),
    "rotary_embedding": ({"x": (1, 2, 3, 4)}, lambda x: torch.cat([COS * x[..., :2] - SIN * x[..., 2:], SIN * x[..., :2] + COS * x[..., 2:]], -1)),
    "upsample": (IMAGE, interpolate("nearest", scale=2)),
    "global_lp_pool": (IMAGE, lambda x: (x.abs() ** 3).sum((2, 3), keepdim=True) ** (1 / 3)),
    "hardmax": (SMALL, lambda x: x * F.one_hot(x.argmax(1), 7)),
    "if": ({"x": (3, 7), "z": (7,)}, lambda x, z: torch.exp(x * z)),
    "scatter_rows": ({"x": (3, 3), "u": (2, 3)}, lambda x, u: x.scatter(0, torch.tensor([[0, 1, 2], [2, 0, 1]]), u)),
    "quantize": ({"x": (3, 7)}, lambda x: straight_through(x, 0.0078125, -192, 63)),
    "batch_norm_statistics": ({"x": (2, 4, 3), "s": (4,), "b": (4,), "m": (4,), "sv": (4,)}, lambda x, s, b, m, sv: s[:, None] * (x - m[:, None]) / (sv[:, None] + 2.0**-10).sqrt() + b[:, None]),
    "log_prob": (SIGNAL, lambda x: F.log_softmax(x, 1) * F.cross_entropy(x, torch.tensor([[0, 2, 1], [3, 1, 2]]))),
    "attention_scores": ({"q": (2, 2, 3, 4), "k": (2, 2, 5, 4), "v": (2, 2, 5, 3)}, lambda q, k, v: torch.tanh(q @ k.transpose(2, 3)) * (torch.softmax(torch.tanh(q @ k.transpose(2, 3)), 3) @ v).mean()),
}

for case, (shapes, function) in CASES.items():
    inputs = [values(shape, i) for i, shape in enumerate(shapes.values())]
    inputs = [(1 + 0.5 * v if name[0] == "s" else v).requires_grad_() for name, v in zip(shapes, inputs)]
    y = function(*inputs)
    loss = F.mse_loss(y, values(y.shape, 51))
    loss.backward()
    print(case, "loss", f"{loss.item():.17g}")
    for name, v in zip(shapes, inputs):
        print(case, name, *(f"{g:.17g}" for g in v.grad.flatten().tolist()))
