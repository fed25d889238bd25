"""Training loop, which resumes from the last checkpoint.

Letters: b scenes in a batch, e width.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from tqdm import tqdm

from models.encoders import registry
from models.encoders.checkpoint import save as save_encoder
from models.encoders.image import ImageEncoder
from models.train import checkpoint
from models.train.data import batches, descriptions
from models.train.errors import DivergedError, RecipeError
from models.train.objective import ContrastiveLoss
from models.train.recipe import OptimizerConfig, Recipe
from models.train.teacher import Teacher

CURVE_FILE = "curve.jsonl"


class TrainingRun:
    """One training run in one directory: its encoder, and its progress."""

    def __init__(self, recipe: Recipe, directory: Path, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.directory = directory
        self.device = device
        self.encoder = registry.build(recipe.config()).to(device).train()
        self.contrast = ContrastiveLoss().to(device)
        self._modules = nn.ModuleDict({"encoder": self.encoder, "contrast": self.contrast})
        self._optimizer = _optimizer(self._modules, recipe.optimizer)
        self._digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
        directory.mkdir(parents=True, exist_ok=True)
        self.step = checkpoint.resume(directory, self._digest, self._modules, self._optimizer)
        _truncate_curve(directory / CURVE_FILE, self.step)

    def train(self, teacher: Teacher) -> ImageEncoder:
        """Train to the recipe's last step and save the encoder. Raises RecipeError or DivergedError."""
        if self.step < self.recipe.optimizer.steps:
            self._train(teacher)
            self._save()
        save_encoder(self.encoder, self.directory)
        return self.encoder.eval()

    def _train(self, teacher: Teacher) -> None:
        if teacher.embedding_dim != self.encoder.config.embedding_width:
            wanted = self.encoder.config.embedding_width
            raise RecipeError(
                f"encoder.embedding_width is {wanted}, the teacher's vectors are {teacher.embedding_dim} wide"
            )
        found = descriptions(self.recipe)
        scenes = batches(self.recipe, found, self.step)
        captions = teacher.embed([description.caption for description in found]).to(self.device)
        total = self.recipe.optimizer.steps
        with (
            (self.directory / CURVE_FILE).open("a", encoding="utf-8") as curve,
            tqdm(total=total, initial=self.step, unit="step", desc=self.recipe.name) as bar,
        ):
            for chosen, pixels in scenes:
                loss = self._train_step(pixels.to(self.device), captions, chosen.to(self.device))
                curve.write(json.dumps({"step": self.step, "loss": loss}) + "\n")
                bar.update()
                images_a_second = (bar.format_dict["rate"] or 0) * len(pixels)
                bar.set_postfix_str(f"loss {loss:.3f}, {images_a_second:.0f} images/s", refresh=False)
                if self.step % self.recipe.checkpoint_every == 0:
                    curve.flush()
                    self._save()

    def _save(self) -> None:
        checkpoint.save(self.directory, self.step, self._digest, self._modules, self._optimizer)

    def _train_step(self, pixels: Tensor, captions: Tensor, chosen: Tensor) -> float:
        """Run one step on pixels `[b, y, x, 3]`, and return its loss."""
        plan = self.recipe.optimizer
        for group in self._optimizer.param_groups:
            group["lr"] = plan.learning_rate * lr_multiplier(self.step, plan)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast_bf16):
            vectors = self.encoder(pixels)
        loss: Tensor = self.contrast(vectors, captions, chosen)
        if not loss.isfinite():
            raise DivergedError(f"the loss is {loss.item()} at step {self.step}; the last checkpoint is kept")
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._modules.parameters(), plan.clip_norm)
        self._optimizer.step()
        self.contrast.clamp_temperature()
        self.step += 1
        return loss.item()


def lr_multiplier(step: int, plan: OptimizerConfig) -> float:
    """Return the factor of the learning rate at a step: a linear warm-up to 1, then half a cosine down to 0."""
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    done = (step - plan.warmup_steps) / max(1, plan.steps - plan.warmup_steps)
    return (1 + math.cos(math.pi * done)) / 2


def _optimizer(modules: nn.Module, plan: OptimizerConfig) -> AdamW:
    """Build the optimizer: weights decay; biases, norms, codes and temperatures, which have one axis or are tables, do
    not."""
    decaying = [p for name, p in modules.named_parameters() if p.ndim > 1 and name.endswith("weight")]
    chosen = {id(p) for p in decaying}
    others = [p for p in modules.parameters() if id(p) not in chosen]
    groups = [{"params": decaying, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98))


def _truncate_curve(path: Path, step: int) -> None:
    """Drop the lines of the curve past the checkpoint: those steps will run again."""
    if path.is_file():
        kept = [line for line in _complete_lines(path) if json.loads(line)["step"] <= step]
        part = path.with_suffix(".part")
        part.write_text("".join(kept), encoding="utf-8")
        part.replace(path)


def _complete_lines(path: Path) -> Iterator[str]:
    """Return the complete lines: a kill may have cut the last one."""
    return (line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n"))
