"""Fits in processes of their own, which tests of faults slow down, stop, kill and damage, by public names alone.

What a process did is in files: the arrays of the fit, or the error that it raised.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

import wavelens
from wavelens.data import open_source
from wavelens.patterns import PatternAnalysis

__all__ = [
    "CHUNK",
    "KINDS",
    "arrays_of",
    "change",
    "check_same",
    "command",
    "damage_files",
    "fit",
    "make_images",
    "process_of",
    "processes",
    "result_of",
    "start_command",
    "write_source",
]

CHUNK = 40
KINDS = ("npy", "png", "h5")
SIDE = 12
_arrays = ("coefficients_", "sigma_", "embedding_", "labels_", "bandwidth_", "image_positions_")


# What is fitted


def make_images(seed=0, n=600, side=SIDE):
    """Return images of three classes, two of which have something of their own."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (n, side, side), dtype=np.uint8)
    labels = np.arange(n) * 3 // n
    images[labels == 1, side // 6 : side // 2] //= 3
    images[labels == 2, :, side // 2 :] //= 2
    return images, labels


def write_source(kind, folder, images, labels):
    """Write images as a source of a kind; return what to open."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "npy":
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", labels)
        return folder / "images.npy"
    if kind == "npz":
        np.savez(folder / "images.npz", images=images, labels=labels)
        return folder / "images.npz"
    if kind == "h5":
        import h5py

        with h5py.File(folder / "images.h5", "w") as file:
            # Neither packed nor in pieces, so that other images take exactly the same bytes.
            file["images"], file["labels"] = images, labels
        return folder / "images.h5"
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / "images" / f"class{label}" / f"{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, compress_level=0)
    return folder / "images"


def damage_files(path, positions):
    """Damage the pixels of some files of a folder, which shows when they are decoded; return their paths."""
    files = sorted(path.glob("*/*.png"))
    for i in positions:
        content = bytearray(files[i].read_bytes())
        middle = content.index(b"IDAT") + 12
        content[middle : middle + 40] = bytes(40)
        files[i].write_bytes(content)
    return [files[i] for i in positions]


def change(path, how, seed=9):
    """Change a source under the hands of whoever reads it; see the branches."""
    files = sorted(path.glob("*/*.png")) if path.is_dir() else [path]
    times = {each: (each.stat().st_atime_ns, each.stat().st_mtime_ns) for each in files}
    sizes = {each: each.stat().st_size for each in files}
    if how in ("rewritten", "written anew", "exchanged"):
        other = path.parent / "other"
        fresh = write_source(_kind_of(path), other, *make_images(seed, open_source(path).n_images))
        for each in files:
            new = fresh if not path.is_dir() else fresh / each.relative_to(path)
            if how == "exchanged":
                new.replace(each)
            else:
                with each.open("r+b") as file:
                    file.write(new.read_bytes())
            assert each.stat().st_size == sizes[each]
            if how != "written anew":
                os.utime(each, ns=times[each])
        shutil.rmtree(other)
    elif how == "truncated":
        for each in files[:: max(1, len(files) // 3)]:
            os.truncate(each, sizes[each] // 2)
    elif how == "another is damaged":
        # As many images as before, but not the same.
        first, second = files[3], files[len(files) // 2 + 3]
        good, bad = second.read_bytes(), first.read_bytes()
        first.write_bytes(good)
        second.write_bytes(bad)
        os.utime(first, ns=times[first])
        os.utime(second, ns=times[second])
    else:
        assert how == "removed"
        files[len(files) // 2].unlink()


def _kind_of(path):
    return "png" if path.is_dir() else path.suffix[1:]


# In the process


def fit(job):
    """Fit as a job says: `path`, `work`, and what is optional below."""
    if job.get("hurry"):
        _hurry(job["hurry"])
    if job.get("largest_file"):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest_file"], resource.RLIM_INFINITY))
    path = Path(job["path"])
    labels = path.parent / "labels.npy"
    source = open_source(
        path, np.load(labels) if path.suffix == ".npy" else None, strict=job.get("strict", False)
    )
    if not job.get("scheduler"):
        _watch_reading(source, job.get("pause", 0), job.get("act"), job.setdefault("read", []))
    analysis = PatternAnalysis(n_coefficients=job.get("n_coefficients", 20), progress=False)
    options = {} if job.get("scheduler") else {"cache": job.get("cache")}
    return analysis.fit(
        source,
        work_dir=job["work"],
        resume=job.get("resume", True),
        chunk_size=job.get("chunk", CHUNK),
        scheduler=job.get("scheduler"),
        **options,
    )


def _hurry(by):
    """Let the clocks run fast, so that what is done every ten seconds is done every few chunks."""
    for name in ("perf_counter", "monotonic"):
        clock = getattr(time, name)
        begun = clock()
        setattr(time, name, lambda clock=clock, begun=begun: begun + by * (clock() - begun))


def _watch_reading(source, pause, act, seen):
    """Make every chunk take a while, note it, and act before a chunk of a reading: `act` is (how, reading, chunk)."""
    read, readings = source.chunks, count()

    def chunks(size, start=0):
        reading = next(readings)
        for i, chunk in enumerate(read(size, start)):
            if act and act[1:] == [reading, i]:
                change(Path(act[0][1]), act[0][0])
            time.sleep(pause)
            seen.append(reading)
            yield chunk

    source.chunks = chunks


def arrays_of(analysis):
    """Return what a fit found, as arrays."""
    return {name: np.asarray(getattr(analysis, name)) for name in _arrays} | {
        "v": np.asarray(analysis.gsvd_.v)
    }


def _report(job):
    outcome = Path(job["outcome"])
    try:
        found = arrays_of(fit(job)) | {"n_chunks_read": np.array(len(job.get("read", [])))}
    except BaseException as error:
        found = None
        told = json.dumps({"error": type(error).__name__, "text": str(error)})
    if job.get("largest_file"):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if found is None:
        outcome.write_text(told)
        return
    partial = outcome.with_name("result.partial.npz")
    np.savez(partial, **found)
    partial.replace(outcome.with_suffix(".npz"))


def processes():
    """Return a maker of processes that have everything imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["wavelens.patterns", "wavelens.data", __name__])
    return context


def process_of(context, job):
    """Start a process that does a job."""
    outcome = Path(job["outcome"])
    for each in (outcome, outcome.with_suffix(".npz")):
        each.unlink(missing_ok=True)
    process = context.Process(target=_report, args=(job,))
    process.start()
    return process


def result_of(process, job, timeout=120):
    """Wait for a process; return its arrays, or its error as a pair of its kind and its text."""
    process.join(timeout)
    assert process.exitcode is not None, "the fit does not end"
    assert process.exitcode >= 0, f"the fit died of {signal.Signals(-process.exitcode).name}"
    outcome = Path(job["outcome"])
    if outcome.with_suffix(".npz").exists():
        with np.load(outcome.with_suffix(".npz")) as found:
            return dict(found)
    told = json.loads(outcome.read_text())
    return told["error"], told["text"]


def wait_until_begun(process, work):
    """Wait until a fit has written down what it is of, or has ended."""
    end = time.monotonic() + 60
    while process.exitcode is None and not (Path(work) / "run.json").exists():
        assert time.monotonic() < end
        time.sleep(0.005)


def check_same(found, expected):
    """Compare the arrays of two fits bit for bit."""
    assert isinstance(found, dict), found
    for name in _arrays:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


# The command


def command(path, out, *more):
    """Return a command that analyses in chunks what `make_images(n=900, side=96)` gives."""
    return [
        *("analyze", str(path), "--out", str(out), "--memory", "240MB", "--coefficients", "20"),
        *("--permutations", "0", "--force" if not more else more[0], *more[1:]),
    ]


def start_command(arguments, **job):
    """Start the command in a process where files are decoded slowly (`pause`) and clocks run fast (`hurry`)."""
    tests = Path(__file__).resolve().parent
    path = os.pathsep.join(
        [str(Path(wavelens.__file__).parents[1]), str(tests), os.environ.get("PYTHONPATH", "")]
    )
    return subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps({"arguments": arguments, **job})],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run_command(job):
    from wavelens.cli import main

    if job.get("hurry"):
        _hurry(job["hurry"])
    if job.get("pause"):
        read = Image.open

        def slowly(*arguments, **options):
            time.sleep(job["pause"])
            return read(*arguments, **options)

        Image.open = slowly
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return main(job["arguments"])


if __name__ == "__main__":
    sys.exit(_run_command(json.loads(sys.argv[1])))
