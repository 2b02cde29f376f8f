"""``wavelens explain``: images and a classifier in, the parts that made it say so out."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens.cli import _interrupt
from wavelens.cli._features import add_preprocessing_options, given_preprocessing
from wavelens.cli._output import check_output, print_text, whole_folder
from wavelens.cli._source import positive
from wavelens.cli._steps import Steps, told
from wavelens.exceptions import DataError, WavelensError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from wavelens.explain import Evaluation, ExplanationPath
    from wavelens.models import Model

__all__ = ["add_command"]

_description = """\
Show which part of an image made a classifier (.pt2 or .onnx) say what it says: the smallest part that keeps the
answer, in wavelets and in pixels. First it prints what the classifier takes each image for: if that is nonsense, the
images enter it wrongly, and the options below “before the network” are to be set. Writes report.html (open it in a
browser), figures/, cartoonx.npz, pixel_rde.npz and summary.json.
"""
_methods = ("cartoonx", "pixel")
_lambdas = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
_pixel_share = 0.2
_answers_told = 3


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "explain", help="show which part of an image made a classifier say so", description=_description
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, or folders of them")
    parser.add_argument(
        "--model", metavar="FILE", required=True, help="a classifier: .pt2 or .onnx (required)"
    )
    parser.add_argument(
        "--labels", metavar="FILE", help="names of its classes by index: .json or .txt (default: numbers)"
    )
    _add_method_options(parser.add_argument_group("what is explained, and how"))
    add_preprocessing_options(parser.add_argument_group("before the network"))
    _add_output_options(parser.add_argument_group("output"))
    parser.set_defaults(run=run)


def _add_method_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--target",
        metavar="CLASS",
        help="class to explain, by name or index (default: what the classifier says)",
    )
    add(
        "--method",
        metavar="A,B",
        type=_method_list,
        default=_methods,
        help="cartoonx (wavelets), pixel, or both (default: cartoonx,pixel)",
    )
    add(
        "--lambdas",
        metavar="X,…",
        type=_numbers,
        default=_lambdas,
        help="prices of what is kept: the larger, the less is kept (default: 1,2.5,5,10,20,40,80)",
    )
    add(
        "--pixel-lambdas",
        metavar="X,…",
        type=_numbers,
        help="the same for pixels, as many (default: a fifth of --lambdas)",
    )
    add(
        "--preset",
        choices=["default", "published"],
        default="default",
        help="search as Wavelens does, or with the articles' schedule, which takes a hundred times longer "
        "(default: %(default)s)",
    )
    add("--steps", metavar="N", type=positive, help="steps of a search (default: the preset's)")
    add("--samples", metavar="N", type=positive, help="draws of noise in a step (default: the preset's)")
    add(
        "--noise",
        choices=["gaussian", "global", "zero", "blur", "mean"],
        default="gaussian",
        help="what takes the place of what is left out (default: %(default)s, with mean and deviation of each scale)",
    )
    add("--wavelet", metavar="NAME", default="db3", help="as PyWavelets names it (default: %(default)s)")
    add(
        "--evaluate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure how far to trust the explanations, beside other methods (default: --evaluate)",
    )
    add(
        "--seed", metavar="N", type=_seed, default=0, help="seed of all random choices (default: %(default)s)"
    )


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add("--out", metavar="DIR", type=Path, help="folder of the results (default: wavelens-explain-MODEL)")
    add("--force", action="store_true", help="replace an existing result (default: refuse)")
    add("--limit", metavar="N", type=positive, help="at most N images of each folder (default: all)")
    add("--batch", metavar="N", type=positive, default=32, help="images at a time (default: %(default)s)")
    add("--memory", metavar="SIZE", help="most that a search keeps, such as 2GB (default: 512MB)")
    add("--quiet", action="store_true", help="say nothing but errors (default: tell)")
    add("--threads", metavar="N", type=positive, help="threads of network and engine (default: all CPUs)")


@dataclass(eq=False)
class _Images:
    """What is explained: as the network sees it, (n, h, w[, c]) on the scale 0–1."""

    pixels: npt.NDArray[np.float32]
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def run(options: argparse.Namespace) -> None:
    """Open, show the labels, explain, evaluate, report."""
    out = options.out or Path(f"wavelens-explain-{_stem(options.model)}")
    check_output(out, options.force)
    pixel_lambdas = _lambdas_of_pixels(options)
    files = _files(options.images, options.limit)
    say = Steps(options.quiet)
    say(f"opening {options.model}")
    with told(say):
        model = _open(options)
    if not model.has_gradient:
        say.note(
            f"the network gives predictions but no gradient ({model.no_gradient}): masks are searched by trials on "
            "blocks, which takes longer and is coarser"
        )
    say(f"reading {len(files):,} {'image' if len(files) == 1 else 'images'}")
    images = _read(files, model, say)
    target = _target(options.target, model)
    notes = [f"{name} was left out: {reason}." for name, reason in images.skipped]
    with told(say):
        suspicion = _show_labels(options, model, images)
    notes += [suspicion] if suspicion else []
    with told(say):
        paths = _explain(options, model, images, target, pixel_lambdas, say)
        evaluation = _evaluate(options, model, paths, say) if options.evaluate else None
    say("writing the results")
    with whole_folder(out, options.force) as folder:
        _write(folder, options, model, images, paths, evaluation, notes)
    say.done(out / "report.html")


# Images and their labels


def _open(options: argparse.Namespace) -> Model:
    import wavelens
    from wavelens.models import open_model

    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    return open_model(
        options.model,
        preprocessing=given_preprocessing(options) or None,
        class_names=options.labels,
        batch_size=options.batch,
        threads=options.threads,
    )


def _files(given: list[str], limit: int | None) -> list[Path]:
    from wavelens.data._decode import ENDINGS

    found: list[Path] = []
    for text in given:
        path = Path(text).expanduser()
        if path.is_dir():
            inside = sorted(
                each for each in path.iterdir() if each.suffix.lower() in ENDINGS and each.is_file()
            )
            if not inside:
                raise DataError(f"{path}: no images in this folder; its sub-folders are not looked into")
            found += inside[:limit]
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    return list(dict.fromkeys(found))


def _read(files: list[Path], model: Model, say: Steps) -> _Images:
    import numpy as np

    from wavelens.data._decode import decode_through
    from wavelens.data._source import SkippedFile

    colour = model.input_shape[0] != 1
    planes, names, skipped = [], [], []
    for path in files:
        _interrupt.check()
        try:
            decoded = decode_through(
                path, lambda pixels: model.prepare(_on_scale(pixels)[None])[0], colour=colour
            )
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error
        if isinstance(decoded, SkippedFile):
            skipped.append((path.name, decoded.reason))
            say.note(f"left out {path}: {decoded.reason}")
        else:
            planes.append(decoded.pixels)
            names.append(path.name)
    if not planes:
        raise DataError(f"no image could be read; {skipped[0][0]}: {skipped[0][1]}")
    if len({each.shape for each in planes}) > 1:
        raise DataError(
            "the images have different sizes, and the network does not tell its own; say which --size"
        )
    stack = np.stack(planes)
    pixels = stack[:, 0] if stack.shape[1] == 1 else np.moveaxis(stack, 1, 3)
    return _Images(np.ascontiguousarray(pixels, np.float32), _distinct(names, files), tuple(skipped))


def _on_scale(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return bytes as they are, deeper images on the scale 0–1."""
    import numpy as np

    return pixels if pixels.dtype == np.uint8 else np.clip(pixels / 255.0, 0, 1).astype(np.float32)


def _distinct(names: list[str], files: list[Path]) -> tuple[str, ...]:
    """Return names of files, with their folders where two are alike."""
    if len(set(names)) == len(names):
        return tuple(names)
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_name.setdefault(path.name, []).append(path)
    taken = iter(path for path in files if path.name in names)
    return tuple(f"{path.parent.name}/{path.name}" for path in taken)


def _target(asked: str | None, model: Model) -> int | None:
    if asked is None:
        return None
    if re.fullmatch(r"\d+", asked):
        if int(asked) >= model.n_outputs:
            raise WavelensError(f"--target {asked}: the classes are 0 to {model.n_outputs - 1}")
        return int(asked)
    if model.class_names is None:
        raise WavelensError(
            f"--target {asked!r}: without --labels the classes have numbers only, 0 to {model.n_outputs - 1}"
        )
    found = model.class_names.index_of(asked)
    if found is not None:
        return found
    folded = {each.casefold(): each for each in model.class_names.names}
    near = [each for each in folded if asked.casefold() in each][:3]
    near = near or difflib.get_close_matches(asked.casefold(), list(folded), 3, 0.6)
    hint = f"; did you mean {' or '.join(repr(folded[each]) for each in near)}?" if near else ""
    raise WavelensError(f"--target: there is no class {asked!r}{hint}")


def _show_labels(options: argparse.Namespace, model: Model, images: _Images) -> str:
    """Print what the classifier says of each image; return what looks wrong."""
    import numpy as np

    from wavelens.models import check_range

    planes = images.pixels[:, None] if images.pixels.ndim == 3 else np.moveaxis(images.pixels, 3, 1)
    found = check_range(model, np.ascontiguousarray(planes), k=_answers_told)
    if options.quiet:
        return found.suspicion
    width = min(40, max(map(len, images.names)))
    lines = [model.describe(), ""]
    for name, words, shares in zip(images.names, found.names, found.probabilities, strict=True):
        said = ", ".join(f"{word} {share:.1%}" for word, share in zip(words, shares, strict=True))
        lines.append(f"{name:<{width}}  {said if np.isfinite(shares).all() else 'no numbers (NaN)'}")
    print_text("\n".join(lines))
    return found.suspicion


# Explaining


def _lambdas_of_pixels(options: argparse.Namespace) -> tuple[float, ...]:
    if options.pixel_lambdas is None:
        return tuple(_pixel_share * each for each in options.lambdas)
    if len(options.pixel_lambdas) != len(options.lambdas):
        raise WavelensError(
            f"--pixel-lambdas must be as many as --lambdas, {len(options.lambdas)}, got {len(options.pixel_lambdas)}"
        )
    found: tuple[float, ...] = options.pixel_lambdas
    return found


def _explain(
    options: argparse.Namespace,
    model: Model,
    images: _Images,
    target: int | None,
    pixel_lambdas: tuple[float, ...],
    say: Steps,
) -> list[ExplanationPath]:
    from wavelens.explain import CartoonX, PixelRDE

    common: dict[str, Any] = {
        "noise": options.noise,
        "preset": None if options.preset == "default" else options.preset,
        "n_steps": options.steps,
        "n_samples": options.samples,
        "random_state": options.seed,
        "memory_limit": options.memory,
        "progress": False if options.quiet else None,
    }
    n = len(images.names)
    paths = []
    for name in options.method:
        lambdas = options.lambdas if name == "cartoonx" else pixel_lambdas
        what = "wavelets" if name == "cartoonx" else "pixels"
        say(f"explaining {n:,} {'image' if n == 1 else 'images'} in {what}, at {len(lambdas)} λ")
        explainer: Any
        if name == "cartoonx":
            explainer = CartoonX(model, wavelet=options.wavelet, **common)
        else:
            explainer = PixelRDE(model, **common)
        paths.append(explainer.path(images.pixels, lambdas, target))
        _interrupt.check()
    for i, image in enumerate(images.names):
        stopped = {each.stopped[i] for path in paths for each in path.explanations}
        for reason in sorted(each for each in stopped if each.startswith("failed")):
            say.note(f"{image}: {reason}")
    return paths


def _evaluate(
    options: argparse.Namespace, model: Model, paths: list[ExplanationPath], say: Steps
) -> Evaluation:
    from wavelens.explain import evaluate
    from wavelens.report import usual_explanations

    say("measuring how far to trust them, beside other methods")
    progress = False if options.quiet else None
    found = evaluate(
        [usual_explanations(path) for path in paths], model, random_state=options.seed, progress=progress
    )
    _interrupt.check()
    return found


# Results


def _write(
    folder: Path,
    options: argparse.Namespace,
    model: Model,
    images: _Images,
    paths: list[ExplanationPath],
    evaluation: Evaluation | None,
    notes: list[str],
) -> None:
    import wavelens
    from wavelens import report

    command = shlex.join(["wavelens", *sys.argv[1:]]) if sys.argv[1:] else None
    names = model.class_names
    labels = None if names is None else names.names
    for path in paths:
        usual = report.usual_explanations(path)
        usual.save(folder / f"{usual.method}.npz")
    with _share("Writing", options) as share:
        report.write_explain_report(
            folder,
            paths,
            model,
            image_names=images.names,
            class_names=labels,
            full_class_names=None if names is None else names.full_names,
            evaluation=evaluation,
            random_state=options.seed,
            notes=notes,
            command=command,
            progress=lambda done, _: share(done),
        )
    summary = {"wavelens": wavelens.__version__, "command": command, "model": str(options.model)}
    rule = model.preprocessing
    summary["preprocessing"] = None if rule is None else json.loads(json.dumps(rule.to_dict()))
    summary |= report.summarize_explanations(
        paths, image_names=images.names, class_names=labels, evaluation=evaluation
    )
    summary["notes"] = notes
    report.write_summary(folder / "summary.json", summary)


@contextmanager
def _share(what: str, options: argparse.Namespace) -> Iterator[Callable[[float], None]]:
    """Give a callback of the share done that shows it, and hears Ctrl-C."""
    from wavelens._progress import progress_share

    with progress_share(what, False if options.quiet else None) as show:

        def told_share(done: float) -> None:
            _interrupt.check()
            if show is not None:
                show(done)

        yield told_share


def _stem(model: str) -> str:
    return re.sub(r"[^\w.-]+", "-", Path(model).stem).strip("-.") or "model"


# Parsing


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(each) for each in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < each < float("inf") for each in numbers):
        raise argparse.ArgumentTypeError(f"expected numbers above 0, such as 5,20,80, got {text!r}")
    return tuple(dict.fromkeys(numbers))


def _method_list(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    if not names or any(each not in _methods for each in names):
        raise argparse.ArgumentTypeError(f"expected cartoonx, pixel, or both with a comma, got {text!r}")
    return names


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)
