"""A feed-forward net over hashed character n-grams: code points in, logits out.

Botha et al. 2017, "Natural Language Processing with Small Feed-Forward Networks", section 3.1:
embedding rows chosen by a hash of each n-gram, averaged over the text for each order of n-gram, one
hidden layer, no biases: a text without letters has the same logit everywhere, a short one small
logits. Ours differs in three ways: the hash is exact arithmetic on small whole numbers that one
convolution of an ONNX graph does, so the file reads raw code points and all orders share one table,
looked up at once; the rows are summed and divided by the square root of their number, so that a
longer text weighs more; and it is distilled. docs/ngrams.md specifies the hash for other programs.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.students.letters import LIMIT, PAGE, letters

ORDERS = 5  # n-grams of 1 to 5 characters
HALF = 256  # a letter is HALF * high + low
MULTIPLIERS = (  # A[n-1][k]: of the k-th letter's high and low half in an n-gram; odd, < 2**11
    ((1213, 1525),),
    ((1365, 1395), (1821, 799)),
    ((663, 929), (1833, 1197), (1995, 1375)),
    ((1597, 869), (1187, 1139), (1117, 2047), (1501, 671)),
    ((1135, 2033), (1303, 2025), (739, 1273), (883, 591), (653, 1749)),
)
MOST_ROWS = 2**19  # the sums of single letters are below 698,191
GRID = 2**12  # steps from 0 to 1: a float file is two thirds as large when it is packed
CLIP = 1.0  # no number of the table is larger: one step of 8 bits serves them all


class Ngram(nn.Module):
    """int32 code points (n, length), padded with 0, to float32 logits (n, classes).

    rows: of the one table, a power of 2; orders: which n-grams are looked up in it, by their
    digits ("24": pairs and fours); dim: numbers a row; hidden: units of the one ReLU layer.
    Fetching rows is most of the time: fewer orders are faster. A call keeps the table's numbers
    within CLIP, in place.
    """

    top: Tensor
    entries: Tensor
    delta: Tensor
    orders: Tensor
    multipliers: Tensor

    def __init__(
        self,
        classes: int,
        rows: int = 4096,  # of the table, a power of 2
        orders: int = 134,  # which n-grams, by their digits, ascending: 134 is 1, 3 and 4 letters
        dim: int = 16,  # numbers a row
        hidden: int = 208,  # units of the one layer between rows and answers
    ) -> None:
        super().__init__()
        wanted = _orders(orders)
        if rows < 2 or rows & (rows - 1):
            raise ValueError(f"a table's rows must be a power of 2, {rows} is none")
        if rows > MOST_ROWS:
            raise ValueError(f"a hash reaches {MOST_ROWS} rows, not {rows}")
        if min(dim, hidden) < 1:
            raise ValueError(f"dim and hidden must be at least 1, not {dim} and {hidden}")
        found, width = letters(), max(wanted)
        multipliers = np.zeros((len(wanted), width, 2), np.int64)
        for group, n in zip(multipliers, wanted, strict=True):
            group[:n] = MULTIPLIERS[n - 1]
        self._keep("top", found.top)
        self._keep("entries", found.entries.astype(np.int32))
        self._keep("delta", found.delta)
        self._keep("orders", np.array(wanted, np.int64))
        self._keep("multipliers", multipliers)
        self.table = nn.Parameter(torch.randn(rows, dim) * 0.1)
        self.hidden = nn.Linear(len(wanted) * dim, hidden, bias=False)
        self.output = nn.Linear(hidden, classes, bias=False)

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(array.copy()))

    def forward(self, codepoints: Tensor) -> Tensor:
        index, counts = self.windows(codepoints)
        ends = torch.cumsum(counts.reshape(-1), 0)
        with torch.no_grad():  # a projection: what reached the bound may come back from it
            self.table.clamp_(-CLIP, CLIP)
        table = self.table if self.training else _kept(self.table)
        sums = F.embedding_bag(index, table, ends - counts.reshape(-1), mode="sum")
        scale = counts.clamp_min(1).sqrt().unsqueeze(2)
        scaled = sums.view(*counts.shape, self.table.shape[1]) / scale
        return self.output(F.relu(self.hidden(scaled.flatten(1))))

    def windows(self, codepoints: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of `table` int64 (total,), by text and order, and how many of each (n, orders)."""
        letter = self._letters(codepoints)
        width = self.multipliers.shape[1]
        window = F.pad(letter, (1, width - 1)).unfold(1, width, 1)  # (n, length + 1, width)
        index = self.sums(window) % len(self.table)
        valid = torch.stack([_valid(window != 0, int(n)) for n in self.orders], 1)
        return index[valid], valid.sum(2)

    def _letters(self, codepoints: Tensor) -> Tensor:
        """Letters int64 of code points (any shape); 0 where there is none."""
        codes = codepoints.clamp(0, LIMIT - 1).long()
        entry = self.entries[(self.top[codes // PAGE] + codes % PAGE).long()].long()
        return (codes + self.delta[entry]).clamp_min(0)

    def sums(self, window: Tensor) -> Tensor:
        """What the rows are the remainders of, int64 (n, orders, places); window (n, places, w)."""
        halves = torch.stack([window // HALF, window % HALF], -1)  # (n, places, w, 2)
        made = torch.zeros(len(window), len(self.orders), window.shape[1], dtype=torch.int64)
        for group, n in enumerate(self.orders.tolist()):
            for k in range(n):
                for half in range(2):
                    made[:, group] += halves[..., k, half] * self.multipliers[group, k, half]
        return made

    def parts(self) -> dict[str, np.ndarray]:
        """All that makes up the net, as arrays: the fields of export.ngram.Parts."""
        buffers = {name: value.cpu().numpy() for name, value in self.named_buffers()}
        learnt = {name.replace(".", "_"): p.detach().cpu() for name, p in self.named_parameters()}
        learnt["table"] = _kept(learnt["table"])
        return buffers | {name: value.numpy() for name, value in learnt.items()}


def _kept(table: Tensor) -> Tensor:
    """The table as it answers and as files have it: within CLIP, multiples of 1 / GRID."""
    return (table.clamp(-CLIP, CLIP) * GRID).round() / GRID


def _valid(letter: Tensor, order: int) -> Tensor:
    """Which windows count, bool (n, places), of which places are letters, bool (n, places, w).

    One letter is one; of two the second must be one; of more all between the first and the last.
    """
    inside = {1: (0, 1), 2: (1, 2)}.get(order, (1, order - 1))
    return letter[..., slice(*inside)].all(-1)


def _orders(digits: int) -> list[int]:
    found = [int(digit) for digit in str(digits)] if digits > 0 else []
    if not found or found != sorted(set(found)) or found[0] < 1 or found[-1] > ORDERS:
        raise ValueError(f"orders are ascending digits of 1 to {ORDERS}, as in 134, not {digits}")
    return found
