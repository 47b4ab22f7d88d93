"""What papermill finds by entry point, for `papermill --engine posegen`.

papermill loads its engines while it is itself being imported, whoever imports it, asked for them or not. So
this module imports nothing: the engine itself needs papermill, and would come round in a circle.
"""

from __future__ import annotations

from typing import Any


class PosegenEngine:
    """Stands for `posegen.notebook_runs.PosegenEngine`, which is imported when papermill calls it."""

    @staticmethod
    def execute_notebook(nb: Any, kernel_name: str, **options: Any) -> Any:
        """Run the notebook with the strict engine."""
        return _engine().execute_notebook(nb, kernel_name, **options)

    @staticmethod
    def nb_kernel_name(nb: Any, name: str | None = None) -> Any:
        """Return the kernel that the notebook asks for."""
        return _engine().nb_kernel_name(nb, name)

    @staticmethod
    def nb_language(nb: Any, language: str | None = None) -> Any:
        """Return the language that the notebook is written in."""
        return _engine().nb_language(nb, language)


def _engine() -> Any:
    from posegen.notebook_runs import PosegenEngine as Engine

    return Engine
