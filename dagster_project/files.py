"""The lake's small files, wherever its URI points."""

from pyarrow import fs


def file_system(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a URI or plain path, and the path in it. `s3a:` is Spark's word for `s3:`."""
    if ":" not in uri:
        return fs.LocalFileSystem(), uri
    system, path = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return system, path


def read_bytes(uri: str) -> bytes:
    """Raises FileNotFoundError."""
    system, path = file_system(uri)
    with system.open_input_file(path) as file:  # whose size is known: one request, where a stream makes hundreds
        return bytes(file.read())


def write_bytes(uri: str, content: bytes) -> None:
    system, path = file_system(uri)
    system.create_dir(path.rpartition("/")[0], recursive=True)
    with system.open_output_stream(path, compression=None) as stream:  # as it is, whatever it is called
        stream.write(content)
