import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from posegen.telemetry import log_file
from posegen.telemetry.log_file import LogFile

WRITER = """
import json, sys
from pathlib import Path
from posegen.telemetry.log_file import LogFile
file = LogFile(Path(sys.argv[1]), int(sys.argv[3]))
for number in range(2000):
    assert file.write(json.dumps({"who": sys.argv[2], "number": number, "pad": "x" * 50}).encode())
"""


def write_together(folder: Path, most_bytes: int) -> list[Path]:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), name, str(most_bytes)])
        for name in "abcd"
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    return sorted(folder.glob("*.jsonl"))


def test_processes_together_write_whole_lines_and_lose_none_while_files_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_together(tmp_path, 1_600_000)  # a part is a third of what they write
    assert len(files) >= 2
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert {(line["who"], line["number"]) for line in lines} == {(w, n) for w in "abcd" for n in range(2000)}
    assert len(lines) == 8000


def test_the_oldest_go_and_the_size_is_bounded(tmp_path: Path) -> None:
    files = write_together(tmp_path, 100_000)
    assert len(files) > 2
    assert sum(file.stat().st_size for file in files) < 130_000
    newest = (tmp_path / "posegen.jsonl").read_text().splitlines()
    assert all(json.loads(line)["number"] > 1000 for line in newest)


def test_a_file_that_is_deleted_is_made_anew(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "logs", 1_000_000)
    assert file.write(b"one")
    file.path.unlink()
    assert file.write(b"two")
    assert file.path.read_bytes() == b"two\n"


def test_a_full_disk_loses_lines_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    file = LogFile(tmp_path, 1_000_000, clock=lambda: now[0])
    assert file.write(b"before")
    tries: list[int] = []

    def full(descriptor: int, data: bytes) -> int:
        tries.append(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(log_file.os, "write", full)
        assert not file.write(b"lost")
        assert not file.write(b"lost too")
        assert len(tries) == 1, "no try for a while"
        assert file.failure is not None
        assert file.failure.errno == errno.ENOSPC
    now[0] = log_file.RETRY_S + 1
    assert file.write(b"after")
    assert file.path.read_bytes() == b"before\nafter\n"


def test_a_torn_line_does_not_swallow_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, write = [0.0], os.write
    file = LogFile(tmp_path, 1_000_000, clock=lambda: now[0])
    with monkeypatch.context() as patch:
        patch.setattr(log_file.os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        assert not file.write(b"a long line")
    now[0] = 100
    assert file.write(b"whole")
    assert file.path.read_bytes() == b"a l\nwhole\n"


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    file = LogFile(tmp_path / "logs", 1_000_000)
    assert not file.write(b"x")
    file.close()
