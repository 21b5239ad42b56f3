"""The methods' cards and their table say what the recipes say."""

import sys
from pathlib import Path

import pytest

from sslkit.recipe import load, shipped

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import cards  # noqa: E402
import rows  # noqa: E402

SCALES = {"finetune_noisy_student", "noisy_student_imagenet", "noisy_student_svhn", "noisy_student_small_to_large"}
"Noisy Student at other sizes: they have no cards of their own."


def test_every_method_has_a_card_and_every_card_a_method():
    assert set(cards.methods()) == {name for name in shipped() if "/" not in name} - SCALES
    written = {path.stem for folder in (cards.HERE, cards.NOTES) for path in folder.glob("*.md")} - {"README"}
    assert written == set(cards.methods())


def test_the_table_is_what_the_recipes_say():
    assert (cards.HERE / "README.md").read_text() == cards.table(), "run `python docs/generate.py`"


@pytest.mark.parametrize("name", cards.methods())
def test_a_card_is_what_its_recipe_says(name):
    assert (cards.HERE / f"{name}.md").read_text() == cards.card(name), "run `python docs/generate.py`"


@pytest.mark.parametrize("name", cards.methods())
def test_notes_say_what_a_card_needs(name):
    notes = cards.notes_of(name)
    assert len(notes.lead) > 80 and len(notes.lead.splitlines()) <= 5
    assert cards.ARXIV.search(notes.sections["The paper"]) or name in ("pseudo_label", "self_training")
    assert notes.sections["What differs from the paper"].startswith("- ")


def test_a_card_says_what_a_person_looks_for():
    text = cards.card("fixmatch")
    assert "| 0 | 32, 96 | student | l + 2u | l + 2u | 1.00 |" in text
    assert "labeled + weak + strong together" in text and "[arXiv 2001.07685](https://arxiv.org/abs/2001.07685)" in text
    assert "| `labeler.confidence.threshold` | 0.95 | 0.95 |" in text and "| `steps` | 600 | 1,048,576 |" in text
    assert " MB" not in text and "memory" not in text.split("## What a step costs")[0].split("```text")[1]


def test_notes_without_a_part_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "NOTES", tmp_path)
    (tmp_path / "fixmatch.md").write_text("# FixMatch\nWhat it does.\n\n## When to choose it\nNow.\n")
    with pytest.raises(ValueError, match="What differs from the paper"):
        cards.notes_of("fixmatch")


# Counting rows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0", "l", "u", "l + 2u", "3l + u", "10l + 10u", "7u"])
def test_a_formula_says_its_rows_and_back(text):
    assert rows.formula(rows.value(text, rows.L, rows.U)) == text


def test_what_a_formula_amounts_to():
    assert rows.value("l + 2u", 32, 96) == 224 and rows.value("0", 32, 96) == 0


def test_a_teachers_rows_come_back_through_nobody():
    (found,) = rows.counted(rows.shrunk("mean_teacher"))
    assert found.forward == {"student": rows.L + rows.U, "average": rows.U}
    assert found.backward == {"student": rows.L + rows.U} and found.cost == 3 * (rows.L + rows.U) + rows.U


def test_a_pass_comes_back_once():
    """VAT feels for its direction by a gradient, too: the clean pass alone is not learned from again."""
    (found,) = rows.counted(rows.shrunk("vat"))
    assert found.forward["student"] == rows.L + 3 * rows.U >= found.backward["student"]
    assert [cfg.settings.batch.labeled for cfg in load("vat").generations] == [32]
