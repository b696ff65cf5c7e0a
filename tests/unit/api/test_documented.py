"""The page about Skerry's own API, and the routes there are."""

from pathlib import Path

from skerry.api.routes import BETWEEN, CENTRAL, LOCAL, NEWCOMERS, READ, WRITE

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


def test_every_call_of_our_own_is_on_the_page() -> None:
    calls = [
        f"{method} {path}"
        for table in (NEWCOMERS, BETWEEN, READ, LOCAL, WRITE, CENTRAL)
        for path, methods in table.items()
        for method in methods
        if path.startswith("/skerry/")
    ]
    assert calls
    assert [call for call in calls if call not in PAGE] == []
