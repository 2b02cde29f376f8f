"""Whatever the bytes of a file are, loading it ends in a result that can be used or in an error that names it.

Each kind of file that Wavelens reads back is mutated: its bytes, and with valid checksums its arrays, its JSON
header, its text. Never another exception, a crash, or a hang. ``WAVELENS_CAMPAIGN=1`` runs 100,000 files and more.
"""

from __future__ import annotations

import faulthandler
import io
import json
import multiprocessing
import os
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from campaign import examples, factor
from explained import digit_paths
from file_mutations import json_text, mutated_bytes, mutated_json, mutated_npz, npz_bytes, with_header

from wavelens.data import load
from wavelens.data._labels import labels_for
from wavelens.exceptions import WavelensError
from wavelens.explain import Explanations
from wavelens.hierarchy import MMF, ClassHierarchy, MMFGraph, mmf
from wavelens.linalg.streaming import RowSketch
from wavelens.models import LabelledFeatures, load_features, read_class_names
from wavelens.patterns import PatternAnalysis
from wavelens.patterns._checkpoint import read_json, read_state, write_json, write_state

SECONDS_FOR_ONE = 60
N_IMAGES = 12
RNG = np.random.default_rng(3)
IMAGES = RNG.random((N_IMAGES, 8, 8))
FEATURES = RNG.random((20, 6)).astype(np.float32)
NAMES = [f"image {i}.png" for i in range(N_IMAGES)]


@dataclass
class Kind:
    """A kind of file: how it is made, loaded and used.

    Attributes
    ----------
    make : function of a folder and of the file
    load : function of the file
    use : function of what was loaded; may raise ValueError, for values that are unusual but possible
    suffix : str
    named : bool
        Whether errors name the file.
    """

    make: Callable[[Path, Path], object]
    load: Callable[[Path], object]
    use: Callable[[object], object]
    suffix: str = ".npz"
    named: bool = True
    data: bytes = field(default=b"", init=False)


def make_analysis(folder, path):
    PatternAnalysis(n_coefficients=4, progress=False).fit(IMAGES, np.arange(N_IMAGES) % 2).save(path)


def make_large_analysis(folder, path):
    analysis = PatternAnalysis(n_coefficients=4, rank="any", weights="size", progress=False)
    labels = np.array(["a", "b", "c"])[np.arange(N_IMAGES) % 3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis.fit(IMAGES, labels, work_dir=folder / "work").save(path)


def use_analysis(analysis):
    if analysis.n_features_in_ > 10_000:
        return  # nothing in the file contradicts images of another size, and all takes longer then
    analysis.transform(np.zeros((2, *analysis.basis_.shape)))
    analysis.pattern_table()
    analysis.complexity()
    analysis.gsvd_.reconstruct(0)
    analysis.dominant_patterns(analysis.classes_[0], n=1)
    analysis.sigma_association(analysis.classes_[0], analysis.classes_[1])
    assert analysis.class_similarity_ is not None
    assert analysis.influence_map_ is not None
    repr(analysis)


def make_mmf(folder, path):
    mmf(np.cov(RNG.random((7, 30))), 3).save(path)


def use_mmf(factors):
    m = factors.shape[0]
    factors.transform(np.ones(m))
    factors.inverse_transform(np.ones(m))
    factors.reconstruct()
    factors.graph()
    repr(factors)


def make_hierarchy(folder, path):
    labels = np.array(["ant", "bee", "cat", "dog"])[np.arange(20) % 4]
    ClassHierarchy(order=2, center=True).fit(FEATURES, labels).save(path)


def use_hierarchy(hierarchy):
    hierarchy.transform(np.zeros((2, hierarchy.n_features_in_)))
    hierarchy.graph().to_dot()
    repr(hierarchy)


def explanations_of(place):
    def make(folder, path):
        digit_paths(2)[place].explanations[0].save(path)

    return make


def use_explanations(found):
    found.pictures()
    found.obfuscations()
    found.energy_by_scale()
    found.band_masks()
    assert len(found.rate_bounds) == len(found)
    repr(found)


def make_features(folder, path):
    labels = np.arange(20) % 3
    layers = {"conv": FEATURES, "fc": FEATURES[:, :2]}
    names = tuple(f"{i}.png" for i in range(20))
    LabelledFeatures(layers, labels, ("a", "b", "c"), names, "net", {"conv": (2, 3, 1), "fc": (2,)}).save(
        path
    )


def make_other_features(folder, path):
    path.write_bytes(
        npz_bytes({"features": FEATURES, "y": np.arange(20) % 3, "names": np.array(list("abc" * 7))})
    )


def use_features(found):
    assert all(np.asarray(each).shape == (found.n_images, each.shape[1]) for each in found.layers.values())
    assert set(found.class_counts) <= set(found.class_names)
    found.rows_as_classes([str(i) for i in range(found.n_images)])
    repr(found)


def make_graph(folder, path):
    path.write_text(mmf(np.cov(RNG.random((6, 30))), 3).graph(list("abcdef")).to_json())


def load_graph(path):
    return MMFGraph.from_json(path.read_bytes().decode("utf-8", "replace"))


def use_graph(graph):
    graph.to_dot()
    graph.to_json()
    for level in graph.levels.tolist():
        graph.compositions(level)


def make_run(folder, path):
    write_json(path, {"format_version": 1, "input": {"images": "12", "file": "x.npy"}, "plan": {"chunk": 4}})


def make_state(folder, path):
    sketch = RowSketch(20, 8, random_state=0)
    sketch.partial_fit(RNG.random((30, 20)))
    state = np.frombuffer(sketch.to_bytes(), np.uint8)
    write_state(path, {"done": 3, "ranges": [[0, 3]]}, {"sketch": state, "counts": np.arange(3)})


def use_state(found):
    header, arrays = found
    assert isinstance(header, dict)
    for each in arrays.values():
        each.tolist()


def make_labels(folder, path):
    path.write_text("file,label\n" + "".join(f"{each},class {i % 3}\n" for i, each in enumerate(NAMES)))


def make_label_array(folder, path):
    np.save(path, np.arange(N_IMAGES) % 3)


def make_class_names(folder, path):
    path.write_text(json.dumps({str(i): [f"n{i:08}", f"class {i}, other name"] for i in range(8)}))


def make_images(folder, path):
    pixels = (IMAGES * 255).astype(np.uint8)
    path.write_bytes(
        npz_bytes({"images": pixels, "labels": np.arange(N_IMAGES) % 2, "class_names": np.array(["a", "b"])})
    )


def make_image_array(folder, path):
    np.save(path, IMAGES.astype(np.float32))


def load_images(path):
    return load(path, None if path.suffix == ".npz" else np.arange(N_IMAGES) % 2, progress=False)


def use_images(found):
    assert np.isfinite(np.asarray(found.images, np.float64)).all()
    assert len(found.labels) == len(found.images)


def nothing(found):
    pass


KINDS = {
    "analysis": Kind(make_analysis, PatternAnalysis.load, use_analysis),
    "analysis out of core": Kind(make_large_analysis, PatternAnalysis.load, use_analysis),
    "MMF": Kind(make_mmf, MMF.load, use_mmf),
    "hierarchy": Kind(make_hierarchy, ClassHierarchy.load, use_hierarchy),
    "explanations in wavelets": Kind(explanations_of(0), Explanations.load, use_explanations),
    "explanations in pixels": Kind(explanations_of(1), Explanations.load, use_explanations),
    "features": Kind(make_features, load_features, use_features),
    "features of others": Kind(make_other_features, load_features, use_features),
    "graph": Kind(make_graph, load_graph, use_graph, ".json", named=False),
    "run": Kind(make_run, read_json, nothing, ".json"),
    "state": Kind(make_state, read_state, use_state),
    "label table": Kind(make_labels, lambda path: labels_for(path, NAMES), nothing, ".csv"),
    "label array": Kind(make_label_array, lambda path: labels_for(path, NAMES), nothing, ".npy"),
    "class names": Kind(make_class_names, read_class_names, lambda found: found.translate(["x"]), ".json"),
    "images in npz": Kind(make_images, load_images, use_images),
    "images in npy": Kind(make_image_array, load_images, use_images, ".npy"),
}


def make_all(folder):
    for name, kind in KINDS.items():
        path = folder / f"{name}{kind.suffix}"
        kind.make(folder, path)
        kind.data = path.read_bytes()


def arrays_of(data):
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return dict(archive)


def mutated(name, dice):
    """Return the bytes of one mutated file."""
    kind = KINDS[name]
    other = KINDS[dice.choice([each for each in KINDS if KINDS[each].suffix == kind.suffix])]
    if dice.random() < 0.4:
        return mutated_bytes(dice, kind.data, other.data)
    if kind.suffix == ".npz":
        return mutated_npz(dice, arrays_of(kind.data), arrays_of(other.data))
    if kind.suffix == ".json":
        changed = mutated_json(dice, json.loads(kind.data))
        return json_text(dice, changed).encode("utf-8", "surrogatepass")
    if kind.suffix == ".npy":
        return with_header(dice, np.load(io.BytesIO(kind.data)))
    lines = kind.data.decode().splitlines()
    at = dice.randrange(len(lines))
    lines[at] = dice.choice(
        ("", ",", '"', "a,b,c", "x", lines[at] * 2, lines[at] + '"', "\x00", lines[0], ",x", "1,2")
    )
    return "\n".join(lines).encode()


def fault_of(name, seed, path):
    """Load and use one mutated file; return what is wrong with the outcome, or which outcome it was."""
    kind = KINDS[name]
    path.write_bytes(mutated(name, random.Random(f"{name} {seed}")))
    try:
        found = kind.load(path)
    except (WavelensError, FileNotFoundError) as error:
        if kind.named and path.stem not in str(error):
            return None, f"the error does not name the file: {error}"
        return "refused", None
    except Exception as error:
        return None, f"loading raised {type(error).__name__}: {error!s:.300}"
    try:
        with np.errstate(all="ignore"):
            kind.use(found)
    except (WavelensError, ValueError):
        return "refused in use", None
    except Exception as error:
        return None, f"using raised {type(error).__name__}: {error!s:.300}"
    return "used", None


def fuzz(name, seeds, folder, current=None):
    """Return how often which outcome came, and the faults by their seed."""
    outcomes, faults = Counter(), {}
    path = folder / f"{name}-{os.getpid()}{KINDS[name].suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds:
            if current is not None:
                current.value = seed
            outcome, fault = fault_of(name, seed, path)
            if fault is None:
                outcomes[outcome] += 1
            else:
                faults[seed] = fault
    path.unlink(missing_ok=True)
    return outcomes, faults


def fuzz_in_child(folder, name, data, n, current, results):
    faulthandler.enable()
    for each, content in data.items():
        KINDS[each].data = content
    results.put(fuzz(name, range(n), folder, current))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in memory where the system has one."""
    import tempfile

    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(dir=where, prefix="wavelens-fuzz-") as path:
        make_all(Path(path))
        yield Path(path)


@pytest.mark.parametrize("name", KINDS)
def test_unchanged_files_are_loaded_and_used(folder, name):
    kind = KINDS[name]
    path = folder / f"{name}{kind.suffix}"
    path.write_bytes(kind.data)
    kind.use(kind.load(path))


@pytest.mark.parametrize("name", KINDS)
def test_mutated_files_end_in_a_result_or_in_an_error_that_names_them(folder, name):
    n = examples(60, 7000)
    if factor() is None:
        outcomes, faults = fuzz(name, range(n), folder)
    else:
        outcomes, faults = watched_fuzz(folder, name, n)
    assert not faults
    assert outcomes["refused"] > n / 5
    assert sum(outcomes.values()) == n


def watched_fuzz(folder, name, n):
    """Fuzz in another process, so that a crash and a hang are seen and their seed is known."""
    context = multiprocessing.get_context("spawn")
    current, results = context.Value("q", -1), context.Queue()
    data = {each: kind.data for each, kind in KINDS.items()}
    process = context.Process(target=fuzz_in_child, args=(folder, name, data, n, current, results))
    process.start()
    seen, since = -1, time.monotonic()
    while results.empty():
        if not process.is_alive() and results.empty():
            pytest.fail(f"{name}: the process ended with {process.exitcode} at seed {current.value}")
        if current.value != seen:
            seen, since = current.value, time.monotonic()
        elif time.monotonic() - since > SECONDS_FOR_ONE:
            process.kill()
            pytest.fail(f"{name}: nothing came of seed {seen} for {SECONDS_FOR_ONE} s")
        time.sleep(0.1)
    outcomes, faults = results.get()
    process.join()
    print(f"{name}: {n} files, {dict(outcomes)}, {len(faults)} faults {dict(list(faults.items())[:3])}")
    return outcomes, faults
