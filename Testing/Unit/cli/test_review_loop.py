"""The loop of ``review``: one line in, one line out, whatever happens in between."""

from __future__ import annotations

import io
import json
import os
import queue
from typing import Any

import pytest

from LungNoduleCADLib.cli.review import _END, _answer, _listen, _only_answers_on_stdout, _say, _serve
from LungNoduleCADLib.errors import InputError


class FakeDesk:
    """Answers with what it was asked, or fails; each piece of idle work is counted."""

    def __init__(self, idle_work: int = 0) -> None:
        self.asked: list[dict[str, Any]] = []
        self.idle_work, self.idle_done = idle_work, 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        if request["do"] == "refuse":
            raise InputError("That is not here", todo="look elsewhere")
        if request["do"] == "break":
            raise ZeroDivisionError("oh")
        return {"done": request["do"]}

    def use_idle_time(self) -> bool:
        self.idle_done += 1
        if self.idle_done > self.idle_work:
            raise OSError("disk full")
        return True


def served(lines: list[bytes], desk: FakeDesk) -> list[dict[str, Any]]:
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    _listen(io.BytesIO(b"\n".join(lines)), inbox)
    answers = io.StringIO()
    _serve(desk, inbox, answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_requests_are_answered_in_order_and_blank_lines_are_none() -> None:
    lines = [b'{"id": 1, "do": "a"}', b"", b'{"id": "two", "do": "b"}']
    assert served(lines, FakeDesk()) == [{"answer": 1, "done": "a"}, {"answer": "two", "done": "b"}]


def test_a_request_that_fails_is_answered_and_the_next_one_too(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [b'{"id": 1, "do": "refuse"}', b'{"id": 2, "do": "break"}', b"\xff", b'{"id": 4, "do": "a"}']
    refused, broken, no_text, fine = served(lines, FakeDesk())
    assert refused == {"answer": 1, "error": "That is not here; look elsewhere."}
    assert broken == {"answer": 2, "error": "This did not work (ZeroDivisionError: oh); nothing was changed."}
    assert (no_text["answer"], "not JSON" in no_text["error"]) == (None, True)
    assert fine == {"answer": 4, "done": "a"}
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_idle_work_that_fails_ends_neither_the_process_nor_the_answers(capsys: pytest.CaptureFixture[str]) -> None:
    desk = FakeDesk(idle_work=2)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    answers = io.StringIO()

    class Late(FakeDesk):
        def use_idle_time(self) -> bool:
            if desk.idle_done == 2:
                inbox.put(b'{"id": 1, "do": "a"}')
                inbox.put(_END)
            return desk.use_idle_time()

    _serve(Late(), inbox, answers)
    assert json.loads(answers.getvalue()) == {"answer": 1, "done": "a"}
    assert desk.idle_done == 3
    assert "disk full" in capsys.readouterr().err


def test_a_panel_that_is_gone_ends_the_loop() -> None:
    read, write = os.pipe()
    os.close(read)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    desk = FakeDesk()
    inbox.put(b'{"id": 1, "do": "a"}')
    inbox.put(b'{"id": 2, "do": "b"}')
    with open(write, "w", encoding="utf-8", closefd=True) as answers:  # noqa: PTH123
        _serve(desk, inbox, answers)
        assert [request["id"] for request in desk.asked] == [1]
        assert not _say(answers, {})
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)


def test_what_libraries_print_does_not_get_between_the_answers(capfd: pytest.CaptureFixture[str]) -> None:
    with _only_answers_on_stdout() as answers:
        print("chatter of a library")
        os.write(1, b"chatter in C\n")
        _say(answers, {"ready": True})
    print("as before")
    out, err = capfd.readouterr()
    assert out == '{"ready": true}\nas before\n'
    assert "chatter of a library" in err
    assert "chatter in C" in err


def test_a_request_must_be_an_object() -> None:
    assert "no JSON object" in _answer(FakeDesk(), b"[1]")["error"]
