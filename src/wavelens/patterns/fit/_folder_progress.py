"""What has been done of a run: in a work folder, or nowhere."""

from __future__ import annotations

from wavelens.patterns.fit._ledger import Ledger
from wavelens.patterns.fit._passes import Selection, skipped_from_json, skipped_to_json
from wavelens.patterns.fit._sequence import Decomposition
from wavelens.patterns.fit._work_folder import WorkFolder

__all__ = ["FolderProgress", "NoProgress"]


class NoProgress:
    """Of a run that is over in one go, nothing is kept."""

    def selection(self) -> Selection | None:
        """Return None."""
        return None

    def keep_selection(self, selection: Selection) -> None:
        """Do nothing."""

    def decomposition(self) -> Decomposition | None:
        """Return None."""
        return None

    def keep_decomposition(self, found: Decomposition) -> None:
        """Do nothing."""

    def finish(self, selection: Selection, found: Decomposition, bandwidth: float) -> None:
        """Do nothing."""


class FolderProgress:
    """What a work folder holds of a run."""

    def __init__(self, folder: WorkFolder) -> None:
        self._folder = folder

    def selection(self) -> Selection | None:
        """Return the outcome of the first pass if it is over."""
        name = "decomposition" if self._folder.stage == "whole" else "selection"
        found = self._folder.load(name)
        if found is None:
            return None
        header, arrays = found
        try:
            if name == "selection":
                return Selection.from_state(header, arrays)
            ledger = Ledger.from_arrays(arrays, "images")
            columns, skipped = arrays["columns"], skipped_from_json(header["skipped"])
            return Selection(columns, len(columns), arrays["counts"], ledger, skipped)
        except (KeyError, ValueError, TypeError) as error:
            raise self._folder.damaged(f"{name}.npz", error) from error

    def keep_selection(self, selection: Selection) -> None:
        """Keep it."""
        self._folder.save("selection", *selection.to_state())
        self._folder.reach("selected")
        for state in ("sketch", "factors"):  # factors of fewer columns
            self._folder.remove(state)

    def decomposition(self) -> Decomposition | None:
        """Return the decomposition if it is there."""
        found = self._folder.load("decomposition")
        if found is None:
            return None
        try:
            return Decomposition.from_arrays(found[1])
        except (KeyError, ValueError, TypeError) as error:
            raise self._folder.damaged("decomposition.npz", error) from error

    def keep_decomposition(self, found: Decomposition) -> None:
        """Keep it."""
        self._folder.save("decomposition", {}, found.to_arrays())
        self._folder.reach("decomposed")

    def finish(self, selection: Selection, found: Decomposition, bandwidth: float) -> None:
        """Keep what is left to know, and forget what only the passes needed."""
        if self._folder.stage == "whole":
            return
        rows = self._folder.load("rows")
        if rows is None:
            raise self._folder.damaged("rows.npz", FileNotFoundError("it is missing"))
        header = {"skipped": skipped_to_json(selection.skipped), "bandwidth": bandwidth}
        arrays = {
            **found.to_arrays(),
            "counts": selection.counts,
            **selection.ledger.to_arrays("images"),
            **Ledger.from_arrays(rows[1], "rows").to_arrays("rows"),
        }
        self._folder.save("decomposition", header, arrays)
        self._folder.reach("whole")
        self._folder.forget_passes()
