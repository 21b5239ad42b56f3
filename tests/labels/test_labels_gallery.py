"""`sslkit labels gallery`: one page that a browser shows, filters, sorts and corrects by, whatever the names."""

import base64
import csv
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hostile import CLASSES, HOSTILE, put

from sslkit.corrections import read_corrections
from sslkit.dataset import UNKNOWN, Images
from sslkit.errors import DataError
from sslkit.folder import Run
from sslkit.images.words import printable
from sslkit.pseudo_labels.choosing import TOTAL, Chosen, chosen
from sslkit.pseudo_labels.gallery import write_gallery
from sslkit.pseudo_labels.stored import stored
from sslkit.pseudo_labels.thumbnails import SIDE, data_uri, thumbnails

SHOWN = ".card:not([hidden])"


# Chosen images ----------------------------------------------------------------------------------------------------


class Pool:
    """As much of a generation's labels as choosing looks at."""

    def __init__(self, label, confidence, classes):
        self.label, self.confidence, self.classes = np.array(label), np.array(confidence), tuple(map(str, classes))

    def __len__(self):
        return len(self.label)


def test_a_third_each_are_sure_and_doubtful_and_flipped():
    pool = Pool([0] * 100 + [1] * 2, [*np.linspace(1, 0.3, 100), 0.5, 0.6], range(3))
    flipped = np.arange(40, 60)
    one, other = chosen(pool, flipped, 12)
    rows = one.rows.tolist()
    assert len(rows) == 12 == len(set(rows)) and rows == sorted(rows)
    assert one.confident == {0, 1, 2, 3} <= set(rows)
    assert one.doubtful == {96, 97, 98, 99} <= set(rows)
    assert {40, 41, 42, 43} <= set(rows)
    assert (one.number, one.images) == (0, 100)
    assert other.rows.tolist() == [101, 100]


def test_what_is_left_is_spread():
    (one,) = chosen(Pool([0] * 100, np.linspace(1, 0.3, 100), "a"), np.arange(0), 30)
    assert len(one.rows) == 30
    assert any(30 < row < 70 for row in one.rows)


def test_a_page_is_bounded_however_many_classes_there_are():
    classes = 3 * TOTAL
    pool = Pool(np.arange(4 * classes) % classes, np.full(4 * classes, 0.5), range(classes))
    assert sum(len(one.rows) for one in chosen(pool, np.arange(0), 60)) <= TOTAL
    pool = Pool(np.arange(20_000) % 100, np.full(20_000, 0.5), range(100))
    assert sum(len(one.rows) for one in chosen(pool, np.arange(0), 60)) <= TOTAL
    assert {type(one) for one in chosen(pool, np.arange(0), 60)} == {Chosen}


# Pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(5, 9), (300, 200), (1, 4000)])
def test_thumbnails_are_small_and_of_the_right_colour(size, channels):
    image = np.zeros((*size, channels), np.uint8)
    image[..., 0] = 200
    uri = data_uri(image)
    read = cv2.imdecode(np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    assert max(read.shape[:2]) == min(SIDE, max(size))
    assert np.abs(read[..., 2].astype(int) - 200).max() < 12  # red last: OpenCV's order
    assert channels == 1 or read[..., 0].max() < 12


def test_pictures_are_found_by_id_and_broken_ones_are_left_out():
    def read(rows):
        if 2 in rows:
            raise DataError("broken")
        return [np.full((4, 4, 3), row, np.uint8) for row in rows]

    images, told = Images(list("xabcd"), read, np.full(5, UNKNOWN)), []
    found = thumbnails(images, list("abgd"), [0, 1, 2, 3], told.append)  # there is an x before them now, and no g
    assert set(found) == {0, 3}
    assert found[0] == data_uri(np.full((4, 4, 3), 1, np.uint8))
    assert sum(told) == 4


# The page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(here, labels):
    """The page's file."""
    labels("gallery", "photos")
    return here / "gallery.html"


def test_it_is_one_page_that_asks_for_nothing(page):
    text = page.read_text()
    assert not re.search(r"(?:src|href)=[\"'](?!data:)", text)
    assert "default-src 'none'" in text
    assert text.count("data:image/jpeg;base64,") == 28
    assert text.count("<script") == 1


def test_no_name_becomes_markup(page):
    text = page.read_text()
    for name in ("<svg", "<img src=x", "<script>window"):
        assert name not in text
    assert "{{ 7 * 7 }}" in text  # and no template of its own


def test_the_data_gone_it_says_so_and_has_no_pictures(gone, labels):
    assert "warning: There are no pictures" in labels("gallery", "photos")
    text = (gone / "gallery.html").read_text()
    assert "There are no pictures" in text
    assert "data:image" not in text and text.count('class="without"') == 28


def test_pictures_that_are_gone_are_counted(here, labels):
    photos = here / "photos"
    shutil.copytree(photos.resolve(), here / "copy", symlinks=True)
    photos.unlink()
    (here / "copy").rename(photos)
    recipe = here / "runs" / "photos" / "recipe.toml"
    recipe.write_text(re.sub(r'root = ".*"', f'root = "{photos}"', recipe.read_text()))
    (photos / "=pool" / "strange" / "0.png").unlink()
    put(photos / "=pool" / "aaa.png", 1)
    (photos / "=pool" / "strange" / "1.png").write_bytes(b"broken")
    assert "warning: 2 images without a picture" in labels("gallery", "photos")


def test_data_that_was_moved_is_found_where_it_is_said_to_be(gone, labels, refused):
    assert "warning" not in labels("gallery", "photos", "--set", "data.root=photos")
    text = (gone / "gallery.html").read_text()
    assert text.count("data:image") == 28 and "labeled too" not in text
    for other in ("data.labeled=other", "steps=3"):
        text = refused("gallery", "photos", "--out", "b.html", "--set", "data.root=photos", "--set", other)
        assert "such as data.root" in text and not (gone / "b.html").exists()


def test_images_that_are_labeled_too_are_marked(world, tmp_path):
    one = stored(Run(world / "runs" / "photos"))
    one.data = both = replace(one.data, labeled=_some(one.data.unlabeled, one.data.labeled.truth))
    text = write_gallery(one, tmp_path / "gallery.html").path.read_text()
    assert text.count('data-labeled="yes"') == len(both.labeled) == text.count('class="mark">labeled: ')
    assert 'id="labeled"' in text and 'class="mark">labeled: =1+1<' in text


def _some(images, truth):
    """The first images of a split, labeled."""
    return replace(images, ids=list(images.ids)[: len(truth)], truth=truth)


def test_a_page_is_as_large_as_is_wanted_and_never_written_over(here, labels, refused):
    assert "6 of 28 images" in labels("gallery", "photos", "--most", 2, "--generation", 1, "--out", "small.html")
    text = (here / "small.html").read_text()
    assert text.count('<article class="card') == 6
    assert "Flipped since" not in text  # nothing was before
    assert "never overwritten" in refused("gallery", "photos", "--out", "small.html")
    assert (here / "small.html").read_text() == text


# In a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(world, tmp_path_factory):
    """The page of a run that nobody changes."""
    return write_gallery(stored(Run(world / "runs" / "photos")), tmp_path_factory.mktemp("page") / "gallery.html").path


@pytest.fixture
def tab(chromium, made):
    """The page opened; at the end, nothing went wrong in it, and nothing was asked of any network."""
    context = chromium.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True)
    tab, wrong, asked = context.new_page(), [], []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.on("request", lambda request: asked.append(request.url))
    tab.set_default_timeout(10_000)
    tab.goto(made.as_uri())
    yield tab
    assert wrong == []
    assert [url for url in asked if not url.startswith(("data:", "blob:")) and url != made.as_uri()] == []
    context.close()


def paths(tab):
    return tab.locator(SHOWN).evaluate_all("cards => cards.map(card => card.dataset.path)")


def values(tab, key):
    return tab.locator(SHOWN).evaluate_all(f"cards => cards.map(card => card.dataset.{key})")


def test_the_page_shows_every_picture_and_hostile_names_are_inert(tab):
    assert tab.locator(SHOWN).count() == 28
    assert tab.evaluate("window.hacked") is None
    tab.locator(".card img").evaluate_all("images => images.forEach(image => { image.loading = 'eager'; })")
    tab.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert tab.locator("h2", has_text="<img src=x").first.inner_text().startswith(CLASSES[0])
    found = "\n".join(paths(tab))
    assert all(part in found for part in (HOSTILE[0], HOSTILE[1], "new\\nline", "caf\\xe9", "{{ 7 * 7 }}{% raw %}"))


def test_filters_and_sorting(tab, run):
    one = stored(run)
    tab.select_option("#class", "2")
    assert set(values(tab, "class")) == {"2"} and len(paths(tab)) == 9
    tab.click("#reset")
    tab.select_option("#kept", "no")
    assert len(paths(tab)) == 4
    tab.click("#reset")
    tab.check("#flipped")
    assert len(paths(tab)) == 7
    tab.click("#reset")
    tab.fill("#least", "80")
    tab.fill("#most", "90")
    assert len(paths(tab)) == ((one.confidence >= 0.8) & (one.confidence <= 0.9)).sum() > 0
    tab.click("#reset")
    tab.fill("#text", "GRÜSSE".replace("SS", "ß"))
    assert paths(tab) == ["=pool/grüße 猫.png"]
    tab.fill("#text", "nothing like it")
    assert tab.is_visible("#nothing") and tab.inner_text("#count") == "0 of 28 shown"
    tab.click("#reset")
    tab.select_option("#right", "no")
    assert len(paths(tab)) == ((one.truth != -1) & (one.truth != one.label)).sum()
    tab.click("#reset")
    tab.select_option("#class", "0")
    for order, turned in (("high", True), ("low", False)):
        tab.select_option("#sort", order)
        sure = list(map(float, values(tab, "confidence")))
        assert sure == sorted(sure, reverse=turned) and len(set(sure)) == len(sure)


def test_sections(tab, run):
    tab.click("text=Most doubtful")
    sure = list(map(float, values(tab, "confidence")))
    assert sure == sorted(sure)
    assert tab.inner_text("#flat-title") == "Most doubtful" and not tab.is_visible("#groups")
    tab.click("text=Most confident")
    sure = list(map(float, values(tab, "confidence")))
    assert sure == sorted(sure, reverse=True)
    tab.click("text=Flipped since generation 1")
    assert set(values(tab, "flipped")) == {"yes"} and len(paths(tab)) == 7
    assert tab.locator(f"{SHOWN} .flip").count() == 7
    tab.click("text=By class")
    assert len(paths(tab)) == 28 and tab.is_visible("#groups")


def correct(tab, path, value):
    tab.locator(f"{SHOWN}", has=tab.locator(f"p.name[title={_quoted(path)}]")).locator(".picture").click()
    tab.locator(".card select").select_option(value)


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def saved(tab):
    with tab.expect_download() as download:
        tab.click("#download")
    path = Path(download.value.path())
    assert download.value.suggested_filename == "corrections.csv"
    return path


def test_corrections_go_back_into_the_run(tab, run, labels):
    every = run.samples().ids(slice(None))
    for number, sample in enumerate(every):
        correct(tab, printable(sample), "none" if number == 0 else str((number + 1) % 3))
    assert tab.inner_text("#corrections-count") == "28 corrections"
    path = saved(tab)
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert {row["was"].lstrip("'") for row in rows} == set(CLASSES)
    shutil.copy(path, "corrections.csv")
    labels("apply", "photos", "corrections.csv")
    expected = {sample: CLASSES[(number + 1) % 3] if number else "" for number, sample in enumerate(every)}
    assert read_corrections("photos-corrections.csv") == expected


def test_a_correction_can_be_taken_back(tab):
    path = paths(tab)[0]
    correct(tab, path, "1")
    assert tab.locator(".fixed").count() == 1
    tab.check("#corrected")
    assert paths(tab) == [path]
    correct(tab, path, "")
    assert not tab.is_visible("#corrections")
    tab.uncheck("#corrected")
    correct(tab, path, "none")
    tab.click("#undo")
    assert tab.locator(".fixed").count() == 0 and not tab.is_visible("#corrections")


def test_images_that_are_labeled_too_can_be_picked(chromium, world, tmp_path):
    one = stored(Run(world / "runs" / "photos"))
    one.data = replace(one.data, labeled=_some(one.data.unlabeled, one.data.labeled.truth))
    tab = chromium.new_page()
    tab.goto(write_gallery(one, tmp_path / "gallery.html").path.as_uri())
    tab.check("#labeled")
    assert set(values(tab, "labeled")) == {"yes"} and len(paths(tab)) == len(one.data.labeled)
    tab.click("#reset")
    assert len(paths(tab)) == 28
    tab.close()


def test_the_keyboard_is_enough(tab):
    tab.locator(f"{SHOWN} .picture").first.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.tagName") == "SELECT"
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.className") == "picture"
    assert tab.locator(".card select").count() == 0
    assert tab.evaluate("document.querySelectorAll('.card')[1].classList.contains('fixed')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_it_fits_its_window_and_can_be_read(tab, scheme, width):
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = (tab.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    light = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in (ink, paper)]
    assert abs(light[0] - light[1]) > 150 and (light[0] > light[1]) == (scheme == "dark")


def test_on_paper_there_are_images_and_no_controls(tab):
    tab.emulate_media(media="print")
    assert not tab.is_visible(".tools") and tab.locator(".card").first.is_visible()
    assert len(tab.pdf()) > 1000
