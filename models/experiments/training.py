"""Training of small encoders: the same scenes, steps, batches and optimizer; only the encoder differs.

Every run is a function of its config, seed, learning rate and effort. Runs go through one thread each, some side by
side in processes of their own, and an encoder that two experiments ask for is trained once.

Letters: b scenes in a batch, y, x rows and columns in px.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import torch
from safetensors.torch import load as read
from safetensors.torch import save as write
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from models.encoders import registry
from models.encoders.image import ImageConfig, ImageEncoder
from models.experiments import task

BATCH_SIZE = 64
LEARNING_RATE = 2e-3
WARMUP_FRACTION = 0.1
"""Fraction of the steps in which the learning rate rises."""

WEIGHT_DECAY = 0.05
CLIP_NORM = 1.0
NUM_MEASUREMENTS = 8
"""Number of accuracy measurements during training."""


@dataclass(frozen=True)
class TrainingBudget:
    """Amount of training: `seeds` runs per encoder, each of `steps` steps on `scenes` scenes."""

    steps: int = 400
    seeds: int = 3
    scenes: int = 10_000
    held_out: int = 2_000


QUICK = TrainingBudget(steps=8, seeds=1, scenes=64, held_out=32)


@dataclass(frozen=True)
class TrainingPlan:
    """One run: the encoder, its initialization, the order of scenes, and the learning rate."""

    config: ImageConfig
    seed: int = 0
    rate: float = LEARNING_RATE


@dataclass(frozen=True)
class TrainedEncoder:
    """Result of a plan: accuracy on held-out scenes during training, and the last weights, as safetensors."""

    plan: TrainingPlan
    accuracies: tuple[float, ...]
    weights: bytes

    def encoder(self) -> ImageEncoder:
        """Return the encoder in evaluation mode."""
        encoder = registry.build(self.plan.config)
        encoder.load_state_dict(read(self.weights))
        return encoder.eval()


class TrainingPool:
    """Trains each requested plan once: in the pool's processes, or in this one without a pool."""

    def __init__(self, budget: TrainingBudget, pool: Executor | None = None) -> None:
        self.budget = budget
        self._pool = pool
        self._done: dict[TrainingPlan, TrainedEncoder] = {}

    def train(self, plans: Sequence[TrainingPlan]) -> list[TrainedEncoder]:
        """Train one encoder whose output is the scores of the classes."""
        missing = [plan for plan in dict.fromkeys(plans) if plan not in self._done]
        mapping = map if self._pool is None else self._pool.map
        runs = tqdm(mapping(partial(train, budget=self.budget), missing), "train", len(missing), unit="run")
        self._done |= {run.plan: run for run in runs}
        return [self._done[plan] for plan in plans]


def process_pool(count: int) -> ProcessPoolExecutor:
    """Create a pool of `count` single-threaded processes, spawned: forking a process with torch threads may hang."""
    return ProcessPoolExecutor(count, get_context("spawn"), torch.set_num_threads, (1,))


def steps_measured(budget: TrainingBudget) -> list[int]:
    """Return the steps after which accuracy is measured."""
    return [budget.steps * part // NUM_MEASUREMENTS for part in range(1, NUM_MEASUREMENTS + 1)]


def train(plan: TrainingPlan, budget: TrainingBudget) -> TrainedEncoder:
    """Train each plan, in order."""
    torch.manual_seed(plan.seed)
    encoder = registry.build(plan.config).train()
    optimizer = AdamW(encoder.parameters(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    schedule = OneCycleLR(optimizer, plan.rate, budget.steps, pct_start=WARMUP_FRACTION, cycle_momentum=False)
    pixels, classes = task.labeled_scenes(budget.scenes, task.TRAINING_SEED)
    rng = np.random.default_rng(plan.seed)
    accuracies = []
    for step in range(1, budget.steps + 1):
        chosen = torch.from_numpy(rng.integers(0, len(pixels), BATCH_SIZE))
        loss: Tensor = nn.functional.cross_entropy(encoder(pixels[chosen]), classes[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), CLIP_NORM)
        optimizer.step()
        schedule.step()
        if step in steps_measured(budget):
            accuracies.append(accuracy(encoder, *task.labeled_scenes(budget.held_out, task.HELD_OUT_SEED)))
    return TrainedEncoder(plan, tuple(accuracies), write(dict(encoder.state_dict())))


@torch.no_grad()
def accuracy(encoder: ImageEncoder, pixels: Tensor, classes: Tensor) -> float:
    """Return the fraction of images `[b, y, x, 3]` whose class `[b]` gets the encoder's highest score."""
    guessed = encoder.eval()(pixels).argmax(dim=1)
    encoder.train()
    return float((guessed == classes).float().mean())
