"""When a guest's shell is told how large the terminal is, and when not."""

from __future__ import annotations

import pytest

from vmctl.domain.window import Window


def after(*said: bytes) -> Window:
    window = Window()
    window.sized(24, 80)
    for one in said:
        window.said(one)
    return window


PROMPTS = {
    "root": b"\r\nroot@web:~# ",
    "a person": b"debian@web:~$ ",
    "busybox": b"/ # ",
    "no blank": b"web#",
    "coloured": b"\x1b]0;root@web: ~\x07\x1b[01;32mroot@web\x1b[00m:\x1b[01;34m~\x1b[00m# ",
    "pastes": b"\x1b[?2004hroot@web:~# ",
    "ends in a colour": b"web$ \x1b[0m",
    "drawn anew": b"#####\r\x1b[Kweb$ ",
}


@pytest.mark.parametrize("said", PROMPTS.values(), ids=PROMPTS.keys())
def test_a_prompt_is_known(said: bytes) -> None:
    assert after(said).ready


OTHERS = {
    "nothing": b"",
    "a login": b"\r\nweb login: ",
    "a password": b"Password: ",
    "a command half typed": b"root@web:~# ls",
    "a comment in a file": b"# the books\r\n",
    "an editor": b"\x1b[1;1H# a file\x1b[2;1H~\x1b[24;1H\x1b[1m-- INSERT --\x1b[0m",
    "python": b">>> ",
    "a database": b"mysql> ",
}


@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_prompt_is_told_nothing(said: bytes) -> None:
    assert not after(said).ready


def test_a_prompt_in_pieces_is_one_when_it_is_whole() -> None:
    window = after(b"root@web", b":~")
    early = window.ready
    window.said(b"# ")

    assert (early, window.ready) == (False, True)


def test_the_last_size_is_told_once_and_a_new_one_again() -> None:
    window = after(b"web# ")
    window.sized(50, 132)

    assert window.line() == b" stty rows 50 cols 132\r"
    assert not window.ready
    window.sized(24, 100)
    assert window.ready
    assert window.line() == b" stty rows 24 cols 100\r"
