"""The report of a study, opened in a real browser without a network."""

import shutil
from pathlib import Path

import pytest

from onebasin.experiments import SECTIONS, rooms

SCREENSHOTS = Path(__file__).parents[2] / ".ci/screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EXPERIMENTS = ["errors", "pairs", "width", "simplex", "methods", "trajectory", "stability", "pruning", "embedding"]
TINY = {
    "study": "tiny",
    "seeds": [0, 1, 2, 3],
    "models": [{"name": "mlp", "family": "mlp", "widths": [4, 8], "hidden": [1, 1]}],
    "training": {"epochs": 2, "checkpoints": [0, 1]},
    "history": {"widths": [4], "epochs": [0, 1]},
    "pruning": {"widths": [4], "levels": 1, "rewind": 0},
    "tickets": {"levels": [1]},
    "simplex": {"widths": [4], "resolution": 2},
    "embedding": {"wide": 8, "narrow": [4]},
    "matching": [{"name": "weights", "algorithm": "weights"}],
    "frames": [],
    "barrier": {"points": 5, "train_images": 100},
    "experiments": EXPERIMENTS,
}


@pytest.fixture
def page(workplace):
    """The report of a tiny study in a browser that is offline, and what it asked for and complained of."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser is installed: {', '.join(BROWSERS)}")
    workplace.snakemake(*workplace.configure(TINY))
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_context(offline=True, viewport={"width": 1280, "height": 900}).new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto((workplace.results / "report.html").as_uri())
        yield page
        opened.close()


def in_view(page, selector):
    """Whether the top of an element is in the window."""
    return page.eval_on_selector(
        selector, "one => { const top = one.getBoundingClientRect().top; return top >= -1 && top < innerHeight }"
    )


def test_it_shows_what_was_found_and_every_figure_without_a_network(page, workplace):
    page.screenshot(path=SCREENSHOTS / "report.png", full_page=True)
    front = page.locator("dl.found").inner_text()
    for name in EXPERIMENTS:
        finding = (workplace.results / f"summary/{name}.md").read_text().partition("\n\n")[0].strip()
        assert " ".join(finding.split()) in " ".join(front.split())
        article = page.locator(f"article#{name}")
        assert article.locator("h3").inner_text() == rooms()[name].question
        assert finding.split(".")[0] in article.locator("figcaption .finding").inner_text()
        caption = article.locator("figcaption").inner_text()
        assert len(caption) > len(finding) + 100 and "*" not in caption and "`" not in caption
        # The figure comes before the table.
        assert article.locator("figure").bounding_box()["y"] < article.locator("details").bounding_box()["y"]
    pictures = page.eval_on_selector_all("img", "all => all.map(one => [one.complete, one.naturalWidth, one.alt])")
    assert len(pictures) == len(EXPERIMENTS) + 1  # that of width stands on the front page, too
    assert all(complete and width > 300 and alt.endswith("?") for complete, width, alt in pictures)

    sections = page.locator("main section:not(#made) > h2").all_inner_texts()
    assert sections == [name for name in SECTIONS if name in sections] and 1 < len(sections) <= 6
    links = [link.get_attribute("href") for link in page.locator("nav a").all()]
    assert {f"#{name}" for name in EXPERIMENTS} <= set(links)
    for link in links:
        page.locator(f'nav a[href="{link}"]').first.click()
        assert in_view(page, link), link
    for name in EXPERIMENTS:
        article = page.locator(f"article#{name}")
        article.locator("summary").click()
        assert article.locator("tbody tr").first.is_visible()
        for link in article.locator("p.quiet a").all():
            assert (workplace.results / link.get_attribute("href")).is_file()
    page.locator("#made summary").click()
    assert "study: tiny" in page.locator("#made pre").inner_text()

    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=SCREENSHOTS / "report-narrow.png")
    assert page.complaints == []
    assert [url for url in page.asked if not url.startswith(("data:", "file:"))] == []


def test_it_is_made_again_with_the_same_bytes_and_only_when_something_changes(workplace):
    workplace.snakemake("report", *workplace.configure({**TINY, "experiments": ["errors", "pairs"]}))
    path = workplace.results / "report.html"
    before = path.read_bytes()
    configfile = workplace.configure({**TINY, "experiments": ["errors", "pairs"]})
    assert workplace.plan("report", *configfile) == {}
    path.unlink()
    workplace.snakemake("report", *configfile)
    assert path.read_bytes() == before
