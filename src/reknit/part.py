"""What a verb takes as a method, wherever in the library it is at home."""

from __future__ import annotations

from typing import ClassVar


class Part:
    """One component with typed settings (a frozen dataclass) that a verb takes as a method.

    role: what it is (adapter, weight map, mixer, tokenizer transfer, feature model ...). verb: the verb that takes it.
    """

    role: ClassVar[str]
    verb: ClassVar[str]

    def usage(self, name: str) -> str:
        """The command that uses the system `name`, which this is the part of."""
        return f"reknit {self.verb} --method {name}"
