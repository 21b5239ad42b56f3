"""Reports in a real browser: figures are drawn, filters work, in light and dark, on paper, by the keyboard alone."""

import re

import pytest
from made_up import CLASSES, write_run

from sslkit.reporting.making import make

PATIENCE = 180_000
"Milliseconds: a machine may be at other things, too."
PLOT = "figure.plot"
DRAWN = f"{PLOT}[data-drawn]"


@pytest.fixture(scope="session")
def page(made, tmp_path_factory):
    """The page of the run that has everything."""
    return make([made / "runs" / "photos"], tmp_path_factory.mktemp("page") / "report.html").path


@pytest.fixture(scope="module")
def opened(chromium):
    """`opened(path)`: a page's tab. At the end nothing went wrong in any, and nothing was asked of any network."""
    context = chromium.new_context(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    wrong, asked, mine = [], [], []

    def open_page(path):
        tab = context.new_page()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("request", lambda request: asked.append(request.url))
        mine.append(path.as_uri())
        tab.goto(path.as_uri())
        return tab

    yield open_page
    assert wrong == []
    assert [url for url in asked if not url.startswith(("data:", "blob:")) and url.partition("#")[0] not in mine] == []
    context.close()


@pytest.fixture(scope="module")
def shared(opened, page):
    """One tab for all tests of a page: a browser takes its time to read plotly's script."""
    return opened(page)


@pytest.fixture
def tab(shared):
    """The page as it is when it was opened."""
    shared.emulate_media(media="screen", color_scheme="light")
    shared.set_viewport_size({"width": 1200, "height": 800})
    shared.evaluate("""() => {
      theme = ""; showTheme(); $("filters").reset(); readFilters(); filterRows(); redraw();
      for (const one of document.querySelectorAll("details")) one.open = false;
      for (const one of document.querySelectorAll(".choice select")) {
        one.selectedIndex = [...one.options].findIndex((option) => option.defaultSelected);
        one.dispatchEvent(new Event("input"));
      }
      document.activeElement.blur(); scrollTo(0, 0);
    }""")
    return shared


def until(tab, holds):
    """Wait until a JavaScript expression is true. (Playwright's own way evaluates in the page, which its policy forbids.)"""
    for _ in range(PATIENCE // 50):
        if tab.evaluate(holds):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(f"not in time: {holds}")


EVERY = f"[...document.querySelectorAll('{PLOT}')].every(one => one.closest('[hidden]') || one.dataset.drawn)"


def draw_all(tab):
    """Scroll through the page, as a reader does, until every figure that can be seen is drawn."""
    for figure in tab.locator(PLOT).all():
        if figure.is_visible():
            figure.scroll_into_view_if_needed()
    until(tab, EVERY)


def figure(tab, title):
    found = tab.locator(PLOT, has=tab.locator("h3", has_text=re.compile(f"^{re.escape(title)}$"))).locator(
        "visible=true"
    )
    found.scroll_into_view_if_needed()
    until(tab, f"document.getElementById('{found.get_attribute('id')}').dataset.drawn")
    return found


def names(found):
    """Traces that a figure draws."""
    return found.locator(".canvas").evaluate("one => one.data.map(trace => trace.name)")


def test_figures_wait_until_they_are_near(shared):
    assert 0 < shared.locator(DRAWN).count() < shared.locator(PLOT).count()


def test_every_figure_of_the_default_recipe_is_drawn(opened, trained):
    tab = opened(trained / "report.html")
    draw_all(tab)
    assert tab.locator(PLOT).count() > 15
    seen = [one for one in tab.locator(PLOT).all() if one.is_visible()]
    assert all(one.locator(".js-plotly-plot svg path").count() > 5 for one in seen)
    titles = tab.locator("h2").all_inner_texts()
    assert titles[:3] == ["What came out", "What was run", "Data"] and "What the student saw" in titles
    assert tab.locator(".pictures img").count() > 10
    tab.locator(".pictures img").evaluate_all("images => images.forEach(image => { image.loading = 'eager'; })")
    until(tab, "[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_hostile_names_are_shown_and_inert(tab):
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")  # draws all at once, where scrolling takes half a minute
    until(tab, EVERY)
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate("window.hacked") is None and tab.locator("img[src='x']").count() == 0
    assert CLASSES[0] in tab.locator("#filters select option").all_inner_texts()
    ticks = figure(tab, "Class balance, before and after filters").locator(".xtick text").all_text_contents()
    assert ticks == ["<img src=x onerro…", "=1+1", 'o\'wl, "quoted" & …']


def test_generations_are_chosen_in_figures_and_tables(tab):
    curve = figure(tab, "Loss: supervised")
    assert names(curve) == ["teacher", "student 1", "student 2", "supervised baseline"]
    tab.uncheck("#filters input[value='1']")
    tab.uncheck("#filters input[value='baseline']")
    assert names(curve) == ["teacher", "student 2"]
    rows = tab.locator("#accuracy > .scroll tbody tr").locator("visible=true")
    assert [one.split("\t")[0] for one in rows.all_inner_texts()] == ["teacher", "student 2"]
    assert "rows are hidden" in tab.locator("#told").inner_text()
    tab.click("text=Show all")
    tab.locator("#told", has_text="Everything is shown.").wait_for()
    assert len(names(curve)) == 4 and rows.count() == 4


def test_nothing_chosen_is_said(tab):
    curve = figure(tab, "Loss: supervised")
    for box in tab.locator("#filters input").all():
        box.uncheck()
    curve.scroll_into_view_if_needed()  # the clicks scroll, and what is far away waits
    until(tab, f"document.querySelector('#{curve.get_attribute('id')} .canvas').data.length === 0")
    assert "nothing of this is chosen" in curve.locator(".annotation-text").first.text_content()


def test_a_class_is_chosen_in_figures_tables_and_pictures(tab):
    balance = figure(tab, "Class balance, before and after filters")
    pictures = tab.locator("#pictures .option:not([hidden]) li")
    every = pictures.locator("visible=true").count()
    tab.select_option("#filters select", "1")
    opacity = balance.locator(".canvas").evaluate("one => one.data[0].marker.opacity")
    assert opacity == [0.18, 1, 0.18]
    matrix = figure(tab, "What student 2 takes for what")
    assert matrix.locator(".canvas").evaluate("one => one.layout.shapes.length") == 2
    assert 0 < pictures.locator("visible=true").count() < every
    balance.locator("summary").click()
    assert balance.locator("tbody tr").locator("visible=true").all_inner_texts()[0].startswith(CLASSES[1])


def test_a_figure_is_saved_as_a_picture(tab):
    curve = figure(tab, "Loss: supervised")
    curve.locator(".canvas").hover()
    with tab.expect_download() as saved:
        curve.locator(".modebar-btn[data-title*='png' i]").click()
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")


def test_another_generations_labels_are_chosen(tab):
    before = figure(tab, "How sure the teacher was").locator(".canvas").evaluate("one => one.data[0].y")
    tab.locator("#pseudo-labels .choice select").select_option("0")
    after = figure(tab, "How sure the teacher was").locator(".canvas").evaluate("one => one.data[0].y")
    assert before != after


def brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_it_fits_its_window_and_can_be_read(tab, scheme, width):
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 800})
    tick = figure(tab, "Loss: supervised").locator(".ytick text").first.evaluate("one => getComputedStyle(one).fill")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = (tab.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    assert abs(brightness(ink) - brightness(paper)) > 150 and (brightness(ink) > brightness(paper)) == (
        scheme == "dark"
    )
    assert abs(brightness(tick) - brightness(paper)) > 150


def test_the_button_turns_light_to_dark_and_back(tab):
    curve = figure(tab, "Loss: supervised")

    def colours():
        line = curve.locator(".canvas").evaluate("one => one.data[0].line.color")
        return line, tab.evaluate("getComputedStyle(document.body).backgroundColor")

    light = colours()
    tab.click("#theme")
    assert tab.inner_text("#theme") == "Light"
    dark = colours()
    assert brightness(dark[1]) < 60 < brightness(light[1]) and dark[0] != light[0]
    tab.click("#theme")
    assert colours() == light


def test_on_paper_everything_is_drawn_open_and_without_controls(tab, tmp_path):
    tab.click("#theme")
    tab.emulate_media(media="print")
    until(tab, EVERY)
    assert not tab.is_visible(".bar") and not tab.is_visible("nav")
    assert tab.locator("details:not([open])").count() == 0
    assert brightness(tab.evaluate("getComputedStyle(document.body).backgroundColor")) == 255
    curve = tab.locator(PLOT).first.locator(".canvas").evaluate("one => [one.layout.width, one.layout.font.color]")
    assert curve == [680, "#1b1f24"]
    assert len(tab.pdf()) > 50_000
    tab.emulate_media(media="screen")
    until(tab, "document.querySelectorAll('details[open]').length === 0")


def test_the_keyboard_is_enough(tab):
    tab.locator(".skip").focus()
    assert tab.locator(".skip").bounding_box()["x"] >= 0
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "story"
    tab.locator("#filters input").first.focus()
    tab.keyboard.press("Space")
    assert not tab.locator("#filters input").first.is_checked()
    tab.locator("nav a").nth(3).focus()
    tab.keyboard.press("Enter")
    until(tab, "location.hash === '#accuracy'")
    found = figure(tab, "Loss: supervised")
    found.focus()
    assert tab.evaluate("document.activeElement.tagName") == "FIGURE"
    for _ in range(20):  # plotly's own buttons come first
        tab.keyboard.press("Tab")
        if found.locator("summary").evaluate("one => one === document.activeElement"):
            break
    else:
        raise AssertionError("the figure's numbers are out of the keyboard's reach")
    tab.keyboard.press("Enter")
    assert found.locator("table").is_visible()


def test_every_figure_has_its_words_and_every_control_a_name(tab):
    assert tab.locator(f"{PLOT}:not([aria-labelledby])").count() == 0
    said = tab.locator(f"{PLOT} .canvas").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert all(len(one) > 5 for one in said)
    controls = tab.locator("select, input, button").evaluate_all(
        "all => all.map(one => one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim())"
    )
    assert all(controls)
    assert tab.locator("img:not([alt])").count() == 0
    assert tab.evaluate("new Set([...document.querySelectorAll('[id]')].map(one => one.id)).size === "
                        "document.querySelectorAll('[id]').length")  # fmt: skip


def test_a_page_of_several_runs_is_drawn_and_each_can_be_chosen(opened, tmp_path):
    for number in range(3):
        write_run(tmp_path / "runs" / f"run-{number}", tests=(0.7, 0.8 + 0.01 * number), seed=number % 2, full=False)
    tab = opened(make([tmp_path / "runs"], tmp_path / "all.html").path)
    draw_all(tab)
    assert tab.locator(DRAWN).count() > 4
    assert "80.00% (student 1)" in tab.locator("#runs .option:not([hidden]) .lead").inner_text()
    tab.locator("#runs .choice select").select_option("2")
    assert "82.00% (student 1)" in tab.locator("#runs .option:not([hidden]) .lead").inner_text()
    draw_all(tab)
