"""The API's reference as one page without scripts, made from the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from string import Template
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")


def reference(document: Mapping[str, Any], template: str) -> str:
    """Returns the reference.

    Args:
        document: an OpenAPI document.
        template: a page with places for title, about, toc, operations and schemas.
    """
    operations = list(_operations(document))
    schemas = document.get("components", {}).get("schemas", {})
    shown = {
        name: part for name, part in schemas.items() if not name.startswith(("HTTPValidation", "Validation"))
    }
    toc = "".join(
        f'<li><a href="#{_anchor(verb, path)}"><b class="verb {verb}">{verb.upper()}</b> <code>{escape(path)}</code>'
        "</a></li>"
        for verb, path, _ in operations
    )
    return Template(template).substitute(
        version=escape(str(document["info"]["version"])),
        about=_prose(document["info"].get("description", "")),
        toc=toc,
        operations="\n".join(_operation(*found) for found in operations),
        schemas="\n".join(_schema(name, part) for name, part in shown.items()),
    )


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for verb in _METHODS:
            if verb in item:
                yield verb, path, item[verb]


def _anchor(verb: str, path: str) -> str:
    return re.sub(r"[^a-z]+", "-", f"{verb}{path}".lower()).strip("-")


def _operation(verb: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<section id="{_anchor(verb, path)}"><h3><b class="verb {verb}">{verb.upper()}</b> <code>{escape(path)}</code>'
        f"</h3><p><strong>{escape(operation.get('summary', ''))}.</strong> "
        f"{_prose(operation.get('description', ''))}</p>"
    ]
    rows = [
        _row(
            p["name"],
            p["schema"],
            p.get("description", ""),
            f"{p['in']}, required" if p.get("required") else p["in"],
        )
        for p in operation.get("parameters", ())
    ]
    if rows:
        parts.append(_table("Parameters", ("Name", "Type", "Meaning"), rows))
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body: {_type(body.get('schema', {}))} as <code>{escape(kind)}</code></p>")
    answers = []
    for status, answer in operation.get("responses", {}).items():
        kinds = [
            f"{_type(content.get('schema', {}))} <small>{escape(kind)}</small>"
            for kind, content in answer.get("content", {}).items()
        ]
        answers.append(
            f"<tr><th scope='row'>{escape(status)}</th><td>{', '.join(kinds) or '–'}</td>"
            f"<td>{_prose(answer.get('description', ''))}</td></tr>"
        )
    parts.append(_table("Answers", ("Status", "Body", "Meaning"), answers))
    return "".join(parts) + "</section>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    head = f'<section id="schema-{escape(name)}"><h3><code>{escape(name)}</code></h3>'
    about = f"<p>{_prose(schema.get('description', ''))}</p>" if schema.get("description") else ""
    if "enum" in schema:
        return f"{head}{about}<p>{_type(schema)}</p></section>"
    needed = set(schema.get("required", ()))
    rows = [
        _row(key, part, part.get("description", ""), "required" if key in needed else _default(part))
        for key, part in schema.get("properties", {}).items()
    ]
    return head + about + _table("Fields", ("Name", "Type", "Meaning"), rows) + "</section>"


def _row(name: str, schema: Mapping[str, Any], meaning: str, note: str) -> str:
    small = f"<br><small>{escape(note)}</small>" if note else ""
    head = f"<th scope='row'><code>{escape(name)}</code>{small}</th>"
    return f"<tr>{head}<td>{_type(schema)}</td><td>{_prose(meaning)}</td></tr>"


def _default(schema: Mapping[str, Any]) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    return "" if value is None else f"default {json.dumps(value)}"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f'<a href="#schema-{escape(name)}"><code>{escape(name)}</code></a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type(part) for part in schema[key])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [
        f"{sign} {schema[key]:g}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in schema
    ]
    return escape(" ".join([kind, ", ".join(limits)]).strip())


def _table(caption: str, heads: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in heads)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _prose(text: str) -> str:
    """Escaped text with `code` marked."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split()), quote=False))
