"""Seconds per image and memory of the backend `diffusers`, one image at a time and in batches.

    .venv-local/bin/python benchmarks/bench_diffusers.py                        tiny random FLUX and SDXL
    .venv-local/bin/python benchmarks/bench_diffusers.py --model black-forest-labs/FLUX.1-dev --offload model

Every batch size draws the same seeds; the largest difference from one at a time is printed beside the time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from posegen.backends.diffusers.pipelines import Weights, load
from posegen.backends.diffusers.sampling import Made, Sampling, Wanted, make
from posegen.pipeline.control import control_map
from posegen.poses.library import PoseLibrary
from posegen.records import View


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", help="repository or folder; without it tiny random models are made")
    parser.add_argument("--controlnet", default="", help="by default the family's own")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--offload", default="none", choices=["none", "model", "sequential"])
    parser.add_argument("--size", type=int, help="pixels of a side; 1024, or 512 for the tiny models")
    parser.add_argument("--steps", type=int, help="by default the family's own, or 4 for the tiny models")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--images", type=int, default=4)
    arguments = parser.parse_args()
    if find_spec("torch") is None:
        print("torch is not installed here: make install-local, then .venv-local/bin/python " + __file__)
        return
    if arguments.model:
        measure(arguments, arguments.model, arguments.controlnet)
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
    import tiny_pipelines

    arguments.size, arguments.steps = arguments.size or 512, arguments.steps or 4
    for write in (tiny_pipelines.write_flux, tiny_pipelines.write_sdxl):
        with tempfile.TemporaryDirectory() as folder:
            measure(arguments, *write(Path(folder)))


def measure(arguments: argparse.Namespace, model: str, controlnet: str) -> None:
    size = arguments.size or 1024
    weights = Weights(model, controlnet, arguments.device, arguments.dtype, arguments.offload)
    started = time.perf_counter()
    loaded = load(weights)
    loaded.pipeline(control=True, token=None)
    label = f"{loaded.family.name} {size}x{size}"
    print(f"{label}: loaded in {time.perf_counter() - started:.1f} s; {loaded.label}")
    sampling = Sampling(weights, True, size, size, num_inference_steps=arguments.steps)
    drawn = control_map(PoseLibrary.builtin().get("walking_stride"), View(), size, size)
    wanted = [Wanted("a person walking", "blurry", seed, drawn) for seed in range(arguments.images)]
    timed(sampling, wanted[:1], 1)  # the first one warms up
    single: list[np.ndarray] = []
    for batch_size in arguments.batch_sizes:
        seconds, made = timed(sampling, wanted, batch_size)
        single = single or made
        off = [np.abs(a.astype(int) - b) for a, b in zip(single, made, strict=True)]
        print(
            f"{label}, {batch_size} at once: {seconds / len(wanted):.2f} s per image; beside the first line "
            f"at most {max(int(one.max()) for one in off)} of 255 off, in "
            f"{100 * np.mean([np.mean(one > 0) for one in off]):.4f} % of the values{memory()}"
        )


def timed(sampling: Sampling, wanted: list[Wanted], batch_size: int) -> tuple[float, list[np.ndarray]]:
    started = time.perf_counter()
    made: list[np.ndarray] = []
    for first in range(0, len(wanted), batch_size):
        for image in make(sampling, wanted[first : first + batch_size], lambda _: None):
            assert isinstance(image, Made), image
            made.append(image.pixels)
    return time.perf_counter() - started, made


def memory() -> str:
    """Return the most that the GPU has held since the last call, if there is one."""
    import torch

    if not torch.cuda.is_available():
        return ""
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return f"; at most {peak:.1f} GiB of the GPU's memory"


if __name__ == "__main__":
    main()
