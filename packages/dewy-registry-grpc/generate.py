"""Makes the module of messages from registry.proto: ``pip install grpcio-tools && python generate.py [DIRECTORY]``.

What it makes is kept in the repository; a test makes it again and compares. The module holds the descriptor that protoc
makes, not protoc's own Python code: that insists on the version of protobuf it was made for, and dewy shares its
environment with other backends, which insist on others.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

PACKAGE = Path(__file__).parent / "src" / "dewy_registry_grpc"
PROTO = "registry.proto"
NAME = "_registry_pb2"
_HEAD = "# Made by generate.py from registry.proto: do not edit.\n# ruff: noqa\n# fmt: off\n"
_MODULE = '''\
{head}"""The messages of registry.proto, in a pool of their own: nobody else's of the same name collide with them."""

from google.protobuf import descriptor_pool, empty_pb2, message_factory, timestamp_pb2

_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(empty_pb2.DESCRIPTOR.serialized_pb)
_POOL.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
_POOL.AddSerializedFile(
{descriptor}
)
DESCRIPTOR = _POOL.FindFileByName("{proto}")

{classes}
'''
_CLASS = '{name} = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["{name}"])'


def generate(to: Path) -> None:
    """Writes the module and its types into a directory."""
    with tempfile.TemporaryDirectory() as scratch:
        descriptor = Path(scratch, "descriptor")
        include = files("grpc_tools") / "_proto"
        arguments = ["protoc", f"-I{PACKAGE}", f"-I{include}", f"--descriptor_set_out={descriptor}", f"--pyi_out={scratch}"]
        if protoc.main([*arguments, PROTO]):
            raise SystemExit(f"protoc cannot read {PACKAGE / PROTO}")
        (file,) = FileDescriptorSet.FromString(descriptor.read_bytes()).file
        types = Path(scratch, "registry_pb2.pyi").read_text(encoding="utf-8")
    (to / f"{NAME}.py").write_text(_module_of(file), encoding="utf-8")
    (to / f"{NAME}.pyi").write_text(_HEAD + '# mypy: disable-error-code="type-arg"\n' + types, encoding="utf-8")


def _module_of(file: FileDescriptorProto) -> str:
    content = file.SerializeToString(deterministic=True)
    pieces = [content[at : at + 32] for at in range(0, len(content), 32)]
    return _MODULE.format(
        head=_HEAD,
        descriptor="\n".join(f"    {piece!r}" for piece in pieces),
        proto=PROTO,
        classes="\n".join(_CLASS.format(name=message.name) for message in file.message_type),
    )


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if sys.argv[1:] else PACKAGE)
