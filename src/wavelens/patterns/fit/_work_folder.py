"""The folder in which a fit keeps what it has done, so that it can go on after being killed.

===================  ==========================================================================================
run.json             what the run is of: the input's fingerprint, the options, the versions, the plan, and the
                     stage that it has reached
sketch.npz           the first pass so far
selection.npz        the outcome of the first pass
factors.npz          the second pass so far
selected.npy.partial the selected coefficients, if they are kept for the third pass
rows.npz             the third pass so far
parts                on a cluster, the rows of UΣ of the portions of the images that are done
embedding.npy        the rows of UΣ; under this name only when all are there
decomposition.npz    the HO-GSVD, and after the third pass that the run is whole
===================  ==========================================================================================

Every file is replaced in one step, and rows count as written only once they have been forced to disk and a state
after them says so. Every state carries the run's number and checksums, and checksums of the rows that it counts; the
stage says which files there must be. So a file that is missing, damaged, or of another run is noticed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from wavelens.exceptions import DataError, WavelensWarning
from wavelens.patterns._checkpoint import read_json, read_state, write_json, write_state

__all__ = ["PARTS", "SELECTED", "State", "WorkFolder"]

State = tuple[dict[str, Any], dict[str, Any]]
"""What a file of the work folder holds: a header, and arrays."""

PARTS = "parts"
SELECTED = "selected.npy"

_run = "run.json"
_version = 2
# What there must be once a run has reached a stage.
_needed = {
    "begun": (),
    "sketching": ("sketch.npz",),
    "selected": ("selection.npz",),
    "factoring": ("selection.npz", "factors.npz"),
    "decomposed": ("selection.npz", "decomposition.npz"),
    "embedding": ("selection.npz", "decomposition.npz", "rows.npz"),
    "whole": ("decomposition.npz", "embedding.npy"),
}
_passing = ("sketch.npz", "selection.npz", "factors.npz", "rows.npz", f"{SELECTED}.partial")
_states = (_run, "sketch.npz", "selection.npz", "factors.npz", "rows.npz", "decomposition.npz")
_half_written = tuple(f"{name}.partial" for name in _states)  # by a process that was killed
_all = (*_states, *_half_written, f"{SELECTED}.partial", "embedding.npy", "embedding.npy.partial", "lock")


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
        self._about: dict[str, Any] = {}

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

    @property
    def run(self) -> str:
        """The number of the run, which no other has."""
        return str(self._about["run"])

    @property
    def stage(self) -> str:
        """How far the run is."""
        return str(self._about["stage"])

    def begin(
        self,
        fingerprint: Mapping[str, Mapping[str, str]],
        environment: Mapping[str, str],
        plan: Mapping[str, Any],
        resume: bool,
    ) -> dict[str, Any]:
        """Write down what the run is of, or check that an unfinished one is of the same.

        Parameters
        ----------
        fingerprint : mapping of str to mapping
            "input", "options" and "versions", each by the names that a person would use.
        environment : mapping of str to str
            What changes results in rounding only; a change is warned of.
        plan : mapping
            How the work is divided. An unfinished run keeps its own, for results depend on it in rounding.
        resume : bool
            Whether an unfinished run may be continued.

        Returns
        -------
        dict
            The plan to go by.

        Raises
        ------
        DataError
            If there is a run already and `resume` is False, something has changed, or files are missing or damaged.
        """
        before = read_json(self.path / _run)
        if before is None:
            self._begin_anew(fingerprint, environment, plan)
            return dict(plan)
        if not resume:
            raise DataError(
                f"{self.path} holds a run already: continue it with `resume=True` (--resume), or delete the folder"
            )
        if before.get("format_version") != _version:
            raise DataError(f"{self.path / _run} was written by another version of Wavelens, or is damaged")
        if before.get("checksum") != _checksum(before):
            raise DataError(f"{self.path / _run} is damaged: its content does not match its checksum")
        changed = [
            line for section, now in fingerprint.items() for line in _changes(before.get(section), now)
        ]
        if changed:
            raise DataError(
                f"{self.path}: the run cannot be continued, because this has changed since it was begun: "
                f"{'; '.join(changed)}. Undo the change, or begin anew in another folder"
            )
        self._about = before
        self._check_files()
        other = list(_changes(before.get("environment"), environment))
        if other:
            warnings.warn(
                f"{self.path}: the run is continued with another environment ({'; '.join(other)}): what is left of "
                "it may differ in rounding from what is done",
                WavelensWarning,
                stacklevel=3,
            )
            self._note(environment=dict(environment))
        return dict(before["plan"])

    def reach(self, stage: str) -> None:
        """Write down that the run has reached a stage, after the files that it needs have been written."""
        if self.stage != stage:
            self._note(stage=stage)

    def save(self, name: str, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Replace a state."""
        write_state(self.path / f"{name}.npz", {"run": self.run, **header}, arrays)

    def load(self, name: str) -> State | None:
        """Return a state, or None if the run has not reached it.

        Raises
        ------
        DataError
            If it is damaged, or of another run.
        """
        found = read_state(self.path / f"{name}.npz")
        if found is not None:
            self.check_run(self.path / f"{name}.npz", found[0])
        return found

    def remove(self, name: str) -> None:
        """Remove a state that the run no longer needs."""
        (self.path / f"{name}.npz").unlink(missing_ok=True)

    def check_run(self, path: Path, header: Mapping[str, Any]) -> None:
        """Refuse a file that another run has written.

        Raises
        ------
        DataError
        """
        if header.get("run") != self.run:
            raise DataError(f"{path} belongs to another run; put the right file back, or begin anew")

    def damaged(self, name: str, error: BaseException) -> DataError:
        """Return the error that says that a state does not hold what it must."""
        return DataError(f"{self.path / name} is damaged: {error!r}")

    def forget_passes(self) -> None:
        """Remove what only an unfinished run needs."""
        for name in (*_passing, *_half_written):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / PARTS, ignore_errors=True)

    def _begin_anew(
        self,
        fingerprint: Mapping[str, Mapping[str, str]],
        environment: Mapping[str, str],
        plan: Mapping[str, Any],
    ) -> None:
        hidden = [each.name for each in self.path.iterdir() if each.name not in (*_all, PARTS)]
        others = [name for name in hidden if not name.startswith(".")]
        if others:
            raise DataError(
                f"{self.path} holds other things ({', '.join(sorted(others)[:3])}); choose another"
            )
        for name in _all:
            if name != "lock":
                (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / PARTS, ignore_errors=True)
        self._about = {"format_version": _version, "run": uuid.uuid4().hex, "stage": "begun", **fingerprint}
        self._note(environment=dict(environment), plan=dict(plan))

    def _note(self, **changed: Any) -> None:
        about = {**self._about, **changed}
        write_json(self.path / _run, about | {"checksum": _checksum(about)})
        self._about = about

    def _check_files(self) -> None:
        needed = _needed.get(self.stage)
        if needed is None or not isinstance(self._about.get("plan"), dict):
            raise DataError(f"{self.path / _run} is damaged: stage {self.stage!r}")
        missing = [name for name in needed if not (self.path / name).exists()]
        if missing:
            raise DataError(
                f"{self.path}: {' and '.join(missing)} is missing, which the run has written; put it back, or begin "
                "anew in another folder"
            )

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


def _checksum(about: Mapping[str, Any]) -> str:
    content = {name: value for name, value in about.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _changes(before: object, now: Mapping[str, str]) -> Iterator[str]:
    was = before if isinstance(before, dict) else {}
    for name in dict.fromkeys([*was, *now]):
        old, new = was.get(name), now.get(name)
        if old == new:
            continue
        long = max(len(str(old)), len(str(new))) > 60
        yield f"the {name}" if long or old is None or new is None else f"the {name} (was {old}, is {new})"
