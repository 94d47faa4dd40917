"""`python -m infra.proto`: generate code from data_contracts/recommendation.proto; `--release` promises it.

What is released lies in `recommendation.released.json`: clients may rely on it, so later changes must not break it.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from data_contracts.errors import InputError, RecsError
from data_contracts.proto_changes import breaking_changes

ROOT = Path(__file__).resolve().parents[1]
PROTO = "data_contracts/recommendation.proto"
RELEASED = ROOT / "data_contracts" / "recommendation.released.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.proto", description=__doc__)
    parser.add_argument("--release", action="store_true", help="promise the present fields to clients")
    arguments = parser.parse_args()
    try:
        now = generate(ROOT)
        broken = breaking_changes(released(), now) if RELEASED.exists() else []
        if broken:
            raise InputError(f"{PROTO} breaks clients: {'; '.join(broken)}")
        if arguments.release:
            RELEASED.write_text(json.dumps(json_format.MessageToDict(now), indent=2) + "\n", encoding="utf-8")
    except RecsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


def generate(out: Path) -> FileDescriptorProto:
    """Write the generated modules under `out`; returns the descriptor. Raises InputError when protoc refuses."""
    from grpc_tools import protoc  # only developers have it

    include = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as scratch:
        described = Path(scratch) / "set"
        outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
        command = ["protoc", f"-I{ROOT}", f"-I{include}", *outputs, f"--descriptor_set_out={described}", PROTO]
        if protoc.main(command) != 0:
            raise InputError(f"{PROTO}: protoc refuses it, see above")
        return FileDescriptorSet.FromString(described.read_bytes()).file[0]


def released() -> FileDescriptorProto:
    return json_format.ParseDict(json.loads(RELEASED.read_text(encoding="utf-8")), FileDescriptorProto())


if __name__ == "__main__":
    main()
