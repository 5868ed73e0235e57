"""The pages of the documentation, without internet."""

import json
import re
import shutil
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.e2e.helpers import ROOT
from tests.listener.api_bench import Api

PAGES = ("/docs", "/redoc")


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "spec-url", "action")]


def links(html: str) -> list[str]:
    parser = Links()
    parser.feed(html)
    return parser.found


@pytest.mark.parametrize("path", PAGES)
def test_a_page_names_no_other_host_and_all_it_names_is_served(api: Api, path: str) -> None:
    page = api.client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in re.sub(r"<!--.*?-->", "", page.text, flags=re.DOTALL)
    named = links(page.text)
    assert len(named) >= 3
    for link in [*named, "/openapi.json"]:
        assert link.startswith("/")
        answer = api.client.get(link)
        assert (answer.status_code, bool(answer.content)) == (200, True)


@pytest.mark.parametrize("path", PAGES)
def test_a_policy_lets_a_page_ask_nobody_else(api: Api, path: str) -> None:
    policy = api.client.get(path).headers["content-security-policy"]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    for name in ("connect-src", "script-src", "style-src", "img-src", "font-src"):
        hosts = [
            each for each in rules[name] if not each.startswith(("'sha256-", "'unsafe-inline'", "data:"))
        ]
        assert hosts == ["'self'"]
    assert "'unsafe-inline'" not in rules["script-src"]


def test_styles_load_nothing(api: Api) -> None:
    css = api.client.get("/docs/assets/swagger-ui.css").text
    assert {each[:5] for each in re.findall(r"url\([\"']?([^)]{5})", css)} <= {"data:"}
    assert "@import" not in css


def test_what_is_large_is_asked_for_once(api: Api) -> None:
    first = api.client.get("/docs/assets/swagger-ui-bundle.js")
    assert first.headers["cache-control"] == "no-cache"
    again = {"If-None-Match": first.headers["etag"]}
    assert api.client.get("/docs/assets/swagger-ui-bundle.js", headers=again).status_code == 304


# The document


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_part_has_its_tag_and_every_call_an_example(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["tags"], name
        assert set(operation["tags"]) <= tags, name
        (content,) = operation["responses"]["200"]["content"].values()
        assert "example" in content or "$ref" in content["schema"], name


def test_trouble_is_described_as_it_comes(document: dict[str, Any]) -> None:
    assert document["security"] == [{}, {"token": []}]
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and "content" in response:
                ref = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert ref == ("HTTPValidationError" if status == "422" else "Problem"), name
                assert document["components"]["schemas"][ref]["required"] == ["detail"]


def test_the_names_of_calls_are_unique(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)


# In a browser


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium: apt install chromium")
@pytest.mark.parametrize("path", PAGES)
def test_a_browser_shows_it_and_asks_nobody_else(api: Api, path: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page()
        asked: list[str] = []
        trouble: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda said: trouble.append(said.text) if said.type == "error" else None)
        page.goto(f"{api.url}{path}")
        page.locator("text=List rides >> visible=true").first.wait_for()
        browser.close()
    hosts = {httpx.URL(url).host for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert trouble == []


def test_docs_of_the_api_name_every_call(document: dict[str, Any]) -> None:
    text = (ROOT / "docs/api.md").read_text()
    ours = [name for name, operation in operations(document) if operation["tags"] != ["workbench"]]
    assert [name for name in ours if name not in text] == []
    assert json.dumps(document)
