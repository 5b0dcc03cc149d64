"""What can be wrong with a workflow file before anyone looks at node types: the form of ids, links and values."""

import math
import re
import reprlib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from sdgraph.core.entries import NODE_ID, GraphEntry, WorkflowDocument, graph_place
from sdgraph.errors import Problem

MAX_DEPTH = 64
_REF = re.compile(rf"{NODE_ID.pattern}\.{NODE_ID.pattern}")
_EXPECTED = {
    "model_type": "expected an object",
    "dict_type": "expected an object",
    "list_type": "expected a list",
    "string_type": "expected text",
    "int_type": "expected a whole number",
}
_ID_RULE = "Use letters, digits, _ and -, at most 64"


class Doubled(dict[str, Any]):
    """A JSON object that names a key more than once; which of the two was meant, nobody can know."""

    names: list[str]

    @classmethod
    def collect(cls, pairs: list[tuple[str, Any]], found: list["Doubled"]) -> dict[str, Any]:
        """The pairs as an object, which is added to `found` if a name occurs twice."""
        if len({name for name, _ in pairs}) == len(pairs):
            return dict(pairs)
        doubled = cls(pairs)
        seen: set[str] = set()
        doubled.names = [name for name, _ in pairs if name in seen or seen.add(name)]
        found.append(doubled)
        return doubled


def brief(value: Any) -> str:
    """A value in at most about 60 characters, however large it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    short.maxlevel, short.maxlist, short.maxdict, short.maxtuple = 2, 4, 3, 4
    return short.repr(value)


def not_finite(value: Any) -> bool:
    """Whether a number that is NaN or infinite is in the value, at any depth."""
    level = [value]
    while level:
        if any(isinstance(part, float) and not math.isfinite(part) for part in level):
            return True
        level = _parts(level)
    return False


def raw_problems(data: dict[str, Any]) -> list[Problem]:
    """Nesting and text that would break whatever walks the data later."""
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        level = _parts(level)
        for part in level:
            if isinstance(part, str) and not part.isascii() and _is_torn(part):
                return [
                    Problem(
                        "text-not-unicode",
                        f"The text {part[:60]!a} has half a character (a lone surrogate).",
                        "Write the character in full.",
                    )
                ]
        if not level:
            return []
    return [
        Problem(
            "nested-too-deeply",
            f"The workflow nests objects and lists more than {MAX_DEPTH} deep.",
            "Flatten its values.",
        )
    ]


def doubled_problems(data: dict[str, Any]) -> Iterator[Problem]:
    """A problem, with its place, for each name that occurs twice in one object."""
    holders: list[tuple[tuple[str, ...], Any]] = [((), data)]
    for path, holder in holders:  # grows while it is walked
        if isinstance(holder, Doubled):
            for name in holder.names:
                where = ".".join(path) or "the workflow"
                yield Problem(
                    "duplicate-id",
                    f"The name {brief(name)} occurs twice in {where}.",
                    "Rename or remove one of the two.",
                    *place((*path, name)),
                )
        if isinstance(holder, dict):
            holders.extend(((*path, name), part) for name, part in holder.items() if isinstance(part, (dict, list)))
        elif isinstance(holder, list):
            holders.extend(((*path, str(at)), part) for at, part in enumerate(holder) if isinstance(part, (dict, list)))


def validation_problems(error: ValidationError) -> Iterator[Problem]:
    """pydantic's complaints about the file's form as problems with a place."""
    told: set[tuple[str, ...]] = set()
    for detail in error.errors(include_url=False):
        steps = tuple(str(step) for step in detail["loc"])
        said = _EXPECTED.get(detail["type"]) or detail["msg"][:1].lower() + detail["msg"][1:]
        holder = 2 if steps[0] == "graphs" else 0
        if steps[holder : holder + 1] == ("inputs",) and len(steps) > holder + 2:
            steps = steps[: holder + 2]  # a target is a text or a list: one complaint serves for both
            said = 'expected "node.port" or a list of these'
            if steps in told:
                continue
            told.add(steps)
        where = ".".join(step if NODE_ID.fullmatch(step) else ascii(step[:64]) for step in steps)
        yield _form_problem(detail["type"], said, where, detail["input"], place(steps))


def form_problems(document: WorkflowDocument) -> Iterator[Problem]:
    """Ids and names that can't be one, links that name no port, numbers that are not finite."""
    yield from _graph_problems(document, "")
    for name, graph in document.graphs.items():
        if not NODE_ID.fullmatch(name):
            yield _name_problem("subgraph name", name)
        yield from _graph_problems(graph, graph_place(name[:64]))


def place(path: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The node and the port that a path in the file belongs to."""
    prefix = ""
    if len(path) > 2 and path[0] == "graphs":
        prefix, path = graph_place(path[1]), path[2:]
    if len(path) < 2 or path[0] != "nodes":
        return None, None
    port = path[3] if len(path) > 3 and path[2] in ("values", "links") else None
    return prefix + path[1][:64], port and port[:64]


def _graph_problems(graph: GraphEntry, prefix: str) -> Iterator[Problem]:
    for name, entry in graph.nodes.items():
        node = prefix + name[:64]
        if not NODE_ID.fullmatch(name):
            yield Problem(
                "node-id-invalid",
                f"The node id {brief(name)} has characters that an id can't have, or is too long or empty.",
                f"{_ID_RULE}; put other text into the node's label.",
                node,
            )
        for port in (*entry.values, *entry.links):
            if not NODE_ID.fullmatch(port):
                yield _name_problem("port name", port, node, port[:64])
        for port, ref in entry.links.items():
            if not _REF.fullmatch(ref):
                yield _link_problem(f"The link {brief(ref)}", node, port[:64])
        for port, value in entry.values.items():
            if not_finite(value):
                yield finite_problem(node, port[:64], value)
    for name, targets in graph.inputs.items():
        if not NODE_ID.fullmatch(name):
            yield _name_problem("input name", name)
        for target in [targets] if isinstance(targets, str) else targets:
            if not _REF.fullmatch(target):
                yield _link_problem(f"The target {brief(target)} of the input {brief(name)}")
    for name, ref in graph.outputs.items():
        if not NODE_ID.fullmatch(name):
            yield _name_problem("output name", name)
        if not _REF.fullmatch(ref):
            yield _link_problem(f"The source {brief(ref)} of the output {brief(name)}")


def finite_problem(node: str, port: str, value: Any) -> Problem:
    """The problem of a value in which a number is NaN or infinite."""
    return Problem(
        "value-not-finite",
        f"Numbers must be finite; found {brief(value)}.",
        "Write a number; JSON knows no NaN and no Infinity.",
        node,
        port,
    )


def _form_problem(kind: str, said: str, where: str, found: Any, at: tuple[str | None, str | None]) -> Problem:
    if kind == "extra_forbidden":
        return Problem("field-unknown", f"The file format has no field `{where}`.", "Remove or rename it.", *at)
    if kind == "missing":
        return Problem("field-missing", f"The field `{where}` is missing.", "Add it.", *at)
    return Problem("field-invalid", f"The field `{where}`: {said}; found {brief(found)}.", "Correct it.", *at)


def _name_problem(what: str, name: str, node: str | None = None, port: str | None = None) -> Problem:
    return Problem(
        "name-invalid",
        f"The {what} {brief(name)} has characters that no name has, or is too long or empty.",
        f"{_ID_RULE}.",
        node,
        port,
    )


def _link_problem(what: str, node: str | None = None, port: str | None = None) -> Problem:
    return Problem(
        "link-malformed", f"{what} names no port.", 'Write it as "node.port", for example "sample.latents".', node, port
    )


def _parts(level: list[Any]) -> list[Any]:
    """What the objects and lists of one level of nesting hold, keys included."""
    parts: list[Any] = []
    for holder in level:
        if isinstance(holder, dict):
            parts.extend(holder)
            parts.extend(holder.values())
        elif isinstance(holder, (list, tuple)):
            parts.extend(holder)
    return parts


def _is_torn(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)
