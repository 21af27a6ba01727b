"""
`sample_groups`: completions of prompts that repeat, each prompt computed once and rows that have ended left out.

Transformers' `generate` computes a prompt once for each of its completions, and a row that has ended until the longest of
its batch ends. Here the different prompts are computed once, and their keys and values are spread over the completions;
rows that have ended leave the model's work. Everything else is `generate`'s: it prepares the arguments, the logits
processors and the criteria to stop, and calls this function as its `custom_generate`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation import logits_process, stopping_criteria
from transformers.modeling_utils import PreTrainedModel

from .batch_positions import depend_on_batch
from .equal_rows import first_come
from .growing_cache import is_selectable, spread
from .row_draws import drawn_tokens


KEPT_SHARE = 0.75  # rows that have ended are dropped when fewer than this share of the rows go on

# Those that look at each row by itself, so that rows may leave.
_ROW_PROCESSORS = (
    logits_process.TemperatureLogitsWarper,
    logits_process.TopPLogitsWarper,
    logits_process.TopKLogitsWarper,
    logits_process.MinPLogitsWarper,
    logits_process.TypicalLogitsWarper,
    logits_process.EpsilonLogitsWarper,
    logits_process.EtaLogitsWarper,
    logits_process.TopHLogitsWarper,
    logits_process.RepetitionPenaltyLogitsProcessor,
    logits_process.NoRepeatNGramLogitsProcessor,
    logits_process.MinLengthLogitsProcessor,
    logits_process.MinNewTokensLengthLogitsProcessor,
    logits_process.SequenceBiasLogitsProcessor,
    logits_process.NoBadWordsLogitsProcessor,
    logits_process.ForcedBOSTokenLogitsProcessor,
    logits_process.ForcedEOSTokenLogitsProcessor,
    logits_process.InfNanRemoveLogitsProcessor,
    logits_process.ExponentialDecayLengthPenalty,
    logits_process.LogitNormalization,
    logits_process.SuppressTokensLogitsProcessor,
    logits_process.SuppressTokensAtBeginLogitsProcessor,
)
_ROW_CRITERIA = (
    stopping_criteria.MaxLengthCriteria,
    stopping_criteria.EosTokenCriteria,
)
_KNOWN_INPUTS = {"attention_mask", "position_ids", "past_key_values", "use_cache", "logits_to_keep"}


class NotShareableError(Exception):
    """A request that [`sample_groups`] cannot serve; nothing has been drawn."""


@torch.no_grad()
def sample_groups(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    uniforms: torch.Tensor | None = None,
    **model_kwargs: Any,
) -> torch.Tensor:
    """
    A `custom_generate` of Transformers: one completion for each row, the tokens that `generate` would draw.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal LM.
        input_ids (`torch.Tensor` of shape `(B, P)`): Prompts, filled up on the left. Equal ones are computed once.
        logits_processor, stopping_criteria, generation_config: As `generate` has prepared them.
        uniforms (`torch.Tensor` of shape `(B, T)`, *optional*):
            Numbers in [0, 1), on the CPU: token t of row b is where the cumulated probability passes `uniforms[b, t]`. The
            draw of a row is then its own, whatever rows are beside it. Without them numbers come from the random state, as
            many and in the same order as in `generate`.
        **model_kwargs: As `generate` has prepared them.

    Returns:
        `torch.Tensor`: (B, P + T), with padding behind the ends, as `generate` returns it.

    Raises:
        NotShareableError: For what cannot be served; `generate` can.
    """
    _check_served(model, logits_processor, stopping_criteria, generation_config, model_kwargs)
    has_ends = any(hasattr(criterion, "eos_token_id") for criterion in stopping_criteria)
    mask, positions = model_kwargs.get("attention_mask"), model_kwargs.get("position_ids")

    prompt_of, first = first_come(input_ids if mask is None else torch.cat([input_ids, mask], dim=1))
    batch = _Batch(input_ids, mask, positions, logits_processor, model_kwargs)
    batch.select(first)
    scores = batch.scores(model, is_first=True)[prompt_of]  # (B, V)
    if not is_selectable(batch.cache):
        raise NotShareableError(f"{type(model).__name__} fills no cache")
    batch.select(prompt_of)
    batch.prompt_of = prompt_of

    longest = stopping_criteria.max_length or generation_config.max_length or 0
    writer = _Writer(input_ids, longest, pad_token(generation_config), has_ends)
    draws = _Draws(len(input_ids), generation_config.do_sample, uniforms)
    may_leave = has_ends and not depend_on_batch(model.config, longest)
    while True:
        writer.write(draws.tokens(scores, writer.rows))
        num_going_on = writer.end(stopping_criteria)
        if num_going_on == 0:
            return writer.written()
        if may_leave and num_going_on < KEPT_SHARE * len(writer.rows):
            batch.keep(writer.drop_ended())
        batch.ids = writer.ids()
        scores = batch.scores(model)


def _check_served(
    model: PreTrainedModel,
    processors: LogitsProcessorList,
    criteria: StoppingCriteriaList,
    config: GenerationConfig,
    model_kwargs: dict[str, Any],
) -> None:
    """Raises for requests that the loop cannot serve with the tokens of `generate`."""
    mode = config.get_generation_mode()
    if mode not in ("sample", "greedy_search"):
        raise NotShareableError(f"generation by {mode.replace('_', ' ')}")
    if model.config.is_encoder_decoder:
        raise NotShareableError("an encoder-decoder model")
    cache = model_kwargs.get("past_key_values")
    if not config.use_cache or not is_selectable(cache) or cache.get_seq_length():
        raise NotShareableError(f"the cache {type(cache).__name__} of {type(model).__name__}")
    if config.return_dict_in_generate or config.prefill_chunk_size is not None:
        raise NotShareableError("scores, or a prompt in chunks, in the output of generate")
    others = {name for name, value in model_kwargs.items() if value is not None} - _KNOWN_INPUTS
    if others:
        raise NotShareableError(f"the model inputs {', '.join(sorted(others))}")
    for part in (*processors, *criteria):
        if type(part) not in _ROW_PROCESSORS + _ROW_CRITERIA:
            raise NotShareableError(f"{type(part).__name__}, which may look at a whole batch")


def pad_token(config: GenerationConfig) -> int:
    """What fills a row behind its end; without a pad token the first end, as `generate` has it."""
    if config.pad_token_id is not None:
        return int(config.pad_token_id)
    ends = config.eos_token_id
    return 0 if ends is None else int(ends[0] if isinstance(ends, list) else ends)


@dataclass
class _Batch:
    """What the model and the logits processors are given: n rows, which become fewer as rows end."""

    ids: torch.Tensor  # (n, L): prompts and what is written so far
    mask: torch.Tensor | None  # (n, L), or None where there is no padding
    positions: torch.Tensor | None  # (n, L), all: Phi-3 computes its cache again where positions change their scale
    processors: LogitsProcessorList
    kwargs: dict[str, Any]
    prompt_of: torch.Tensor | None = None  # (n,) rows of the cache, as long as it has a row for each prompt

    @property
    def cache(self) -> DynamicCache:
        return self.kwargs["past_key_values"]

    def scores(self, model: PreTrainedModel, is_first: bool = False) -> torch.Tensor:
        """What the next token is drawn by, (n, V) in float32."""
        if self.prompt_of is not None:  # only now: all rows may have ended at their first token
            spread(self.cache, self.prompt_of)
            self.prompt_of = None
        kwargs = self.kwargs | {"attention_mask": self.mask, "position_ids": self.positions}
        inputs = model.prepare_inputs_for_generation(  # type: ignore[operator]
            self.ids, next_sequence_length=None if is_first else 1, is_first_iteration=is_first, **kwargs
        )
        outputs = model(**inputs, return_dict=True)
        self.kwargs = self.kwargs | {"past_key_values": outputs.get("past_key_values")}
        if self.positions is not None:
            self.positions = torch.cat([self.positions, self.positions[:, -1:] + 1], dim=1)
        if self.mask is not None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        logits = outputs.logits[:, -1].to(copy=True, dtype=torch.float32)
        return self.processors(self.ids, logits)  # type: ignore[arg-type]

    def keep(self, rows: torch.Tensor) -> None:
        """Has all other rows leave, also the cache."""
        self.select(rows)
        if self.prompt_of is not None:
            self.prompt_of = self.prompt_of[rows]
        else:
            self.cache.batch_select_indices(rows)

    def select(self, rows: torch.Tensor) -> None:
        """Has the batch hold some of its rows, in an order of one's own; the cache apart."""
        self.ids = self.ids[rows]
        self.mask = None if self.mask is None else self.mask[rows]
        self.positions = None if self.positions is None else self.positions[rows]
        for processor in self.processors:
            lengths = getattr(processor, "prompt_ignore_length", None)
            if torch.is_tensor(lengths):  # the padding of each row, to which no repetition penalty applies
                processor.prompt_ignore_length = lengths.to(rows.device)[rows]


class _Writer:
    """What is written: all B rows, of which some are in the batch and some of these go on."""

    def __init__(self, prompts: torch.Tensor, max_length: int, pad_token: int, has_ends: bool) -> None:
        self.length, self.pad_token, self.has_ends = prompts.shape[1], pad_token, has_ends
        self.tokens = prompts.new_full((len(prompts), max_length), pad_token)
        self.tokens[:, : self.length] = prompts
        self.rows = torch.arange(len(prompts), device=prompts.device)  # (n,): those in the batch
        self.goes_on = torch.ones_like(self.rows, dtype=torch.bool)  # (n,)

    def ids(self) -> torch.Tensor:
        """(n, L) of the rows in the batch."""
        tokens = self.tokens[:, : self.length]
        return tokens if len(self.rows) == len(tokens) else tokens[self.rows]

    def write(self, tokens: torch.Tensor) -> None:
        """Writes a token (n,) to each row in the batch, padding to those that have ended."""
        if self.has_ends:
            tokens = tokens.where(self.goes_on, self.pad_token)
        self.tokens[self.rows, self.length] = tokens
        self.length += 1

    def end(self, criteria: StoppingCriteriaList) -> int:
        """Ends rows; how many go on."""
        self.goes_on &= ~criteria(self.ids(), None)  # scores are for ConfidenceCriteria, which is not served
        return int(self.goes_on.sum())

    def drop_ended(self) -> torch.Tensor:
        """Takes the rows that have ended out of the batch; the places in it of the others."""
        places = self.goes_on.nonzero().squeeze(1)
        self.rows, self.goes_on = self.rows[places], self.goes_on[places]
        return places

    def written(self) -> torch.Tensor:
        """(B, L): prompts and completions."""
        return self.tokens[:, : self.length]


class _Draws:
    """Tokens out of scores: the likeliest, or drawn by the random state or by numbers that are given."""

    def __init__(self, num_rows: int, is_sampled: bool, uniforms: torch.Tensor | None) -> None:
        self.num_rows, self.is_sampled, self.uniforms = num_rows, is_sampled, uniforms
        self.num_drawn = 0
        self._all: torch.Tensor | None = None  # (B, V), once rows have left

    def tokens(self, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """The next token of each row of the batch, (n,)."""
        self.num_drawn += 1
        if not self.is_sampled:
            return scores.argmax(dim=-1)
        probabilities = scores.softmax(dim=-1)  # (n, V)
        if self.uniforms is not None:
            return drawn_tokens(probabilities, self.uniforms[rows.cpu(), self.num_drawn - 1])
        if len(rows) == self.num_rows:
            return probabilities.multinomial(num_samples=1).squeeze(1)
        # `generate` draws for all rows to the end: so do we, or the rows that go on would get other numbers
        if self._all is None:
            self._all = probabilities.new_ones(self.num_rows, probabilities.shape[1])
        self._all[rows] = probabilities
        return self._all.multinomial(num_samples=1).squeeze(1)[rows]
