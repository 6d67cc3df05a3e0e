"""The page that shows an API to people: one HTML file of its OpenAPI description, no script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
details{border:1px solid #8886;border-radius:6px;margin:.4rem 0}
summary{padding:.45rem .7rem;cursor:pointer}
details>div{padding:0 .9rem .7rem}
code,pre{font:13px/1.45 ui-monospace,monospace}
pre{overflow:auto;padding:.6rem;background:#8882;border-radius:4px}
b.m{display:inline-block;min-width:4.6rem;font-family:ui-monospace,monospace}
.get{color:#1a73c9}.post{color:#1a8a4c}.delete{color:#c33}.patch{color:#b06b00}
table{border-collapse:collapse}td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
"""


def add_docs(app: FastAPI, path: str, description: str) -> None:
    """Serve the page of ``app``.

    Args:
        app: Its routes are described, this one is not.
        path: Where.
        description: URL of the OpenAPI document, relative to the page.
    """

    @app.get(path, include_in_schema=False)
    async def docs() -> Response:
        page = docs_page(app.openapi(), description)
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


def docs_page(openapi: Mapping[str, Any], description_url: str) -> str:
    """Return the page for an OpenAPI 3.1 document.

    Args:
        openapi: The document.
        description_url: Link to it.
    """
    info = openapi["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{escape(info['title'])} | Swagger</title><style>{_STYLE}</style>",
        f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('description', ''))}</p>",
        f"<p>For tools (Swagger, OpenAPI {escape(openapi['openapi'])}): ",
        f"<a href='{escape(description_url)}'>{escape(description_url)}</a></p>",
    ]
    sections: dict[str, list[str]] = {}
    for path, method, route in _routes(openapi):
        tag = (route.get("tags") or [""])[0]
        sections.setdefault(tag, [f"<h2>{escape(tag)}</h2>"]).append(_route(path, method, route, openapi))
    return "".join([*parts, *(part for section in sections.values() for part in section)])


def _routes(openapi: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, route in methods.items():
            yield path, method, route


def _route(path: str, method: str, route: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    head = f"<b class='m {method}'>{method.upper()}</b> <code>{escape(path)}</code>"
    body = "".join([_parameters(route), _request(route, openapi), _responses(route)])
    text = escape(route.get("description", ""))
    title = f"{head} · {escape(route.get('summary', ''))}"
    return f"<details><summary>{title}</summary><div><p>{text}</p>{body}</div></details>"


def _parameters(route: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code>"
        f"<td>{one['in']}{', required' if one.get('required') else ''}"
        f"<td><code>{escape(json.dumps(one.get('schema', {})))}</code>"
        for one in route.get("parameters", ())
    )
    return f"<table><tr><th>parameter<th>in<th>type{rows}</table>" if rows else ""


def _request(route: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    content = route.get("requestBody", {}).get("content", {})
    shown = []
    for media_type, described in content.items():
        schema = _resolved(described.get("schema", {}), openapi)
        shown.append(f"<p>Body, {escape(media_type)}:</p><pre>{escape(json.dumps(schema, indent=1))}</pre>")
    return "".join(shown)


def _resolved(schema: Any, openapi: Mapping[str, Any], depth: int = 0) -> Any:
    """Return the schema with what it refers to in its place."""
    if isinstance(schema, list):
        return [_resolved(one, openapi, depth) for one in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and depth < 8:  # noqa: PLR2004  # bodies are not that deep
        target: Any = openapi
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]
        return _resolved(target, openapi, depth + 1)
    return {key: _resolved(value, openapi, depth) for key, value in schema.items()}


def _responses(route: Mapping[str, Any]) -> str:
    codes = ", ".join(
        f"{escape(code)} {escape(answer.get('description', ''))}"
        for code, answer in route.get("responses", {}).items()
    )
    return f"<p>Answers: {codes}</p>"
