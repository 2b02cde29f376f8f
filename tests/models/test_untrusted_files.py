"""Files of networks never run code when they are opened by default, and never read files elsewhere."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wavelens.exceptions import ModelError
from wavelens.models import open_model, open_network, read_layers

pytestmark = pytest.mark.networks
IMAGES = np.random.default_rng(0).random((2, 1, 8, 8)).astype(np.float32)


class Marker:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "code ran")


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def exported(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of images of 8 × 8 pixels, with batches of any size."""

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(1, 3, 3)
            self.last = torch.nn.Linear(3 * 36, 4)
            self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0]))

        def forward(self, x: Any) -> Any:
            x = (self.first(x) * self.scale[:, None, None]).relu()
            return self.last(x.reshape(x.shape[0], -1))

    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    program = torch.export.export(
        Net(), (torch.zeros(3, 1, 8, 8),), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},)
    )
    torch.export.save(program, path)
    return path


def changed(path: Path, to: Path, change: Callable[[str, bytes], bytes | None], **added: bytes) -> Path:
    """Write the archive anew, each part as `change` gives it (by its name within the archive's folder)."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as result:
        folder = archive.namelist()[0].partition("/")[0]
        for info in archive.infolist():
            content = change(info.filename.partition("/")[2], archive.read(info))
            if content is not None:
                result.writestr(info.filename, content)
        for name, content in added.items():
            result.writestr(f"{folder}/{name.replace('__', '/')}", content)
    return to


def program_of(content: bytes, change: Callable[[Any], None]) -> bytes:
    program = json.loads(content)
    change(program)
    return json.dumps(program).encode()


def in_program(path: Path, to: Path, change: Callable[[Any], None]) -> Path:
    return changed(
        path, to, lambda part, content: program_of(content, change) if part.startswith("models/") else content
    )


def test_an_exported_network_opens_as_torch_opens_it(torch: Any, exported: Path) -> None:
    want = torch.export.load(exported).module()(torch.from_numpy(IMAGES)).detach().numpy()
    network = open_network(exported)
    np.testing.assert_array_equal(network.run(IMAGES, network.outputs)[network.outputs[0]], want)
    assert network.input.shape == (None, 1, 8, 8)
    trusted = open_network(exported, trust_pickle=True)
    assert [each.name for each in trusted.layers] == [each.name for each in network.layers]
    assert [each.aliases for each in trusted.layers] == [each.aliases for each in network.layers]


def test_networks_with_several_outputs_and_open_sizes_open(torch: Any, tmp_path: Path) -> None:
    class Several(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(1, 3, 3)

        def forward(self, x: Any) -> Any:
            x = torch.nn.functional.interpolate(self.first(x).relu(), scale_factor=2)
            return {"maps": [x, x.mean((2, 3))], "more": (x.sum((1, 2, 3)),)}

    any_size = torch.export.Dim.AUTO
    program = torch.export.export(
        Several(), (torch.zeros(3, 1, 8, 9),), dynamic_shapes=({0: any_size, 2: any_size, 3: any_size},)
    )
    torch.export.save(program, tmp_path / "x.pt2")
    network = open_network(tmp_path / "x.pt2")
    assert network.input.shape == (None, 1, None, None)
    assert len(network.outputs) == 3
    found = network.run(IMAGES, network.outputs)
    assert found[network.outputs[0]].shape == (2, 3, 12, 12)


def test_the_marker_shows_that_code_ran(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Marker(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def saved(torch: Any, value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_pickled_sample_inputs_are_never_read(torch: Any, exported: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = changed(
        exported,
        tmp_path / "x.pt2",
        lambda part, content: (
            saved(torch, ((Marker(marker),), {})) if part.startswith("data/sample_inputs") else content
        ),
    )
    network = open_network(path)
    assert np.isfinite(network.run(IMAGES, network.outputs)[network.outputs[0]]).all()
    assert not marker.exists()
    open_network(path, trust_pickle=True)
    assert marker.exists()


def pickled_weight(content: bytes) -> bytes:
    config = json.loads(content)
    next(iter(config["config"].values()))["use_pickle"] = True
    return json.dumps(config).encode()


def test_pickled_weights_are_refused(torch: Any, exported: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    def change(part: str, content: bytes) -> bytes:
        if part == "data/weights/weight_0":
            return saved(torch, Marker(marker))
        return pickled_weight(content) if part.endswith("weights_config.json") else content

    path = changed(exported, tmp_path / "x.pt2", change)
    for open_it in (open_network, open_model, read_layers):
        with pytest.raises(ModelError, match=r"x\.pt2.*pickled.*trust_pickle"):
            open_it(path)
    assert not marker.exists()
    with pytest.raises(ModelError):
        open_network(path, trust_pickle=True)
    assert marker.exists()


@pytest.mark.parametrize("prefix", ["opaque_obj", "custom_obj"])
def test_objects_among_the_constants_are_refused(exported: Path, tmp_path: Path, prefix: str) -> None:
    marker = tmp_path / "marker"
    entry = {"path_name": f"{prefix}_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    path = changed(
        exported,
        tmp_path / "x.pt2",
        lambda part, content: (
            json.dumps({"config": {"thing": entry}}).encode()
            if part.endswith("constants_config.json")
            else content
        ),
        **{f"data__constants__{prefix}_0": pickle.dumps(Marker(marker))},
    )
    with pytest.raises(ModelError, match="trust_pickle"):
        open_network(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["data__weights__model.pt", "data__constants__model.pt"])
def test_pickled_archives_of_weights_are_refused(
    torch: Any, exported: Path, tmp_path: Path, name: str
) -> None:
    marker = tmp_path / "marker"
    path = changed(
        exported, tmp_path / "x.pt2", lambda part, content: content, **{name: saved(torch, Marker(marker))}
    )
    with pytest.raises(ModelError, match="trust_pickle"):
        open_network(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["data__aotinductor__model__x.so", "code__model.py", "something"])
def test_compiled_code_and_unknown_parts_are_refused(exported: Path, tmp_path: Path, name: str) -> None:
    path = changed(exported, tmp_path / "x.pt2", lambda part, content: content, **{name: b"x"})
    with pytest.raises(ModelError, match="trust_pickle"):
        open_network(path)


def nodes(program: Any) -> Any:
    return program["graph_module"]["graph"]["nodes"]


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.hub.load",
        "torch.ops.load_library",
        "torch.ops.load_library.x.default",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.relu.__class__",
        "torch.ops.mine.op.default",
        "torch.ops.higher_order.triton_kernel_wrapper_mutation",
        "_operator.attrgetter",
        "_operator.call",
        "math.__loader__.load_module",
        "torch._C._functorch.x",
        "#x:y",
        "os.system",
    ],
)
def test_operators_that_are_not_known_are_refused(exported: Path, tmp_path: Path, target: str) -> None:
    path = in_program(exported, tmp_path / "x.pt2", lambda program: nodes(program)[0].update(target=target))
    with pytest.raises(ModelError, match=r"calls .*trust_pickle"):
        open_network(path)


def set_size(program: Any, text: str) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "expr_str" in value:
                value["expr_str"] = text
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(program)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('pathlib').Path('{}').write_text('x')",
        'Max(\'__import__("pathlib").Path("{}").write_text("x")\', 2)',
        "Symbol('s0').__class__",
        "(lambda: 1)()",
        "[x for x in ()]",
        "9**9**9**9",
        "Pow(9, Pow(9, Pow(9, 9)))",
        "Symbol('s0', positive=open('{}', 'w'))",
        "1" * 30_000,
        "(" * 5000,
    ],
)
def test_sizes_are_arithmetic_and_nothing_else(exported: Path, tmp_path: Path, text: str) -> None:
    marker = tmp_path / "marker"
    path = in_program(
        exported, tmp_path / "x.pt2", lambda program: set_size(program, text.replace("{}", str(marker)))
    )
    with pytest.raises(ModelError, match="trust_pickle"):
        open_network(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "guard",
    [
        "__import__('os').system('true')",
        "open('{}', 'w')",
        "L['x'].__class__.__mro__",
        "L['x\\'\"); import os #'].size()[0] == 2",
    ],
)
def test_guards_are_comparisons_of_sizes_and_nothing_else(exported: Path, tmp_path: Path, guard: str) -> None:
    marker = tmp_path / "marker"
    path = in_program(
        exported,
        tmp_path / "x.pt2",
        lambda program: program.update(guards_code=[guard.replace("{}", str(marker))]),
    )
    with pytest.raises(ModelError, match="trust_pickle"):
        open_network(path)
    assert not marker.exists()
    good = in_program(
        exported,
        tmp_path / "good.pt2",
        lambda program: program.update(guards_code=["L['x'].size()[0] >= 2"]),
    )
    assert len(open_network(good).layers) > 3


def rename(program: Any, name: str) -> None:
    text = json.dumps(program)
    old = program["graph_module"]["graph"]["nodes"][0]["name"]
    program.clear()
    program.update(json.loads(text.replace(f'"{old}"', json.dumps(name))))


def test_names_cannot_become_code(exported: Path, tmp_path: Path) -> None:
    path = in_program(
        exported, tmp_path / "x.pt2", lambda program: rename(program, "x = 1; import os; os.system('') #")
    )
    with pytest.raises(ModelError, match=r"name .*trust_pickle"):
        open_network(path)


@pytest.mark.parametrize(
    ("kind", "context"),
    [
        ("collections.defaultdict", '{"default_factory_module": "antigravity"}'),
        ("builtins.dict", '[{"\\u005f_enum__": true, "fqn": "antigravity:x"}]'),
        ("builtins.dict", '["x\\"); import os #"]'),
    ],
)
def test_the_structure_of_inputs_imports_nothing(
    exported: Path, tmp_path: Path, kind: str, context: str
) -> None:
    def change(program: Any) -> None:
        for entry in program["graph_module"]["module_call_graph"]:
            signature = entry.get("signature")
            if signature:
                protocol, structure = json.loads(signature["in_spec"])
                structure |= {"type": kind, "context": context}
                signature["in_spec"] = json.dumps([protocol, structure])

    with pytest.raises(ModelError, match="trust_pickle"):
        open_network(in_program(exported, tmp_path / "x.pt2", change))


def test_damaged_archives_become_a_sentence(exported: Path, tmp_path: Path, capfd: Any) -> None:
    content = exported.read_bytes()
    path = tmp_path / "x.pt2"
    damaged = [b"", b"text", content[: len(content) // 2], content[:-40]]
    middle = bytearray(content)
    middle[len(middle) // 2] ^= 0xFF
    for each in (*damaged, bytes(middle)):
        path.write_bytes(each)
        with pytest.raises(ModelError, match=r"x\.pt2"):
            open_network(path)
    in_program(exported, path, lambda program: program.pop("graph_module"))
    with pytest.raises(ModelError, match=r"x\.pt2"):
        open_network(path)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "link.bin", "a/../../weights.bin"])
def test_weights_of_onnx_files_lie_beside_them(tmp_path: Path, location: str) -> None:
    onnx = pytest.importorskip("onnx")
    folder = tmp_path / "net"
    folder.mkdir()
    weights = np.random.default_rng(0).random((64, 4)).astype(np.float32)
    for where in (tmp_path, folder):
        (where / "weights.bin").write_bytes(weights.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")

    def write(where: str) -> Path:
        tensor = onnx.TensorProto(
            name="w", dims=weights.shape, data_type=1, data_location=onnx.TensorProto.EXTERNAL
        )
        tensor.external_data.add(key="location", value=where)
        value = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
            "net",
            [value("x", 1, [None, 64])],
            [value("y", 1, [None, 4])],
            [tensor],
        )
        model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
        path = folder / "net.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    good = write("weights.bin")
    np.testing.assert_array_equal(read_layers(good).layers[0].weights, weights.T)
    pytest.importorskip("onnxruntime")
    assert open_network(good).outputs == ("y",)
    bad = write(location)
    for open_it in (open_network, read_layers):
        with pytest.raises(ModelError, match="outside the folder"):
            open_it(bad)
