"""Write one picture of the digits' test split to the file that is named.

python docs/digit.py digit.png
"""

from __future__ import annotations

import sys

from PIL import Image

from distill.config import Data
from distill.data import load


def main(path: str, index: int = 100) -> None:
    digits = load(Data(source="digits", licence="CC-BY-4.0", image_size=8), "test")
    picture = Image.fromarray(digits.images[index])
    picture.resize((128, 128), Image.Resampling.BILINEAR).save(path)
    print(f"{path}: a {digits.classes[digits.labels[index]]}, which nobody trained on")


if __name__ == "__main__":
    main(sys.argv[1])
