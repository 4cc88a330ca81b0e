"""The listening sockets: bound as asked, or a clear word why not."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from supervision import free_port

from dewy.errors import HostError
from dewy.supervisor import bind, parse_ports
from dewy.supervisor.sockets import lift
from dewy.testing import Recorder


def listen(*specs: str, directory: Path | None = None):
    return bind(parse_ports(specs), Recorder(), directory)


def test_a_tcp_socket_listens_blocking_with_the_whole_backlog_and_is_not_inherited() -> None:
    port, events = free_port(), Recorder()
    with bind(parse_ports([f"127.0.0.1:{port}"]), events) as sockets:
        (listener,) = sockets.listeners
        assert listener.socket.getsockname() == ("127.0.0.1", port)
        assert listener.socket.getblocking()
        assert listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert not listener.socket.get_inheritable()
        backlog = int(Path("/proc/sys/net/core/somaxconn").read_text())
        # struct tcp_info of a listening socket has its backlog in tcpi_sacked
        assert (
            int.from_bytes(listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[28:32], "little") == backlog
        )
    assert events.texts() == [f"listening on 127.0.0.1:{port}"]


def test_no_port_binds_nothing_and_says_nothing() -> None:
    events = Recorder()
    with bind((), events) as sockets:
        assert sockets.descriptors == ()
    assert events.names == []


def test_a_bare_port_is_every_ipv4_address_and_an_ipv6_address_is_ipv6_only() -> None:
    port = free_port()
    with listen(str(port), f"[::]:{port}") as sockets:
        four, six = (listener.socket for listener in sockets.listeners)
        assert four.getsockname() == ("0.0.0.0", port)
        assert six.getsockname()[:2] == ("::", port)
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        socket.create_connection(("127.0.0.1", port)).close()
        socket.create_connection(("::1", port)).close()


def test_a_name_is_looked_up() -> None:
    port = free_port()
    with listen(f"localhost:{port}") as sockets:
        assert sockets.listeners[0].socket.getsockname()[0] == "127.0.0.1"


def test_no_socket_has_a_number_that_is_filled_in_the_application(tmp_path: Path) -> None:
    with listen(*(str(tmp_path / f"{number}.sock") for number in range(30))) as sockets:
        assert min(sockets.descriptors) >= 3 + 30


def test_lifting_moves_an_open_file_and_leaves_a_high_one() -> None:
    reader, writer = os.pipe()
    lifted = lift(writer, 60)
    assert lifted >= 60
    assert lift(lifted, 60) == lifted
    assert not os.get_inheritable(lifted)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
    os.write(lifted, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(lifted)


def test_a_taken_port_is_named_with_the_way_to_find_who_has_it_and_nothing_stays_bound() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(HostError) as caught:
            listen(f"127.0.0.1:{port}", f"127.0.0.1:{taken}")
    assert f"cannot listen on 127.0.0.1:{taken}: Address already in use" in caught.value.message
    assert "ss -ltnp" in caught.value.hint
    socket.create_server(("127.0.0.1", port)).close()


def test_an_address_of_another_host_is_named() -> None:
    with pytest.raises(HostError, match=r"cannot listen on 192\.0\.2\.1:8000: .*ip address"):
        listen("192.0.2.1:8000")


def test_a_host_that_cannot_be_looked_up_is_named() -> None:
    with pytest.raises(HostError, match=r"cannot listen on nowhere\.invalid:8000"):
        listen("nowhere.invalid:8000")


class TestUnixSockets:
    def test_it_is_there_for_everybody_and_gone_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "app.sock"
        before = os.umask(0o077)
        try:
            with listen("./app.sock", directory=tmp_path):
                assert stat.S_IMODE(path.stat().st_mode) == 0o666
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(path))
        finally:
            os.umask(before)
        assert not path.exists()

    def test_a_stale_one_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "app.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        with listen(str(path)), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))

    def test_a_live_one_of_somebody_else_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "app.sock"
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen(5)
            with pytest.raises(HostError, match="another program listens on"):
                listen(str(path))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))

    def test_a_live_one_whose_queue_is_full_is_refused_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "app.sock"
        with (
            socket.socket(socket.AF_UNIX) as other,
            socket.socket(socket.AF_UNIX) as one,
            socket.socket(socket.AF_UNIX) as two,
        ):
            other.bind(str(path))
            other.listen(0)
            for client in (one, two):
                client.setblocking(False)
                client.connect_ex(str(path))
            with pytest.raises(HostError, match="another program listens on"):
                listen(str(path))

    def test_a_file_that_is_no_socket_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "app.sock"
        path.write_text("precious")
        with pytest.raises(HostError, match="is no socket"):
            listen(str(path))
        assert path.read_text() == "precious"

    def test_the_one_that_somebody_has_put_in_its_place_is_not_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "app.sock"
        with listen(str(path)):
            path.unlink()
            path.write_text("somebody else's")
        assert path.read_text() == "somebody else's"

    def test_a_directory_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(HostError, match="No such file or directory"):
            listen(str(tmp_path / "none" / "app.sock"))

    def test_a_failure_takes_those_before_it_away(self, tmp_path: Path) -> None:
        (tmp_path / "b.sock").write_text("in the way")
        with pytest.raises(HostError):
            listen("./a.sock", "./b.sock", directory=tmp_path)
        assert not (tmp_path / "a.sock").exists()
