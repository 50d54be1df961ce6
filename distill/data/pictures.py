"""From an encoded picture to an RGB square."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from PIL import Image, ImageOps

from distill.data.record import Picture
from distill.errors import DistillError
from distill.files import DAMAGED

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
)
MAX_PIXELS = 64 * 2**20  # of one picture; a larger one is an error before it is decoded
BATCH = 256  # encoded pictures that one thread holds at a time

_BROKEN = (*DAMAGED, Image.DecompressionBombError, Image.DecompressionBombWarning)


def decode_all(pictures: Iterable[Picture], count: int, size: int) -> np.ndarray:
    """uint8 (count, size, size, 3): each picture at its index, decoded by a pool of threads."""
    images = np.zeros((count, size, size, 3), np.uint8)

    def put(batch: list[Picture]) -> None:
        for picture in batch:
            images[picture.place] = decode(picture, size)

    threads = os.cpu_count() or 1
    batches = _batched(pictures, BATCH)
    with ThreadPoolExecutor(threads) as pool:
        while running := [pool.submit(put, batch) for batch in islice(batches, threads)]:
            for future in running:
                future.result()
    return images


def decode(picture: Picture, size: int) -> np.ndarray:
    """uint8 (size, size, 3); a DistillError that names the picture when it cannot be decoded."""
    try:
        return np.asarray(square(_open(picture.content), size))
    except _BROKEN as error:
        raise DistillError(
            f"{picture.name} is not a picture that can be read: {error}",
            "replace or remove the file; it may be cut off or not what its name says",
        ) from error


def square(image: Image.Image, size: int) -> Image.Image:
    """RGB of size x size pixels, upright; bilinear, with antialiasing when it shrinks.

    The whole picture is kept: its aspect ratio is not. Transparency lies on white.
    """
    ImageOps.exif_transpose(image, in_place=True)
    image = to_rgb(image)
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB as at run time: 16 bits cut to 8, the transparent laid on white."""
    if image.mode.startswith("I"):
        wide = np.clip(np.asarray(image), 0, 65535)
        return Image.fromarray((wide >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("F", "LAB"):
        raise ValueError(f"pixels of mode {image.mode} have no known range")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _open(content: bytes | np.ndarray) -> Image.Image:
    if isinstance(content, np.ndarray):
        return Image.fromarray(content)
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} is more than {MAX_PIXELS} pixels")
    return image


def _batched(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    iterator = iter(pictures)
    while batch := list(islice(iterator, size)):
        yield batch
