"""Images and their labels, from folders, files and arrays.

`load` reads everything into memory. `open_source` only looks, and gives an `ImageSource` to read in chunks.

A kind of source (folder, array, ...) is one subclass of `ImageSource`: it knows names, labels and shape once
it is opened, and reads images in order.
"""

from __future__ import annotations

from wavelens.data._groups import image_groups
from wavelens.data._load import BUNDLED, load, open_source
from wavelens.data._source import ImageChunk, ImageData, ImageSource, SkippedFile

__all__ = [
    "BUNDLED",
    "ImageChunk",
    "ImageData",
    "ImageSource",
    "SkippedFile",
    "image_groups",
    "load",
    "open_source",
]
