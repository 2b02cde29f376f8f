"""The way to a scheduler, and what can be wrong with it, in words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from distributed import Client, get_client
from distributed.scheduler import KilledWorker

from wavelens import _core
from wavelens.exceptions import DataError

__all__ = ["TaskError", "address_of", "connected", "told_plainly"]

_gone = (CancelledError, asyncio.CancelledError, OSError, TimeoutError)


class TaskError(Exception):
    """What a task raised; `told_plainly` raises it again."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(str(raised))
        self.raised = raised


@contextmanager
def connected(scheduler: Any = None, *, timeout: float = 60.0) -> Iterator[Client]:
    """Give a client of a scheduler at which at least one worker waits.

    Parameters
    ----------
    scheduler : str, distributed.Client, cluster or None, default None
        An address such as ``"tcp://10.0.0.1:8786"``, a client, or what has a `scheduler_address`, such as a
        ``LocalCluster``. None: the client that was made last in this process.
    timeout : float, default 60
        Seconds to wait for an answer, and then for a worker.

    Returns
    -------
    context manager of distributed.Client
        One that was made here is closed in the end.

    Raises
    ------
    DataError
        If nobody answers, no worker comes, or a worker lacks Wavelens or has another version of it.
    ValueError
        If `scheduler` is None and there is no client.

    Examples
    --------
    >>> from distributed import LocalCluster
    >>> from wavelens.distributed import connected
    >>> with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
    ...     with connected(cluster) as client:
    ...         len(client.nthreads())
    1
    """
    client, own = _client_of(scheduler, timeout)
    try:
        _wait_for_a_worker(client, timeout)
        _check_versions(client)
        yield client
    finally:
        if own:
            client.close(timeout=5)


@contextmanager
def told_plainly(client: Client) -> Iterator[None]:
    """Say of errors of the cluster what they mean.

    Raises
    ------
    DataError
        If the scheduler is gone, or a task brought worker after worker down.
    """
    try:
        yield
    except TaskError as error:
        raised = error.raised
        if not isinstance(raised, KilledWorker):
            raise raised from raised.__cause__
        raise DataError(
            f"the work was given up: {raised.allowed_failures + 1} workers died one after the other at the same "
            "images, most likely for want of memory. Fewer threads a worker, fewer coefficients or a lower "
            "memory limit (`memory_limit`, --memory) take less"
        ) from raised
    except _gone as error:
        raise DataError(
            f"the scheduler {address_of(client)} can no longer be reached; no result was written. A run with a work "
            "folder goes on from there with `resume=True` (--resume)"
        ) from error


def address_of(client: Client) -> str:
    """Return where a client's scheduler is."""
    return str(
        getattr(client, "_wavelens_address", None) or getattr(client.scheduler, "address", "of the client")
    )


def _client_of(scheduler: Any, timeout: float) -> tuple[Client, bool]:
    if scheduler is None:
        try:
            return get_client(), False
        except ValueError:
            raise ValueError(
                "`scheduler` must be given for a dask.array or dask.bag where no distributed.Client has been made: "
                'an address such as "tcp://10.0.0.1:8786", or a client'
            ) from None
    if isinstance(scheduler, Client):
        if scheduler.asynchronous:
            raise TypeError("`scheduler` must not be an asynchronous client")
        return scheduler, False
    address = getattr(scheduler, "scheduler_address", scheduler)
    if not isinstance(address, str):
        raise TypeError(
            f"`scheduler` must be an address, a distributed.Client or a cluster, got {type(scheduler).__name__}"
        )
    _check_address(address)
    try:
        client = Client(
            address, timeout=timeout, set_as_default=False, direct_to_workers=True, name="wavelens"
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise DataError(
            f"no Dask scheduler answers at {address!r} ({error}). `dask scheduler` starts one and prints its "
            "address, such as tcp://10.0.0.1:8786"
        ) from error
    client._wavelens_address = address
    return client, True


def _check_address(address: str) -> None:
    """Refuse what is no address before anything waits for an answer.

    Raises
    ------
    DataError
    """
    scheme, _, rest = address.rpartition("://")
    if scheme in ("inproc", "ucx"):
        return
    host, _, port = rest.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and 0 < int(port[:9]) < 65536):
        raise DataError(
            f"no Dask scheduler answers at {address!r}, which is not a host and a port. `dask scheduler` starts one "
            "and prints its address, such as tcp://10.0.0.1:8786"
        )


def _wait_for_a_worker(client: Client, timeout: float) -> None:
    try:
        client.wait_for_workers(1, timeout=timeout)
    except TimeoutError as error:
        where = address_of(client)
        raise DataError(
            f"the scheduler {where} has no workers, and none came within {timeout:g} s; start some with "
            f"`dask worker {where}`"
        ) from error


def _version() -> str:
    return _core.version


def _check_versions(client: Client) -> None:
    """Refuse workers that would fail at the first task, or gather something else."""
    found = client.run(_version, on_error="return")
    for worker, version in found.items():
        if isinstance(version, Exception):
            raise DataError(
                f"the worker {worker} cannot use Wavelens: {version}; install {_core.version} there"
            )
        if version != _core.version:
            raise DataError(f"the worker {worker} has Wavelens {version}, here it is {_core.version}")
