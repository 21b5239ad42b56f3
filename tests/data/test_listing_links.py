"""Links in folders of images that lead to folders which are used otherwise."""

from pathlib import Path

from sslkit.images.listing import ELSEWHERE, LOOP, list_images


def test_links_to_a_parent_or_another_named_folder_add_no_images(tmp_path: Path) -> None:
    for place in ("root/unlabeled/a.png", "root/test/cat/b.png", "far/c.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    pool, test = tmp_path / "root/unlabeled", tmp_path / "root/test"
    for name, target in (("loop", ".."), ("cats", "../test/cat"), ("far", "../../far")):
        (pool / name).symlink_to(target)
    found = list_images(str(pool), {str(pool), str(test)})
    assert found.images == {"": ["a.png"], "far": ["far/c.png"]}
    assert found.skipped == {LOOP: 1, ELSEWHERE: 1}
