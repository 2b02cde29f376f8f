"""The report of a network's spaces: what it says holds of the network, and odd networks still make a page."""

from __future__ import annotations

import csv
import itertools
import json

import numpy as np
import pytest
from html_page import Page, check_page

from wavelens.models import NumpyMLP
from wavelens.report import (
    summarize_spaces,
    write_energy_csv,
    write_spaces_csv,
    write_spaces_report,
    write_summary,
)
from wavelens.report._spaces_findings import findings, remarks
from wavelens.report._spaces_story import SpacesStory, affordable_layers, measure_layers
from wavelens.spaces import NetworkSpaces, ideal_inputs

rng = np.random.default_rng(0)


def network(sizes=(36, 8, 3), seed=0, side=6, **options):
    draw = np.random.default_rng(seed)
    weights = [draw.normal(size=(b, a)) for a, b in itertools.pairwise(sizes)]
    return NetworkSpaces.from_arrays(weights, input_shape=(side, side), **options)


def images(n=60, seed=1):
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return draw.normal(size=(n, 36)) + labels[:, None], np.array(["cat", "dog", "eel"])[labels]


def told(net, **options):
    story = SpacesStory(None, net, measure_layers(net), **options)
    return " ".join(findings(story)), " ".join(remarks(story))


def test_page_has_all_sections(tmp_path):
    net = network()
    x, labels = images()
    flow = net.energy_flow(x, labels)
    means = np.stack([x[labels == name].mean(axis=0) for name in flow.classes])
    weights = [each.layer.weights.T for each in net]
    model = NumpyMLP(weights, [np.zeros(8), np.zeros(3)], input_shape=(1, 6, 6), class_names=None)
    pictures = np.clip(rng.random((30, 6, 6)), 0, 1)
    ideal = ideal_inputs(model, pictures, np.arange(30) % 3, train="newton")
    shares = []
    path = write_spaces_report(
        tmp_path,
        net,
        flow=flow,
        ideal=ideal,
        means=means,
        source="some images",
        notes=["A note."],
        command="wavelens spaces",
        progress=lambda done, _: shares.append(done),
    )
    text = path.read_text(encoding="utf-8")
    for section in ("layers", "pictures", "spectra", "energy", "ideal", "reading"):
        assert f'id="{section}"' in text
    assert 'id="operators"' not in text
    assert "A note." in text
    assert "no natural image has" in " ".join(text.split())
    assert shares == sorted(shares)
    assert shares[-1] == 1
    found = {each.name for each in (tmp_path / "figures").iterdir()}
    for name in ("first-layer", "spectrum-1", "spectrum-2", "energy", "ideal-inputs"):
        assert {f"{name}.png", f"{name}.svg"} <= found
    check_page(text)


@pytest.mark.parametrize("spread", [0.01, 1.0])
def test_training_that_hardly_shows_is_said_so(spread):
    """Pictures that differ by little have ideal answers near each one's; those that differ by much do not."""
    draw = np.random.default_rng(0)
    model = NumpyMLP([draw.normal(size=(36, 3))], [np.zeros(3)], input_shape=(1, 6, 6))
    pictures = np.clip(0.5 + spread * draw.uniform(-0.5, 0.5, (30, 6, 6)), 0, 1)
    ideal = ideal_inputs(model, pictures, np.arange(30) % 3, train="newton", bounds=None)
    said, _ = told(network(), ideal=ideal)
    assert "training reaches it for each" in said
    assert ("that is hardly seen" in said) == (spread < 0.1)
    assert " % of their own length" in " ".join(ideal.notes)


def test_random_weights_are_called_random():
    said, _ = told(network((400, 60, 30), side=20))
    assert "look random: of 2 layers, 2 have singular values such as random weights" in said
    steep = np.random.default_rng(0).normal(size=(20, 400)) * np.geomspace(1, 100, 20)[:, None]
    said, _ = told(NetworkSpaces.from_arrays([steep]))
    assert "differs from a random matrix" in said
    assert "“layer1”: its strongest direction passes" in said


def test_layers_that_cannot_reject_are_told():
    square = NetworkSpaces.from_arrays([rng.normal(size=(5, 5)), rng.normal(size=(6, 5))])
    assert "No layer can reject anything" in told(square)[0]
    flow = square.energy_flow(rng.normal(size=(20, 5)))
    assert "No layer can reject anything" in told(square, flow=flow)[0]


def test_what_is_rejected_stands_beside_chance():
    net = NetworkSpaces.from_arrays([np.eye(30)[:5] * np.arange(1, 6)[:, None]])
    x = np.zeros((50, 30))
    x[:, 5:] = rng.normal(size=(50, 25))
    said, noted = told(net, flow=net.energy_flow(x))
    assert "“layer1” rejects 100% of the energy of what enters it" in said
    assert "would reject 83% ±" in said
    assert "“layer1” clearly more" in said
    assert noted == ""
    x = np.zeros((50, 30))
    x[:, :5] = rng.normal(size=(50, 5))
    said, _ = told(net, flow=net.energy_flow(x))
    assert "clearly less of the images than chance would" in said


def test_silent_units_are_told():
    weights = rng.normal(size=(6, 20))
    weights[3:] = weights[:3]
    assert "“layer1” uses 3 of the 6 directions" in told(NetworkSpaces.from_arrays([weights]))[0]


def test_few_images_are_remarked():
    net = network()
    x, labels = images(9)
    assert "Fewer than 10 images" in told(net, flow=net.energy_flow(x, labels))[1]


@pytest.mark.parametrize(
    "weights",
    [[np.zeros((3, 4))], [np.ones((1, 1))], [rng.normal(size=(1, 4))], [rng.normal(size=(4, 1))]],
    ids=["zero", "one number", "one unit", "one input"],
)
def test_odd_networks_make_a_page(tmp_path, weights):
    net = NetworkSpaces.from_arrays(weights)
    flow = net.energy_flow(np.ones((3, weights[0].shape[1])))
    write_spaces_report(tmp_path, net, flow=flow)
    summary = summarize_spaces(net, flow=flow)
    write_summary(tmp_path / "summary.json", summary)
    write_spaces_csv(tmp_path / "layers.csv", summary)
    write_energy_csv(tmp_path / "energy.csv", flow)


def test_many_layers_show_the_telling_ones(tmp_path):
    draw = np.random.default_rng(0)
    weights = [draw.normal(size=(12, 12)) for _ in range(9)]
    weights[4] = weights[4] @ np.diag(np.geomspace(1, 1e4, 12))
    net = NetworkSpaces.from_arrays(weights)
    story = SpacesStory(None, net, measure_layers(net))
    shown = [each.name for each in story.detailed]
    assert shown[0] == "layer1"
    assert shown[-1] == "layer9"
    assert "layer5" in shown
    assert story.why(story.facts[4]) == "the least like chance"
    write_spaces_report(tmp_path, net, layers=["layer7", "layer3"])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "layer3: linear, 12 × 12" in text
    assert "7 other layers in the table above" in text
    assert len(list((tmp_path / "figures").glob("spectrum-*.png"))) == 2


def test_layers_that_are_too_large_are_left_out(tmp_path, monkeypatch):
    from wavelens.report import _spaces_story

    net = network()
    monkeypatch.setattr(_spaces_story, "_most_work", 3000)
    assert affordable_layers(net) == ("layer2",)
    assert affordable_layers(net, ["layer1"]) == ("layer1", "layer2")
    text = write_spaces_report(tmp_path, net).read_text(encoding="utf-8")
    assert "too large" in text.replace("\u00a0", " ")
    assert "“layer1” was left out" in "".join(Page(text).text)


def test_tables_hold_the_numbers(tmp_path):
    net = network()
    x, labels = images()
    flow = net.energy_flow(x, labels)
    summary = summarize_spaces(net, flow=flow)
    json.dumps(summary, allow_nan=False)
    write_spaces_csv(tmp_path / "layers.csv", summary)
    write_energy_csv(tmp_path / "energy.csv", flow)
    with (tmp_path / "layers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] for row in rows] == ["layer1", "layer2"]
    assert [row["weights"] for row in rows] == ["8x36", "3x8"]
    for row, spaces, rejected in zip(rows, net, flow.overall, strict=True):
        assert int(row["rank"]) == spaces.linear.rank
        assert float(row["condition"]) == pytest.approx(spaces.linear.condition, rel=1e-5)
        assert float(row["rejected"]) == pytest.approx(rejected, rel=1e-5)
    with (tmp_path / "energy.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["layer"], row["class"]) for row in rows] == [
        (layer, name) for layer in ("layer1", "layer2") for name in ("cat", "dog", "eel")
    ]
    assert float(rows[1]["rejected"]) == pytest.approx(flow.rejected[0, 1], rel=1e-5)


def test_names_are_text(tmp_path):
    net = network()
    x, _ = images()
    labels = np.array(["<b>", "$x$", "a" * 80])[np.arange(60) % 3]
    text = write_spaces_report(tmp_path, net, flow=net.energy_flow(x, labels)).read_text(encoding="utf-8")
    assert "<b>" not in text


def test_bad_arguments_are_named(tmp_path):
    net = network()
    x, labels = images()
    flow = net.energy_flow(x, labels)
    with pytest.raises(KeyError, match="no layer 'dense'"):
        write_spaces_report(tmp_path, net, layers=["dense"])
    with pytest.raises(ValueError, match="`means` must have one row for each class"):
        write_spaces_report(tmp_path, net, flow=flow, means=np.zeros((2, 36)))
    with pytest.raises(ValueError, match="no `flow`"):
        write_spaces_report(tmp_path, net, means=np.zeros((2, 36)))
    other = NetworkSpaces.from_arrays([rng.normal(size=(3, 36))])
    with pytest.raises(ValueError, match="`flow` must be of the network's layers"):
        write_spaces_report(tmp_path, other, flow=flow)
