"""A reward by judgement: a model, such as the policy itself, is asked whether an answer is right."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..answers import response_of
from ..types import Completion, completion_text


JUDGE_TEMPLATE = (
    "Here is a problem, and a proposed solution of it.\n\nProblem:\n{problem}\n\nProposed solution:\n{solution}\n\n"
    "Is the final answer of the proposed solution right? Reply with one word, yes or no."
)

_GOOD = r"yes|correct|right|true|valid|accurate"
_BAD = r"no|incorrect|wrong|false|invalid|inaccurate|mistaken"
_VERDICT = rf"(?P<not>not\s+(?:the\s+|an?\s+)?)?(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))"
_DECORATION = r"[\s*_`\"'$({\[]{0,6}"
# "Verdict: **correct**", "\boxed{\text{yes}}", "the answer is: no", anywhere
_STATED = re.compile(
    r"(?:\b(?:verdict|judg[e]?ment|conclusion|decision|evaluation|assessment|(?:final\s+)?answer)\s{0,3}(?:is\b|:)\s{0,3}:?"
    rf"|\\boxed\s?\{{){_DECORATION}(?:\\text\w{{0,6}}\{{)?{_VERDICT}\b",
    re.IGNORECASE,
)
# "Yes, since ...", "No." at the very beginning; "Correct." only alone, for "Correct answer: 5" is none
_FIRST = re.compile(
    rf"\A{_DECORATION}(?:(?P<good>yes)|(?P<bad>no(?!\s+(?:problem|doubt|worries)\b)))\b", re.IGNORECASE
)
_ALONE = re.compile(rf"\A{_DECORATION}{_VERDICT}(?=[\s*_`\"'$)}}\]]{{0,6}}(?:[.,;:!]|\n|\Z))", re.IGNORECASE)
# "... is not correct", "the solution appears to be right", "it is the correct answer"
_SAID = re.compile(
    r"(?:\b(?:is|are|was|be|seems?|looks?|appears?)(?P<nt>n't)?)\s+(?:(?:to\s+be|indeed|also|actually|mathematically|completely|the|an?)\s+){0,3}"
    rf"{_VERDICT}\b",
    re.IGNORECASE,
)


def verdict_of(reply: str) -> bool | None:
    r"""
    Whether a judge's reply says that the answer is right; `None` if it says neither.

    What is stated as the verdict counts, else how the reply begins, else what it says last. "Not correct" and
    "isn't wrong" are understood; "the correct answer is 5" is no verdict.

    Args:
        reply (`str`): What the judge wrote.

    Example:

    ```python
    >>> verdict_of("**Yes**, both steps are fine."), verdict_of("The sum isn't right."), verdict_of("It is 5.")
    (True, False, None)

    ```
    """
    text = response_of(reply).replace("\u2019", "'")
    for matches in (
        _last(_STATED.finditer(text)),
        _ALONE.match(text),
        _FIRST.match(text),
        _last(_SAID.finditer(text)),
    ):
        if matches is not None:
            said = matches.groupdict()
            num_negations = sum(said.get(name) is not None for name in ("not", "nt", "bad"))
            return num_negations % 2 == 0
    return None


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    return next(iter(list(matches)[-1:]), None)


class JudgeReward:
    """
    Reward of 1.0 for a completion that a judge calls right, 0.0 for one it calls wrong, `None` without a verdict.

    Each completion is judged by itself, with its problem: nothing else of the group, and no label. It can be trained
    on like any of TRL's rewards, but it is meant for comparison: [`~serl_trl.voting.vote_metrics.reward_alignment`] tells how
    it, and a vote, agree with the truth.

    Args:
        generate (`Callable[[list], list[str]]`):
            The judge: returns one reply for each prompt, a string, or messages where the problem came as messages. Used
            in training it must leave the policy's mode and the random states as they are.
        template (`str`, *optional*, defaults to `JUDGE_TEMPLATE`):
            What is asked; `{problem}` and `{solution}` stand for the last message of the prompt and for the completion.

    Raises:
        ValueError: If the template lacks one of the two.

    Source: SeRL paper (arXiv 2505.20347), figure 3, the model-based reward; our own wording and parsing.

    Example:

    ```python
    >>> def careless_judge(prompts):
    ...     return ["Yes." if "2" in prompt else "No, it is wrong." for prompt in prompts]
    >>> JudgeReward(careless_judge)(prompts=["1+1?", "1+1?"], completions=["It is 2.", "It is 3."])
    [1.0, 0.0]

    ```
    """

    def __init__(self, generate: Callable[[list[Any]], list[str]], template: str = JUDGE_TEMPLATE):
        for name in ("{problem}", "{solution}"):
            if name not in template:
                raise ValueError(f"The judge's template {template!r} lacks the place for {name}.")
        self.__name__ = type(self).__name__  # the name under which TRL logs the reward
        self.generate = generate
        self.template = template

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Completion],
        *,
        log_metric: Callable[[str, float], None] | None = None,
        **kwargs: object,
    ) -> list[float | None]:
        """Reward of each row, in order.

        Args:
            prompts (`list` of length B):
                Prompts, plain or conversational.
            completions (`list` of length B):
                Completions, plain or conversational.
            log_metric (`Callable`, *optional*):
                TRL's hook for metrics; receives the share of rows without a verdict, `serl/judge/frac_no_verdict`.
            kwargs:
                Whatever else TRL passes; not read.

        Returns:
            `list[float | None]` of length B: 1.0 or 0.0, and `None` where the judge says neither.

        Raises:
            `ValueError`: If the judge does not return one reply for each prompt.
        """
        requests = [self._request(*row) for row in zip(prompts, completions, strict=True)]
        distinct = list(dict.fromkeys(requests))  # a policy that repeats itself is judged once
        asked = [[{"role": "user", "content": text}] if is_chat else text for text, is_chat in distinct]
        replies = self.generate(asked)
        if len(replies) != len(asked):
            raise ValueError(
                f"The judge gave {len(replies)} replies to {len(asked)} prompts; it must give one to each."
            )
        verdicts = {request: verdict_of(reply) for request, reply in zip(distinct, replies, strict=True)}
        rewards = [None if verdicts[request] is None else float(verdicts[request]) for request in requests]  # type: ignore[arg-type]
        if log_metric is not None and rewards:
            log_metric("serl/judge/frac_no_verdict", rewards.count(None) / len(rewards))
        return rewards

    def _request(self, prompt: str | Sequence[Mapping[str, Any]], completion: Completion) -> tuple[str, bool]:
        is_chat = not isinstance(prompt, str)
        # of content blocks, too
        asked = prompt if isinstance(prompt, str) else completion_text([{**prompt[-1], "role": "assistant"}])
        texts = {"{problem}": asked, "{solution}": completion_text(completion)}
        # in one pass, and never str.format: both texts may hold braces
        return re.sub(r"\{problem\}|\{solution\}", lambda place: texts[place[0]], self.template), is_chat
