"""`manifest`: what each row of a table becomes, and what is said of tables that will not do."""

import csv
import io
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import fill

from sslkit import OUTSIDE, UNKNOWN, Data, Images, Progress
from sslkit.environment import fingerprint
from sslkit.errors import DataError, MissingData
from sslkit_plugins.data.formats.tables import of_csv
from sslkit_plugins.data.manifest import Manifest, below

Open = Callable[..., Data]
TABLE = """path,label,split,weight
a/0.png,10,,
a/1.png,9,train,2.5
"a/2.png",2,labeled,
a/3.png,,,
a/4.png,9,unlabeled,1
b/0.png,77,unlabeled,
b/1.png,,train,

b/2.png,2,val,
./b//3.png,10,Test,
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", a=5, b=4)


@pytest.fixture
def opened(root: Path) -> Open:
    """`opened(text, ...)`: the data of a table beside the images."""

    def made(text: str | bytes = TABLE, seed: int = 0, **said: object) -> Data:
        file = root / "table.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Manifest(**{"file": file, **said}).open_data(Progress(seed, plugin="manifest"))  # type: ignore[arg-type]

    return made


def refused(opened: Open, text: str | bytes = TABLE, **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(text, **said)
    assert str(caught.value).startswith("[data] manifest: ") and not isinstance(caught.value, MissingData)
    return str(caught.value).removeprefix("[data] manifest: ")


def truth(images: Images | None) -> dict[str, int]:
    assert images is not None
    return dict(zip(images.ids, images.truth.tolist(), strict=True))


# What rows become -----------------------------------------------------------------------------------------------------


def test_every_kind_of_row(opened: Open) -> None:
    data = opened(include_labeled=False)
    assert data.classes == ("2", "9", "10")
    assert truth(data.labeled) == {"a/0.png": 2, "a/1.png": 1, "a/2.png": 0}
    assert truth(data.unlabeled) == {"a/3.png": UNKNOWN, "a/4.png": 1, "b/0.png": OUTSIDE, "b/1.png": UNKNOWN}
    assert truth(data.validation) == {"b/2.png": 0} and truth(data.test) == {"b/3.png": 2}
    assert data.labeled.weight is not None and data.labeled.weight.tolist() == [1, 2.5, 1]
    for images in data.splits.values():
        assert images.read(np.array([0]))[0].shape[2] == 3
        assert images is data.labeled or images.weight is None
    assert any("`table.csv`" in note for note in data.notes)


def test_path_and_label_are_enough(opened: Open) -> None:
    data = opened("label,path\nowl,a/0.png\ncat,a/1.png\n,a/2.png\n", include_labeled=False)
    assert data.classes == ("cat", "owl") and truth(data.unlabeled) == {"a/2.png": UNKNOWN}
    assert data.labeled.weight is None and data.validation is None and data.test is None


def test_columns_by_other_names_and_separators(opened: Open) -> None:
    table = "file;kind;part;w\na/0.png;x;val;\na/1.png;x;;3\na/2.png;y;;\n"
    said = {
        "path_column": "file",
        "label_column": "kind",
        "split_column": "part",
        "weight_column": "w",
        "separator": ";",
    }
    data = opened(table, **said)
    assert truth(data.labeled) == {"a/1.png": 0, "a/2.png": 1} and truth(data.validation) == {"a/0.png": 0}
    assert data.labeled.weight is not None and data.labeled.weight.tolist() == [3, 1]
    assert "has no column `parts`" in refused(opened, table, **(said | {"split_column": "parts"}))


def test_given_classes(opened: Open) -> None:
    data = opened(classes=["10", "9", "2"])
    assert data.classes == ("10", "9", "2") and data.labeled.truth.tolist() == [0, 1, 2]
    message = refused(opened, classes=["10", "9"])
    assert message == "row 4 of `table.csv`: the label `2` is none of the 2 classes, `10`, `9`"
    message = refused(opened, "path,label\na,cat\nb,dog\nc,catt", classes=["cat", "dog"])
    assert (
        "row 4 of `table.csv`: the label `catt` is none of the 2 classes, `cat`, `dog`. Did you mean `cat`?" in message
    )
    assert "`classes` names `9` more than once" in refused(opened, classes=["9", "9", "2", "10"])
    assert "no labeled image is of `3`: there is nothing" in refused(opened, classes=["10", "9", "2", "3"])


def test_labels_are_one_text_however_their_accents_are_written(opened: Open) -> None:
    assert opened("path,label\na,caf\u00e9\nb, cafe\u0301\nc,tea\n").classes == ("caf\u00e9", "tea")


def test_a_byte_order_mark_and_other_line_ends(opened: Open) -> None:
    plain = opened("path,label\na/0.png,x\na/1.png,y\n")
    for text in (b"\xef\xbb\xbfpath,label\na/0.png,x\na/1.png,y", b"path,label\r\na/0.png,x\r\n\r\na/1.png,y\r\n"):
        assert fingerprint(opened(text)) == fingerprint(plain)


def test_images_are_not_looked_for_before_they_are_read(opened: Open, root: Path) -> None:
    data = opened("path,label\nnone.png,x\na/1.png,y\n")
    assert len(data.labeled.read(np.array([1]))) == 1
    with pytest.raises(DataError, match=rf"the image `{root}/none.png` .labeled split. cannot be read: No such file"):
        data.labeled.read(np.array([0]))


def test_another_root(opened: Open, root: Path, tmp_path: Path) -> None:
    table = "path,label\nphotos/a/0.png,x\nphotos/a/1.png,y\n"
    assert len(opened(table, root=tmp_path).labeled.read(np.array([0, 1]))) == 2
    inside = f"path,label\n{root}/a/0.png,x\na/../a/1.png,y\n"
    assert opened(inside).labeled.ids == ["a/0.png", "a/1.png"]


def test_test_images_alone_can_measure(opened: Open) -> None:
    data = opened("path,label,split\na/0.png,x,test\na/1.png,y,test\n")
    assert data.classes == ("x", "y") and not len(data.labeled)
    assert "labeled: none. No row of `table.csv` is labeled" in data.notes


def test_labels_are_hidden_by_seed(opened: Open) -> None:
    table = "path,label,weight\n" + "".join(f"a/{i}.png,{i % 2},{i + 1}\n" for i in range(9))
    data = opened(table, labels_per_class=2, validation=2)
    assert data.labeled.truth.tolist().count(0) == 2 and data.labeled.weight is not None
    assert [int(weight) for weight in data.labeled.weight] == [int(one[2]) + 1 for one in data.labeled.ids]


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1))
def test_any_text_comes_back(texts: list[str]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([["label", "path"], *zip(texts, texts, strict=True)])
    columns = {"label": ("label", True), "path": ("path", True), "split": ("split", False)}
    found = of_csv("some.csv", written.getvalue().encode(), columns, ",")
    assert found.columns == {"label": texts, "path": texts, "split": [""] * len(texts)}
    assert [*found.numbers] == [*range(2, len(texts) + 2)]


# What will not do -----------------------------------------------------------------------------------------------------

HEAD = "path,label,split,weight\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [("a,x,,\nb,y\n", "row 3 of `table.csv` has 2 fields, and its header 4"),
     ("a,x,,\n\nb,y,,,\n", "row 4 of `table.csv` has 5 fields"),
     ('a,x,,\n"b,y,,\n', "row 3 of `table.csv` (line 3): wrong quoting"),
     ('a,x,,\n"b"c,y,,\n', "row 3 of `table.csv` (line 3): wrong quoting"),
     ("a,x,,\nb,y,,\n./a,x,,\n", "row 4 of `table.csv`: the path `./a` is in row 2, too"),
     ("a,x,,\n../b,y,,\n", "row 3 of `table.csv`: the path `../b`: it leads out of the folder `ROOT`"),
     ("a,x,,\nc/../../b,y,,\n", "row 3 of `table.csv`: the path `c/../../b`: it leads out of"),
     ("a,x,,\n/etc/passwd,y,,\n", "row 3 of `table.csv`: the path `/etc/passwd`: it leads out of"),
     ("a,x,,\n,y,,\n", "row 3 of `table.csv`: the path ``: it is empty"),
     ("a,x,trian,\n", "row 2 of `table.csv`: the split `trian` is none of `labeled`, `train`, `unlabeled`, `validation`, `val`, "
      "`test`. Did you mean `train`?"),
     ("a,x,,much\n", "row 2 of `table.csv`: the weight `much` is no number"),
     ("a,x,,nan\n", "row 2 of `table.csv`: the weight `nan`; it has to be above 0"),
     ("a,x,,0\n", "the weight `0`; it has to be above 0"), ("a,x,,1e99\n", "the weight `1e99`; it has to be above 0, and a number"),
     ("a,x,,\nb,,,2\n", "row 3 of `table.csv`: the weight 2, but the image is unlabeled"),
     ("a,x,,\nb,y,,\nc,x,test,2\n", "row 4 of `table.csv`: the weight 2, but the image is test"),
     ("a,x,,\nb,,labeled,\n", "row 3 of `table.csv`: the image is to be labeled, and has no class"),
     ("a,x,,\nb,y,,\nc,,val,\n", "row 4 of `table.csv`: the image is to measure (validation), and has no class"),
     ("a,x,,\nb,y,,\nc,z,val,\n", "row 4 of `table.csv`: the label `z` is none of the 2 classes, `x`, `y`"),
     ("a,x,,\nb,x,,\n", "there is one class, `x`"), ("a,,,\n", "no image has a label, of 1 image"), ("", "no image has a label"),
     ("a,x,,\nb\0,y,,\n", "line 3 of `table.csv` has a NUL byte")],
)  # fmt: skip
def test_rows_that_will_not_do(opened: Open, root: Path, rows: str, said: str) -> None:
    assert said.replace("ROOT", str(root)) in refused(opened, HEAD + rows)


@pytest.mark.parametrize(
    ("table", "said"),
    [("", "`table.csv` is empty; its first row is to name the columns, `path`, `label`"),
     ("\n\n", "`table.csv` is empty"),
     ("file,lable\na,x\n", "`table.csv` has no column `path`; its columns are `file`, `lable`"),
     ("path,lable\na,x\n", "`table.csv` has no column `label`; its columns are `path`, `lable`. Did you mean `lable`?"),
     ("path,label,path\na,x,b\n", "`table.csv` has 2 columns `path`"),
     ("path;label\na;x\n", 'separated by semicolons? Then set separator = ";"'),
     ("path\tlabel\na\tx\n", 'separated by tabs? Then set separator = "\\t"'),
     ("path,label\na,x\nb,caf\u00e9\n".encode("latin-1"), "line 3 of `table.csv` is not UTF-8, from the bytes e9 0a"),
     (b"\xef\xbb\xbf\xe9ath,label\n", "line 1 of `table.csv` is not UTF-8, from the bytes e9 61 74 68"),
     ("path,label\n".encode("utf-16"), "`table.csv` is UTF-16; save it as UTF-8")],
)  # fmt: skip
def test_tables_that_will_not_do(opened: Open, table: str | bytes, said: str) -> None:
    assert said in refused(opened, table)


def test_what_is_not_there(opened: Open, root: Path) -> None:
    with pytest.raises(MissingData, match=r"there is no file `none.csv` .`file`, .* --set data.file=PATH"):
        Manifest(file=Path("none.csv"), classes=["a", "b"]).open_data(Progress(0))
    with pytest.raises(MissingData, match=r"there is no folder .* .`root`"):
        opened(root=root / "none")
    assert "`split` is to hold two things" in refused(opened, path_column="split")


def test_paths_from_the_root() -> None:
    assert below("a/./b//c", "/x") == "a/b/c" and below("/x/y", "/x") == "y" == below("/x/z/../y", "/x")
    assert not any(below(path, "/x") for path in ("", ".", "/x", "..", "../x2", "/x2/y", "/", "a/../.."))


# Parquet --------------------------------------------------------------------------------------------------------------


def test_parquet_is_read_as_the_same_table(opened: Open, root: Path) -> None:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    columns = {
        "path": ["a/0.png", "a/1.png", "a/2.png", "a/3.png", "b/0.png"],
        "label": [10, 9, 2, None, 77],
        "split": [None, "train", None, None, "unlabeled"],
        "weight": [None, 2.5, float("nan"), None, None],
        "more": [b"\0"] * 5,
    }
    file = root / "table.csv"  # what it holds decides
    parquet.write_table(arrow.table(columns), file)
    data = Manifest(file=file).open_data(Progress(0))
    assert data.classes == ("2", "9", "10") and data.labeled.truth.tolist() == [2, 1, 0]
    assert data.labeled.weight is not None and data.labeled.weight.tolist() == [1, 2.5, 1]
    assert data.unlabeled is not None and data.unlabeled.truth[-1] == OUTSIDE
    whole = file.read_bytes()
    for broken in (b"PAR1", whole[: len(whole) // 2]):
        assert "`table.csv` is no Parquet file that can be read" in refused(opened, broken)
    parquet.write_table(arrow.table({"path": ["a", "b"], "label": [[1], [2]]}), file)
    assert "row 1 of `table.csv`: label = [1] is neither text nor a number" in refused(opened, file.read_bytes())


def test_parquet_without_pyarrow(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "table.parquet").write_bytes(b"PAR1....")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingData, match=r"pip install 'sslkit\[parquet\]'"):
        Manifest(file=root / "table.parquet").open_data(Progress(0))


def test_recognized(root: Path) -> None:
    assert Manifest.recognize(root) is None
    (root / "other.csv").write_text("a,b\n")
    (root / "table.csv").write_text(TABLE)
    seen = Manifest.recognize(root)
    assert seen is not None and seen.settings == {"file": root / "table.csv"}
    assert Manifest(**seen.settings).open_data(Progress(0)).classes == ("2", "9", "10")
    (root / "table2.csv").write_text(TABLE)
    assert Manifest.recognize(root) is None  # which of the two is not to be told
