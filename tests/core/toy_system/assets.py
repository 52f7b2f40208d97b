"""A greeting, and a card with it."""

from pathlib import Path

import dagster as dg
from core.toy_system.storage import Card, CardFiles, GreetingRows
from core.toy_system.system import POSTCARDS

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.base.files import replaced_whole
from videomoments_dagster.core.asset import Made, MaterialisationConfig, asset
from videomoments_dagster.core.asset_checks import CheckOutcome, result_check, stored_check
from videomoments_dagster.core.resources import ScratchResource
from videomoments_dagster.core.stored_checks import StoredPartition


class GreetingConfig(MaterialisationConfig):
    """Run config of `greeting`."""

    words: str = "Wish you were here"


@result_check("A greeting fits on a card. If it fails, choose fewer words.")
def greeting_is_short(greeting: str) -> CheckOutcome:
    problems = ["the greeting has more than 40 characters"] if len(greeting) > 40 else []
    return CheckOutcome(problems, holds="It fits.", remedy="Choose fewer words")


@stored_check("The stored card says what its greeting says. Reads the row and the object.")
def card_says_the_greeting(stored: StoredPartition) -> CheckOutcome:
    path, gone = stored.file(stored.value(Card, "card").cloud_url)
    same = path is not None and path.read_text() == stored.value(str, "greeting")
    problems = [] if same else [gone or "the card says something else"]
    return CheckOutcome(problems, holds="It does.", remedy="Materialise 'card' again")


@asset(POSTCARDS, GreetingRows(), code_version="1", kinds={"python"}, checks=[greeting_is_short])
def greeting(context: dg.AssetExecutionContext, config: GreetingConfig) -> Made[str]:
    """What is written on the card. Reads its run config; writes a row."""
    if not config.words:
        raise SourceRejected("there are no words", remedy="Give some in run config")
    made = f"{config.words}, in {context.partition_key}!"
    return Made(made, details={"characters": len(made)})


@asset(
    POSTCARDS,
    CardFiles(),
    code_version="1",
    kinds={"storage"},
    metadata=lambda card, greeting: {"greeting": greeting, "address": card.cloud_url},
    stored_check=card_says_the_greeting,
)
def card(greeting: str, scratch: ScratchResource) -> Path:
    """The card as a file. Reads the greeting; writes an object and its address."""
    path = scratch.folder / "card.txt"
    with replaced_whole(path) as part:
        part.write_text(greeting)
    return path
