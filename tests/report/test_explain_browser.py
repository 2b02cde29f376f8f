"""The page of explanations in headless Chromium: slider, keys, views; nothing fails, nothing is fetched."""

from __future__ import annotations

import pytest

pytest.importorskip("fcntl", reason="Chromium is driven over a pipe, as on POSIX systems only")

from chromium import find_chromium
from explained import CLASSES, LAMBDAS, digit_model, digit_paths

from wavelens.explain import evaluate
from wavelens.report import usual_explanations, write_explain_report

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")

FIGURE = "document.querySelector('.explained')"
SLIDER = f"{FIGURE}.querySelector('input[type=range]')"
hostile = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "{{ 7 * 7 }}")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    evaluation = evaluate(
        [usual_explanations(path) for path in digit_paths()], digit_model(), n_samples=2, progress=False
    )
    return write_explain_report(
        tmp_path_factory.mktemp("page"),
        digit_paths(),
        digit_model(),
        class_names=CLASSES,
        evaluation=evaluation,
        n_samples=4,
    )


def shown(page, pane="cartoonx"):
    """Return picture, answers and figures of a pane as they are seen."""
    return page.run(
        f"(() => {{ const steps = [...{FIGURE}.querySelectorAll('[data-pane={pane}] .step')]"
        ".filter((step) => step.getClientRects().length);"
        "if (steps.length !== 1) throw new Error(`${steps.length} steps are shown`);"
        "return [steps[0].querySelector('img.kept').src, steps[0].innerText, Number(steps[0].dataset.step)]; })()"
    )


def move(page, to):
    page.run(
        f"(() => {{ {SLIDER}.value = {to}; {SLIDER}.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )


def test_it_loads_with_every_picture(page):
    assert "3 images" in page.run("document.title")
    page.wait("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.run("[...document.images].every((image) => image.src.startsWith('data:'))")


def test_the_slider_changes_pictures_answers_and_figures(page):
    found = {}
    for place in range(len(LAMBDAS)):
        move(page, place)
        found[place] = [shown(page, pane) for pane in ("cartoonx", "pixel_rde")]
        assert [each[2] for each in found[place]] == [place, place]
        lam = sorted(LAMBDAS)[place]
        for factor, (_, text, _) in zip((1, 0.2), found[place], strict=True):
            assert f"{factor * lam:.3g}" in text.split()
            assert "Distortion" in text
            assert "%" in text
        assert f"λ = {lam:g}" in page.run(f"{FIGURE}.querySelector('.now').textContent")
    for pane in (0, 1):
        assert len({found[place][pane][0] for place in found}) > 1
        assert len({found[place][pane][1] for place in found}) == len(LAMBDAS)


def test_other_images_stay_where_they_are(page):
    before = page.run("[...document.querySelectorAll('.explained')].map((f) => f.dataset.step)")
    move(page, 0 if before[0] != "0" else 1)
    after = page.run("[...document.querySelectorAll('.explained')].map((f) => f.dataset.step)")
    assert before[0] != after[0]
    assert before[1:] == after[1:]


def test_it_works_with_the_keys(page):
    page.run(f"{SLIDER}.focus()")
    page.press("Home")
    assert shown(page)[2] == 0
    page.press("ArrowRight")
    assert shown(page)[2] == 1
    page.press("End")
    assert shown(page)[2] == len(LAMBDAS) - 1
    page.press("ArrowLeft")
    place = shown(page)[2]
    assert place == len(LAMBDAS) - 2
    # What a screen reader says, and the pictures below, follow.
    assert page.run(f"{SLIDER}.getAttribute('aria-valuetext')").startswith(f"λ {sorted(LAMBDAS)[place]:g},")
    marked = page.run(
        f"[...{FIGURE}.querySelectorAll('.marks button')].findIndex((b) => b.ariaCurrent === 'step')"
    )
    assert marked == place


def test_a_small_picture_is_a_place_of_the_slider(page):
    for place in (2, 0):
        page.click(f".explained .marks button:nth-child({place + 1})")
        assert shown(page)[2] == place
        assert page.run(f"Number({SLIDER}.value)") == place
        assert page.run(f"document.activeElement === {SLIDER}")


def test_the_other_view_shows_what_the_network_was_shown(page):
    visible = f"[...{FIGURE}.querySelectorAll('.pane img')].filter((i) => i.getClientRects().length)"
    assert page.run(f"{visible}.some((i) => i.classList.contains('seen'))") is False
    page.click(".explained .views input[value=seen]")
    assert page.run(f"{visible}.filter((i) => i.classList.contains('seen')).length") == 2
    assert page.run(f"{visible}.some((i) => i.classList.contains('kept'))") is False
    # It stays so when the slider moves.
    move(page, 1)
    assert page.run(f"{visible}.filter((i) => i.classList.contains('seen')).length") == 2


def test_masks_and_scales_open_and_follow(page):
    page.click(".explained .inside summary")
    inside = f"[...{FIGURE}.querySelectorAll('.inside .step')].filter((s) => s.getClientRects().length)"
    texts = []
    for place in range(len(LAMBDAS)):
        move(page, place)
        assert page.run(f"{inside}.length") == 1
        texts.append(page.run(f"{inside}[0].innerText"))
        assert f"λ = {sorted(LAMBDAS)[place]:g}" in texts[-1]
    assert "finest, 2 pixels" in texts[0]


@pytest.mark.parametrize("width", [340, 600, 900, 1400])
def test_nothing_sticks_out(page, width):
    page.resize(width, 900)
    assert page.run("document.documentElement.scrollWidth") <= width
    outside = page.run(
        "[...document.querySelectorAll('main *')].filter((e) => !e.closest('.scroll') && "
        "e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML)"
    )
    assert outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(page, scheme):
    page.media(scheme=scheme)
    ratios = page.run(
        """(() => {
          const light = (color) => { const v = color.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255)
            .map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
            return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
          const back = light(getComputedStyle(document.querySelector('.control')).backgroundColor);
          return [...document.querySelectorAll('.control .now, .marks span, .answers span.name, .pane dt, .says')]
            .map((e) => light(getComputedStyle(e).color))
            .map((l) => (Math.max(l, back) + 0.05) / (Math.min(l, back) + 0.05)); })()"""
    )
    assert min(ratios) > 4.5


def test_on_paper_there_are_pictures_and_no_controls(page):
    note = f"{FIGURE}.querySelector('.paper-only').getClientRects().length"
    assert page.run(note) == 0
    page.media(kind="print")
    assert page.run(f"getComputedStyle({FIGURE}.querySelector('.control')).display") == "none"
    assert page.run(note) == 1
    assert page.run(f"{FIGURE}.querySelector('.pane img').getClientRects().length") == 1


def test_hostile_names_stay_text(browser, tmp_path):
    names = [hostile[i % 3] for i in range(10)]
    path = write_explain_report(
        tmp_path, digit_paths(), digit_model(), image_names=hostile, class_names=names, n_samples=2
    )
    browser.errors.clear()
    browser.open(path)
    assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
    assert browser.run("document.querySelectorAll('main h3')[2].textContent").endswith("({{ 7 * 7 }})")
    assert browser.errors == []
