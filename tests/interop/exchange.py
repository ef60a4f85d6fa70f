"""exchange.py BUILD_DIR TINY_MODEL DEFAULT_MODEL: what one side writes, the other reads with the same numbers."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from texts import awkward_texts

BUILD, TINY, DEFAULT = (Path(argument).resolve() for argument in sys.argv[1:4])
TOLERANCE = 1e-5  # of mean nll: both sides compute in f32, in another order
WORK = tempfile.TemporaryDirectory()
count = {"passed": 0, "failed": 0}


def check(name, holds, detail=""):
    count["passed" if holds else "failed"] += 1
    if not holds:
        print(f"FAILED: {name}: {detail}")


def check_close(name, ours, theirs, tolerance=TOLERANCE):
    check(name, abs(ours - theirs) <= tolerance, f"{ours:.8f} here, {theirs:.8f} in Python")


def new_folder():
    return Path(tempfile.mkdtemp(dir=WORK.name))


def helper(*words):
    command = [BUILD / "tests/interop_helper", *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def merge(model, adapter, out, *flags):
    command = [BUILD / "experiments/csreft", "merge", "--model", model, "--adapter", adapter, "--out", out, *flags]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def nll(model, sequences):
    """Mean over all next tokens of all sequences."""
    total = tokens = 0
    with torch.no_grad():
        for ids in sequences:
            batch = torch.tensor([ids])
            logits = model(batch).logits[0, :-1].double()
            total += torch.nn.functional.cross_entropy(logits, batch[0, 1:], reduction="sum").item()
            tokens += len(ids) - 1
    return total / tokens


def write_json(name, value):
    path = Path(WORK.name) / name
    path.write_text(json.dumps(value))
    return path


SEQUENCES = json.loads((TINY / "golden.json").read_text())["sequences"]
IDS = write_json("ids.json", SEQUENCES)
TEXTS = awkward_texts(200)
TEXTS_FILE = write_json("texts.json", TEXTS)

# Options of peft's LoraConfig.
ADAPTERS = {
    "list": dict(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"]),
    "rslora": dict(r=4, lora_alpha=8, use_rslora=True, target_modules=["q_proj", "down_proj"]),
    "rank and alpha patterns": dict(r=4, lora_alpha=16, target_modules=["q_proj", "k_proj", "up_proj"],
                                    rank_pattern={"q_proj": 8, r"^model.layers.[12].*k_proj": 2},
                                    alpha_pattern={r"mlp\.up_proj": 5, "layers.3.self_attn.q_proj": 40}),
    "regular expression": dict(r=3, lora_alpha=7, target_modules=r".*\.(1|3)\..*(q|k|gate)_proj"),
    "all-linear": dict(r=2, lora_alpha=4, target_modules="all-linear"),
    "layers": dict(r=4, lora_alpha=16, target_modules=["o_proj", "up_proj"], layers_to_transform=[0, 2]),
    "layers by pattern": dict(r=4, lora_alpha=16, target_modules=["o_proj"], layers_to_transform=1,
                              layers_pattern="layers"),
    "excluded": dict(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"], exclude_modules=r".*\.2\..*"),
    "whole names": dict(r=4, lora_alpha=16, target_modules=["model.layers.0.self_attn.q_proj", "layers.3.mlp.up_proj"]),
    "gaussian": dict(r=4, lora_alpha=16, target_modules=["v_proj"], init_lora_weights="gaussian", lora_dropout=0.1),
}
REFUSED = {
    "DoRA": dict(use_dora=True),
    "whole modules": dict(modules_to_save=["lm_head"]),
    "bias": dict(bias="lora_only"),
    "embed_tokens": dict(target_modules=["q_proj", "embed_tokens"]),
    "pissa": dict(init_lora_weights="pissa"),
    "trained token embeddings": dict(trainable_token_indices=[1, 2]),
}


def adapt(options):
    """A PEFT model whose A and B are all random."""
    torch.manual_seed(1)
    model = get_peft_model(load(TINY), LoraConfig(task_type="CAUSAL_LM", **options)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.1)
    return model


def train(model):
    """A few steps, so that a trained adapter is among those exchanged."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(5):
        batch = torch.tensor([SEQUENCES[0]])
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def exchange_adapter(name, model, rewrite=None):
    """An adapter of Python's peft loads here, and merged it loads in transformers."""
    folder = new_folder()
    model.save_pretrained(folder)
    if rewrite:
        file = folder / "adapter_model.safetensors"
        save_file(rewrite(load_file(file)), file, {"format": "pt"})
        model = PeftModel.from_pretrained(load(TINY), folder).eval()
    expected = nll(model, SEQUENCES)
    check_close(f"adapter {name}", helper("nll", TINY, IDS, folder), expected)
    merged = folder / "merged"
    result = merge(TINY, folder, merged)
    check(f"merge {name}", result.returncode == 0, result.stderr)
    if result.returncode == 0:
        check_close(f"merged {name}, read here", helper("nll", merged, IDS), expected)
        check_close(f"merged {name}, read by transformers", nll(load(merged), SEQUENCES), expected)
    return expected


def adapters_to_here():
    base = nll(load(TINY), SEQUENCES)
    check_close("base model", helper("nll", TINY, IDS), base)
    for name, options in ADAPTERS.items():
        adapted = exchange_adapter(name, adapt(options))
        check(f"adapter {name} matters", abs(adapted - base) > 100 * TOLERANCE, adapted)
    model = adapt(ADAPTERS["list"])
    train(model)
    exchange_adapter("trained", model)
    model = adapt(ADAPTERS["list"])
    exchange_adapter("bf16", model, lambda tensors: {k: v.bfloat16() for k, v in tensors.items()})
    exchange_adapter("f16", model, lambda tensors: {k: v.half() for k, v in tensors.items()})


def refused_adapters():
    for what, changes in REFUSED.items():
        folder = new_folder()
        model = get_peft_model(load(TINY), LoraConfig(task_type="CAUSAL_LM", **{**ADAPTERS["list"], **changes}))
        model.save_pretrained(folder)
        result = merge(TINY, folder, folder / "merged")
        refused = result.returncode == 2 and what in result.stderr and result.stderr.count("\n") == 1
        check(f"refused: {what}", refused and not (folder / "merged").exists(), result.stderr)


def adapters_to_python():
    for case in ("grid", "rslora", "mixed"):
        folder = new_folder()
        helper("write", TINY, folder, case)
        model = PeftModel.from_pretrained(load(TINY), folder).eval()
        check_close(f"written adapter {case}", helper("nll", TINY, IDS, folder), nll(model, SEQUENCES))


def same_tokens(name, folder, texts, ours):
    """The written tokenizer in transformers gives `ours`, the ids of its source here."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, ids in zip(texts, ours, strict=True):
        theirs = tokenizer(text, add_special_tokens=False)["input_ids"]
        check(f"{name}: tokens of {text[:40]!r}", ids == theirs, f"{ids[:20]} here, {theirs[:20]} in Python")
        check(f"{name}: decodes {text[:40]!r}", tokenizer.decode(theirs) == text, repr(tokenizer.decode(theirs)[:40]))
    return tokenizer


def models_to_python():
    for dtype, largest in (("f32", 10**9), ("bf16", 10**9), ("f32", 100_000)):
        folder = new_folder() / "model"
        helper("convert", TINY, folder, dtype, largest)
        name = f"written model in {dtype}, shards of {largest}"
        check_close(name, helper("nll", folder, IDS), nll(load(folder), SEQUENCES))
    same_tokens("tiny model", folder, TEXTS, helper("ids", TINY, TEXTS_FILE))


def tokenizers_to_python():
    """Every pre-tokenizer that a GGUF may name, with the default model's vocabulary."""
    for pre in ("smollm", "gpt-2", "llama-bpe", "default"):
        folder = new_folder()
        ours = helper("tokenizer", DEFAULT, TEXTS_FILE, folder, pre)
        tokenizer = same_tokens(f"pre-tokenizer {pre}", folder, TEXTS, ours)
        with_bos = tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
        check(f"pre-tokenizer {pre}: BOS", with_bos == (pre == "llama-bpe"), with_bos)


def default_model_to_python():
    folder = new_folder() / "model"
    helper("convert", DEFAULT, folder, "f32", 10**9)
    tokenizer = same_tokens("default model", folder, TEXTS, helper("ids", DEFAULT, TEXTS_FILE))
    chat = tokenizer.apply_chat_template([{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}],
                                         tokenize=False, add_generation_prompt=True)
    expected = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    check("default model: chat template", chat == expected, repr(chat))
    check("default model: end of a turn", tokenizer.eos_token == "<|im_end|>", tokenizer.eos_token)
    texts = ["The capital of France is Paris, and that of Italy is Rome.", chat + "Hello! How can I help?<|im_end|>"]
    sequences = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    ids = write_json("default.json", sequences)
    ours, theirs = helper("nll", DEFAULT, ids), nll(load(folder), sequences)
    check_close("default model: nll", ours, theirs)
    check_close("default model: nll of the written model here", helper("nll", folder, ids), theirs)
    check("default model: it knows the language", theirs < 3, theirs)


def main():
    adapters_to_here()
    refused_adapters()
    adapters_to_python()
    models_to_python()
    if DEFAULT.exists():
        tokenizers_to_python()
        default_model_to_python()
    else:
        print(f"skipped: the default model is not at {DEFAULT}")
    print(f"{count['passed']} passed, {count['failed']} failed")
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
