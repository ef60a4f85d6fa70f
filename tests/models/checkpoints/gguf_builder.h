// Writes GGUF files byte by byte, wrong ones included.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/little_endian.h"

inline std::string gguf_string(const std::string& text) {
  return bytes_of(static_cast<std::uint64_t>(text.size())) + text;
}

struct GgufBuilder {
  std::uint32_t version = 3;
  std::size_t alignment = 32;
  std::uint64_t n_keys = 0;
  std::uint64_t n_tensors = 0;
  std::string keys;
  std::string infos;
  std::string data;

  // A key whose value has this type number and these bytes.
  void key(const std::string& name, std::uint32_t type, const std::string& value) {
    keys += gguf_string(name) + bytes_of(type) + value;
    ++n_keys;
  }
  void number(const std::string& name, std::uint32_t value) { key(name, 4, bytes_of(value)); }
  void number(const std::string& name, float value) { key(name, 6, bytes_of(value)); }
  void text(const std::string& name, const std::string& value) { key(name, 8, gguf_string(value)); }
  void texts(const std::string& name, const std::vector<std::string>& values) {
    std::string value = bytes_of(std::uint32_t{8}) + bytes_of(static_cast<std::uint64_t>(values.size()));
    for (const auto& element : values) value += gguf_string(element);
    key(name, 9, value);
  }

  // An entry of the table, nothing else. `extents`: the fastest axis first.
  void info(const std::string& name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
            std::uint64_t offset) {
    infos += gguf_string(name) + bytes_of(static_cast<std::uint32_t>(extents.size())) + bytes_of(extents) +
             bytes_of(type) + bytes_of(offset);
    ++n_tensors;
  }
  // A tensor after those before it.
  void tensor(const std::string& name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
              const std::string& blocks) {
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    info(name, extents, type, data.size());
    data += blocks;
  }

  std::string bytes() const {
    std::string head = "GGUF" + bytes_of(version) + bytes_of(n_tensors) + bytes_of(n_keys) + keys + infos;
    head.resize((head.size() + alignment - 1) / alignment * alignment);
    return head + data;
  }
};
