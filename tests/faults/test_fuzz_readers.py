"""Mutated files of every kind that Wavelens reads: a result that fits, or a sentence; never anything else.

Each example takes a good file, damages it (flipped, zeroed, exchanged, repeated and cut off blocks, numbers at the
limits of their types), and reads it. `WAVELENS_CAMPAIGN=1` runs thousands of examples a reader and prints what came of
them. An example is a number: `damaged(content, n)` is the same on every machine.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import campaign
import fuzzing
import numpy as np
import pytest
from fuzzing import IMAGES, LABELS, LARGEST, N, checked_images, damaged, read_images
from PIL import Image

from wavelens.data import load, open_source
from wavelens.exceptions import WavelensError
from wavelens.models import load_features, read_class_names

Read = Callable[[Path], str | None]


def campaign_of(name: str, write: Callable[[bytes], Path], content: bytes, read: Read, long: int) -> None:
    """Read damaged files; count results and errors, and let anything else through."""
    outcome: Counter[str] = Counter()
    read(write(content))
    for example in range(campaign.examples(8, long)):
        path = write(damaged(content, example))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome[read(path) or "results"] += 1
        except WavelensError as error:
            text = str(error)
            assert text.strip(), example
            assert len(text) < 5000, example
            outcome["errors"] += 1
        except BaseException as error:
            error.add_note(f"example {example} of {name}, {path}")
            raise
    print(f"\n{name}: {outcome.total()} files, {dict(outcome)}")


@pytest.fixture(autouse=True)
def _few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound what a damaged header can ask for, so that no example takes long."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", LARGEST)


def file_in(folder: Path, name: str) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = folder / name
        path.write_bytes(content)
        # Files written within one tick of the clock are told apart by their sizes and checksums alone.
        return path

    return write


def encoded(file_format: str, mode: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pixels = Image.fromarray(np.random.default_rng(1).integers(0, 256, (19, 23, 3), dtype=np.uint8))
    if mode == "I;16":
        deep = np.random.default_rng(1).integers(0, 65536, (19, 23), dtype=np.uint16)
        pixels = Image.fromarray(deep)
    else:
        pixels = pixels.convert(mode)
    pixels.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("ending", "file_format", "mode", "options"),
    [
        ("png", "PNG", "RGB", {}),
        ("png", "PNG", "I;16", {}),
        ("png", "PNG", "P", {}),
        (
            "jpg",
            "JPEG",
            "RGB",
            {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"},
        ),
        ("jpg", "JPEG", "L", {"progressive": True}),
        ("tif", "TIFF", "RGB", {}),
        ("tif", "TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("tif", "TIFF", "I;16", {"compression": "tiff_deflate"}),
        ("gif", "GIF", "P", {}),
        ("bmp", "BMP", "RGB", {}),
        ("webp", "WEBP", "RGB", {}),
        ("pgm", "PPM", "L", {}),
        ("jp2", "JPEG2000", "RGB", {}),
        ("ico", "ICO", "RGBA", {"sizes": [(16, 16)]}),
        ("pcx", "PCX", "RGB", {}),
        ("sgi", "SGI", "RGB", {}),
        ("dds", "DDS", "RGBA", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_folders_of_images(
    tmp_path: Path, ending: str, file_format: str, mode: str, options: dict[str, Any]
) -> None:
    good = encoded(file_format, mode, **options)
    for i in range(3):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[i]).save(path)
    Image.fromarray(IMAGES[4]).save(tmp_path / "set" / "b" / "4.png")

    def read(path: Path) -> str:
        source = open_source(tmp_path / "set")
        data = source.load(progress=False)
        checked_images(data.images, len(data.labels))
        assert len(data.labels) >= 4
        assert len(data.labels) + len(data.skipped) == 5
        for each in data.skipped:
            assert each.path == path
            assert 0 < len(each.reason) < 1000
        return "left out" if data.skipped else "results"

    campaign_of(
        f"{file_format} {mode}", file_in(tmp_path / "set" / "a", f"9.{ending}"), good, read, long=3000
    )


def test_npy(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, IMAGES.astype(np.float32))
    campaign_of(
        "npy", file_in(tmp_path, "x.npy"), buffer.getvalue(), lambda path: read_images(path, LABELS), 20_000
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "compressed"])
def test_npz(tmp_path: Path, save: Any) -> None:
    buffer = io.BytesIO()
    names = np.array([f"{i}.png" for i in range(N)])
    save(buffer, images=IMAGES, labels=LABELS, class_names=np.array(["a", "b", "c"]), file_names=names)

    def read(path: Path) -> None:
        read_images(path)
        data = load(path)
        if data.images.shape == IMAGES.shape and data.images.dtype == IMAGES.dtype:
            np.testing.assert_array_equal(data.images, IMAGES)  # zip has a checksum

    campaign_of(f"npz {save.__name__}", file_in(tmp_path, "x.npz"), buffer.getvalue(), read, 20_000)


def test_headers_within_npz(tmp_path: Path) -> None:
    """The members are damaged before the archive is made, so that its checksums are right."""
    buffer = io.BytesIO()
    np.save(buffer, IMAGES)
    member = buffer.getvalue()
    labels = io.BytesIO()
    np.save(labels, LABELS)

    def write(content: bytes) -> Path:
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("images.npy", content)
            archive.writestr("labels.npy", labels.getvalue())
        return tmp_path / "x.npz"

    # Mostly the header.
    campaign_of(
        "npz headers", lambda content: write(content + member[128:]), member[:128], read_images, 20_000
    )


def test_features(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, features=np.ones((N, 3), np.float32), labels=LABELS)

    def read(path: Path) -> None:
        features = load_features(path)
        assert all(np.asarray(each).shape[0] == features.n_images for each in features.layers.values())
        if features.labels is not None:
            assert features.labels.max() < len(features.class_names)

    campaign_of("features", file_in(tmp_path, "x.npz"), buffer.getvalue(), read, 10_000)


def test_headers_of_features(tmp_path: Path) -> None:
    from wavelens.models import LabelledFeatures

    good = tmp_path / "good.npz"
    LabelledFeatures(
        {"a": np.ones((N, 3)), "b": np.ones((N, 2))}, LABELS, ("x", "y", "z"), info={"model": "m"}
    ).save(good)
    with np.load(good) as archive:
        arrays = dict(archive)

    def write(content: bytes) -> Path:
        text = content.decode("utf-8", "replace")
        np.savez(tmp_path / "x.npz", **{**arrays, "header": np.array(text)})
        return tmp_path / "x.npz"

    def read(path: Path) -> None:
        features = load_features(path)
        assert features.n_images == N
        assert repr(features)

    campaign_of("features' header", write, str(arrays["header"]).encode(), read, 10_000)


@pytest.mark.parametrize("kind", ["contiguous", "gzip", "checksum"])
def test_hdf5(tmp_path: Path, kind: str) -> None:
    h5py = pytest.importorskip("h5py")
    options: dict[str, Any] = {
        "contiguous": {},
        "gzip": {"chunks": (4, 9, 7), "compression": "gzip"},
        "checksum": {"chunks": (4, 9, 7), "fletcher32": True},
    }[kind]
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file.create_dataset("images", data=IMAGES, **options)
        file["labels"] = LABELS
    content = (tmp_path / "good.h5").read_bytes()
    isolated("hdf5 " + kind, tmp_path, "x.h5", content, 10_000)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("part", ["metadata", "chunk"])
def test_zarr(tmp_path: Path, zarr_format: int, part: str) -> None:
    zarr = pytest.importorskip("zarr")
    store = tmp_path / "x.zarr"
    group = zarr.open_group(str(store), mode="w", zarr_format=zarr_format)
    group.create_array("images", data=IMAGES, chunks=(4, 9, 7))
    group.create_array("labels", data=LABELS)
    names = {"metadata": (".zarray", "zarr.json"), "chunk": ("1.0.0", "c/1/0/0")}[part]
    damaged_file = store / "images" / names[zarr_format - 2]
    good = damaged_file.read_bytes()

    def write(content: bytes) -> Path:
        damaged_file.write_bytes(content)
        return store

    def read(path: Path) -> None:
        shape = json.loads(damaged_file.read_bytes()).get("shape") if part == "metadata" else None
        if (
            isinstance(shape, list)
            and np.prod([float(each) for each in shape if np.isscalar(each)]) > LARGEST
        ):
            return  # as large as it says: all of it would be the fill value
        read_images(path, fill_missing=True) if part == "metadata" else read_images(path)

    def guarded(path: Path) -> None:
        try:
            read(path)
        except (ValueError, RecursionError):
            if part == "chunk":
                raise
            read_images(path)

    campaign_of(f"zarr {zarr_format} {part}", write, good, guarded, 3000)


@pytest.mark.parametrize("name", ["labels.csv", "labels.txt", "labels.npy", "names.json", "names.txt"])
def test_labels_and_names(tmp_path: Path, name: str) -> None:
    text = {
        "labels.csv": "file,label\n" + "".join(f"{i},class {i % 3}\n" for i in range(N)),
        "labels.txt": "".join(f"{i % 3}\n" for i in range(N)),
        "names.json": json.dumps({str(i): [f"n0{i}", f"class {i}"] for i in range(N)}),
        "names.txt": "".join(f"class {i}\n" for i in range(N)),
    }
    content = text.get(name, "").encode()
    if name.endswith("npy"):
        buffer = io.BytesIO()
        np.save(buffer, LABELS)
        content = buffer.getvalue()

    def read(path: Path) -> None:
        if name.startswith("names"):
            names = read_class_names(path)
            assert len(set(names.names)) == len(names.names) > 0
        else:
            read_images(IMAGES, path)

    campaign_of(name, file_in(tmp_path, name), content, read, 20_000)


def onnx_file() -> bytes:
    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(0)
    helper = onnx.helper
    tensors = [
        onnx.numpy_helper.from_array(rng.standard_normal((2, 1, 3, 3)).astype(np.float32), "k"),
        onnx.numpy_helper.from_array(rng.standard_normal((8, 3)).astype(np.float32), "w"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "net", [value("x", 1, ["n", 1, 4, 4])], [value("y", 1, ["n", 3])], tensors
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.networks
def test_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    isolated("onnx", tmp_path, "x.onnx", onnx_file(), 5000)


def pt2_file(folder: Path) -> bytes:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )
    torch.export.save(torch.export.export(net, (torch.zeros(2, 1, 4, 4),)), folder / "good.pt2")
    return (folder / "good.pt2").read_bytes()


@pytest.mark.networks
def test_pt2(tmp_path: Path) -> None:
    isolated("pt2", tmp_path, "x.pt2", pt2_file(tmp_path), 3000, short=2)


@pytest.mark.networks
def test_programs_within_pt2(tmp_path: Path) -> None:
    """The graph is damaged before the archive is made, so that its checksums are right."""
    pt2_file(tmp_path)
    with zipfile.ZipFile(tmp_path / "good.pt2") as archive:
        name = next(each for each in archive.namelist() if "/models/" in each)
        program = archive.read(name)
        others = {each.filename: archive.read(each) for each in archive.infolist() if each.filename != name}
    parts = json.dumps([name, {key: value.hex() for key, value in others.items()}])
    (tmp_path / "parts.json").write_text(parts)
    isolated("pt2 program", tmp_path, "x.pt2", program, 3000, short=2)


def isolated(name: str, folder: Path, file_name: str, content: bytes, long: int, short: int = 8) -> None:
    """Run a campaign in a child process, since libraries written in C may crash on damaged files.

    A child that dies or hangs is an error: the example is named, and the next child goes on behind it.
    """
    (folder / "good").write_bytes(content)
    total, first = campaign.examples(short, long), 0
    outcome: Counter[str] = Counter()
    crashed = []
    while first < total:
        command = [sys.executable, fuzzing.__file__, str(folder), file_name, str(first), str(total)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000)
        state = json.loads((folder / "state.json").read_text())
        outcome.update(state["outcome"])
        assert done.returncode in (0, *range(-64, 0)), (
            f"{name}, example {state['example']}:\n{done.stderr[-5000:]}"
        )
        if done.returncode < 0:
            crashed.append((state["example"], -done.returncode))
            outcome["crashes"] += 1
        first = state["example"] + 1
    print(f"\n{name}: {outcome.total()} files, {dict(outcome)}")
    assert not crashed, f"{name}: (example, signal) of crashes: {crashed[:20]}"
