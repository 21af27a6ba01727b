import random
import re

import pytest

from serl_trl.laboratory.grammar import STORIES
from serl_trl.laboratory.word_problems import MAX_VALUE, random_problem, solve


@pytest.mark.parametrize(
    ("text", "equations"),
    [
        ("Anna has 17 marbles. Ben gives Anna 5 more. How many marbles does Anna have now?", ("17+5=22",)),
        (
            "Leo fills 3 jars and puts 4 books into every jar. Everybody is busy today. Leo sells 2 to a friend. "
            "Count what is left.",
            ("3*4=12", "12-2=10"),
        ),
        (
            "Sam has 10 coins. Tina has 3 fewer than Sam. How many do both have together?",
            ("10-3=7", "10+7=17"),
        ),
        (
            "A bus leaves Oslo with 30 people. The group is split into 5 equal teams, and one team goes on. "
            "How many are on board now?",
            ("30/5=6",),
        ),
    ],
)
def test_oracle_solves(text, equations):
    problem = solve(text)
    assert problem is not None
    assert problem.equations == equations
    assert str(problem.answer) == equations[-1].split("=")[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "How many marbles does Anna have now?",
        "Anna has 17 marbles. How many marbles does Anna have now?",  # nothing to calculate
        "Anna has 17 marbles. Ben gives Anna 5 more.",  # no question
        "Anna has 17 marbles. Ben gives Anna 5 more. How many stamps does Anna have now?",
        "Anna has 17 marbles. Ben gives Anna 5 more. How many marbles does Ben have now?",
        "Anna has 17 marbles. Anna gives 18 of them to Ben. How many marbles does Anna have now?",  # negative
        "Anna has 17 marbles. Anna gives Anna 5 more. How many marbles does Anna have now?",
        "Anna has 17 marbles. In spring 3 are born. How many marbles does Anna have now?",  # another story
        "Anna has 17 marbles. Anna has 12 marbles. How many marbles does Anna have now?",
        "A bus leaves Oslo with 31 people. The group is split into 5 equal teams, and one team goes on. "
        "How many are on board now?",
        "Sam has 10 coins. Tina has 3 fewer than Sam. How many coins does Zane have?",
        "Sam has 10 coins. How many do both have together?",  # with whom?
        "Anna has 17 marbles! Ben gives Anna 5 more. How many marbles does Anna have now?",
    ],
)
def test_oracle_refuses(text):
    assert solve(text) is None


def test_generated_problems_are_solved_as_they_were_made():
    rng = random.Random(11)
    for _ in range(500):
        problem = random_problem(rng)
        assert solve(problem.text) == problem
        for equation in problem.equations:
            left, right = equation.split("=")
            a, sign, b = re.fullmatch(r"(\d+)([-+*/])(\d+)", left).groups()
            assert int(right) == {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}.get(
                sign, int(a) / max(int(b), 1)
            )
            assert 0 < int(right) <= MAX_VALUE


@pytest.mark.parametrize("num_steps", [1, 2, 3, 4])
def test_number_of_steps(num_steps):
    assert len(random_problem(random.Random(0), num_steps).equations) == num_steps


def test_every_story_is_told():
    rng = random.Random(3)
    texts = " ".join(random_problem(rng).text for _ in range(3000))
    for story in STORIES.values():
        for template in (*story.openings, *story.changes, *story.questions):
            words = max(re.split(r"\{\w+\}", template.text), key=len)
            assert words in texts
