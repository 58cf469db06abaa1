"""Why a record is refused: the fixed codes, and the exception that carries one from the rule that failed."""
from __future__ import annotations

CODES = {
    "column-missing": "the file lacks a column that the mapping expects; nothing was imported",
    "encoding": "bytes that are not of the declared encoding",
    "csv-structure": "the record is not a row of this file: stray quote, wrong number of columns, NUL",
    "size": "the record is longer than a reader takes",
    "required": "a value that must be there is empty",
    "identity-missing": "a part of a business key is empty",
    "identity-collision": "the same key, but a value that must agree differs",
    "bad-identifier": "an identifier whose check digit, date or form is wrong",
    "bad-date": "not a date or time of the declared form",
    "bad-number": "not a number",
    "bad-value": "a value that the rule cannot use",
    "unmapped-code": "a code that the code table does not hold",
    "dangling": "a resource that it refers to is not here yet; the record is held and comes in by itself when that arrives",
    "ambiguous": "a lookup finds more than one resource of the site's organisation",
    "duplicate-key": "a different record of the same file has this key",
    "absent": "the mapping only changes what is stored, and nothing with this key is",
    "edited-elsewhere": "the stored resource was changed by somebody else since this feed wrote it",
    "stale": "an older state than the stored one",
    "profile": "the resource that the rules give is not valid FHIR",
    "refused": "the store refused the change",
}


class Reject(Exception):
    """A record is refused: `code` is one of CODES, `message` for the engineer (without the value), `column` of the source, `rule` as file:line."""

    def __init__(self, code: str, message: str, column: str = "", rule: str = ""):
        assert code in CODES, code
        self.code, self.message, self.column, self.rule = code, message, column, rule
        super().__init__(f"{code}: {message}")

    def at(self, column: str, rule: str) -> "Reject":
        """The same, told from the rule that failed; what was known further in stays."""
        self.column, self.rule = self.column or column, self.rule or rule
        return self
