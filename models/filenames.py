"""File names in directories of Hugging Face's libraries; native checkpoints use the first two."""

from typing import Final

CONFIG_FILE: Final = "config.json"
WEIGHTS_FILE: Final = "model.safetensors"
SHARDS_FILE: Final = "model.safetensors.index.json"
TOKENIZER_CONFIG_FILE: Final = "tokenizer_config.json"
