"""Temporary files and folders beside what they become; those of killed processes are recognised and removed.

A temporary is hidden and named ``.NAME.wavelens-PID-RANDOM.partial``. The process that writes it holds a lock
(``flock``) on it, which the system releases when the process ends, however it ends. So a temporary without a lock
has been abandoned. On file systems without locks nothing is removed; on Windows a file in use cannot be removed
anyway.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "PREVIOUS",
    "create_file",
    "create_folder",
    "is_held",
    "lock",
    "previous_versions",
    "remove_abandoned",
    "remove_if_abandoned",
    "sibling",
]

_partial = "partial"
PREVIOUS = "previous"
_pattern = re.compile(r"\.(?P<name>.*)\.wavelens-\d+-[0-9a-f]{16}\.(?P<role>partial|previous)", re.DOTALL)
_longest_name = 255
_attempts = 100


def sibling(target: Path, role: str = _partial) -> Path:
    """Return a new hidden name in the folder of `target`."""
    tail = f".wavelens-{os.getpid()}-{secrets.token_hex(8)}.{role}"
    room = _longest_name - len(tail) - 1
    stem = target.name
    if len(os.fsencode(stem)) > room:
        stem = os.fsencode(stem)[:room].decode("utf-8", "ignore")
    return target.with_name(f".{stem}{tail}")


def create_file(target: Path) -> tuple[Path, int]:
    """Create a temporary file for `target`; return its path and a locked descriptor, open for reading and writing.

    The mode is that of `target` where it exists, otherwise as the umask has it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    for _ in range(_attempts):
        path = sibling(target)
        with _naming(target):
            handle = os.open(path, flags, 0o666)
        if _claimed(path, handle):
            _copy_mode(target, handle)
            return path, handle
        os.close(handle)
    raise FileExistsError(f"no temporary file can be created beside {target}")


def create_folder(target: Path) -> tuple[Path, int | None]:
    """Create a temporary folder for `target`, with the mode that the umask asks for; return its path and lock."""
    for _ in range(_attempts):
        path = sibling(target)
        with _naming(target):
            path.mkdir()
        if fcntl is None:
            return path, None
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        if _claimed(path, handle):
            return path, handle
        os.close(handle)
    raise FileExistsError(f"no temporary folder can be created beside {target}")


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Let errors name the file or folder that was to be written, not the hidden one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def lock(path: Path, *, wait: bool = False) -> int | None:
    """Lock a file or folder for this process; return the descriptor that holds the lock, None where there are none.

    Raises
    ------
    BlockingIOError
        If another process holds it, unless with `wait`.
    """
    if fcntl is None:
        return None
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def is_held(path: Path) -> bool:
    """Return whether a process may still be using a temporary."""
    if fcntl is None:
        return path.is_dir()
    try:
        handle = lock(path)
    except OSError:
        return True
    if handle is None:
        return True
    os.close(handle)
    return False


def remove_abandoned(folder: Path) -> None:
    """Remove the temporaries in a folder that no process holds. What cannot be removed stays, without an error."""
    try:
        names = [each for each in os.listdir(folder) if _is_temporary(each, _partial)]
    except OSError:
        return
    for name in names:
        remove_if_abandoned(folder / name)


def remove_if_abandoned(path: Path) -> None:
    """Remove one file or folder that no process holds."""
    try:
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or is_held(path):
            return
        if stat.S_ISDIR(mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    except OSError:
        pass


def previous_versions(target: Path) -> list[Path]:
    """Return what was set aside as an earlier version of `target`, the newest last."""
    try:
        names = [each for each in os.listdir(target.parent) if _is_temporary(each, PREVIOUS)]
    except OSError:
        return []
    paths = [target.with_name(each) for each in names if _stands_for(each, target.name)]
    return sorted((each for each in paths if each.is_dir()), key=lambda path: path.stat().st_mtime_ns)


def _stands_for(temporary: str, name: str) -> bool:
    found = _pattern.fullmatch(temporary)
    if found is None:
        return False
    was_cut = len(os.fsencode(temporary)) > _longest_name - 4  # within a character of the limit
    return found["name"] == name or (was_cut and name.startswith(found["name"]))


def _is_temporary(name: str, role: str) -> bool:
    found = _pattern.fullmatch(name)
    return found is not None and found["role"] == role


def _claimed(path: Path, handle: int) -> bool:
    """Lock what was just created; False if another process took it for abandoned before and removed it."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            return True
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        mine = os.fstat(handle)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)
    return True


def _copy_mode(target: Path, handle: int) -> None:
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
        if hasattr(os, "fchmod"):
            os.fchmod(handle, mode)
    except OSError:  # there is no such file, or its mode cannot be had
        pass
