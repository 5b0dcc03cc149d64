"""The protocol of result stores, and how a result is taken apart and put together for those that write bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from sdgraph.core.porttype import Encoded, PortType
from sdgraph.engine.cachekey import CacheKey
from sdgraph.errors import Problem

if TYPE_CHECKING:
    from sdgraph.engine.stores.checkpoints import Checkpoints

Release: TypeAlias = Callable[[], None]
"""Gives a claim back."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Who computes: the program with its version, the device, and a digest of the machine that doesn't name it."""

    program: str
    machine: str
    device: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who computed a result, when, and from what."""

    maker: Maker
    finished_at: float
    """Seconds since 1970."""
    sources: tuple[tuple[str, CacheKey, str], ...] = ()
    """For each linked input: the port, the key of what feeds it, and that one's output."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        sources = {port: f"{key.hex()}.{output}" for port, key, output in self.sources}
        maker = self.maker
        return {
            "program": maker.program,
            "machine": maker.machine,
            "device": maker.device,
            "finished_at": self.finished_at,
            "sources": sources,
        }

    @classmethod
    def from_json(cls, data: Any) -> Provenance | None:
        """None for a result whose manifest has none: earlier versions wrote none."""
        if data is None:
            return None
        pairs = [(port, *source.split(".", 1)) for port, source in data["sources"].items()]
        sources = tuple((port, bytes.fromhex(key), output) for port, key, output in pairs)
        return cls(Maker(data["program"], data["machine"], data["device"]), data["finished_at"], sources)


@dataclass(frozen=True, slots=True)
class Result:
    """What a node returned, by output name, and what it cost to compute."""

    outputs: Mapping[str, Any]
    elapsed_s: float
    node_type: str = ""
    node_version: int = 0
    made: Provenance | None = None
    digests: Mapping[str, str] | None = None
    """Digests of the outputs, by port, for a node with early cut-off."""


class ResultStore(Protocol):
    """Keeps results by key. No method raises for a result that can't be kept or read: that is a miss, and reported.

    Implementations are safe to use from several threads.
    """

    @property
    def checkpoints(self) -> Checkpoints | None:
        """Where long nodes leave how far they are; None where nothing outlives the process."""
        ...

    def find(self, key: CacheKey) -> str | None:
        """The name of the tier that has the key ("memory", "disk"), or None. Reads no payload."""
        ...

    def load(self, key: CacheKey) -> Result | None:
        """The result, or None when it is missing or damaged."""
        ...

    def digests(self, key: CacheKey) -> Mapping[str, str] | None:
        """What the result remembers of its outputs' digests; None when it is missing or has none. Reads no payload."""
        ...

    def wants(self, result: Result, *, keep: bool = False) -> bool:
        """Whether `save` would keep the result, as far as its cost and size tell. Quick."""
        ...

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        """Keep a result. With `keep` it is written even if computing it again would be cheaper than that."""
        ...

    def claim(self, key: CacheKey, expected_s: float | None = None) -> Release | None:
        """The right to compute a key's result while others wait; None while somebody else has it.

        What it gives is to be called once the result is saved or won't be. `expected_s` is how long computing is
        expected to take: a store does without a claim that costs more than it can save. Claims are advice: a store
        that can't tell lets everybody compute.
        """
        ...

    def is_claimed(self, key: CacheKey) -> bool:
        """Whether somebody has claimed the key and seems alive."""
        ...

    def guard(self, keys: Iterable[CacheKey]) -> Release:
        """Let results stay that a run is going to read, and those saved from now on, until the run gives it back."""
        ...

    def flush(self) -> None:
        """Return when everything saved so far is where it will stay."""
        ...

    def when_saved(self, work: Callable[[], None]) -> None:
        """Do something quick once everything saved so far is where it will stay."""
        ...

    def take_problems(self) -> list[Problem]:
        """What went wrong since the last call: damaged entries, a full disk."""
        ...

    def close(self) -> None:
        """Write what is pending and end; the store is not used after it. A second call does nothing."""
        ...


class Fleeting:
    """The part of a store that is the same for all that outlive no process: nothing is pending, nothing goes wrong."""

    checkpoints: Checkpoints | None = None

    def flush(self) -> None:
        """Nothing is pending."""

    def when_saved(self, work: Callable[[], None]) -> None:
        work()

    def take_problems(self) -> list[Problem]:
        return []

    def close(self) -> None:
        """Nothing to end."""


class NullStore(Fleeting):
    """Keeps nothing: every node runs."""

    def find(self, key: CacheKey) -> str | None:
        return None

    def load(self, key: CacheKey) -> Result | None:
        return None

    def digests(self, key: CacheKey) -> Mapping[str, str] | None:
        return None

    def wants(self, result: Result, *, keep: bool = False) -> bool:
        return False

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        """Nothing is kept."""

    def claim(self, key: CacheKey, expected_s: float | None = None) -> Release | None:
        return nothing_to_release

    def is_claimed(self, key: CacheKey) -> bool:
        return False

    def guard(self, keys: Iterable[CacheKey]) -> Release:
        return nothing_to_release


def nothing_to_release() -> None:
    """A claim that nobody else hears of."""


class Payloads:
    """Sizes, encoding and decoding of values whose port type is known only at run time."""

    def __init__(self, port_types: Mapping[str, PortType[Any]]) -> None:
        self._by_name = port_types
        self._by_class = {kind.python_type: kind for kind in port_types.values()}

    def type_of(self, value: Any) -> PortType[Any] | None:
        """The port type of a payload; None for plain values."""
        return self._by_class.get(type(value))

    def size_bytes(self, result: Result) -> int:
        """Memory that a result's payloads hold, at least 64 bytes for each output."""
        total = 0
        for value in result.outputs.values():
            kind = self._by_class.get(type(value))
            total += kind.size_bytes(value) if kind is not None and kind.size_bytes is not None else 64
        return total

    def encode(self, value: Any) -> tuple[str, Encoded] | None:
        """The type name ("" for plain values) and the encoded value; None if it can't leave memory."""
        kind = self.type_of(value)
        if kind is not None:
            return None if kind.codec is None else (kind.name, kind.codec.encode(value))
        return ("", Encoded(value, {})) if _is_json(value) else None

    def decode(self, name: str, encoded: Encoded) -> Any:
        """The value again. Raises KeyError for an unknown type name, and what codecs raise for damage."""
        if name == "":
            return encoded.meta
        codec = self._by_name[name].codec
        if codec is None:
            raise KeyError(name)
        return codec.decode(encoded)


def _is_json(value: Any) -> bool:
    # Only what JSON gives back as the very same value: a tuple or an enum would return as something else.
    pending = [value]
    while pending:
        part = pending.pop()
        if type(part) is list:
            pending.extend(part)
        elif type(part) is dict:
            if not all(type(key) is str for key in part):
                return False
            pending.extend(part.values())
        elif type(part) not in (type(None), bool, int, float, str):
            return False
    return True
