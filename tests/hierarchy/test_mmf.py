"""Properties of multiresolution matrix factorization as users meet it: the object, its algebra, its errors."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import cg

from wavelens import DataError, WavelensError
from wavelens.hierarchy import MMF, class_covariance, mmf


def covariance(m, rank=None, seed=0, decay=0.7):
    """A positive (semi)definite matrix with blocks of blocks."""
    rng = np.random.default_rng(seed)
    rank = m if rank is None else rank
    features = rng.standard_normal((m, rank)) * np.arange(1, rank + 1) ** -decay
    features += np.repeat(rng.standard_normal((-(-m // 4), rank)), 4, axis=0)[:m]
    return features @ features.T / rank


def indefinite(m, seed=0):
    a = np.random.default_rng(seed).standard_normal((m, m))
    return a + a.T


def dense_q(factors):
    """Q as a dense matrix, rotation by rotation."""
    q = np.eye(factors.shape[0])
    for rows, rotation in zip(factors.tuples, factors.rotations, strict=True):
        q[rows] = rotation @ q[rows]
    return q


def dense_middle(factors):
    middle = np.zeros(factors.shape)
    middle[factors.wavelets, factors.wavelets] = factors.frequencies
    middle[np.ix_(factors.core_indices, factors.core_indices)] = factors.core
    return middle


def check(factors, c):
    """All that holds of any factorization of `c`."""
    m = len(c)
    norm = np.linalg.norm(c)
    assert factors.shape == (m, m)
    assert sorted([*factors.wavelets, *factors.core_indices]) == list(range(m))
    active = set(range(m))
    for rows, wavelet, rotation in zip(factors.tuples, factors.wavelets, factors.rotations, strict=True):
        assert set(map(int, rows)) <= active
        assert (np.diff(rows) > 0).all()
        assert wavelet in rows
        assert np.abs(rotation @ rotation.T - np.eye(factors.order)).max() < 1e-13
        assert np.linalg.det(rotation) > 0
        active.remove(int(wavelet))
    q, middle = dense_q(factors), dense_middle(factors)
    approximation = q.T @ middle @ q
    rotated = q @ c @ q.T
    kept = middle != 0
    assert np.abs((rotated - middle)[kept]).max(initial=0) <= 1e-12 * norm
    assert abs(np.linalg.norm(c - approximation) ** 2 - factors.level_errors.sum()) <= 1e-11 * norm**2
    assert factors.error == pytest.approx(np.linalg.norm(c - approximation), rel=1e-6, abs=1e-6 * norm)
    assert np.trace(approximation) == pytest.approx(np.trace(c), abs=1e-11 * norm * m)
    if norm > 0:
        assert factors.relative_error == pytest.approx(factors.error / norm, rel=1e-9, abs=1e-12)
    # The spectrum of M is majorised by that of C: sums of the largest eigenvalues are never larger.
    ours, theirs = (np.cumsum(np.linalg.eigvalsh(a)[::-1]) for a in (approximation, c))
    assert (ours <= theirs + 1e-11 * norm * m).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_factorization_keeps_what_rotations_keep(data):
    m = data.draw(st.integers(2, 14))
    order = data.draw(st.integers(2, min(m, 6)))
    n_levels = data.draw(st.integers(0, m - order + 1))
    seed = data.draw(st.integers(0, 9))
    kind = data.draw(
        st.sampled_from(["covariance", "singular", "indefinite", "duplicates", "zero", "diagonal"])
    )
    c = {
        "covariance": lambda: covariance(m, seed=seed),
        "singular": lambda: covariance(m, 2, seed=seed),
        "indefinite": lambda: indefinite(m, seed),
        "duplicates": lambda: np.kron(np.ones((2, 2)), covariance(m, seed=seed))[:m, :m],
        "zero": lambda: np.zeros((m, m)),
        "diagonal": lambda: np.diag(np.arange(m) - 2.0),
    }[kind]()
    method = data.draw(st.sampled_from(["topk", "random"] + ["exhaustive"] * (m <= 8)))
    rotation = data.draw(st.sampled_from(["opt", "eigen", "gram"]))
    factors = mmf(c, order, n_levels=n_levels, method=method, rotation=rotation, random_state=seed)
    assert (factors.n_levels, factors.order, factors.core_size) == (n_levels, order, m - n_levels)
    check(factors, c)


@pytest.mark.realdata
def test_numbers_of_the_karate_club(real_data):
    """Errors to meet on the unweighted normalised Laplacian with a core of 8."""
    from scipy.io import mmread

    a = (np.asarray(mmread(real_data / "graphs" / "soc-karate.mtx").todense()) != 0).astype(float)
    a = np.maximum(a, a.T)
    degrees = a.sum(axis=0)
    c = np.eye(34) - a / np.sqrt(np.outer(degrees, degrees))
    least = {(2, "exhaustive"): 1.050, (3, "topk"): 0.755, (4, "topk"): 0.548, (8, "topk"): 0.215}
    for (order, method), bound in least.items():
        factors = mmf(c, order, core_size=8, method=method)
        check(factors, c)
        assert factors.error <= bound + 5e-4, (order, method)  # the bounds have three decimals


@pytest.mark.parametrize("order", [2, 3, 5])
def test_a_full_matrix_of_blocks_is_exact(order):
    """Blocks of equal rows are composed without any error; what remains fits the core."""
    sizes = [6, 5, 4, 3]
    levels = sum(sizes) - len(sizes)
    block = np.zeros((sum(sizes), sum(sizes)))
    first = 0
    for value, size in enumerate(sizes, 2):
        block[first : first + size, first : first + size] = value
        first += size
    factors = mmf(block + np.eye(len(block)), order, n_levels=min(levels, len(block) - order + 1))
    assert factors.relative_error < 1e-12


def test_two_rows_are_diagonalised():
    c = np.array([[2.0, 1.0], [1.0, 3.0]])
    factors = mmf(c, 2)
    values = np.sort([*factors.frequencies, *factors.core.ravel()])
    assert np.allclose(values, np.linalg.eigvalsh(c))
    assert factors.error < 1e-15


@pytest.mark.parametrize("power", [-300, -40, 40, 300])
def test_scaling_by_a_power_of_two_changes_nothing_else(power):
    c = covariance(20)
    one, other = mmf(c, 3), mmf(np.ldexp(c, power), 3)
    assert np.array_equal(one.tuples, other.tuples)
    assert np.array_equal(one.wavelets, other.wavelets)
    assert np.array_equal(one.rotations, other.rotations)
    assert np.array_equal(np.ldexp(one.core, power), other.core)


def test_a_permutation_permutes():
    c = covariance(24, seed=3)
    p = np.random.default_rng(1).permutation(24)
    one, other = mmf(c, 3), mmf(c[np.ix_(p, p)], 3)
    assert np.array_equal(np.sort(p[other.tuples], axis=1), one.tuples)
    assert np.array_equal(p[other.wavelets], one.wavelets)
    assert np.allclose(one.level_errors, other.level_errors, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("rotation", ["opt", "eigen"])
def test_a_multiple_of_the_identity_is_added_to_the_frequencies(rotation):
    c = covariance(9, seed=2)
    # Three rows that are left are diagonalised without error in any order.
    one = mmf(c, 3, n_levels=6, method="exhaustive", rotation=rotation)
    other = mmf(c + 5 * np.eye(9), 3, n_levels=6, method="exhaustive", rotation=rotation)
    assert np.array_equal(one.tuples, other.tuples)
    assert np.allclose(one.frequencies + 5, other.frequencies, atol=1e-8)


def test_float32_lists_and_any_strides_are_the_same_matrix():
    c = np.round(covariance(12) * 64) / 64
    wide = np.zeros((24, 36))
    wide[::2, ::3] = c
    for given_ in (c.astype(np.float32), c.tolist(), wide[::2, ::3], np.asfortranarray(c)):
        factors = mmf(given_, 3)
        assert np.array_equal(factors.core, mmf(c, 3).core)
        assert factors.core.dtype == np.float64


def test_the_matrix_is_kept_apart_from_the_callers():
    c = covariance(12)
    factors = mmf(c, 3)
    before = factors.matrix.copy()
    c[:] = 0
    assert np.array_equal(factors.matrix, before)
    for name in ("matrix", "tuples", "rotations", "core"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(factors, name)[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        factors.core = None


def test_the_matrix_is_kept_itself_where_that_is_asked_for_and_possible():
    c = covariance(12)
    c = (c + c.T) / 2
    kept = mmf(c, 3, copy=False)
    assert np.shares_memory(kept.matrix, c)
    assert c.flags.writeable
    assert not kept.matrix.flags.writeable
    other = mmf(c, 3)
    assert not np.shares_memory(other.matrix, c)
    assert np.array_equal(kept.core, other.core)
    assert np.array_equal(kept.level_errors, other.level_errors)
    assert not np.shares_memory(mmf(c.T, 3, copy=False).matrix, c)
    assert mmf(c.astype(np.float32), 3, copy=False).matrix.dtype == np.float64
    c[2, 5] = np.nextafter(c[2, 5], 9)
    assert not np.shares_memory(mmf(c, 3, copy=False).matrix, c)
    c[2, 5] += 1
    with pytest.raises(ValueError, match="must be symmetric"):
        mmf(c, 3, copy=False)


def test_a_covariance_of_classes_is_kept_itself():
    rng = np.random.default_rng(0)
    found = class_covariance(rng.standard_normal((40, 6)), np.arange(40) % 10)
    assert np.shares_memory(mmf(found, 3).matrix, found.matrix)
    mine = dataclasses.replace(found, matrix=found.matrix.copy())  # may be changed
    assert not np.shares_memory(mmf(mine, 3).matrix, mine.matrix)


# The algebra of M


@pytest.fixture(scope="module")
def pair():
    factors = mmf(covariance(30) + 0.1 * np.eye(30), 3, core_size=7)
    return factors, factors.reconstruct()


def test_products_agree_with_the_dense_matrix(pair, threads):
    factors, dense = pair
    x = np.random.default_rng(0).standard_normal((30, 5))
    for columns in (x, x[:, 0], x[:, ::2], np.asfortranarray(x), x.astype(np.float32), x[:, :0]):
        assert np.allclose(factors @ columns, dense @ columns, atol=1e-12)
        assert np.shape(factors @ columns) == np.shape(columns)
    assert np.allclose(x.T @ factors, x.T @ dense, atol=1e-12)
    assert np.allclose(factors.as_linear_operator() @ x, dense @ x, atol=1e-12)
    assert np.allclose(factors.as_linear_operator(shift=2) @ x, dense @ x + 2 * x, atol=1e-12)


def test_the_transform_is_orthogonal(pair):
    factors, _ = pair
    x = np.random.default_rng(0).standard_normal((30, 4))
    y = factors.transform(x)
    assert np.allclose(y, dense_q(factors) @ x, atol=1e-13)
    assert np.allclose(factors.inverse_transform(y), x, atol=1e-13)
    assert np.linalg.norm(y) == pytest.approx(np.linalg.norm(x), rel=1e-13)
    assert factors.transform(x[:, 0]).shape == (30,)


def test_solve_inverts(pair):
    factors, dense = pair
    b = np.random.default_rng(0).standard_normal((30, 3))
    assert np.allclose(dense @ factors.solve(b), b, atol=1e-10)
    assert np.allclose((dense + 3 * np.eye(30)) @ factors.solve(b[:, 0], shift=3), b[:, 0], atol=1e-11)
    assert np.allclose(dense @ (factors.as_linear_operator(inverse=True) @ b), b, atol=1e-10)


def test_square_root_and_determinant(pair):
    factors, dense = pair
    root = factors.sqrt() @ np.eye(30)
    assert np.allclose(root @ root, dense, atol=1e-11)
    assert np.allclose(root, root.T, atol=1e-12)
    sign, logarithm = factors.slogdet()
    expected = np.linalg.slogdet(dense)
    assert (sign, logarithm) == (expected[0], pytest.approx(expected[1], rel=1e-10))
    # Fischer's inequality, level by level.
    assert logarithm >= np.linalg.slogdet(factors.matrix)[1] - 1e-10
    assert np.linalg.eigvalsh(dense).min() > 0


def test_the_determinant_of_a_singular_matrix_is_zero():
    assert mmf(np.zeros((4, 4)), 2).slogdet() == (0.0, -np.inf)


def test_samples_have_the_covariance(pair):
    factors, dense = pair
    draws = factors.sample(40_000, random_state=0)
    assert draws.shape == (40_000, 30)
    assert np.array_equal(draws, factors.sample(40_000, random_state=0))
    spread = np.sqrt((np.outer(np.diag(dense), np.diag(dense)) + dense**2) / 40_000)
    assert (np.abs(draws.T @ draws / 40_000 - dense) < 6 * spread).all()


def test_scores_are_the_rows_of_what_is_left_out(pair):
    factors, dense = pair
    assert np.allclose(factors.scores(), np.linalg.norm(factors.matrix - dense, axis=1), atol=1e-12)
    assert np.linalg.norm(factors.scores()) == pytest.approx(factors.error, rel=1e-10)


def test_what_has_no_root_or_inverse_says_so():
    factors = mmf(indefinite(12), 3, core_size=6)
    with pytest.raises(WavelensError, match="not positive semidefinite: eigenvalue -"):
        factors.sqrt()
    with pytest.raises(WavelensError, match="not positive semidefinite"):
        factors.sample(2)
    singular = mmf(np.ones((6, 6)), 2)
    with pytest.raises(WavelensError, match=r"singular.*`shift`"):
        singular.solve(np.ones(6))
    assert np.isfinite(singular.solve(np.ones(6), shift=0.1)).all()
    assert np.isfinite(singular.sqrt() @ np.ones(6)).all()


def test_it_preconditions_conjugate_gradients():
    x = np.sort(np.random.default_rng(0).uniform(0, 1, 200))
    c = np.exp(-0.5 * (x[:, None] - x) ** 2 / 0.05**2) + 1e-2 * np.eye(200)
    b = np.random.default_rng(1).standard_normal(200)
    steps = {}
    rough = mmf(c, 5, core_size=60)
    for name, preconditioner in {"none": None, "mmf": rough.as_linear_operator(inverse=True)}.items():
        count = []
        solution, info = cg(c, b, M=preconditioner, rtol=1e-8, maxiter=2000, callback=count.append)
        assert info == 0
        assert np.linalg.norm(c @ solution - b) <= 1e-6 * np.linalg.norm(b)
        steps[name] = len(count)
    assert steps["mmf"] < 0.5 * steps["none"]


def test_it_compresses(pair):
    factors, _ = pair
    small = factors.compact()
    assert small.matrix is None
    assert small.nbytes == factors.nbytes
    parts = ("tuples", "wavelets", "rotations", "core", "core_indices", "frequencies")
    assert small.nbytes == sum(getattr(small, name).nbytes for name in parts)
    large = mmf(covariance(200), 3, core_size=10)
    assert large.nbytes < 0.2 * large.matrix.nbytes
    for use in (
        small.scores,
        lambda: small.insert(np.zeros(31)),
        lambda: small.insert_many(np.zeros((1, 31))),
    ):
        with pytest.raises(WavelensError, match="needs the matrix"):
            use()
    assert np.array_equal(small @ np.ones(30), factors @ np.ones(30))


# Insertion


def grown(c, first, order, *, block):
    factors = mmf(c[:first, :first], order)
    if block:
        return factors.insert_many(c[first:])
    for i in range(first, len(c)):
        factors = factors.insert(c[i, : i + 1])
    return factors


@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("order", [2, 3, 5])
def test_an_insertion_factorizes_the_extended_matrix(order, block):
    c = covariance(20, seed=5)
    factors = grown(c, 14, order, block=block)
    check(factors, c)
    assert np.array_equal(factors.matrix, c / 2 + c.T / 2)
    assert factors.core_size == mmf(c[:14, :14], order).core_size
    assert factors.level_errors[-1] <= 1e-20 * np.linalg.norm(c) ** 2 or order > 2


def test_an_insertion_leaves_the_old_one_as_it_was():
    c = covariance(16)
    factors = mmf(c[:15, :15], 3)
    before = {name: getattr(factors, name).copy() for name in ("tuples", "rotations", "core", "matrix")}
    factors.insert(c[15])
    for bad, message in (
        (np.ones(15), "`row` must have 16 entries .* got 15"),
        (np.full(16, np.nan), "`row` must be finite"),
        (np.ones((1, 16)), "`row` must have 1 dimension"),
        (["a"] * 16, "`row` must hold real numbers"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            factors.insert(bad)
    with pytest.raises(ValueError, match=r"`rows` must have shape \(b, 15 \+ b\), got \(2, 16\)"):
        factors.insert_many(np.ones((2, 16)))
    with pytest.raises(ValueError, match="`rows` must be symmetric in its last 2 columns"):
        factors.insert_many(np.arange(34.0).reshape(2, 17))
    for name, value in before.items():
        assert np.array_equal(getattr(factors, name), value)


def test_inserting_nothing_changes_nothing():
    factors = mmf(covariance(10), 3)
    assert factors.insert_many(np.empty((0, 10))) is factors


def test_a_refit_of_the_same_matrix_is_the_same():
    c = covariance(20, seed=4)
    factors = mmf(c, 3)
    again = factors.refit(c)
    assert np.array_equal(factors.tuples, again.tuples)
    assert again.error == pytest.approx(factors.error, rel=1e-6)
    nearby = factors.refit(c + 1e-6 * np.eye(20))
    check(nearby, c + 1e-6 * np.eye(20))
    with pytest.raises(ValueError, match=r"`c` must have shape \(20, 20\), got \(5, 5\)"):
        factors.refit(np.eye(5))


# Bad input


@pytest.mark.parametrize(
    ("c", "message"),
    [
        (np.ones((3, 4)), r"`c` must be square, got shape \(3, 4\)"),
        (np.ones(3), "`c` must have 2 dimensions"),
        (np.ones((1, 1)), "`c` must have at least 2 rows, got 1"),
        (
            np.array([[1.0, 2.0], [2.1, 1.0]]),
            "`c` must be symmetric, got 2.0 at row 0, column 1 and 2.1 at row 1",
        ),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "`c` must be finite, got nan at row 0, column 1"),
        (np.array([[1.0, np.inf], [np.inf, 1.0]]), "`c` must be finite, got inf"),
        (np.array([[1j, 0], [0, 1]]), "`c` must hold real numbers"),
    ],
)
def test_matrices_that_cannot_be_factorized(c, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mmf(c, 2)


def test_asymmetry_is_found_wherever_it_is():
    c = np.eye(1100)
    c[1030, 7] = 1e-3
    with pytest.raises(ValueError, match=r"0\.0 at row 7, column 1030 and 0\.001 at row 1030, column 7"):
        mmf(c)
    c[1030, 7] = 1e-11
    assert mmf(c, n_levels=1).matrix[7, 1030] == 5e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 1}, "`order` must be between 2 and 6"),
        ({"order": 7}, r"`order` must be between 2 and 6 \(`c` has 6 rows\), got 7"),
        ({"order": 2.0}, "`order` must be an integer"),
        ({"n_levels": 5}, r"`n_levels` must be between 0 and 4 .*, got 5"),
        ({"n_levels": -1}, "`n_levels` must be between"),
        ({"core_size": 1}, "`core_size` must be between 2 and 6"),
        ({"core_size": 7}, "`core_size` must be between 2 and 6"),
        ({"core_size": 3, "n_levels": 2}, r"`core_size` must be 4 with `n_levels` 2"),
        ({"method": "best"}, "`method` must be one of 'exhaustive', 'topk', 'random', got 'best'"),
        ({"rotation": None}, "`rotation` must be one of"),
        ({"random_state": -1}, "`random_state` must be between"),
        ({"progress": 3}, "`progress` must be a function"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mmf(covariance(6), **({"order": 3} | options))


@pytest.mark.parametrize("name", ["transform", "inverse_transform", "solve"])
def test_vectors_of_another_length(pair, name):
    with pytest.raises(ValueError, match=r"must have shape \(30,\) or \(30, n\), got \(29,\)"):
        getattr(pair[0], name)(np.ones(29))


# Files


@pytest.mark.parametrize("with_matrix", [True, False])
def test_a_file_holds_all_of_it(pair, with_matrix, tmp_path):
    factors, _ = pair
    factors.save(tmp_path / "a.mmf.npz", with_matrix=with_matrix)
    again = MMF.load(tmp_path / "a.mmf.npz")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mmf.npz"]
    for each in dataclasses.fields(MMF):
        if each.name == "matrix" and not with_matrix:
            assert again.matrix is None
        else:
            assert np.array_equal(getattr(factors, each.name), getattr(again, each.name)), each.name
    if with_matrix:
        row = np.concatenate([factors.matrix[0], [1.0]])
        assert np.array_equal(again.insert(row).core, factors.insert(row).core)


def test_files_that_are_not_what_they_should_be(pair, tmp_path):
    factors, _ = pair
    path = tmp_path / "a.npz"
    factors.save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))

    def written(**changes):
        np.savez(tmp_path / "b.npz", **(arrays | changes))
        return tmp_path / "b.npz"

    cases = {
        "holds a other": {"header": np.array(json.dumps(header | {"format": "other"}))},
        "format version 99": {"header": np.array(json.dumps(header | {"format_version": 99}))},
        "method": {"header": np.array(json.dumps(header | {"method": "x"}))},
        "tuples": {"tuples": arrays["tuples"] + 1000},
        "core": {"core": np.ones((2, 2))},
        "wavelets": {"wavelets": arrays["wavelets"][:-1]},
    }
    for message, changes in cases.items():
        with pytest.raises(DataError, match=message):
            MMF.load(written(**changes))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        MMF.load(path)
    with pytest.raises(FileNotFoundError):
        MMF.load(tmp_path / "none.npz")


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e160, 1e300])
def test_sizes_whose_squares_are_no_numbers_are_refused(scale):
    c = covariance(8)
    factors = mmf(c, 3)
    way = "down" if scale > 1 else "up"
    with pytest.raises(ValueError, match=f"`c` must be of a size .* scale it {way}"):
        mmf(scale * c, 3)
    with pytest.raises(ValueError, match="`c` must be of a size"):
        factors.refit(scale * c)
    if scale > 1:
        with pytest.raises(ValueError, match="`row` must be of a size"):
            factors.insert(np.full(9, scale))


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e100, 1e150])
def test_errors_scale_with_the_matrix(scale):
    c = covariance(8)
    assert mmf(scale * c, 3).relative_error == pytest.approx(mmf(c, 3).relative_error, rel=1e-6)


def test_what_is_no_array_is_told_by_its_name(tmp_path):
    factors = mmf(covariance(8), 3)
    with pytest.raises(ValueError, match="`rows` must be a regular array"):
        factors.insert_many([[1.0, 2.0], [3.0]])
    with pytest.raises(ValueError, match="`row` must be a regular array"):
        factors.insert([[1.0, 2.0], [3.0]])
    with pytest.raises(TypeError, match="`x` must not be a masked array"):
        factors @ np.ma.masked_array(np.ones(8), mask=np.arange(8) == 1)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"text\.npz") as caught:
        MMF.load(tmp_path / "text.npz")
    assert "pickle" not in str(caught.value)


@pytest.mark.parametrize(
    ("shift", "error"), [(np.nan, ValueError), (np.inf, ValueError), ("1", TypeError), (True, TypeError)]
)
def test_a_shift_is_a_finite_number(shift, error):
    factors = mmf(covariance(8), 3)
    with pytest.raises(error, match="`shift` must be"):
        factors.solve(np.ones(8), shift=shift)
    with pytest.raises(error, match="`shift` must be"):
        factors.as_linear_operator(shift=shift)
