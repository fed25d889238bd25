"""Text architectures over packed ids: the differences between them.

Letters: b items, t tokens of all items, s longest item, h heads, e width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    CLIPConfig,
    CLIPTextModelWithProjection,
    PreTrainedModel,
    Siglip2TextModel,
    SiglipTextModel,
)
from typing_extensions import override

from models.artifact.specs import Pooling, Task
from models.filenames import CONFIG_FILE
from models.packed import PackedEncoder, PackedLayout, packed_attention
from models.pooling import pool
from models.pretrained import clip_text, deberta, mpnet, packed_modules
from models.pretrained.attention_interface import IMPLEMENTATION_NAME, AttentionCall, use_attention
from models.pretrained.dense import Dense, chained_dim
from models.pretrained.errors import PretrainedError
from models.pretrained.heads import HEAD_CLASSES, TrainedTextHead, head_pooling, splade_weights
from models.pretrained.loading import load_model, read_config
from models.pretrained.text_config_checks import check_config, is_bidirectional

ModelBias = Callable[[PreTrainedModel, PackedLayout], Tensor | None]
"""Computes what a model adds to the scores of every item: `[1, h or 1, s, s]`."""


def causal_bias(_model: PreTrainedModel, layout: PackedLayout) -> Tensor:
    """Return the bias of a causal mask: a token sees none after itself.

    The operator's own `is_causal` cannot stand for it: with `nonpad_kv_seqlen`, ONNX Runtime 1.31 aligns the last
    query, padding included, with the last key that is not.
    """
    return _mask_bias(_relative_distance(layout) > 0)


def causal_by_config(model: PreTrainedModel, layout: PackedLayout) -> Tensor | None:
    """Return `causal_bias`, unless the decoder's config makes it an encoder."""
    return None if is_bidirectional(model.config) else causal_bias(model, layout)


def _relative_distance(layout: PackedLayout) -> Tensor:
    """Return `[s, s]`: the distance from the query (row) to the key (column) in tokens."""
    index = layout.unpack_index
    columns = torch.arange(index.shape[1], device=index.device)
    return columns[None] - columns[:, None]


def _mask_bias(pairs: Tensor) -> Tensor:
    """Return the bias `[1, 1, s, s]` that gives no weight to the masked pairs `[s, s]`."""
    return torch.where(pairs, float("-inf"), 0.0)[None, None]


@dataclass(frozen=True)
class TextArchitecture:
    """Differences of one `model_type`. With `padding_offset_positions`, positions begin after the padding id.

    `options` keep heads out of the model that are not used. `head` names the attribute that maps the pooled state to
    the vector. `last` maps the config, ids and real tokens `[b, s]` to the tokens up to the one that "last" takes.
    `fixed_length`: trained on texts padded to the full length, with attention to the padding. `classifies`: the heads
    of its classifiers read states that do not depend on what is around an item.
    """

    padding_offset_positions: bool = False
    bias: ModelBias | None = None
    auto: Any = AutoModel
    options: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[PreTrainedModel], None] | None = None
    head: str | None = None
    pooling: Pooling = "mean"
    last: Callable[[Any, Tensor, Tensor], Tensor] | None = None
    fixed_length: bool = False
    classifies: bool = True


_NO_POOLING_LAYER = {"add_pooling_layer": False}
_BERT = TextArchitecture(options=_NO_POOLING_LAYER)
_ROBERTA = TextArchitecture(options=_NO_POOLING_LAYER, padding_offset_positions=True)
_ROTARY = TextArchitecture()

_CLIP = TextArchitecture(
    auto=CLIPTextModelWithProjection,
    bias=causal_bias,
    prepare=clip_text.use_packed_positions,
    head="text_projection",
    pooling="last",
    last=clip_text.until_end,
    classifies=False,
)
_SIGLIP = TextArchitecture(
    auto=SiglipTextModel,
    prepare=clip_text.use_packed_positions,
    head="head",
    pooling="last",
    fixed_length=True,
    classifies=False,
)
_SIGLIP2 = replace(_SIGLIP, auto=Siglip2TextModel)
_DECODER = TextArchitecture(bias=causal_by_config, pooling="last", classifies=False)

ARCHITECTURES: dict[str, TextArchitecture] = {
    "bert": _BERT,
    "ernie": _BERT,
    "electra": TextArchitecture(),
    "distilbert": TextArchitecture(),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "data2vec-text": _ROBERTA,
    "xlm-roberta-xl": _ROBERTA,
    "roberta-prelayernorm": _ROBERTA,
    "mpnet": TextArchitecture(
        options=_NO_POOLING_LAYER,
        padding_offset_positions=True,
        bias=mpnet.relative_bias,
        prepare=mpnet.replace_attention,
    ),
    "modernbert": _ROTARY,
    "nomic_bert": TextArchitecture(options=_NO_POOLING_LAYER),
    "gte": TextArchitecture(options=_NO_POOLING_LAYER),
    "eurobert": _ROTARY,
    "albert": TextArchitecture(options=_NO_POOLING_LAYER),
    "deberta-v2": TextArchitecture(prepare=deberta.replace_attention),
    "mobilebert": TextArchitecture(options=_NO_POOLING_LAYER, prepare=packed_modules.replace_trigram_embeddings),
    "qwen3": _DECODER,
    "gemma3_text": replace(_DECODER, pooling="mean"),
    "clip": _CLIP,
    "clip_text_model": _CLIP,
    "siglip": _SIGLIP,
    "siglip_text_model": _SIGLIP,
    "siglip2": _SIGLIP2,
    "siglip2_text_model": _SIGLIP2,
}
"""By `model_type`. The last six read the text towers of two-tower models."""


def load_text_model(directory: Path, model_type: str, *, attention: str, task: Task = "embed") -> PreTrainedModel:
    """Load a model whose `model_type` is one of `ARCHITECTURES`, with the head of `task`.

    Raises PretrainedError if there is none.
    """
    architecture = ARCHITECTURES[model_type]
    config = read_config(directory)
    tower = config.get_text_config()
    if isinstance(config, CLIPConfig):
        tower.projection_dim = config.projection_dim  # the pair's own counts, whatever its towers say
    check_config(tower, directory / CONFIG_FILE)
    tower.use_cache = False  # of the keys of a text that is not continued
    if task == "embed":
        return load_model(architecture.auto, directory, attention=attention, config=tower, **architecture.options)
    if not architecture.classifies:
        raise PretrainedError(f"the head of {directory}, a {model_type}, cannot be exported; its encoder can, as embed")
    return load_model(HEAD_CLASSES["text", task], directory, attention=attention, config=tower)


def token_types(config: Any) -> int | None:
    """Return the number of token types that a text tower embeds; None for one that embeds none, or a single one."""
    count: int = getattr(config, "type_vocab_size", None) or 0
    return count if count > 1 else None


def attention_heads(config: Any) -> tuple[int, ...]:
    """Return the heads of each attention layer that runs, of a text tower's config: ALBERT repeats layers."""
    layers: int = config.num_hidden_layers * getattr(config, "inner_group_num", 1)
    heads: int = config.num_attention_heads
    return (heads,) * layers


class PretrainedTextEncoder(PackedEncoder):
    """Text encoder of a Hugging Face directory, over packed ids. Raises PretrainedError if there is none.

    `pooling` is the architecture's own unless given, or its head's. `dense` follows the pooling, unless a head of
    `task` does.
    """

    def __init__(
        self,
        directory: Path,
        model_type: str,
        pooling: Pooling | None = None,
        dense: Sequence[Dense] = (),
        task: Task = "embed",
    ) -> None:
        super().__init__()
        self._architecture = ARCHITECTURES[model_type]
        loaded = load_text_model(directory, model_type, attention=IMPLEMENTATION_NAME, task=task)
        self.model: Any = loaded if task == "embed" else loaded.base_model
        self.trained_head = None if task == "embed" else TrainedTextHead(loaded, self.model)
        self._task = task
        own = self._architecture.pooling if task == "embed" else head_pooling(loaded.config, task)
        self.pooling = pooling or own
        head = self._architecture.head
        self.embedding_dim = self.model.get_submodule(head).out_features if head else self.model.config.hidden_size
        self.dense = nn.Sequential(*dense)
        self.embedding_dim = chained_dim(self.embedding_dim, dense)
        self.embedding_kind = "pooled" if all(stage.is_linear for stage in dense) else "projected"
        if self.trained_head:
            self.embedding_kind = "hidden_states"
        if self._architecture.prepare:
            self._architecture.prepare(self.model)

    @override
    def forward(self, input_ids: Tensor, position_ids: Tensor, layout: PackedLayout) -> Tensor:
        bias = self._architecture.bias and self._architecture.bias(self.model, layout)

        def attend(call: AttentionCall) -> Tensor:
            own = call.relative or _window_bias(call.window, layout, bias)
            return packed_attention(call.q, call.k, call.v, layout, call.scale, own)

        if self._architecture.padding_offset_positions:
            position_ids = past_padding(input_ids, position_ids, self.model.config.pad_token_id)
        types = {} if layout.token_type_ids is None else {"token_type_ids": layout.token_type_ids[None]}
        with use_attention(attend), packed_modules.use_layout(layout):
            out = self.model(input_ids=input_ids[None], position_ids=position_ids[None], **types)
        states: Tensor = out.last_hidden_state[0]
        layout.token_embeddings = self._project_states(states)
        if self.trained_head:
            return self._head_output(self.trained_head, states, input_ids, layout)
        rows = layout.unpack(states)
        ids = layout.unpack(input_ids[:, None])[:, :, 0]
        layout.pooled = taken(self.model, self._architecture, self.pooling, ids, layout.token_mask())
        return self._project_states(pool(rows, layout.pooled, self.pooling))

    def _head_output(self, head: TrainedTextHead, states: Tensor, input_ids: Tensor, layout: PackedLayout) -> Tensor:
        """Return the output of the head, given packed states `[t, e]` and ids `[t]`: logits `[b, c]`, or `[b, s, c]` by
        token, or the weights of sparse vectors `[b, c]`."""
        if self._task == "token-classify":  # each token by itself, so packed
            return layout.unpack(head(states[None], input_ids[None], None)[0])
        ids = layout.unpack(input_ids[:, None])[:, :, 0]
        if self._task == "sparse":
            # The logits of all tokens are the widest tensor by far, so they are reduced where they are made.
            by_token = head(layout.unpack(states, repeat_first=True), ids, None)
            layout.sparse_tokens = by_token.argmax(dim=1)
            return splade_weights(by_token)
        logits: Tensor = head(layout.unpack(states), ids, layout.token_mask())
        return logits

    def _project_states(self, states: Tensor) -> Tensor:
        vectors: Tensor = self.dense(project(self.model, self._architecture, states))
        return vectors


def taken(
    model: PreTrainedModel, architecture: TextArchitecture, pooling: Pooling, ids: Tensor, real: Tensor
) -> Tensor:
    """Return the tokens that a pooling takes: ids, real `[b, s]` -> `[b, s]`."""
    return architecture.last(model.config, ids, real) if architecture.last and pooling == "last" else real


def past_padding(input_ids: Tensor, position_ids: Tensor, padding_id: int) -> Tensor:
    """Positions as RoBERTa's code counts them: a padding token, which a text can spell, has `padding_id` for one and is
    not counted. ids and positions `[t]`, counted from `padding_id + 1` in each item -> `[t]`."""
    real = (input_ids != padding_id).long()
    counted = real.cumsum(0)
    first = torch.arange(input_ids.shape[0], device=input_ids.device) - (position_ids - padding_id - 1)
    before = (counted - real).index_select(0, first)
    return (counted - before) * real + padding_id


def project(model: PreTrainedModel, architecture: TextArchitecture, states: Tensor) -> Tensor:
    """Apply the model's own head, if it has one, to states `[..., d]`, pooled or not: `[..., e]`."""
    if architecture.head is None:
        return states
    head: nn.Module = model.get_submodule(architecture.head)
    vectors: Tensor = head(states)
    return vectors


def _window_bias(window: int | None, layout: PackedLayout, bias: Tensor | None) -> Tensor | None:
    """Return `bias`, with everything beyond the window masked."""
    if window is None:
        return bias
    near = _mask_bias(_relative_distance(layout).abs() >= window)
    return near if bias is None else near + bias
