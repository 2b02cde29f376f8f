"""How work is divided, what passes through the scheduler, and which threads do it."""

from __future__ import annotations

import operator
import os
import signal
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

import wavelens
from wavelens.data import open_source
from wavelens.distributed import Cluster, DaskImages, cut
from wavelens.distributed._dealing import Dealer
from wavelens.distributed._portions import bounds_of
from wavelens.exceptions import DataError
from wavelens.patterns import PatternAnalysis


class Sized:
    """As much of a source as its division asks for."""

    def __init__(self, n):
        self.n_images = n


@given(st.integers(1, 3_000_000), st.integers(1, 100_000))
@settings(max_examples=200, deadline=None)
def test_portions_cover_all_images_once(n, wanted):
    bounds = bounds_of(Sized(n), wanted)
    assert bounds[0] == 0
    assert bounds[-1] == n
    sizes = np.diff(bounds)
    assert (sizes > 0).all()
    assert len(sizes) <= 10_000
    assert len(sizes) >= min(n, 9)  # of 16, none of which may be empty
    assert sizes.max() <= max(wanted, -(-n // 10_000))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 200))
@settings(max_examples=50, deadline=None)
def test_chunks_of_dask_are_never_cut(sizes, wanted):
    n = sum(sizes)
    images = DaskImages(da.ones((n, 2, 2), chunks=(tuple(sizes), 2, 2)), np.zeros(n))
    portions = cut(images, np.zeros(n, dtype=np.intp), wanted)
    assert {each.first for each in portions} <= {0, *images.edges}
    assert sum(len(each.blocks) for each in portions) == len(sizes)
    assert [each.last for each in portions][:-1] == [each.first for each in portions][1:]


@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33, 200])
def test_states_merge_in_order(client, n):
    def ranges(portion, blocks, note):
        return [(portion.first, portion.last)]

    def joined(low, high):
        assert low[-1][1] == high[0][0], "not neighbours"
        return [*low, *high]

    images = DaskImages(da.ones((n, 2, 2), chunks=(1, 2, 2)), np.zeros(n))
    portions = cut(images, np.zeros(n, dtype=np.intp), 1)
    told = []
    cluster = Cluster(client)
    found = cluster.fetch(cluster.merged("ranges", ranges, portions, None, joined, told.append))
    assert found == [(each.first, each.last) for each in portions]
    assert told == sorted(told)
    assert told[-1] == n


@given(
    st.integers(1, 200),
    st.integers(1, 20),
    st.lists(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 4)), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
@settings(max_examples=200, deadline=None)
def test_every_portion_is_dealt_once_whoever_comes_and_goes(n, group, crews, random):
    dealer = Dealer(n, group)
    found = []
    for i in range(n):
        crew = crews[i % len(crews)]
        number, worker = dealer.next({each: random.randint(0, 5) for each in crew}, crew)
        assert (worker in crew) if crew else worker is None
        found.append(number)
    assert sorted(found) == list(range(n))
    assert dealer.left == 0


def test_neighbours_go_to_the_same_worker():
    dealer, threads, busy = Dealer(64, 8), {"a": 1, "b": 1}, {"a": 0, "b": 0}
    dealt = {}
    for _ in range(64):
        number, worker = dealer.next(busy, threads)
        dealt[number] = worker
        busy[worker] += 1
    for first in range(0, 64, 8):
        assert len({dealt[i] for i in range(first, first + 8)}) == 1
    assert sorted(dealt.values()) == ["a"] * 32 + ["b"] * 32


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_a_lost_worker_costs_what_it_did_itself(tmp_path):
    """Every task notes down who did which portion; one worker is killed underway."""
    digits = open_source("digits")
    portions = cut(digits, digits.labels, 28)
    notes = str(tmp_path)

    def noted(portion, blocks, note):
        with open(f"{note}/{os.getpid()}", "a") as file:
            print(portion.first, file=file, flush=True)
        time.sleep(0.05)
        return 1

    done = []

    def kill(images):
        done.append(images)
        if len(done) == 20:
            victims.append(next(iter(client.run(os.getpid).values())))
            os.kill(victims[0], signal.SIGKILL)

    victims = []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        cluster = Cluster(client)
        total = cluster.fetch(cluster.merged("noted", noted, portions, notes, operator.add, kill))
    assert total == len(portions)
    did = {int(path.name): path.read_text().split() for path in tmp_path.iterdir()}
    again = sum(map(len, did.values())) - len(portions)
    # All that it did is done again, and hardly anything that others did.
    assert again <= len(did[victims[0]]) + 2


def test_what_a_task_raises_comes_back(client):
    def raising(portion, blocks, note):
        raise DataError(f"from image {portion.first} on")

    digits = open_source("digits")
    portions = cut(digits, digits.labels, 100)
    with pytest.raises(DataError, match="from image"):
        Cluster(client).merged("raising", raising, portions, None, operator.add)
    with pytest.raises(DataError, match="from image"):
        list(Cluster(client).each("raising", raising, portions, None))


def test_threads_of_a_task_and_afterwards():
    def threads_inside(portion, blocks, note):
        from threadpoolctl import threadpool_info

        blas = [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]
        return [(wavelens.num_threads(), max(blas))]

    before = wavelens.num_threads()
    digits = open_source("digits")
    portions = cut(digits, digits.labels, 100)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=3, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        work = Cluster(client)
        found = work.fetch(work.merged("threads", threads_inside, portions, None, operator.add))
    assert set(found) == {(3, 1)}
    assert wavelens.num_threads() == before


def test_a_large_note_is_sent_again_if_it_is_lost(client):
    def size_of_note(portion, blocks, note):
        return len(note)

    digits = open_source("digits")
    portions = cut(digits, digits.labels, 100)
    work = Cluster(client)
    share = work._share
    shared = []

    def lost_at_first(note):
        shared.append(share(note))
        if len(shared) == 1:
            client.cancel(shared)
        return shared[-1]

    work._share = lost_at_first
    found = list(work.each("size", size_of_note, portions, b"x" * 3_000_000))
    assert len(shared) == 2
    assert sorted(each.first for each, _ in found) == [each.first for each in portions]
    assert {size for _, size in found} == {3_000_000}


def test_no_big_object_passes_through_the_scheduler(by_hand, tmp_path):
    def count():
        """In the scheduler's process: count what is sent and received from here on."""
        import builtins

        from distributed.comm import tcp

        builtins.counted = []
        read, header = tcp.read_bytes_rw, tcp._add_frames_header

        async def counted_read(stream, n):
            builtins.counted.append(n)
            return await read(stream, n)

        def counted_header(frames):
            found = header(frames)
            builtins.counted.append(found[2])
            return found

        tcp.read_bytes_rw, tcp._add_frames_header = counted_read, counted_header

    def counted():
        import builtins

        return builtins.counted

    rng = np.random.default_rng(0)
    images = rng.random((3000, 40, 40))
    images[1000:2000, :20] *= 2
    images[2000:, :, 20:] *= 3
    np.save(tmp_path / "x.npy", images)
    for _ in range(2):
        by_hand.start_worker()
    with distributed.Client(by_hand.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        client.run_on_scheduler(count)
        PatternAnalysis(n_coefficients=150).fit(
            tmp_path / "x.npy", np.arange(3000) // 1000, scheduler=client, work_dir=tmp_path / "work"
        )
        passed = client.run_on_scheduler(counted)
    sketch, factors = 300 * 1600 * 8, 3 * 150 * 150 * 8 // 2
    assert images.nbytes > 9 * sketch
    # The factors that come to the client, and what embeds images, are in no message, let alone a sketch.
    assert 1_000 < max(passed) < factors / 10
    # All together, with what Dask tells of itself, they are less than a single sketch.
    assert sum(passed) < sketch
