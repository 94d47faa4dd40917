"""How answers are written over HTTP."""

from typing import Any

import orjson
from fastapi.responses import Response


def json_response(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
