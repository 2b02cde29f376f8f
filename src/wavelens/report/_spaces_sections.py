"""The sections of a report on spaces."""

from __future__ import annotations

import numpy as np

from wavelens._utils._names import shorten
from wavelens.plotting import EnergyFlowDisplay, IdealInputsDisplay, LayerImagesDisplay, LayerSpectrumDisplay
from wavelens.report._page import Block, Fold, Heading, Section, Table, Text
from wavelens.report._spaces_story import LayerFacts, SpacesStory
from wavelens.report._words import count, percent

__all__ = ["energy", "ideal", "layers", "pictures", "reading", "spectra"]

_rows_unfolded = 40
_pictures_in_line = 12
_classes_in_table = 20
_layers_drawn = 60


def layers(story: SpacesStory) -> Section:
    """Show all layers in a table."""
    with_flow = story.flow is not None
    header: tuple[str, ...] = ("Layer", "Kind", "Weights", "Rank", "Condition (chance)", "Spectrum")
    header += ("Rejected (chance)",) if with_flow else ()
    rows = [_row(story, each, with_flow) for each in story.facts]
    caption = "In the order of execution. In brackets: what random weights of the same shape do."
    table: Block = Table(header, tuple(rows), caption)
    if len(rows) > _rows_unfolded:
        table = Fold(f"Table of {len(rows)} layers", (table,))
    lead = f"{count(len(story.facts), 'layer')} with weights, from the input to the output. "
    lead += (
        "The network is layer, activation, layer, … and nothing else."
        if story.network.weights.is_chain
        else story.why_not_chain
    )
    return Section("layers", "All layers", (Text((lead,)), table, Text(_table_words(story), "note")))


def _table_words(story: SpacesStory) -> tuple[str, ...]:
    words = [
        "Rank: how many independent directions pass, of how many that enter. Condition: how many times as strongly "
        "the strongest of them passes as the weakest; in brackets, between which values it lies in 95 of 100 random "
        "matrices of the same shape. Spectrum: whether the singular values, one by one, are such as random weights "
        "have."
    ]
    if story.flow is not None:
        words.append(
            "Rejected: to which share of the energy that enters it the layer is blind, over all images; in brackets, "
            "what random spaces of the same dimension are blind to, ± one standard deviation."
        )
    if story.has_convolutions:
        words.append(
            "Of a convolution the kernels are the rows of the matrix, and what enters are the patches that they see. "
            "Depthwise: one kernel for each channel; rank and condition are of all kernels together, and what is "
            "rejected is counted channel by channel. Pointwise: 1 × 1 kernels, which mix channels."
        )
    more = "" if story.flow is None else "; energy.csv has what is rejected of each class"
    return (*words, f"layers.csv beside this page has the same numbers, not rounded{more}.")


def _row(story: SpacesStory, each: LayerFacts, with_flow: bool) -> tuple[str, ...]:
    kind, sizes = each.spaces.kind, each.spaces.layer.weights.shape
    cells = [each.name, kind, "×".join(map(str, sizes[:2] if kind == "pointwise" else sizes))]
    if each.found is None:
        cells += ["too large", "–", "–"]
    else:
        low, high = each.found.chance_condition_interval
        chance = f" ({_number(low)}–{_number(high)})" if each.comparable else ""
        cells += [
            f"{each.rank:,} of {each.matrix[1]:,}",
            f"{_number(each.found.condition)}{chance}",
            ("like chance" if each.like_chance else "not chance") if each.comparable else "–",
        ]
    if with_flow:
        found = story.rejected(each)
        if found is None or found[1] == 0:
            cells.append("–" if found is None else "nothing")
        else:
            cells.append(f"{_share(found[0])} ({_share(found[1])} ± {_share(found[2])})")
    return tuple(cells[:1] + [_kept_together(cell) for cell in cells[1:]])


def _kept_together(cell: str) -> str:
    """Let a line break before what is in brackets, and nowhere else."""
    number, bracket, rest = cell.replace(" ", "\u00a0").replace("–", "\u2060–\u2060").partition("\u00a0(")
    return f"{number} ({rest}" if bracket else number


def pictures(story: SpacesStory) -> Section | None:
    """Show weights and signal images of the first layer, and what it keeps and rejects of the means of classes."""
    if story.pictured is None:
        return None
    fact, spaces = story.pictured
    kernels = fact.spaces.layer.kind == "convolution"
    means = None
    if not kernels and story.means is not None and story.means[0].size == spaces.shape[1]:
        means = story.means[:_pictures_in_line].reshape(-1, *(spaces.input_shape or ()))
    display = LayerImagesDisplay.from_spaces(
        spaces,
        means,
        names=None if means is None else story.mean_names[:_pictures_in_line],
        n=_pictures_in_line,
        title=f"{'Kernels of' if kernels else 'Layer'} {shorten(fact.name, 40)}",
    ).plot()
    n_units = min(_pictures_in_line, spaces.shape[0])
    what = "kernel" if kernels else "unit"
    shown = (
        f"The first {n_units} of {count(spaces.shape[0], what)}"
        if n_units < spaces.shape[0]
        else f"All {what}s"
    )
    colour = len(spaces.input_shape or ()) == 3 and (spaces.input_shape or (1,))[0] == 3
    caption = (
        f"{shown}. Mid grey does not count, lighter adds in its colour, darker takes away; each scaled for itself."
        if colour
        else f"{shown}. Red adds to what a {what} says, blue takes away, white does not count; each scaled for itself."
    )
    if means is not None:
        caption += " What enters is shown as an image, from its lowest value (black) to its highest (white)."
    lead = (
        _kernel_lead(spaces.rank) if kernels else _unit_lead(spaces.rank, spaces.shape[1], means is not None)
    )
    blocks: list[Block] = [
        Text((lead,), "lead"),
        story.figures.chart(
            display, "first-layer", f"Weights and signal images of {fact.name} as pictures", caption
        ),
    ]
    if means is not None and story.means is not None and len(story.means) > _pictures_in_line:
        blocks.append(
            Text((f"The first {_pictures_in_line} of {len(story.means)} classes are shown.",), "note")
        )
    return Section("pictures", "The first layer in pictures", tuple(blocks))


def _unit_lead(rank: int, n: int, means: bool) -> str:
    text = (
        "What a unit weighs is a picture: the pixels that it looks at. Signal images are the same layer told without "
        f"overlap: {rank} pictures at right angles to each other, the strongest first, of which everything that passes "
        f"is made. The other {n - rank:,} directions of the {n:,} at the input pass nothing: change a picture along "
        "them, and the network gives the same answer."
    )
    if rank == n:
        text = text[: text.index(" The other")] + " Nothing is lost: there are as many as there are inputs."
    if means:
        text += (
            " Below, the mean of each class as it enters the network, and the two parts into which the layer splits "
            "it: their pixels add up to the mean again, and their energies to 100 %."
        )
    return text


def _kernel_lead(rank: int) -> str:
    return (
        "Each kernel is a small picture that is laid over every place of the image. Signal images are the same "
        f"kernels told without overlap: {rank} patterns at right angles to each other, the strongest first, of which "
        "everything that passes is made."
    )


def spectra(story: SpacesStory) -> Section | None:
    """Show the spectra of the most telling layers beside chance."""
    shown = [each for each in story.detailed if each.comparable]
    if not shown:
        return None
    lead = (
        "How strongly each direction passes, the strongest first, and beside it what random matrices of the same shape "
        "do. Within the grey band a direction is as strong as chance alone would make it: an even spectrum, or a small "
        "condition number, says nothing until it is outside."
    )
    blocks: list[Block] = [Text((lead,), "lead")]
    for i, each in enumerate(shown):
        assert each.found is not None
        title = f"{shorten(each.name, 40)}: {each.spaces.kind}, {each.matrix[0]:,} × {each.matrix[1]:,}"
        display = LayerSpectrumDisplay.from_comparison(each.found, title=title).plot()
        why = story.why(each)
        words = each.found.words()
        caption = f"{words} ({why[0].upper() + why[1:]}.)" if why else words
        blocks.append(
            story.figures.chart(display, f"spectrum-{i + 1}", f"Singular values of {each.name}", caption)
        )
    rest = len(story.compared) - len(shown)
    if rest > 0:
        note = f"{count(rest, 'other layer')} in the table above; --layer NAME draws any of them."
        blocks.append(Text((note,), "note"))
    return Section("spectra", "How strongly directions pass, beside chance", tuple(blocks))


def energy(story: SpacesStory) -> Section | None:
    """Show what each layer rejects of the images."""
    flow = story.flow
    if flow is None:
        return None
    lead = (
        "Of everything that enters a layer, some lies in directions that it is blind to. The dots are the share of "
        "energy that is lost so, for each class; the grey bar is where random spaces of the same dimension would be, "
        "given these very images. Left of the bar the weights have turned towards what images are, right of it away "
        "from it. Layers at zero have as many independent weights as inputs and cannot reject anything."
    )
    blocks: list[Block] = [Text((lead,), "lead")]
    if len(flow.layers) <= _layers_drawn:
        alt = "; ".join(
            f"{name}: {percent(float(share))}" for name, share in zip(flow.layers, flow.overall, strict=True)
        )
        display = EnergyFlowDisplay.from_flow(
            flow, title=f"What each layer rejects of {count(len(flow.labels), 'image')}"
        ).plot()
        blocks.append(
            story.figures.chart(display, "energy", f"Rejected shares. {alt}", _energy_caption(story))
        )
    if len(flow.classes) > 1:
        blocks.append(_class_table(story))
    return Section("energy", "What each layer rejects of the images", tuple(blocks))


def _energy_caption(story: SpacesStory) -> str:
    text = "From the first layer on top to the last."
    if story.has_convolutions:
        text += (
            " Of convolutions it is the energy of the patches that the kernels see: what is rejected of one patch may "
            "pass as part of the next, so that a layer may reject much of every patch and little of the map."
        )
    return text


def _class_table(story: SpacesStory) -> Block:
    flow = story.flow
    assert flow is not None
    shown = min(len(flow.classes), _classes_in_table)
    able = [i for i in range(len(flow.layers)) if flow.chance[i] > 0]
    rows = []
    for i in able:
        cells = [_share(float(each)) if np.isfinite(each) else "–" for each in flow.rejected[i, :shown]]
        rows.append((flow.layers[i], percent(float(flow.chance[i])), *cells))
    if not rows:
        return Text(("No layer can reject anything, of any class.",))
    header = ("Layer", "By chance", *(shorten(name, 20) for name in flow.classes[:shown]))
    caption = "Share of energy that each layer rejects, class by class (layers that can reject)."
    if shown < len(flow.classes):
        caption += f" The first {shown} of {len(flow.classes)} classes; energy.csv has all."
    return Fold(f"{count(shown, 'class', 'classes')} in numbers", (Table(header, tuple(rows), caption),))


def ideal(story: SpacesStory) -> Section | None:
    """Show ideal inputs."""
    found = story.ideal
    if found is None:
        return None
    n = min(len(found.class_names), _pictures_in_line)
    display = IdealInputsDisplay.from_ideal(
        found,
        class_names=found.class_names,
        n=n,
        title="Candidates for ideal inputs",
    ).plot()
    lead = (
        "The ideal answer for a class is the surest that the network gives to any image at hand: the highest value of "
        "the class's own output, the lowest of each other one. Which picture gets it? Candidates are made of the "
        "images of the class: their mean (avg), the one of them that comes nearest (min), and the mean of the nearest "
        "quarter (avg-min). "
    )
    trained = any(" + " in each for each in found.distances)
    lead += (
        "Trained ones are changed from there, with the network left as it is."
        if trained
        else "None of them was trained here."
    )
    header = ("Class", *found.distances, "Chosen", "Answer")
    rows = tuple(
        (
            found.class_names[i],
            *(f"{found.distances[each][i]:.3g}" for each in found.distances),
            found.chosen[i],
            found.class_names[int(found.predicted[i])],
        )
        for i in range(len(found.class_names))
    )
    caption = (
        "Distance of each candidate's outputs from the ideal ones; how long these are: "
        f"{np.median(np.linalg.norm(found.ideal, axis=1)):.3g} (median), the distance of an answer of zeros. "
        "Chosen: the nearest; of several as near the one "
        "changed least. Answer: what the network takes the chosen picture for."
    )
    names = ", ".join(f"{each}: {kind}" for each, kind in zip(found.class_names, found.chosen, strict=True))
    chart = story.figures.chart(
        display,
        "ideal-inputs",
        f"Candidates for the ideal input of each class. Chosen: {names}",
        "Under each picture the distance of its outputs from the ideal ones. Framed: the one chosen for its class.",
    )
    notes = list(found.notes)
    near = [found.candidates[each] for each in ("min", "avg-min") if each in found.candidates]
    if len(near) == 2 and np.array_equal(near[0], near[1]):
        notes.insert(
            0, "The nearest quarter of fewer than eight images is one image, so that avg-min is min here."
        )
    blocks: tuple[Block, ...] = (
        Text((lead,), "lead"),
        chart,
        Table(header, rows, caption, words=(len(header) - 2, len(header) - 1)),
        Text(tuple(notes), "note"),
    )
    return Section("ideal", "Which picture each class wants", blocks)


def reading(story: SpacesStory) -> Section:
    """Explain the page to strangers, and name the method."""
    words = [
        "A layer multiplies what enters by its weights. Whatever enters can be split into two parts: one that the "
        "weights see (the signal) and one at right angles to all of them (rejected), which changes nothing of what "
        "the layer says. The sum of the squares of the values is the energy; the energies of the two parts add up.",
        "The singular values of the weights say how strongly each direction of the signal passes. Random numbers have "
        "singular values too, and in wide or tall matrices very even ones. So every spectrum here is held against "
        "random matrices of its shape: what they do as well is no finding.",
    ]
    pitfalls = [
        "What a layer rejects is not all that a network ignores. Activations cut off more, and what passes faintly may "
        "drown. Nor is it wrong to reject: a classifier has to forget what its classes have in common.",
        "A layer may be like chance in how strongly directions pass and yet have learnt which directions they are. "
        "What it rejects of images, beside chance, tells of that.",
    ]
    if story.has_convolutions:
        pitfalls.append(
            "A convolution is told here by its kernels as rows of a matrix, which see patch by patch. As an operator "
            "on whole maps it has other singular values, and usually rejects less, as patches overlap."
        )
    return Section(
        "reading",
        "How to read it",
        (
            Heading("words", "In plain words"),
            Text(tuple(words)),
            Heading("pitfalls", "What it cannot tell"),
            Text(tuple(pitfalls)),
            Heading("method", "Method and sources"),
            Text(
                (
                    "Singular value decomposition W = UΣVᵀ of each layer's weights, batch normalization multiplied in; "
                    "the first r right singular vectors span the signal, the others what is rejected. The band of "
                    "each singular value is that of 95 of 100 matrices with independent normal entries, scaled to the "
                    "same median. What random spaces reject of given values has mean 1 − r/n, and a deviation that "
                    "depends on how many directions the values fill.",
                    "R. Pattichis, M. S. Pattichis, “Understanding neural network systems for image analysis using "
                    "vector spaces” (2024). V. A. Marchenko, L. A. Pastur, “Distribution of eigenvalues for some sets "
                    "of random matrices” (1967). I. Dumitriu, A. Edelman, “Matrix models for beta ensembles” (2002).",
                )
            ),
        ),
    )


def _share(value: float) -> str:
    return "<0.01%" if 0 < value < 1e-4 else percent(value)


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    if value >= 1e5:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
