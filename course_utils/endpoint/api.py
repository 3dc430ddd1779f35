"""What the endpoint accepts and returns: OpenAI's shapes, as far as they are served here.

A field that is not here is refused by name, not passed over: an answer that silently ignored
`tools` or `logit_bias` would look like one that obeyed.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TOKENS = 16_384  # a limit of the form; the context ends earlier
LONGEST_TEXT = 400_000  # characters of one message; the context is far shorter

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]


class Strict(BaseModel):
    """Refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid")


class TextPart(Strict):
    """A piece of a message; only text is served."""

    type: Literal["text"]
    text: Text


class Message(Strict):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(min_length=1, max_length=64)]
    name: str | None = Field(None, max_length=64, description="accepted, not used")

    def as_text(self) -> dict[str, str]:
        """Role and content as a chat template takes them."""
        role = "system" if self.role == "developer" else self.role
        parts = self.content if isinstance(self.content, list) else []
        text = "".join(part.text for part in parts) if parts else self.content
        return {"role": role, "content": str(text)}


class JsonSchema(Strict):
    """A named JSON schema that the answer must obey."""

    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = Field(None, description="accepted; a schema is always enforced")

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)


class PlainText(Strict):
    """No constraint."""

    type: Literal["text"]


class JsonObject(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonBySchema(Strict):
    """JSON that obeys a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class StreamOptions(Strict):
    """What a stream carries besides the answer."""

    include_usage: bool = Field(False, description="token counts in a last chunk")


class Request(Strict):
    """What both kinds of request share."""

    model: str = Field(min_length=1, max_length=200, examples=["tuned", "base"])
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS, description="default: 256")
    temperature: float = Field(1.0, ge=0, le=2, description="0: always the likeliest token")
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = Field(None, ge=0, le=2**32 - 2)
    stop: (
        Annotated[str, Field(min_length=1, max_length=64)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=64)]],
            Field(min_length=1, max_length=4),
        ]
        | None
    ) = None
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    n: Literal[1] = Field(1, description="one answer a request")
    user: str | None = Field(None, max_length=512, description="accepted, not used")

    @model_validator(mode="after")
    def options_need_a_stream(self) -> "Request":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is only allowed with stream=true")
        return self

    def sampling(self) -> dict[str, Any]:
        """The settings of generation, as engines take them."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop
        return {
            "max_tokens": self.limit(),
            "temperature": self.temperature,
            "top_p": self.top_p,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            **({"seed": self.seed} if self.seed is not None else {}),
            **({"stop": stops} if stops else {}),
        }

    def limit(self) -> int:
        """Most tokens of the answer."""
        return self.max_tokens or 256


class ChatRequest(Request):
    """POST /v1/chat/completions"""

    messages: list[Message] = Field(min_length=1, max_length=256)
    max_completion_tokens: int | None = Field(
        None, ge=1, le=MAX_TOKENS, description="newer name of max_tokens"
    )
    response_format: (
        Annotated[PlainText | JsonObject | JsonBySchema, Field(discriminator="type")] | None
    ) = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "model": "tuned",
                    "messages": [{"role": "user", "content": "L/H TRACK MOTOR LEAKING OIL"}],
                    "max_tokens": 64,
                    "temperature": 0,
                }
            ]
        },
    )

    def limit(self) -> int:
        return self.max_completion_tokens or self.max_tokens or 256

    def wanted_schema(self) -> dict[str, Any] | None:
        """The JSON schema of the answer; None without a constraint."""
        if isinstance(self.response_format, JsonBySchema):
            return self.response_format.json_schema.schema_
        return {"type": "object"} if isinstance(self.response_format, JsonObject) else None


class CompletionRequest(Request):
    """POST /v1/completions: a plain text goes on, without a chat template."""

    prompt: Annotated[Text, Field(min_length=1)]
    echo: Literal[False] = Field(False, description="the prompt is never repeated")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"model": "base", "prompt": "A bearing fails when", "max_tokens": 32}]
        },
    )


class Usage(BaseModel):
    """Tokens of a request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Answer(BaseModel):
    """The assistant's message."""

    role: Literal["assistant"] = "assistant"
    content: str


Finish = Annotated[
    Literal["stop", "length"],
    Field(description="length: cut by max_tokens, so no complete answer and no valid record"),
]


class ChatChoice(BaseModel):
    index: int = 0
    message: Answer
    finish_reason: Finish


class ChatCompletion(BaseModel):
    """An answer to a conversation."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class TextChoice(BaseModel):
    index: int = 0
    text: str
    finish_reason: Finish


class Completion(BaseModel):
    """How a text goes on."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage


class ModelCard(BaseModel):
    """One name to ask for."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "course"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(BaseModel):
    """ready: the self-test has passed; starting and stopping come with status 503."""

    status: Literal["starting", "ready", "stopping", "failed"]
    engine: str
    models: list[str]
    detail: str = ""


class Problem(BaseModel):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """OpenAI's form of an error."""

    error: Problem


class Example(BaseModel):
    """A test record of the run: what to ask, and the true answer."""

    messages: list[dict[str, str]]
    expected: str


class Examples(BaseModel):
    examples: list[Example]
