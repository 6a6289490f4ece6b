"""The page for teachers: its plans name what exists and take the hours they say; each check is described."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from lstm_student.exercise import chapters, exercises
from weave import ROOT, notebooks

sys.path.append(str(ROOT / "book/_ext"))
import teaching  # noqa: E402

PAGE = (ROOT / "book/reference/teaching.md").read_text()
TEXTS = {
    path.relative_to(ROOT / "book").with_suffix("").as_posix(): teaching.text_of(path)
    for path in notebooks(ROOT)
}
PLANS = re.findall(r"^### (\w+) hours.*?\{course-plan\}\n(.*?)```", PAGE, re.M | re.S)


@pytest.mark.parametrize(("hours", "lines"), PLANS, ids=[hours for hours, _ in PLANS])
def test_a_plan_takes_its_hours_and_keeps_the_books_order(hours: str, lines: str) -> None:
    stages = teaching.read_plan(lines.splitlines(), TEXTS, teaching.titles(TEXTS))
    total = sum(teaching.minutes(TEXTS[stage.page]) + stage.work for stage in stages)
    promised = 60 * {"Three": 3, "Six": 6, "Twelve": 12}[hours]
    assert abs(total / promised - 1) < 0.06, f"{total} minutes: move some in the plan's lines"
    order = list(TEXTS)
    assert [order.index(s.page) for s in stages] == sorted(order.index(s.page) for s in stages)


def test_there_are_three_plans_and_a_goal_for_each_part() -> None:
    assert len(PLANS) == 3
    parts = re.findall(r"caption: (.*)", (ROOT / "_toc.yml").read_text())
    assert re.findall(r"^(\w.*)\n: ", PAGE, re.M) == [part for part in parts if part != "Reference"]


@pytest.mark.parametrize("chapter", chapters())
def test_what_an_exercise_tests_is_said(chapter: str) -> None:
    told = {name: exercise.tests for name, exercise in exercises(chapter).items()}
    assert all(len(text) > 15 and text[-1] != "." for text in told.values()), told
    assert len(set(told.values())) == len(told), "two exercises test the same"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("start | start-1 | losses", "expected `page"),
        ("start | start-1 | losses | soon", "expected `page"),
        ("begin | start-1 | losses | 5", "no such"),
        ("start | start-9 | losses | 5", "no such"),
        ("start | start-1 | loses | 5", "no such"),
    ],
)
def test_a_line_with_what_does_not_exist_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        teaching.read_plan([line], TEXTS, teaching.titles(TEXTS))


def test_reading_counts_words_alone() -> None:
    formula = "$$\na b c d e\n$$\n" * 200 + "```{exercise} Title\nmany words\n```\n"
    solution = (
        "```{solution-start} ex-a\n```\nword\n```python\nx\n```\n```{solution-end}\n```\n" * 300
    )
    assert teaching.minutes("word " * 600) == 3
    assert teaching.minutes("word " * 600 + formula + solution) == 3


def test_titles_and_forms() -> None:
    text = "````{exercise} A title\n:label: ex-a-1\n\nx\n````\n```{exercise}\n:label: ex-a-2\n```"
    assert teaching.titles({"p": text}) == {"a-1": ("p", "A title"), "a-2": ("p", "")}
    forms = [teaching.form(a) for a in (sum, "forget", 1.5, np.float64(2), (1, 2), np.ones(3))]
    assert forms == ["code", "word", "number", "number", "several values", "several values"]
