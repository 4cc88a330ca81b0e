# Made by generate.py from registry.proto: do not edit.
# ruff: noqa
# fmt: off
"""The messages of registry.proto, in a pool of their own: nobody else's of the same name collide with them."""

from google.protobuf import descriptor_pool, empty_pb2, message_factory, timestamp_pb2

_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(empty_pb2.DESCRIPTOR.serialized_pb)
_POOL.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
_POOL.AddSerializedFile(
    b'\n\x0eregistry.proto\x12\x04dewy\x1a\x1bgoogle/p'
    b'rotobuf/empty.proto\x1a\x1fgoogle/prot'
    b'obuf/timestamp.proto"m\n\x0eCurrentR'
    b'equest\x12\x12\n\x04arch\x18\x01 \x01(\tR\x04arch\x12\x0e\n\x02os'
    b'\x18\x02 \x01(\tR\x02os\x12&\n\x0carifact_name\x18\x03 \x01(\t'
    b'H\x00R\x0barifactName\x88\x01\x01B\x0f\n\r_arifact_n'
    b'ame"\xa5\x01\n\x0fCurrentResponse\x12\x0e\n\x02id\x18\x01 '
    b'\x01(\tR\x02id\x12\x10\n\x03tag\x18\x02 \x01(\tR\x03tag\x12!\n\x0cart'
    b'ifact_url\x18\x03 \x01(\tR\x0bartifactUrl\x12>\n\n'
    b'created_at\x18\x04 \x01(\x0b2\x1a.google.protob'
    b'uf.TimestampH\x00R\tcreatedAt\x88\x01\x01B\r\n\x0b'
    b'_created_at"j\n\rReportRequest\x12\x0e\n\x02'
    b'id\x18\x01 \x01(\tR\x02id\x12\x10\n\x03tag\x18\x02 \x01(\tR\x03tag\x12\x18'
    b'\n\x07command\x18\x03 \x01(\tR\x07command\x12\x15\n\x03err\x18'
    b'\x04 \x01(\tH\x00R\x03err\x88\x01\x01B\x06\n\x04_err2\x80\x01\n\x0fRegi'
    b'stryService\x126\n\x07Current\x12\x14.dewy.Cu'
    b'rrentRequest\x1a\x15.dewy.CurrentRespo'
    b'nse\x125\n\x06Report\x12\x13.dewy.ReportReque'
    b'st\x1a\x16.google.protobuf.Emptyb\x06prot'
    b'o3'
)
DESCRIPTOR = _POOL.FindFileByName("registry.proto")

CurrentRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["CurrentRequest"])
CurrentResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["CurrentResponse"])
ReportRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ReportRequest"])
