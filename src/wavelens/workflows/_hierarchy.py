"""``wavelens hierarchy`` as a function: features of a network in, the hierarchy of its classes out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import wavelens
from wavelens import report
from wavelens._arguments import check_integer
from wavelens._utils._archive import write_npz
from wavelens._utils._atomic_write import atomic_write, write_text
from wavelens.exceptions import DataError
from wavelens.hierarchy import (
    ClassHierarchy,
    CompositionStability,
    LayerFlow,
    composition_stability,
    layer_flow,
)
from wavelens.models import ClassNames, LabelledFeatures
from wavelens.workflows._argument_names import argument_names
from wavelens.workflows._hierarchy_input import FeatureSelection, HierarchyInput, read_input
from wavelens.workflows._image_options import source_name
from wavelens.workflows._progress import WorkflowProgress, as_progress
from wavelens.workflows._result_folder import result_folder, summary_numbers
from wavelens.workflows._text import findings_text

__all__ = ["HierarchyReport", "build_hierarchy"]

_default_order = 5


@dataclass(frozen=True, eq=False, repr=False)
class HierarchyReport:
    """How classes relate inside a network, from `build_hierarchy`.

    Attributes
    ----------
    source : str
        The features as they were given.
    layer : str
        The layer that `hierarchy` and `stability` are of.
    features : LabelledFeatures
        Of the classes that were analyzed.
    hierarchy : ClassHierarchy
        Fitted.
    stability : CompositionStability
        With other orders, and with images drawn anew.
    flow : LayerFlow or None
        The layers compared; None with one layer, or one image of a class.
    notes : tuple of str
        What was done while reading, each one sentence.
    """

    source: str
    layer: str
    features: LabelledFeatures
    hierarchy: ClassHierarchy
    stability: CompositionStability
    flow: LayerFlow | None = None
    notes: tuple[str, ...] = ()

    def summary(self, width: int = 100) -> str:
        """Return the findings as text.

        Parameters
        ----------
        width : int, default 100
            Of a line, in characters.

        Returns
        -------
        str
        """
        findings, remarks = report.hierarchy_in_words(self.hierarchy, self.flow, self.stability)
        n = len(self.hierarchy.classes_)
        return findings_text(
            f"{n:,} classes in {self.layer} of {self.features.source}", findings, remarks, width
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of the report, ready for JSON.

        Returns
        -------
        dict
            As in the file ``summary.json``.
        """
        numbers = {"wavelens": wavelens.__version__, "source": self.source}
        numbers |= report.summarize_hierarchy(
            self.hierarchy, layer=self.layer, flow=self.flow, stability=self.stability
        )
        return numbers | {"notes": list(self.notes)}

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        force: bool = False,
        command: str | None = None,
        progress: WorkflowProgress | bool | None = None,
    ) -> Path:
        """Write everything that ``wavelens hierarchy`` writes into a folder.

        Parameters
        ----------
        folder : path
            Appears whole or not at all. Files: ``report.html``, ``figures/``, ``hierarchy.npz``, ``covariance.npz``,
            ``graph.json``, ``graph.dot``, ``levels.csv``, ``classes.csv`` and ``summary.json``.
        force : bool, default False
            Replace an earlier result in `folder`; a folder that holds anything else is never replaced.
        command : str or None, default None
            The command that made the result, for the page and ``summary.json``.
        progress : WorkflowProgress, bool or None, default None
            As in `build_hierarchy`.

        Returns
        -------
        Path
            Of ``report.html``.

        Raises
        ------
        WavelensError
            If `folder` exists and may not be replaced, or cannot be written.
        """
        receiver = as_progress(progress)
        folder = Path(folder).expanduser()
        receiver.step("writing the results")
        with result_folder(folder, force) as out:
            graph = self.hierarchy.graph()
            self.hierarchy.save(out / "hierarchy.npz")
            covariance = self.hierarchy.covariance_
            with atomic_write(out / "covariance.npz") as file:
                arrays = {
                    "covariance": covariance.matrix,
                    "class_names": covariance.classes,
                    "counts": covariance.counts,
                }
                write_npz(file, arrays)
            write_text(out / "graph.json", graph.to_json(indent=1) + "\n")
            write_text(out / "graph.dot", graph.to_dot())
            report.write_levels_csv(out / "levels.csv", self.hierarchy)
            report.write_classes_csv(out / "classes.csv", self.hierarchy)
            with receiver.share("Drawing") as share:
                report.write_hierarchy_report(
                    out,
                    self.hierarchy,
                    layer=self.layer,
                    flow=self.flow,
                    stability=self.stability,
                    source=self.features.source,
                    notes=self.notes,
                    command=command,
                    progress=lambda done, _: share(done),
                )
            report.write_summary(out / "summary.json", summary_numbers(self.to_dict(), command))
        return folder / "report.html"

    def __repr__(self) -> str:
        n = len(self.hierarchy.classes_)
        return f"<HierarchyReport {self.features.source!r}: {n:,} classes in {self.layer!r}>"


def build_hierarchy(
    source: object,
    labels: object = None,
    *,
    layer: str | None = None,
    layers: Sequence[str] | None = None,
    key: str | None = None,
    labels_key: str | None = None,
    rows_are_classes: bool = False,
    class_names: ClassNames | str | os.PathLike[str] | Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    limit_classes: int | None = None,
    order: int | None = None,
    method: Literal["topk", "exhaustive", "random"] = "topk",
    rotation: Literal["opt", "eigen", "gram"] = "opt",
    center: bool = False,
    correlation: bool = False,
    resamples: int = 20,
    seed: int = 0,
    progress: WorkflowProgress | bool | None = None,
) -> HierarchyReport:
    """Find how classes relate inside a network: which compose first, which are distinct, and how stable that is.

    Parameters
    ----------
    source : path, LabelledFeatures, array or mapping of str to array
        Features: an ``.npz`` file that `extract_features` wrote, or any with an array of features (rows are images)
        and one of labels; an array (n_images, n_features); or one for each layer, in the order of the network.
    labels : array, optional
        One label for each image, where `source` is an array or a mapping.
    layer : str or None, default None
        Layer that the report is about; None: the last that is not an output.
    layers : sequence of str or None, default None
        Layers that are compared, in this order; None: all that are not outputs; empty: no comparison.
    key, labels_key : str or None, default None
        Arrays of features and of labels in a file of another program; None: recognized.
    rows_are_classes : bool, default False
        Every row is a class.
    class_names : ClassNames, path, sequence of str or None, default None
        Names of the classes by index or id; None: those in the file.
    classes : sequence of str or None, default None
        Analyze these classes only.
    limit_classes : int or None, default None
        Analyze this many classes only, drawn at random.
    order : int or None, default None
        Classes in a composition; None: 5, or all if there are fewer.
    method : {"topk", "exhaustive", "random"}, default "topk"
        Which compositions are tried: those of similar classes, all, or some.
    rotation : {"opt", "eigen", "gram"}, default "opt"
        Rotation of a composition: with the least error, or as in the paper.
    center : bool, default False
        Subtract the mean of all images first.
    correlation : bool, default False
        Compare the directions of class means only, not their lengths.
    resamples : int, default 20
        How often images are drawn anew to measure stability; 0, or at least 2.
    seed : int, default 0
        Of all random choices.
    progress : WorkflowProgress, bool or None, default None
        Receives steps and notes. True shows progress bars, False none, None only on a terminal.

    Returns
    -------
    HierarchyReport

    Raises
    ------
    ValueError, TypeError
        If an argument is not possible.
    WavelensError
        If there is no layer or class of a name.
    DataError
        If the features cannot be read or analyzed.

    See Also
    --------
    wavelens.hierarchy.ClassHierarchy : The method alone.

    Examples
    --------
    >>> from wavelens.data import load
    >>> from wavelens.workflows import build_hierarchy
    >>> digits = load("digits")
    >>> found = build_hierarchy(digits.images.reshape(1797, 64), digits.labels, order=3, resamples=2)
    >>> found
    <HierarchyReport 'features': 10 classes in 'features'>
    >>> print(found.summary().splitlines()[0])
    10 classes in features of features
    >>> found.save("digits-hierarchy")  # doctest: +SKIP
    """
    receiver = as_progress(progress)
    if check_integer(resamples, "resamples", low=0) == 1:
        raise ValueError("`resamples` must be 0, or at least 2, got 1")
    selection = FeatureSelection(
        layer=layer,
        layers=layers,
        key=key,
        labels_key=labels_key,
        rows_are_classes=rows_are_classes,
        class_names=class_names,
        classes=classes,
        limit_classes=limit_classes,
        seed=seed,
    )
    receiver.step(f"reading {source_name(source, 'the features')}")
    data = read_input(source, labels, selection)
    for note in data.notes:
        receiver.note(note)
    settings: dict[str, Any] = {
        "order": _checked_order(order, len(set(data.labels.tolist()))),
        "method": method,
        "rotation": rotation,
        "center": center,
        "correlation": correlation,
        "random_state": seed,
    }
    name = source_name(source, data.features.source)
    hierarchy, stability = _compose(data, name, settings, resamples, receiver)
    flow = None
    if len(data.flow_layers) > 1 and resamples and int(hierarchy.counts_.min()) > 1:
        flow = _compare_layers(data, name, settings, resamples, receiver)
    return HierarchyReport(name, data.layer, data.features, hierarchy, stability, flow, data.notes)


def _compose(
    data: HierarchyInput, name: str, settings: dict[str, Any], resamples: int, progress: WorkflowProgress
) -> tuple[ClassHierarchy, CompositionStability]:
    values = data.features.layers[data.layer]
    n_classes = len(set(data.labels.tolist()))
    progress.step(
        f"composing {n_classes:,} classes of {data.layer} ({len(values):,} rows of {values.shape[1]:,} numbers)"
    )
    with _data_errors(name, data.layer):
        hierarchy = ClassHierarchy(**settings).fit(values, data.labels)
    progress.step("trying other orders, and other images" if resamples else "trying other orders")
    with _data_errors(name, data.layer), progress.share("Drawing anew") as share:
        stability = composition_stability(
            values, data.labels, n_resamples=resamples, progress=share, **settings
        )
    return hierarchy, stability


def _compare_layers(
    data: HierarchyInput, name: str, settings: dict[str, Any], resamples: int, progress: WorkflowProgress
) -> LayerFlow:
    progress.step(f"comparing {len(data.flow_layers)} layers")
    layers = {each: data.features.layers[each] for each in data.flow_layers}
    with _data_errors(name), progress.share("Comparing layers") as share:
        return layer_flow(layers, data.labels, n_resamples=resamples, progress=share, **settings)


def _checked_order(order: int | None, n_classes: int) -> int:
    if order is None:
        return min(_default_order, n_classes)
    if check_integer(order, "order", low=1) < 2:
        raise ValueError(f"`order` must be at least 2 classes in a composition, got {order}")
    if order > n_classes:
        raise ValueError(
            f"`order` must be at most the number of classes, {n_classes}, got {order}; say `order={n_classes}` or less "
            "(about half of them or fewer show most)"
        )
    return order


@contextmanager
def _data_errors(source: str, layer: str | None = None) -> Iterator[None]:
    """Turn errors about features and labels into a DataError that names the file and the layer."""
    try:
        with argument_names(random_state="`seed`", n_resamples="`resamples`"):
            yield
    except (ValueError, TypeError) as error:
        text = str(error)
        if not any(each in text for each in ("`X`", "`y`", "`features`", "`labels`", "`layers`")):
            raise
        where = f"{source}, layer {layer!r}" if layer else source
        raise DataError(f"{where}: {text.replace('`X`', 'features').replace('`y`', 'labels')}") from error
