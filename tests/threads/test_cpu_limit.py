"""CPU quotas of containers, read from made-up trees of control groups."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from wavelens import _cpu_limit
from wavelens._cpu_limit import cpu_limit, cpu_quota

V2_MOUNT = "30 23 0:26 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "33 31 0:30 {top} /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:11 - cgroup cgroup rw,cpu,cpuacct\n"
OTHER = (
    "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def tree(root, cgroup, mountinfo, quotas):
    """Write the files of /proc and the quotas: folder of a group → cpu.max, or (quota, period)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    (root / "proc/self/mountinfo").write_text(OTHER + mountinfo)
    for folder, quota in quotas.items():
        group = root / folder.lstrip("/")
        group.mkdir(parents=True, exist_ok=True)
        if isinstance(quota, str):
            (group / "cpu.max").write_text(quota + "\n")
        else:
            (group / "cpu.cfs_quota_us").write_text(f"{quota[0]}\n")
            (group / "cpu.cfs_period_us").write_text(f"{quota[1]}\n")
    return root


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "quotas", "expected"),
    [
        # Version 2: the process's own group, one above it, both.
        ("0::/a/b\n", V2_MOUNT.format(top="/"), {"/sys/fs/cgroup/a/b": "150000 100000"}, 1.5),
        ("0::/a/b\n", V2_MOUNT.format(top="/"), {"/sys/fs/cgroup/a": "200000 50000"}, 4),
        (
            "0::/a/b/c\n",
            V2_MOUNT.format(top="/"),
            {
                "/sys/fs/cgroup/a/b/c": "max 100000",
                "/sys/fs/cgroup/a": "200000 100000",
                "/sys/fs/cgroup": "9000 1000",
            },
            2,
        ),
        ("0::/a\n", V2_MOUNT.format(top="/"), {"/sys/fs/cgroup/a": "max 100000"}, math.inf),
        # A container with a namespace of its own, and one that sees the host's names.
        ("0::/\n", V2_MOUNT.format(top="/"), {"/sys/fs/cgroup": "50000 100000"}, 0.5),
        ("0::/docker/x/job\n", V2_MOUNT.format(top="/docker/x"), {"/sys/fs/cgroup/job": "300000 100000"}, 3),
        ("0::/../../y\n", V2_MOUNT.format(top="/"), {"/sys/fs/cgroup": "300000 100000"}, 3),
        # Version 1.
        (
            "4:memory:/m\n2:cpu,cpuacct:/kube/pod\n",
            V1_MOUNT.format(top="/"),
            {
                "/sys/fs/cgroup/cpu,cpuacct/kube": (250000, 100000),
                "/sys/fs/cgroup/cpu,cpuacct/kube/pod": (-1, 100000),
            },
            2.5,
        ),
        (
            "2:cpu,cpuacct:/docker/x\n",
            V1_MOUNT.format(top="/docker/x"),
            {"/sys/fs/cgroup/cpu,cpuacct": (40000, 20000)},
            2,
        ),
        # Both at once: the CPU controller is of version 1, the unified hierarchy holds none.
        (
            "2:cpu,cpuacct:/p\n0::/p\n",
            V1_MOUNT.format(top="/") + V2_MOUNT.format(top="/").replace("cgroup rw", "cgroup/unified rw"),
            {"/sys/fs/cgroup/cpu,cpuacct/p": (100000, 100000)},
            1,
        ),
        # Nothing there, or nothing that can be read.
        ("0::/a\n", "", {}, math.inf),
        ("", V2_MOUNT.format(top="/"), {"/sys/fs/cgroup": "100000 100000"}, math.inf),
        ("no colons\n", V2_MOUNT.format(top="/"), {}, math.inf),
        ("0::/a\n", V2_MOUNT.format(top="/"), {"/sys/fs/cgroup/a": "many 100000"}, math.inf),
        ("0::/a\n", V2_MOUNT.format(top="/"), {"/sys/fs/cgroup/a": "100000 0"}, math.inf),
    ],
)
def test_the_least_quota_on_the_way_up_counts(tmp_path, cgroup, mountinfo, quotas, expected):
    assert cpu_quota(tree(tmp_path, cgroup, mountinfo, quotas)) == expected


def test_no_files_mean_no_quota(tmp_path):
    assert cpu_quota(tmp_path) == math.inf


@pytest.mark.parametrize(
    ("quota", "affinity", "expected"), [(math.inf, 6, 6), (2.5, 6, 3), (0.1, 6, 1), (8, 2, 2)]
)
def test_the_limit_is_the_smaller_of_affinity_and_quota(monkeypatch, quota, affinity, expected):
    monkeypatch.setattr(_cpu_limit, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    assert cpu_limit() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_is_the_default_number_of_threads():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "import wavelens; print(wavelens.num_threads())"
    environment = {k: v for k, v in os.environ.items() if not k.endswith("NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
