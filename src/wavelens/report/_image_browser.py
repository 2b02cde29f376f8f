"""The section of a patterns report that lists every image, and what it shows of one when clicked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from wavelens._arguments import FloatArray
from wavelens._utils._names import without_isolates
from wavelens.plotting._style import image_pixels
from wavelens.report._page import Column, ImageBrowser, Section, Text
from wavelens.report._pattern_story import Story
from wavelens.report._sprites import make_sprites
from wavelens.report._words import count

__all__ = ["as_script_data", "images"]

# Characters that the pictures may take: 2,481 images stay below 8 MB as a page and 10,000 below 15. Of very
# many images, each may still take as much as a recognisable picture needs.
_picture_budget, _least_a_picture = 4_500_000, 160
_rows_a_page = 50


def images(story: Story) -> Section | None:
    """List all images in a table that sorts and filters; without the table of the analysis, nothing."""
    if story.table is None:
        return None
    n = len(story.images)
    two = len(story.names) == 2
    other = "the other class" if two else "the other class it resembles most"
    columns = (
        Column("complexity", "Complexity", "1 is the complexity of the median image"),
        Column("isolation", "Isolation", "1 minus the mean similarity to its own class"),
        Column("inside", "Own class", "mean similarity to the images of its own class"),
        Column("outside", "Other class", f"mean similarity to the images of {other}"),
        Column(
            "place",
            "Own side",
            f"from 1, far on the side of its own class, over the border at 0 to −1, far on that of {other}",
        ),
    )
    data, has_pictures = _data(story)
    many = story.analysis.sampled_from_
    which = "All images" if many is None else f"{n:,} of {len(many.whole.labels_):,} images"
    lead = (
        f"{which} with the numbers of the sections above. Click a column’s name to sort by it, or an image "
        "to see it larger, with the images nearest to it of its own and of other classes."
    )
    blocks = (Text((lead,), "lead"), ImageBrowser(n, story.names, columns, data, _rows_a_page, story.crisp))
    explained = "; ".join(f"{column.title}: {column.hint}" for column in columns)
    note = f"{explained}. The file images.csv beside this page holds the same table for other programs"
    if not has_pictures:
        note += f". {count(n, 'image').capitalize()} are too many to show each as a picture on this page"
    if story.analysis.sampled_from_ is not None:
        note += (
            ", all-images.csv the numbers of all images. The images nearest to one, among all images, are shown for "
            "those of the galleries above, and for no others"
        )
    elif story.analysis.class_similarity_.error is not None:
        note += (
            ". Of so many images, the nearest ones are shown for those that are most isolated or farthest over "
            "a border of their class, and for no others"
        )
    title = "Every image" if many is None else "Image by image"
    return Section("images", title, (*blocks, Text((note + ".",), "note")))


def _data(story: Story) -> tuple[Markup, bool]:
    """Return what the script needs to know, and whether pictures are part of it."""
    table = story.table
    assert table is not None
    budget = max(_picture_budget, _least_a_picture * len(story.images))
    sprites = make_sprites(story.images, lambda batch: image_pixels(batch, story.limits), budget)
    middle = story.findings.middle_complexity
    values = {
        "complexity": table.complexity / middle,
        "isolation": table.isolation,
        "inside": table.in_similarity,
        "outside": table.out_similarity,
        "place": table.spectrum,
    }
    digits = {key: _digits(column) for key, column in values.items()}
    data = {
        "names": [without_isolates(story.base_name(place)) for place in range(len(story.images))],
        "classes": list(map(without_isolates, story.names)),
        "colors": [story.class_color(i) for i in range(len(story.names))],
        "labels": story.analysis.labels_.tolist(),
        "values": {key: _rounded(column, digits[key] + 1) for key, column in values.items()},
        "digits": digits,
        "outClass": table.out_class.tolist(),
        "same": table.near_same.tolist(),
        "sameSimilarity": _percent(_similarity(table.near_same_distance, story)),
        "other": table.near_other.tolist(),
        "otherSimilarity": _percent(_similarity(table.near_other_distance, story)),
        "sprites": sprites.as_dict() if sprites else None,
    }
    return as_script_data(data), sprites is not None


def as_script_data(data: object) -> Markup:
    """Return data as JSON that ends no script element and opens no other."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _digits(values: FloatArray) -> int:
    """Return how many decimals tell most of the values apart: two, or more where they are close together."""
    spread = float(np.subtract(*np.quantile(values, [0.95, 0.05])))
    if not spread > 0:
        return 2
    return int(np.clip(2 - np.floor(np.log10(spread)) - 1, 2, 6))


def _rounded(values: FloatArray, digits: int) -> list[float]:
    # Adding 0 leaves no "-0.0"; whole numbers are written as such.
    return [int(v) if v == int(v) else v for v in (np.round(values.astype(float), digits) + 0.0).tolist()]


def _similarity(distance: FloatArray, story: Story) -> FloatArray:
    return np.exp(-((distance / story.analysis.bandwidth_) ** 2) / 2)


def _percent(similarity: FloatArray) -> list[list[int]]:
    whole: npt.NDArray[Any] = np.rint(100 * np.nan_to_num(similarity)).astype(int)
    found: list[list[int]] = whole.tolist()
    return found
