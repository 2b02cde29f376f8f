"""All checks of a dataset, one after the other."""

from __future__ import annotations

import numpy as np

from wavelens._arguments import as_images, check_integer
from wavelens._progress import progress_share
from wavelens.data import ImageData
from wavelens.quality._leaks import find_leaks
from wavelens.quality._neighbours import (
    K,
    near_limit,
    near_pairs,
    nearest_images,
    question_labels,
    thumbnails,
)
from wavelens.quality._pixels import duplicate_groups, measure_pixels
from wavelens.quality._report import QualityReport

__all__ = ["check_images"]


def check_images(
    data: ImageData, *, near: float = 0.4, random_state: int = 0, progress: bool | None = None
) -> QualityReport:
    """Look for what is wrong with a dataset before anything is learnt from it.

    Parameters
    ----------
    data : ImageData
        From `wavelens.data.load`, or from ``open_source(...).load()``, which also takes a single class and
        images without labels; what needs two classes is then left out.
    near : float, default 0.4
        Two images are near-duplicates if they are nearer than this share of their distance to their fifth
        nearest images. Between 0 (none) and 1.
    random_state : int, default 0
        Seed of the permutations behind the p-values of categories.
    progress : bool, optional
        Show a progress bar. By default, on a terminal, when it takes over a second.

    Returns
    -------
    QualityReport
        Plain numbers; ``findings()`` puts them in words.

    Raises
    ------
    ValueError, TypeError
        If the images are no images, hold NaN or infinities, or `near` is out of range.

    Notes
    -----
    **Exact duplicates** have the same pixels, as they were read: files that were resized are compared after
    it.

    **Near-duplicates** are looked for in thumbnails of at most 16 × 16 pixels in grey, centred and scaled to
    norm 1, so that neither brightness nor contrast matter. With r the correlation of two thumbnails, their
    distance is √(2 − 2r). Images stand in neighbourhoods of very different density (of the handwritten ones,
    any two are alike), so a pair counts if it is much nearer than either's fifth nearest image. In data of
    few degrees of freedom that happens by chance: with m of them, the nearest of five lies within the share
    s of the distance to the fifth with probability about 4·sᵐ. The limit is lowered where this would exceed
    0.001, with m estimated from the distances of the third, fourth and fifth neighbour (in the spirit of Levina
    and Bickel 2004). Thumbnails correlated to more than 0.9995 count as well if that is rare in the set, so
    that groups of more than five copies are found. Where every image has five copies or more, they are one
    another's measure, and none stands out.

    **Label doubts** are images none of whose five nearest carries their label, while at least four of the
    five carry one and the same other. They are raised only in classes whose images usually have their own
    label around them (neighbours agree by at least 0.3 more than chance, on the scale of Cohen's κ):
    elsewhere they would say nothing. An image that is there several times votes once.

    **Leaks**: what files tell of their class before anyone looks at the picture. Categories (colour mode,
    size, type of file) by Cramér's V without bias (Bergsma 2013) and 999 permutations; single numbers
    (height, width, aspect, brightness) by the area under the ROC curve.

    n²·128 flops for the neighbours: 60,000 images take seconds. Memory: 1 kB an image.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.data import load
    >>> from wavelens.quality import check_images
    >>> images = np.random.default_rng(0).normal(size=(40, 16, 16))
    >>> images[7] = images[3]
    >>> report = check_images(load(images, labels=[0, 1] * 20))
    >>> report.duplicate_groups
    ((3, 7),)
    >>> for finding in report.findings():
    ...     print(finding)
    warning: 2 images are exact copies of one another, in 1 group, all within a class.
    """
    if not isinstance(near, int | float | np.number) or not 0 <= near <= 1:
        raise ValueError(f"`near` must be a number between 0 and 1, got {near!r}")
    seed = check_integer(random_state, "random_state", low=0)
    images = as_images(data.images, "data.images")
    labels = np.asarray(data.labels, dtype=np.intp)
    n = len(images)
    pixels = measure_pixels(images)
    groups = duplicate_groups(images)
    copies = [i for group in groups for i in group[1:]]
    distinct = np.ones(n, dtype=bool)
    distinct[copies] = False
    # An empty image is like every other empty one, which says nothing about copies or labels.
    compared = np.flatnonzero(distinct & ~pixels.constant & ~pixels.nearly_constant)
    thumbs, compared = thumbnails(images, compared)
    with progress_share("Comparing images", progress) as share:
        nearest = nearest_images(thumbs, share)
    limit = near_limit(nearest, float(near))
    pairs, distances = near_pairs(thumbs, nearest, limit, labels[compared], len(data.class_names))
    doubts = question_labels(nearest, labels[compared], len(data.class_names))
    indices, suspected = compared[doubts.places], doubts.classes
    first_of = {i: group[0] for group in groups for i in group[1:]}
    # A copy has the neighbours of the image that it copies.
    place = {int(image): k for k, image in enumerate(indices)}
    for i in copies:
        k = place.get(first_of[i])
        if k is not None and labels[i] == labels[first_of[i]]:
            indices, suspected = np.append(indices, i), np.append(suspected, suspected[k])
    order = np.argsort(indices, kind="stable")
    typical = float(np.median(nearest.distances[:, -1])) if nearest.distances.shape[1] == K else float("nan")
    return QualityReport(
        name=data.name,
        image_names=tuple(data.image_names),
        class_names=tuple(data.class_names),
        labels=labels,
        duplicate_groups=groups,
        near_pairs=compared[pairs],
        near_distances=distances,
        near_limit=limit,
        typical_distance=typical,
        label_doubts=indices[order],
        suspected_classes=suspected[order],
        label_agreement=doubts.agreement,
        constant=pixels.constant,
        nearly_constant=pixels.nearly_constant,
        black_share=pixels.black,
        white_share=pixels.white,
        saturated=pixels.saturated,
        leaks=find_leaks(data, pixels.mean, seed),
        has_files=data.original_sizes is not None or data.original_modes is not None,
    )
