"""Runs on a ComfyUI server whose process is killed: the server counts what it was made to make."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.harness import Story, until
from tests.servers.comfyui_server import ComfyuiServer, comfyui_server

pytestmark = pytest.mark.faults

Begin = Callable[..., Story]


@pytest.fixture
def server() -> Iterator[ComfyuiServer]:
    with comfyui_server() as started:
        yield started


@pytest.fixture
def comfyui(story: Begin) -> Begin:
    """Return what begins the story of a run of four images on a ComfyUI server."""

    def begin(**options: object) -> Story:
        return story("comfyui", images=4, failing=None, **options)

    return begin


def once_each(run: Story, server: ComfyuiServer) -> None:
    """Check that the run is finished and that the server made each image once."""
    run.check()
    assert sorted(server.made.values()) == [1] * run.images


def test_killed_while_the_server_works_the_picture_is_fetched(comfyui: Begin, server: ComfyuiServer) -> None:
    server.script.hold = True
    run = comfyui(concurrency=2)
    child = run.start(comfyui_url=server.url)
    until(lambda: server.running and server.pending, "one prompt runs and one waits")
    child.kill()
    run.killed += 1
    server.release()
    last = run.finish(comfyui_url=server.url)
    assert last.lines("counts")[0]["fetched"] == 2
    assert len(server.sent) == run.images
    once_each(run, server)


def test_what_is_still_in_the_queue_is_waited_for(comfyui: Begin, server: ComfyuiServer) -> None:
    server.script.hold = True
    run = comfyui(concurrency=1)
    child = run.start(comfyui_url=server.url)
    until(lambda: server.running, "a prompt runs")
    child.kill()
    run.killed += 1
    looks = server.looks
    child = run.start(comfyui_url=server.url)
    until(lambda: server.looks > looks + 1, "the next process looks for it")
    assert len(server.sent) == 1
    server.release()
    assert child.wait().lines("counts")[0]["fetched"] == 1
    once_each(run, server)


@pytest.mark.parametrize("nth", [1, 3])
def test_killed_between_journalling_the_id_and_sending(
    comfyui: Begin, server: ComfyuiServer, nth: int
) -> None:
    run = comfyui(concurrency=1)
    assert run.die_at("task_submitted", nth, comfyui_url=server.url).died_there == "task_submitted"
    assert len(server.sent) == nth - 1
    run.finish(comfyui_url=server.url)
    once_each(run, server)


@pytest.mark.parametrize("failpoint", ["image_generated", "image_stored", "image_journalled"])
def test_killed_once_the_picture_is_there(comfyui: Begin, server: ComfyuiServer, failpoint: str) -> None:
    run = comfyui(concurrency=2)
    assert run.die_at(failpoint, 2, comfyui_url=server.url).died_there == failpoint
    run.finish(comfyui_url=server.url)
    once_each(run, server)


def test_what_a_restarted_server_has_forgotten_is_made_again(comfyui: Begin, server: ComfyuiServer) -> None:
    server.script.hold = True
    run = comfyui(concurrency=1)
    child = run.start(comfyui_url=server.url)
    until(lambda: server.running, "a prompt runs")
    child.kill()
    run.killed += 1
    server.restart()
    run.finish(comfyui_url=server.url)
    once_each(run, server)
    assert len(server.sent) == run.images + 1
