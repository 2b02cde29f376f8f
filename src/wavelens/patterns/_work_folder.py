"""The folder in which an analysis out of core keeps what it has done, so that it can go on after being killed.

===================  ==========================================================================================
run.json             what the run is of: the input's fingerprint, the options, the versions, the plan
sketch.npz           the first pass so far, then its outcome
factors.npz          the second pass so far
chosen.npy.partial   the chosen coefficients, if they are kept for the third pass
rows.npz             how many rows of UΣ are written
chosen.npz           on a cluster, the outcome of the first pass
parts                on a cluster, the rows of UΣ of the portions of the images that are done
embedding.npy        the rows of UΣ; under this name only when all are there
decomposition.npz    the HO-GSVD, and after the third pass that the run is whole
===================  ==========================================================================================

Every file is replaced in one step, and rows count as written only once they have been forced to disk and a state
after them says so.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy.typing as npt

from wavelens.exceptions import DataError
from wavelens.patterns._checkpoint import read_json, read_state, write_json, write_state

__all__ = ["PARTS", "WorkFolder"]

PARTS = "parts"

_run = "run.json"
_version = 1
_passing = ("sketch.npz", "chosen.npz", "factors.npz", "rows.npz", "chosen.npy.partial")
_states = (_run, "sketch.npz", "chosen.npz", "factors.npz", "rows.npz", "decomposition.npz")
_half_written = tuple(f"{name}.partial" for name in _states)  # by a process that was killed
_all = (*_states, *_half_written, "chosen.npy.partial", "embedding.npy", "embedding.npy.partial", "lock")


class WorkFolder:
    """A run's folder, open for one process at a time.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[bytes] | None = None

    @contextmanager
    def opened(self) -> Iterator[WorkFolder]:
        """Make the folder and keep other processes out of it; say of errors of the disk what they mean."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            yield self
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO):
                raise DataError(
                    f"{self.path}: the work folder cannot be written: {error.strerror}. What is done is kept; "
                    "when there is room again, the run goes on with `resume=True` (--resume)"
                ) from error
            raise
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def begin(
        self, told: Mapping[str, Mapping[str, str]], plan: Mapping[str, Any], resume: bool
    ) -> dict[str, Any]:
        """Write down what the run is of, or check that an unfinished one is of the same.

        Parameters
        ----------
        told : mapping of str to mapping
            "input", "options" and "versions", each by the names that a person would use.
        plan : mapping
            How the work is cut up. An unfinished run keeps its own, for results depend on it in rounding.
        resume : bool
            Whether an unfinished run may be continued.

        Returns
        -------
        dict
            The plan to go by.

        Raises
        ------
        DataError
            If there is a run already and `resume` is False, or something has changed; says what.
        """
        before = read_json(self.path / _run)
        if before is None:
            others = [each.name for each in self.path.iterdir() if each.name not in (*_all, PARTS)]
            if others:
                raise DataError(
                    f"{self.path} holds other things ({', '.join(sorted(others)[:3])}); choose another"
                )
            for name in _all:
                if name != "lock":
                    (self.path / name).unlink(missing_ok=True)
            shutil.rmtree(self.path / PARTS, ignore_errors=True)
            write_json(self.path / _run, {"format_version": _version, **told, "plan": plan})
            return dict(plan)
        if not resume:
            raise DataError(
                f"{self.path} holds a run already: continue it with `resume=True` (--resume), or delete the folder"
            )
        if before.get("format_version") != _version:
            raise DataError(
                f"{self.path} was begun by another version of Wavelens, whose notes this one cannot read"
            )
        changed = [line for section, now in told.items() for line in _changes(before.get(section), now)]
        if changed:
            raise DataError(
                f"{self.path}: the run cannot be continued, for this has changed since it was begun: "
                f"{'; '.join(changed)}. Put it back, or begin anew in another folder"
            )
        return dict(before["plan"])

    def save(self, name: str, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Replace a state."""
        write_state(self.path / f"{name}.npz", header, arrays)

    def load(self, name: str) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]] | None:
        """Return a state, or None."""
        return read_state(self.path / f"{name}.npz")

    def forget_passes(self) -> None:
        """Remove what only an unfinished run needs."""
        for name in (*_passing, *_half_written):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / PARTS, ignore_errors=True)

    def _take_lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows keeps others from replacing files in use
            return
        self._lock = (self.path / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise DataError(f"{self.path} is in use by another run") from None


def _changes(before: object, now: Mapping[str, str]) -> Iterator[str]:
    was = before if isinstance(before, dict) else {}
    for name in dict.fromkeys([*was, *now]):
        old, new = was.get(name), now.get(name)
        if old == new:
            continue
        long = max(len(str(old)), len(str(new))) > 60
        yield f"the {name}" if long or old is None or new is None else f"the {name} (was {old}, is {new})"
