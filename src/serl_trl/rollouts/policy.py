"""`Policy`: what rollouts, votes, instructions and probes need to know of a trainer."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from accelerate import Accelerator
from transformers import GenerationConfig, PreTrainedModel, TrainerState

from ..prompts import Decoding


if TYPE_CHECKING:
    from trl.generation.vllm_generation import VLLMGeneration


class Policy(Protocol):
    """
    The model that is trained, with all that is needed to have it write: [`SeRLTrainer`] is one.

    Args:
        args ([`SeRLConfig`]): Settings, those of sampling among them.
        accelerator ([`~accelerate.Accelerator`]): The processes.
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): The policy, without wrappers.
        model_wrapped (`torch.nn.Module`): The same as it is trained, in DDP or FSDP for example.
        decoding ([`Decoding`]): How a prompt becomes tokens, and where a completion ends.
        eos_token_ids (`list[int]`): The tokens that end a completion.
        num_generations (`int`): Completions of a group in training, G.
        num_generations_eval (`int`): Completions of a group in evaluation.
        state ([`~transformers.TrainerState`]): Steps done and tokens seen.
        use_vllm (`bool`): Whether vLLM generates; `vllm_generation` is TRL's side of it then.
        generation_config ([`~transformers.GenerationConfig`]): How Transformers generates; `generation_kwargs` come on top.
    """

    args: Any
    accelerator: Accelerator
    model: PreTrainedModel
    model_wrapped: torch.nn.Module
    eos_token_ids: list[int]
    num_generations: int
    num_generations_eval: int
    state: TrainerState
    use_vllm: bool
    vllm_generation: "VLLMGeneration"
    generation_config: GenerationConfig
    generation_kwargs: dict[str, Any]

    @property
    def decoding(self) -> Decoding:
        """The rules by which all text of the policy is written and measured."""

    def complete(
        self, prompt_ids: list[list[int]], num_generations: int, uniforms: torch.Tensor | None = None
    ) -> tuple[list[list[int]], list | None]:
        """
        A completion of each of this process's prompts, by TRL's own generation.

        Args:
            prompt_ids (`list[list[int]]` of length B): Tokens of the prompts.
            num_generations (`int`): How many equal prompts follow one another.
            uniforms (`torch.Tensor` of shape `(B, T)`, *optional*): By which each row is drawn where Transformers generates,
                in place of the random state; numbers in [0, 1) for at least as many tokens as a completion may have.

        Returns:
            `tuple[list[list[int]], list | None]`: Tokens of the completions, and their log-probabilities where the backend
            reports them.
        """

    def record(self, metrics: Mapping[str, float], mode: str = "train") -> None:
        """Adds metrics to what the next log of `mode` (`"train"` or `"eval"`) averages."""

    def last_checkpoint(self) -> Path:
        """The checkpoint of the step that is done, which is saved now unless it has been."""

    def is_world_process_zero(self) -> bool:
        """Whether this is the main process."""
