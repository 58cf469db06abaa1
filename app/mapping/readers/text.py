"""Text of exports: strict decoding, with the place of the byte that fails, and characters that older tables kept in the private use area.

GB 18030-2000 put 24 characters into the private use area that later editions encode; Python's codec follows the older table.
https://encoding.spec.whatwg.org/#gb18030-decoder
"""
from __future__ import annotations

from collections.abc import Callable

from app.mapping.reject import Reject

MOVED = {
    "\ue78d": "\ufe10", "\ue78e": "\ufe12", "\ue78f": "\ufe11", "\ue790": "\ufe13", "\ue791": "\ufe14", "\ue792": "\ufe15", "\ue793": "\ufe16",
    "\ue794": "\ufe17", "\ue795": "\ufe18", "\ue796": "\ufe19", "\ue7c7": "\u1e3f", "\ue816": "\U00020087", "\ue817": "\U00020089",
    "\ue818": "\U000200cc", "\ue81e": "\u9fb4", "\ue826": "\u9fb5", "\ue82b": "\u9fb6", "\ue82c": "\u9fb7", "\ue831": "\U000215d7",
    "\ue832": "\u9fb8", "\ue83b": "\U0002298f", "\ue843": "\u9fb9", "\ue854": "\u9fba", "\ue855": "\U000241fe", "\ue864": "\u9fbb",
}
_MOVED = str.maketrans(MOVED)


def decode(raw: bytes, encoding: str, column: Callable[[str], str]) -> str:
    """The text of a record. `column` names the column from the text before a byte. Errors: Reject `encoding` with that column.

    UTF-8 that can be read as GB18030 too (李四 as 鏉庡洓) is refused: as such it would come in as garbage.
    """
    try:
        text = raw.decode(encoding)
        if encoding == "gb18030" and not raw.isascii() and _is_utf8(raw):
            start = next(at for at, byte in enumerate(raw) if byte > 0x7f)
            raise Reject("encoding", "the record is UTF-8, and GB18030 by chance alone", column(raw[:start].decode(encoding)))
        return text
    except UnicodeDecodeError as error:
        where = column(raw[:error.start].decode(encoding))
        raise Reject("encoding", f"byte 0x{raw[error.start]:02X} at offset {error.start} of the record is not {encoding.upper()}", where) from None


def _is_utf8(raw: bytes) -> bool:
    """All that is not ASCII is UTF-8 of Chinese characters and signs: by chance this is so of words alone that do not exist."""
    try:
        return all("\u2000" <= sign <= "\u9fff" or "\uff00" <= sign <= "\uffef" for sign in raw.decode("utf-8") if sign > "\x7f")
    except UnicodeDecodeError:
        return False


def private_use(text: str) -> str:
    """The text with moved characters at their present places."""
    return text.translate(_MOVED)


def has_private_use(text: str) -> bool:
    """A character of the private use area stands in it."""
    return not text.isascii() and any("\ue000" <= sign <= "\uf8ff" for sign in text)
