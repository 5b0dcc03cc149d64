"""The server's requests and answers as TypeScript types, made of the OpenAPI document.

`python -m tools.api_types` writes web/src/api/schema.d.ts; `make docs` calls it, and a test fails when the file is not
what it would write. It knows what pydantic puts into a schema, and refuses anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sdgraph.server.app import ROUTES
from sdgraph.server.openapi import openapi

TARGET = Path(__file__).parents[1] / "web" / "src" / "api" / "schema.d.ts"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_HEAD = """\
/**
 * What requests and answers of the API look like. Made by `python -m tools.api_types`; do not edit.
 *
 * Parts without a value are left out of answers, so no part of one is null.
 */
"""


def typescript(description: Mapping[str, Any]) -> str:
    """The types of an OpenAPI document."""
    schemas = description["components"]["schemas"]
    parts = [_HEAD, *(_declaration(name, schemas[name]) for name in sorted(schemas)), _operations(description["paths"])]
    return "\n".join(parts)


def _declaration(name: str, schema: Mapping[str, Any]) -> str:
    help = _comment(schema.get("description"), "")
    if schema.get("type") == "object" and "properties" in schema:
        return f"{help}export interface {name} {_body(schema, '')}\n"
    return f"{help}export type {name} = {_type(schema, '')};\n"


def _operations(paths: Mapping[str, Any]) -> str:
    lines = ["/** Every route by its operation: what it takes and what it gives. */", "export interface Operations {"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            lines.append(f"{_comment(operation['description'], '  ')}  readonly {operation['operationId']}: {{")
            for name, kind in _operation(path, method, operation):
                lines.append(f"    readonly {name}: {kind};")
            lines.append("  };")
    return "\n".join([*lines, "}", ""])


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "method", json.dumps(method.upper())
    yield "path", json.dumps(path)
    query = [found for found in operation.get("parameters", []) if found["in"] == "query"]
    if query:
        fields = [_field(found["name"], found["schema"], found["required"], "      ") for found in query]
        yield "query", "{\n" + "".join(fields) + "    }"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        yield "request", _type(body["schema"], "")
    done = next(found for status, found in operation["responses"].items() if status != "default")
    content = done.get("content", {}).get("application/json")
    yield "answer", "unknown" if content is None else _type(content["schema"], "")


def _body(schema: Mapping[str, Any], indent: str) -> str:
    required = schema.get("required", [])
    fields = [
        _field(name, field, name in required, f"{indent}  ") for name, field in schema.get("properties", {}).items()
    ]
    return "{\n" + "".join(fields) + indent + "}"


def _field(name: str, schema: Mapping[str, Any], required: bool, indent: str) -> str:
    shown = name if _NAME.fullmatch(name) else json.dumps(name)
    kind = _type(schema, indent)
    if not required:
        kind = " | ".join(part for part in kind.split(" | ") if part != "null")
    help = _comment(schema.get("description"), indent)
    return f"{help}{indent}readonly {shown}{'' if required else '?'}: {kind};\n"


def _type(schema: Mapping[str, Any], indent: str) -> str:
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(part, indent) for part in schema["anyOf"]))
    match schema.get("type"):
        case None:
            return "unknown"
        case "array":
            return f"readonly {_in_array(_type(schema['items'], indent))}[]"
        case "object" if "properties" in schema:
            return _body(schema, indent)
        case "object":
            return _dictionary(schema, indent)
        case kind:
            return _PLAIN[kind]


def _dictionary(schema: Mapping[str, Any], indent: str) -> str:
    values = schema.get("additionalProperties", True)
    kind = "unknown" if values is True else _type(values, indent)
    keys = schema.get("propertyNames", {})
    if "enum" in keys or "$ref" in keys:
        return f"{{ readonly [key in {_type(keys, indent)}]?: {kind} }}"
    return f"{{ readonly [key: string]: {kind} }}"


def _in_array(kind: str) -> str:
    return f"({kind})" if " | " in kind or kind.startswith("readonly ") else kind


def _comment(text: str | None, indent: str) -> str:
    if not text:
        return ""
    shown = " ".join(text.split()).replace("*/", "* /")
    return f"{indent}/** {shown} */\n"


def main() -> None:
    """Write the file."""
    TARGET.write_text(typescript(openapi(ROUTES)), encoding="utf-8")


if __name__ == "__main__":
    main()
