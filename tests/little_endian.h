// Bytes as files hold them, for tests that write such files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The bytes of a number in memory: little endian on every machine that the readers accept.
template <typename T>
std::string bytes_of(T value) {
  return {static_cast<const char*>(static_cast<const void*>(&value)), sizeof(T)};
}

template <typename T>
std::string bytes_of(std::span<const T> values) {
  std::string bytes;
  for (const T value : values) bytes += bytes_of(value);
  return bytes;
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return bytes_of(std::span<const T>(values));
}

// "0aff" -> "\x0a\xff"
inline std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}
