"""Connecting to a submission's socket file leads to that socket and nowhere else."""

import os
import socket

import pytest

from course_utils.errors import CourseError
from course_utils.execution.sandbox.place import make_place, socket_of


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    return make_place(tmp_path / "1", None)


def listening(path):
    made = socket.socket(socket.AF_UNIX)
    made.bind(os.path.relpath(path))
    made.listen()
    return made


def connects_to(place, name, server):
    with socket_of(place, name) as path, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        server.accept()[0].close()


def test_its_own_socket_is_reached(place):
    with listening(place.sockets / "s") as server:
        connects_to(place, "s", server)


def test_a_link_to_another_socket_is_refused(place, tmp_path):
    with listening(tmp_path / "service"):
        (place.sockets / "s").symlink_to(tmp_path / "service")
        with pytest.raises(CourseError, match="s: "), socket_of(place, "s"):
            pass


def test_a_linked_folder_is_refused(place, tmp_path):
    (tmp_path / "other").mkdir()
    with listening(tmp_path / "other" / "s"):
        place.sockets.rmdir()
        place.sockets.symlink_to(tmp_path / "other")
        with pytest.raises(CourseError), socket_of(place, "s"):
            pass


def test_what_is_put_in_its_place_meanwhile_is_not_reached(place, tmp_path):
    own, foreign = listening(place.sockets / "s"), listening(tmp_path / "service")
    with own as server, foreign, socket_of(place, "s") as path:
        (place.sockets / "s").unlink()
        (place.sockets / "s").symlink_to(tmp_path / "service")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            server.accept()[0].close()


def test_a_plain_file_is_no_socket(place):
    (place.sockets / "s").write_text("")
    with pytest.raises(CourseError, match="not a socket"), socket_of(place, "s"):
        pass
