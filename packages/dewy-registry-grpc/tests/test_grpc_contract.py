"""What goes over the wire is what users' servers already speak, and the generated module is that of registry.proto."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from dewy_registry_grpc import _registry_pb2
from dewy_registry_grpc._registry_pb2 import CurrentRequest, CurrentResponse, ReportRequest

GENERATE = Path(__file__).parents[1] / "generate.py"
PROTO = GENERATE.parent / "src" / "dewy_registry_grpc" / "registry.proto"

STRING, MESSAGE = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_MESSAGE
CONTRACT = {
    "CurrentRequest": [("arch", 1, STRING, False), ("os", 2, STRING, False), ("arifact_name", 3, STRING, True)],
    "CurrentResponse": [
        ("id", 1, STRING, False),
        ("tag", 2, STRING, False),
        ("artifact_url", 3, STRING, False),
        ("created_at", 4, MESSAGE, True),
    ],
    "ReportRequest": [
        ("id", 1, STRING, False),
        ("tag", 2, STRING, False),
        ("command", 3, STRING, False),
        ("err", 4, STRING, True),
    ],
}


def described(module: Any = _registry_pb2) -> FileDescriptorProto:
    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def test_messages_and_fields_are_those_of_the_contract() -> None:
    found = {
        message.name: [(field.name, field.number, field.type, field.proto3_optional) for field in message.field]
        for message in described().message_type
    }
    assert found == CONTRACT
    assert described().message_type[1].field[3].type_name == ".google.protobuf.Timestamp"


def test_the_service_is_that_of_the_contract() -> None:
    file = described()
    assert (file.package, file.syntax) == ("dewy", "proto3")
    (service,) = file.service
    assert service.name == "RegistryService"
    assert [(method.name, method.input_type, method.output_type) for method in service.method] == [
        ("Current", ".dewy.CurrentRequest", ".dewy.CurrentResponse"),
        ("Report", ".dewy.ReportRequest", ".google.protobuf.Empty"),
    ]
    assert not any(method.client_streaming or method.server_streaming for method in service.method)


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (CurrentRequest(arch="arm64", os="linux"), b"\x0a\x05arm64\x12\x05linux"),
        (CurrentRequest(arifact_name="a"), b"\x1a\x01a"),
        (ReportRequest(id="i", tag="v1", command="server"), b"\x0a\x01i\x12\x02v1\x1a\x06server"),
        (ReportRequest(err=""), b"\x22\x00"),
        (CurrentResponse(id="i", tag="v1", artifact_url="u"), b"\x0a\x01i\x12\x02v1\x1a\x01u"),
    ],
)
def test_messages_are_these_very_bytes(message: Any, encoded: bytes) -> None:
    assert message.SerializeToString() == encoded
    assert type(message).FromString(encoded) == message


def test_fields_of_a_later_contract_are_passed_over() -> None:
    assert CurrentResponse.FromString(b"\x12\x02v1\x7a\x05later").tag == "v1"


def test_the_generated_module_is_current(tmp_path: Path) -> None:
    """It is made again by the documented command. What a newer protoc writes in another way is no difference."""
    subprocess.run([sys.executable, str(GENERATE), str(tmp_path)], check=True, timeout=60)
    made: dict[str, Any] = {}
    exec((tmp_path / "_registry_pb2.py").read_text(), made)
    fresh = FileDescriptorProto.FromString(made["DESCRIPTOR"].serialized_pb)
    assert fresh == described(), f"registry.proto has changed: run {GENERATE.name}"
    assert made.keys() >= CONTRACT.keys()
    committed = PROTO.with_name("_registry_pb2.pyi").read_text()
    assert fields((tmp_path / "_registry_pb2.pyi").read_text()) == fields(committed)


def test_its_types_are_those_of_its_messages() -> None:
    committed = fields(PROTO.with_name("_registry_pb2.pyi").read_text())
    assert committed == {name: tuple(field[0] for field in contract) for name, contract in CONTRACT.items()}


def test_the_contract_is_installed_with_the_plugin() -> None:
    """Who writes a server finds it there."""
    assert _registry_pb2.__file__
    assert Path(_registry_pb2.__file__).with_name("registry.proto").read_text() == PROTO.read_text()


def fields(types: str) -> dict[str, tuple[str, ...]]:
    """The messages that a file of types has, and their fields."""
    found = {}
    for item in ast.parse(types).body:
        if isinstance(item, ast.ClassDef):
            (slots,) = [each.value for each in item.body if isinstance(each, ast.Assign)]
            found[item.name] = ast.literal_eval(slots)
    return found
