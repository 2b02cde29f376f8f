"""The fit of a `PatternAnalysis`.

One sequence (`_sequence`: sketch → select → factor → decompose → embed) and three executors that read the images: in
memory (`_in_memory`), in chunks on this machine with checkpoints (`_in_chunks`), on a Dask cluster (`_on_cluster`).
`_run` decides which.
"""

from __future__ import annotations

from wavelens.patterns.fit._run import fit_images

__all__ = ["fit_images"]
