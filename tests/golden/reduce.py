#!/usr/bin/env python3
"""Makes the golden values beside this script: reduce.py FULL_GOLDEN_FOLDER

Copies the stiefel and optim values, and of the model tiny-gqa the cases below, with every tensor that fits: all files
stay under 1 MiB. No texts (tokens.json) are copied. Standard library only.
"""
import json
import pathlib
import shutil
import struct
import sys

MODEL = "tiny-gqa"
CASES = ["base", "loreft", "loreft.tied", "csreft.prompt_mean.l1", "csreft.prompt_mean.entropy"]
# Gradients of these weights of `base`: the embedding, which is the head too, and one block.
BASE_GRADIENTS = ["model.embed_tokens.", "model.norm.", "model.layers.1."]
LIMIT = 1 << 20


def read_safetensors(path):
    """{name: (entry of the header, bytes)}"""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    start = 8 + length
    return {
        name: (entry, data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]])
        for name, entry in header.items()
    }


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, (entry, data) in tensors.items():
        header[name] = {**entry, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values()))


def case_of(name, cases):
    """The longest case that the tensor's name starts with: loreft.tied before loreft."""
    return max((case for case in cases if name.startswith(case + ".")), key=len)


def keep(name, case):
    if case != "base":
        # The logits of the longest sequence are 1000 numbers each for little more evidence.
        return not name.startswith(case + ".logits.1")
    what = name.removeprefix("base.")
    if what.startswith("grad."):
        return any(what.startswith("grad." + weight) for weight in BASE_GRADIENTS)
    return what != "logits.1"


def reduce_model(source, target):
    target.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, target / name)
    golden = json.loads((source / "golden.json").read_text())
    every_case = list(golden["cases"])
    golden["cases"] = {case: golden["cases"][case] for case in CASES}
    (target / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    tensors = {}
    for name, tensor in read_safetensors(source / "golden.safetensors").items():
        case = case_of(name, every_case)
        if case in CASES and keep(name, case):
            tensors[name] = tensor
    write_safetensors(target / "golden.safetensors", tensors)


def main():
    if len(sys.argv) != 2 or not (pathlib.Path(sys.argv[1]) / MODEL).is_dir():
        sys.exit("error: expected one argument: a full folder of golden values")
    source, target = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).resolve().parent
    for kind in ("stiefel", "optim"):
        (target / kind).mkdir(exist_ok=True)
        for name in ("golden.json", "golden.safetensors"):
            shutil.copyfile(source / kind / name, target / kind / name)
    reduce_model(source / MODEL, target / MODEL)
    for path in sorted(target.rglob("*")):
        if path.is_file() and path.stat().st_size >= LIMIT:
            sys.exit(f"error: {path} has {path.stat().st_size} bytes, expected less than {LIMIT}")


if __name__ == "__main__":
    main()
