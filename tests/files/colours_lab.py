"""A lab as a stranger would lay it out: three colours of 16 pixels, a teacher, a recipe.

Run as a process, it builds in the working directory until its progress says certain words.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.chain import distil
from zoo.chain.build import build

ROOT = Path(__file__).parent.parent.parent
COLOURS = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (210, 50, 40)}
NAME = "colours-separable-small.kd"
RECIPE = f"""\
name: {NAME}
summary: Tells three colours apart
licence: Apache-2.0
data: {{source: colours, licence: CC0-1.0, image_size: 16, validation: 0.25}}
teacher: {{callable: "oracle:answer", source: the mean of each colour, licence: CC0-1.0}}
student: {{architecture: separable, options: {{size: small}}}}
augment: {{crop_padding: 1, flip: true}}
labels: {{views: 2, top_k: 2, audit: 0.1}}
loss: {{name: kd, temperature: 2.0, ce: 0.5, kd: 0.5}}
train: {{epochs: 12, batch_size: 8, learning_rate: 0.05, ema: 0.5}}
compress:
  calibration_images: 24
  ladder: [{{name: minmax}}, {{name: most, calibration: percentile}}]
gates: {{max_drop_points: 100, min_agreement: 0.0, max_speed_ratio: 1000, max_size_bytes: 0}}
"""
ORACLE = """\
import numpy as np

def answer(images):
    return images.astype(np.float64).mean((1, 2))[:, ::-1] / 20  # blue, green, red
"""


def make_data(folder: Path) -> None:
    """Noise around three colours: 16 pictures of each to train on, 4 to test."""
    chance = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 4)):
        for label, colour in COLOURS.items():
            (folder / split / label).mkdir(parents=True)
            for i in range(count):
                pixels = np.array(colour) + chance.integers(-40, 41, (16, 16, 3))
                picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                picture.save(folder / split / label / f"{i:02d}.png")


def make_lab(folder: Path, text: str = RECIPE) -> Path:
    """A folder with data, teacher and recipe, as a stranger would lay it out."""
    make_data(folder / "colours")
    (folder / "oracle.py").write_text(ORACLE)
    (folder / "student.yaml").write_text(text)
    return folder


def enter(patch: pytest.MonkeyPatch, lab: Path) -> None:
    """The lab as working directory; whatever is published stays in it."""
    patch.chdir(lab)
    patch.syspath_prepend(str(lab))
    for module in ("oracle",):
        patch.delitem(sys.modules, module, raising=False)
    patch.setenv("ZOO_REGISTRY", str(lab / "registry.yaml"))
    patch.setenv("ZOO_STORE", str(lab / "store"))
    patch.setenv("ZOO_CACHE", str(lab / "cache"))
    patch.delenv("ZOO_DATA", raising=False)


def make(recipe: str = "student.yaml") -> Path:
    """Built and published in the working directory."""
    return build(recipe, work=Path("runs"), store=Path("store"))


class _Fatal(io.StringIO):
    """A stderr that does not survive a certain line."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def write(self, text: str) -> int:
        if re.search(self.words, text):
            os.kill(os.getpid(), signal.SIGKILL)
        return sys.__stderr__.write(text) if sys.__stderr__ else 0


def _build_and_die(words: str) -> None:
    """In a process of its own: progress in every step, until a line with these words."""
    from distill import progress, train

    progress._LINE_SECONDS = 0.0
    train.CHECKPOINT_SECONDS = -1.0
    distil.device = lambda: ("cpu", "as it is")
    sys.stderr = _Fatal(words)
    make()


def killed(words: str) -> None:
    """A build in a process of its own that is killed by a line of progress with these words."""
    threads = str(torch.get_num_threads())
    died = subprocess.run(
        [sys.executable, __file__, words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads},
        check=False,
        capture_output=True,
        text=True,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr


if __name__ == "__main__":
    _build_and_die(sys.argv[1])
