// A trained method on disk: a folder with adapter.json (the method, every option, and which model it belongs to) and
// the files that the method keeps its values in, from which it is rebuilt whole and bit for bit.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/language_model.h"
#include "reft/methods/method.h"

namespace csreft {

// The prompt's form belongs to what was learnt, so the adapter keeps it.
struct AdapterContext {
  std::string chat_template;
  std::string system;
};

// Writes all files, each of them whole or not at all; the folder is made if it is missing.
void save_adapter(const std::filesystem::path& folder, const Method& method, const LanguageModel& model,
                  const AdapterContext& context);

// The folder that holds an adapter, of this project or of Python's peft: `folder` itself, or else, if that is a run's,
// `folder`/adapter. `folder` where there is none.
std::filesystem::path adapter_folder(const std::filesystem::path& folder);

// What adapter.json says. For a folder written by Python's peft: from its config; context and base model are empty.
struct AdapterDescription {
  MethodOptions method;
  AdapterContext context;
  nlohmann::json base_model;
};
// Throws Error for a missing or unsound file.
AdapterDescription read_adapter_description(const std::filesystem::path& folder);

// Throws Error for missing or unsound files, for an adapter of another model (sizes or weights differ), and for tensors
// that are missing, extra or of another shape.
std::unique_ptr<Method> load_adapter(const std::filesystem::path& folder, const AdapterDescription& description,
                                     const LanguageModel& model);

// What to tell whoever uses an adapter that names no base model: Python's peft keeps no fingerprint.
std::string unknown_model_note(const std::filesystem::path& folder, const std::string& model);

// {"method": name, option: value, ...}, and back. Throws Error for another form; `where` names the file.
nlohmann::json to_json(const MethodOptions& options);
MethodOptions parse_method_options(const nlohmann::json& saved, const std::string& where);

}  // namespace csreft
