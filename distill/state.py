"""What a network holds, as one hash."""

from __future__ import annotations

import hashlib
import json

import torch
from torch import nn


def sha256(net: nn.Module) -> str:
    """Of its state: names, shapes and numbers, whatever file they came in."""
    found = hashlib.sha256()
    for name, value in net.state_dict().items():
        if not isinstance(value, torch.Tensor):  # extra state of a layer
            found.update(json.dumps([name, repr(value)]).encode())
            continue
        kind = str(value.dtype).removeprefix("torch.")
        found.update(json.dumps([name, kind, list(value.shape)]).encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        found.update(flat.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
