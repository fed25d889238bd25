"""Errors of an export.

ExportError
├── OptionError   what was asked for does not go together, or not with this source
├── SourceError   the directory is no encoder that can be exported; the message says what is missing
├── GraphError    the exported graph is not what was asked for (an operator not fused, say)
├── ParityError   the graph disagrees with the trained original
└── StorageError  a file of the artifact does not fit on the disk
"""


class ExportError(Exception):
    """A failed export: no artifact was written; the message is for a person."""


class OptionError(ExportError):
    pass


class SourceError(ExportError):
    pass


class GraphError(ExportError):
    pass


class ParityError(ExportError):
    pass


class StorageError(ExportError):
    pass
