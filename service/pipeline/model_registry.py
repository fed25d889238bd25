"""Registry of the served models."""

from collections.abc import Iterator, Mapping

from models.artifact.manifest import Modality, Task
from service.engine.engine import Engine
from service.errors import ModelNotFound, NotReady, TaskNotSupported
from service.runtime.encoder import AnyEncoder


class ModelRegistry:
    """Served models by name, in the order of their artifacts. Selection fails once `engine` accepts no requests."""

    def __init__(self, encoders: Mapping[str, AnyEncoder], engine: Engine) -> None:
        self._encoders = encoders
        self._engine = engine

    def __iter__(self) -> Iterator[AnyEncoder]:
        return iter(self._encoders.values())

    def get(self, name: str) -> AnyEncoder:
        """Return the served model of that name. Raises ModelNotFound, or NotReady while draining."""
        self._check_accepting()
        if name not in self._encoders:
            raise ModelNotFound(f"unknown model; available: {', '.join(self._encoders)}", "model")
        return self._encoders[name]

    def default(self, modality: Modality, task: Task | None = None) -> AnyEncoder:
        """Return the first served model of a modality that has the task, if one is given.

        Raises ModelNotFound, TaskNotSupported or NotReady.
        """
        self._check_accepting()
        found = [encoder for encoder in self if encoder.manifest.modality == modality]
        if not found:
            raise ModelNotFound(f"no {modality} model is available", "model")
        chosen = next((encoder for encoder in found if task in (None, *encoder.manifest.tasks)), None)
        if chosen is None:
            raise TaskNotSupported(f"no served {modality} model has the task {task}", "model")
        return chosen

    def select(self, name: str | None, modality: Modality, task: Task) -> AnyEncoder:
        """Return the named model, or the first of that modality, that has the task.

        Raises ModelNotFound, TaskNotSupported or NotReady.
        """
        if name is None:
            return self.default(modality, task)
        encoder = self.get(name)
        if task not in encoder.manifest.tasks:
            others = [other.name for other in self if task in other.manifest.tasks]
            hint = f"models that do: {', '.join(others)}" if others else "no served model does"
            tasks = ", ".join(encoder.manifest.tasks)
            raise TaskNotSupported(f"{name} does not have the task {task}, only {tasks}; {hint}", "model")
        return encoder

    def sibling(self, encoder: AnyEncoder, modality: Modality) -> AnyEncoder | None:
        """Return the model itself, or the first that embeds that modality into the same space."""
        if encoder.manifest.modality == modality:
            return encoder
        space = encoder.manifest.embedding.space
        candidates = (other for other in self if other.manifest.modality == modality)
        return next((other for other in candidates if other.manifest.embedding.space == space), None)

    def _check_accepting(self) -> None:
        if not self._engine.accepting:
            raise NotReady("the server is not ready")
