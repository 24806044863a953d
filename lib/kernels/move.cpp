#include "lib/kernels/move.h"

#include <algorithm>
#include <cstring>

#include "lib/base/error.h"
#include "lib/base/parallel.h"

namespace espalier {
namespace {

constexpr int64_t kBytesPerPiece = 1 << 15;
constexpr int64_t kTile = 16;

struct Bytes16 {
  std::byte bytes[16];
};

/// Axes of size 1 go, neighbours that run on in source and result are one axis; the last one has neighbours in the result.
std::vector<MoveAxis> merged(Move& move) {
  const bool row_major = std::all_of(move.axes.begin(), move.axes.end(), [](const MoveAxis& a) { return a.to == 0; });
  int64_t step = 1;
  for (size_t a = move.axes.size(); row_major && a-- > 0; step *= move.axes[a].size) move.axes[a].to = step;
  std::vector<MoveAxis> result;
  for (MoveAxis& axis : move.axes) {
    const bool plain = axis.table.empty();
    if (plain && axis.size == 1) continue;
    const bool runs_on = plain && !result.empty() && result.back().table.empty() && result.back().to == axis.to * axis.size &&
                         result.back().stride == axis.stride * axis.size;
    if (runs_on) result.back() = {result.back().size * axis.size, axis.stride, {}, axis.to};
    else result.push_back(std::move(axis));
  }
  if (result.empty() || result.back().to != 1) result.push_back({1, 1, {}, 1});
  return result;
}

/// What a row of the innermost axis consists of: `count` neighbours from `from` on, or of the fill where `from` is below 0.
struct Run {
  int64_t to, from, count;
};

std::vector<Run> runs_of(const std::vector<int64_t>& table) {
  std::vector<Run> runs;
  for (size_t i = 0; i < table.size(); ++i) {
    const auto to = static_cast<int64_t>(i);
    if (!runs.empty()) {
      Run& last = runs.back();
      const bool goes_on = last.from < 0 ? table[i] < 0 : table[i] == last.from + last.count;
      if (goes_on) {
        ++last.count;
        continue;
      }
    }
    runs.push_back({to, table[i] < 0 ? -1 : table[i], 1});
  }
  return runs;
}

template <class T>
class MoveKernel : public Kernel {
 public:
  explicit MoveKernel(Move move) : offset_(move.offset), to_offset_(move.to_offset) {
    std::vector<MoveAxis> axes = merged(move);
    std::memcpy(&fill_, move.fill.data(), sizeof(T));
    row_ = std::move(axes.back());
    axes.pop_back();
    choose_way(axes);
    outer_ = std::move(axes);
    if (way_ == Way::tiles) {  // the second axis of the tiles is no outer one
      across_ = outer_[static_cast<size_t>(tiled_)];
      outer_.erase(outer_.begin() + tiled_);
    }
    rows_ = 1;
    for (const MoveAxis& axis : outer_) rows_ *= axis.size;
  }

  void bind(std::span<void* const> args) override {
    from_ = static_cast<const T*>(args[0]) + offset_;
    to_ = static_cast<T*>(args[1]) + to_offset_;
  }

  void run() override {
    if (row_.size == 0 || rows_ == 0) return;
    if (way_ == Way::tiles) return run_tiles();
    const int64_t grain = std::max<int64_t>(1, kBytesPerPiece / static_cast<int64_t>(sizeof(T)) / row_.size);
    const int64_t whole = outer_.empty() && way_ == Way::copy ? row_.size : 0;
    if (whole > 0) {  // one block: cut it among the threads
      return parallel_for(whole, kBytesPerPiece, [&](int64_t begin, int64_t end) {
        std::memcpy(to_ + begin, from_ + begin, static_cast<size_t>(end - begin) * sizeof(T));
      });
    }
    parallel_for(rows_, grain, [&](int64_t begin, int64_t end) {
      for_rows(begin, end, [&](const T* from, T* to) { copy_row(from, to); });
    });
  }

 private:
  enum class Way : uint8_t { copy, repeat, stride, runs, table, tiles };

  void choose_way(const std::vector<MoveAxis>& outer) {
    if (!row_.table.empty()) {
      runs_ = runs_of(row_.table);
      way_ = static_cast<int64_t>(runs_.size()) * 4 <= row_.size ? Way::runs : Way::table;
    } else if (row_.stride == 1) {
      way_ = Way::copy;
    } else if (row_.stride == 0) {
      way_ = Way::repeat;
    } else {
      way_ = Way::stride;
      for (size_t a = outer.size(); a-- > 0;) {
        const bool cut = std::any_of(outer.begin(), outer.end(), [](const MoveAxis& o) { return !o.table.empty(); });
        if (cut || outer[a].stride != 1 || outer[a].size < 4 || row_.size < 4) continue;
        way_ = Way::tiles;
        tiled_ = static_cast<std::ptrdiff_t>(a);
        break;
      }
    }
  }

  /// Calls body(source of the row, row) for rows [begin, end); the source is null where an outer axis says fill.
  template <class Body>
  void for_rows(int64_t begin, int64_t end, Body&& body) const {
    constexpr size_t kMost = 64;
    int64_t at[kMost];
    check(outer_.size() <= kMost, "a tensor's rank");
    int64_t rest = begin;
    for (size_t a = outer_.size(); a-- > 0;) {
      at[a] = rest % outer_[a].size;
      rest /= outer_[a].size;
    }
    for (int64_t row = begin; row < end; ++row) {
      int64_t from = 0, to = 0;
      bool filled = false;
      for (size_t a = 0; a < outer_.size(); ++a) {
        const MoveAxis& axis = outer_[a];
        to += at[a] * axis.to;
        if (axis.table.empty()) {
          from += at[a] * axis.stride;
        } else {
          const int64_t entry = axis.table[static_cast<size_t>(at[a])];
          filled |= entry < 0;
          from += entry;
        }
      }
      body(filled ? nullptr : from_ + from, to_ + to);
      for (size_t a = outer_.size(); a-- > 0;) {
        if (++at[a] < outer_[a].size) break;
        at[a] = 0;
      }
    }
  }

  void copy_row(const T* from, T* to) const {
    const int64_t n = row_.size;
    if (!from) {
      std::fill_n(to, n, fill_);
      return;
    }
    switch (way_) {
      case Way::copy: std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T)); break;
      case Way::repeat: std::fill_n(to, n, *from); break;
      case Way::stride:
        for (int64_t i = 0; i < n; ++i) to[i] = from[i * row_.stride];
        break;
      case Way::runs:
        for (const Run& run : runs_) {
          if (run.from < 0) std::fill_n(to + run.to, run.count, fill_);
          else std::memcpy(to + run.to, from + run.from, static_cast<size_t>(run.count) * sizeof(T));
        }
        break;
      default:
        for (int64_t i = 0; i < n; ++i) {
          const int64_t entry = row_.table[static_cast<size_t>(i)];
          to[i] = entry < 0 ? fill_ : from[entry];
        }
    }
  }

  /// Rows and `across` in tiles: the source runs along `across`, the result along the row.
  void run_tiles() {
    const int64_t bands = (across_.size + kTile - 1) / kTile;
    const int64_t grain = std::max<int64_t>(1, kBytesPerPiece / static_cast<int64_t>(sizeof(T)) / (kTile * row_.size));
    parallel_for(rows_ * bands, grain, [&](int64_t begin, int64_t end) {
      while (begin < end) {
        const int64_t row = begin / bands, stop = std::min(end, (row + 1) * bands);
        for_rows(row, row + 1, [&](const T* from, T* to) {
          for (int64_t band = begin - row * bands; band < stop - row * bands; ++band) copy_band(from, to, band * kTile);
        });
        begin = stop;
      }
    });
  }

  void copy_band(const T* from, T* to, int64_t first) const {
    const int64_t height = std::min(kTile, across_.size - first), stride = row_.stride;
    from += first;
    to += first * across_.to;
    for (int64_t j = 0; j < row_.size; j += kTile) {
      const int64_t width = std::min(kTile, row_.size - j);
      T tile[kTile][kTile];
      for (int64_t k = 0; k < width; ++k) std::memcpy(tile[k], from + (j + k) * stride, static_cast<size_t>(height) * sizeof(T));
      for (int64_t i = 0; i < height; ++i) {
        T* out = to + i * across_.to + j;
        for (int64_t k = 0; k < width; ++k) out[k] = tile[k][i];
      }
    }
  }

  MoveAxis row_, across_;
  std::vector<MoveAxis> outer_;
  std::vector<Run> runs_;
  Way way_ = Way::copy;
  std::ptrdiff_t tiled_ = -1;
  int64_t offset_, to_offset_, rows_ = 1;
  T fill_;
  const T* from_ = nullptr;
  T* to_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> move_elements(Move move) {
  switch (move.width) {
    case 1: return std::make_unique<MoveKernel<uint8_t>>(std::move(move));
    case 2: return std::make_unique<MoveKernel<uint16_t>>(std::move(move));
    case 4: return std::make_unique<MoveKernel<uint32_t>>(std::move(move));
    case 8: return std::make_unique<MoveKernel<uint64_t>>(std::move(move));
    case 16: return std::make_unique<MoveKernel<Bytes16>>(std::move(move));
    default: throw Error(ErrorKind::internal, "cannot move elements of " + std::to_string(move.width) + " bytes");
  }
}

}  // namespace espalier
