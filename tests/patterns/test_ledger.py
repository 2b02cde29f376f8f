"""Ledgers notice every row that is missing, moved, exchanged or changed, however rows are divided among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.row_checksums import row_checksums as twin

from wavelens.patterns.fit._ledger import BLOCK, Ledger, positions_in, row_checksums


@given(st.integers(0, 100), st.integers(0, 2**32 - 1))
def test_checksums_agree_with_the_twin(n_bytes, seed):
    rows = np.random.default_rng(seed).integers(0, 256, (3, n_bytes), dtype=np.uint8)
    np.testing.assert_array_equal(row_checksums(rows), twin(rows))


@given(st.integers(1, 70), st.data())
def test_every_changed_bit_and_length_shows(n_bytes, data):
    row = np.random.default_rng(0).integers(0, 256, (1, n_bytes), dtype=np.uint8)
    other = row.copy()
    other[0, data.draw(st.integers(0, n_bytes - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert row_checksums(row) != row_checksums(other)
    assert row_checksums(row) != row_checksums(np.pad(row, ((0, 0), (0, 1))))


def test_any_dtype_and_strides():
    images = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(2, 3, 4, 5)
    plain = row_checksums(images)
    np.testing.assert_array_equal(row_checksums(np.asfortranarray(images)), plain)
    np.testing.assert_array_equal(row_checksums(images[::-1])[::-1], plain)
    assert row_checksums(np.empty((3, 0))).shape == (3,)
    assert row_checksums(np.empty((0, 4))).shape == (0,)


def ledger_of(positions, checksums):
    return Ledger().add(positions, checksums[positions])


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_parts_in_any_order_merge_to_the_whole(seed, n_parts):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 3 * BLOCK))
    checksums = rng.integers(0, 2**64 - 1, n, dtype=np.uint64)
    present = np.flatnonzero(rng.random(n) < rng.choice([0.3, 0.99, 1.0]))
    whole = ledger_of(present, checksums)
    parts = [
        ledger_of(part, checksums)
        for part in np.array_split(present, np.sort(rng.integers(0, len(present) + 1, n_parts - 1)))
    ]
    merged = Ledger()
    for i in rng.permutation(len(parts)):
        merged.merge(Ledger.from_arrays(parts[i].to_arrays("x"), "x"))
    assert merged.ranges == whole.ranges
    np.testing.assert_array_equal(merged.positions, present)
    assert merged.n_rows == len(present)
    assert merged.other_position(whole) is merged.other_content(whole) is None
    np.testing.assert_array_equal(
        positions_in(whole.ranges, n // 3, n), present[(present >= n // 3) & (present < n)]
    )


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_what_differs_is_found(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 3 * BLOCK))
    checksums = rng.integers(0, 2**64 - 1, n, dtype=np.uint64)
    everyone = np.arange(n)
    whole = ledger_of(everyone, checksums)
    gone = int(rng.integers(n))
    assert whole.other_position(ledger_of(np.delete(everyone, gone), checksums)) == gone
    changed = checksums.copy()
    changed[gone] ^= np.uint64(1) << np.uint64(rng.integers(64))
    first, last = whole.other_content(ledger_of(everyone, changed))
    assert first <= gone <= last
    i, j = rng.choice(n, 2, replace=False)
    swapped = checksums.copy()
    swapped[[i, j]] = checksums[[j, i]]
    assert whole.other_content(ledger_of(everyone, swapped)) is not None


def test_a_row_counts_once():
    ledger = Ledger().add(np.arange(5), np.ones(5, np.uint64))
    with pytest.raises(ValueError, match="4"):
        ledger.add(np.arange(4, 6), np.ones(2, np.uint64))
    with pytest.raises(ValueError, match="0"):
        ledger.merge(ledger.copy())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_ranges", np.array([[3, 1]])),
        ("x_ranges", np.array([[0.0, 1.0]])),
        ("x_ranges", np.array([[-2, 1]])),
        ("x_sums", np.zeros(1)),
        ("x_sums", np.zeros((1, 1), np.uint64)),
        ("x_first_block", np.array(-1)),
    ],
)
def test_arrays_that_are_no_ledger_are_refused(name, value):
    arrays = Ledger().add(np.arange(5), np.ones(5, np.uint64)).to_arrays("x")
    with pytest.raises(ValueError, match=r"x_(ranges|sums)"):
        Ledger.from_arrays(arrays | {name: value}, "x")
