"""Write a file so that it is there whole or not at all.

The bytes go into a temporary file in the same folder, which then takes the name of the file in one step. Two
processes that write one path never mix: the one that finishes last wins. Temporaries that killed processes left in
the folder are removed (`_temporaries`).

Where the path is a symbolic link, the file that it points to is replaced and the link stays, as with `open`. In a
folder where everybody may write, such as ``/tmp``, a link of another user is refused. A path that is no file
(``/dev/stdout``, a pipe) is written directly.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from wavelens._utils._temporaries import create_file, remove_abandoned

__all__ = ["atomic_write", "final_path", "sync_folder", "write_text"]


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, sync: bool = False) -> Iterator[IO[bytes]]:
    """Open a binary file for writing that replaces `path` when the block ends, and vanishes if it raises.

    Parameters
    ----------
    path : path
        Of the file to be; its folder must exist.
    sync : bool, default False
        Whether to force the file and the entry of its folder to disk, against a loss of power.

    Raises
    ------
    OSError
        If the file cannot be written; `path` is as it was then.
    """
    target = final_path(path)
    if _is_special(target):
        with target.open("wb") as file:
            yield file
        return
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    remove_abandoned(target.parent)
    temporary, handle = create_file(target)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            if os.name != "nt":  # still locked, so that nobody takes it for abandoned
                temporary.replace(target)
        if os.name == "nt":
            temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if sync:
        sync_folder(target.parent)


def write_text(path: str | os.PathLike[str], text: str, *, sync: bool = False) -> None:
    """Write text as UTF-8 with its line ends as they are; see `atomic_write`."""
    with atomic_write(path, sync=sync) as file:
        file.write(text.encode("utf-8"))


def final_path(path: str | os.PathLike[str]) -> Path:
    """Return the path that will be replaced: that which a link points to.

    Raises
    ------
    PermissionError
        If it is another user's link in a folder where everybody may write.
    """
    given = Path(path)
    if not given.is_symlink():
        return given
    if hasattr(os, "geteuid"):
        folder, owner = given.parent.stat(), given.lstat().st_uid
        shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
        if shared and owner not in (os.geteuid(), folder.st_uid):
            raise PermissionError(errno.EACCES, "the path is a symbolic link of another user", str(given))
    if _is_special(given):  # /dev/stdout may be a link to something without a path
        return given
    return Path(os.path.realpath(given))


def sync_folder(folder: Path) -> None:
    """Force the entries of a folder to disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
