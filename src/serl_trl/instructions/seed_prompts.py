"""The seeds of a run by the questions that they put, and what the policy is asked for whatever descends from them."""

import logging
from collections.abc import Iterator, Sequence
from zlib import crc32

from ..prompts import PromptTemplate, instruction_text
from ..types import Prompt
from .tokenizers import is_rouge_blind


logger = logging.getLogger(__name__)


class SeedPrompts:
    """
    Seeds, each question once, with every way in which it is put.

    Two seeds with the same question under different system prompts, or behind different earlier turns, are one question: a
    request that shows it twice would show less, and novelty is of questions. They stay two prompts: what descends from the
    question is put in the one way or in the other, by a hash of its text, so that each gets its part and a resumed run, or
    another process, chooses alike.

    Args:
        prompts (`Sequence[Prompt]`): The seeds, as [`~serl_trl.prompts.prompts_of`] returns them.
        template ([`PromptTemplate`], *optional*): How seeds that are text are put to the policy.

    Raises:
        ValueError: If there is a template and the seeds are messages already.

    Example:

    ```python
    >>> ask = lambda system, text: [{"role": "system", "content": system}, {"role": "user", "content": text}]
    >>> seeds = SeedPrompts([ask("Be brief.", "1 + 1?"), ask("Explain.", "1 + 1?"), ask("Explain.", "2 + 3?")])
    >>> seeds.questions, [prompt[0]["content"] for prompt in seeds]
    (['1 + 1?', '2 + 3?'], ['Be brief.', 'Explain.', 'Explain.'])
    >>> {seeds.prompt_for(f"{i} + 5?", "1 + 1?")[0]["content"] for i in range(9)} == {"Be brief.", "Explain."}
    True

    ```
    """

    def __init__(self, prompts: Sequence[Prompt], template: PromptTemplate | None = None) -> None:
        if template is not None and any(not isinstance(prompt, str) for prompt in prompts):
            raise ValueError("The seeds are messages already; a prompt_template needs seeds that are strings.")
        self.template = template
        self._by_question: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            ways = self._by_question.setdefault(instruction_text(prompt), [])
            if prompt not in ways:
                ways.append(prompt)

    @property
    def questions(self) -> list[str]:
        """Each question once, in the order of the seeds."""
        return list(self._by_question)

    def check_request(self, num_few_shot: int) -> None:
        """Raises a ValueError if there are fewer questions than a request for a new one shows."""
        num_questions, num_prompts = len(self._by_question), sum(map(len, self._by_question.values()))
        if num_questions < num_few_shot:
            what = "seeds" if num_questions == num_prompts else f"questions, put by {num_prompts} seeds"
            raise ValueError(
                f"There are {num_questions} different {what}, fewer than num_few_shot={num_few_shot} that a request shows; add "
                "seeds or lower num_few_shot."
            )

    def __contains__(self, question: str) -> bool:
        return question in self._by_question

    def __iter__(self) -> Iterator[Prompt]:
        """What the policy is asked for each seed; seeds that are equal count once."""
        for question, ways in self._by_question.items():
            yield from (self._put(question, way) for way in ways)

    def prompt_for(self, text: str, seed: str) -> Prompt:
        """What the policy is asked for a text that descends from a seed's question."""
        ways = self._by_question[seed]
        return self._put(text, ways[crc32(text.encode("utf-8", "surrogatepass")) % len(ways)])

    def _put(self, text: str, way: Prompt) -> Prompt:
        if isinstance(way, str):
            return text if self.template is None else self.template.render(text)
        return [*way[:-1], {**way[-1], "content": text}]


def warn_of_tokenizer(questions: Sequence[str], tokenizer: str) -> None:
    """Warns where novelty by rouge-score's words would see next to nothing of what seeds in another script say."""
    if tokenizer == "rouge" and 2 * sum(map(is_rouge_blind, questions)) > len(questions):
        logger.warning(
            "novelty_tokenizer='rouge' knows the letters a to z and digits, and most letters of most seeds are others: what "
            "is written would be compared by little more than its numbers. Use novelty_tokenizer='unicode'."
        )
