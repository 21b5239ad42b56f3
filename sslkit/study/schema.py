"""The JSON schema of study files, for editors. What the overrides of a variant may say depends on other files."""

from __future__ import annotations

from ..recipe.describe import DRAFT, Schema, table_schema
from .keys import StudyTable, VariantTable


def study_schema() -> Schema:
    """The schema of a study."""
    study, variant = table_schema(StudyTable), table_schema(VariantTable)
    variant["description"] = "Something that is compared with the base: overrides of it, or another recipe."
    variants = {"type": "array", "description": "What is compared with the base.", "items": variant}
    return {
        "$schema": DRAFT,
        "title": "sslkit study",
        **study,
        "description": "A recipe and its variants over several seeds, compared in pairs.",
        "properties": {**study["properties"], "variant": variants},
    }
