# Made by generate.py from registry.proto: do not edit.
# ruff: noqa
# fmt: off
# mypy: disable-error-code="type-arg"
import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CurrentRequest(_message.Message):
    __slots__ = ("arch", "os", "arifact_name")
    ARCH_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    ARIFACT_NAME_FIELD_NUMBER: _ClassVar[int]
    arch: str
    os: str
    arifact_name: str
    def __init__(self, arch: _Optional[str] = ..., os: _Optional[str] = ..., arifact_name: _Optional[str] = ...) -> None: ...

class CurrentResponse(_message.Message):
    __slots__ = ("id", "tag", "artifact_url", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_URL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    tag: str
    artifact_url: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., tag: _Optional[str] = ..., artifact_url: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("id", "tag", "command", "err")
    ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ERR_FIELD_NUMBER: _ClassVar[int]
    id: str
    tag: str
    command: str
    err: str
    def __init__(self, id: _Optional[str] = ..., tag: _Optional[str] = ..., command: _Optional[str] = ..., err: _Optional[str] = ...) -> None: ...
