"""What one dewy leaves to the next: nothing that is not understood is acted on."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import DewyError
from dewy.supervisor.addresses import parse_ports
from dewy.supervisor.inheritance import GenerationRecord, ListenerRecord, SupervisorRecord
from dewy.supervisor.sockets import adopt
from dewy.upgrade.handover import PROBE_VARIABLE, VARIABLE, Handover, take_handover, write_handover

text, number = st.text(max_size=20), st.integers(-1, 10**6)
generations = st.builds(
    GenerationRecord,
    number=number, pid=number, version=text, release=text, began=st.floats(0, 1e9), since=text, said_ready=st.booleans(),
    is_stopping=st.booleans(), text=text, kill_at=st.none() | st.floats(0, 1e9), notify=st.tuples(number, text),
    outputs=st.tuples(number, number), output=st.lists(text, max_size=3).map(tuple),
)  # fmt: skip
listeners = st.builds(ListenerRecord, spec=text, descriptor=number, file=st.none() | st.tuples(text, number, number))
supervisors = st.builds(
    SupervisorRecord,
    listeners=st.lists(listeners, max_size=3).map(tuple), number=number, current=st.none() | number,
    generations=st.lists(generations, max_size=3).map(tuple),
)  # fmt: skip
handovers = st.builds(Handover, dewy_version=text, lock=number, supervisor=st.none() | supervisors, probe=st.booleans())


@given(handover=handovers)
def test_what_is_written_is_taken_and_the_environment_tells_nobody_else(handover: Handover) -> None:
    environ = {VARIABLE: str(write_handover(handover)), "HOME": "/"}
    if handover.probe:
        environ[PROBE_VARIABLE] = "1"
    assert take_handover(environ) == handover
    assert environ == {"HOME": "/"}


def test_where_nothing_is_left_nothing_is_taken() -> None:
    assert take_handover({"HOME": "/"}) is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b'{"format": 99}', b'{"format": 1}', b"\xff", b'{"format": 1, "lock": "x"}']
)
def test_what_is_not_understood_is_refused(content: bytes) -> None:
    descriptor = os.memfd_create("test")
    os.write(descriptor, content)
    with pytest.raises(DewyError, match="is not understood"):
        take_handover({VARIABLE: str(descriptor)})


@pytest.mark.parametrize("told", ["x", "-1", "99999", ""])
def test_a_descriptor_that_is_none_is_refused(told: str) -> None:
    if not told:
        assert take_handover({VARIABLE: told}) is None
        return
    with pytest.raises(DewyError, match="is not understood"):
        take_handover({VARIABLE: told})


def test_a_field_of_another_dewy_is_refused_before_anything_is_touched() -> None:
    """Two dewys that do not understand each other: the probe says so, and the old one goes on."""
    descriptor = os.memfd_create("test")
    one = {"format": 1, "dewy_version": "9", "lock": 5, "supervisor": {"listeners": [], "number": 1, "current": None}}
    os.write(descriptor, json.dumps(one).encode())
    with pytest.raises(DewyError, match="KeyError: 'generations'"):
        take_handover({VARIABLE: str(descriptor)})


def test_sockets_that_were_not_asked_for_are_not_adopted() -> None:
    with pytest.raises(DewyError, match="others than those asked for: 8000"):
        adopt(parse_ports(["8001"]), [ListenerRecord(spec="8000", descriptor=5)])
