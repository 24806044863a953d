"""Makes the table in tests/lib/train/optimizer_test.cpp: four weights after three steps, from PyTorch.

    python3 tests/golden/optimizers.py

Where PyTorch has no such rule (averaged momentum from a zero velocity, Adam without bias correction), the equations of
lib/train's headers are written out below.
"""
import numpy
import torch

WEIGHTS = [1.0, -2.0, 0.5, 0.0]
GRADIENTS = [[0.5, -1.0, 0.25, 0.0], [-0.3, 2.0, 0.1, 0.0], [0.2, 0.4, -3.0, 0.0]]


def by_torch(make):
    w = torch.tensor(WEIGHTS, requires_grad=True)
    optimizer = make([w])
    for g in GRADIENTS:
        w.grad = torch.tensor(g)
        optimizer.step()
    return w.detach().numpy()


def averaged(mu, lr):
    w, v = numpy.array(WEIGHTS), numpy.zeros(4)
    for g in numpy.array(GRADIENTS):
        v = mu * v + (1 - mu) * g
        w = w - lr * v
    return w


def uncorrected_adam(lr, beta1=0.9, beta2=0.999, eps=1e-8):
    w, m, v = numpy.array(WEIGHTS), numpy.zeros(4), numpy.zeros(4)
    for g in numpy.array(GRADIENTS):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        w = w - lr * m / (numpy.sqrt(v) + eps)
    return w


def l1(lr, strength):
    w = numpy.array(WEIGHTS)
    for g in numpy.array(GRADIENTS):
        w = w - lr * (g + strength * numpy.sign(w))
    return w


optim = torch.optim
ROWS = [  # optimizer, lr, l1, l2, weight_decay, values
    ("sgd", 0.1, 0, 0, 0, by_torch(lambda p: optim.SGD(p, lr=0.1))),
    ("sgd", 0.1, 0, 0.2, 0, by_torch(lambda p: optim.SGD(p, lr=0.1, weight_decay=0.2))),
    ("sgd", 0.1, 0.3, 0, 0, l1(0.1, 0.3)),
    ("momentum", 0.1, 0, 0, 0, by_torch(lambda p: optim.SGD(p, lr=0.1, momentum=0.9))),
    ("momentum{mu=0.5}", 0.1, 0, 0.2, 0, by_torch(lambda p: optim.SGD(p, lr=0.1, momentum=0.5, weight_decay=0.2))),
    ("momentum{mu=0.9 averaged=1}", 0.1, 0, 0, 0, averaged(0.9, 0.1)),
    ("nesterov", 0.1, 0, 0, 0, by_torch(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True))),
    ("adam", 0.1, 0, 0, 0, by_torch(lambda p: optim.Adam(p, lr=0.1))),
    ("adam{beta1=0.8 beta2=0.9 eps=0.01}", 0.1, 0, 0.2, 0,
     by_torch(lambda p: optim.Adam(p, lr=0.1, betas=(0.8, 0.9), eps=0.01, weight_decay=0.2))),
    ("adam{correct=0}", 0.01, 0, 0, 0, uncorrected_adam(0.01)),
    ("adamw", 0.1, 0, 0, 0.2, by_torch(lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.2))),
    ("adagrad", 0.1, 0, 0, 0, by_torch(lambda p: optim.Adagrad(p, lr=0.1))),
    ("rmsprop", 0.01, 0, 0, 0, by_torch(lambda p: optim.RMSprop(p, lr=0.01))),
    ("rmsprop{alpha=0.9 mu=0.9}", 0.01, 0, 0, 0, by_torch(lambda p: optim.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.9))),
]

for name, lr, one, two, decay, values in ROWS:
    numbers = ", ".join(f"{v:.7g}f" if "." in f"{v:.7g}" or "e" in f"{v:.7g}" else f"{v:.7g}" for v in values)
    print(f'    {{"{name}", {lr}, {one}, {two}, {decay}, {{{numbers}}}}},')
