"""Look whether the comfyui backend and a real ComfyUI understand each other. Needs no model files.

    COMFYUI_URL=http://127.0.0.1:8188 python benchmarks/check_comfyui.py

Runs a workflow of core nodes (the control map, scaled and inverted) through a whole batch, then one that
fails at a node, one that is killed and gone on with, and asks the server what it says of the shipped ones.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from posegen.backends.comfyui.workflow import shipped
from posegen.errors import PosegenError
from posegen.images import decode
from posegen.journal import RunState, read_run
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import resume, start
from posegen.pipeline.steps import prepare
from posegen.settings import Settings, load_settings

POSES = ["standing_relaxed", "walking_stride", "yoga_tree"]


def node(kind: str, title: str, **inputs: object) -> dict[str, object]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}


INVERTED = {
    "1": node("LoadImage", "posegen:control_image", image="pose.png"),
    "2": node(
        "ImageScale", "posegen:size", image=["1", 0], width=512, height=512, crop="disabled",
        upscale_method="nearest-exact",
    ),
    "3": node("ImageInvert", "Invert", image=["2", 0]),
    "4": node("SaveImage", "posegen:output", images=["3", 0], filename_prefix="posegen"),
    "5": node("PrimitiveString", "posegen:prompt", value=""),
    "6": node("PrimitiveInt", "posegen:seed", value=0),
}  # fmt: skip

FAILING = {
    **INVERTED,
    "7": node("EmptyImage", "Too small", width=8, height=8, batch_size=1, color=0),
    "3": node("ImageBlur", "Blur", image=["7", 0], blur_radius=31, sigma=10.0),  # reflects more than there is
}


def slow(rounds: int) -> dict[str, object]:
    """Return a workflow that scales up and down again and again."""
    graph: dict[str, object] = {name: INVERTED[name] for name in ("1", "2", "5", "6")}
    last = "2"
    for place in range(rounds):
        up, down = f"{100 + 2 * place}", f"{101 + 2 * place}"
        graph[up] = node(
            "ImageScale", "Up", image=[last, 0], width=4096 - place, height=4096, crop="disabled",
            upscale_method="bicubic",
        )  # fmt: skip
        graph[down] = node(
            "ImageScale", "Down", image=[up, 0], width=512, height=512, crop="disabled",
            upscale_method="nearest-exact",
        )  # fmt: skip
        last = down
    graph["4"] = node("SaveImage", "posegen:output", images=[last, 0], filename_prefix="posegen")
    return graph


def plan(run_id: str, workflow: str, **values: object) -> Plan:
    given = {
        "backend": "comfyui", "width": 512, "height": 512, "poses": POSES, "run_id": run_id,
        "backend_options": {"workflow": workflow}, **values,
    }  # fmt: skip
    return build_plan(check(BatchParameters, given))


def run(made: Plan, settings: Settings) -> tuple[RunState, str]:
    """Return how a run stands and why it stopped."""
    why = ""
    try:
        start(made, settings).wait(lambda _: None)
    except PosegenError as exc:
        why = str(exc)
    return read_run(settings.root, str(made.parameters.run_id)), why


def check_pictures(made: Plan, state: RunState, root: Path) -> int:
    """Return the greatest difference from the inverted control maps; ComfyUI's floats may cost 1 of 255."""
    worst = 0
    for task in made.tasks:
        control_map = prepare(task).control_map
        assert control_map is not None
        pixels = decode((root / state.records[task.task_id].key).read_bytes())
        worst = max(worst, int(np.abs(pixels.astype(int) - (255 - control_map.astype(int))).max()))
    return worst


def check_killed(folder: Path, settings: Settings) -> None:
    """Kill the process that drives a run while the server works, and go on with the run."""
    path = folder / "slow.json"
    path.write_text(json.dumps(slow(6)))
    before = set(httpx.get(f"{settings.comfyui_url}/history").json())
    made = plan("killed", str(path), concurrency=2)
    child = multiprocessing.get_context("spawn").Process(target=run, args=(made, settings))
    child.start()
    while not httpx.get(f"{settings.comfyui_url}/queue").json()["queue_running"]:
        time.sleep(0.05)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    again = resume("killed", settings)
    again.wait(lambda _: None)
    prompts = set(httpx.get(f"{settings.comfyui_url}/history").json()) - before
    print(f"killed and gone on with: {again.counts()}; the server ran {len(prompts)} prompts for 3 images")


def main() -> None:
    url = load_settings().comfyui_url
    if not url:
        sys.exit("set COMFYUI_URL")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(root=folder / "outputs", cpu_threads=2, comfyui_url=url)
        for title, graph in (("inverted", INVERTED), ("failing", FAILING)):
            (folder / f"{title}.json").write_text(json.dumps(graph))
        made = plan("inverted", str(folder / "inverted.json"))
        state, why = run(made, settings)
        print(
            f"inverted: {state.made} made {why}; off by {check_pictures(made, state, settings.root)} of 255"
        )
        state, why = run(plan("failing", str(folder / "failing.json"), poses=POSES[:1]), settings)
        print("failing node:", why or [failed.message for failed in state.failures.values()])
        check_killed(folder, settings)
        for workflow in shipped():
            for conditioning in ("control", "prompt"):
                made = plan(
                    f"{workflow}-{conditioning}", workflow, poses=POSES[:1], conditioning=conditioning
                )
                state, why = run(made, settings)
                print(f"{workflow}, {conditioning}: {state.made} made. {why}")


if __name__ == "__main__":
    main()
