"""What the policy is asked: few-shot requests and prompt templates."""

from collections.abc import Sequence


def few_shot_prompt(shown: Sequence[str]) -> str:
    """
    The request for one more instruction after a numbered list of them.

    Args:
        shown (`Sequence[str]`): The instructions of the list, in order.

    Source: paper section 3.1; our own wording.

    Example:

    ```python
    >>> print(few_shot_prompt(["What is 1 + 1?", "What is 2 + 3?"]))
    Here is a numbered list of problems. Write problem 3: a new one of the same kind, different from all of these. Write the problem only, not its solution.
    <BLANKLINE>
    1. What is 1 + 1?
    2. What is 2 + 3?

    ```
    """
    items = "\n".join(f"{i}. {text}" for i, text in enumerate(shown, 1))
    return (
        f"Here is a numbered list of problems. Write problem {len(shown) + 1}: a new one of the same kind, different "
        f"from all of these. Write the problem only, not its solution.\n\n{items}"
    )
