"""What is kept of a cell's output: what a terminal would show, bounded, in linear time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.execution import output
from course_utils.execution.output import Bounded, Stream, shorten_message

PIECES = st.lists(st.text(alphabet="ab\r\n", max_size=8), max_size=12)


def streamed(pieces: list[str]) -> str:
    stream = Stream()
    for piece in pieces:
        stream.write(piece)
    return stream.text()


@given(PIECES)
def test_a_stream_shows_what_a_terminal_shows_however_it_is_cut_into_pieces(pieces):
    text = "".join(pieces)
    assert streamed(pieces) == re.sub(r"[^\n]*\r(?=[^\n])", "", text)


@given(PIECES, st.integers(0, 6), st.integers(1, 6))
def test_a_bounded_stream_keeps_beginning_and_end_and_counts_the_rest(pieces, head, tail):
    whole = streamed(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "KEPT_HEAD", head)
        patch.setattr(output, "KEPT_TAIL", tail)
        kept = streamed(pieces)
    if len(whole) <= head + tail:
        assert kept == whole
    else:
        note = output.left_out(len(whole) - head - tail)
        assert kept == f"{whole[:head]}\n{note}\n{whole[-tail:]}"


def test_a_long_line_is_looked_at_a_bounded_number_of_times(monkeypatch):
    """Not the time: what is appended. A line that comes in 2,000 pieces is copied once."""
    appended = []
    append = Bounded.append
    monkeypatch.setattr(
        Bounded, "append", lambda self, text: (appended.append(len(text)), append(self, text))[1]
    )
    stream = Stream()
    for _ in range(2_000):
        stream.write("x" * 10)
    stream.write("\n")
    assert sum(appended) <= 3 * 20_001


def test_a_progress_bar_leaves_one_line(monkeypatch):
    monkeypatch.setattr(output, "KEPT_HEAD", 100)
    bar = [f"\rstep {step}/100000" for step in range(100_000)]
    assert streamed([*bar, "\n", "done\n"]) == "step 99999/100000\ndone\n"


def message(kind: str = "display_data", **content) -> dict:
    return {"msg_type": kind, "content": content}


def test_a_text_result_keeps_its_beginning_and_end():
    shown = message(data={"text/plain": "x" * 2_000_000 + "END"})
    assert shorten_message(shown, 10**9) < 600_000
    assert shown["content"]["data"]["text/plain"].endswith("END")
    assert "1,500,003 characters of output left out" in shown["content"]["data"]["text/plain"]


def test_a_picture_is_whole_or_a_note():
    picture = message(data={"image/png": "x" * 11_000_000, "text/plain": "<Figure>"})
    shorten_message(picture, 10**9)
    assert list(picture["content"]["data"]) == ["text/plain"]
    assert "11,000,000 characters of image/png left out" in picture["content"]["data"]["text/plain"]
    small = message(data={"image/png": "x" * 1_000, "text/plain": "<Figure>"})
    assert shorten_message(small, 10**9) == 1_008
    assert small["content"]["data"]["image/png"] == "x" * 1_000


def test_a_cell_with_many_pictures_keeps_those_that_fit():
    picture = message(data={"image/png": "x" * 1_000})
    shorten_message(picture, room=999)
    assert "image/png" not in picture["content"]["data"]


def test_an_error_is_shortened():
    error = message("error", ename="E", evalue="y" * 3_000_000, traceback=["z" * 3_000_000])
    assert shorten_message(error, 10**9) < 1_100_000
