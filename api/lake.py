"""What the API reads of the lake: small documents that the nights left there."""

from pyarrow import fs


def names_in(uri: str) -> list[str]:
    """Folders of a folder, in order of their names; none where it is not there."""
    system, path = _opened(uri)
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return sorted(one.base_name for one in found if one.type == fs.FileType.Directory)


def document(uri: str) -> bytes | None:
    """None where it is not there."""
    system, path = _opened(uri)
    try:
        with system.open_input_stream(path) as stream:
            return bytes(stream.readall())
    except FileNotFoundError:
        return None


def _opened(uri: str) -> tuple[fs.FileSystem, str]:
    """`s3a:` is Spark's word for `s3:`."""
    if ":" not in uri:
        return fs.LocalFileSystem(), uri
    system, path = fs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return system, path
