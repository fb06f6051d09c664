"""The encoders in a bi-encoder's sentence-transformers folder, and the modules that its towers may have."""

from collections.abc import Sequence
from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.models.files import folders
from rankscope.models.ranker import SIDES, Side

MODULES = frozenset(
    {"Transformer", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout", "WeightedLayerPooling"}
)
"""sentence-transformers' modules that a tower may have."""
ROUTERS = frozenset({"Router", "Asym"})


def encoders_in(folder: Path) -> dict[Side, Path]:
    """The folder of each side's encoder in a sentence-transformers folder: its first module, or the Router's."""
    card = folders.declared(folder / folders.CARD)
    if card.get("model_type", "SentenceTransformer") != "SentenceTransformer":
        raise BadInput(
            f"{folder}: a {card['model_type']} of sentence-transformers, which is no bi-encoder with one vector a "
            "text. Give a SentenceTransformer's folder."
        )
    first, *behind = folders.modules(folder)
    towers = {side: [first, *behind] for side in SIDES}
    if first.type in ROUTERS:
        routes = folders.routes(first.folder)
        if not set(SIDES) <= routes.keys():
            raise BadInput(
                f"{first.folder}: its router has the routes {', '.join(sorted(routes)) or 'none'}, and `query` and "
                "`document` are needed. Name them so in router_config.json."
            )
        towers = {side: [*routes[side], *behind] for side in SIDES}
    for modules in towers.values():
        _check_modules(folder, modules)
    return {side: modules[0].folder for side, modules in towers.items()}


def _check_modules(folder: Path, modules: Sequence[folders.Module]) -> None:
    """Refuse a tower that does not begin with a transformer, or does not pool."""
    kinds = [module.type for module in modules]
    other = [kind for kind in kinds if kind not in MODULES]
    if other or kinds[0] != "Transformer" or "Pooling" not in kinds:
        raise BadInput(
            f"{folder}: a bi-encoder of the modules {', '.join(kinds)}; supported are a Transformer first, a Pooling, "
            f"and perhaps {', '.join(sorted(MODULES - {'Transformer', 'Pooling'}))}. Give such a model."
        )
    settings = (modules[0].folder / name for name in folders.TRANSFORMER_CONFIGS)
    for path in settings:
        named = folders.declared(path).get("tokenizer_name_or_path")
        if named:
            raise BadInput(
                f"{path}: `tokenizer_name_or_path` is {named!r}, and a model's tokenizer is read from its own folder. "
                "Save the tokenizer there, and drop the field."
            )
