"""How MLflow's basic-auth app lets somebody in: by our token, as user `admin` or by the link of `rig open mlflow`.

MLflow writes the admin's password into its database once and never again, so a new token would not replace an old one. Here
the admin's password is the token of now; other users, whom the admin makes, are MLflow's own. Installed by role services.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from flask import redirect, request
from mlflow.server.auth import authenticate_request_basic_auth, make_basic_auth_response
from werkzeug.datastructures import Authorization

if TYPE_CHECKING:
    from flask import Response

ADMIN, COOKIE = "admin", "gpurig-mlflow"
TOKEN = os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
PROOF = hashlib.sha256(f"cookie of {TOKEN}".encode()).hexdigest()
"""What the cookie holds: the token cannot be had from it."""


def authenticate() -> Authorization | Response:
    """MLflow's `authorization_function`: who is asking, or the answer that refuses."""
    given = request.args.get("token")
    if given is not None and request.method == "GET":
        return _by_link() if _same(given, TOKEN) else make_basic_auth_response()
    shown = request.authorization
    if shown is not None and shown.type == "basic":
        if shown.username != ADMIN:
            return authenticate_request_basic_auth()
        return shown if _same(shown.password or "", TOKEN) else make_basic_auth_response()
    if _same(request.cookies.get(COOKIE, ""), PROOF):
        return Authorization("basic", {"username": ADMIN, "password": TOKEN})
    return make_basic_auth_response()


def _by_link() -> Response:
    answer = redirect(request.path)
    # Not Strict: the browser comes from a page of `rig open`, and would leave that cookie out after this redirect.
    answer.set_cookie(COOKIE, PROOF, httponly=True, samesite="Lax")
    return answer


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
