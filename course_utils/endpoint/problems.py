"""Errors in OpenAI's form, with the status codes that its clients act on."""

from typing import Any

from fastapi.responses import JSONResponse

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


class ApiError(Exception):
    """A problem to be told to the client; `code` is for programs, `message` for people."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """{"error": {...}} as in the body of an answer, or in an event of a stream."""
        kind = KINDS.get(self.status, "server_error")
        return {
            "error": {
                "message": self.message,
                "type": kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, headers=self.headers)


def of_validation(errors: list[dict[str, Any]]) -> ApiError:
    """What pydantic found first, as one sentence with the field's name."""
    first = errors[0]
    path = ".".join(str(part) for part in first.get("loc", ()) if part != "body")
    if first.get("type") == "json_invalid":
        return ApiError(400, "the body is not valid JSON", "invalid_json")
    if first.get("type") == "extra_forbidden":
        message = f"{path}: this server does not know this field"
        return ApiError(400, message, "unknown_parameter", path)
    message = f"{path or 'body'}: {first.get('msg', 'is not valid')}"
    return ApiError(400, message, "invalid_value", path or None)
