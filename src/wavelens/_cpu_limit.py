"""How many CPUs this process may use: its affinity, and the quotas of the containers it runs in."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["cpu_limit", "cpu_quota"]


def cpu_limit() -> int:
    """Return the number of CPUs in the affinity, or of the quota, rounded up, if that is less; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return affinity if quota >= affinity else max(1, math.ceil(quota))


def cpu_quota(root: Path = Path("/")) -> float:
    """Return the least CPU quota of the control groups of this process and all above them, in CPUs.

    Reads ``cpu.max`` (version 2 of control groups) and ``cpu.cfs_quota_us`` (version 1) under `root`, as far as
    they can be seen from here; infinity where there is no quota.
    """
    try:
        paths = dict(_group_paths((root / "proc/self/cgroup").read_text()))
        mounts = list(_mounts((root / "proc/self/mountinfo").read_text()))
    except (OSError, ValueError):
        return math.inf
    quota = math.inf
    for mount in mounts:
        if mount.controller in paths:
            for folder in mount.folders(paths[mount.controller], root):
                quota = min(quota, _quota_of(folder))
    return quota


@dataclass(frozen=True)
class _Mount:
    """A mounted hierarchy of control groups: of the CPU controller (version 1), or of all ("", version 2)."""

    controller: str
    top: PurePosixPath  # the group that is mounted
    point: PurePosixPath

    def folders(self, group: PurePosixPath, root: Path) -> Iterator[Path]:
        """Yield the folders of a group and of those above it, as far as they are mounted."""
        mounted = root / self.point.relative_to("/")
        # In a container the group may be named as outside of it, where only the container's own is mounted.
        below = group.relative_to(self.top) if group.is_relative_to(self.top) else PurePosixPath()
        if ".." in below.parts:
            below = PurePosixPath()
        yield from (mounted / each for each in (below, *below.parents))


def _group_paths(text: str) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield the controller ("cpu", or "" for version 2) and the path of each group in ``/proc/self/cgroup``."""
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            yield "", PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            yield "cpu", PurePosixPath(path)


def _mounts(text: str) -> Iterator[_Mount]:
    """Yield the hierarchies that ``/proc/self/mountinfo`` lists and that may hold CPU quotas."""
    for line in text.splitlines():
        place, _, system = line.partition(" - ")
        fields, kind = place.split(), system.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        top, point = (PurePosixPath(_unescaped(each)) for each in fields[3:5])
        if kind[0] == "cgroup2":
            yield _Mount("", top, point)
        elif kind[0] == "cgroup" and "cpu" in kind[2].split(","):
            yield _Mount("cpu", top, point)


def _unescaped(path: str) -> str:
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(escape, character)
    return path


def _quota_of(folder: Path) -> float:
    """Return the quota of one group in CPUs, infinity if it has none."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        if quota == "max" or int(quota) <= 0 or int(period) <= 0:
            return math.inf
        return int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf
