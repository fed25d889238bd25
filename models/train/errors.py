"""Errors of a training run.

TrainError
├── RecipeError    the recipe cannot be trained; the message says where
├── TeacherError   the directory holds no text encoder whose vectors can be targets
├── DeviceError    the device that was asked for is not there
├── ResumeError    the checkpoint is not one that this run can go on from
└── DivergedError  the loss is no number any more; the last checkpoint stands
"""


class TrainError(Exception):
    """A training run that cannot go on; the message is for a person."""


class RecipeError(TrainError):
    pass


class TeacherError(TrainError):
    pass


class DeviceError(TrainError):
    pass


class ResumeError(TrainError):
    pass


class DivergedError(TrainError):
    pass
