"""Losses and gradients of small nets by PyTorch in double, for tests/lib/autodiff/pytorch_test.cpp.

Prints one line a value: <net> <name> <numbers>. Parameters and inputs are those of `values` below, which the test
calculates likewise; parameters of a net are numbered in the order of its list.
"""
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def values(shape, stream):
    count = math.prod(shape)
    return torch.tensor([math.sin(0.37 * (i + 1) * (1 + 0.1 * stream) + stream) for i in range(count)]).reshape(shape)


def residual_net(x, p):
    h = F.conv2d(x, p["w1"], p["b1"], stride=1, padding=1)
    h = F.relu(F.batch_norm(h, torch.zeros(4), torch.ones(4), p["s1"], p["o1"], training=True, eps=2.0**-10))
    k = F.conv2d(h, p["w2"], None, padding=1, groups=4)
    k = F.hardswish(F.batch_norm(k, torch.zeros(4), torch.ones(4), p["s2"], p["o2"], training=True, eps=2.0**-16))
    h = F.max_pool2d(h + k, 2, 2, ceil_mode=True)
    gate = torch.sigmoid(F.conv2d(F.adaptive_avg_pool2d(h, 1), p["w3"], p["b3"]))
    h = torch.flatten(h * gate, 1)
    return F.linear(h, p["w4"], p["b4"])


def plain_net(x, p):
    h = F.leaky_relu(F.conv2d(x, p["w1"], p["b1"], stride=2, dilation=2, padding=2), 0.125)
    h = F.avg_pool2d(h, 3, 2, padding=1, count_include_pad=True)
    h = torch.cat([torch.tanh(h), F.relu6(4 * h)], 1).mean((2, 3))
    return h @ p["w2"] + p["b2"]


RESIDUAL = {"w1": (4, 2, 3, 3), "b1": (4,), "s1": (4,), "o1": (4,), "w2": (4, 1, 3, 3), "s2": (4,), "o2": (4,),
            "w3": (4, 4, 1, 1), "b3": (4,), "w4": (3, 36), "b4": (3,)}
PLAIN = {"w1": (3, 2, 3, 3), "b1": (3,), "w2": (6, 3), "b2": (3,)}
LABELS = torch.tensor([0, 2, 1, 2])


def cross_entropy(y):
    return F.cross_entropy(y, LABELS)


def weighted(y):
    return F.cross_entropy(y, LABELS, weight=torch.tensor([0.5, 1.0, 2.0]), ignore_index=1)


def distillation(y):
    t = 2.0
    teacher = values((4, 3), 50)
    return t * t * F.kl_div(F.log_softmax(y / t, 1), F.softmax(teacher / t, 1), reduction="batchmean")


def mse(y):
    return F.mse_loss(y, values((4, 3), 51))


def show(net, name, tensor):
    print(net, name, *(f"{v:.17g}" for v in tensor.detach().flatten().tolist()))


def run(name, net, shapes, loss, steps):
    x = values((4, 2, 5, 5), 99)
    p = {k: values(s, i) for i, (k, s) in enumerate(shapes.items())}
    p = {k: (1 + 0.5 * v if k[0] == "s" else v).requires_grad_() for k, v in p.items()}  # scales
    for step in range(steps):
        for v in p.values():
            v.grad = None
        result = loss(net(x, p))
        result.backward()
        show(name, f"loss{step}", result)
        if step == 0:
            for k, v in p.items():
                show(name, k, v.grad)
        with torch.no_grad():
            for v in p.values():
                v -= 0.05 * v.grad


run("residual", residual_net, RESIDUAL, cross_entropy, 5)
run("residual_weighted", residual_net, RESIDUAL, weighted, 1)
run("plain", plain_net, PLAIN, cross_entropy, 5)
run("plain_distillation", plain_net, PLAIN, distillation, 5)
run("plain_mse", plain_net, PLAIN, mse, 5)
