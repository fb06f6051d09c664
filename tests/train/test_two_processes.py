"""The loop under torchrun: two processes against one."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

SCRIPT = """
import os, sys
from pathlib import Path
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from support import tiny
from support.training import objective, recipe
from rankscope.train import checkpoint
from rankscope.train.loop import fit

folder, rank = Path(sys.argv[1]), int(os.environ.get("RANK", 0))
ranker = tiny.cross_encoder(folder / f"model{rank}")
for module in ranker.model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
fit(ranker.model, objective(ranker), recipe(max_updates=6), checkpoints=folder / "work")
assert Accelerator(cpu=True).num_processes == int(os.environ.get("WORLD_SIZE", 1))
if rank == 0:
    save_file(checkpoint.weights_of(ranker.model), folder / "final.safetensors")
"""


def trained(folder: Path, *launcher: str) -> dict[str, torch.Tensor]:
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    tests = str(Path(__file__).resolve().parents[1])
    subprocess.run(
        [sys.executable, *launcher, str(folder / "train.py"), str(folder)],
        env=os.environ | {"PYTHONPATH": tests, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=True, capture_output=True, timeout=200,
    )  # fmt: skip
    return load_file(folder / "final.safetensors")


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    """Each takes half of an update's batches; the gradient is the mean of both (dropout off)."""
    one = trained(tmp_path / "one")
    two = trained(
        tmp_path / "two", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"
    )
    for name, weight in one.items():
        if (
            "classifier" not in name
        ):  # LCE sees differences only: the bias has rounding for gradient
            torch.testing.assert_close(weight, two[name], atol=1e-4, rtol=1e-3)
