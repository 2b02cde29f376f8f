"""The section on convolutions as operators on whole maps, where their ends are cheap to have."""

from __future__ import annotations

import time

import numpy as np

from wavelens.report._page import Block, Section, Table, Text
from wavelens.report._spaces_story import LayerFacts, SpacesStory
from wavelens.report._words import count

__all__ = ["operators"]

_seconds = 3.0
_memory = 2**28
_vectors = 24
_fewest_products = 80
_shown_at_most = 6


def operators(story: SpacesStory) -> Section | None:
    """Show the extreme singular values of convolutions on maps."""
    chosen = [each for each in story.detailed if each.spaces.layer.kind == "convolution"][:_shown_at_most]
    rows = [_row(each) for each in chosen]
    if not rows:
        return None
    lead = (
        "On whole maps a convolution is one large matrix: the same kernels at every place, with the padding, stride "
        "and size of this network. Its strongest direction says how much the layer can amplify a map at most."
    )
    caption = (
        "Kernels as rows: as in the table above, for single patches. On maps: of the operator with its own padding and "
        "stride, by Lanczos iteration unless said otherwise. Weakest: the smallest value that is not zero to the "
        f"precision of so many weights; “under”: it was not pinned down in {_seconds:.0f} seconds, and lies below."
    )
    if any("LU" in row[5] for row in rows):
        caption += " LU: by factorizing the sparse matrix, which pins down the weakest of square operators."
    if all(each.spaces.layer.padding_mode == "zeros" for each in chosen):
        caption += (
            " Under circular padding all values would be known exactly by FFT, but that is not what this network does "
            "at its borders."
        )
    header = ("Layer", "Map", "Kernels as rows, strongest", "On maps, strongest", "Weakest", "How")
    left = len([each for each in story.facts if each.spaces.layer.kind == "convolution"]) - len(rows)
    blocks: list[Block] = [Text((lead,), "lead"), Table(header, tuple(rows), caption, words=(1, 5))]
    if left:
        note = (
            f"{count(left, 'other convolution')} are not shown; LayerSpaces.convolution computes any of them."
        )
        blocks.append(Text((note,), "note"))
    return Section("operators", "Convolutions on whole maps", tuple(blocks))


def _row(each: LayerFacts) -> tuple[str, ...]:
    assert each.found is not None
    strongest = f"{each.found.singular_values[0]:.3g}"
    shape = each.spaces.layer.input_shape
    size = "not told" if shape is None else "×".join(map(str, shape))
    return (each.name, size, strongest, *_extremes(each))


def _extremes(each: LayerFacts) -> tuple[str, str, str]:
    """Return largest and smallest singular value of the operator, and how they were found."""
    assert each.found is not None
    if each.spaces.kind == "pointwise":
        values = each.found.singular_values
        rank = each.rank or 0
        low = f"{values[rank - 1]:.3g}" if rank else "–"
        return f"{values[0]:.3g}", low, "as the kernels: each place by itself"
    try:
        operator = each.spaces.convolution
    except ValueError as error:
        return "–", "–", str(error)
    if sum(operator.shape) * 8 * _vectors > _memory:
        return "–", "–", "skipped: takes too much memory"
    lasts = _time_of_product(operator.as_operator())
    products = int(_seconds / 2 / max(lasts, 1e-6))
    if products < _fewest_products:
        return "–", "–", f"skipped: would take over {_seconds:.0f} seconds"
    found = operator.extreme_singular_values(
        1, rtol=1e-4, basis_size=_vectors, max_products=min(products, 2000)
    )
    if not len(found.largest):
        return "0", "–", "all weights are zero"
    settled = found.exact or (len(found.smallest) and found.smallest_bounds[0] <= 1e-3 * found.largest[0])
    low = f"{found.smallest[0]:.3g}" if len(found.smallest) else "–"
    how = "all values, exactly" if found.exact else f"Lanczos, {found.products:,} products"
    how += f"; weakest by LU, {found.solutions:,} solutions" if found.solutions else ""
    return f"{found.largest[0]:.3g}", low if settled or low == "–" else f"under {low}", how


def _time_of_product(operator: object) -> float:
    """Return how long one product takes, in seconds."""
    vector = np.ones(operator.shape[1])  # type: ignore[attr-defined]
    start = time.perf_counter()
    operator.matvec(vector)  # type: ignore[attr-defined]
    return time.perf_counter() - start
