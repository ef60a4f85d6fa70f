#include "reft/adapter.h"

#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/tensor/random.h"
#include "core/tensor/safetensors.h"
#include "models/llama/generate.h"
#include "tests/error_text.h"
#include "tests/reft/method_tools.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_chat.h"

namespace {

using csreft::LanguageModel;
using csreft::Method;
using csreft::MethodOptions;
using csreft::save_adapter;
using csreft::Tensor;
using nlohmann::json;

const LanguageModel& model() {
  static const TinyChat chat;
  static const LanguageModel loaded = chat.load();
  return loaded;
}

// Few values are defaults; gates and what they read vary in a test of their own.
MethodOptions unusual_options(std::string_view method) {
  const json values{{"layers", "0,1"},
                    {"rank", 3},
                    {"positions", "f3+l2"},
                    {"edit", "loreft"},
                    {"edit_start", "published"},
                    {"dropout", 0.25},
                    {"activation", "gelu"},
                    {"subspaces", 2},
                    {"joint", true},
                    {"gate", "soft"},
                    {"router_input", "last_token"},
                    {"router_hidden", 5},
                    {"router_norm", true},
                    {"router_start", "random"},
                    {"router_lr", 0.5},
                    {"penalty", "l1"},
                    {"lambda", 0.25},
                    {"lora_alpha", 7.0},
                    {"rslora", true},
                    {"targets", json::array({"k_proj", "down_proj"})},
                    {"tasks", json::array({"one", "two"})},
                    {"checkpointing", false}};
  return options_for(method, values);
}

std::vector<std::vector<std::int32_t>> prompts() {
  std::vector<std::vector<std::int32_t>> out;
  for (const char* text : {"A", "hello there", "12345"})
    out.push_back(encode_prompt(*model().chat, model().tokenizer, "", text, ""));
  return out;
}

// A method none of whose values is what it was made with.
std::unique_ptr<Method> trained(const MethodOptions& options) {
  auto method = csreft::create_method(options, model().llama, 9);
  method->prepare(prompts());
  // One prompt of the first task, the others of the next.
  const auto all = prompts();
  for (std::size_t t = 0; t < std::min<std::size_t>(method->sequence().size(), 2); ++t) {
    method->begin_task(static_cast<std::int64_t>(t), t == 0 ? std::span(all).first(1) : std::span(all).subspan(1));
  }
  std::uint64_t stream = 0;
  for (const auto& p : method->parameters())
    csreft::ops::copy_(p.value.value(), csreft::random_normal(p.value.shape(), 0.1, 0.3, 4, stream++));
  return method;
}

std::unique_ptr<Method> trained(std::string_view name) { return trained(unusual_options(name)); }

std::unique_ptr<Method> load(const std::filesystem::path& folder) {
  return csreft::load_adapter(folder, csreft::read_adapter_description(folder), model());
}

std::vector<std::vector<std::int32_t>> answers(const Method& method) {
  std::unique_ptr<csreft::MethodPass> pass;
  csreft::GenerationAttachments attachments;
  attachments.prompt = [&](const csreft::TokenBatch& batch) {
    static const std::vector<std::int32_t> tasks{0, 1, 0};
    pass = method.attach({batch, csreft::whole_prompts(batch), tasks});
    return pass->points();
  };
  attachments.generated = [&](std::span<const std::int32_t> sequences) { return pass->generated(sequences); };
  return csreft::generate(model().llama, prompts(), {.max_new_tokens = 6, .stop_tokens = {}, .sampling = {}},
                          attachments);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.span<float>(), b.span<float>());
}

// A saved adapter whose description or tensors a test changes.
struct Saved {
  const TemporaryFolder folder{};
  Saved() { save_adapter(folder.path(), *trained("csreft"), model(), {"chatml", "Be brief."}); }

  std::string refusal() const {
    return error_text([&] { load(folder.path()); });
  }
  std::string refusal(const std::string& pointer, const json& value) const {
    const std::string before = folder.read("adapter.json");
    json changed = json::parse(before);
    changed[json::json_pointer(pointer)] = value;
    folder.write("adapter.json", changed.dump());
    const std::string text = refusal();
    folder.write("adapter.json", before);
    return text;
  }
};

void check_comes_back(const MethodOptions& options) {
  const TemporaryFolder folder;
  const auto method = trained(options);
  save_adapter(folder / "adapter", *method, model(), {"chatml", "Be brief."});
  const auto description = csreft::read_adapter_description(folder / "adapter");
  CHECK(description.context.chat_template == "chatml");
  CHECK(description.context.system == "Be brief.");
  const auto loaded = load(folder / "adapter");
  CHECK(to_json(loaded->options()) == to_json(method->options()));
  REQUIRE(loaded->parameters().size() == method->parameters().size());
  for (std::size_t i = 0; i < method->parameters().size(); ++i) {
    const auto &before = method->parameters()[i], &after = loaded->parameters()[i];
    CHECK(before.name == after.name);
    CHECK(same_bits(before.value.value(), after.value.value()));
  }
  REQUIRE(loaded->buffers().size() == method->buffers().size());
  for (std::size_t i = 0; i < method->buffers().size(); ++i) {
    CHECK(same_bits(method->buffers()[i].second, loaded->buffers()[i].second));
  }
  CHECK(answers(*loaded) == answers(*method));
}

}  // namespace

TEST_CASE("every method comes back from its files whole: options, parameters, buffers, and what it generates") {
  for (const auto* entry : csreft::methods()) {
    if (entry->name == "full") continue;  // is a model by itself
    CAPTURE(entry->name);
    check_comes_back(unusual_options(entry->name));
  }
  MethodOptions sum{"lora+csreft", {{"layers", "0,1"}, {"lora.rank", 2}, {"csreft.rank", 3}, {"csreft.subspaces", 2}}};
  check_comes_back(sum);
}

TEST_CASE("so does every gate, whatever its router reads and wherever it started") {
  for (const auto* gate : csreft::gates()) {
    for (const auto* input : csreft::router_inputs()) {
      CAPTURE(gate->name);
      CAPTURE(input->name);
      const auto made = gate->create();
      const bool asks = made->source() == csreft::GateSource::router;
      json values = unusual_options("csreft").values;
      values.update({{"gate", gate->name}, {"router_input", input->name}, {"router_start", "clusters"}});
      if (asks && input->states == csreft::RouterStates::hidden) values["router_layer"] = 0;
      values["penalty"] = made->competes() ? "mi" : "entropy";
      values["tasks"] = json::array({"one", "two"});
      const MethodOptions options = options_for("csreft", values);
      check_comes_back(options);
    }
  }
}

TEST_CASE("an adapter is saved over an older one, and to the same bytes each time") {
  const TemporaryFolder folder;
  save_adapter(folder.path(), *trained("loreft"), model(), {});
  const auto description = folder.read("adapter.json"), values = folder.read("adapter.safetensors");
  save_adapter(folder.path(), *trained("csreft"), model(), {});
  CHECK(folder.read("adapter.safetensors") != values);
  save_adapter(folder.path(), *trained("loreft"), model(), {});
  CHECK(folder.read("adapter.json") == description);
  CHECK(folder.read("adapter.safetensors") == values);
  CHECK(folder.count() == 2);
}

TEST_CASE("an adapter is found in its folder and in that of its run, whoever has written it") {
  const TemporaryFolder folder;
  const auto made = [&](const std::string& name, const char* file) {
    std::filesystem::create_directories(folder / name);
    folder.write(name + "/" + file, "{}");
    return folder / name;
  };
  for (const char* file : {"adapter.json", "adapter_config.json"}) {
    CAPTURE(file);
    const std::string run = std::string("run of ") + file;
    const auto within = made(run + "/adapter", file);
    CHECK(csreft::adapter_folder(folder / run) == within);
    CHECK(csreft::adapter_folder(within) == within);
    CHECK(csreft::adapter_folder(made(run, file)) == folder / run);
  }
  CHECK(csreft::adapter_folder(folder / "absent") == folder / "absent");
}

TEST_CASE("an adapter of another model is refused") {
  const Saved saved;
  CHECK(saved.refusal().empty());
  CHECK(contains(saved.refusal("/base_model/hidden_size", 32), "another model"));
  CHECK(contains(saved.refusal("/base_model/layers", 3), "another model"));
  CHECK(contains(saved.refusal("/base_model/fingerprint", "0123456789abcdef"), "another model"));
  CHECK(contains(saved.refusal("/base_model/fingerprint", "xxh64:0123456789abcdef"), "another model"));
  // What earlier versions wrote.
  const auto rows = fmt::format("{:016x}", model().llama.fingerprint().first_rows);
  CHECK(saved.refusal("/base_model/fingerprint", rows).empty());
  CHECK(contains(saved.refusal("/base_model", json::array()), "base_model"));
  CHECK(contains(saved.refusal("/base_model/name", 3), "name"));
}

TEST_CASE("a description with a wrong, missing or unknown entry is refused and named") {
  const Saved saved;
  CHECK(contains(saved.refusal("/format", "other"), "format 'other'"));
  CHECK(contains(saved.refusal("/format", 3), "`format`"));
  CHECK(contains(saved.refusal("/version", 1), "version 1"));
  CHECK(contains(saved.refusal("/version", "1"), "`version`"));
  CHECK(contains(saved.refusal("/system", nullptr), "`system`"));
  CHECK(contains(saved.refusal("/chat_template", 1), "`chat_template`"));
  CHECK(contains(saved.refusal("/method", 1), "options"));
  CHECK(contains(saved.refusal("/method/rank", "four"), "`rank` is \"four\": expected 1 or more"));
  CHECK(contains(saved.refusal("/method/rank", 4.7), "`rank` is 4.7: expected 1 or more"));
  CHECK(contains(saved.refusal("/method/rank", true), "`rank` is true"));
  CHECK(contains(saved.refusal("/method/rank", nullptr), "`rank` is null"));
  CHECK(contains(saved.refusal("/method/joint", 1), "`joint` is 1: expected on or off"));
  CHECK(contains(saved.refusal("/method/lambda", "0.1"), "`lambda` is \"0.1\": expected a number"));
  CHECK(contains(saved.refusal("/method/layers", 0), "`layers` is 0: expected text"));
  CHECK(contains(saved.refusal("/method/layers", json::array({0, 0.5})), "'0,0.5' is not understood"));
  CHECK(contains(saved.refusal("/method/ranks", 4), "no option 'ranks' (did you mean rank?)"));
  CHECK(contains(saved.refusal("/method/rank", 200), "rank"));
  CHECK(contains(saved.refusal("/method/rank", 2), "has shape"));
  CHECK(contains(saved.refusal("/method/layers", json::array({0})), "tensors"));
  CHECK(contains(saved.refusal("/method/method", "lorefd"), "loreft"));
  saved.folder.write("adapter.json", "[]");
  CHECK(contains(saved.refusal(), "JSON object"));
  saved.folder.write("adapter.json", "{\"format\": ");
  CHECK(contains(saved.refusal(), "not valid JSON"));
  std::filesystem::remove(saved.folder / "adapter.json");
  CHECK(contains(saved.refusal(), "adapter.json"));
  CHECK(contains(error_text([&] { load(saved.folder / "absent"); }), "absent"));
}

TEST_CASE("an option that an older adapter does not know takes its default") {
  const json whole = to_json(csreft::create_method(unusual_options("loreft"), model().llama, 1)->options());
  const json defaults = to_json(csreft::create_method({"loreft"}, model().llama, 1)->options());
  for (const auto& [key, value] : whole.items()) {
    if (key == "method") continue;
    CAPTURE(key);
    json older = whole;
    older.erase(key);
    const auto options = csreft::parse_method_options(older, "adapter.json");
    const json read = to_json(csreft::create_method(options, model().llama, 1)->options());
    older[key] = defaults[key];
    CHECK(read == older);
  }
}

TEST_CASE("LoRA that Python's peft has written loads with the ranks and scales of its modules") {
  const TemporaryFolder folder;
  const auto method = trained(MethodOptions{"lora", {{"layers", "0"}, {"rank", 2}, {"lora_alpha", 4.0}}});
  save_adapter(folder / "own", *method, model(), {"chatml", ""});
  std::filesystem::remove(folder / "own" / "adapter.json");
  const auto loaded = load(folder / "own");
  CHECK(loaded->options().method == "lora");
  CHECK(answers(*loaded) == answers(*method));
}

TEST_CASE("tensors that are missing, extra or broken are refused") {
  const Saved saved;
  const auto bytes = saved.folder.read("adapter.safetensors");
  const auto file = csreft::SafeTensors::open(saved.folder / "adapter.safetensors");
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& name : file.names()) tensors.emplace_back(name, file.get(name).clone());

  auto changed = tensors;
  changed.pop_back();
  csreft::save_safetensors(saved.folder / "adapter.safetensors", changed);
  CHECK(contains(saved.refusal(), "'" + tensors.back().first + "' is missing"));
  changed = tensors;
  changed.emplace_back("zzz", Tensor::zeros({1}));
  csreft::save_safetensors(saved.folder / "adapter.safetensors", changed);
  CHECK(contains(saved.refusal(), "tensors, expected"));
  saved.folder.write("adapter.safetensors", bytes.substr(0, bytes.size() / 2));
  CHECK(contains(saved.refusal(), "adapter.safetensors"));
  std::filesystem::remove(saved.folder / "adapter.safetensors");
  CHECK(contains(saved.refusal(), "adapter.safetensors"));
}
