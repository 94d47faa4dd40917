"""What a change of the API's Protobuf breaks for clients that were made before it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)


def breaking_changes(released: FileDescriptorProto, now: FileDescriptorProto) -> list[str]:
    """In words, none for a compatible change. Additions are compatible; comments and order do not matter."""
    if released.package != now.package:
        return [f"package {released.package} is called {now.package}"]
    return [
        *_pairs("message", released.message_type, now.message_type, _message),
        *_pairs("enum", released.enum_type, now.enum_type, _enum),
        *_pairs("service", released.service, now.service, _service),
    ]


def _message(old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    fields: Mapping[int, FieldDescriptorProto] = {field.number: field for field in new.field}
    for was in old.field:
        place = f"{old.name}.{was.name} = {was.number}"
        field = fields.get(was.number)
        if field is None:
            yield f"{place} is gone"
        elif field.name != was.name:
            yield f"{place} is called {field.name}"
        elif _type(field) != _type(was):
            yield f"{place} has another type"
    yield from _pairs("message", old.nested_type, new.nested_type, _message)
    yield from _pairs("enum", old.enum_type, new.enum_type, _enum)


def _type(field: FieldDescriptorProto) -> tuple[Any, ...]:
    return field.type, field.type_name, field.label, field.proto3_optional, field.HasField("oneof_index")


def _enum(old: EnumDescriptorProto, new: EnumDescriptorProto) -> Iterator[str]:
    numbers = {value.name: value.number for value in new.value}
    for was in old.value:
        if numbers.get(was.name) != was.number:
            yield f"{old.name}.{was.name} = {was.number} is {numbers.get(was.name, 'gone')}"


def _service(old: ServiceDescriptorProto, new: ServiceDescriptorProto) -> Iterator[str]:
    methods = {method.name: method for method in new.method}
    for was in old.method:
        method = methods.get(was.name)
        if method is None:
            yield f"{old.name}.{was.name} is gone"
        elif _signature(method) != _signature(was):
            yield f"{old.name}.{was.name} has another signature"


def _signature(method: Any) -> tuple[Any, ...]:
    return method.input_type, method.output_type, method.client_streaming, method.server_streaming


def _pairs(what: str, old: Iterable[Any], new: Iterable[Any], compare: Any) -> Iterator[str]:
    """Changes of what both have, by name; what only the old has is gone."""
    there = {one.name: one for one in new}
    for was in old:
        if was.name in there:
            yield from compare(was, there[was.name])
        else:
            yield f"{what} {was.name} is gone"
