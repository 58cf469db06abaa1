"""Long, often repeated texts as small numbers."""
from __future__ import annotations

import sqlite3


class Names:
    """Numbers of long, often repeated texts (types, parameters, systems, custodians), remembered."""

    def __init__(self, con: sqlite3.Connection):
        self.con, self.numbers, self.texts = con, {}, {-1: ""}

    def number(self, text: str) -> int | None:
        found = self.numbers.get(text)
        if found is None:
            row = self.con.execute("select id from name where text=?", (text,)).fetchone()
            if row is None:
                return None
            found = self.numbers[text] = row[0]
        return found

    def text(self, number: int) -> str:
        found = self.texts.get(number)
        if found is None:
            found = self.texts[number] = self.con.execute("select text from name where id=?", (number,)).fetchone()[0]
        return found

    def made(self, text: str | None) -> int | None:
        """The number of a text, made where there is none; -1 is the empty text."""
        if text is None or text == "":
            return None if text is None else -1
        found = self.number(text)
        if found is None:
            found = self.numbers[text] = self.con.execute("insert into name (text) values (?)", (text,)).lastrowid
        return found

    def forget(self) -> None:
        """After a rollback: what was made is gone."""
        self.numbers.clear()
        self.texts = {-1: ""}
