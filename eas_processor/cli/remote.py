"""A running service, asked over HTTP; for `predict URL`."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from http.client import HTTPException
from typing import TypeVar
from urllib.parse import quote

from eas_processor.errors import Code, ServingError
from eas_processor.pool.call import Answer
from eas_processor.worker.frames import Content, Kind

T = TypeVar("T")
Ask = Callable[[Kind, bytes], Awaitable[Answer]]


def ask(url: str, token: str, questions: Callable[[Ask], Awaitable[T]], timeout_s: float) -> T:
    """Let `questions` ask the service at `url`. Raises ServingError if it cannot be reached."""

    async def one(kind: Kind, body: bytes) -> Answer:
        target = url
        if kind is Kind.DESCRIBE:
            target, body = f"{url}?signature={quote(body)}", b""
        try:
            request = urllib.request.Request(target, data=body, method="POST")
            if token:
                request.add_header("Authorization", token)
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return Answer(Code.OK, Content.BINARY, answer.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace").strip()
            return Answer.error(Code.UNKNOWN, f"status {error.code}: {text}")
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise ServingError(Code.UNAVAILABLE, f"{url}: {reason}") from None

    async def run() -> T:
        return await questions(one)

    return asyncio.run(run())
