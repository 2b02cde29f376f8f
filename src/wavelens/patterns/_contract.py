"""What scikit-learn asks of an estimator, for one that takes images: three or four dimensions, never two."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

__all__ = ["ImageContract"]


class ImageContract:
    """Tags and names of an estimator that turns images into coefficients of patterns.

    A table (n_images, n_features) is refused rather than guessed to be square images: the pixels' places
    matter.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns that `transform` gives: "pattern0", "pattern1", ….

        Parameters
        ----------
        input_features : ignored
            Pixels have no names.

        Returns
        -------
        array of str, shape (n_patterns,)
        """
        check_is_fitted(self)
        n: int = self.sigma_.shape[1]  # type: ignore[attr-defined]
        return np.array([f"pattern{i}" for i in range(n)], dtype=object)
