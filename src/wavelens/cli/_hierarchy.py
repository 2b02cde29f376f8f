"""``wavelens hierarchy``: features of a network in, the hierarchy of its classes out."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens.cli._hierarchy_input import HierarchyInput, read_input
from wavelens.cli._output import check_output, command_line, item, print_text, whole_folder
from wavelens.cli._steps import Steps, shown_share, told
from wavelens.cli._values import positive, seed, stem
from wavelens.exceptions import DataError, WavelensError

if TYPE_CHECKING:
    from wavelens.hierarchy import ClassHierarchy, CompositionStability, LayerFlow

__all__ = ["add_command"]

_description = """\
Show how classes hang together inside a network: which belong together first, which join later, which stand
apart, and how that changes from layer to layer. Reads an .npz file that `wavelens features` wrote, or any with
an array of features (rows are images) and one of labels. Writes report.html (open it in a browser), figures/,
hierarchy.npz, covariance.npz, graph.json, graph.dot, levels.csv, classes.csv and summary.json.
"""
_default_order = 5


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "hierarchy",
        help="show how classes hang together inside a network, and report on it",
        description=_description,
    )
    parser.add_argument("source", metavar="FEATURES", help="an .npz file of features and labels")
    _add_source_options(parser.add_argument_group("features and classes"))
    _add_method_options(parser.add_argument_group("method"))
    _add_output_options(parser.add_argument_group("output"))
    parser.set_defaults(run=run)


def _add_source_options(group: Any) -> None:
    add = group.add_argument
    add("--layer", metavar="NAME", help="layer the report is about (default: the last that is no output)")
    add(
        "--layers",
        metavar="A,B,…",
        help="layers that are compared, in this order; 'none' for no comparison (default: all that are no outputs)",
    )
    add("--key", help="array of features in a file of others (default: recognised)")
    add("--labels-key", metavar="KEY", help="array of labels in a file of others (default: recognised)")
    add("--rows-are-classes", action="store_true", help="every row is a class (default: as labels say)")
    add(
        "--class-names",
        metavar="FILE",
        help="names of classes by index or id: .json or .txt (default: those in the file)",
    )
    add("--classes", metavar="A,B,…", help="only these, by name (default: all)")
    add("--limit-classes", metavar="N", type=positive, help="only N of them, drawn at random (default: all)")


def _add_method_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--order",
        metavar="K",
        type=positive,
        help=f"classes that a composition takes (default: {_default_order}, or all if there are fewer)",
    )
    add(
        "--method",
        choices=["topk", "exhaustive", "random"],
        default="topk",
        help="which compositions are tried: those of similar classes, all, or some (default: %(default)s)",
    )
    add(
        "--rotation",
        choices=["opt", "eigen", "gram"],
        default="opt",
        help="how classes are mixed: with the least error, or as the paper does (default: %(default)s)",
    )
    add("--center", action="store_true", help="take off the mean of all images first (default: do not)")
    add(
        "--correlation",
        action="store_true",
        help="compare directions of class means only (default: lengths too)",
    )
    add(
        "--resamples",
        metavar="N",
        type=_resamples,
        default=20,
        help="how often images are drawn anew to see what is stable; 0 or at least 2 (default: %(default)s)",
    )
    add("--seed", metavar="N", type=seed, default=0, help="seed of all random choices (default: %(default)s)")


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--out", metavar="DIR", type=Path, help="folder of the results (default: wavelens-hierarchy-FEATURES)"
    )
    add("--force", action="store_true", help="replace an existing result (default: refuse)")
    add("--json", action="store_true", help="print the summary as JSON (default: in words)")
    add(
        "--quiet", action="store_true", help="say nothing but errors (default: tell each step, and a summary)"
    )
    add("--threads", metavar="N", type=positive, help="threads of the engine (default: all CPUs)")


def run(options: argparse.Namespace) -> None:
    """Read, factorize, compare, report."""
    out = options.out or Path(f"wavelens-hierarchy-{stem(options.source, 'features')}")
    check_output(out, options.force)
    say = Steps(options)
    say("loading the engine")
    import wavelens
    from wavelens import report

    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    say(f"reading {options.source}")
    data = read_input(options)
    for note in data.notes:
        say.note(note)
    with told(say):
        hierarchy, stability, flow = _analyse(options, data, say)
    say("writing the results")
    command = command_line()
    summary = {"wavelens": wavelens.__version__, "command": command, "source": str(options.source)}
    summary |= report.summarize_hierarchy(hierarchy, layer=data.layer, flow=flow, stability=stability)
    summary["notes"] = list(data.notes)
    with whole_folder(out, options.force) as folder:
        _write(folder, options, data, hierarchy, summary, stability=stability, flow=flow, command=command)
    _tell(options, data, summary)
    if not options.json:
        say.done(out / "report.html")


def _analyse(
    options: argparse.Namespace, data: HierarchyInput, say: Steps
) -> tuple[ClassHierarchy, CompositionStability, LayerFlow | None]:
    from wavelens.hierarchy import ClassHierarchy, composition_stability, layer_flow

    settings = {name: getattr(options, name) for name in ("method", "rotation", "center", "correlation")}
    n_classes = len(set(data.labels.tolist()))
    settings["order"] = _order(options.order, n_classes)
    values = data.features.layers[data.layer]
    say(
        f"composing {n_classes:,} classes of {data.layer} ({len(values):,} rows of {values.shape[1]:,} numbers)"
    )
    with _named(options.source, data.layer):
        hierarchy = ClassHierarchy(random_state=options.seed, **settings).fit(values, data.labels)
    say("trying other orders, and other images" if options.resamples else "trying other orders")
    with _named(options.source, data.layer), shown_share("Drawing anew", options.quiet) as progress:
        stability = composition_stability(
            values,
            data.labels,
            n_resamples=options.resamples,
            random_state=options.seed,
            progress=progress,
            **settings,
        )
    flow = None
    if len(data.flow_layers) > 1 and options.resamples and int(hierarchy.counts_.min()) > 1:
        say(f"comparing {len(data.flow_layers)} layers")
        layers = {name: data.features.layers[name] for name in data.flow_layers}
        with _named(options.source), shown_share("Comparing layers", options.quiet) as progress:
            flow = layer_flow(
                layers,
                data.labels,
                n_resamples=options.resamples,
                random_state=options.seed,
                progress=progress,
                **settings,
            )
    return hierarchy, stability, flow


def _order(asked: int | None, n_classes: int) -> int:
    if asked is None:
        return min(_default_order, n_classes)
    if asked < 2:
        raise WavelensError(f"--order {asked}: a composition takes at least 2 classes")
    if asked > n_classes:
        raise WavelensError(
            f"--order {asked}: a composition cannot take more classes than there are, {n_classes}; say --order "
            f"{n_classes} or less (about half of them or fewer tell most)"
        )
    return asked


def _write(
    folder: Path,
    options: argparse.Namespace,
    data: HierarchyInput,
    hierarchy: ClassHierarchy,
    summary: dict[str, Any],
    **results: Any,
) -> None:
    import numpy as np

    from wavelens import report

    graph = hierarchy.graph()
    hierarchy.save(folder / "hierarchy.npz")
    covariance = hierarchy.covariance_
    np.savez(
        folder / "covariance.npz",
        covariance=covariance.matrix,
        class_names=covariance.classes,
        counts=covariance.counts,
    )
    (folder / "graph.json").write_text(graph.to_json(indent=1) + "\n", encoding="utf-8")
    (folder / "graph.dot").write_text(graph.to_dot(), encoding="utf-8")
    report.write_levels_csv(folder / "levels.csv", hierarchy)
    report.write_classes_csv(folder / "classes.csv", hierarchy)
    with shown_share("Drawing", options.quiet) as share:
        report.write_hierarchy_report(
            folder,
            hierarchy,
            layer=data.layer,
            source=data.features.source,
            notes=data.notes,
            progress=lambda done, _: share(done),
            **results,
        )
    report.write_summary(folder / "summary.json", summary)


def _tell(options: argparse.Namespace, data: HierarchyInput, summary: dict[str, Any]) -> None:
    if options.json:
        print_text(json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False))
        return
    if options.quiet:
        return
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    lines = [f"{summary['n_classes']:,} classes in {data.layer} of {data.features.source}", ""]
    for mark, texts in (("-", summary["findings"]), ("!", summary["remarks"])):
        for text in texts:
            lines += item(mark, text, width)
    print_text("\n".join(lines))


@contextmanager
def _named(source: str, layer: str | None = None) -> Iterator[None]:
    """Say of which file and layer an error speaks."""
    try:
        yield
    except (ValueError, TypeError) as error:
        where = f"{source}, layer {layer!r}" if layer else source
        raise DataError(
            f"{where}: {str(error).replace('`X`', 'features').replace('`y`', 'labels')}"
        ) from error


def _resamples(text: str) -> int:
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"expected 0 or a whole number from 2 on, got {text!r}")
    return int(text)
