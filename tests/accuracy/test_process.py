import errno
import gc
import io
import os
import signal
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from posegen.accuracy import process
from posegen.accuracy.child import serve
from posegen.accuracy.frames import Answer, Opening, Picture, Ready, receive, send
from posegen.accuracy.process import EstimatorPool, EstimatorProcess
from posegen.accuracy.registry import EstimatorSpec
from posegen.errors import EstimatorError
from posegen.images import encode_png


@pytest.fixture(autouse=True)
def _child_of_ours(monkeypatch):
    monkeypatch.setattr(
        process, "_COMMAND", ("-W", "ignore", str(Path(__file__).parent / "estimator_child.py"))
    )


@pytest.fixture
def pool():
    pool = EstimatorPool(EstimatorSpec("size"))
    yield pool
    pool.close()


def picture(width=32, height=20):
    return np.zeros((height, width, 3), np.uint8)


def test_a_picture_comes_back_with_its_people(pool):
    assert pool.open().name == "size"
    found = pool.estimate(picture())
    assert len(found.people) == 1
    assert found.people[0].keypoints[0, 0] == 20
    assert np.isnan(found.people[0].keypoints[3]).all()
    assert found.people[0].world.shape == (33, 3)
    assert found.duration_ms > 0


def test_a_file_is_decoded_there(pool):
    found = pool.estimate_file(encode_png(picture(40, 24)))
    assert found.people[0].world[0, 0] == 40


def test_options_reach_the_estimator():
    pool = EstimatorPool(EstimatorSpec("size", {"people": 3}))
    assert len(pool.estimate(picture()).people) == 3
    pool.close()


def test_a_model_that_gives_up_is_asked_again_for_the_next(pool):
    with pytest.raises(EstimatorError, match="ValueError: cannot look at that") as caught:
        pool.estimate(picture(15))
    assert caught.value.estimator == "size"
    assert len(pool.estimate(picture()).people) == 1


def test_bytes_that_are_no_picture_are_told(pool):
    with pytest.raises(EstimatorError, match="ImageDataError"):
        pool.estimate_file(b"no picture")


def test_a_process_that_dies_is_started_again(pool):
    with pytest.raises(EstimatorError, match="its process died"):
        pool.estimate(picture(13))
    assert len(pool.estimate(picture()).people) == 1


def test_a_picture_that_takes_too_long_is_given_up(pool, monkeypatch):
    pool.open()
    monkeypatch.setattr(process, "ESTIMATE_S", 0.2)
    with pytest.raises(EstimatorError, match=r"took longer than 0\.2 s"):
        pool.estimate(picture(14))


def test_an_estimator_that_cannot_be_opened_says_why():
    with pytest.raises(EstimatorError, match="cannot be opened: RuntimeError: no such weights"):
        EstimatorPool(EstimatorSpec("size", {"broken": True})).open()


def test_threads_share_the_processes(monkeypatch):
    made = []

    class Counted(EstimatorProcess):
        def __init__(self, spec):
            made.append(spec)
            super().__init__(spec)

    monkeypatch.setattr(process, "EstimatorProcess", Counted)
    pool = EstimatorPool(EstimatorSpec("size"), most=2)
    threads = [threading.Thread(target=pool.estimate, args=(picture(),)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(made) <= 2
    pool.close()
    gc.collect()  # a process left running would warn, and a warning is an error


def test_one_pool_serves_all_runs_of_a_process(monkeypatch):
    monkeypatch.setattr(process, "_pools", {})
    first = process.shared_pool(EstimatorSpec("size"), cores=2)
    assert first is process.shared_pool(EstimatorSpec("size"), cores=2)
    assert first is not process.shared_pool(EstimatorSpec("size", {"people": 2}), cores=2)
    assert first.most == 1
    assert process.shared_pool(EstimatorSpec("size"), cores=16).most == 4
    assert process.shared_pool(EstimatorSpec("size"), cores=1).most == 4


def messages(*sent):
    stream = io.BytesIO()
    for message in sent:
        send(stream, message)
    stream.seek(0)
    return stream


def test_the_child_says_why_it_cannot_open():
    answers = io.BytesIO()
    serve(messages(Opening("no such estimator", {})), answers)
    answers.seek(0)
    assert "KeyError" in msgspec.msgpack.decode(receive(answers), type=Ready).error
    assert receive(answers) is None


def test_the_child_ends_with_its_input():
    answers = io.BytesIO()
    serve(io.BytesIO(), answers)
    assert answers.getvalue() == b""


def test_half_a_message_is_none():
    stream = messages(Picture(b"12345"))
    assert receive(io.BytesIO(stream.getvalue()[:-1])) is None
    assert receive(io.BytesIO(b"\0\0")) is None


def test_an_answer_survives_the_way():
    answer = Answer((), "", 1.5)
    assert msgspec.msgpack.decode(receive(messages(answer)), type=Answer) == answer


def test_an_interrupt_leaves_no_answer_for_the_next_picture(pool, monkeypatch):
    pool.open()
    real = process.receive

    def interrupted(_stream):
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.estimate(picture(32, 20))
    monkeypatch.setattr(process, "receive", real)
    assert pool.estimate(picture(32, 24)).people[0].keypoints[0, 0] == 24


def test_what_is_sent_to_our_group_is_not_for_the_estimator(pool):
    pool.open()
    child = pool._idle[0]._child
    assert os.getpgid(child.pid) != os.getpgid(0)
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    assert len(pool.estimate(picture()).people) == 1
    assert pool._idle[0]._child is child


def test_a_process_that_cannot_be_started_is_an_estimator_error(monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(process.tempfile, "TemporaryFile", full)
    with pytest.raises(EstimatorError, match="cannot be started: No space left"):
        EstimatorPool(EstimatorSpec("size")).open()


def test_whoever_waits_can_be_let_go(pool):
    pool.open()
    errors = []

    def wait():
        try:
            pool.estimate(picture(14))
        except EstimatorError as exc:
            errors.append(exc)

    thread = threading.Thread(target=wait)
    thread.start()
    while not pool._busy:
        assert thread.is_alive()
    pool.give_up()
    thread.join(10)
    assert len(errors) == 1


def test_many_that_open_at_once_start_one_process(monkeypatch):
    started = []
    pool = EstimatorPool(EstimatorSpec("size"), most=4)
    real = EstimatorProcess.open
    monkeypatch.setattr(EstimatorProcess, "open", lambda self: started.append(self) or real(self))
    threads = [threading.Thread(target=pool.open) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1
    pool.close()


def test_a_process_killed_while_it_loads_is_started_once_more(monkeypatch):
    deaths = iter([True, False])
    real = EstimatorProcess.open

    def opened(self):
        if next(deaths):
            self.kill()
        return real(self)

    monkeypatch.setattr(EstimatorProcess, "open", opened)
    pool = EstimatorPool(EstimatorSpec("size"))
    assert pool.open().name == "size"
    pool.close()
