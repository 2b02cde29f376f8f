"""``wavelens spaces``: a network in, what its layers keep, reject and want out."""

from __future__ import annotations

import argparse
import difflib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens.cli import _interrupt
from wavelens.cli._features import add_preprocessing_options
from wavelens.cli._output import check_output, command_line, item, print_text, whole_folder
from wavelens.cli._spaces_images import SpacesImages, open_spaces_images
from wavelens.cli._steps import Steps, shown_share, told
from wavelens.cli._values import positive, seed, stem
from wavelens.exceptions import WavelensError

if TYPE_CHECKING:
    from wavelens.report._spaces_story import LayerFacts
    from wavelens.spaces import EnergyFlow, IdealInputs, NetworkSpaces

__all__ = ["add_command"]

_description = """\
Show what each layer of a trained network (.onnx or .pt2) keeps of what enters it, what it rejects, and which of that
random weights would do as well. With --images it measures how much of their energy each layer rejects, class by
class, and seeks the picture that each class wants. Writes report.html (open it in a browser), figures/, layers.csv,
energy.csv (with images) and summary.json.
"""


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "spaces", help="show what the layers of a network keep, reject and want", description=_description
    )
    parser.add_argument("model", metavar="MODEL", help="a network: .onnx or .pt2")
    add = parser.add_argument_group("layers").add_argument
    add(
        "--layer",
        metavar="NAME",
        action="append",
        default=[],
        help="layer to show in detail; may be said several times (default: the most telling)",
    )
    _add_image_options(parser.add_argument_group("images and labels"))
    add_preprocessing_options(parser.add_argument_group("before the network"))
    _add_output_options(parser.add_argument_group("output"))
    parser.set_defaults(run=run)


def _add_image_options(group: Any) -> None:
    add = group.add_argument
    add("--images", metavar="SOURCE", help="folder with a sub-folder per class, .npz, .npy (default: none)")
    add(
        "--labels",
        metavar="FILE",
        help="the network's classes by index: .json or .txt (default: as the images' classes)",
    )
    add("--key", help="array of images inside an .npz file (default: recognised)")
    add("--labels-key", metavar="KEY", help="array of labels inside an .npz file (default: recognised)")
    add("--split", help="part of a dataset with splits: train, test, val or all (default: train)")
    add(
        "--limit",
        metavar="N",
        type=positive,
        help="use at most N images of each class (default: 500, or 20 for networks with convolutions)",
    )
    add(
        "--ideal",
        choices=["auto", "newton", "adam", "untrained", "none"],
        default="auto",
        help="how ideal inputs are sought; auto trains them by Newton's method where that takes less than about a "
        "minute (default: %(default)s)",
    )
    add("--seed", metavar="N", type=seed, default=0, help="seed of all random choices (default: %(default)s)")


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add("--out", metavar="DIR", type=Path, help="folder of the results (default: wavelens-spaces-MODEL)")
    add("--force", action="store_true", help="replace an existing result (default: refuse)")
    add("--batch", metavar="N", type=positive, default=32, help="images at a time (default: %(default)s)")
    add("--json", action="store_true", help="print the summary as JSON (default: in words)")
    add(
        "--quiet", action="store_true", help="say nothing but errors (default: tell each step, and a summary)"
    )
    add("--threads", metavar="N", type=positive, help="threads of network and engine (default: all CPUs)")


def run(options: argparse.Namespace) -> None:
    """Read, take apart, measure, report."""
    out = options.out or Path(f"wavelens-spaces-{stem(options.model, 'model')}")
    check_output(out, options.force)
    _check_model(options.model)
    say = Steps(options)
    say(f"opening {options.model}")
    import wavelens
    from wavelens.spaces import NetworkSpaces

    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    with told(say):
        network = NetworkSpaces.from_file(options.model)
        _check_layers(options.layer, network)
        images = None if options.images is None else open_spaces_images(options, network, say)
        network = network if images is None else images.seen_by(network)
    facts = _measure(options, network, say)
    notes: list[str] = []
    flow = means = ideal = None
    with told(say):
        if images is not None:
            say(f"pushing {images.source.n_images:,} images through the network")
            flow = images.energy_flow(network, tuple(each.spaces.name for each in facts if each.found))
            _interrupt.check()
            means = images.class_means(network)
            ideal = images.ideal_inputs(options, say)
            notes += images.notes
    for note in notes:
        say.note(note)
    say("writing the results")
    command = command_line()
    summary = _summary(options, network, facts, flow, ideal, notes, command)
    with whole_folder(out, options.force) as folder:
        _write(folder, options, network, images, facts, summary, flow=flow, means=means, ideal=ideal)
    _tell(options, summary)
    if not options.json:
        say.done(out / "report.html")


def _measure(options: argparse.Namespace, network: NetworkSpaces, say: Steps) -> tuple[LayerFacts, ...]:
    from wavelens.report._spaces_story import affordable_layers, measure_layers

    wanted = affordable_layers(network, options.layer)
    say(f"taking {len(wanted):,} {'layer' if len(wanted) == 1 else 'layers'} apart")
    left = [each.name for each in network if each.name not in wanted]
    if left:
        say.note(f"left out, as too large: {', '.join(left)}; --layer NAME takes one apart all the same")
    with shown_share("Taking apart", options.quiet) as progress:
        return measure_layers(network, wanted, random_state=options.seed, progress=progress)


def _summary(
    options: argparse.Namespace,
    network: NetworkSpaces,
    facts: tuple[LayerFacts, ...],
    flow: EnergyFlow | None,
    ideal: IdealInputs | None,
    notes: list[str],
    command: str | None,
) -> dict[str, Any]:
    import wavelens
    from wavelens import report

    summary: dict[str, Any] = {
        "wavelens": wavelens.__version__,
        "command": command,
        "model": str(options.model),
        "images": options.images,
    }
    summary |= report.summarize_spaces(network, flow=flow, ideal=ideal, layers=options.layer, facts=facts)
    summary["notes"] = list(notes)
    return summary


def _write(
    folder: Path,
    options: argparse.Namespace,
    network: NetworkSpaces,
    images: SpacesImages | None,
    facts: tuple[LayerFacts, ...],
    summary: dict[str, Any],
    **results: Any,
) -> None:
    from wavelens import report

    report.write_spaces_csv(folder / "layers.csv", summary)
    if results["flow"] is not None:
        report.write_energy_csv(folder / "energy.csv", results["flow"])
    with shown_share("Drawing", options.quiet) as share:
        report.write_spaces_report(
            folder,
            network,
            layers=options.layer,
            facts=facts,
            source="" if images is None else images.words,
            notes=summary["notes"],
            command=summary["command"],
            progress=lambda done, _: share(done),
            **results,
        )
    report.write_summary(folder / "summary.json", summary)


def _tell(options: argparse.Namespace, summary: dict[str, Any]) -> None:
    if options.json:
        print_text(json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False))
        return
    if options.quiet:
        return
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    n = summary["n_layers"]
    lines = [f"{summary['network']}: {n:,} {'layer' if n == 1 else 'layers'} with weights", ""]
    for mark, texts in (("-", summary["findings"]), ("!", summary["remarks"])):
        for text in texts:
            lines += item(mark, text, width)
    print_text("\n".join(lines))


# Checking


def _check_model(model: str) -> None:
    """Refuse early what is no file of a network."""
    path = Path(model).expanduser()
    if not path.exists():
        raise WavelensError(f"{path}: no such file")
    if path.is_dir() or path.suffix.lower() not in (".onnx", ".pt2"):
        raise WavelensError(f"{path}: expected a network as .onnx or .pt2 file")


def _check_layers(asked: list[str], network: NetworkSpaces) -> None:
    names = [each.name for each in network]
    for name in asked:
        if name not in names:
            near = difflib.get_close_matches(name, names, 3, 0.4) or names[:5]
            more = ", …" if len(near) < len(names) else ""
            raise WavelensError(
                f"--layer {name}: there is no such layer with weights; there are {', '.join(near)}{more}"
            )
