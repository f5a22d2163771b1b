"""Services' data as the laptop sees it, and what their programs bring along: a login with a limit, and batches."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

from gpurig import catalogue, exposure, services

FILES = catalogue.ROOT / "roles/services/files"
TOKEN = "a-secret"


def program(name: str) -> ModuleType:
    """A file that the role brings to hosts, as a module."""
    spec = importlib.util.spec_from_file_location(f"role_{name.replace('/', '_')}", FILES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


guard, batches = program("guard"), program("api/batches")


class TestData:
    def test_ports_and_environments_are_those_that_the_host_gives_them(self) -> None:
        given = {"services_ports": {"jupyter": 8889}, "services_environments": {"jupyter": "pytorch"}}
        found = services.of_variables(("jupyter", "mlflow"), given)
        assert (found["jupyter"].port, found["jupyter"].environment) == (8889, "pytorch")
        assert (found["mlflow"].port, found["mlflow"].environment) == (5000, "mlflow")

    def test_every_service_is_described_and_no_two_share_a_port(self) -> None:
        found = services.of_variables(catalogue.services(), {})
        ports = [service.port for service in found.values() if service.port]
        assert len(ports) == len(set(ports))
        assert list(exposure.problems(catalogue.services(), {}, {})) == []

    @pytest.mark.parametrize(("name", "end"), [("jupyter", "127.0.0.1:8888"), ("lupine", "/run/gpurig/lupine/socket")])
    def test_a_tunnel_ends_at_a_port_or_at_a_socket(self, name: str, end: str) -> None:
        assert services.of_variables((name,), {})[name].far_end == end

    def test_experimental_is_only_what_says_so(self) -> None:
        assert [name for name in catalogue.services() if services.described(name).get("experimental")] == ["lupine"]


class Asked:
    """One request to the guard, and what came of it."""

    def __init__(self, path: str = "/work", *, query: str = "", body: Sequence[bytes] = (b"",), **headers: str) -> None:
        fields = {"host": "127.0.0.1:8000", **{key.replace("_", "-"): value for key, value in headers.items()}}
        self.scope = {
            "type": "http", "method": "POST" if body != (b"",) else "GET", "path": path, "query_string": query.encode(),
            "headers": [(key.encode(), value.encode()) for key, value in fields.items()],
        }  # fmt: skip
        self.parts, self.status, self.headers, self.body = list(body), 0, dict[str, str](), b""

    async def receive(self) -> dict[str, Any]:
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {key.decode(): value.decode() for key, value in message["headers"]}
        self.body += message.get("body", b"")

    def of(self, limit: int = 10) -> Asked:
        asyncio.run(
            guard.Guard(echo, TOKEN, name="test", public={"/health"}, limit=limit)(self.scope, self.receive, self.send)
        )
        return self


async def echo(_: Any, receive: Any, send: Any) -> None:
    """An application that answers with what it was sent."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


class TestGuard:
    def test_whoever_shows_the_token_gets_through_and_the_body_with_it(self) -> None:
        found = Asked(body=[b"abc", b"def"], authorization=f"Bearer {TOKEN}").of()
        assert (found.status, found.body) == (200, b"abcdef")

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Bearer "},
            {"authorization": f"Basic {TOKEN}"},
            {"authorization": "Bearer \xe4\xf6"},
            {"cookie": "gpurig-test=wrong"},
            {"cookie": f"gpurig-test={TOKEN}"},
            {"cookie": "=;;; \\ =="},
        ],
    )
    def test_nobody_else_does(self, headers: dict[str, str]) -> None:
        asked: dict[str, Any] = {**headers}
        assert Asked(**asked).of().status == 401

    def test_a_link_is_exchanged_for_a_cookie_that_does_not_give_the_token_away(self) -> None:
        found = Asked("/", query=f"token={TOKEN}").of()
        assert (found.status, found.headers["location"]) == (303, "/")
        cookie = found.headers["set-cookie"].partition(";")[0]
        assert TOKEN not in cookie
        assert "HttpOnly; SameSite=Lax" in found.headers["set-cookie"]
        assert Asked(cookie=cookie).of().status == 200
        assert Asked(cookie=cookie, origin="http://127.0.0.1:8000").of().status == 200
        assert Asked(cookie=cookie, origin="http://127.0.0.1:9999").of().status == 401, "another page of this browser"

    @pytest.mark.parametrize("query", ["token=wrong", "token=", ""])
    def test_a_wrong_link_is_none(self, query: str) -> None:
        assert Asked("/", query=query).of().status == 401

    def test_only_what_is_public_needs_no_login(self) -> None:
        assert Asked("/health").of().status == 200
        assert Asked("/health/x").of().status == 401

    @pytest.mark.parametrize("body", [[b"x" * 11], [b"x" * 6, b"x" * 5]])
    def test_too_much_is_refused_whether_or_not_its_length_is_stated(self, body: list[bytes]) -> None:
        login = {"authorization": f"Bearer {TOKEN}"}
        assert Asked(body=body, **login).of().status == 413
        assert Asked(body=body, content_length=str(sum(map(len, body))), **login).of().status == 413
        assert Asked(body=[b"x"], content_length="-1", **login).of().status == 413
        assert Asked(body=[b"x" * 10], **login).of().status == 200

    def test_a_stranger_s_body_is_not_even_read(self) -> None:
        asked = Asked(body=[b"x" * 1000, b"y"])
        assert asked.of().status == 401
        assert len(asked.parts) == 2

    def test_an_empty_token_is_refused_at_once(self) -> None:
        with pytest.raises(ValueError, match="empty"):
            guard.Guard(echo, "", name="test", limit=1)


def answers(predict: Any, asked: Sequence[int], **settings: Any) -> tuple[list[Any], list[int]]:
    """What comes of requests made at the same time, and the sizes of the batches."""
    sizes: list[int] = []

    async def ask_all() -> list[Any]:
        made = batches.Batches(predict, **{"most": 4, "wait": 0.05, "queue": 100, "seen": sizes.append, **settings})
        made.start()
        asking = asyncio.gather(*(made.ask(one) for one in asked), return_exceptions=True)
        found = await asyncio.wait_for(asking, 10)
        await made.stop()
        return list(found)

    return asyncio.run(ask_all()), sizes


def doubled(asked: list[int]) -> list[int]:
    if 13 in asked:
        raise ValueError("thirteen")
    return [2 * one for one in asked]


class TestBatches:
    def test_simultaneous_requests_are_asked_together_and_each_gets_its_own_answer(self) -> None:
        found, sizes = answers(doubled, range(10))
        assert found == [2 * one for one in range(10)]
        assert sizes == [4, 4, 2]

    def test_a_single_request_waits_no_longer_than_it_may(self) -> None:
        started = time.monotonic()
        assert answers(doubled, [1], wait=0.1)[0] == [2]
        assert 0.1 <= time.monotonic() - started < 20

    def test_what_makes_a_batch_fail_fails_alone(self) -> None:
        found, _ = answers(doubled, [1, 13, 3, 4])
        assert [str(one) for one in found] == ["2", "thirteen", "6", "8"]

    def test_a_model_that_gives_too_few_answers_is_an_error_and_none_is_swapped(self) -> None:
        found, _ = answers(lambda asked: asked[1:], [1, 2])
        assert all("0 answers to 1 requests" in str(one) for one in found)

    def test_more_than_may_wait_are_refused_at_once(self) -> None:
        found, _ = answers(doubled, range(10), queue=3)
        refused = [one for one in found if isinstance(one, batches.FullError)]
        assert len(refused) == 7
        assert [one for one in found if one not in refused] == [0, 2, 4]

    def test_the_model_is_never_used_twice_at_the_same_time(self) -> None:
        inside = threading.Semaphore(1)

        def predict(asked: list[int]) -> list[int]:
            assert inside.acquire(blocking=False)
            time.sleep(0.01)
            inside.release()
            return asked

        assert answers(predict, range(20), most=2)[0] == list(range(20))

    def test_whoever_goes_away_costs_the_model_nothing(self) -> None:
        seen: list[int] = []

        async def go_away() -> None:
            def noted(asked: list[int]) -> list[int]:
                seen.extend(asked)
                return asked

            made = batches.Batches(noted, most=4, wait=0.05, queue=9)
            gone = asyncio.create_task(made.ask(1))
            await asyncio.sleep(0)
            gone.cancel()
            made.start()
            assert await made.ask(2) == 2
            await made.stop()

        asyncio.run(go_away())
        assert seen == [2]

    def test_what_waits_is_still_answered_when_it_stops(self) -> None:
        async def stop_early() -> list[int]:
            made = batches.Batches(doubled, most=1, wait=0, queue=9)
            asked = [asyncio.create_task(made.ask(one)) for one in range(5)]
            await asyncio.sleep(0)
            made.start()
            await made.stop()
            return list(await asyncio.gather(*asked))

        assert asyncio.run(stop_early()) == [0, 2, 4, 6, 8]
