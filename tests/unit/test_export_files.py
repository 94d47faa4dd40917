"""The folder that exports are written into: what several do in it at once leaves whole files."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from api.export_files import Folder


def test_two_who_publish_a_file_at_once_both_succeed_and_leave_it_whole(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=30)

    def parts() -> Iterator[bytes]:
        yield b"user_id,"
        both.wait()
        yield b"item_id\r\n"
        both.wait()

    folder = Folder(str(tmp_path))
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(folder.publish, "removed.csv", parts()) for _ in range(2)]:
            done.result()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"removed.csv": b"user_id,item_id\r\n"}


def test_a_file_that_somebody_else_renamed_meanwhile_needs_no_renaming(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.publish("manifest.json", iter([b"{}"]))
    for _ in range(2):
        folder.rename("manifest.json", "cancelled.json")
    assert [path.name for path in tmp_path.iterdir()] == ["cancelled.json"]
