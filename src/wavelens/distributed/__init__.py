"""Work on chunks of images shared among the workers of a Dask cluster (extra ``[dask]``).

What an analysis gathers from images is a state: one for some images and one for others merge into that for both.
`Cluster.merged` has workers make states of portions of the images and merge them in a tree; `Cluster.each` has them
make something of each portion that needs no merging. Neither knows what is gathered. Most people meet this package
only as ``PatternAnalysis.fit(source, scheduler="tcp://…")`` and ``wavelens analyze SOURCE --scheduler ADDRESS``.

=================== ==========================================================================================
moves through the   which images each task reads (a path, places and the codes of their classes), keys, and how
scheduler           far the work is
between workers     states, to where the next merge is
to the client       what the client asks for: at the end of a pass, and then from the worker itself
=================== ==========================================================================================
"""

from __future__ import annotations

try:
    import dask
    import distributed
except ImportError as error:
    raise ImportError(
        f'work on a cluster needs Dask, which is not installed here ({error}): pip install "wavelens[dask]"'
    ) from error

from wavelens.distributed._client import connected
from wavelens.distributed._cluster import Cluster
from wavelens.distributed._images import DaskImages
from wavelens.distributed._portions import Portion, cut

__all__ = ["Cluster", "DaskImages", "Portion", "connected", "cut"]

del dask, distributed
