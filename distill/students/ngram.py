"""A feed-forward net over hashed character n-grams: code points in, logits out.

Botha et al. 2017, "Natural Language Processing with Small Feed-Forward Networks", section 3.1: one
embedding table for each order of n-gram, rows chosen by a hash, averaged over the text, one hidden
layer, no biases: a text without letters has the same logit everywhere, a short one small logits.
Ours differs in four ways: the hash is exact integer arithmetic that an ONNX graph can do, so the
file reads raw code points; the rows are summed and divided by the square root of their
number, so that a longer text weighs more; the scripts of the letters may be a group beside the
orders (CLD3 has two such); and it is distilled. docs/ngrams.md specifies the hash for other
programs.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.students.letters import LIMIT, PAGE, SCRIPTS, letters

ORDERS = 5  # n-grams of 1 to 5 characters
MULTIPLIERS = (  # A[n-1][k]: of the k-th character in the hash of an n-gram; fixed, odd, < 2**30
    (805306457, 0, 0, 0, 0),
    (594209387, 741103597, 0, 0, 0),
    (381625079, 947502013, 223092871, 0, 0),
    (668265263, 129841567, 883471019, 510510511, 0),
    (275604541, 999331697, 437904203, 716254273, 152435963),
)


class Ngram(nn.Module):
    """int32 code points (n, length), padded with 0, to float32 logits (n, classes).

    unigrams .. fivegrams: rows of each order, primes; 0: the order is left out. scripts: 1, or 0
    to leave them out. dim: numbers a row; hidden: units of the one ReLU layer. Fetching rows
    is most of the time: fewer groups are faster. Row 0 of `table` stays zero, the scripts' rows
    follow, then the orders'.
    """

    top: Tensor
    entries: Tensor
    delta: Tensor
    scripts: Tensor
    orders: Tensor
    multipliers: Tensor
    rows: Tensor
    offsets: Tensor

    def __init__(
        self,
        classes: int,
        unigrams: int = 0,  # rows of the table for single letters, a prime; 0: left out
        bigrams: int = 0,  # the same for pairs of letters
        trigrams: int = 0,  # for three letters
        quadrigrams: int = 0,  # for four letters
        fivegrams: int = 0,  # for five letters
        scripts: int = 1,  # 1: a row for each script too; 0: none
        dim: int = 16,  # numbers a row
        hidden: int = 208,  # units of the one layer between rows and answers
    ) -> None:
        super().__init__()
        rows = {1: unigrams, 2: bigrams, 3: trigrams, 4: quadrigrams, 5: fivegrams}
        rows = {order: count for order, count in rows.items() if count}
        _check(rows, scripts)
        first = 1 + len(SCRIPTS) * scripts
        found, counts = letters(), list(rows.values())
        self._keep("top", found.top)
        self._keep("entries", found.entries)
        self._keep("delta", found.delta)
        self._keep("scripts", found.script * scripts)
        self._keep("orders", np.array(list(rows), np.int64))
        self._keep("multipliers", np.array([MULTIPLIERS[n - 1] for n in rows], np.int64))
        self._keep("rows", np.array(counts, np.int64))
        self._keep("offsets", np.cumsum([first, *counts[:-1]]).astype(np.int64))
        self.groups = ([0] if scripts else []) + list(rows)  # 0: the scripts
        self.table = nn.Parameter(torch.randn(first + sum(counts), dim) * 0.1)
        self.table.data[0] = 0
        self.hidden = nn.Linear(len(self.groups) * dim, hidden, bias=False)
        self.output = nn.Linear(hidden, classes, bias=False)

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(array.copy()))

    def forward(self, codepoints: Tensor) -> Tensor:
        index, counts = self.windows(codepoints)
        ends = torch.cumsum(counts.reshape(-1), 0)
        sums = F.embedding_bag(index, self.table, ends - counts.reshape(-1), mode="sum")
        scale = counts.clamp_min(1).sqrt().unsqueeze(2)
        scaled = sums.view(*counts.shape, self.table.shape[1]) / scale
        return self.output(F.relu(self.hidden(scaled.flatten(1))))

    def windows(self, codepoints: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of `table` int64 (total,), by text and group, and how many of each (n, groups)."""
        codes = codepoints.clamp(0, LIMIT - 1).long()
        entry = self.entries[(self.top[codes // PAGE] + codes % PAGE).long()].long()
        letter = F.pad((codes + self.delta[entry]).clamp_min(0), (1, ORDERS - 1))
        window = letter.unfold(1, ORDERS, 1)  # (n, length + 1, 5)
        hashed = self._hash(window)
        if 0 in self.groups:
            hashed = torch.cat([F.pad(self.scripts[entry], (1, 0)).unsqueeze(1), hashed], 1)
        valid = _valid(window == 0, self.groups)
        return hashed[valid], valid.sum(2)

    def _hash(self, window: Tensor) -> Tensor:
        """Rows int64 (n, orders, places) of windows (n, places, 5), valid or not."""
        sums = []
        for multipliers in self.multipliers:
            sums.append(window[..., 0] * multipliers[0])
            for k in range(1, ORDERS):
                if multipliers[k]:
                    sums[-1] = sums[-1] + window[..., k] * multipliers[k]
        return torch.stack(sums, 1) % self.rows[:, None] + self.offsets[:, None]

    def parts(self) -> dict[str, np.ndarray]:
        """All that makes up the net, as arrays: the fields of export.ngram.Parts."""
        buffers = {name: value.cpu().numpy() for name, value in self.named_buffers()}
        learnt = {name.replace(".", "_"): p.detach().cpu() for name, p in self.named_parameters()}
        return buffers | {name: value.numpy() for name, value in learnt.items()}


def _valid(edge: Tensor, groups: list[int]) -> Tensor:
    """Which windows count, bool (n, groups, places); edge bool (n, places, 5).

    An n-gram has letters inside; only its ends may be boundaries, and of two not both.
    """
    first, second = edge[..., 0], edge[..., 1]
    inside = second
    valid = [~first, ~first, ~(first & second), ~inside]
    for k in range(2, ORDERS - 1):
        inside = inside | edge[..., k]
        valid.append(~inside)
    return torch.stack([valid[group] for group in groups], 1)


def _check(rows: dict[int, int], scripts: int) -> None:
    if not rows or scripts not in (0, 1):
        raise ValueError("an order of n-grams is needed, and scripts is 0 or 1")
    for count in rows.values():
        if count < 2 or any(count % d == 0 for d in range(2, int(count**0.5) + 1)):
            raise ValueError(f"a table's rows must be a prime, {count} is none")
