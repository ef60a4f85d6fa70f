#include "models/checkpoints/hugging_face_writer.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/tensor/safetensors.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/language_model.h"
#include "models/llama/rope.h"
#include "tests/error_text.h"
#include "tests/golden_families.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_chat.h"
#include "tests/tiny_model.h"

using csreft::Checkpoint;
using csreft::DType;
using ElementType = csreft::SafeTensors::ElementType;
using csreft::HuggingFaceWriteOptions;
using csreft::llama_config_json;
using csreft::LlamaConfig;
using csreft::open_checkpoint;
using csreft::parse_llama_config;
using csreft::Tensor;
using csreft::TokenizerFile;
using csreft::TokenizerVocabulary;
using csreft::write_hugging_face;

namespace {

std::function<Tensor(const std::string&)> tensors_of(const Checkpoint& checkpoint) {
  return [&checkpoint](const std::string& name) { return checkpoint.tensor(name); };
}

bool same_weights(const Checkpoint& a, const Checkpoint& b, DType rounded_to = DType::f32) {
  return std::ranges::all_of(a.shapes, [&](const auto& named) {
    const Tensor x = a.tensor(named.first).to(rounded_to).to(DType::f32), y = b.tensor(named.first);
    return std::ranges::equal(x.span<float>(), y.span<float>());
  });
}

// What is said of this model, and that it leaves nothing behind.
std::string refusal(const Checkpoint& checkpoint, const HuggingFaceWriteOptions& options = {}) {
  const TemporaryFolder folder;
  const auto text = error_text([&] {
    write_hugging_face(folder / "out", checkpoint, tensors_of(checkpoint), options);
    return 0;
  });
  CHECK(folder.count() == 0);
  return text;
}

// A GGUF's own vocabulary: the letters a to w, by bytes.
TokenizerVocabulary letters() {
  TokenizerVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "smollm";
  for (char letter = 'a'; letter <= 'w'; ++letter) vocabulary.tokens.emplace_back(1, letter);
  return vocabulary;
}

Checkpoint letters_checkpoint(const LlamaConfig& config = tiny_config()) {
  Checkpoint checkpoint = tiny_checkpoint(config);
  checkpoint.tokenizer = letters();
  return checkpoint;
}

LlamaConfig reread(const LlamaConfig& config) {
  return parse_llama_config(llama_config_json(config, "model"), "config.json");
}

}  // namespace

TEST_CASE("a written model loads with the same weights, config and tokenizer") {
  const TinyChat chat;
  const TemporaryFolder folder;
  const auto source = open_checkpoint(chat.path());
  write_hugging_face(folder / "out", source, tensors_of(source));
  const auto written = open_checkpoint(folder / "out");
  CHECK(same_weights(source, written));
  CHECK(written.config.hidden_size == source.config.hidden_size);
  CHECK(folder.read("out/tokenizer.json") == chat.folder.read("model/tokenizer.json"));
  for (const char* file : {"config.json", "generation_config.json", "model.safetensors"}) {
    CHECK(std::filesystem::exists(folder / (std::string("out/") + file)));
  }
  CHECK_FALSE(std::filesystem::exists(folder / "out/model.safetensors.index.json"));
  const auto config = nlohmann::json::parse(folder.read("out/config.json"));
  CHECK(config["torch_dtype"] == "float32");
  CHECK(csreft::SafeTensors::open(folder / "out/model.safetensors").metadata().at("format") == "pt");
}

TEST_CASE("a model is written in bf16 by rounding once") {
  const TinyChat chat;
  const TemporaryFolder folder;
  const auto source = open_checkpoint(chat.path());
  write_hugging_face(folder / "out", source, tensors_of(source), {.dtype = ElementType::bf16});
  CHECK(same_weights(source, open_checkpoint(folder / "out"), DType::bf16));
  CHECK(csreft::SafeTensors::open(folder / "out/model.safetensors").dtype("model.norm.weight") == DType::bf16);
  CHECK(nlohmann::json::parse(folder.read("out/config.json"))["torch_dtype"] == "bfloat16");
}

TEST_CASE("weights of more bytes than a shard may have are cut into shards with an index") {
  const TemporaryFolder folder;
  const auto source = letters_checkpoint();
  constexpr std::int64_t most = 4000;
  write_hugging_face(folder / "out", source, tensors_of(source), {.max_shard_bytes = most});
  CHECK(same_weights(source, open_checkpoint(folder / "out")));
  const auto index = nlohmann::json::parse(folder.read("out/model.safetensors.index.json"));
  CHECK(index["metadata"]["total_size"] == 4 * csreft::parameter_count(source.config));
  std::size_t shards = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "out")) {
    if (entry.path().extension() != ".safetensors") continue;
    ++shards;
    std::size_t bytes = 0;
    const auto file = csreft::SafeTensors::open(entry.path());
    for (const auto& name : file.names()) bytes += file.get(name).bytes();
    CHECK((bytes <= most || file.names().size() == 1));
  }
  CHECK(shards > 2);
  CHECK(index["weight_map"]["lm_head.weight"] == fmt::format("model-{0:05}-of-{0:05}.safetensors", shards));
}

TEST_CASE("a written config is read back as it was") {
  LlamaConfig config = tiny_config();
  config.rope_theta = 123'456.7;
  config.rms_norm_eps = 1e-6;
  config.tie_word_embeddings = true;
  config.bos_token_id = 3;
  config.eos_token_ids = {4, 5};
  config.rope_scaling = csreft::Llama3Rope{
      .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_position_embeddings = 16};
  const auto read = reread(config);
  CHECK(llama_config_json(read, "") == llama_config_json(config, ""));
  CHECK(read.head_dim == config.head_dim);
  CHECK(read.bos_token_id == config.bos_token_id);
  CHECK(read.eos_token_ids == config.eos_token_ids);
  CHECK(std::get<csreft::Llama3Rope>(read.rope_scaling).original_max_position_embeddings == 16);
  // Without ids there are none, not transformers' defaults.
  CHECK(llama_config_json(tiny_config(), "").at("bos_token_id").is_null());
}

TEST_CASE("a model is written in f16 by rounding once") {
  const TinyChat chat;
  const TemporaryFolder folder;
  const auto source = open_checkpoint(chat.path());
  write_hugging_face(folder / "out", source, tensors_of(source), {.dtype = ElementType::f16});
  const auto written = open_checkpoint(folder / "out");
  for (const auto& [name, shape] : written.shapes) {
    const Tensor a = source.tensor(name), b = written.tensor(name);
    // Half a step of 11 bits, or of the subnormals.
    for (std::int64_t i = 0; i < a.numel(); ++i) {
      const float was = a.data<const float>()[i], is = b.data<const float>()[i];
      CHECK(std::abs(was - is) <= std::max(std::abs(was) * 0x1p-11F, 0x1p-25F));
    }
  }
  CHECK(csreft::SafeTensors::open(folder / "out/model.safetensors").type_name("model.norm.weight") == "F16");
  CHECK(nlohmann::json::parse(folder.read("out/config.json"))["torch_dtype"] == "float16");
}

TEST_CASE("every family and rotation is written as it was read") {
  for (const auto& golden : read_golden_families(source("tests/golden/families"))) {
    CAPTURE(golden.name);
    const auto config = parse_llama_config(golden.config, golden.name);
    const auto json = llama_config_json(config, golden.name);
    const auto read = parse_llama_config(json, golden.name);
    CHECK(llama_config_json(read, golden.name) == json);
    CHECK(read.family == config.family);
    CHECK(parameter_shapes(read) == parameter_shapes(config));
    CHECK(read.sliding_window == config.sliding_window);
    CHECK(rope_inverse_frequencies(read, 64) == rope_inverse_frequencies(config, 64));
    CHECK(rope_attention_factor(read) == rope_attention_factor(config));
  }
}

TEST_CASE("biases and windows that a family does not have are not written in its name") {
  const auto refused = [](const auto& change) {
    LlamaConfig config = tiny_config();
    change(config);
    return error_text([&] { return llama_config_json(config, "x.gguf"); });
  };
  CHECK(contains(refused([](auto& c) { c.biases.qkv = true; }), "x.gguf: no config.json of a Llama describes it"));
  CHECK(contains(refused([](auto& c) { c.sliding_window = 8; }), "no config.json of a Llama describes it"));
  CHECK(contains(refused([](auto& c) { c.family = "mistral", c.biases.mlp = true; }), "a Mistral has no biases"));
  CHECK(contains(refused([](auto& c) { c.family = "qwen2"; }), "a Qwen2 has biases of q, k and v"));
  CHECK(contains(refused([](auto& c) { c.family = "gpt2"; }), "the model's family is gpt2: expected"));
}

TEST_CASE("rope factors that Llama 3's rule makes are written as the rule, others are refused") {
  LlamaConfig config = tiny_config();
  config.head_dim = 64;
  config.rope_theta = 500'000;
  LlamaConfig scaled = config;
  scaled.rope_scaling = csreft::Llama3Rope{
      .factor = 32, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_position_embeddings = 8192};
  const auto plain = csreft::rope_inverse_frequencies(config), wanted = csreft::rope_inverse_frequencies(scaled);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    config.rope_factors.push_back(static_cast<double>(static_cast<float>(plain[i] / wanted[i])));
  }
  const auto read = csreft::rope_inverse_frequencies(reread(config));
  // The factors were rounded to f32.
  for (std::size_t i = 0; i < read.size(); ++i) CHECK(read[i] == doctest::Approx(wanted[i]).epsilon(1e-5));

  config.rope_factors[20] = 1.5;
  CHECK(contains(error_text([&] { return llama_config_json(config, "x.gguf"); }), "x.gguf: its rope factors"));
}

TEST_CASE("a vocabulary inside the model becomes tokenizer files that give the same ids") {
  const TemporaryFolder folder;
  const auto source = letters_checkpoint();
  write_hugging_face(folder / "out", source, tensors_of(source));
  const auto tokenizer = load_tokenizer(open_checkpoint(folder / "out"));
  CHECK(tokenizer.encode("cab") == TokenIds{2, 0, 1});
}

TEST_CASE("a tokenizer.model is copied") {
  const TemporaryFolder folder;
  Checkpoint source = tiny_checkpoint(tiny_config());
  source.tokenizer = TokenizerFile{folder.write("tokenizer.model", "pieces")};
  source.chat_template = "[INST]";
  write_hugging_face(folder / "out", source, tensors_of(source));
  CHECK(folder.read("out/tokenizer.model") == "pieces");
  CHECK(open_checkpoint(folder / "out").chat_template == "[INST]");
}

TEST_CASE("a folder's chat templates are copied, wherever they lie") {
  const TemporaryFolder folder;
  Checkpoint source = tiny_checkpoint(tiny_config());
  std::filesystem::create_directory(folder / "additional_chat_templates");
  folder.write("tokenizer.model", "pieces");
  folder.write("additional_chat_templates/rag.jinja", "{{ rag }}");
  source.tokenizer = csreft::TokenizerFolder{folder.path()};
  write_hugging_face(folder / "named", source, tensors_of(source));
  CHECK(contains(open_checkpoint(folder / "named").chat_template_failure, "has no default.jinja"));
  folder.write("additional_chat_templates/default.jinja", "{{ standard }}");
  folder.write("additional_chat_templates/README.md", "no template");
  write_hugging_face(folder / "out", source, tensors_of(source));
  CHECK(open_checkpoint(folder / "out").chat_template == "{{ standard }}");
  CHECK(folder.read("out/additional_chat_templates/rag.jinja") == "{{ rag }}");
  CHECK(!std::filesystem::exists(folder / "out" / "additional_chat_templates" / "README.md"));
}

TEST_CASE("tokenizers without a Hugging Face form are refused before anything is written") {
  const TemporaryFolder files;
  Checkpoint source = tiny_checkpoint(tiny_config());
  source.tokenizer = TokenizerFile{files.write("tokenizer.bin", "")};
  CHECK(contains(refusal(source), "expected its tokenizer.model in its place"));
  source.tokenizer = TokenizerFile{files / "absent.model"};
  CHECK(contains(refusal(source), "absent.model of tiny does not exist"));
  source.tokenizer = csreft::TokenizerFolder{files.path()};
  CHECK(contains(refusal(source), "has no tokenizer"));
  auto vocabulary = letters();
  vocabulary.model = "llama";
  source.tokenizer = vocabulary;
  CHECK(contains(refusal(source), "its tokenizer 'llama' cannot be written"));
}

TEST_CASE("a tensor of another shape, another dtype and a full folder are refused, and nothing is written") {
  const TemporaryFolder folder;
  auto source = letters_checkpoint();
  CHECK(contains(refusal(source, {.dtype = ElementType::f64}), "a model is written as f32, bf16 or f16"));
  const auto read = source.read;
  source.read = [read](const std::string& name) {
    return name == "model.norm.weight" ? Tensor::zeros({3}) : read(name);
  };
  CHECK(contains(refusal(source), "model.norm.weight to be written has shape [3]: the config wants [12]"));
  folder.write("file", "");
  CHECK(contains(error_text([&] {
                   write_hugging_face(folder.path(), source, tensors_of(source));
                   return 0;
                 }),
                 "is not empty"));
  CHECK(folder.count() == 1);
}
