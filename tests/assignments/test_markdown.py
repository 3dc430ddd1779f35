"""What the pages of assignments and bonuses share."""

from course_utils.assignments.markdown import made_with, section, table

CPU = {"gpu_name": None, "cpu_model": "Xeon", "ram_gb": 16.0}
T4 = {**CPU, "gpu_name": "Tesla T4"}


def test_a_table_is_a_head_a_rule_and_a_line_a_row():
    assert table(["task", "score"], [["qa", "0.5"]]) == [
        "| task | score |",
        "|---|---|",
        "| qa | 0.5 |",
    ]


def test_columns_of_numbers_are_right_aligned():
    assert table(["", "n", "wins"], [], numbers_from=1)[1] == "|---|---:|---:|"


def test_a_result_names_its_machine_and_versions():
    made = {"hardware": CPU, "versions": {"torch": "2.9", "peft": "0.17"}}
    assert made_with(made, "2") == [
        "hardware: Xeon, threads: 2, no GPU, 16.0 GiB RAM",
        "versions: torch 2.9, peft 0.17",
    ]
    assert made_with(made)[0] == "hardware: Xeon, no GPU, 16.0 GiB RAM"
    assert made_with({**made, "hardware": T4}, "2")[0] == "hardware: Tesla T4, 16.0 GiB RAM"


def test_a_section_ends_at_the_next_heading_of_its_level_outside_of_blocks():
    text = "# A\n## Use\none\n### more\n````\n# no\n```\n## no\n````\ntwo\n## Else\nthree\n"
    assert section(text, "use") == "one\n### more\n````\n# no\n```\n## no\n````\ntwo\n"
    assert section(text, "no") is None
    assert section("## Use\n```\nnever closed\n## Else\n", "Use").endswith("## Else\n\n")
