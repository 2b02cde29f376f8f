"""``wavelens features`` as a function: images through a network, and the activations of its layers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from wavelens import models
from wavelens.exceptions import WavelensError
from wavelens.models import ClassNames, LabelledFeatures, Network, PredictionCheck, Preprocessing
from wavelens.workflows._argument_names import argument_names
from wavelens.workflows._image_options import ImageOptions, open_images
from wavelens.workflows._progress import WorkflowProgress, as_progress

__all__ = ["FeatureExtraction", "check_file", "choose_preprocessing", "extract_features"]


@dataclass(frozen=True, eq=False, repr=False)
class FeatureExtraction:
    """Activations of a network's layers, from `extract_features`.

    Attributes
    ----------
    network : str
        Name and kind of the network.
    preprocessing : Preprocessing
        What was done to each image.
    features : LabelledFeatures
        One row for each image, for each layer.
    """

    network: str
    preprocessing: Preprocessing
    features: LabelledFeatures

    def summary(self) -> str:
        """Return the preprocessing, and what the network predicted, as text.

        Returns
        -------
        str
        """
        lines = [*_preprocessing_lines(self.network, self.preprocessing), *self.findings()]
        return "\n".join([*lines, repr(self.features)])

    def findings(self) -> tuple[str, ...]:
        """Return what is worth knowing, and how many images the network recognizes.

        Returns
        -------
        tuple of str
        """
        lines = list(self.features.notes)
        predictions = self.features.info.get("predictions")
        if predictions is not None:
            check = PredictionCheck(**predictions)
            lines += [
                f"  {name}{f' ({own})' if own else ''}: predicted {got}" for name, own, got in check.examples
            ]
            lines.append(check.describe())
        return tuple(lines)

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the ``.npz`` file that ``wavelens features`` writes.

        Parameters
        ----------
        path : path
            Of the file, which appears whole; `build_hierarchy` and `wavelens.models.load_features` read it.
        force : bool, default False
            Replace an existing file.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        WavelensError
            If the file exists and may not be replaced, or cannot be written.
        """
        path = Path(path).expanduser()
        check_file(path, "path", force)
        self.features.save(path)
        return path

    def __repr__(self) -> str:
        return f"<FeatureExtraction by {self.network}: {self.features!r}>"


def extract_features(
    model: object,
    images: object,
    labels: object = None,
    *,
    image_options: ImageOptions | None = None,
    trust_pickle: bool = False,
    layers: Sequence[str] | None = None,
    pool: str = "average",
    class_names: ClassNames | str | os.PathLike[str] | Sequence[str] | None = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    dtype: Literal["float32", "float16"] = "float32",
    batch: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: WorkflowProgress | bool | None = None,
) -> FeatureExtraction:
    """Extract the activations of a network's layers, and check that the network recognizes the images.

    Parameters
    ----------
    model : path, torch.nn.Module, torch.export.ExportedProgram or Network
        As `wavelens.models.open_network` takes it.
    images : array, path, name or ImageSource
        As `wavelens.data.open_source` takes them.
    labels : array or path, optional
        One label for each image; by default the source's.
    image_options : ImageOptions, optional
        How the images are read; their size is the network's.
    trust_pickle : bool, default False
        Open a ``.pt2`` file even if that can run code from it.
    layers : sequence of str or None, default None
        Names, as `wavelens.models.list_layers` returns them; None: the network's outputs.
    pool : {"average", "max", "none", "grid:N"}, default "average"
        What is retained of maps: the average or maximum of each channel, everything, or N × N fields.
    class_names : ClassNames, path, sequence of str or None, default None
        The network's classes by index; also turns folders named by WordNet ids into words.
    preprocessing : Preprocessing, mapping or None, default None
        What is done to each image, or those attributes of it that are known, such as
        ``{"value_range": (0, 1)}``; the rest is recognized.
    out : path or None, default None
        Write the ``.npz`` file there batch by batch instead of holding all features in memory.
    force : bool, default False
        Replace an existing file `out`.
    dtype : {"float32", "float16"}, default "float32"
        Of the features.
    batch : int or None, default None
        Images at a time; None: 8 photos, or 32 small images.
    seed : int, default 0
        Of the choice of images for a limit.
    threads : int or None, default None
        Of the network; None: `wavelens.num_threads`.
    progress : WorkflowProgress, bool or None, default None
        Receives the preprocessing as a preview. True shows progress bars, False none, None only on a terminal.

    Returns
    -------
    FeatureExtraction

    Raises
    ------
    ImportError
        If torch or onnxruntime is needed and missing.
    ModelError
        If the network cannot be read or run, or has no such layer.
    DataError
        If the images cannot be read.
    WavelensError
        If `out` exists and may not be replaced, or cannot be written.
    ValueError, TypeError
        If an argument is not possible.

    See Also
    --------
    wavelens.models.extract_features : The features alone.

    Examples
    --------
    >>> from wavelens.workflows import extract_features
    >>> found = extract_features("net.onnx", "digits", layers=["conv5", "logits"])  # doctest: +SKIP
    >>> print(found.summary())  # doctest: +SKIP
    >>> found.save("digits-features.npz")  # doctest: +SKIP
    """
    receiver = as_progress(progress)
    target = None if out is None else Path(out).expanduser()
    if target is not None:
        check_file(target, "out", force)
    network = models.open_network(model, threads=threads, trust_pickle=trust_pickle)
    network.resolve(layers)
    rule = choose_preprocessing(network, preprocessing)
    name = f"{network.name} ({network.kind})"
    receiver.preview("\n".join(_preprocessing_lines(name, rule)))
    options = ImageOptions() if image_options is None else image_options
    if isinstance(options, ImageOptions) and options.color is None:
        options = replace(options, color="grey" if rule.color == "grey" else "rgb")
    source = open_images(images, labels, options, seed, receiver)
    receiver.check()
    with argument_names(batch_size="`batch`"):
        features = models.extract_features(
            network,
            source,
            layers,
            pool=pool,
            preprocessing=rule,
            class_names=class_names,
            batch_size=batch,
            dtype=dtype,
            out=target,
            threads=threads,
            progress=receiver.bars,
        )
    return FeatureExtraction(name, rule, features)


def choose_preprocessing(
    network: Network, preprocessing: Preprocessing | Mapping[str, Any] | None
) -> Preprocessing:
    """Return what is done to images before a network: as given, the rest recognized."""
    if isinstance(preprocessing, Preprocessing):
        return preprocessing
    if preprocessing is not None and not isinstance(preprocessing, Mapping):
        raise TypeError(f"`preprocessing` must be a Preprocessing or a mapping, got {preprocessing!r}")
    return models.recognise_preprocessing(network, **dict(preprocessing or {}))


def check_file(path: Path, argument: str, force: bool) -> None:
    """Refuse early a file that could not be written after the work is done."""
    if path.is_dir():
        raise WavelensError(f"`{argument}`: {path} is a folder; name a file, such as {path / 'features.npz'}")
    if path.suffix.lower() != ".npz":
        raise WavelensError(f"`{argument}`: {path}: the file is an .npz file; call it {path.name}.npz")
    if path.exists() and not force:
        raise WavelensError(
            f"{path} exists already; say `force=True` to replace it, or choose another `{argument}`"
        )
    above = next(each for each in path.resolve().parents if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise WavelensError(
            f"`{argument}`: {path} cannot be made: {above} is not a folder that may be written to"
        )


def _preprocessing_lines(network: str, rule: Preprocessing) -> Iterator[str]:
    yield f"{network}, images: {rule.describe()}"
    reasons: dict[str, list[str]] = {}
    for name, reason in (rule.reasons or {}).items():
        if reason != "given" and not reason.startswith(("within the network", "the input's")):
            reasons.setdefault(reason, []).append(name.replace("_", " "))
    for reason, names in reasons.items():
        yield f"  {', '.join(names)}: {reason}"
