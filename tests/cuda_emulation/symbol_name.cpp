#include "symbol_name.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include <cxxabi.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>

namespace csreft::emulation {
namespace {

// Where the programme was loaded, relative to the addresses in its file.
std::uintptr_t load_address() {
  std::uintptr_t address = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        *static_cast<std::uintptr_t*>(out) = info->dlpi_addr;
        return 1;  // the first object is the programme
      },
      &address);
  return address;
}

template <typename T>
std::vector<T> read_array(std::istream& file, std::uint64_t at, std::size_t n) {
  std::vector<T> out(n);
  file.seekg(static_cast<std::streamoff>(at));
  file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(n * sizeof(T)));
  return out;
}

// The mangled name, from the symbol table of the programme's file: kernels with internal linkage have no other. Empty
// if there is none.
std::string mangled_name(std::uintptr_t address) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const auto header = read_array<ElfW(Ehdr)>(file, 0, 1).front();
  const auto sections = read_array<ElfW(Shdr)>(file, header.e_shoff, header.e_shnum);
  for (const auto& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const auto& names = sections[section.sh_link];
    for (const auto& symbol : read_array<ElfW(Sym)>(file, section.sh_offset, section.sh_size / sizeof(ElfW(Sym)))) {
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_value != address) continue;
      const auto text = read_array<char>(file, names.sh_offset, names.sh_size);
      return text.data() + symbol.st_name;
    }
  }
  return {};
}

}  // namespace

std::string symbol_name(const void* function) {
  const std::string mangled = mangled_name(reinterpret_cast<std::uintptr_t>(function) - load_address());
  if (mangled.empty()) return fmt::format("{}", function);
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status),
                                                    std::free);
  std::string out = status == 0 ? name.get() : mangled;
  // void NAME(parameters): without the result and the parameters.
  if (out.starts_with("void ")) out.erase(0, 5);
  for (std::size_t i = 0, depth = 0; i < out.size(); ++i) {
    if (out.compare(i, 21, "(anonymous namespace)") == 0) {
      i += 20;
    } else if (out[i] == '<') {
      ++depth;
    } else if (out[i] == '>') {
      --depth;
    } else if (out[i] == '(' && depth == 0) {
      out.erase(i);
    }
  }
  return out;
}

}  // namespace csreft::emulation
