"""The page on functions of mappings, from the functions themselves: `python -m app.mapping.reference > docs/mapping-functions.md`."""
from __future__ import annotations

import inspect

from app.mapping import expression
from app.mapping.functions import FUNCTIONS, GIVES, ON_NOTHING, SOURCES
from app.mapping.reject import CODES

EXAMPLES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "bool": (("值 | bool('是', '否')", "是", "true"), ("值 | bool('是', '否')", "不详", "bad-value")),
    "check_idcard": (("值 | check_idcard", "11010519491231002x", '"11010519491231002X"'), ("值 | check_idcard", "110105194912310021", "bad-identifier"), ("值 | check_idcard(warn)", "无号", "nothing")),
    "code": (("值 | code(sex)", "1", '"male"'), ("值 | code(sex)", "7", "unmapped-code"), ("值 | code(sex, unmapped=keep)", "7", '"7"')),
    "coding": (("值 | coding(sex)", "1", '{"system":"http://hl7.org/fhir/administrative-gender","code":"male"}'), ("值 | coding(sex, unmapped=text)", "7", "nothing")),
    "concat": (("concat(值, 'x', separator='-')", "1", '"1-x"'), ("concat(值, 'x', separator='-')", "", '"x"')),
    "date": (("值 | date('yyyyMMdd', 'yyyy年M月d日')", "2026年1月2日", '"2026-01-02"'), ("值 | date", "2026-02-30", "bad-date")),
    "datetime": (("值 | datetime('yyyy-MM-dd HH:mm')", "2026-01-02 08:05", '"2026-01-02T08:05:00+08:00"'), ("值 | datetime('yyyyMMddHHmmss', 'yyyyMMdd')", "20260102", '"2026-01-02"')),
    "default": (("值 | default('不详')", "", '"不详"'), ("值 | default('不详')", "甲", '"甲"')),
    "div": (("值 | div", "血压 < 120", '"<div xmlns=\\"http://www.w3.org/1999/xhtml\\"><p>血压 &lt; 120</p></div>"'),),
    "extract": (("值 | extract('[0-9]+')", "第12次", '"12"'), ("值 | extract('^(.+)科$')", "内科", '"内"'), ("值 | extract('[0-9]+')", "初诊", "nothing")),
    "idcard_birth": (("值 | idcard_birth", "11010519491231002X", '"1949-12-31"'),),
    "idcard_sex": (("值 | idcard_sex", "11010519491231002X", '"female"'), ("值 | idcard_sex", "1", "nothing")),
    "instant": (("值 | instant('yyyyMMddHHmmss')", "20260102080500", '"2026-01-02T08:05:00+08:00"'),),
    "integer": (("值 | integer", "-7", "-7"), ("值 | integer", "7.0", "bad-number")),
    "mask": (("值 | mask(4)", "13800001234", '"*******1234"'), ("值 | mask(0)", "甲乙", '"**"')),
    "narrow": (("值 | narrow", "２０２６－０１", '"2026-01"'),),
    "number": (("值 | number", "72.50", "72.50"), ("值 | number(',')", "72,50", "72.50"), ("值 | number", "1,000", "bad-number")),
    "pad": (("值 | pad(8)", "42", '"00000042"'),),
    "prefix": (("值 | prefix('ZY')", "42", '"ZY42"'),),
    "quantity": (("值 | quantity('次/分', '/min')", "72", '{"value":72,"unit":"次/分","system":"http://unitsofmeasure.org","code":"/min"}'),),
    "required": (("值 | required", "", "required"),),
    "split": (("值 | split('/', 2)", "120/80", '"80"'), ("值 | split('/', 3)", "120/80", "nothing")),
    "squeeze": (("值 | squeeze", "张　三", '"张三"'),),
    "trim": (("值 | trim | prefix('x')", "　a　", '"xa"'),),
    "ucum": (("值 | ucum", "mmol/L", '"mmol/L"'), ("值 | ucum", "次/分", "nothing")),
    "upper": (("值 | upper", "11x", '"11X"'),),
}
"""Function -> expressions, the text of their column, and what they give: JSON, `nothing`, or the code of a reject. The table `sex` has the code 1 alone."""
KINDS = {"str": "a name or 'text'", "int": "a whole number"}


def page() -> str:
    """The page as Markdown."""
    grammar = inspect.getdoc(expression).partition("\n\n")[2].partition("\n\n")[0]
    return "\n".join([
        "# Expressions and functions of mappings", "",
        "Made from the code by `python -m app.mapping.reference > docs/mapping-functions.md`; a test holds it to that.", "",
        "An expression stands behind `=`. It is a source path, then functions; `//` takes the first that is not empty.", "", "```", grammar, "```", "",
        "Of a function that is given nothing the result is nothing, but for " + ", ".join(f"`{name}`" for name in sorted(ON_NOTHING)) + ". "
        + " and ".join(f"`{name}`" for name in sorted(SOURCES)) + " begin an expression; all others stand behind a `|`.", "",
        "Examples read a column 值; their code table `sex` holds the code 1 alone, `male`. What they make is shown as JSON.", "",
        *(line for name in sorted(FUNCTIONS) for line in _entry(name))])


def _entry(name: str) -> list[str]:
    make = FUNCTIONS[name]
    parameters = list(inspect.signature(make).parameters.values())[1:]
    kinds = [f"- `{p.name}`: {'an expression' if p.annotation.startswith('Given') else KINDS[p.annotation]}"
             + (", any number of them" if p.kind is p.VAR_POSITIONAL else "" if p.default is p.empty else f", `{p.default}` where it is left out" if p.default else ", may be left out")
             for p in parameters]
    return [f"## {name}", "", f"`{name}{_call(parameters)}`" + (f" gives a {GIVES[name]}." if name in GIVES else ""), "", inspect.getdoc(make), "", *kinds, *([""] if kinds else []), *_examples(name)]


def _examples(name: str) -> list[str]:
    told = [f"- `= {expression}` makes of {f'`{value}`' if value else 'nothing'}: {gives if gives == 'nothing' else f'the reject `{gives}`' if gives in CODES else f'`{gives}`'}" for expression, value, gives in EXAMPLES.get(name, ())]
    return ["Examples:", "", *told, ""] if told else []


def _call(parameters) -> str:
    told = ", ".join(f"{p.name}, ..." if p.kind is p.VAR_POSITIONAL else f"{p.name}=" if p.default is not p.empty else p.name for p in parameters)
    return f"({told})" if told else ""


if __name__ == "__main__":
    print(page(), end="")
