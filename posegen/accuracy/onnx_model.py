"""One ONNX file, opened by onnxruntime: the only module that imports it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posegen.errors import EstimatorError, ParameterError

Shape = tuple[int | None, ...]
"""Extents; None where the file leaves one open."""

_NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxModel:
    """A model that takes pictures.

    Parameters
    ----------
    parameter : str
        What named the file, for errors.
    path : Path
        The file's, for errors.
    data : bytes
        The file's. Weights that lie in a file beside it are not read: the hash would not cover them.
    providers : sequence of str
        onnxruntime's execution providers, the best first.
    threads : int

    Attributes
    ----------
    input_shape : tuple of int or None
        Batch, channels, height and width.

    Raises
    ------
    ParameterError
        It is no ONNX model, or none that takes pictures.
    """

    def __init__(
        self, parameter: str, path: Path, data: bytes, *, providers: Sequence[str], threads: int
    ) -> None:
        self.parameter = parameter
        self.path = path
        self._session = _open(self, data, providers, threads)
        inputs = self._session.get_inputs()
        shapes = [_shape(one.shape) for one in inputs]
        if len(inputs) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 3 or inputs[0].type not in _NUMBERS:
            found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise self.refusal(
                f"takes {found}; one input of float and shape (N, 3, height, width) is expected"
            )
        self._name, self._number = inputs[0].name, _NUMBERS[inputs[0].type]
        self.input_shape = shapes[0]
        if self.input_shape[0] not in (None, 1):
            raise self.refusal(f"takes {shapes[0][0]} pictures at once; one, or any number, is expected")

    def refusal(self, problem: str) -> ParameterError:
        """Return the error that says what is wrong with the file."""
        return ParameterError(self.parameter, f"'{self.path}' {problem}")

    @property
    def output_shapes(self) -> dict[str, Shape]:
        """Shape of each output as the file declares it, by name and in order."""
        return {one.name: _shape(one.shape) for one in self._session.get_outputs()}

    def probed_shapes(self, width: int, height: int) -> dict[str, Shape]:
        """Return the same as one black picture gives it.

        Raises
        ------
        ParameterError
            The model does not get through it.
        """
        try:
            outputs = self.run(np.zeros((1, 3, height, width), dtype=np.float32))
        except EstimatorError as exc:
            raise self.refusal(f"does not run: {exc}") from exc
        return {name: output.shape for name, output in zip(self.output_shapes, outputs, strict=True)}

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[Any]]:
        """Return the outputs for a batch of shape (N, 3, H, W); one by one where the file's batch is fixed.

        Raises
        ------
        EstimatorError
            onnxruntime gave up.
        """
        parts = [batch] if self.input_shape[0] is None else np.split(batch, len(batch))
        try:
            answers = [self._session.run(None, {self._name: part.astype(self._number)}) for part in parts]
        except Exception as exc:
            raise EstimatorError(f"'{self.path}' gave up: {_first_line(exc)}") from exc
        if len(answers) == 1:
            return list(answers[0])
        return [np.concatenate(outputs) for outputs in zip(*answers, strict=True)]


def runtime_version() -> str:
    """Return onnxruntime's version; its distribution has several names, the module has one."""
    import onnxruntime

    return str(onnxruntime.__version__)


def _open(model: OnnxModel, data: bytes, providers: Sequence[str], threads: int) -> Any:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    unknown = [name for name in providers if name not in available]
    if unknown:
        problem = f"{', '.join(unknown)} not available here; allowed: {', '.join(available)}"
        raise ParameterError("estimator_options.providers", problem)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; it need not be printed too
    try:
        return onnxruntime.InferenceSession(data, options, providers=list(providers))
    except Exception as exc:  # its errors have no base of their own
        raise model.refusal(f"cannot be opened as an ONNX model: {_first_line(exc)}") from exc


def _shape(declared: Sequence[Any]) -> Shape:
    """Return the extents; onnxruntime gives a name, or None, where one is open."""
    return tuple(extent if isinstance(extent, int) and extent > 0 else None for extent in declared or ())


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
