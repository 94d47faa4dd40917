"""Small files of the lake (models, JSON documents, manifests): read and written whole, wherever the URI points."""

import hashlib
import io
from collections.abc import Mapping

from pyarrow import fs

_READ_AHEAD = 1 << 20


def file_system(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a URI or plain path, and the path in it. `s3a:` is Spark's word for `s3:`."""
    if "://" not in uri and not uri.startswith("file:"):
        return fs.LocalFileSystem(), uri
    system, path = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return system, path


def read_bytes(uri: str) -> bytes:
    """Raises FileNotFoundError."""
    system, path = file_system(uri)
    with system.open_input_file(path) as file:  # whose size is known: one request, where a stream makes hundreds
        return bytes(file.read())


def open_stream(system: fs.FileSystem, path: str) -> io.BufferedReader:
    """For readers that ask for a few bytes at a time, such as Avro's: each would be a request to Object Storage."""
    return io.BufferedReader(system.open_input_file(path), _READ_AHEAD)


def write_bytes(uri: str, content: bytes) -> None:
    """Write atomically: a reader sees the whole file or none."""
    system, path = file_system(uri)
    system.create_dir(path.rpartition("/")[0], recursive=True)
    temporary = f"{path}.tmp"
    with system.open_output_stream(temporary) as stream:
        stream.write(content)
    system.move(temporary, path)


def file_exists(uri: str) -> bool:
    system, path = file_system(uri)
    return bool(system.get_file_info(path).type != fs.FileType.NotFound)


def delete_folder(uri: str) -> None:
    """With all that is in it; nothing happens where there is none."""
    system, path = file_system(uri)
    if system.get_file_info(path).type == fs.FileType.Directory:
        system.delete_dir(path)


def digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
