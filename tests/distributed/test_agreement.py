"""A cluster finds what one machine finds, from every kind of source, and the same to the bit whoever does what."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
db = pytest.importorskip("dask.bag")
distributed = pytest.importorskip("distributed")

from wavelens.data import load, open_source
from wavelens.distributed import DaskImages
from wavelens.exceptions import DataError, WavelensWarning
from wavelens.patterns import PatternAnalysis

pytestmark = pytest.mark.filterwarnings("ignore:Creating scratch directories:UserWarning")


def same(a, b, rtol=1e-10):
    np.testing.assert_array_equal(a.coefficients_, b.coefficients_)
    np.testing.assert_array_equal(a.labels_, b.labels_)
    np.testing.assert_array_equal(a.classes_, b.classes_)
    np.testing.assert_array_equal(a.class_ranks_, b.class_ranks_)
    np.testing.assert_array_equal(a.image_positions_, b.image_positions_)
    np.testing.assert_allclose(a.sigma_, b.sigma_, rtol=rtol, atol=rtol * b.sigma_.max())
    scale = np.abs(b.embedding_).max()
    np.testing.assert_allclose(a.embedding_, b.embedding_, rtol=0, atol=10 * rtol * scale)
    np.testing.assert_allclose(a.bandwidth_, b.bandwidth_, rtol=rtol)


def one_machine(given, labels, folder, **options):
    return PatternAnalysis(**options).fit(given, labels, work_dir=folder)


@pytest.mark.parametrize(
    "options",
    [
        {"n_coefficients": 30},
        {},
        {"n_coefficients": 30, "weights": "size", "normalization": "csd", "basis": "pixel"},
        {"n_coefficients": 160, "rank": "any", "wavelet": "haar"},
    ],
)
def test_every_option(client, data, tmp_path, options):
    np.save(tmp_path / "x.npy", data[0])
    found = PatternAnalysis(**options).fit(
        tmp_path / "x.npy", data[1], scheduler=client, work_dir=tmp_path / "a"
    )
    same(found, one_machine(tmp_path / "x.npy", data[1], tmp_path / "b", **options))
    assert found.out_of_core_.workers == 2
    assert found.out_of_core_.n_read == 1200
    assert isinstance(found.embedding_, np.memmap)
    np.testing.assert_allclose(
        found.transform(data[0][:9]), found.embedding_[:9], atol=1e-9 * np.abs(found.embedding_).max()
    )
    # What is left is what a fit on one machine leaves, and either takes it up.
    assert {each.name for each in (tmp_path / "a").iterdir()} == {
        "decomposition.npz",
        "embedding.npy",
        "lock",
        "run.json",
    }
    again = PatternAnalysis(**options).fit(tmp_path / "x.npy", data[1], work_dir=tmp_path / "a", resume=True)
    np.testing.assert_array_equal(again.sigma_, found.sigma_)


def test_digits(client, tmp_path):
    digits = load("digits")
    found = PatternAnalysis(n_coefficients=40).fit("digits", scheduler=client)
    same(found, PatternAnalysis(n_coefficients=40, pivoting="sketch").fit("digits"))
    assert found.out_of_core_.work_dir is None
    assert found.classes_.tolist() == list(map(str, range(10)))
    found.save(tmp_path / "a.npz")
    again = PatternAnalysis.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.transform(digits.images[:3]), found.transform(digits.images[:3]))


def test_every_cluster_finds_the_same_bits(client, data, tmp_path):
    np.save(tmp_path / "x.npy", data[0])
    found = []
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=3, processes=False, dashboard_address=":0"
    ) as other:
        for scheduler in (client, client.scheduler.address, other):
            analysis = PatternAnalysis(n_coefficients=40)
            found.append(analysis.fit(tmp_path / "x.npy", data[1], scheduler=scheduler, chunk_size=64))
    for each in found[1:]:
        np.testing.assert_array_equal(each.embedding_, found[0].embedding_)
        np.testing.assert_array_equal(each.gsvd_.v, found[0].gsvd_.v)


@pytest.mark.parametrize("kind", ["npz", "zarr", "h5", "map"])
def test_every_kind_of_file(client, data, tmp_path, kind):
    images, labels = data
    path = tmp_path / f"x.{kind}"
    given = path
    if kind == "npz":
        np.savez_compressed(path, images=images, labels=labels)
        labels = None
    elif kind == "zarr":
        store = pytest.importorskip("zarr").open_group(str(path), mode="w")
        store.create_array("images", data=images, chunks=(50, 12, 14))
    elif kind == "h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["images"] = images
    else:
        np.save(tmp_path / "x.npy", images)
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    found = PatternAnalysis(n_coefficients=30).fit(given, labels, scheduler=client)
    same(found, one_machine(given, labels, tmp_path / "one", n_coefficients=30))


def folder_of_files(root, images, labels):
    for i in range(300):
        (root / f"class {labels[i]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[i]).save(root / f"class {labels[i]}" / f"{i}.png")
    for i in (7, 150):
        path = root / f"class {labels[i]}" / f"{i}.png"
        path.write_bytes(path.read_bytes()[:-60])
    return root


def test_files_that_cannot_be_read_are_listed_or_refused(client, data, tmp_path):
    root = folder_of_files(tmp_path / "files", *data)
    source = open_source(root)
    found = PatternAnalysis(n_coefficients=30).fit(source, scheduler=client)
    same(found, one_machine(root, None, tmp_path / "one", n_coefficients=30))
    assert found.out_of_core_.n_left_out == 2
    assert sorted(each.path.name for each in source.skipped) == ["150.png", "7.png"]
    strict = open_source(root, strict=True)
    with pytest.raises(DataError, match=r"cannot be read:\n"):
        PatternAnalysis(n_coefficients=30).fit(strict, scheduler=client)


def test_dask_arrays(client, data, tmp_path):
    images, labels = data
    expected = one_machine(images, labels, tmp_path / "one", n_coefficients=30)
    array = da.from_array(images, chunks=(50, 5, 14))
    for given in (array, client.persist(array), array.rechunk((700, 12, 14)), array.rechunk((9, 12, 14))):
        found = PatternAnalysis(n_coefficients=30).fit(given, labels, scheduler=client)
        same(found, expected)
    found = PatternAnalysis(n_coefficients=30).fit(
        array, da.from_array(labels, chunks=100), scheduler=client, chunk_size=16
    )
    same(found, expected)
    assert found.classes_.dtype == labels.dtype


def test_float32_and_colour(client, data, tmp_path):
    images = np.stack([data[0], data[0][::-1], data[0] // 2], axis=-1).astype(np.float32)
    expected = one_machine(images, data[1], tmp_path / "one", n_coefficients=20)
    found = PatternAnalysis(n_coefficients=20).fit(
        da.from_array(images, chunks=(100, 12, 14, 1)), data[1], scheduler=client
    )
    assert found.sigma_.dtype == found.embedding_.dtype == np.float32
    same(found, expected, rtol=1e-4)


def test_dask_bags(client, data, tmp_path):
    images, labels = data
    expected = one_machine(images, labels, tmp_path / "one", n_coefficients=30)
    with client.as_current():
        names = np.array(["cat", "dog", "eel"])[labels]
        pairs = db.from_sequence(list(zip(images, names.tolist(), strict=True)), npartitions=9)
        found = PatternAnalysis(n_coefficients=30).fit(pairs)  # the client made last
        np.testing.assert_allclose(found.sigma_, expected.sigma_, rtol=1e-10)
        assert found.classes_.tolist() == ["cat", "dog", "eel"]
        # A partition may be empty.
        alone = db.concat(
            [db.from_sequence(list(images[:700]), npartitions=4), db.from_delayed([dask.delayed([])])]
        )
        alone = db.concat([alone, db.from_sequence(list(images[700:]), npartitions=3)])
        same(PatternAnalysis(n_coefficients=30).fit(alone, labels), expected)


def test_a_bag_is_counted_on_the_cluster_too(client, data):
    def made(i):
        import os

        assert os.getpid() != here, "made by the client"
        return [(image, int(label)) for image, label in zip(images[i::4], labels[i::4], strict=True)]

    here = os.getpid()
    images, labels = data
    bag = db.from_delayed([dask.delayed(made)(i) for i in range(4)])
    found = PatternAnalysis(n_coefficients=30).fit(bag, scheduler=client.scheduler.address)
    assert found.out_of_core_.n_read == 1200


def test_rows_come_over_the_network_where_no_folder_is_shared(client, data, tmp_path):
    np.save(tmp_path / "x.npy", data[0])
    expected = PatternAnalysis(n_coefficients=30).fit(tmp_path / "x.npy", data[1], scheduler=client)

    def look_in(file):
        import wavelens.patterns.fit._cluster_tasks as steps

        steps.TOKEN = file

    workers = list(client.nthreads())
    client.run(look_in, "nowhere", workers=workers[:1])  # one sees the folder, the other does not
    try:
        found = PatternAnalysis(n_coefficients=30).fit(
            tmp_path / "x.npy", data[1], scheduler=client, work_dir=tmp_path / "work"
        )
    finally:
        client.run(look_in, "token", workers=workers)
    np.testing.assert_array_equal(found.embedding_, expected.embedding_)


def test_a_class_of_low_rank_is_told(client, tmp_path):
    rng = np.random.default_rng(1)
    images = rng.random((90, 8, 8))
    labels = np.arange(90) % 2
    images[::2] = images[:20:2].repeat(5, axis=0)[:45]
    np.save(tmp_path / "x.npy", images)
    found = PatternAnalysis().fit(tmp_path / "x.npy", labels, scheduler=client)
    assert found.sigma_.shape[1] <= 10
    with pytest.raises(ValueError, match="numerical rank"):
        PatternAnalysis(n_coefficients=20).fit(tmp_path / "x.npy", labels, scheduler=client)
    with pytest.warns(WavelensWarning, match="have a rank below"):
        PatternAnalysis(n_coefficients=20, rank="any").fit(tmp_path / "x.npy", labels, scheduler=client)


@pytest.mark.realdata
def test_mnist(client, real_data, tmp_path):
    source = open_source(real_data / "mnist.npz", limit=1000)
    found = PatternAnalysis(n_coefficients=200).fit(source, scheduler=client)
    same(found, one_machine(source, None, tmp_path, n_coefficients=200))
    same(found, PatternAnalysis(n_coefficients=200, pivoting="sketch").fit(source), rtol=1e-8)


@pytest.mark.realdata
def test_ct(client, real_data, tmp_path):
    source = open_source(real_data / "sars_cov2_ct.npz")
    found = PatternAnalysis(n_coefficients=300).fit(source, scheduler=client)
    same(found, one_machine(source, None, tmp_path, n_coefficients=300))
    same(found, PatternAnalysis(n_coefficients=300, pivoting="sketch").fit(source), rtol=1e-8)


def test_what_cannot_be_analysed_is_refused(client, data, tmp_path):
    images, labels = data

    def fit(given, y=labels, **options):
        return PatternAnalysis(n_coefficients=20).fit(given, y, scheduler=client, **options)

    with pytest.raises(DataError, match="in the memory of this process"):
        fit(images)
    with pytest.raises(DataError, match="cannot be divided among processes"):
        fit(lambda: [(images, labels)], None)
    with pytest.raises(ValueError, match="`cache` must be None or False"):
        fit("digits", None, cache=True)
    with pytest.raises(ValueError, match="target y is None"):
        fit(da.from_array(images, chunks=100), None)
    with pytest.raises(ValueError, match="one entry for each of the 1200 images"):
        fit(da.from_array(images, chunks=100), labels[:-1])
    some = da.from_array(images, chunks=100)[da.from_array(labels, chunks=100) > 0]
    with pytest.raises(ValueError, match="chunks of known sizes"):
        fit(some)
    with pytest.raises(ValueError, match="got float64"):
        fit(da.ones((4, 4)))
    # A gap in what was promised, an entry that is no number, images that are gone.
    wrong = [
        da.from_delayed(dask.delayed(np.ones)((100, 12, 13 + (i != 4))), (100, 12, 14), float)
        for i in range(12)
    ]
    with pytest.raises(DataError, match="chunk from image 400 on has shape"):
        fit(da.concatenate(wrong))
    short = [
        da.from_delayed(dask.delayed(np.ones)((100 - (i == 4), 12, 14)), (100, 12, 14), float)
        for i in range(12)
    ]
    with pytest.raises(DataError, match="another number of images"):
        fit(da.concatenate(short))
    holes = images.astype(float)
    holes[777, 3, 3] = np.nan
    with pytest.raises(DataError, match="image 777 must be finite, got nan"):
        fit(da.from_array(holes, chunks=100))
    np.save(tmp_path / "x.npy", images)
    source = open_source(tmp_path / "x.npy", labels)
    (tmp_path / "x.npy").rename(tmp_path / "elsewhere.npy")
    with pytest.raises((DataError, FileNotFoundError)):
        fit(source, None)


def test_bags_that_do_not_agree_are_refused(client, data):
    images, labels = data
    with client.as_current():
        mixed = [*images[:40], *images[:40, :5]]
        with pytest.raises(DataError, match="partition 1 of the bag holds images of"):
            DaskImages(db.from_sequence(mixed, npartitions=2), labels[:80])
        with pytest.raises(DataError, match=r"partition \d of the bag must hold pairs \(image, label\)"):
            DaskImages(db.from_sequence(list(images[:40]), npartitions=2))
        pairs = [(each, None if i == 30 else 1) for i, each in enumerate(images[:40])]
        with pytest.raises(DataError, match="partition 1 of the bag holds images without a label"):
            DaskImages(db.from_sequence(pairs, npartitions=2))
        with pytest.raises(DataError, match="numbers, in others text"):
            DaskImages(
                db.from_sequence(
                    [(each, i if i < 20 else "a") for i, (each, _) in enumerate(pairs)], npartitions=2
                )
            )
        ragged = [np.ones((3, 3)), np.ones((3, 4))]
        with pytest.raises(DataError, match="partition 0 of the bag: "):
            DaskImages(db.from_sequence(ragged, npartitions=1), [0, 1])


def test_pixels_in_the_graph_are_refused():
    with pytest.raises(DataError, match="holds its images in its graph"):
        DaskImages(da.from_array(np.ones((2000, 64, 64)), chunks=(1000, 64, 64)), np.arange(2000) % 2)
