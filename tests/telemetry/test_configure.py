import errno
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from posegen.settings import Settings
from posegen.telemetry import (
    COMPONENTS,
    bound,
    configure,
    configure_in_kernel,
    configure_logging,
    log_file,
    logger,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def of_posegen(logs: logging.Logger) -> list[logging.Handler]:
    """Return the handlers but for those that pytest adds where records go no further up."""
    return [handler for handler in logs.handlers if not type(handler).__module__.startswith("_pytest")]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    logs = logging.getLogger("posegen")
    before = (logs.level, logs.propagate, of_posegen(logs))
    yield
    for undo in configure._undo[:]:
        undo()
    configure._kernels_choice.clear()
    assert (logs.level, logs.propagate, of_posegen(logs)) == before, "all is taken back"


def logged(settings: Settings) -> list[dict[str, Any]]:
    path = settings.root / "logs/posegen.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_the_file_gets_json_and_people_get_warnings(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(settings)
    log = logger("worker")
    log.debug("too much")
    with bound(run="r", attempt=2):
        log.info("begins", images=3)
        log.warning("%s failed", "t1", backend="fal")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d \[warning\s*\] worker: t1 failed\s+run=r attempt=2 backend=fal\n",
        err.replace("'", ""),
    ), err
    begins, failed = logged(settings)
    assert (begins["component"], begins["message"], begins["images"]) == ("worker", "begins", 3)
    assert (failed["level"], failed["run"], failed["attempt"], failed["backend"]) == (
        "warning",
        "r",
        2,
        "fal",
    )


def test_the_level_is_the_setting_s(settings: Settings) -> None:
    configure_logging(settings.model_copy(update={"log_level": "error"}), stream=io.StringIO())
    logger("worker").warning("not this")
    logger("worker").error("but this")
    assert [line["message"] for line in logged(settings)] == ["but this"]
    configure_logging(settings.model_copy(update={"log_level": "debug"}), stream=io.StringIO())
    logger("worker").debug("and this, once")
    assert [line["message"] for line in logged(settings)] == ["but this", "and this, once"]


def test_no_megabytes_are_no_file(settings: Settings) -> None:
    stream = io.StringIO()
    configure_logging(settings.model_copy(update={"log_max_mb": 0}), stream=stream)
    logger("worker").error("seen")
    assert "worker: seen" in stream.getvalue()
    assert list(settings.root.iterdir()) == []


def test_until_something_is_logged_nothing_is_written(settings: Settings) -> None:
    configure_logging(settings)
    logger("worker").debug("too much")
    assert list(settings.root.iterdir()) == []


def test_verbose_is_readable_in_a_terminal_and_json_elsewhere(settings: Settings) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), io.StringIO()
    configure_logging(settings, verbose=True, stream=terminal)
    logger("http").debug("asked", status=200)
    configure_logging(settings, verbose=True, stream=pipe)
    logger("http").debug("asked", status=200)
    assert "\x1b[" in terminal.getvalue()
    assert "http: asked" in terminal.getvalue()
    assert json.loads(pipe.getvalue())["status"] == 200


def test_a_full_disk_is_told_once_and_breaks_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    stream = io.StringIO()
    configure_logging(settings, stream=stream)
    monkeypatch.setattr(log_file.os, "write", full)
    for number in range(3):
        logger("worker").info("%d", number)
    assert stream.getvalue().count("\n") == 1
    assert "logs cannot be written to" in stream.getvalue()
    assert "No space left on device" in stream.getvalue()


def test_a_closed_stream_breaks_nothing(settings: Settings) -> None:
    stream = io.StringIO()
    configure_logging(settings, stream=stream)
    stream.close()
    logger("worker").error("into nowhere")
    assert [line["message"] for line in logged(settings)] == ["into nowhere"]


def test_importing_configures_nothing_and_structlog_stays_the_application_s() -> None:
    code = (
        "import logging, structlog; import posegen, posegen.pipeline.run\n"
        "from posegen.telemetry import logger\n"
        "assert not structlog.is_configured(); assert not logging.getLogger('posegen').handlers\n"
        "structlog.configure(processors=[structlog.processors.KeyValueRenderer()])\n"
        "logging.basicConfig(level='INFO', format='app %(name)s %(message)s %(context)s')\n"
        "logger('flux').info('made %d', 3, backend='fal')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "app posegen.flux made 3 {'backend': 'fal'}\n")


def test_only_a_kernel_configures_itself_and_only_if_nobody_has(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logs = logging.getLogger("posegen")
    configure_in_kernel(settings)
    assert not configure._undo, "pytest is no kernel"
    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    application = logging.NullHandler()
    logs.addHandler(application)
    configure_in_kernel(settings)
    assert not configure._undo
    logs.removeHandler(application)
    configure_in_kernel(settings)
    handlers = list(logs.handlers)
    configure_in_kernel(settings)
    assert logs.handlers == handlers, "once"
    configure_in_kernel(settings.model_copy(update={"root": tmp_path / "other"}))
    assert logs.handlers != handlers, "another workspace"
    logger("worker").info("there")
    assert (tmp_path / "other/logs/posegen.jsonl").exists()


def test_every_logger_and_every_timing_is_of_a_known_component(project_root: Path) -> None:
    texts = [path.read_text("utf-8") for path in (project_root / "posegen").rglob("*.py")]
    loggers = {name for text in texts for name in re.findall(r'= logger\("(\w+)"\)', text)}
    timings = {name for text in texts for name in re.findall(r'(?:measure|timed|metric)\("(\w+)\.\w+"', text)}
    assert loggers
    assert timings
    known = set(COMPONENTS)
    assert loggers <= known
    assert timings - {"store"} <= known
