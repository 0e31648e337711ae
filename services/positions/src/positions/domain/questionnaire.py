"""The questionnaire on risk preference: what is asked, and the class C1 to C5 that answers give.

The questions cover what article 6 of 《证券期货投资者适当性管理办法》 names: income, assets, debts,
knowledge, experience, horizon, aim and tolerance of loss. Every choice scores 0 to 10 points; the average of all
decides the class by `CLASS_FLOORS`. Two answers override the score: who will bear no loss at all is C1 (article
16: the lowest class), and who could not tell what risk is may not be above C2. The words are in the message
catalogues, under the keys here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERSION = 1
"""Grows whenever a question, a choice or a score changes; older answers keep the class that they gave."""

CLASS_FLOORS = (0.0, 2.0, 4.0, 6.0, 8.0)
"""Least average score of C1 to C5."""

_NO_LOSS = ("loss_tolerance", "none")
_NO_KNOWLEDGE = ("knowledge", "none")
_CLASS_WITHOUT_KNOWLEDGE = 2


class AnswerError(ValueError):
    """Answers that cannot be scored: `field` names the question."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Question:
    """A question by its key, and its choices with their scores, 0 to 10."""

    key: str
    choices: Mapping[str, float]


QUESTIONS = (
    Question("age", {"over_70": 0, "60_to_70": 3, "45_to_60": 6, "30_to_45": 9, "under_30": 10}),
    Question("income", {"none": 0, "pension": 2, "unsteady": 4, "steady": 8, "high": 10}),
    Question("share_of_assets", {"over_70": 0, "50_to_70": 2, "30_to_50": 5, "10_to_30": 8, "under_10": 10}),
    Question("debts", {"large": 0, "moderate": 4, "mortgage": 7, "none": 10}),
    Question("knowledge", {"none": 0, "basic": 4, "good": 7, "professional": 10}),
    Question("experience", {"none": 0, "under_2": 3, "2_to_5": 5, "5_to_10": 8, "over_10": 10}),
    Question("horizon", {"under_1": 0, "1_to_3": 4, "3_to_5": 7, "over_5": 10}),
    Question("aim", {"keep": 0, "income": 3, "balanced": 6, "growth": 10}),
    Question("loss_tolerance", {"none": 0, "up_to_10": 3, "up_to_20": 5, "up_to_40": 8, "any": 10}),
    Question("reaction", {"sell_all": 0, "sell_some": 3, "wait": 7, "buy_more": 10}),
)


def check(answers: Mapping[str, str]) -> None:
    """Raise AnswerError unless every question has one of its choices, and nothing else is answered."""
    for question in QUESTIONS:
        chosen = answers.get(question.key)
        if chosen not in question.choices:
            raise AnswerError(
                question.key, f"answer {question.key} with one of {', '.join(question.choices)}"
            )
    for key in answers:
        if all(key != question.key for question in QUESTIONS):
            raise AnswerError(key[:32], "there is no such question: ask GetQuestionnaire")


def score(answers: Mapping[str, str]) -> float:
    """The average of the choices' scores, 0 to 10."""
    check(answers)
    return sum(question.choices[answers[question.key]] for question in QUESTIONS) / len(QUESTIONS)


def level(answers: Mapping[str, str]) -> int:
    """The class that the answers give, 1 (C1) to 5 (C5). Raises AnswerError."""
    points = score(answers)
    by_score = sum(points >= floor for floor in CLASS_FLOORS)
    if answers[_NO_LOSS[0]] == _NO_LOSS[1]:
        return 1
    if answers[_NO_KNOWLEDGE[0]] == _NO_KNOWLEDGE[1]:
        return min(by_score, _CLASS_WITHOUT_KNOWLEDGE)
    return by_score
