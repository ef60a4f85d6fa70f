// A trained method on disk: a folder with adapter.json (every option, and which model it belongs to) and
// adapter.safetensors (parameters and buffers by name), from which it is rebuilt whole and bit for bit.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "models/language_model.h"
#include "reft/methods/method.h"

namespace csreft {

// The prompt's form belongs to what was learnt, so the adapter keeps it.
struct AdapterContext {
  std::string chat_template;
  std::string system;
};

// Writes both files, each of them whole or not at all; the folder is made if it is missing.
void save_adapter(const std::filesystem::path& folder, const Method& method, const LanguageModel& model,
                  const AdapterContext& context);

struct LoadedAdapter {
  std::unique_ptr<Method> method;
  AdapterContext context;
};

// Throws Error for missing or unsound files, for an adapter of another model (sizes or weights differ), and for tensors
// that are missing, extra or of another shape.
LoadedAdapter load_adapter(const std::filesystem::path& folder, const LanguageModel& model);

// Overwrites the values of a method's parameters and buffers. Throws Error as load_adapter does; `where` names the
// file.
class SafeTensors;
void load_values(const Method& method, const SafeTensors& file, const std::string& where);

nlohmann::json to_json(const MethodOptions& options);
// A missing key takes its default, so that adapters outlive the addition of an option. Throws Error for a key that is
// unknown or of another type (a fraction where an integer is expected, null); `where` names the file.
MethodOptions parse_method_options(const nlohmann::json& json, const std::string& where);

}  // namespace csreft
