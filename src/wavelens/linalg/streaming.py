"""States of a matrix whose rows come in chunks, from one file, many files or many machines.

Each has `partial_fit(chunk)` for more rows, `merge(other)` for the rows that another one has seen, and
`to_bytes` and `from_bytes` for the way between. `RowSketch` is what `wavelens.linalg.pivoted_qr` chooses columns
from, `TriangularFactor` what `wavelens.linalg.ho_gsvd` takes in place of a matrix:

>>> import numpy as np
>>> from wavelens.linalg import ho_gsvd, pivoted_qr
>>> from wavelens.linalg.streaming import RowSketch, TriangularFactor
>>> rng = np.random.default_rng(0)
>>> images, labels = rng.standard_normal((600, 40)), rng.integers(0, 3, 600)
>>> chunks = [slice(first, first + 100) for first in range(0, 600, 100)]
>>> sketch = RowSketch(40, n_rows=64)
>>> for chunk in chunks:
...     _ = sketch.partial_fit(images[chunk])
>>> columns = np.sort(pivoted_qr(sketch, 10).pivots)
>>> factors = [TriangularFactor.empty(10) for _ in range(3)]
>>> for chunk in chunks:
...     for label, factor in enumerate(factors):
...         _ = factor.partial_fit(images[chunk][labels[chunk] == label][:, columns])
>>> ho_gsvd(factors).rank
10
"""

from wavelens.linalg._row_sketch import RowSketch
from wavelens.linalg._triangular_factor import TriangularFactor

__all__ = ["RowSketch", "TriangularFactor"]
