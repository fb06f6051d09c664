"""A ranker's forward pass as ONNX, where sentence-transformers' `backend="onnx"` looks for it.

What stands around the pass (tokenizer, pooling, normalising) stays in the folder that `save` writes. The written file
is carried out once, and its numbers are compared with the ranker's. Who reads it is sentence-transformers 5 with
transformers 4: optimum-onnx 0.1, which both need for ONNX, does not go with transformers 5.
"""

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.ranker import Side

FILE = "onnx/model.onnx"
NEEDS = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-5
"""The largest difference of the file's numbers from the ranker's, beside 1 or a number's own size."""
TEXTS = ("who asks what, and who answers", "one, two; three.", "a")
"""Texts of several lengths, so that the file is made and compared with padding in it."""


def write_onnx(ranker: CrossEncoder | BiEncoder, folder: Path) -> None:
    """Write `onnx/model.onnx` into the folder in which the ranker is saved.

    Of a cross-encoder it gives `logits`, (pairs, 1); of a bi-encoder `last_hidden_state`, (texts, tokens, width). Any
    number of texts and tokens is taken. Raises BadInput for two towers, for an architecture that torch cannot export,
    and where the file's numbers are not the ranker's.
    """
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise BadInput(
            f"ONNX needs packages that cannot be imported: {', '.join(missing)}. Install rankscope's extra `onnx`."
        )
    output, side = _output(ranker), ranker.sides[-1]
    if isinstance(ranker, BiEncoder) and not ranker.is_shared:
        raise BadInput(
            "The ranker has a tower for queries and one for docs, and a folder holds one ONNX file. Export a ranker "
            "whose sides share a tower."
        )
    (folder / FILE).parent.mkdir()
    ranker.model.cpu()  # what is written for processors is traced and compared there
    model = _Pass(ranker, side, output)
    given = ranker.padded(_inputs(ranker, TEXTS, side), side)
    _write(model, given, folder / FILE, output)
    _name_as_before(folder)
    _compare(ranker, model, side, folder / FILE)


def _name_as_before(folder: Path) -> None:
    """Give modules and tokenizers the names that sentence-transformers 5 and transformers 4 know, as do later ones."""
    for path in folder.rglob("modules.json"):
        modules = json.loads(path.read_text("utf-8"))
        for module in modules:
            place, _, name = module["type"].rpartition(".")
            if place.startswith("sentence_transformers."):
                module["type"] = f"sentence_transformers.models.{name}"
        path.write_text(json.dumps(modules, indent=2), "utf-8")
    for path in folder.rglob("tokenizer_config.json"):
        config = json.loads(path.read_text("utf-8"))
        if config.get("tokenizer_class") == "TokenizersBackend":
            config["tokenizer_class"] = "PreTrainedTokenizerFast"
            path.write_text(json.dumps(config, indent=2), "utf-8")


def _output(ranker: CrossEncoder | BiEncoder) -> str:
    return "logits" if isinstance(ranker, CrossEncoder) else "last_hidden_state"


def _inputs(ranker: Any, texts: Sequence[str], side: Side) -> Any:
    pairs = [(TEXTS[0], text) for text in texts]
    return ranker.inputs(pairs if side == "pair" else texts, side)


@final
class _Pass(nn.Module):
    """The model as a function of tensors in the order of their names, which is what ONNX has."""

    def __init__(self, ranker: CrossEncoder | BiEncoder, side: Side, output: str) -> None:
        super().__init__()
        self.inner: Any = ranker.model if isinstance(ranker, CrossEncoder) else ranker.encoder(side)
        self.names: tuple[str, ...] = ()
        self.output = output
        self.eval()

    def forward(self, *tensors: Tensor) -> Tensor:
        found: Tensor = self.inner(**dict(zip(self.names, tensors, strict=True)))[self.output]
        return found


def _write(model: _Pass, given: Mapping[str, Tensor], path: Path, output: str) -> None:
    model.names = tuple(given)
    any_size = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    architecture = type(model.inner).__name__
    try:
        with _in_silence(), torch.inference_mode(mode=False), torch.no_grad():
            torch.onnx.export(
                model,
                tuple(given.values()),
                path,
                input_names=[*given],
                output_names=[output],
                dynamic_shapes=(tuple(any_size for _ in given),),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # an exporter raises what any part of the model raises
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"torch {torch.__version__} cannot export {architecture} to ONNX ({reason}). Use the model as it is, or "
            "try another version of torch."
        ) from error


@contextmanager
def _in_silence() -> Iterator[None]:
    """Without the exporter's warnings on its own workings."""
    levels = {name: logging.getLogger(name).level for name in ("torch", "onnxscript", "onnx_ir")}
    with warnings.catch_warnings(), backbone.quiet():
        warnings.simplefilter("ignore")
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def _compare(ranker: Any, model: _Pass, side: Side, path: Path) -> None:
    """Raise BadInput where the file's numbers are not the model's, of texts alone and padded."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for texts in (TEXTS, TEXTS[:1], TEXTS[2:]):
        given = ranker.padded(_inputs(ranker, texts, side), side)
        arrays = {name: tensor.numpy() for name, tensor in given.items()}
        found = torch.from_numpy(session.run(None, arrays)[0])
        with torch.inference_mode():
            expected = model(*given.values())
        real = given["attention_mask"].bool() if expected.ndim == 3 else ...
        if not torch.allclose(found[real], expected[real], atol=TOLERANCE, rtol=TOLERANCE):
            gap = float((found[real] - expected[real]).abs().max())
            raise BadInput(
                f"The ONNX file of {type(model.inner).__name__} gives other numbers than the model (by {gap:.1e}). Use "
                "the model as it is, or try another version of torch."
            )
