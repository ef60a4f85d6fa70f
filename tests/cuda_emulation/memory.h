// The device's memory: one file without a name, mapped twice. Programmes get addresses of the `device` mapping, which
// can be read and written only while kernels run; the emulation itself copies and computes through the other mapping.
// Allocations are apart from each other, and which bytes belong to one is known for every 16 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace csreft::emulation {

class DeviceMemory {
 public:
  static constexpr std::size_t reserved = std::size_t{1} << 36;  // addresses, not memory

  DeviceMemory();

  // A new allocation, filled with NaN; nullptr if the device has less than that left. Throws std::bad_alloc when the
  // reserved addresses are used up.
  void* allocate(std::size_t bytes);
  // False if the address is not an allocation's first.
  bool release(void* pointer);

  bool contains(const volatile void* pointer) const { return offset(pointer) < reserved; }
  // True if [pointer, pointer + bytes) lies within one allocation.
  bool owns(const volatile void* pointer, std::size_t bytes) const;
  // The same for at most 16 bytes, quickly.
  bool owns_element(const volatile void* pointer, std::size_t bytes) const {
    const std::size_t begin = offset(pointer), last = begin + bytes - 1;
    return (begin & 15U) + 1 <= valid_[begin >> 4] && (last & 15U) + 1 <= valid_[last >> 4];
  }
  // Which allocation an address is near to, in words.
  std::string describe(const volatile void* pointer) const;

  // The emulation's own address of a device address.
  template <typename T>
  T* alias(T* pointer) const {
    return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(alias_) + offset(pointer));
  }
  std::size_t offset(const volatile void* pointer) const {
    return reinterpret_cast<std::uintptr_t>(pointer) - reinterpret_cast<std::uintptr_t>(device_);
  }

  // Lets programmes at the device mapping, or not.
  void open();
  void close();

  std::size_t total() const { return total_; }
  std::size_t used() const { return used_; }
  std::size_t highest_use() const { return highest_use_; }
  std::size_t allocations() const { return allocations_; }  // made so far
  void set_total(std::size_t bytes) { total_ = bytes; }

 private:
  void protect(int protection);
  void mark(std::size_t begin, std::size_t bytes, bool valid);

  std::byte* device_ = nullptr;
  std::byte* alias_ = nullptr;
  std::uint8_t* valid_ = nullptr;  // of each 16 bytes, how many of the first belong to an allocation
  std::size_t end_ = 0;            // what was ever allocated lies below
  std::size_t total_;
  std::size_t used_ = 0, highest_use_ = 0, allocations_ = 0;
  bool is_open_ = false;
};

// The one device's. Never destroyed: tensors with static storage duration may outlive it otherwise.
DeviceMemory& device_memory();

// Lets the runtime's pool give memory back to the driver, as it does when the host waits for work.
void host_has_waited();

}  // namespace csreft::emulation
