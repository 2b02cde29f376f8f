"""The slow twin of the MMF kernel, from the definitions: every Gram matrix afresh, every candidate in turn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

EPS = np.finfo(float).eps
SCREENED_ORDER = 5  # from here on candidates are compared by `eigen` where the rotation is `opt`
ALWAYS_LOOKED_AT = 64  # with so few rows left all tuples are looked at in every level


def wavelet_error(f, g, x, tiny=0.0):
    """Return 2[xᵀGx − (xᵀFx)²], zero where it is rounding, and xᵀFx."""
    mu = x @ f @ x
    error = 2 * (x @ g @ x - mu * mu)
    return (error if error > tiny else 0.0), mu


def alternate(f, g, x):
    """Follow x ← smallest eigenvector of G − 2μF, μ ← xᵀFx to its limit."""
    before = np.inf
    for _ in range(1000):
        error, mu = wavelet_error(f, g, x)
        if not error < before * (1 - 1e-15):
            break
        before = error
        x = np.linalg.eigh(g - 2 * mu * f)[1][:, 0]
    return x


def best_wavelet(f, g, rotation, tiny=0.0):
    """Return the unit vector x of least error in the family `rotation`, its error and xᵀFx."""
    families = {"eigen": [f], "gram": [g], "opt": [f, g]}[rotation]
    rows = [x for each in families for x in np.linalg.eigh(each)[1].T]
    if rotation == "opt":
        rows += [alternate(f, g, x) for x in rows]
    scored = [(*wavelet_error(f, g, x, tiny), x) for x in rows]
    error, mu, x = min(scored, key=lambda each: (each[0], abs(each[1]) if each[0] == 0 else 0))
    return x, error, mu


def complete(f, x):
    """Return the rotation whose wavelet row is x and the wavelet's place; rows follow the tuple."""
    k = len(x)
    at = int(np.argmax(np.abs(x)))
    basis = np.linalg.qr(np.column_stack([x, np.eye(k)]))[0][:, 1:k]
    others = (basis @ np.linalg.eigh(basis.T @ f @ basis)[1]).T
    rest = [i for i in range(k) if i != at]
    rows, cols = linear_sum_assignment(-np.abs(others[:, rest]))
    o = np.empty((k, k))
    o[at] = x
    for r, c in zip(rows, cols, strict=True):
        o[rest[c]] = others[r]
    o *= np.where(np.diag(o) < 0, -1, 1)[:, None]
    if np.linalg.det(o) < 0:
        o[rest[int(np.argmin(np.diag(o)[rest]))]] *= -1
    return o, at


def similarity(g, tiny):
    """Return |G| scaled to a unit diagonal; rows of no length are similar to nothing."""
    d = np.diag(g)
    weight = np.where(d > tiny, 1 / np.sqrt(np.where(d > tiny, d, 1)), 0)
    return np.minimum(np.abs(g) * np.outer(weight, weight), 1)


class Twin:
    """A factorization in the making, `c` scaled by the caller."""

    def __init__(self, c, order, rotation):
        self.c = np.array(c, dtype=float)
        self.k, self.rotation = order, rotation
        self.tiny = EPS * np.sum(self.c**2)
        self.active = list(range(len(c)))
        self.tuples, self.wavelets, self.rotations, self.errors = [], [], [], []

    def gram(self):
        return self.c[self.active].T @ self.c[self.active]

    def judge(self, g, t, plain=False):
        screened = self.rotation == "opt" and self.k >= SCREENED_ORDER
        f, gt = self.c[np.ix_(t, t)], g[np.ix_(t, t)]
        _, error, mu = best_wavelet(f, gt, "eigen" if screened else self.rotation, self.tiny)
        if plain and error > 0:
            return error, abs(mu), t
        sim = similarity(gt, self.tiny)
        mean = (sim.sum() - np.trace(sim)) / (self.k * (self.k - 1))
        return (error + self.tiny) * max(0.0, 1 - mean), abs(mu), t

    def neighbours(self, g, i):
        sim = similarity(g, self.tiny)[i]
        others = np.array([j for j in self.active if j != i])
        return sorted([i, *map(int, others[np.argsort(-sim[others], kind="stable")[: self.k - 1]])])

    def finish(self, t):
        """Rotate the tuple and take its wavelet out of the active set."""
        f, g = self.c[np.ix_(t, t)], self.gram()[np.ix_(t, t)]
        o, at = complete(f, best_wavelet(f, g, self.rotation, self.tiny)[0])
        self.c[t] = o @ self.c[t]
        self.c[:, t] = self.c[:, t] @ o.T
        s = t[at]
        self.active.remove(s)
        self.errors.append(2 * np.sum(self.c[s, self.active] ** 2))
        self.tuples.append(t)
        self.wavelets.append(s)
        self.rotations.append(o)

    def parts(self):
        rows = np.array(self.active, dtype=np.intp)
        w = np.array(self.wavelets, dtype=np.intp)
        tuples = np.array(self.tuples, dtype=np.intp).reshape(-1, self.k)
        rotations = np.array(self.rotations).reshape(-1, self.k, self.k)
        return tuples, w, rotations, np.array(self.errors), self.c[np.ix_(rows, rows)], rows, self.c[w, w]


def factor(c, order, n_levels, method, rotation):
    """Return what the engine's mmf_factor does, for the methods without chance."""
    twin = Twin(c, order, rotation)
    looked_at = {}
    for _ in range(n_levels):
        g = twin.gram()
        if method == "exhaustive":
            best = min(twin.judge(g, list(t), plain=True) for t in combinations(twin.active, order))
        else:
            if len(twin.active) <= ALWAYS_LOOKED_AT:
                looked_at = {}
            for i in twin.active:
                if i not in looked_at:
                    looked_at[i] = twin.judge(g, twin.neighbours(g, i))
            best = min(looked_at.values())
        twin.finish(best[2])
        looked_at = {i: each for i, each in looked_at.items() if not set(each[2]) & set(best[2])}
    return twin.parts()


def replay(c, tuples, rotation):
    """Return the factorization by given tuples."""
    twin = Twin(c, np.shape(tuples)[1], rotation)
    for t in tuples:
        twin.finish(list(t))
    return twin.parts()


def orthogonal(parts, m):
    """Return Q as a matrix."""
    q = np.eye(m)
    for t, o in zip(parts[0], parts[2], strict=True):
        q[t] = o @ q[t]
    return q


def middle(parts, m):
    """Return Λ as a matrix."""
    middle = np.zeros((m, m))
    middle[np.ix_(parts[5], parts[5])] = parts[4]
    middle[parts[1], parts[1]] = parts[6]
    return middle


def approximation(parts, m):
    """Return QᵀΛQ."""
    q = orthogonal(parts, m)
    return q.T @ middle(parts, m) @ q
