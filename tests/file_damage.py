"""Damage to files of a folder, one at a time and of every kind."""

from __future__ import annotations

import shutil

__all__ = ["DAMAGES", "cases", "damaged_copy"]

BLOCK = 512


def _flipped(content, other, rng):
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))


def _zeroed(content, other, rng):
    first = int(rng.integers(max(1, len(content) - BLOCK)))
    content[first : first + BLOCK] = bytes(len(content[first : first + BLOCK]))


def _two_blocks_exchanged(content, other, rng):
    blocks = len(content) // BLOCK
    if blocks > 1:
        i, j = (int(each) * BLOCK for each in rng.choice(blocks, 2, replace=False))
        content[i : i + BLOCK], content[j : j + BLOCK] = content[j : j + BLOCK], content[i : i + BLOCK]


def _a_block_of_another_run(content, other, rng):
    first = int(rng.integers(max(1, min(len(content), len(other)) - BLOCK)))
    content[first : first + BLOCK] = other[first : first + BLOCK]


def _the_file_of_another_run(content, other, rng):
    content[:] = other


def _short(content, other, rng):
    del content[int(rng.integers(len(content))) :]


def _long(content, other, rng):
    content.extend(bytes(BLOCK))


def _empty(content, other, rng):
    content.clear()


DAMAGES = (
    _flipped,
    _zeroed,
    _two_blocks_exchanged,
    _a_block_of_another_run,
    _the_file_of_another_run,
    _short,
    _long,
    _empty,
    None,  # the file is missing
)


def cases(pairs, rng, most):
    """Return cases of a folder, a file in it and a damage: all of them, or some drawn at random."""
    found = []
    for copy, foreign in pairs:
        for file in sorted(each for each in copy.rglob("*") if each.is_file() and each.stat().st_size):
            same = foreign / file.relative_to(copy)
            found += [(copy, file, same, damage) for damage in DAMAGES]
    order = rng.permutation(len(found))
    # Every file and every damage once before any comes twice.
    chosen, seen = [], set()
    for i in order:
        copy, file, _, damage = found[i]
        key = (file.name, damage)
        if key not in seen:
            seen.add(key)
            chosen.append(found[i])
    chosen += [found[i] for i in order if not any(found[i] is each for each in chosen)]
    return chosen[:most]


def damaged_copy(folder, to, file, same, damage, rng):
    """Copy a folder and damage one of its files; return whether that changed anything."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    target = to / file.relative_to(folder)
    if damage is None:
        target.unlink()
        return True
    content = bytearray(target.read_bytes())
    before = bytes(content)
    damage(content, same.read_bytes() if same.exists() else bytes(len(content)), rng)
    target.write_bytes(content)
    return bytes(content) != before
