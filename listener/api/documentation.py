"""Swagger UI at /docs and ReDoc at /redoc, with everything that they need from this computer.

The libraries would ask their makers for a badge and a logo: that is switched off, and a policy keeps the
browser from asking anybody else, whatever a newer version of them would like to have.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles

ASSETS: Final = Path(fastapi_offline.__file__).with_name("static")
_AT: Final = "/docs/assets"
_REDOC: Final = "redoc.standalone.js"
_LOGO: Final = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
# A token in the header of a request; without, what is open to everybody.
_SECURITY: Final[list[dict[str, list[str]]]] = [{}, {"token": []}]


def add_pages(app: FastAPI) -> None:
    swagger = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=app.title,
        swagger_js_url=f"{_AT}/swagger-ui-bundle.js",
        swagger_css_url=f"{_AT}/swagger-ui.css",
        swagger_favicon_url=f"{_AT}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
    )
    redoc = get_redoc_html(
        openapi_url="/openapi.json",
        title=app.title,
        redoc_js_url=f"{_AT}/{_REDOC}",
        redoc_favicon_url=f"{_AT}/favicon.png",
        with_google_fonts=False,
    )
    for path, page in (("/docs", swagger), ("/redoc", redoc)):
        _add(app, path, bytes(page.body))

    # Before the rest of the assets, so that it is found first.
    @app.get(f"{_AT}/{_REDOC}", include_in_schema=False)
    async def redoc_script() -> Response:
        script = (ASSETS / _REDOC).read_bytes().replace(_LOGO, f"{_AT}/favicon.png".encode())
        return Response(script, media_type="text/javascript")

    app.mount(_AT, StaticFiles(directory=ASSETS))


def _add(app: FastAPI, path: str, html: bytes) -> None:
    headers = {"Content-Security-Policy": _policy(html), "Referrer-Policy": "no-referrer"}

    @app.get(path, include_in_schema=False)
    async def page() -> Response:
        return Response(html, headers=headers, media_type="text/html")


def _policy(html: bytes) -> str:
    inline = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in _INLINE.findall(html)]
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(["script-src 'self'", *(f"'sha256-{digest}'" for digest in inline)]),
            "style-src 'self' 'unsafe-inline'",  # both libraries write styles as they go
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src blob:",  # ReDoc searches in one
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def describe(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with what holds for all routes: tokens, and what mistakes look like."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    parts = document.setdefault("components", {})
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = _SECURITY
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = {
        "title": "Problem",
        "type": "object",
        "required": ["detail"],
        "properties": {"detail": {"type": "string", "title": "Detail"}},
    }
    mistakes = schemas.get("HTTPValidationError")
    if mistakes is not None:
        # A sentence of ours, where only the part itself knows what does not fit.
        listed = mistakes["properties"]["detail"]
        mistakes["properties"]["detail"] = {"title": "Detail", "anyOf": [listed, {"type": "string"}]}
        mistakes["required"] = ["detail"]
        fields = schemas["ValidationError"]["properties"]
        schemas["ValidationError"]["properties"] = {name: fields[name] for name in ("loc", "msg", "type")}
    for operations in document["paths"].values():
        for operation in operations.values():
            _add_common(operation["responses"], with_body="requestBody" in operation)
    return document


def _add_common(responses: dict[str, Any], *, with_body: bool) -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    common = {
        "401": "No token, or one that is not known",
        "403": "Not allowed to you",
        "500": "A defect; the log says why",
    }
    if with_body:
        common |= {"400": "The body cannot be read", "413": "The body is too large"}
    for status, reason in common.items():
        responses.setdefault(status, {"description": reason, "content": content})
