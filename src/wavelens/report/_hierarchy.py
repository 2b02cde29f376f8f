"""The report of a class hierarchy."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import wavelens
from wavelens._utils._atomic_write import write_text
from wavelens._utils._names import shorten
from wavelens.hierarchy import ClassHierarchy, CompositionStability, LayerFlow
from wavelens.report import _hierarchy_sections, _hierarchy_trust
from wavelens.report._foreign_text import isolate, isolate_sentence
from wavelens.report._hierarchy_findings import findings, remarks
from wavelens.report._hierarchy_story import HierarchyStory
from wavelens.report._page import Page, Section, make_sections
from wavelens.report._words import count, joined

__all__ = ["write_hierarchy_report"]

_sections: tuple[tuple[str, Callable[[HierarchyStory], Section | None]], ...] = (
    ("graph of compositions", _hierarchy_sections.graph),
    ("levels", _hierarchy_sections.levels),
    ("classes", _hierarchy_sections.classes),
    ("classes that stand apart", _hierarchy_sections.apart),
    ("covariance", _hierarchy_sections.matrix),
    ("agglomerative tree", _hierarchy_sections.tree),
    ("layers", _hierarchy_trust.layers),
    ("stability", _hierarchy_trust.trust),
    ("storage", _hierarchy_trust.storage),
    ("how to read it", _hierarchy_trust.reading),
)


def write_hierarchy_report(
    folder: str | Path,
    hierarchy: ClassHierarchy,
    *,
    layer: str = "",
    flow: LayerFlow | None = None,
    stability: CompositionStability | None = None,
    source: str = "",
    notes: Sequence[str] = (),
    command: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Path:
    """Write what a hierarchy of classes says as an HTML page with figures.

    Parameters
    ----------
    folder : str or Path
        Where `report.html` and the folder `figures` go; made if it is not there. Files of the same names are
        written over.
    hierarchy : ClassHierarchy
        Fitted; its labels are the names of the classes.
    layer : str, default ""
        Name of the layer it is of.
    flow : LayerFlow or None, default None
        From `layer_flow` on all layers.
    stability : CompositionStability or None, default None
        From `composition_stability` on the same features. Each of these gets a section where it is given.
    source : str, default ""
        Where the features come from, for the title.
    notes : sequence of str
        What else is to be known of the data, each one sentence.
    command : str or None, default None
        The command that made it, for the overview.
    progress : callable or None, default None
        Called with the share that is done, from 0 to 1, and what is being done.

    Returns
    -------
    Path
        Of `report.html`. It is one file, opens from disk, and asks for nothing outside.

    Raises
    ------
    ValueError
        If `stability` or `flow` are of other classes.
    NotFittedError
        If the hierarchy is not fitted.

    Notes
    -----
    While a figure is saved, matplotlib's settings for files are changed and put back, so reports should not
    be written in several threads at once. Beyond some 40 classes the graph is drawn in groups, and beyond 120
    the table of classes shows both ends only.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.hierarchy import ClassHierarchy
    >>> from wavelens.report import write_hierarchy_report
    >>> hierarchy = ClassHierarchy(order=3).fit(*load_digits(return_X_y=True))
    >>> write_hierarchy_report("digits-hierarchy", hierarchy, source="digits")  # doctest: +SKIP
    """
    hierarchy._fitted()
    labels = hierarchy.classes_.tolist()
    for name, given in (("stability", stability), ("flow", flow)):
        if given is not None and sorted(map(str, given.classes.tolist())) != sorted(map(str, labels)):
            raise ValueError(f"`{name}` must be of the {len(labels)} classes of the hierarchy")
    folder = Path(folder)
    story = HierarchyStory(folder / "figures", hierarchy, layer=layer, flow=flow, stability=stability)
    sections = make_sections(_sections, story, progress)
    path = folder / "report.html"
    page = _page(story, sections, source, notes, command)
    write_text(path, page.render())
    if progress is not None:
        progress(1.0, "report.html")
    return path


def _page(
    story: HierarchyStory,
    sections: tuple[Section, ...],
    source: str,
    notes: Sequence[str],
    command: str | None,
) -> Page:
    subtitle = joined([shorten(name, 30) for name in story.names], 10)
    largest = int(story.counts.max())
    bars = (
        ()
        if story.single_images
        else tuple(
            (name, f"{size:,}", round(100 * size / largest, 1), "var(--accent)", "")
            for name, size in zip(story.names, story.counts.tolist(), strict=True)
        )
    )
    where = f" in the layer “{story.layer}”" if story.layer else ""
    return Page(
        title=f"How {story.m:,} classes hang together{where}",
        subtitle=f"{isolate(source)}: {subtitle}" if source else subtitle,
        facts=_facts(story),
        classes=bars,
        findings=findings(story),
        sections=sections,
        version=wavelens.__version__,
        remarks=(*remarks(story), *map(isolate_sentence, notes)),
        command=isolate_sentence(command) if command else "",
        made=datetime.date.today().isoformat(),
        about="these classes",
    )


def _facts(story: HierarchyStory) -> tuple[tuple[str, str], ...]:
    covariance, factors = story.hierarchy.covariance_, story.factors
    kind = "correlation of class means" if covariance.correlation else "inner products of class means"
    return (
        ("Layer", story.layer or "not named"),
        ("Numbers an image", f"{story.hierarchy.n_features_in_:,}"),
        ("Classes", f"{story.m:,}"),
        ("Images", "one row a class" if story.single_images else f"{int(story.counts.sum()):,}"),
        ("Compared", f"{kind}, {'about the mean of all' if covariance.center else 'as they are'}"),
        (
            "Composition",
            f"{factors.order} classes, tuples “{factors.method}”, rotations “{factors.rotation}”",
        ),
        ("Levels", f"{factors.n_levels:,}, core of {count(factors.core_size, 'class', 'classes')}"),
        ("Version", f"Wavelens {wavelens.__version__}"),
    )
