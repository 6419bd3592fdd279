"""The page: its content, that no text of a record acts as markup or script, its behaviour."""

import base64
import dataclasses
import functools
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from helpers.browser import ask, dump, needs_chromium
from helpers.made_up_records import METHODS, SPARSITIES, board, column, result, results
from hypothesis import given, settings
from hypothesis import strategies as st

from dstbench.boards import board_figures
from dstbench.boards.board import Block, Board
from dstbench.boards.cells import Cell, Key
from dstbench.boards.markdown import accuracy_blocks
from dstbench.boards.page.page_values import relative_path
from dstbench.boards.page.render_page import render_page
from dstbench.boards.significance import with_comparisons

# Most tests here render large pages or start a browser.
pytestmark = pytest.mark.slow

EVIL = "<script>alert(1)</script>"
QUOTES = "\"><img src=x onerror='document.title=1'>"


class Parsed(HTMLParser):
    """Elements as (name, attributes), and all text."""

    def __init__(self, markup):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def named(self, name):
        return [attributes for found, attributes in self.elements if found == name]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A page with its records, without pictures: the path of index.html."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "index.html").write_text(render_page(board(folder)))
    return folder / "index.html"


def test_page_and_tables_of_thousands_of_runs_stay_small(tmp_path):
    where = column()
    one = result("SET", where, 0, 90.0)
    found = [
        dataclasses.replace(one, seed=seed, name=f"set-{seed}", accuracy=90 + seed % 7 / 10)
        for seed in range(3000)
    ]
    cell = Cell(Key("SET", where), tuple(found))
    links = accuracy_blocks.record_links(cell)
    assert "n = 3000" in links and "2,975 more in" in links and len(links) < 4000
    block_ = Block("many", ("SET",), (where,), {cell.key: cell}, {}, {})
    page = render_page(Board(tmp_path, (), (block_,), tuple(found)))
    assert len(page) < 500_000
    assert "2,975 more in" in " ".join(Parsed(page).text.split())


# --- what it shows ------------------------------------------------------------------------------


def test_page_of_the_same_board_has_the_same_bytes(tmp_path):
    first = render_page(board(tmp_path))
    assert render_page(board(tmp_path)) == first
    assert first.endswith("</html>\n")


def test_page_cell_shows_mean_std_seeds_paper_and_difference(rendered):
    text = " ".join(Parsed(rendered.read_text()).text.split())
    assert "93.10 ± 0.10*n 3paper 93.09, +0.01" in text
    assert "10.00 ± 0.00n 3collapsed 3/3" in text


def test_page_shows_every_seed_and_the_mean_without_collapsed_runs(tmp_path):
    def one_collapsed(key, seed):
        return {"accuracy": 10.0, "collapsed": True} if seed == 2 else {}

    parsed = Parsed(render_page(board(tmp_path, results(changes=one_collapsed))))
    titles = {a.get("title") for a in parsed.named("a")}
    assert "seed 0: 93.00, seed 1: 93.10, seed 2: 10.00 collapsed" in titles
    assert "without collapsed 93.05 ± 0.07 (n = 2)" in parsed.text


def test_page_shows_groups_and_what_the_seeds_resolve(tmp_path):
    made = board(tmp_path)
    (block,) = with_comparisons(made.tables[0].blocks)
    table = dataclasses.replace(made.tables[0], blocks=(block,))
    text = Parsed(render_page(dataclasses.replace(made, tables=(table,)))).text
    assert "group ab" in text and "resolves 0.2" in text


def test_page_marks_diverged_runs_and_selection_on_test(tmp_path):
    def failed(key, seed):
        if key.method == "RigL" and seed == 0:
            return {"accuracy": None, "diverged": True}
        return {"selected_on_test": key.method == "SET"}

    text = Parsed(render_page(board(tmp_path, results(changes=failed)))).text
    assert "diverged 1/3" in text and text.count("selected on test") > 6


def test_page_links_have_targets_and_every_record_is_linked(tmp_path):
    made = board(tmp_path)
    text = render_page(made)
    for setting, plots in board_figures.plots_by_setting(made).items():
        folder = tmp_path / "figures" / setting.slug
        folder.mkdir(parents=True)
        for file in (f"{plot.name}{suffix}" for plot in plots for suffix in (".svg", ".png")):
            (folder / file).touch()
    (tmp_path / "measurements").mkdir()
    for file in (*(one.link for one in made.results), "measurements/one.json"):
        (tmp_path / file).touch()
    parsed = Parsed(text)
    links = [a["href"] for a in parsed.named("a")] + [i["src"] for i in parsed.named("img")]
    assert {relative_path(one.link) for one in made.results} <= set(links)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in links:
        assert link[1:] in ids if link.startswith("#") else (tmp_path / link).is_file(), link


def test_page_of_an_empty_board_renders(tmp_path):
    parsed = Parsed(render_page(Board(tmp_path, (), (), ())))
    assert "0 runs of 0 methods" in parsed.text and not parsed.named("img")


def test_page_shows_a_records_command_quoted_for_the_shell(tmp_path):
    command = ("dstbench", "run", "methods/set.gin", "--set", "SET.name = 'a'")
    one = result("SET", column("cifar10", SPARSITIES[0]), 0, 50.0, command=command)
    assert (
        """dstbench run methods/set.gin --set 'SET.name = '"'"'a'"'"''"""
        in Parsed(render_page(board(tmp_path, [one]))).text
    )


# --- escaping -------------------------------------------------------------


@settings(max_examples=15)  # each renders a page
@given(st.text(min_size=1), st.text(min_size=1))
def test_page_text_and_attributes_are_escaped(method, dataset):
    parsed = Parsed(render_page(_one(Path("/nowhere"), method, dataset)))
    (row,) = [a for name, a in parsed.elements if a.get("id", "").startswith("cell-")]
    assert (row["data-method"], row["data-dataset"]) == (method, dataset)
    assert method in parsed.text and dataset in parsed.text


@given(st.text(min_size=1))
def test_relative_path_stays_in_the_leaderboards_folder(name):
    assert re.fullmatch(r"\./[\w.~%/-]*", relative_path("records", name))


@settings(max_examples=15)  # each renders a page
@given(st.text(min_size=1), st.text(min_size=1))
def test_page_has_the_same_elements_for_any_names(method, dataset):
    plain, odd = _parsed("A", "d"), Parsed(render_page(_one(Path("/nowhere"), method, dataset)))
    assert [name for name, _ in odd.elements] == [name for name, _ in plain.elements]
    assert [set(a) for _, a in odd.elements] == [set(a) for _, a in plain.elements]


@functools.cache
def _parsed(method, dataset):
    return Parsed(render_page(_one(Path("/nowhere"), method, dataset)))


def _one(folder, method, dataset):
    where = column(dataset)
    found = (result(method, where, 0, 50.0, name="r"),)
    cells = {Key(method, where): Cell(Key(method, where), found)}
    return Board(folder, (), (Block(dataset, (method,), (where,), cells),), found)


def test_content_security_policy_allows_only_the_inline_style_and_script(rendered):
    text = rendered.read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "unsafe" not in policy and "http" not in policy
    for name in ("style", "script"):
        (content,) = re.findall(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"


def test_page_refers_to_no_other_site(rendered):
    parsed = Parsed(rendered.read_text())
    named = [v for _, a in parsed.elements for k, v in a.items() if k in ("src", "href", "action")]
    assert named and not [v for v in named if not v.startswith(("#", "./"))]
    assert "@import" not in rendered.read_text() and "url(" not in rendered.read_text()


@needs_chromium
def test_page_with_a_hostile_record_runs_no_script(tmp_path):
    made = _one(tmp_path, EVIL, QUOTES)
    (tmp_path / "index.html").write_text(render_page(made))
    found = ask(
        tmp_path / "index.html",
        """
        set("filter", "<script>alert(2)</script>"); await settled();
        set("filter", ""); await settled();
        for (const button of all("[data-sort]")) button.click();
        const foreign = all("img:not([src^='./figures/'])");
        return { scripts: all("script").length, images: foreign.length, title: page.title,
                 method: rows("every")[0], violations };
        """,
        "#filter=<img src=x onerror=alert(1)>&sort=<b>.x.ascending&method=<script>&theme=<b>",
    )
    assert found == {"scripts": 1, "images": 0, "title": "dstbench leaderboard", "method": EVIL,
                     "violations": []}  # fmt: skip


# --- behaviour -----------------------------------------------------------------------------


@needs_chromium
def test_page_applies_sort_and_filter_of_its_address(rendered):
    dom, console = dump(rendered, "#sort=table-1-1.2.descending&filter=rigl&sparsity=99.99+%25")
    assert not console
    matrix = re.search(r'<table id="table-1-1".*?</table>', dom, re.DOTALL)[0]
    order = re.findall(r'<tr data-method="([^"]*)"( hidden="")?', matrix)
    assert order == [("RigL w/ WS", ""), ("RigL", ""), ("SET", ' hidden=""')]
    assert re.search(r'<p id="count" role="status">4 of 18 cells</p>', dom)
    assert len(re.findall(r'<th[^>]*aria-sort="descending"', matrix)) == 1


@needs_chromium
def test_page_column_click_sorts_descending_ascending_and_back(rendered):
    found = ask(
        rendered,
        """
        const button = one('#every [data-sort="accuracy"]'), states = [];
        for (let i = 0; i < 4; i++) {
          const first = rows("every")[0], head = button.closest("th").ariaSort;
          states.push([head, first, decodeURIComponent(view.location.hash)]);
          button.click();
        }
        one('#every [data-sort="method"]').click();
        return { states, names: rows("every"), heads: all('#every [aria-sort="none"]').length,
                 buttons: all("#every [data-sort]").length };
        """,
    )
    assert found["states"] == [
        ["none", "SET", ""],
        ["descending", "SET", "#sort=every.accuracy.descending"],
        ["ascending", "SET", "#sort=every.accuracy.ascending"],
        ["none", "SET", ""],
    ]
    assert found["names"] == sorted(found["names"], key=str.lower)
    assert found["heads"] == found["buttons"] - 1


@needs_chromium
def test_page_sorts_numbers_numerically_and_missing_last(tmp_path):
    accuracies = {"SET": (9.0, 82.0, 10.0), "RigL": (92.0, 85.0, 20.0)}
    found = [r for r in results(accuracies, ("cifar10",)) if r.key.column.sparsity < 0.9999
             or r.key.method == "RigL"]  # fmt: skip
    (tmp_path / "index.html").write_text(
        render_page(board(tmp_path, found, rows=("SET", "RigL", "EAST")))
    )
    orders = ask(
        tmp_path / "index.html",
        """
        const found = [];
        const columns = [["table-1-1", "0"], ["table-1-1", "2"], ["every", "paper"]];
        for (const [table, column] of columns) {
          for (let i = 0; i < 2; i++) {
            one(`#${table} [data-sort="${column}"]`).click();
            found.push(rows(table));
          }
        }
        return found;
        """,
    )
    assert orders[:2] == [["RigL", "SET", "EAST"], ["SET", "RigL", "EAST"]]  # 92 before 9
    assert orders[2] == orders[3] == ["RigL", "SET", "EAST"]
    assert orders[4][0] == orders[5][0] == "SET"


@needs_chromium
def test_page_filters_hide_rows_columns_and_empty_sections(rendered):
    found = ask(
        rendered,
        """
        const seen = [];
        const shown = (selector) => all(`#table-1-1 thead ${selector}`).filter((h) => !h.hidden);
        const note = () => seen.push([
          rows("table-1-1"), shown("tr + tr th").length, rows("every").length,
          one("#table-2").hidden, one("#nothing").hidden, shown(".setting").map((h) => h.colSpan),
        ]);
        note();
        set("dataset", "cifar100"); note();
        set("sparsity", "99.9 %"); note();
        set("method", "RigL"); note();
        one("form").reset(); await settled(); note();
        set("filter", "WS 99.99 cifar100"); note();
        set("filter", "nothing such"); note();
        return [seen, one("#count").textContent, view.location.hash];
        """,
    )
    every = list(METHODS)
    seen, count, address = found
    assert seen == [
        [every, 6, 18, False, True, [3, 3]],
        [every, 3, 9, False, True, [3]],
        [every, 1, 3, True, True, [1]],
        [["RigL"], 1, 1, True, True, [1]],
        [every, 6, 18, False, True, [3, 3]],
        [["RigL w/ WS"], 1, 1, True, True, [1]],
        [[], 0, 0, True, False, []],
    ]
    assert count == "0 of 18 cells" and address == "#filter=nothing+such"


@needs_chromium
def test_page_link_to_records_clears_the_filter(rendered):
    found = ask(
        rendered,
        """
        const link = one("#table-1-1 tbody td a");
        set("method", "RigL");
        link.click();
        await settled();
        const row = one(view.location.hash);
        return [row.hidden, row.cells[0].textContent, row.querySelector("details").open];
        """,
    )
    assert found == [False, "SET", True]


@needs_chromium
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_page_does_not_overflow_and_tables_scroll(rendered, width):
    found = ask(
        rendered,
        """
        const root = page.documentElement;
        all("details").forEach((one) => { one.open = true; });
        return [root.scrollWidth, root.clientWidth,
                all(".scroll").some((box) => box.scrollWidth > box.clientWidth)];
        """,
        width=width,
    )
    assert found[0] <= found[1] <= width
    assert found[2]


@needs_chromium
def test_page_theme_follows_preference_button_and_address(rendered):
    script = """
        const ground = () => view.getComputedStyle(page.body).backgroundColor;
        const seen = [ground()];
        for (let i = 0; i < 3; i++) {
          one("#theme").click();
          seen.push(`${one("#theme").textContent} ${ground()}`);
        }
        return seen;
    """
    light, dark = "rgb(251, 251, 250)", "rgb(19, 21, 23)"
    found = ask(rendered, script)
    assert found == [light, f"Theme: light {light}", f"Theme: dark {dark}", f"Theme: auto {light}"]
    preferring = ask(rendered, script, "", "--blink-settings=preferredColorScheme=0")
    assert preferring[0] == dark and preferring[1].endswith(light)
    assert ask(rendered, script, "#theme=dark")[0] == dark


@needs_chromium
def test_content_security_policy_blocks_injected_script_and_image(rendered):
    found = ask(
        rendered,
        """
        const script = page.createElement("script");
        script.textContent = "document.title = 'broken'";
        page.body.append(script);
        const image = page.createElement("img");
        image.src = "http://127.0.0.1:9/x.png";
        page.body.append(image);
        await settled();
        return { title: page.title, violations: violations.sort() };
        """,
        quiet=False,
    )
    assert found["title"] == "dstbench leaderboard"
    assert found["violations"] == ["img-src", "script-src-elem"]


@needs_chromium
def test_page_loads_only_files_and_shows_all_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    made = board(tmp_path, results(datasets=("cifar10",)))
    board_figures.draw_stale(made, tmp_path / "figures")
    (tmp_path / "index.html").write_text(render_page(made))
    found = ask(
        tmp_path / "index.html",
        """
        all("img").forEach((image) => { image.loading = "eager"; });
        await Promise.all(all("img").map((image) => image.decode()));
        return { asked: view.performance.getEntriesByType("resource").map((e) => e.name),
                 shown: all("img").map((image) => image.naturalWidth > 100), violations };
        """,
    )
    assert len(found["shown"]) > 4 and all(found["shown"])
    assert all(name.startswith("file:///") for name in found["asked"]) and not found["violations"]
