"""Operations by name: one file an operation, one line here. An operation takes a Call and gives an Answer.

https://hl7.org/fhir/R4/operations.html
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.rest.call import Answer, Call
from app.rest.operations.reindex import reindex
from app.rest.operations.translate import translate
from app.rest.operations.validate import validate

OPERATIONS: dict[str, Callable[[Call], Awaitable[Answer]]] = {"reindex": reindex, "translate": translate, "validate": validate}
