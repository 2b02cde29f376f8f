"""Headers of the npy format, from files that may hold anything."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from wavelens._utils._text_arrays import check_characters
from wavelens.data._source import printable
from wavelens.exceptions import DataError

__all__ = ["NpyHeader", "open_npy", "read_npy_header", "refuse_objects", "short_reason"]


@dataclass(frozen=True)
class NpyHeader:
    """What stands before the values of an array.

    Attributes
    ----------
    shape : tuple of int
    order : {"C", "F"}
    dtype : dtype
    start : int
        Bytes before the values.
    """

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    start: int

    @property
    def n_bytes(self) -> int:
        """Bytes of header and values together."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(file: IO[bytes]) -> NpyHeader:
    """Read the header at the beginning of an npy file or of a member of an npz file.

    Raises
    ------
    ValueError
        If there is none, or a damaged one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the spelling of dtypes and of Python 2's integers
        try:
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0), (3, 0)):
                raise ValueError(f"the version {version} of the npy format is not known")
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, by_column, dtype = read(file)
        except ValueError as error:
            if "magic string" in str(error):
                raise ValueError("it is not an array written by np.save") from error
            raise
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError):
            raise  # the member that it is read from
        # The header is parsed as Python source and may ask for any dtype: TokenError, SyntaxError, TypeError,
        # RecursionError, MemoryError, OverflowError, ...
        except Exception as error:
            raise ValueError(f"its header is damaged: {short_reason(error)}") from error
    if any(n < 0 for n in shape) or not dtype.itemsize:
        raise ValueError(f"its header is damaged: it gives the shape {shape} and the dtype {dtype}")
    return NpyHeader(shape, "F" if by_column else "C", dtype, file.tell())


def open_npy(path: Path) -> npt.NDArray[Any]:
    """Map the array of an npy file into memory; one without values, or a scalar, is read.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged, or has another size than its header says.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise ValueError("the file is empty")
            if file.read(4) == b"PK\x03\x04":
                raise ValueError("it is a .npz archive under the name of a .npy file; rename it")
            file.seek(0)
            header = read_npy_header(file)
            if header.dtype.hasobject:
                raise refuse_objects(path, "")
            if size != header.n_bytes:
                raise ValueError(
                    f"its header says {header.n_bytes:,} bytes (shape {header.shape}, {header.dtype}), the file "
                    f"has {size:,}"
                )
            if 0 in header.shape or not header.shape:  # which cannot be mapped
                return np.frombuffer(file.read(), header.dtype).reshape(header.shape)
        array = np.memmap(path, header.dtype, "r", header.start, header.shape, header.order)
        check_characters(array, "it")
        return array
    except ValueError as error:
        raise DataError(f"{printable(str(path))}: cannot be read: {error}") from error
    except OSError as error:
        raise DataError(f"{printable(str(path))}: cannot be read: {error.strerror or error}") from error
    except (MemoryError, OverflowError, TypeError) as error:
        raise DataError(
            f"{printable(str(path))}: cannot be mapped into memory: {short_reason(error)}"
        ) from error


def refuse_objects(path: Path, which: str) -> DataError:
    """Return the error about an array of Python objects."""
    return DataError(
        f"{printable(str(path))}: {which or 'it'} holds pickled Python objects, which are never loaded; save it "
        "with a numeric or string dtype"
    )


def short_reason(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind where it has none."""
    text = " ".join(str(error).split())
    if isinstance(error, RecursionError):
        text = "it is nested too deeply"
    return (text if len(text) <= 300 else text[:300] + " …") or type(error).__name__
