"""How large a network is: parameters, and multiply-accumulates of one example."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from distill.students.ngram import Ngram


def parameters(net: nn.Module) -> int:
    """Learnt numbers, batch norm's two a channel among them."""
    return sum(p.numel() for p in net.parameters())


def macs(net: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of convolutions and linear layers for one picture of that side."""
    training = net.training
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            net.eval()(torch.zeros(1, image_size, image_size, 3, dtype=torch.uint8))
    finally:
        net.train(training)
    return counter.get_total_flops() // 2  # a multiplication and an addition are two


def text_macs(net: Ngram, length: int) -> int:
    """Multiply-accumulates of one word of `length` letters: hashes, scaled rows, linear layers."""
    codes = torch.full((1, length), ord("a"), dtype=torch.int32)
    windows, _ = net.windows(codes)
    orders, width, _ = net.multipliers.shape
    hashes = (length + 1) * 2 * orders * 3 * width  # a hash and a mask of halves and flags each
    dense = net.hidden.weight.numel() + net.output.weight.numel()
    return hashes + dense + len(windows) * net.table.shape[1]
