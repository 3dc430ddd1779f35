"""What a saved adapter says of itself: its base model by id, and a model card of its own.

    trainer.model.save_pretrained(folder)
    adapters.describe(folder, settings.base_model, records=320)

PEFT writes the folder that the base model was loaded from, which names this machine's user and is
nowhere else, and a form of 40 empty lines.
"""

from pathlib import Path, PurePath
from typing import Any

from course_utils import kit, models
from course_utils.files import read_object, write_json_atomic, write_text_atomic
from course_utils.ownership import MAKER
from course_utils.templating import environment

CONFIG, CARD = "adapter_config.json", "README.md"
TEMPLATES = Path(__file__).with_name("templates")


def describe(folder: Path, base_model: str, records: int | None = None) -> None:
    """Name the base model of a saved adapter by its id, and write its card (README.md).

    `records`: how many it was trained on. Raises CourseError without an adapter_config.json.
    """
    folder = Path(folder)
    config = read_object(folder / CONFIG)
    config["base_model_name_or_path"] = models.id_of(base_model)
    write_json_atomic(folder / CONFIG, config)
    write_text_atomic(folder / CARD, card(config, records))


def card(config: dict[str, Any], records: int | None = None) -> str:
    """The adapter's card as Markdown, with the front matter that model hubs read."""
    markdown = environment(TEMPLATES, html=False, keep_trailing_newline=True)
    base = config["base_model_name_or_path"]
    base = PurePath(base).name if base.startswith("~") or PurePath(base).is_absolute() else base
    layers = config.get("target_modules") or []
    return markdown.get_template("adapter_card.md.jinja").render(
        base=base,
        kit=f"{MAKER} {kit.version()}",
        licence=models.licence_of(base),
        rank=config.get("r"),
        alpha=config.get("lora_alpha"),
        dropout=config.get("lora_dropout"),
        layers=layers if isinstance(layers, str) else ", ".join(sorted(layers)),
        records=records,
    )
