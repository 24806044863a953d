"""Makes the losses in tests/lib/train/trainer_test.cpp (FollowsPyTorchStepByStep): a small CNN with BatchNorm, all samples
in one batch, five epochs.

    python3 tests/golden/training.py
"""
import math

import torch


def wave(count, seed, scale):
    return torch.tensor([scale * math.sin(1.7 * i + seed) for i in range(count)], dtype=torch.float64).float()


def net():
    conv, norm, full = torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.Linear(100, 3)
    with torch.no_grad():
        conv.weight.copy_(wave(72, 1, 0.5).view(4, 2, 3, 3))
        conv.bias.copy_(wave(4, 2, 0.1))
        full.weight.copy_(wave(300, 3, 0.3).view(3, 100))
        full.bias.copy_(wave(3, 4, 0.1))
    return torch.nn.Sequential(conv, norm, torch.nn.ReLU(), torch.nn.Flatten(), full)


x = wave(12 * 2 * 5 * 5, 5, 1.0).view(12, 2, 5, 5)
y = torch.tensor([i * 7 % 3 for i in range(12)])
CASES = [
    ("sgd", lambda p: torch.optim.SGD(p, lr=0.05)),
    ("momentum", lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=0.01)),
    ("adamw", lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1)),
]
for name, make in CASES:
    model = net().train()
    optimizer = make(model.parameters())
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(name, ", ".join(f"{value:.6f}" for value in losses))
