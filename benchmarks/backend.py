"""One of sentence-transformers' backends, which scores what it reads: a process that `backends.py` starts.

    PYTHON benchmarks/backend.py FOLDER torch|onnx|onnx-int8|openvino|openvino-f32 THREADS

Every line of standard input is a JSON list of (query, doc); every line of standard output, the seconds that `predict`
took and the scores. OpenVINO computes in bfloat16 where the processor can, unless it is told f32.
The script needs sentence-transformers and the backend, and nothing of rankscope.
"""

import json
import sys
import time
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder, export_dynamic_quantized_onnx_model


def loaded(folder: str, backend: str) -> CrossEncoder:
    """The ranker of a folder by a backend; a missing export is made."""
    if backend == "openvino-f32":
        exact = {"ov_config": {"INFERENCE_PRECISION_HINT": "f32"}}
        return CrossEncoder(folder, backend="openvino", device="cpu", model_kwargs=exact)
    if backend != "onnx-int8":
        return CrossEncoder(folder, backend=backend, device="cpu")
    quantization = "avx512_vnni" if "avx512_vnni" in Path("/proc/cpuinfo").read_text() else "avx2"
    whole = CrossEncoder(folder, backend="onnx", device="cpu")
    export_dynamic_quantized_onnx_model(whole, quantization, folder)
    file = f"onnx/model_q{'uint8_avx2' if quantization == 'avx2' else 'int8_avx512_vnni'}.onnx"
    return CrossEncoder(folder, backend="onnx", device="cpu", model_kwargs={"file_name": file})


def main() -> None:
    folder, backend, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    model = loaded(folder, backend)
    for line in sys.stdin:
        pairs = [tuple(pair) for pair in json.loads(line)]
        started = time.perf_counter()
        scores = model.predict(pairs, show_progress_bar=False)
        seconds = time.perf_counter() - started
        print(json.dumps([seconds, scores.tolist()]), file=answers, flush=True)


if __name__ == "__main__":
    main()
