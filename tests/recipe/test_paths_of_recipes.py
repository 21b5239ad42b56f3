"""How a recipe's path is said and kept, where it is given with `..`."""

import pytest

from sslkit.errors import RecipeError
from sslkit.recipe import load
from sslkit.recipe.read import locate


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """`recipes/own/fine.toml` extends `../settings/parts.toml`, which has a key that there is none of."""
    for name in ("own", "settings"):
        (tmp_path / "recipes" / name).mkdir(parents=True)
    (tmp_path / "recipes/own/fine.toml").write_text('extends = ["supervised", "../settings/parts.toml"]\n')
    (tmp_path / "recipes/settings/parts.toml").write_text("step = 3\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_messages_name_an_extended_file_without_detours(folder):
    with pytest.raises(RecipeError) as caught:
        load("recipes/own/fine.toml")
    assert "recipes/settings/parts.toml" in str(caught.value) and ".." not in str(caught.value)


def test_a_path_is_as_short_as_it_can_be(folder):
    label, path = locate("../settings/parts.toml", folder / "recipes/own")
    assert (label, path) == ("recipes/settings/parts.toml", folder / "recipes/settings/parts.toml")
    assert locate("recipes/own/../settings/parts.toml")[0] == "recipes/settings/parts.toml"


def test_beyond_the_current_folder_a_path_begins_with_dots(folder, monkeypatch):
    monkeypatch.chdir(folder / "recipes/own")
    assert locate("../settings/parts.toml")[0] == "../settings/parts.toml"
    assert locate("../own/fine.toml")[0] == "../own/fine.toml"


def test_dots_beyond_a_link_are_followed(folder):
    """`link/..` is the folder above the one that the link leads to, not the one that the link lies in."""
    (folder / "deep/below").mkdir(parents=True)
    (folder / "deep/parts.toml").write_text("steps = 1\n")
    (folder / "link").symlink_to(folder / "deep/below")
    label, path = locate("link/../parts.toml")
    assert label == "link/../parts.toml" and path.read_text() == "steps = 1\n"
    (folder / "parts.toml").write_text("steps = 2\n")  # another file of the same name, where the short path leads
    assert locate("link/../parts.toml")[1].read_text() == "steps = 1\n"
