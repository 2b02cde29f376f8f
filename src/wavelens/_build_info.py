"""What was built and what it runs on."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from wavelens import _core
from wavelens._threads import blas_libraries, num_threads

__all__ = ["BuildInfo", "build_info"]


@dataclass(frozen=True)
class BuildInfo:
    """Version, compiler, BLAS, threads and instruction set; `str()` gives one line for each.

    Attributes
    ----------
    version : str
        Of Wavelens.
    compiler : str
        That built the engine.
    blas : str
        The BLAS and LAPACK in use (SciPy's), with its version.
    threads : int
        Threads that the engine uses.
    instruction_set : str
        Of the engine's kernels: "baseline", "avx2" or "avx512".
    available_instruction_sets : tuple of str
        What this machine could run; `WAVELENS_ISA` chooses among them.
    """

    version: str
    compiler: str
    blas: str
    threads: int
    instruction_set: str
    available_instruction_sets: tuple[str, ...]

    def __str__(self) -> str:
        fields = asdict(self)
        fields["available_instruction_sets"] = ", ".join(self.available_instruction_sets)
        width = max(map(len, fields))
        return "\n".join(f"{name.replace('_', ' '):<{width}}  {value}" for name, value in fields.items())


def build_info() -> BuildInfo:
    """Tell version, compiler, BLAS in use, threads and instruction set.

    Returns
    -------
    BuildInfo

    Examples
    --------
    >>> import wavelens
    >>> wavelens.build_info().threads >= 1
    True
    """
    return BuildInfo(
        version=_core.version,
        compiler=_core.compiler,
        blas=", ".join(blas_libraries()) or "unknown",
        threads=num_threads(),
        instruction_set=_core.isa(),
        available_instruction_sets=tuple(_core.available_isas()),
    )
