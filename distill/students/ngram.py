"""A feed-forward net over hashed character n-grams: code points in, logits out.

Botha et al. 2017, "Natural Language Processing with Small Feed-Forward Networks", section 3.1: one
embedding table for each order of n-gram, rows chosen by a hash, averaged over the text, one hidden
layer. Ours differs in four ways: the hash is exact integer arithmetic that an ONNX graph can do,
so the file reads raw code points; the rows are summed and divided by the square root of their
number, so that a longer text weighs more; the scripts of the letters are a sixth table (CLD3 has
two such); and it is distilled. docs/ngrams.md specifies the hash for other programs.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.students.letters import LIMIT, PAGE, SCRIPTS, letters

ORDERS = 5  # n-grams of 1 to 5 characters
GROUPS = ORDERS + 1  # with the scripts
MULTIPLIERS = (  # A[n-1][k]: of the k-th character in the hash of an n-gram; random, below 2**30
    (805306457, 0, 0, 0, 0),
    (594209387, 741103597, 0, 0, 0),
    (381625079, 947502013, 223092871, 0, 0),
    (668265263, 129841567, 883471019, 510510511, 0),
    (275604541, 999331697, 437904203, 716254273, 152435963),
)


class Ngram(nn.Module):
    """int32 code points (n, length), padded with 0, to float32 logits (n, classes).

    unigrams .. fivegrams: rows of each order's table, primes; dim: numbers a row; hidden: units of
    the one ReLU layer. Row 0 of `table` stays zero, the scripts' rows follow, then the orders'.
    """

    top: Tensor
    entries: Tensor
    delta: Tensor
    scripts: Tensor
    multipliers: Tensor
    rows: Tensor
    offsets: Tensor

    def __init__(
        self,
        classes: int,
        unigrams: int,
        bigrams: int,
        trigrams: int,
        quadrigrams: int,
        fivegrams: int,
        dim: int = 16,
        hidden: int = 208,
    ) -> None:
        super().__init__()
        rows = (unigrams, bigrams, trigrams, quadrigrams, fivegrams)
        for count in rows:
            _check_prime(count)
        first = 1 + len(SCRIPTS)
        offsets = np.cumsum((first, *rows[:-1]))
        found = letters()
        self._keep("top", found.top)
        self._keep("entries", found.entries)
        self._keep("delta", found.delta)
        self._keep("scripts", found.script)
        self._keep("multipliers", np.array(MULTIPLIERS, np.int64))
        self._keep("rows", np.array(rows, np.int64))
        self._keep("offsets", offsets.astype(np.int64))
        self.table = nn.Parameter(torch.randn(first + sum(rows), dim) * 0.1)
        self.table.data[0] = 0
        self.hidden = nn.Linear(GROUPS * dim, hidden)
        self.output = nn.Linear(hidden, classes)

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(array.copy()))

    def forward(self, codepoints: Tensor) -> Tensor:
        index, counts = self.windows(codepoints)
        ends = torch.cumsum(counts.reshape(-1), 0)
        sums = F.embedding_bag(index, self.table, ends - counts.reshape(-1), mode="sum")
        means = sums.view(*counts.shape, self.table.shape[1]) / counts.clamp_min(
            1
        ).sqrt().unsqueeze(2)
        return self.output(F.relu(self.hidden(means.flatten(1))))

    def windows(self, codepoints: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of `table` int64 (total,), text by text and group by group, and how many (n, 6)."""
        codes = codepoints.clamp(0, LIMIT - 1).long()
        entry = self.entries[(self.top[codes // PAGE] + codes % PAGE).long()].long()
        letter = F.pad((codes + self.delta[entry]).clamp_min(0), (1, ORDERS - 1))
        window = letter.unfold(1, ORDERS, 1)  # (n, length + 1, 5)
        script = F.pad(self.scripts[entry], (1, 0))
        hashed = self._hash(window)
        index = torch.cat([script.unsqueeze(2), hashed], 2)
        valid = _valid(window == 0)
        index, valid = index.transpose(1, 2), valid.transpose(1, 2)
        return index[valid], valid.sum(2)

    def _hash(self, window: Tensor) -> Tensor:
        """Rows int64 (n, places, 5) of windows (n, places, 5), valid or not."""
        sums = []
        for order in range(ORDERS):
            sums.append(window[..., 0] * self.multipliers[order, 0])
            for k in range(1, order + 1):
                sums[-1] = sums[-1] + window[..., k] * self.multipliers[order, k]
        return torch.stack(sums, 2) % self.rows + self.offsets

    def parts(self) -> dict[str, np.ndarray]:
        """All that makes up the net, as arrays: the fields of export.ngram.Parts."""
        buffers = {name: value.cpu().numpy() for name, value in self.named_buffers()}
        learnt = {name.replace(".", "_"): p.detach().cpu() for name, p in self.named_parameters()}
        return buffers | {name: value.numpy() for name, value in learnt.items()}


def _valid(edge: Tensor) -> Tensor:
    """Which windows count, bool (n, places, 6), scripts first; edge bool (n, places, 5).

    An n-gram has letters inside; only its ends may be boundaries, and of two not both.
    """
    first, second = edge[..., 0], edge[..., 1]
    inside = second
    valid = [~first, ~first, ~(first & second), ~inside]
    for k in range(2, ORDERS - 1):
        inside = inside | edge[..., k]
        valid.append(~inside)
    return torch.stack(valid, 2)


def _check_prime(rows: int) -> None:
    if rows < 2 or any(rows % d == 0 for d in range(2, int(rows**0.5) + 1)):
        raise ValueError(f"a table's rows must be a prime, {rows} is none")
