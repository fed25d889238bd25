"""Names of files in a directory of Hugging Face's libraries; our own checkpoints use the first two."""

from typing import Final

CONFIG_FILE: Final = "config.json"
WEIGHTS_FILE: Final = "model.safetensors"
SHARDS_FILE: Final = "model.safetensors.index.json"
TOKENIZER_CONFIG_FILE: Final = "tokenizer_config.json"
