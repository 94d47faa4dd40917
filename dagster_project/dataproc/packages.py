"""What a cluster needs of us, as archives named by their content, each uploaded once.

`project`: the night's code and contracts. `environment`: the installed Python packages that it imports, without those
that the image has (PySpark); made from this installation, which must be of the image's kind: Linux x86-64, Python 3.11.
Jars: Delta and Avro. Both archives are unpacked beside the driver and every executor.
"""

import gzip
import hashlib
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from pyarrow import fs

from dagster_project.files import file_system
from data_contracts.errors import UnavailableError

_ROOT = Path(__file__).resolve().parents[2]
_JARS = _ROOT / ".local" / "jars" / "spark"
_CODE = ("data_contracts", "spark_jobs")
MAIN = _ROOT / "spark_jobs" / "jobs" / "submitted.py"
# What the code above imports; what these require comes along.
_PACKAGES = (
    "altair",
    "avro",
    "dagster-pipes",
    "delta-spark",
    "fastavro",
    "great-expectations",
    "implicit",
    "jinja2",
    "joserfc",
    "markupsafe",
    "mlflow",
    "numpy",
    "pandas",
    "psutil",
    "pyarrow",
    "pydantic",
    "pydantic-settings",
    "pyyaml",
    "scipy",
    "threadpoolctl",
    "vl-convert-python",
    "xgboost-cpu",
    "yandexcloud",
)
_ON_THE_IMAGE = {"pyspark", "py4j"}


@dataclass(frozen=True)
class Packages:
    """URIs of what was uploaded."""

    main: str
    project: str
    environment: str
    jars: tuple[str, ...]


def upload(folder: str) -> Packages:
    """Bring everything below the URI that is not there yet. Raises UnavailableError where the jars are missing."""
    jars = sorted(_JARS.glob("*.jar"))
    if not jars:
        raise UnavailableError(f"no Spark jars in {_JARS}: run make setup")
    project, environment = _project_files(), _distributions()
    return Packages(
        main=_once(folder, "submitted", _of_file(MAIN), ".py", partial(shutil.copyfile, MAIN)),
        project=_once(folder, "project", project_digest(project), ".zip", partial(_zip, project)),
        environment=_once(folder, "environment", _recorded(environment), ".tar.gz", partial(_tar, environment)),
        jars=tuple(_once(folder, jar.stem, _of_file(jar), ".jar", partial(shutil.copyfile, jar)) for jar in jars),
    )


def _once(folder: str, name: str, digest: str, ending: str, make: Callable[[Path], object]) -> str:
    uri = f"{folder}/{name}-{digest}{ending}"
    system, path = file_system(uri)
    if system.get_file_info(path).type == fs.FileType.File:
        return uri
    with tempfile.TemporaryDirectory() as here:
        made = Path(here) / "made"
        make(made)
        system.create_dir(path.rpartition("/")[0], recursive=True)
        # Told not to, since by itself it compresses what is called .gz once more.
        with made.open("rb") as source, system.open_output_stream(path, compression=None) as target:
            shutil.copyfileobj(source, target, 1 << 23)
    return uri


def _project_files() -> list[Path]:
    found = (path for package in _CODE for path in (_ROOT / package).rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts)


def project_digest(files: list[Path]) -> str:
    return _digest(b"".join(_line(path.relative_to(_ROOT).as_posix(), _of_file(path)) for path in files))


def _zip(files: list[Path], to: Path) -> None:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(_ROOT).as_posix())


def _distributions() -> list[Distribution]:
    """Those of `_PACKAGES` and all that they require here, sorted by name."""
    found: dict[str, Distribution] = {}
    waiting = list(_PACKAGES)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found or name in _ON_THE_IMAGE:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # required on other systems, or of an extra that nobody asked for
            continue
        waiting += [_required(line) for line in found[name].requires or () if "extra ==" not in line]
    return [found[name] for name in sorted(found)]


def _required(line: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]


def _recorded(distributions: list[Distribution]) -> str:
    """Of the packages' records, which hold a hash of each of their files."""
    return _digest(b"".join(_line(one.metadata["Name"], one.read_text("RECORD") or "") for one in distributions))


def _tar(distributions: list[Distribution], to: Path) -> None:
    with gzip.open(to, "wb", compresslevel=1) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for name, path in sorted(set(_installed(distributions))):
            archive.add(path, name, recursive=False)


def _installed(distributions: list[Distribution]) -> Iterator[tuple[str, Path]]:
    for one in distributions:
        for file in one.files or ():
            path = Path(str(one.locate_file(file)))
            if not file.as_posix().startswith("..") and file.suffix != ".pyc" and path.is_file():
                yield file.as_posix(), path


@cache
def _of_file(path: Path) -> str:
    return _digest(path.read_bytes())


def _line(name: str, content: str) -> bytes:
    return f"{name}\0{content}\0".encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
