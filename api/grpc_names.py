"""What the gRPC service is called: with its package's version, and plainly, for callers who want what is current."""

from google.protobuf import descriptor_pb2, descriptor_pool

from data_contracts import recommendation_pb2 as pb

_SERVICE = pb.DESCRIPTOR.services_by_name["RecommendationService"]


def _described(package: str) -> str:
    """Describe the same service in a package of this name, for reflection; its full name."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3", dependency=[pb.DESCRIPTOR.name]
    )
    _SERVICE.CopyToProto(file.service.add())
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    return f"{package}.{_SERVICE.name}"


NAME = _SERVICE.full_name
NAMES = (NAME, _described("recommendation"))
