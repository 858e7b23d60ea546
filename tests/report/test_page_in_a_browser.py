"""The page in a real browser: every control does what it says, and anyone can use it.

Needs playwright (``pip install -e ".[browser]"``) and Chromium: Debian's, or the one that
``playwright install chromium`` fetches. Skipped where either lacks.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from command_line import CommandLine
from made_up import runs, stored
from pages import EVIL, PageReader, probed, watched

pytestmark = pytest.mark.slow
playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")

ROOT = Path(__file__).parents[2]
WIDTHS = (375, 1280, 1920)
NORMS = ("none", "batchnorm", "groupnorm")


@pytest.fixture(scope="module")
def browser():
    with playwright_api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        names = ("chromium", "chromium-browser", "google-chrome")
        found = next(filter(None, map(shutil.which, names)), None)
        if not own.is_file() and not found:
            pytest.skip("needs Chromium: apt-get install chromium, or playwright install chromium")
        path = None if own.is_file() else found
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def written(folder, records, probes):
    """The page of these, as a file."""
    results = folder / "work" / "results"
    results.mkdir(parents=True)
    (folder / "home").mkdir()
    stored(results, records)
    probed(results, probes)
    code, _, err = CommandLine(folder / "work")("report")
    assert code == 0, err
    return results / "report.html"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """A page of two models, three norms and a training that was watched."""
    records = [
        one
        for place, norm in enumerate(NORMS)
        for size in (128, 2)
        for one in runs(norm, size, accuracy=0.4 + place / 10 - size / 1000)
    ]
    other = [
        one | {"key": f"cc{one['key']}"[:16], "config": one["config"] | {"norm": _evil(one)}}
        for one in runs("batchnorm", protocol=("data=synthetic",))
    ]
    probes = [
        one
        for norm, loss in (("none", 1.5), ("batchnorm", 3.0))
        for seed in (0, 1)
        for one in watched(norm, seed, loss)
    ]
    return written(tmp_path_factory.mktemp("page"), records + other, probes)


def _evil(one):
    return one["config"]["norm"] | {"name": EVIL}


@pytest.fixture
def opened(browser):
    """path, width -> the page in a window of that width; whatever goes wrong in it is an error."""
    wrong, contexts = [], []

    def open_(path, width=1280, **settings):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **settings))
        page = contexts[-1].new_page()
        page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: r.url.startswith("file:") or wrong.append(r.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def see(page, selector):
    """Scroll to a part of the page, so that its charts are drawn."""
    found = page.locator(selector).first
    found.scroll_into_view_if_needed()
    if found.get_attribute("data-chart"):
        playwright_api.expect(found.locator(".panel svg, .empty").first).to_be_visible()
    settle(page)


def settle(page):
    """Let the page draw what it has put off until the next frame."""
    frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(frame)


def drawn(page, selector):
    """What the lines of a chart are, panel by panel."""
    see(page, selector)
    panels = page.locator(f"{selector} .panel svg").all()
    return [[path.get_attribute("d") for path in svg.locator("path").all()] for svg in panels]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_committed_page_opens_fits_and_draws_every_chart(opened, width):
    page = opened(ROOT / "results" / "report.html", width)
    for details in page.locator("details.charts").all():
        details.evaluate("details => { details.open = true; }")
    for figure in page.locator("figure[data-chart]").all():
        if figure.is_visible():
            figure.scroll_into_view_if_needed()
            playwright_api.expect(figure.locator(".panel svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_numbers_on_the_page_are_the_records(opened):
    results = ROOT / "results"
    page = opened(results / "report.html")
    means = {}
    for path in (results / "records").glob("*.json"):
        record = json.loads(path.read_text())
        if record["status"] == "finished":
            place = f"{record['batch_size']} / {record['lr']:g}"
            key = record["config"]["model"]["name"], record["config"]["norm"]["name"], place
            means.setdefault(key, []).append(record["epochs"][-1]["val_accuracy"])
    table = page.locator("#help table.glance").first
    model = re.search(r"Accuracy of (\w+)", table.locator("caption").inner_text()).group(1)
    places = [th.inner_text().strip("↕ ") for th in table.locator("thead th").all()[1:]]
    seen = 0
    for row in table.locator("tbody tr").all():
        norm = row.get_attribute("data-norm")
        for place, cell in zip(places, row.locator("td").all(), strict=True):
            of = means.get((model, norm, place))
            if of:
                assert cell.locator(".ours").inner_text() == f"{sum(of) / len(of):.2f}"
                seen += 1
    assert seen > 20


def test_tabs_show_one_model_at_a_time_and_work_with_the_keyboard(opened, made_up):
    page = opened(made_up)
    tabs = page.locator("#help [role=tab]")
    assert [tab.inner_text() for tab in tabs.all()] == ["cnn4", "resnet18", "cnn4 on synthetic"]
    panels = page.locator("#help [role=tabpanel]:visible")
    assert panels.count() == 1 and "none" in panels.inner_text()
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    assert "resnet18 has not been run here" in panels.inner_text()
    page.keyboard.press("End")
    assert EVIL in panels.inner_text() and panels.count() == 1
    assert tabs.nth(2).get_attribute("aria-selected") == "true"


def test_tables_are_sorted_copied_and_tell_as_much_as_asked_for(opened, made_up):
    page = opened(made_up, permissions=["clipboard-read", "clipboard-write"])
    table = page.locator("#help table.glance").first
    norms = "#help table.glance >> nth=0 >> tbody tr"

    def order():
        return [row.get_attribute("data-norm") for row in page.locator(norms).all()][:3]

    assert order() == ["none", "batchnorm", "batchnorm_eps"]
    table.locator("thead button").nth(1).click()
    assert order()[:3] == ["groupnorm", "batchnorm", "none"]
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "descending"
    table.locator("thead button").nth(1).click()
    assert order()[:3] == ["none", "batchnorm", "groupnorm"]
    spread = page.locator("#help .toggle[data-class=with-std]").first
    assert "±" not in table.locator("tbody").inner_text()
    spread.click()
    assert "0.27 ± 0.01" in table.locator("tbody").inner_text()
    page.locator("#help .toggle[data-class=with-apart]").first.click()
    assert "−0.20 ± 0.02 ✗" in " ".join(table.locator("tbody").inner_text().split())

    def copied(kind):
        button = page.locator(f"#help [data-copy={kind}]").first
        button.click()
        playwright_api.expect(button).to_have_text("copied")
        return page.evaluate("navigator.clipboard.readText()")

    csv = copied("csv").splitlines()
    assert csv[0].startswith("norm,128 / 0.01") and csv[1].startswith("none,0.27 ± 0.01 (0.47")
    latex = copied("latex")
    assert latex.startswith(r"\begin{tabular}{lrrrr}") and r"\textbf{0.47 $\pm$ 0.01" in latex
    assert r"batchnorm\_eps" in latex
    markdown = copied("markdown").splitlines()
    assert markdown[1] == "|---|---:|---:|---:|---:|" and "**0.47 ± 0.01" in "".join(markdown)


def test_one_legend_switches_norms_everywhere(opened, made_up):
    page = opened(made_up)
    chart, row = "#runs-0-cells", page.locator("#help tr[data-norm=groupnorm]").first
    see(page, chart)
    text = page.locator(f"{chart} .plots")
    assert "groupnorm" in text.inner_text() and row.is_visible()
    page.locator(".legend button[data-norm=groupnorm]").click()
    assert "groupnorm" not in text.inner_text() and not row.is_visible()
    page.locator("#norms-none").click()
    see(page, chart)
    assert "switched off" in text.inner_text()
    page.locator("#norms-all").click()
    see(page, chart)
    assert "groupnorm" in text.inner_text() and row.is_visible()


def test_seeds_can_be_seen_in_place_of_their_mean(opened, made_up):
    page = opened(made_up)
    chart = "figure[id^=probe-gradients]"
    of_means = drawn(page, chart)
    page.locator("[data-mode=seeds]").click()
    of_seeds = drawn(page, chart)
    assert len(of_seeds) == len(of_means) == 2 and of_seeds != of_means
    assert page.locator("[data-mode=seeds]").get_attribute("aria-pressed") == "true"


def test_axes_are_linear_or_logarithmic(opened, made_up):
    page = opened(made_up)
    chart = "figure[id^=probe-gradients]"
    see(page, chart)

    before = drawn(page, chart)
    page.locator(f"{chart} [data-scale=linear]").click()
    assert drawn(page, chart) != before
    assert page.locator(f"{chart} [data-scale=linear]").get_attribute("aria-pressed") == "true"
    page.locator(f"{chart} [data-scale=log]").click()
    assert drawn(page, chart) == before


def test_values_are_read_with_the_pointer_and_with_the_keyboard(opened, made_up):
    page = opened(made_up)
    chart = "figure[id^=probe-gradients]"
    see(page, chart)
    box = page.locator(f"{chart} .panel svg").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator("#tip")
    assert "training step" in tip.inner_text() and "convolution 1" in tip.inner_text()
    page.mouse.move(5, 5)
    playwright_api.expect(tip).to_be_hidden()
    page.locator(f"{chart} .plots").focus()
    page.keyboard.press("ArrowRight")
    assert "training step 1" in page.locator("#said").inner_text()
    page.keyboard.press("End")
    assert "training step 12" in page.locator("#said").inner_text()
    assert page.locator(f"{chart} .cross").count() == 2  # in every panel
    page.keyboard.press("Escape")
    assert page.locator(f"{chart} .cross").count() == 0
    dots = "#runs-0-cells"
    see(page, dots)
    page.locator(f"{dots} .plots").focus()
    page.keyboard.press("ArrowDown")
    assert "none" in page.locator("#said").inner_text()


def test_every_chart_has_its_numbers_in_a_table(opened, made_up):
    page = opened(made_up)
    data = PageReader(made_up.read_text()).data["charts"]["runs-0-cells"]
    see(page, "#runs-0-cells")
    page.locator("#runs-0-cells .numbers summary").click()
    rows = page.locator("#runs-0-cells .numbers tbody tr")
    rows.first.wait_for()  # the table is made when it is opened
    assert rows.count() == sum(len(panel["marks"]) for panel in data["panels"])
    assert "0.272" in rows.first.inner_text()


def test_a_slider_moves_gradients_activations_and_landscape_together(opened, made_up):
    page = opened(made_up)
    see(page, "#explorer")
    plots = page.locator("#explorer .plot")

    def state():
        settle(page)
        return [plot.get_attribute("aria-label") for plot in plots.all()]

    first = state()
    assert "step 0" in first[0] and "from −2 to 2" in first[0] and "batchnorm from 3" in first[3]
    page.locator("#step").focus()
    page.keyboard.press("End")
    last = state()
    assert page.locator("#explorer output").inner_text() == "step 12"
    assert "from −6 to 6, before training −2 to 2" in last[0]
    assert "step 12" in last[2] and last[2] != first[2] and "step 12" in last[3]
    page.locator("#batchnorm-switch").click()
    off = state()
    assert "none" in off[0] and "none" in off[2] and off[1] != last[1]
    page.locator("#batchnorm-switch").click()
    assert state() == last


def test_the_training_plays_by_itself_and_stops(opened, made_up):
    page = opened(made_up)
    see(page, "#explorer")
    play = page.locator("#explorer .controls button")
    play.click()
    playwright_api.expect(page.locator("#explorer output")).to_have_text("step 12")
    playwright_api.expect(play).to_have_attribute("aria-pressed", "false")


CASES = [
    ("batch", {}),
    ("layer", {"gamma": 1.5, "beta": -0.5}),
    ("instance", {"eps": 0.1}),
    ("group", {"groups": 2, "gamma": -2.0}),
    ("group", {"groups": 1, "beta": 1.0}),
    ("group", {"groups": 4}),
]


def test_the_demo_computes_what_torch_does(opened, made_up):
    page = opened(made_up)
    for norm, settings in CASES:
        for images in (1, 5):
            compare_with_torch(page, norm, settings, images)


def compare_with_torch(page, norm, settings, images):
    values = torch.randn(images, 4, 4, dtype=torch.float64, generator=torch.manual_seed(3))
    found = page.evaluate(
        "([values, settings]) => normbench.normalize(values, settings).outputs",
        [values.tolist(), {"norm": norm} | settings],
    )
    gamma, beta = settings.get("gamma", 1.0), settings.get("beta", 0.0)
    eps = settings.get("eps", 1e-5)
    layer = {
        "batch": lambda: torch.nn.BatchNorm1d(4, eps=eps),
        "layer": lambda: torch.nn.GroupNorm(1, 4, eps=eps),
        "instance": lambda: torch.nn.InstanceNorm1d(4, eps=eps, affine=True),
        "group": lambda: torch.nn.GroupNorm(settings.get("groups", 2), 4, eps=eps),
    }[norm]().double()
    torch.nn.init.constant_(layer.weight, gamma)
    torch.nn.init.constant_(layer.bias, beta)
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), layer(values))
    if norm == "layer":
        whole = torch.nn.functional.layer_norm(values, values.shape[1:], eps=eps) * gamma + beta
        torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), whole)


def test_the_demo_is_dragged_typed_and_set(opened, made_up):
    page = opened(made_up)
    see(page, "#demo")
    stats = page.locator("#demo .stats")
    assert "12 numbers" in stats.inner_text()  # three images of four positions
    hit = page.locator("#demo .hit[aria-label='image 2, channel 1, position 1']")
    hit.scroll_into_view_if_needed()
    box = hit.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 5, box["y"] + 2)
    page.mouse.up()
    assert float(hit.get_attribute("aria-valuenow")) > 2.5
    other = page.locator("#demo .hit[aria-label='image 1, channel 1, position 1']")
    before = other.get_attribute("aria-valuetext")
    hit.focus()
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    assert float(hit.get_attribute("aria-valuenow")) < 2.5
    assert other.get_attribute("aria-valuetext") != before  # with BatchNorm images are in company
    page.locator("#demo [data-norm=layer]").click()
    before = other.get_attribute("aria-valuetext")
    hit.focus()
    page.keyboard.press("Home")
    assert other.get_attribute("aria-valuetext") == before  # with LayerNorm each is alone
    page.keyboard.press("ArrowRight")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "image 2, channel 1, position 2"
    page.locator("#demo-images").fill("6")
    assert page.locator("#demo .hit").count() == 6 * 16
    page.locator("#demo-beta").fill("2")
    assert "LayerNorm over all channels of image 2, 16 numbers" in stats.inner_text()


def test_claims_are_shown_by_verdict_and_name_their_records(opened, made_up):
    page = opened(made_up)
    claims = page.locator(".claim")
    total = claims.count()
    page.locator(".filters [data-verdict=undecided]").click()
    shown = page.locator(".claim:visible")
    assert 0 < shown.count() < total
    assert {c.get_attribute("data-verdict") for c in shown.all()} == {"undecided"}
    page.locator(".filters button").first.click()
    assert shown.count() == total
    claim = page.locator("#claim-batchnorm-beats-none-at-128")
    claim.locator("details summary").click()
    links = claim.locator(".keys-list a")
    assert links.count() == 6  # three runs of two norms; the other learning rate was not run
    for link in links.all():
        assert (made_up.parent / link.get_attribute("href")).is_file()


def test_a_link_opens_what_it_leads_to(opened, made_up):
    page = opened(made_up)
    page.locator(".filters [data-verdict=supported]").click()
    page.locator("#help .answers a").first.click()
    claim = page.locator("#claim-batchnorm-beats-none-at-128")
    playwright_api.expect(claim).to_be_in_viewport()


def test_colors_follow_the_system_or_the_reader(opened, made_up):
    page = opened(made_up, color_scheme="dark", reduced_motion="reduce")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.locator("#theme").click()
    assert page.evaluate(paper) != dark
    page.locator("#theme").click()
    assert page.evaluate(paper) == dark
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_it_prints_all_of_it(opened, made_up):
    page = opened(made_up)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#help [role=tabpanel]:visible").count() == 3
    assert not page.locator("#toolbar").is_visible()
    assert page.locator("#runs-0-cells .panel svg").count() > 0
    assert len(page.pdf()) > 50_000


@pytest.mark.parametrize(("width", "scheme"), [(375, "light"), (1280, "dark")])
def test_an_accessibility_checker_finds_nothing_serious(opened, made_up, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = opened(made_up, width, color_scheme=scheme)
    for details in page.locator("details").all():
        details.evaluate("details => { details.open = true; }")
    for figure in page.locator("figure[data-chart]").all():
        if figure.is_visible():
            figure.scroll_into_view_if_needed()
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]], one["nodes"][0]["any"][:1])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_an_empty_folder_has_a_page_without_errors(opened, tmp_path):
    page = opened(written(tmp_path, [], []))
    assert "Nothing has been measured yet" in page.locator("header.top").inner_text()
    see(page, "#demo")
    assert page.locator("#demo .hit").count() == 3 * 16
