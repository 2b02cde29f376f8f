"""Replace a folder in one step, so that its name always stands for a whole result.

Linux exchanges the new folder with the old one (``renameat2``). Elsewhere the old folder is renamed first; if the
process is killed before the new one has its name, the next start puts the old one back (`restore_folder`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from wavelens._utils._temporaries import (
    PREVIOUS,
    create_folder,
    is_held,
    lock,
    previous_versions,
    remove_abandoned,
    remove_if_abandoned,
    sibling,
)

__all__ = ["replace_folder", "restore_folder", "temporary_folder"]

_exchange_flag = 2  # RENAME_EXCHANGE
_at_cwd = -100  # AT_FDCWD
_attempts = 100


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `target`, on the same disk, which is removed when the block ends.

    Those of killed processes are removed first. Its permissions follow the umask.
    """
    remove_abandoned(target.parent)
    path, handle = create_folder(target)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def replace_folder(new: Path, target: Path) -> None:
    """Give `new` the name `target`. What bore it is removed, or bears the name of `new` if that fails.

    Both must be in the same folder.
    """
    for _ in range(_attempts):
        try:
            if not target.exists():
                new.rename(target)
                return
            if _exchange(new, target):
                shutil.rmtree(new, ignore_errors=True)
                return
            _set_aside(new, target)
            return
        except OSError as error:
            # Another process gave the name to a result of its own, or took it away, in the meantime.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) or not new.exists():
                raise
    raise OSError(errno.EEXIST, "other processes keep replacing the folder", str(target))


def restore_folder(target: Path) -> None:
    """Put back what a killed process had set aside, if nothing bears the name (or an empty folder does).

    What else killed processes left behind in the folder of `target` is removed.
    """
    for path in reversed(previous_versions(target)):
        if _is_vacant(target) and not is_held(path):
            with suppress(OSError):  # another process was faster
                path.rename(target)
        else:
            remove_if_abandoned(path)
    remove_abandoned(target.parent)


def _is_vacant(target: Path) -> bool:
    try:
        return next(target.iterdir(), None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _set_aside(new: Path, target: Path) -> None:
    aside = sibling(target, PREVIOUS)
    handle = lock(target, wait=True)  # of the folder itself, whatever its name
    try:
        target.rename(aside)
        try:
            new.rename(target)
        except OSError:
            if not target.exists():
                aside.rename(target)
            raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        if handle is not None:
            os.close(handle)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange the names of two folders in one step; False where the system or its file system cannot."""
    rename = _renameat2()
    if rename is None:
        return False
    if rename(_at_cwd, os.fsencode(first), _at_cwd, os.fsencode(second), _exchange_flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(second))


@cache
def _renameat2() -> Callable[..., int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or an old C library
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    function.restype = ctypes.c_int
    return function
