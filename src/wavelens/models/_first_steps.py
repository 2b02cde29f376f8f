"""What a network does to its input before the first filter tells what it expects to get.

A network that begins with x·(2/255) − 1 takes values from 0 to 255; one that begins with (x − 0.485)/0.229 takes
0 to 1. The steps are collected as one affine map a·x + b for each channel.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wavelens.models._network import Fact

__all__ = ["Affine", "facts_of_affine"]

# 255 times this is where a network of values 0–255 arrives; scales of 1/std for 0–1 lie above 1.
LARGEST_SCALE_OF_BYTES = 0.1


def _scalar(value: float) -> npt.NDArray[np.float64]:
    return np.array([value])


@dataclass
class Affine:
    """The map a·x + b so far, for each channel or for all."""

    a: npt.NDArray[np.float64] = field(default_factory=lambda: _scalar(1.0))
    b: npt.NDArray[np.float64] = field(default_factory=lambda: _scalar(0.0))
    taken: bool = False

    def take(self, operator: str, constant: npt.ArrayLike, *, first: bool = True) -> bool:
        """Append a step.

        Parameters
        ----------
        operator : {"Mul", "Div", "Add", "Sub"}
            Of the step.
        constant : array_like
            One number, or one for each channel.
        first : bool
            Whether the image is the first operand.

        Returns
        -------
        bool
            False, and nothing done, if this is no affine map of each channel.
        """
        c = np.asarray(constant, np.float64).reshape(-1)
        if c.size not in (1, 3) or not np.isfinite(c).all() or (operator == "Div" and (not first or 0 in c)):
            return False
        if operator == "Mul":
            self.a, self.b = self.a * c, self.b * c
        elif operator == "Div":
            self.a, self.b = self.a / c, self.b / c
        elif operator == "Add":
            self.b = self.b + c
        elif first:
            self.b = self.b - c
        else:
            self.a, self.b = -self.a, c - self.b
        self.taken = True
        return True


def facts_of_affine(steps: Affine | None, where: str) -> dict[str, Fact]:
    """Conclude what the network expects.

    Parameters
    ----------
    steps : Affine or None
        Its first steps.
    where : str
        Where they were found, for the reason.

    Returns
    -------
    dict of str to Fact
        Of `Preprocessing`; empty without such steps.
    """
    if steps is None:
        return {}
    a = ", ".join(f"{each:.4g}" for each in np.unique(np.round(steps.a, 6)))
    b = ", ".join(f"{abs(each):.4g}" for each in np.unique(np.round(steps.b, 6)))
    sign = "−" if steps.b.min() < 0 else "+"
    # Subtracting channel means alone (a = 1, b about −100) is done to bytes too.
    bytes_in = np.abs(steps.a).max() < LARGEST_SCALE_OF_BYTES or np.abs(steps.b).max() > 10
    reason = f"{where} are x · {a} {sign} {b}"
    inside = f"within the network: {reason}"
    return {
        "value_range": Fact((0.0, 255.0) if bytes_in else (0.0, 1.0), reason),
        "mean": Fact((0.0,), inside),
        "std": Fact((1.0,), inside),
    }
