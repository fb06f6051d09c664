"""The settings of sentence-transformers' modules: their own and right, or refused before a library makes them up."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling
from sentence_transformers.sentence_transformer.modules import Dropout, Pooling

from rankscope.core.errors import BadInput
from rankscope.models import backbone
from rankscope.models.files.declared import modules
from rankscope.models.files.module_settings import check_module_settings
from rankscope.models.late_interaction import LateInteraction
from rankscope.models.location import Location, located
from rankscope.models.opening import open_ranker
from support import tiny

TOKENS = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
TEXT = {"module_input_name": "sentence_embedding"}
DENSE = {
    "in_features": 32, "out_features": 8, "bias": False,
    "activation_function": "torch.nn.modules.linear.Identity",
}  # fmt: skip
FLAGS = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False}
OTHERS_FILE = {"prompts": {}, "model_type": "MultiVectorEncoder"}


def folder_of(folder: Path, *chain: tuple[str, Any], card: str = "SentenceTransformer") -> Path:
    """A folder whose modules are a transformer and these, each with the settings that stand in its file."""
    listed = [("Transformer", None), *chain]
    entries = []
    for number, (kind, settings) in enumerate(listed):
        inside = folder / f"{number}_{kind}"
        inside.mkdir(parents=True)
        if settings is not None:
            (inside / "config.json").write_text(json.dumps(settings))
        where = f"sentence_transformers.models.{kind}"
        entries.append({"idx": number, "name": str(number), "path": inside.name, "type": where})
    (folder / "modules.json").write_text(json.dumps(entries))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"model_type": card}))
    return folder


POOLED = ("Pooling", {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True})


@pytest.mark.parametrize(
    "chain",
    [
        [POOLED, ("Dense", DENSE), ("Normalize", None)],
        [POOLED, ("Dense", DENSE | TEXT | {"use_residual": False}), ("Normalize", TEXT)],
        [("Pooling", FLAGS | {"pooling_mode_cls_token": True}), ("LayerNorm", {"dimension": 32})],
        [("Dense", DENSE), ("MultiVectorMask", {"skiplist_words": ["!"], "keep_only_token_ids": None})],
        [("Dense", DENSE | TOKENS), ("MultiVectorMask", {}), ("Normalize", TOKENS)],
        [("Normalize", TOKENS), ("HierarchicalTokenPooling", {"pool_factor": 2, "tasks": ["document"]})],
        [("WeightedLayerPooling", {"word_embedding_dimension": 32, "layer_start": 0, "num_hidden_layers": 2}), POOLED],
    ],
    ids=lambda chain: ", ".join(kind for kind, _ in chain),
)  # fmt: skip
def test_what_sentence_transformers_and_pylate_write_is_read(
    tmp_path: Path, chain: list[tuple[str, Any]]
) -> None:
    check_module_settings(folder_of(tmp_path / "m", *chain))


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ([("Normalize", OTHERS_FILE)], "'prompts' is no setting of a Normalize"),
        ([("Normalize", {})], "'module_input_name' is 'sentence_embedding' (what it is where the file"),
        ([("Normalize", None)], "and where nothing is pooled the vectors are 'token_embeddings'"),
        ([("Normalize", {"module_input_name": 3.5})], "'module_input_name' is 3.5, and a text"),
        ([("Normalize", {"module_input_name": None})], "'module_input_name' is null, and a text"),
        ([("Normalize", TOKENS | {"module_output_name": "scores"})], "'module_output_name' is 'scores'"),
        ([POOLED, ("Normalize", TOKENS)], "and after a pooling the vectors are 'sentence_embedding'"),
        ([POOLED, ("Dense", DENSE | {"key": 1})], "'key' is no setting of a Dense"),
        ([POOLED, ("Dense", DENSE | {"activation_function": "gelu"})], "'gelu' is no class of torch"),
        ([POOLED, ("Dense", DENSE | {"bias": 1})], "'bias' is 1, and true or false"),
        ([("Pooling", FLAGS)], "none of its poolings is true"),
        ([("Pooling", POOLED[1] | {"pooling_mode": 3})], "'pooling_mode' is 3, and a text or a list"),
        ([("Pooling", POOLED[1] | {"include_prompt": None})], "'include_prompt' is null"),
        ([("MultiVectorMask", {"skiplist_words": "x"})], "'skiplist_words' is \"x\", and a list of texts"),
        ([("MultiVectorMask", {"skiplist_tasks": ["doc"]})], "and texts are `query` or `document`"),
        ([("MultiVectorMask", {"keep_only_token_ids": [1.5]})], "and a list of token ids"),
        ([("HierarchicalTokenPooling", {"pool_factor": "2"})], "'pool_factor' is \"2\", and a number"),
    ],
)  # fmt: skip
def test_what_would_be_made_up_is_refused(
    tmp_path: Path, chain: list[tuple[str, Any]], said: str
) -> None:
    folder = folder_of(tmp_path / "m", *chain)
    with pytest.raises(BadInput) as refused:
        check_module_settings(folder)
    kind = chain[-1][0]
    assert str(refused.value).startswith(str(folder / f"{len(chain)}_{kind}" / "config.json"))
    assert said in str(refused.value)


def test_a_module_behind_a_router_is_checked_too(tmp_path: Path) -> None:
    """Its own route says whether its texts are pooled; where it sends them otherwise than by side, it is refused."""
    folder = folder_of(tmp_path / "m")
    path = folder / "0_Transformer" / "router_config.json"
    kinds = {"a": "Transformer", "b": "Pooling", "c": "Normalize"}
    for name in kinds:
        (path.parent / name).mkdir()
    (path.parent / "b" / "config.json").write_text(json.dumps(POOLED[1]))
    told: dict[str, Any] = {
        "types": {name: f"sentence_transformers.models.{kind}" for name, kind in kinds.items()},
        "structure": {"query": ["a", "b", "c"], "document": ["a", "b"]},
        "parameters": {"route_mappings": {}},
    }
    path.write_text(json.dumps(told))
    check_module_settings(folder)
    path.write_text(json.dumps(told | {"structure": {"query": ["a", "b"], "document": ["a", "c"]}}))
    with pytest.raises(BadInput, match="where nothing is pooled"):
        check_module_settings(folder)
    mapped = {"route_mappings": {"('query', 'text')": "document"}}
    path.write_text(json.dumps(told | {"parameters": mapped}))
    with pytest.raises(BadInput, match="`route_mappings` is not supported"):
        check_module_settings(folder)
    path.write_text(json.dumps(told | {"types": {**told["types"], "c": "my_code.Normalize"}}))
    with pytest.raises(
        BadInput, match=r"'my_code\.Normalize' is none of sentence-transformers' own"
    ):
        check_module_settings(folder)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "0", "two modules are called '0', and one would be left out"),
        ("scale", 2.0, "entry 1: 'scale' is no field of a module's entry"),
    ],
)
def test_an_entry_that_would_be_left_out_is_refused(
    tmp_path: Path, field: str, value: Any, said: str
) -> None:
    path = folder_of(tmp_path / "m", POOLED) / "modules.json"
    told = json.loads(path.read_text())
    told[1][field] = value
    path.write_text(json.dumps(told))
    with pytest.raises(BadInput, match=said):
        modules(path.parent)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_late_interaction(tmp_path_factory.mktemp("late") / "c")


def test_a_colbert_whose_normalize_has_the_file_of_another_is_refused(
    late: Path, tmp_path: Path
) -> None:
    """Before: sentence-transformers' Normalize looked for an embedding of the text, and left those of tokens at 134."""
    folder = Path(shutil.copytree(late, tmp_path / "c"))
    assert located(str(folder)).folder == folder.resolve()
    shutil.copyfile(
        folder / "config_sentence_transformers.json", folder / "3_Normalize/config.json"
    )
    with pytest.raises(
        BadInput, match=r"3_Normalize/config\.json: '\w+' is no setting of a Normalize"
    ):
        located(str(folder))


def test_a_colbert_with_a_pooling_is_refused(late: Path, tmp_path: Path) -> None:
    """A pooled vector that no score reads: nobody would know that it was passed over."""
    folder = Path(shutil.copytree(late, tmp_path / "c"))
    path = folder / "modules.json"
    told = json.loads(path.read_text())
    more = {"idx": 4, "name": "4", "path": "4_Pooling", "type": "sentence_transformers.models.Pooling"}  # fmt: skip
    path.write_text(json.dumps([*told, more]))
    (folder / "4_Pooling").mkdir()
    (folder / "4_Pooling" / "config.json").write_text(json.dumps(POOLED[1]))
    with pytest.raises(BadInput, match="a late-interaction model of the modules Transformer, "):
        LateInteraction.load(Location("c", folder))


QUERY, DOCS = "who sits", ["red cat", "the blue dog sits under the tree on a mat", "bird a a a"]


def test_modules_that_are_carried_out_give_sentence_transformers_scores(
    late: Path, tmp_path: Path
) -> None:
    """Modules that the zoo has not: before the pooling, and behind the tokens' own vectors."""
    bare = str(tiny.save_encoder(tmp_path / "bare"))
    chain = [Transformer(bare), Dense(32, 16, module_input_name="token_embeddings"), Pooling(16), Dropout(0.5)]  # fmt: skip
    with backbone.quiet():
        theirs = SentenceTransformer(modules=chain, device="cpu")
        theirs.save(str(tmp_path / "bi"), create_model_card=False)
        pooled = MultiVectorEncoder(str(late), device="cpu")
        pooled.append(HierarchicalTokenPooling(2.0))
        pooled.save(str(tmp_path / "late"), create_model_card=False)
    for folder, model in ((tmp_path / "bi", theirs), (tmp_path / "late", pooled)):
        ours: Any = open_ranker(folder)
        expected = model.similarity(model.encode_query([QUERY]), model.encode_document(DOCS))[0]
        assert ours.score_all([(QUERY, DOCS)])[0] == pytest.approx(expected.tolist(), abs=1e-5)
