"""Whether a known truth is recovered: joint noise as the dose, true beside measured OKS.

    python benchmarks/accuracy/measure_dose.py [--views 0,90,180]

An experiment as any other, by the package's own code, over all poses of the library.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from posegen.experiments.experiment import open_experiment
from posegen.experiments.plan import plan_experiment
from posegen.parameters import AccuracyParameters
from posegen.pipeline.run import start
from posegen.settings import Settings

DOSES = (35, 20, 12, 6, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", default="0")
    parser.add_argument("--poses", default="all")
    given = parser.parse_args()
    parameters = AccuracyParameters(
        arms=[*(f"control~{dose}" for dose in DOSES), "shuffled", "direct"], poses=given.poses.split(","),
        views=given.views.split(","), run_id="dose",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        settings, started = Settings(root=Path(folder), cpu_threads=2, progress="lines"), time.perf_counter()
        start(plan_experiment(parameters), settings).wait(lambda _: None)
        experiment = open_experiment("dose", settings)
        print(f"{experiment}\n")
        for table in (
            experiment.levels(),
            experiment.attenuation(),
            experiment.effects(),
            experiment.strata(),
        ):
            print(f"{table}\n{table.note}\n")
        print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
