#include "reft/adapters/peft.h"

#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/tensor/safetensors.h"
#include "tests/error_text.h"
#include "tests/reft/adapters/lora_tools.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_model.h"

using csreft::DType;
using csreft::LoraAdapter;
using csreft::read_peft;
using csreft::Tensor;
using csreft::write_peft;
using enum csreft::LinearSite;

namespace {

using Tensors = std::vector<std::pair<std::string, Tensor>>;

const std::string q0 = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

LoraAdapter sample() { return random_lora(tiny_config(), {{0, q_proj, 2, 4}, {2, down_proj, 3, 5}}, 2, 4); }

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.span<float>(), b.span<float>());
}

// A written adapter whose files can be made bad.
struct Written {
  TemporaryFolder folder{};
  Tensors tensors{};

  Written() {
    write_peft(folder.path(), sample(), tiny_config());
    const auto file = csreft::SafeTensors::open(folder / "adapter_model.safetensors");
    for (const auto& name : file.names()) tensors.emplace_back(name, file.get(name).clone());
  }
  Tensor& tensor(const std::string& name) {
    return std::ranges::find(tensors, name, &Tensors::value_type::first)->second;
  }
  void save() const { csreft::save_safetensors(folder / "adapter_model.safetensors", tensors); }
  void change_config(const nlohmann::json& changes) const {
    auto config = nlohmann::json::parse(folder.read("adapter_config.json"));
    config.update(changes);
    folder.write("adapter_config.json", config.dump());
  }
  LoraAdapter read() const { return read_peft(folder.path(), tiny_config()); }
  std::string refusal() const {
    return error_text([&] { return read(); });
  }
  std::string refusal_of_tensors() const {
    save();
    return refusal();
  }
};

std::string refusal_to_write(const LoraAdapter& adapter) {
  const TemporaryFolder folder;
  const auto text = error_text([&] {
    write_peft(folder / "adapter", adapter, tiny_config());
    return 0;
  });
  CHECK(folder.count() == 0);
  return text;
}

}  // namespace

TEST_CASE("a written adapter is read back bit for bit") {
  const TemporaryFolder folder;
  LoraAdapter adapter = sample();
  adapter.use_rslora = true;
  adapter.dropout = 0.25;
  write_peft(folder / "adapter", adapter, tiny_config());
  CHECK(csreft::is_peft_folder(folder / "adapter"));
  CHECK_FALSE(csreft::is_peft_folder(folder.path()));
  const auto read = read_peft(folder / "adapter", tiny_config());
  CHECK(read.rank == 2);
  CHECK(read.alpha == 4);
  CHECK(read.use_rslora);
  CHECK(read.dropout == 0.25);
  CHECK(read.base_model == "tiny");
  REQUIRE(read.modules.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(read.modules[i].layer == adapter.modules[i].layer);
    CHECK(read.modules[i].site == adapter.modules[i].site);
    CHECK(read.modules[i].alpha == adapter.modules[i].alpha);
    CHECK(equal(read.modules[i].A, adapter.modules[i].A));
    CHECK(equal(read.modules[i].B, adapter.modules[i].B));
  }
  CHECK(layers_of(read) == std::vector<std::int64_t>{0, 2});
  CHECK(targets_of(read) == std::vector<std::string>{"q_proj", "down_proj"});
}

TEST_CASE("the scale is alpha / rank, with rsLoRA alpha / sqrt(rank)") {
  CHECK(csreft::lora_scale(8, 4, false) == 2);
  CHECK(csreft::lora_scale(8, 4, true) == 4);
}

TEST_CASE("bf16 tensors, and names with the adapter's own, are read") {
  Written written;
  for (auto& [name, tensor] : written.tensors) {
    name.insert(name.size() - std::string(".weight").size(), ".default");
    tensor = tensor.to(DType::bf16);
  }
  written.save();
  const auto read = written.read();
  CHECK(equal(read.modules[0].A, sample().modules[0].A.to(DType::bf16).to(DType::f32)));
}

TEST_CASE("names without peft's wrapper, of a model without its head, and with any adapter's name are read") {
  const auto renamed = [](const auto& change) {
    Written written;
    for (auto& [name, _] : written.tensors) name = change(name);
    written.save();
    const auto read = written.read();
    return equal(read.modules[1].A, sample().modules[1].A) && equal(read.modules[1].B, sample().modules[1].B);
  };
  const auto without = [](std::string name, std::string_view prefix) { return name.substr(prefix.size()); };
  CHECK(renamed([&](const std::string& name) { return without(name, "base_model.model."); }));
  CHECK(renamed([&](const std::string& name) { return without(name, "base_model.model.model."); }));
  CHECK(
      renamed([&](const std::string& name) { return "base_model.model." + without(name, "base_model.model.model."); }));
  CHECK(renamed([](std::string name) { return name.insert(name.size() - std::string(".weight").size(), ".my-task"); }));
  Written twice;
  twice.tensors.emplace_back("model.layers.0.self_attn.q_proj.lora_A.other.weight", Tensor::zeros({2, 12}));
  CHECK(contains(twice.refusal_of_tensors(),
                 "tensors " + q0 + " and model.layers.0.self_attn.q_proj.lora_A.other.weight are one matrix"));
}

TEST_CASE("missing, extra and odd tensors are refused by name") {
  CHECK(contains(
      [] {
        Written w;
        std::erase_if(w.tensors, [](const auto& named) { return named.first == q0; });
        return w.refusal_of_tensors();
      }(),
      "tensor " + q0 + " is missing: expected shape [2, 12]"));
  CHECK(contains(
      [] {
        Written w;
        w.tensor(q0) = Tensor::zeros({3, 12});
        return w.refusal_of_tensors();
      }(),
      "tensor " + q0 + " has shape [3, 12]: expected [2, 12]"));
  CHECK(contains(
      [] {
        Written w;
        w.tensor(q0) = Tensor::zeros({2, 12}, DType::i32);
        return w.refusal_of_tensors();
      }(),
      "tensor " + q0 + " is i32: expected F32"));
  const auto with_extra = [](const std::string& name) {
    Written w;
    w.tensors.emplace_back(name, Tensor::zeros({1}));
    return w.refusal_of_tensors();
  };
  CHECK(contains(with_extra("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"),
                 "LoRA of a layer that adapter_config.json does not name"));
  CHECK(contains(with_extra("base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight"), "layers.9"));
  CHECK(contains(with_extra("base_model.model.model.embed_tokens.lora_embedding_A"), "LoRA of an embedding"));
  CHECK(contains(with_extra("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector.weight"),
                 "DoRA's magnitude"));
  CHECK(contains(with_extra("base_model.model.lm_head.weight"), "no part of LoRA"));
}

TEST_CASE("folders and targets that cannot be read are refused") {
  Written written;
  written.change_config({{"target_modules", {"lm_head", "q_proj"}}});
  CHECK(contains(written.refusal(), "target_modules names lm_head"));
  written.change_config({{"target_modules", {"c_attn"}}});
  CHECK(contains(written.refusal(), "its targets name no linear layer of a Llama with 3 layers"));
  written.change_config({{"target_modules", {"q_proj"}}, {"use_dora", true}});
  CHECK(contains(written.refusal(), "DoRA"));

  written.folder.write("adapter_model.safetensors", "short");
  written.change_config({{"target_modules", {"q_proj"}}, {"use_dora", false}});
  CHECK(contains(written.refusal(), "truncated"));
  std::filesystem::remove(written.folder / "adapter_model.safetensors");
  CHECK(contains(written.refusal(), "has no adapter_model.safetensors: expected"));
  written.folder.write("adapter_model.bin", "");
  CHECK(contains(written.refusal(), "a pickle"));
  std::filesystem::remove(written.folder / "adapter_config.json");
  CHECK(contains(written.refusal(), "has no adapter_config.json"));
}

TEST_CASE("an adapter that does not fit the model is not written") {
  auto adapter = sample();
  adapter.modules.clear();
  CHECK(contains(refusal_to_write(adapter), "without modules"));
  adapter = sample();
  adapter.modules[0].layer = 3;
  CHECK(
      contains(refusal_to_write(adapter), "model.layers.3.self_attn.q_proj cannot be written: the model has no such"));
  adapter = sample();
  adapter.modules[0].B = Tensor::zeros({12, 2});
  CHECK(contains(refusal_to_write(adapter), "expected [rank, 12] and [24, rank]"));
  adapter = sample();
  adapter.modules[0].A = Tensor::zeros({2, 12}, DType::f64);
  CHECK(contains(refusal_to_write(adapter), "f32 matrices"));
  adapter = sample();
  adapter.modules.push_back(adapter.modules[0]);
  const TemporaryFolder folder;
  CHECK(contains(error_text([&] {
                   write_peft(folder.path(), adapter, tiny_config());
                   return 0;
                 }),
                 "two entries are named " + q0));
}
