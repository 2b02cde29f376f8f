"""Portions of the images to the workers, states merged between them, results back.

A pass keeps some more tasks under way than there are threads, and deals out the next portion whenever one is done.
States merge in a binary tree over the portions in their order, so that the result is the same to the bit whichever
worker does what. Until all portions are done only neighbours merge, in groups of about √(number of portions), and a
group is dealt to one worker where that keeps all of them busy: what a worker holds then stands for its own portions,
and if it is lost, few others have to be done again. Dask knows how each state came about, and does again what is
missing.
"""

from __future__ import annotations

import pickle
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import dask
from distributed import Client, Future, wait

from wavelens.distributed._client import TaskError, address_of, told_plainly
from wavelens.distributed._dealing import Dealer
from wavelens.distributed._pinned import pinned
from wavelens.distributed._portions import Portion
from wavelens.exceptions import DataError

__all__ = ["Cluster"]

Step = Callable[[Portion, Sequence[Any], Any], Any]

_small = 100_000
_seconds_between_looks = 5.0
_most_renewals = 20


class Cluster:
    """The workers of a client, for one piece of work.

    Parameters
    ----------
    client : distributed.Client
    patience : float, default 60
        Seconds without any worker after which the work is given up.

    Notes
    -----
    A task runs with one thread of BLAS, and as many of the engine as Dask gave its worker.

    Examples
    --------
    >>> import operator
    >>> import numpy as np
    >>> from distributed import Client
    >>> from wavelens.data import open_source
    >>> from wavelens.distributed import Cluster, cut
    >>> def brightness(portion, blocks, note):
    ...     return sum(float(chunk.images.sum()) for chunk in portion.chunks(16, blocks, []))
    >>> digits = open_source("digits")
    >>> with Client(n_workers=1, processes=False, dashboard_address=":0") as client:
    ...     cluster = Cluster(client)
    ...     portions = cut(digits, digits.labels, 100)
    ...     total = cluster.merged("brightness", brightness, portions, None, operator.add)
    ...     cluster.fetch(total)
    561718.0
    """

    def __init__(self, client: Client, patience: float = 60.0) -> None:
        self.client = client
        self._patience = patience
        self._run = uuid.uuid4().hex
        self._looked = -_seconds_between_looks
        self._threads: dict[str, int] = {}
        self._alone_since: float | None = None
        self._count = 0

    @property
    def threads(self) -> dict[str, int]:
        """Threads of each worker, as they were a few seconds ago at most."""
        now = time.monotonic()
        if now - self._looked >= _seconds_between_looks:
            with told_plainly(self.client):
                self._threads = dict(self.client.nthreads())
            self._looked = now
            if self._threads:
                self._alone_since = None
            elif self._alone_since is None:
                self._alone_since = now
            elif now - self._alone_since > self._patience:
                raise DataError(
                    f"the scheduler {address_of(self.client)} has had no workers for {self._patience:g} s; no result "
                    "was written"
                )
        return self._threads

    def memory_of_a_task(self, programme: int, limit: int | None = None) -> int | None:
        """Return the bytes that a process may take which runs one task, on the worker that gives it least.

        Parameters
        ----------
        programme : int
            Bytes of a process before it does anything.
        limit : int or None, default None
            For each worker's process. None: 60 % of what Dask gives it, beyond which Dask writes to disk.

        Returns
        -------
        int or None
            `programme`, and an equal share of the rest for each of the worker's threads; None without limits.
        """
        with told_plainly(self.client):
            found = self.client.run(_memory_and_threads)
        shares = [
            programme + ((limit or int(0.6 * memory)) - programme) // threads
            for memory, threads in found.values()
            if limit or memory
        ]
        return min(shares) if shares else None

    def merged(
        self,
        name: str,
        step: Step,
        portions: Sequence[Portion],
        note: Any,
        merge: Callable[[Any, Any], Any],
        update: Callable[[int], object] | None = None,
    ) -> Future:
        """Have states made of all portions and merged.

        Parameters
        ----------
        name : str
            Of the work, as the dashboard shows it.
        step : callable
            Called as ``step(portion, blocks, note)`` on a worker, returns a state; its images are
            ``portion.chunks(size, blocks, skipped)``. Must be importable there, or picklable.
        portions : sequence of Portion
        note : object
            What all tasks need besides; sent once.
        merge : callable
            Called with two states; returns that of both and leaves them as they are.
        update : callable, optional
            Called with how many images are done.

        Returns
        -------
        distributed.Future
            The state of all images, on the worker that made it.

        Raises
        ------
        DataError
            If the cluster is gone, or what a task raised.
        """
        run = self._next(name)
        shared = self._share(note)
        nodes: dict[tuple[int, int], Future] = {}
        highest = _levels_of_a_group(len(portions))

        def join(level: int, i: int) -> None:
            while level < highest and (level, i ^ 1) in nodes:
                low, high = nodes.pop((level, i & ~1)), nodes.pop((level, i | 1))
                level, i = level + 1, i // 2
                key = (f"merge-{run}", level, i)
                nodes[level, i] = self.client.submit(_merged, merge, low, high, key=key, pure=False)

        with told_plainly(self.client):
            try:
                done = 0
                submit = partial(self._submit, run, step, note=shared)
                for i, future in self._flow(submit, portions):
                    nodes[0, i] = future
                    join(0, i)
                    done += portions[i].last - portions[i].first
                    if update is not None:
                        update(done)
                rest = [nodes[at] for at in sorted(nodes, key=lambda at: at[1] << at[0])]
                nodes.clear()
                level = 0
                while len(rest) > 1:
                    pairs = zip(rest[::2], rest[1::2], strict=False)
                    joined = [
                        self.client.submit(
                            _merged, merge, *pair, key=(f"merge-all-{run}", level, i), pure=False
                        )
                        for i, pair in enumerate(pairs)
                    ]
                    rest = joined + rest[2 * len(joined) :]
                    level += 1
                self._wait(rest)
                return rest[0]
            except BaseException:
                self._cancel(nodes.values())
                raise

    def each(
        self, name: str, step: Step, portions: Sequence[Portion], note: Any
    ) -> Iterator[tuple[Portion, Any]]:
        """Have something made of every portion, and fetch it.

        Parameters
        ----------
        name, step, portions, note
            As in `merged`.

        Yields
        ------
        tuple
            A portion and what was made of it, in the order in which they are done. Only a few are under way or
            done and not yet fetched.

        Raises
        ------
        DataError
            If the cluster is gone, or what a task raised.
        """
        run = self._next(name)
        left = list(portions)
        shared = self._share(note)
        for _ in range(_most_renewals):
            try:
                with told_plainly(self.client):
                    waiting = list(left)
                    submit = partial(self._submit, run, step, note=shared)
                    for i, future in self._flow(submit, waiting, renewable=True):
                        found = self.client.gather(future, direct=True)
                        left.remove(waiting[i])
                        yield waiting[i], found
                return
            except _NoteLostError:  # with the last worker that had it
                run = self._next(name)
                shared = self._share(note)
        raise DataError(
            "the work was given up: the workers were lost again and again before any could finish"
        )

    def apply(self, name: str, function: Callable[..., Any], *given: Any) -> Future:
        """Have a function called on a worker.

        Parameters
        ----------
        name : str
        function : callable
        *given : distributed.Future or object
            Arguments; of a future, what it stands for, which stays on the workers.

        Returns
        -------
        distributed.Future
            Of the result.
        """
        with told_plainly(self.client):
            return self.client.submit(_applied, function, *given, key=self._next(name), pure=False)

    def fetch(self, future: Future) -> Any:
        """Return a result, from the worker that has it where that can be reached from here.

        Parameters
        ----------
        future : distributed.Future

        Returns
        -------
        object

        Raises
        ------
        DataError
            If the cluster is gone, or what the task raised.
        """
        with told_plainly(self.client):
            self._wait([future])
            return self.client.gather(future, direct=True)

    def _flow(
        self, submit: Callable[..., Future], portions: Sequence[Portion], *, renewable: bool = False
    ) -> Iterator[tuple[int, Future]]:
        """Keep tasks under way, and give each that is done."""
        running: dict[Future, tuple[int, str | None]] = {}
        dealer = Dealer(len(portions), 2 ** _levels_of_a_group(len(portions)))
        try:
            while dealer.left or running:
                under_way = 2 * sum(self.threads.values()) + 1
                while dealer.left and len(running) < under_way:
                    busy = Counter(worker for _, worker in running.values() if worker is not None)
                    i, worker = dealer.next(busy, self._threads)
                    running[submit(i, portions[i], worker)] = i, worker
                try:
                    done = self._wait(list(running), all_of_them=False)
                except CancelledError:
                    if renewable and self.client.status == "running":
                        raise _NoteLostError from None
                    raise
                for future in done:
                    yield running.pop(future)[0], future
        finally:
            self._cancel(running)

    def _wait(self, futures: list[Future], *, all_of_them: bool = True) -> list[Future]:
        """Wait, and look now and then whether there is anybody to wait for."""
        while True:
            try:
                with self.client.as_current():  # which `wait` goes by
                    found = wait(futures, 1.0, "ALL_COMPLETED" if all_of_them else "FIRST_COMPLETED")
            except TimeoutError:
                _ = self.threads
                continue
            for future in found.done:
                if future.status == "error":
                    raise TaskError(future.exception())
            return list(found.done)

    def _submit(
        self, run: str, step: Step, i: int, portion: Portion, worker: str | None, *, note: Future
    ) -> Future:
        where = {"workers": [worker], "allow_other_workers": True} if worker is not None else {}
        call = partial(_worked, step, replace(portion, blocks=[]))
        key = (run, i)
        if not portion.blocks:
            return self.client.submit(call, note, key=key, pure=False, **where)
        delayed = dask.delayed(call, pure=False)
        return self.client.compute(delayed(note, *portion.blocks, dask_key_name=key), **where)

    def _share(self, note: Any) -> Future:
        """Make something known to the workers.

        What is small is a task of its own, which Dask can do again. What is not goes straight to the workers.
        """
        key = self._next("note")
        if len(pickle.dumps(note, protocol=5)) <= _small:
            return self.client.submit(_same, note, key=key, pure=False)
        try:
            (shared,) = self.client.scatter([note], direct=True, hash=False)
        except OSError:  # where workers cannot be reached from here
            (shared,) = self.client.scatter([note], direct=False, hash=False)
        with suppress(KeyError):  # lost already: noticed by the first task
            self.client.replicate([shared])
        return shared

    def _next(self, name: str) -> str:
        self._count += 1
        return f"{name}-{self._run}-{self._count}"

    def _cancel(self, futures: Any) -> None:
        left = list(futures)
        if left:
            with suppress(Exception):
                self.client.cancel(left)


def _levels_of_a_group(n: int) -> int:
    return round(n.bit_length() / 2)


class _NoteLostError(Exception):
    """What all tasks need was on workers that are gone."""


def _worked(step: Step, portion: Portion, note: Any, *blocks: Any) -> Any:
    with pinned():
        return step(portion, blocks, note)


def _merged(merge: Callable[[Any, Any], Any], low: Any, high: Any) -> Any:
    with pinned():
        return merge(low, high)


def _applied(function: Callable[..., Any], *given: Any) -> Any:
    with pinned():
        return function(*given)


def _same(value: Any) -> Any:
    return value


def _memory_and_threads(dask_worker: Any) -> tuple[int, int]:
    limit = getattr(dask_worker.memory_manager, "memory_limit", None) or 0
    return int(limit), max(1, int(dask_worker.state.nthreads))
