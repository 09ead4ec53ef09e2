"""The page in a browser, headless Chromium. NLPKIT_PAGE_URL=http://127.0.0.1:8000/ tests it on a running service."""

import os

import pytest

pytest.importorskip("selenium")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

EXAMPLES = {
    "ner": "昨天下午，北京大学的李明教授在上海图书馆介绍了他的新书《长江边的城市》。",
    "relation": "《流浪地球》由郭帆执导，吴京、屈楚萧主演，于2019年上映。",
    "event": "兴发集团发布公告，控股股东宜昌兴发集团于2019年11月20日将2000万股进行质押。",
    "classify": "房间很干净，前台也热情。",
    "kgqa": "红楼梦的作者的出生地是哪里？",
    "embed": "花呗怎么还款",
    "search": "酒店隔音怎么样",
}
only_stub = pytest.mark.skipif("NLPKIT_PAGE_URL" in os.environ, reason="needs the answers of the stub")
pytestmark = pytest.mark.slow


def test_every_tab_shows_its_result_without_complaints(page):
    shown = {
        "ner": "mark", "relation": "svg .edge", "event": "svg .edge", "classify": ".bars .bar-fill",
        "kgqa": ".answers li", "embed": ".numbers li", "search": ".answers li",
    }  # fmt: skip
    assert page.tasks()
    for task in page.tasks():
        panel = page.run(task, EXAMPLES[task])
        page.wait(lambda panel=panel, task=task: panel.find_elements(By.CSS_SELECTOR, shown[task]))
        assert panel.find_element(By.CSS_SELECTOR, ".summary").text
        assert page.texts(panel, ".command-name") == ["curl", "nlpkit"]
    assert page.complaints() == []


@only_stub
def test_results_have_their_details(page):
    panel = page.run("ner", EXAMPLES["ner"])
    assert page.texts(panel, "mark") == [
        "北京大学organization",
        "李明name",
        "教授position",
        "上海图书馆address",
        "《长江边的城市》book",
    ]
    assert panel.find_element(By.CSS_SELECTOR, "mark").get_attribute("title") == "organization · 0.893"
    assert "[5, 9)" in page.texts(panel, "td")
    panel = page.run("relation", EXAMPLES["relation"])
    page.wait(lambda: page.texts(panel, ".edges text title"))
    assert page.texts(panel, ".edges text title") == ["上映时间", "主演", "主演", "导演"]
    assert page.texts(panel, "td")[:3] == ["流浪地球", "上映时间", "2019年"]
    panel = page.run("event", EXAMPLES["event"])
    page.wait(lambda: page.texts(panel, ".node.hub title"))  # drawn when its width is known
    assert page.texts(panel, ".node.hub title") == ["质押"]
    assert "sub-org" in page.texts(panel, ".edges text title")
    panel = page.run("kgqa", EXAMPLES["kgqa"])
    assert page.texts(panel, ".best .chain > *") == ["红楼梦（曹雪芹小说）", "作者 →", "曹雪芹", "出生地 →", "江宁"]
    assert "probably right" in panel.text
    panel = page.run("kgqa", "火星上有多少家图书馆？")
    assert "does not hold the answer" in panel.text
    panel = page.run("search", EXAMPLES["search"])
    assert "85" in page.texts(panel, "dd")


@only_stub
def test_embeddings_are_compared(page, stub):
    page.one("#tab-embed").click()
    page.one("#panel-embed .example").click()
    page.wait(lambda: page.all("#panel-embed .verdict"))
    assert stub.requests[-1] == ("embed", {"texts": ["花呗怎么还款", "怎样偿还花呗"]})
    score = float(page.one("#panel-embed .verdict").text.split()[-1])
    assert 0.8 < score < 1
    assert len(page.texts(page.one("#panel-embed"), ".numbers")) == 2


@only_stub
def test_offsets_count_code_points(page):
    panel = page.run("ner", "👍华为在深圳发布Mate 60，任正非出席。")
    assert page.texts(panel, "mark") == ["华为company", "深圳address", "任正非name"]
    assert page.texts(panel, ".marked")[0].startswith("👍华为company在深圳address")


@only_stub
def test_nested_and_overlapping_entities(page):
    panel = page.run("ner", "重叠一二三四五六七八九")
    outer = page.texts(panel, ".line > mark")
    assert outer[0].startswith("重叠一二b三四")
    assert outer[1:] == ["五六↳ c", "八九e"]


@only_stub
def test_markup_in_texts_and_answers_stays_text(page, stub):
    text = '<img src=x onerror="document.title=1"> 华为</textarea><script>document.title=2</script>'
    for task in page.tasks():
        panel = page.run(task, text)
        assert panel.find_elements(By.CSS_SELECTOR, ".result img, .result script, .result b") == []
        assert "onerror" in panel.text
    page.run("ner", "太" + text)
    assert page.driver.title == "nlpkit"
    assert page.complaints() == []


def test_tabs_are_operated_with_the_keyboard(page):
    def selected() -> str:
        (tab,) = page.all("[role=tab][aria-selected=true]")
        assert tab == page.driver.switch_to.active_element
        assert [other.get_attribute("tabindex") for other in page.all("[role=tab]")].count("0") == 1
        visible = [panel for panel in page.all("[role=tabpanel]") if panel.is_displayed()]
        assert [panel.get_attribute("aria-labelledby") for panel in visible] == [tab.get_attribute("id")]
        return str(tab.get_attribute("data-task"))

    names = page.tasks()
    page.one("[role=tab]").click()
    for key, index in [(Keys.ARROW_RIGHT, 1), (Keys.ARROW_LEFT, 0), (Keys.ARROW_LEFT, -1), (Keys.ARROW_RIGHT, 0),
                       (Keys.END, -1), (Keys.HOME, 0)]:  # fmt: skip
        page.driver.switch_to.active_element.send_keys(key)
        assert selected() == names[index]


def test_a_text_is_sent_with_the_keyboard(page):
    task = page.tasks()[0]
    page.one(f"#tab-{task}").click()
    field = page.one(f"#text-{task}")
    field.send_keys("华为在深圳。", Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: page.all(f"#panel-{task} .command"))
    assert field.get_attribute("value") == "华为在深圳。"


def test_a_tab_is_opened_by_its_address(page):
    last = page.tasks()[-1]
    page.open(f"#{last}")
    assert page.one("[role=tab][aria-selected=true]").get_attribute("data-task") == last


@only_stub
def test_both_languages(page):
    page.run("ner", EXAMPLES["ner"])
    assert page.one("#panel-ner .summary").text.startswith("5 entities")
    page.one("#language").click()
    assert page.script("return document.documentElement.lang") == "zh-CN"
    assert page.one("#panel-ner .summary").text.startswith("5 个实体")
    assert page.one("#tab-ner").text == "实体识别"
    assert page.one("#text-ner").get_attribute("value") == EXAMPLES["ner"]
    page.open()
    assert page.one("#tab-ner").text == "实体识别"
    page.one("#language").click()
    assert page.one("#tab-ner").text == "Entities"


def test_every_control_has_a_name(page):
    for language in ("en", "zh"):
        for task in page.tasks():
            page.run(task, EXAMPLES[task])
            tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
            controls = [node for node in tree if node.get("role", {}).get("value") in
                        ("button", "tab", "textbox", "spinbutton", "tabpanel", "table", "region", "image")]  # fmt: skip
            assert len(controls) > 8
            assert [node for node in controls if not node.get("name", {}).get("value")] == [], (language, task)
        page.one("#language").click()


@only_stub
def test_an_error_of_the_service_is_shown(page):
    page.one("#tab-ner").click()
    page.type("ner", "太长")
    page.one("#panel-ner .primary").click()
    page.wait(lambda: page.one("#panel-ner .error").is_displayed())
    error = page.one("#panel-ner .error")
    assert error.get_attribute("role") == "alert"
    assert "too long" in error.text
    assert "split it <b>now</b>" in error.text
    page.run("ner", EXAMPLES["ner"])
    assert not error.is_displayed()
    assert all("413" in message for message in page.complaints())


def test_a_blank_text_is_not_sent(page):
    task = page.tasks()[0]
    page.type(task, " \n")
    page.one(f"#panel-{task} .primary").click()
    assert page.one(f"#panel-{task} .error").text == "Enter a text first."


@only_stub
def test_a_request_is_cancelled_or_replaced(page, stub):
    page.type("ner", "慢")
    page.one("#panel-ner .primary").click()
    page.wait(lambda: page.one("#panel-ner .summary").text == "Running…")
    page.one("#panel-ner .row button:nth-of-type(2)").click()
    assert page.one("#panel-ner .summary").text == "Cancelled."
    page.one("#panel-ner .primary").click()
    page.wait(lambda: len(stub.requests) == 2)
    page.run("ner", EXAMPLES["ner"])
    stub.release.set()
    assert page.one("#panel-ner .summary").text.startswith("5 entities")


@only_stub
def test_a_key_is_asked_for_and_kept_in_memory(page, stub):
    stub.key = "s3cret"
    page.open()
    page.wait(lambda: page.one("#key-form").is_displayed())
    page.one("#tab-ner").click()
    page.type("ner", EXAMPLES["ner"])
    page.one("#panel-ner .primary").click()
    page.wait(lambda: page.one("#panel-ner .error").is_displayed())
    page.one("#key").send_keys("s3cret", Keys.ENTER)
    page.wait(lambda: page.all("#panel-ner mark"))
    assert not page.one("#key-form").is_displayed()
    assert "s3cret" not in page.script("return document.documentElement.outerHTML + JSON.stringify(localStorage)")
    assert "s3cret" not in page.driver.current_url
    assert "Authorization: Bearer $NLPKIT_API_KEY" in page.texts(page.one("#panel-ner"), ".command code")[0]
    page.complaints()


@pytest.mark.parametrize("width", [400, 320])
def test_a_narrow_window_does_not_scroll_sideways(page, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for task in page.tasks():
            page.run(task, EXAMPLES[task])
            assert page.script("return document.documentElement.scrollWidth") <= width, task
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@only_stub
def test_a_threshold_is_sent_and_is_in_the_commands(page, stub):
    page.run("relation", EXAMPLES["relation"])
    field, note = page.one("#threshold-relation"), page.one("#threshold-relation-note")
    assert (field.get_attribute("value"), field.get_attribute("placeholder")) == ("", "0.5")
    assert note.text == "Minimum score (default: 0.5, the model's own)"
    assert page.one("#threshold-ner").get_attribute("placeholder") == "0.4321"
    assert page.one("#threshold-classify").get_attribute("placeholder") == "0"
    assert stub.requests[-1] == ("relation", {"text": EXAMPLES["relation"]})
    field.send_keys("0.25")
    panel = page.run("relation", EXAMPLES["relation"])
    assert stub.requests[-1] == ("relation", {"text": EXAMPLES["relation"], "threshold": 0.25})
    curl, nlpkit = page.texts(panel, ".command code")
    assert '"threshold":0.25}' in curl
    assert nlpkit.endswith("| nlpkit relation --threshold 0.25 --model 'my-model'")
    page.one("#language").click()
    assert note.text == "最低分数（默认：模型自带的 0.5）"
    assert not page.all("#threshold-kgqa, #threshold-embed, #threshold-search")


@only_stub
@pytest.mark.parametrize("value", ["0", "1", "-0.5", "1e-9"])
def test_a_threshold_out_of_range_is_not_sent(page, stub, value):
    page.one("#tab-event").click()
    page.type("event", EXAMPLES["event"])
    field, error = page.one("#threshold-event"), page.one("#panel-event .error")
    field.send_keys(value, Keys.CONTROL, Keys.ENTER)
    assert error.text == "The threshold must be a number from 0.001 to 0.999, or empty."
    assert field.get_attribute("aria-invalid") == "true"
    assert page.driver.switch_to.active_element == field
    assert stub.requests == []
    field.clear()
    field.send_keys("0.999", Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: page.all("#panel-event .command"))
    assert field.get_attribute("aria-invalid") == "false"
    assert not error.is_displayed()


@only_stub
def test_the_steps_of_an_answer_are_shown(page, stub):
    panel = page.run("kgqa", EXAMPLES["kgqa"])
    assert "Decoding steps" not in panel.text
    page.one("label[for=explain]").click()
    panel = page.run("kgqa", EXAMPLES["kgqa"])
    assert stub.requests[-1] == ("kgqa", {"text": EXAMPLES["kgqa"], "explain": True})
    assert page.texts(panel, "th") == ["After", "Allowed", "Chosen", "Most probable"]
    first = page.texts(panel, "tbody tr:first-child td")
    assert first[:3] == ["–", "296", "曹"]
    assert page.texts(panel, "tbody tr:first-child .options li")[0] == "红0.999"
    assert page.texts(panel, "tbody tr:first-child .options strong") == ["曹"]
    curl, nlpkit = page.texts(panel, ".command code")
    assert '"explain":true}' in curl
    assert nlpkit.endswith("| nlpkit kgqa --graph G.kg --explain")
    page.one("#language").click()
    assert "解码步骤" in panel.text
    panel = page.run("kgqa", "是什么？")
    assert "没有解码步骤" in panel.text


@only_stub
def test_the_service_answers_in_the_language_of_the_page(page, stub):
    page.run("ner", EXAMPLES["ner"])
    page.one("#language").click()
    page.run("ner", EXAMPLES["ner"])
    assert stub.languages == ["en", "zh"]


@only_stub
def test_the_focus_stays_in_sight(page, stub):
    page.type("ner", "慢")
    page.one("#panel-ner .primary").click()
    cancel = page.one("#panel-ner .row button:nth-of-type(2)")
    page.wait(cancel.is_displayed)
    page.script("arguments[0].focus()", cancel)
    stub.release.set()
    page.wait(lambda: page.all("#panel-ner .command"))
    assert page.driver.switch_to.active_element == page.one("#panel-ner .primary")
    stub.key = "s3cret"
    page.open()
    page.wait(lambda: page.one("#key-form").is_displayed())
    page.one("#key").send_keys("s3cret", Keys.ENTER)
    page.wait(lambda: not page.one("#key-form").is_displayed())
    assert page.driver.switch_to.active_element == page.one("[role=tab][aria-selected=true]")
    page.complaints()


def test_headings_skip_no_level(page):
    for task in page.tasks():
        panel = page.run(task, EXAMPLES[task])
        assert page.all("h1")
        assert panel.find_elements(By.CSS_SELECTOR, "h2")
        assert not page.all("h3, h4")
