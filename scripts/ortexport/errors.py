"""The exceptions of the exporter: what went wrong, and the way out."""

OTHER_EXPORTERS = (
    "export it with onnxruntime-genai's model builder or with optimum; ortscore reads both"
)


class ExportError(Exception):
    """A failure meant for the user: `message` says what, `hint` says what to do about it.

    Both start in lower case and carry no full stop, because they are printed behind a prefix.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint


class CheckpointError(ExportError):
    """The checkpoint is broken: truncated, inconsistent or hostile."""


class UnsupportedError(ExportError):
    """The checkpoint is sound but needs something this exporter does not do."""

    def __init__(self, message: str, hint: str = OTHER_EXPORTERS):
        super().__init__(message, hint)
