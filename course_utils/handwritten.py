"""YAML that people write by hand: a key that stands twice is an error, not a silent loss."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from course_utils.errors import CourseError

Model = TypeVar("Model", bound=BaseModel)


class _OnceEach(yaml.constructor.BaseConstructor):
    """Plain YAML takes the last of two equal keys and says nothing of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"{key.value} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class Unique(_OnceEach, yaml.SafeLoader):
    """YAML in which a key that stands twice is an error."""


class Words(_OnceEach, yaml.BaseLoader):
    """The same, with every value as the text that stands there: 0012345, 1:30 and No are names."""


def read_yaml(path: Path) -> Any:
    """What the file holds. OSError, UnicodeDecodeError or YAMLError where it cannot be read."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Unique)


def has_aliases(text: str) -> bool:
    """Whether YAML of a stranger refers to parts of itself: a few such lines stand for gigabytes.

    Text that is no YAML has none; whoever reads it says what is wrong, and where.
    """
    try:
        return any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text))
    except yaml.YAMLError:
        return False


def read_as(model: type[Model], path: Path, cure: str) -> Model:
    """The file as a model of pydantic.

    Raises CourseError that names the file and the place; `cure` is for a key or value that the
    model does not allow.
    """
    try:
        return model.model_validate(read_yaml(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CourseError(f"{path}: {error}", "write it as UTF-8 YAML") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole file"
        raise CourseError(f"{path}: {place}: {first['msg']}", cure) from None
