"""Names that differ from their normalised form."""

from graph_support import TOKENIZER
from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as st

from nlpkit.core.text.normalization import normalize
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.graph import Fact


def test_names_in_any_width_case_and_script(tmp_path):
    triples = [
        ("红楼梦（古典小说）", "作者", "曹雪芹"), ("Python", "设计者", "吉多"), ("ＰＨＰ", "设计者", "拉斯姆斯"),
        ("臺灣大學", "所在地", "臺北"), ("iPhone", "公司", "苹果"), ("IPHONE", "公司", "Apple"),
    ]  # fmt: skip
    graph = build_graph(triples, tmp_path / "G.kg", TOKENIZER)
    assert graph.names_in("紅樓夢ｐｙｔｈｏｎ") == [(0, 3, "红楼梦"), (3, 9, "Python")]
    assert graph.names_in("用php和台湾大学") == [(1, 4, "ＰＨＰ"), (5, 9, "臺灣大學")]
    assert [name for _, _, name in graph.names_in("Ｉｐｈｏｎｅ")] == ["iPhone", "IPHONE"]
    assert graph.find("PHP") == [Fact("ＰＨＰ", "", "设计者", ("拉斯姆斯",))]
    assert [fact.subject for fact in graph.find("iphone")] == ["iPhone", "IPHONE"]
    assert [fact.subject for fact in graph.find("IPHONE")] == ["IPHONE"]  # as the graph writes it
    (fact,) = graph.look_up("紅樓夢(古典小説)".replace("説", "說"), "作者")
    assert fact.objects == ("曹雪芹",)
    added = build_graph([("Ｊａｖａ", "设计者", "詹姆斯")], graph.folder, TOKENIZER, add=True)
    assert [name for _, _, name in added.names_in("java与PYTHON")] == ["Ｊａｖａ", "Python"]


@limited(max_examples=30)
@given(st.lists(st.text(st.sampled_from("红紅樓楼aAａ"), min_size=1, max_size=3), min_size=1, max_size=8, unique=True))
def test_a_name_is_found_by_its_normalised_form(tmp_path_factory, names):
    graph = build_graph([(name, "p", "o") for name in names], tmp_path_factory.mktemp("g"), TOKENIZER)
    for name in names:
        variants = [other for other in names if normalize(other) == normalize(name) != other]
        found = [graph.names.text(number) for number in graph.variants.find(normalize(name))]
        assert sorted(found) == sorted(variants)
