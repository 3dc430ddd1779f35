"""YAML that people write by hand: a key that stands twice is an error, not a silent loss."""

from pathlib import Path
from typing import Any

import yaml


class _Unique(yaml.SafeLoader):
    """Plain YAML takes the last of two equal keys and says nothing of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"{key.value} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """What the file holds. OSError, UnicodeDecodeError or YAMLError where it cannot be read."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Unique)
