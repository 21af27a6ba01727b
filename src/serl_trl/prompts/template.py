"""How a problem is put to the policy: a template, or the turns that the seeds begin with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..types import Prompt


@dataclass(frozen=True)
class PromptTemplate:
    """
    How an instruction is put to the policy: as chat messages with an optional system text and worked examples.

    Args:
        user (`str`, *optional*, defaults to `"{instruction}"`):
            The user's message; `{instruction}` stands for the instruction and must occur.
        system (`str`, *optional*):
            The system message.
        examples (`list[dict[str, str]]`, *optional*):
            Worked examples, each with an `instruction` and its `response`, given as earlier turns of the chat.
        continues_list (`bool`, *optional*, defaults to `False`):
            Whether new instructions are asked for as plain text that ends in the next number of the list, instead of
            as a user message. A small chat model talks about the request, but goes on with an unfinished list.

    Raises:
        ValueError: If `user` lacks `{instruction}`, or an example lacks a field.

    Example:

    ```python
    >>> PromptTemplate(user="{instruction} Box the answer.").render("What is 1 + 1?")
    [{'role': 'user', 'content': 'What is 1 + 1? Box the answer.'}]

    ```
    """

    user: str = "{instruction}"
    system: str | None = None
    examples: list[dict[str, str]] = field(default_factory=list)
    continues_list: bool = False

    def __post_init__(self) -> None:
        if "{instruction}" not in self.user:
            raise ValueError(
                f"The user message {self.user!r} of the prompt template lacks the place for {{instruction}}."
            )
        for example in self.examples:
            if set(example) != {"instruction", "response"}:
                raise ValueError(
                    f"A worked example has the fields {sorted(example)}; it needs 'instruction' and 'response'."
                )

    def render(self, instruction: str) -> list[dict[str, str]]:
        """The chat messages that ask for a solution of `instruction`."""
        turns = [{"role": "system", "content": self.system}] if self.system else []
        for example in self.examples:
            turns.append({"role": "user", "content": self._user(example["instruction"])})
            turns.append({"role": "assistant", "content": example["response"]})
        return [*turns, {"role": "user", "content": self._user(instruction)}]

    def _user(self, instruction: str) -> str:
        return self.user.replace("{instruction}", instruction)  # never str.format: the text is the model's


def shared_lead(prompts: Sequence[Prompt]) -> list[dict[str, str]] | None:
    """
    The turns before the last that most prompts have: a system text, worked examples.

    Args:
        prompts (`Sequence`): Texts or messages.

    Returns:
        `list[dict[str, str]]`, *optional*: The turns that more than half of the prompts begin with, else none of them;
        `None` where the prompts are texts.

    Example:

    ```python
    >>> system = {"role": "system", "content": "Be brief."}
    >>> shared_lead([[system, {"role": "user", "content": "1+1?"}], [system, {"role": "user", "content": "2+2?"}]])
    [{'role': 'system', 'content': 'Be brief.'}]

    ```
    """
    leads = [prompt[:-1] for prompt in prompts if not isinstance(prompt, str)]
    if not leads:
        return None
    [(most_common, num)] = Counter(map(repr, leads)).most_common(1)
    lead = next(lead for lead in leads if repr(lead) == most_common)
    return list(lead) if 2 * num > len(prompts) else []


def put_to_policy(
    problem: Prompt, template: PromptTemplate | None, lead: Sequence[dict[str, str]] | None = None
) -> Prompt:
    """
    A problem as the policy is asked it.

    Args:
        problem (`str` or `list[dict[str, str]]`): The problem. Messages stay as they are.
        template ([`PromptTemplate`], *optional*): What a text is rendered with.
        lead (`Sequence[dict[str, str]]`, *optional*):
            Without a template, the turns before the user's, from [`shared_lead`]; `None` leaves a text a text.
    """
    if not isinstance(problem, str):
        return problem
    if template is not None:
        return template.render(problem)
    return problem if lead is None else [*lead, {"role": "user", "content": problem}]
