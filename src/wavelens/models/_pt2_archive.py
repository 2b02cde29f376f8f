"""``.pt2`` files opened without running code from them.

``torch.export.load`` runs code from the file in several ways. It falls back to full unpickling where restricted
unpickling fails, unpickles opaque constants, loads compiled models (AOTInductor) as shared libraries, evaluates
symbolic sizes and guards as Python, imports modules that the structure of inputs names, and resolves operators by any
path of attributes below ``torch``. So the archive is not handed over as it is: `harmless_archive` reads it with
zipfile and json, checks every part against what `torch.export.save` writes for networks of ordinary tensors, and
writes the parts that were checked into a new archive in memory. Sample inputs, which are always pickled, are left out.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["UntrustedError", "harmless_archive"]


class UntrustedError(Exception):
    """A part of the archive can run code, or is not known to be harmless."""


_tensors = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_configs = re.compile(r"data/(weights|constants)/[^/]+_config\.json")
_programs = re.compile(r"models/[^/]+\.json")
_samples = re.compile(r"data/sample_inputs/[^/]+\.pt")
_plain = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/\w+|\.format_version|\.storage_alignment"
)
_extra = re.compile(r"extra/.*")
_pickled_tensors = re.compile(r"data/(weights|constants)/[^/]+\.pt|serialized_(state_dict|constants)\.pt")

_namespaces = "aten|prims|quantized|quantized_decomposed|torchvision"
_targets = (
    re.compile(rf"torch\.ops\.({_namespaces})\.[A-Za-z_]\w*\.[A-Za-z]\w*"),
    re.compile(
        r"torch\.ops\.higher_order\.(cond|while_loop|scan|map_impl|associative_scan|wrap_with_set_grad_enabled|"
        r"wrap_with_autocast)"
    ),
    re.compile(
        r"_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|xor|not_|invert|"
        r"lshift|rshift|getitem)"
    ),
    re.compile(r"math\.(ceil|floor|trunc|sqrt|pow|cos|sin|tan|exp|log|log2)"),
    re.compile(r"torch\._?sym_[a-z_0-9]+"),
    re.compile(r"torch\._C\._set_grad_enabled"),
)
# Operators of aten that read or write files.
_with_files = frozenset({"from_file", "save", "load", "_save_parameter"})
_needed_metadata = ("nn_module_stack", "torch_fn")
_harmless_text = re.compile(r"[\w.\-/: ]*")
_containers = frozenset(
    {
        "builtins.tuple",
        "builtins.list",
        "builtins.dict",
        "collections.OrderedDict",
        "torch.fx.immutable_collections.immutable_list",
        "torch.fx.immutable_collections.immutable_dict",
    }
)

_functions = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "CeilDiv",
        "CeilToInt",
        "CleanDiv",
        "Eq",
        "Equality",
        "Float",
        "FloatPow",
        "FloatTrueDiv",
        "FloorDiv",
        "FloorToInt",
        "Ge",
        "GreaterThan",
        "Gt",
        "Identity",
        "IntTrueDiv",
        "Integer",
        "IsNonOverlappingAndDenseIndicator",
        "LShift",
        "Le",
        "LessThan",
        "Lt",
        "Max",
        "Min",
        "Mod",
        "ModularIndexing",
        "Mul",
        "Ne",
        "Not",
        "Or",
        "Piecewise",
        "Pow",
        "PowByNatural",
        "PythonMod",
        "RShift",
        "Rational",
        "RoundDecimal",
        "RoundToInt",
        "StrictGreaterThan",
        "StrictLessThan",
        "Symbol",
        "ToFloat",
        "TruncToFloat",
        "TruncToInt",
        "Unequality",
        "Where",
        "ceiling",
        "floor",
    }
)

_symbol = re.compile(r"z?[suf]+\d+|zuf\d+|oo|int_oo|inf|true|false")
_number = re.compile(r"[-+]?[\d.]{1,30}(e[-+]?\d{1,3})?")
_guard_methods = frozenset({"size", "stride", "storage_offset", "dim"})
_longest_expression = 10_000
_largest_number = 2**64
_largest_exponent = 16


def harmless_archive(path: Path) -> io.BytesIO:
    """Read a ``.pt2`` file and return an archive of its parts that can be opened without running code.

    Parameters
    ----------
    path : Path
        Of the file.

    Returns
    -------
    BytesIO

    Raises
    ------
    UntrustedError
        If a part can run code, or is of a kind that is not known.
    ValueError, zipfile.BadZipFile, OSError
        If the file is damaged.
    """
    result = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as checked:
        names = [each.filename for each in archive.infolist() if not each.is_dir()]
        if len(set(names)) != len(names):
            raise ValueError("two of its parts have one name")
        folder = _common_folder(names)
        for info in archive.infolist():
            if info.is_dir():
                continue
            part = info.filename.removeprefix(folder)
            if info.file_size > 2000 * max(1, info.compress_size):
                raise ValueError(f"{part} is damaged: {info.file_size:,} bytes in {info.compress_size:,}")
            content = _checked(part, archive.read(info))
            if content is not None:
                checked.writestr(info.filename, content)
    result.seek(0)
    return result


def _common_folder(names: list[str]) -> str:
    """Return the folder that torch puts all parts into; older files have none."""
    tops = {name.partition("/")[0] for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""


def _checked(part: str, content: bytes) -> bytes | None:
    """Return a part as it may be read; None leaves it out."""
    if _programs.fullmatch(part) or part == "serialized_exported_program.json":
        program = _parsed(part, content)
        _check_program(program)
        return json.dumps(program).encode()
    if _configs.fullmatch(part):
        config = _parsed(part, content)
        _check_config(config)
        return json.dumps(config).encode()
    if _samples.fullmatch(part) or part == "serialized_example_inputs.pt":
        return b""  # pickled, and not needed to run the network
    if _pickled_tensors.fullmatch(part):
        _check_pickled_tensors(part, content)
        return content
    if _tensors.fullmatch(part) or _plain.fullmatch(part):
        return content
    if _extra.fullmatch(part):
        return None
    raise UntrustedError(
        f"its part {part!r} is compiled or pickled code, or of a kind that is not known to be harmless"
    )


def _parsed(part: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError(f"{part} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{part} is no JSON: {error}") from error


def _check_config(config: Any) -> None:
    """Refuse tensors that are pickled, and constants that are objects."""
    for each in _mappings(config):
        if each.get("use_pickle"):
            raise UntrustedError("some of its weights or constants are pickled")
        name = each.get("path_name")
        if name is not None and not (isinstance(name, str) and re.fullmatch(r"(weight|tensor)_\d+", name)):
            raise UntrustedError(f"its constant {name!r} is an object and not a tensor")


def _check_pickled_tensors(part: str, content: bytes) -> None:
    """Refuse pickled tensors that need more than restricted unpickling: torch would unpickle them all the same."""
    import torch

    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        raise UntrustedError(f"its part {part!r} holds pickled objects other than tensors") from error


def _check_program(program: Any) -> None:
    """Check everything in a program that torch resolves, evaluates, or writes into generated code."""
    for each in _mappings(program):
        for node in _entries(each, "nodes"):
            if not isinstance(node, dict) or not isinstance(node.get("target"), str):
                raise ValueError("a node of its graph has no operator")
            _check_target(node["target"])
            metadata = node.get("metadata")
            if isinstance(metadata, dict):
                # Which module a node is of names the layers; source lines and the like are not needed.
                node["metadata"] = {key: metadata[key] for key in _needed_metadata if key in metadata}
        if each.get("as_operator") is not None:
            _check_target(str(each["as_operator"]))
        if "expr_str" in each:
            _check_expression(str(each["expr_str"]))
        for guard in _entries(each, "guards_code"):
            _check_guard(str(guard))
        for name in ("in_spec", "out_spec"):
            if each.get(name):
                _check_structure(str(each[name]))
        for name in _range_names(each):
            _check_expression(name)
        _check_names(each)


def _check_names(mapping: dict[str, Any]) -> None:
    """Refuse names of values that are no identifiers, and names of weights that would end a string."""
    for key, value in mapping.items():
        if key in ("name", "as_name", "graph_name") and isinstance(value, str):
            fits = not value or value.isidentifier()
        elif (key.endswith("_name") or key == "fqn") and isinstance(value, str):
            fits = _harmless_text.fullmatch(value) is not None
        elif key == "forward_arg_names" and isinstance(value, list):
            fits = all(isinstance(each, str) and each.isidentifier() for each in value)
        else:
            continue
        if not fits:
            raise UntrustedError(f"its graph has the name {str(value)[:200]!r}")


def _entries(mapping: dict[str, Any], name: str) -> list[Any]:
    found = mapping.get(name)
    return found if isinstance(found, list) else []


def _range_names(mapping: dict[str, Any]) -> Iterator[str]:
    ranges = mapping.get("range_constraints")
    if isinstance(ranges, dict):
        yield from ranges


def _check_target(target: str) -> None:
    known = any(each.fullmatch(target) for each in _targets)
    if not known or (target.startswith("torch.ops.aten.") and target.split(".")[3] in _with_files):
        raise UntrustedError(f"its graph calls {target[:200]!r}, which is not known to be harmless")


def _check_expression(text: str) -> None:
    """Allow arithmetic of symbols and integers, as sizes are written, and nothing else."""
    texts: set[ast.AST] = set()
    for node in _syntax(text, "a size"):
        if isinstance(node, ast.Call):
            texts |= _checked_call(node, text)
        elif isinstance(node, ast.Name):
            if node.id not in _functions and not _symbol.fullmatch(node.id):
                raise _expression("a size", text)
        elif not isinstance(node, _arithmetic):
            raise _expression("a size", text)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in texts:
            raise _expression("a size", text)  # sympy would evaluate it


def _checked_call(node: ast.Call, text: str) -> set[ast.AST]:
    """Check the call of a function; return the strings among its arguments that are names or numbers."""
    if not isinstance(node.func, ast.Name) or node.func.id not in _functions:
        raise _expression("a size", text)
    texts: set[ast.AST] = set()
    for each in node.args:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            pattern = {"Symbol": _symbol, "Float": _number, "Integer": _number}.get(node.func.id)
            if pattern is not None and pattern.fullmatch(each.value):
                texts.add(each)
    if node.func.id in ("Pow", "FloatPow", "PowByNatural", "LShift") and len(node.args) > 1:
        _check_exponent(node.args[1], text)
    return texts


def _check_guard(text: str) -> None:
    """Allow comparisons of the inputs' sizes."""
    for node in _syntax(text, "a guard"):
        if isinstance(node, ast.Call):
            of_tensor = isinstance(node.func, ast.Attribute) and node.func.attr in _guard_methods
            of_number = isinstance(node.func, ast.Name) and node.func.id in _functions | {"max", "min"}
            if not of_tensor and not of_number:
                raise _expression("a guard", text)
        elif isinstance(node, ast.Attribute):
            if node.attr not in _guard_methods:
                raise _expression("a guard", text)
        elif isinstance(node, ast.Name):
            if node.id not in _functions | {"L", "args", "max", "min"} and not _symbol.fullmatch(node.id):
                raise _expression("a guard", text)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if not _harmless_text.fullmatch(node.value):
                raise _expression("a guard", text)
        elif not isinstance(node, (*_arithmetic, ast.Subscript, ast.IfExp)):
            raise _expression("a guard", text)


_arithmetic = (
    ast.Expression,
    ast.Constant,
    ast.Load,
    ast.UnaryOp,
    ast.unaryop,
    ast.BinOp,
    ast.operator,
    ast.Compare,
    ast.cmpop,
    ast.BoolOp,
    ast.boolop,
    ast.keyword,
)


def _syntax(text: str, what: str) -> Iterator[ast.AST]:
    """Give the nodes of an expression; numbers and powers are bounded, so that none takes long to compute."""
    if len(text) > _longest_expression:
        raise _expression(what, text)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _expression(what, text) from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and not isinstance(node.value, str | bool):
            small = isinstance(node.value, int | float) and abs(node.value) <= _largest_number
            if not small:
                raise _expression(what, text)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.LShift):
            _check_exponent(node.right, text)
        yield node


def _check_exponent(node: ast.expr, text: str) -> None:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    inside = node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else node
    small = isinstance(inside, ast.Constant) and isinstance(inside.value, int)
    if not small or abs(inside.value) > _largest_exponent:  # type: ignore[attr-defined]
        raise _expression("a power", text)


def _expression(what: str, text: str) -> UntrustedError:
    return UntrustedError(f"{what} in it is the expression {text[:200]!r}, which is not known to be harmless")


def _check_structure(text: str) -> None:
    """Allow tuples, lists and dictionaries as the structure of inputs and outputs."""
    try:
        structure = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("the structure of its inputs or outputs is no JSON") from error
    for each in _mappings(structure):
        kind = each.get("type")
        if kind is not None and kind not in _containers:
            raise UntrustedError(f"its inputs or outputs are of the type {str(kind)[:200]!r}")
        context = each.get("context")
        if context is None:
            continue
        try:
            keys = json.loads(context) if isinstance(context, str) else context
        except (ValueError, RecursionError) as error:
            raise ValueError("the structure of its inputs or outputs is no JSON") from error
        if keys is not None and not (isinstance(keys, list) and all(map(_is_plain_key, keys))):
            raise UntrustedError("its inputs or outputs have keys other than names and numbers")


def _is_plain_key(key: Any) -> bool:
    # The names of inputs become part of generated code.
    return isinstance(key, int) or (isinstance(key, str) and (not key or key.isidentifier()))


def _mappings(content: Any) -> Iterator[dict[str, Any]]:
    """Give all mappings within a JSON value."""
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
