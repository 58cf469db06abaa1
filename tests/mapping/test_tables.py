from __future__ import annotations

import pytest

from app.fhir import validate
from app.mapping.document import Mistake
from app.mapping.tables import COLUMNS, concept_map, load
from app.settings import shipped

HEAD = ",".join(COLUMNS) + "\n"


def test_a_table_is_its_rows_by_source_code(tmp_path):
    path = tmp_path / "sex.csv"
    path.write_text(HEAD + "urn:a,1,男,urn:b,male,Male,equivalent,,,\nurn:a,x,不详,,,,unmatched,no target,,\n", encoding="utf-8-sig")
    table = load(path)
    assert table.name == "sex" and table.system == "urn:a"
    assert table.by_code["1"].target_code == "male" and table.by_code["x"].target_code == ""


@pytest.mark.parametrize(("text", "line", "words"), [
    ("a,b\n", 1, "columns"),
    (HEAD + "urn:a,1,x,urn:b,m,M,equivalent,,\n", 2, "9 columns"),
    (HEAD + "urn:a,1,x,urn:b,m,M,equivalent,,,\nurn:a,1,x,urn:b,m,M,equivalent,,,\n", 3, "twice"),
    (HEAD + "urn:a,1,x,urn:b,m,M,same,,,\n", 2, "equivalence"),
    (HEAD + "urn:a,,x,urn:b,m,M,equivalent,,,\n", 2, "source_code"),
    (HEAD + "urn:a,1,x,urn:b,,M,equivalent,,,\n", 2, "target_code"),
])
def test_a_wrong_table_is_told_with_its_line(tmp_path, text, line, words):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Mistake) as told:
        load(path)
    assert told.value.place.endswith(f"t.csv:{line}") and words in str(told.value)


def test_an_absent_table_and_one_that_is_not_utf_8_are_mistakes(tmp_path):
    with pytest.raises(Mistake, match="cannot be read"):
        load(tmp_path / "none.csv")
    (tmp_path / "t.csv").write_bytes("男".encode("gb18030"))
    with pytest.raises(Mistake, match="UTF-8"):
        load(tmp_path / "t.csv")


@pytest.mark.parametrize("path", sorted(shipped("mappings").glob("**/tables/*.csv")), ids=lambda p: p.stem)
def test_every_shipped_table_loads(path):
    assert load(path).rows


def test_two_tables_of_admission_routes_have_their_first_codes_the_other_way_round():
    front, standard = (load(shipped("mappings") / "tables" / f"{name}-admission-route.csv") for name in ("rc026", "cv09-00-403"))
    assert front.by_code["1"].target_code == standard.by_code["2"].target_code == "emd" and front.by_code["2"].target_code == standard.by_code["1"].target_code == "outp"
    assert front.system != standard.system


@pytest.mark.parametrize("path", sorted(shipped("mappings").glob("**/tables/*.csv")), ids=lambda path: path.stem)
def test_every_shipped_table_is_a_concept_map_of_all_its_rows(path):
    table = load(path)
    made = concept_map(table, "h", "a")
    assert [issue.text for issue in validate.validate(made)] == []
    assert sorted(element["code"] for group in made["group"] for element in group["element"]) == sorted(table.by_code)
