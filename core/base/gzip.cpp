#include "core/base/gzip.h"

#include <algorithm>
#include <array>
#include <limits>

#include <zlib.h>

#include "core/base/error.h"

namespace csreft {
namespace {

constexpr std::size_t most_times = 200, always_allowed = std::size_t{16} << 20;

// zlib's state, of one member after the other.
class Inflater {
 public:
  explicit Inflater(std::string_view where) : where_(where) {
    constexpr int gzip_alone = 16 + MAX_WBITS;
    require(inflateInit2(&stream_, gzip_alone) == Z_OK, "{}: no memory to decompress it", where_);
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Appends the contents of the member with which `bytes` begins, at most until `out` has `most` bytes, and takes the
  // member away from `bytes`.
  void read_member(std::string_view& bytes, std::string& out, std::size_t most) {
    inflateReset(&stream_);
    std::array<char, 1 << 16> buffer;
    for (int state = Z_OK; state != Z_STREAM_END;) {
      const std::size_t given = std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max());
      // zlib's interface has no const here; it does not write to the input.
      stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
      stream_.avail_in = static_cast<uInt>(given);
      stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream_.avail_out = static_cast<uInt>(buffer.size());
      state = inflate(&stream_, Z_NO_FLUSH);
      require(state != Z_BUF_ERROR, "{} ends before its gzip data do: expected the whole file", where_);
      require(state == Z_OK || state == Z_STREAM_END, "{} is damaged: expected sound gzip data", where_);
      bytes.remove_prefix(given - stream_.avail_in);
      out.append(buffer.data(), buffer.size() - stream_.avail_out);
      require(out.size() <= most, "{} grows more than {} times when it is decompressed: expected text", where_,
              most_times);
    }
  }

 private:
  std::string_view where_;
  z_stream stream_{};
};

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

std::string gunzip(std::string_view bytes, std::string_view where) {
  const std::size_t most = std::max(always_allowed, most_times * bytes.size());
  Inflater inflater(where);
  std::string out;
  do {
    inflater.read_member(bytes, out, most);
  } while (is_gzip(bytes));
  // Some writers fill the last block with zeros.
  require(bytes.find_first_not_of('\0') == bytes.npos, "{} has other bytes behind its gzip data: expected nothing",
          where);
  return out;
}

}  // namespace csreft
