#include "lib/kernels/indexing.h"

#include <algorithm>
#include <cstring>

#include "lib/base/error.h"
#include "lib/base/parallel.h"

namespace espalier {
namespace {

constexpr int64_t kBytesPerPiece = 1 << 15;

struct Bytes16 {
  std::byte bytes[16];
};

int64_t product(const Dims& dims, int64_t begin, int64_t end) {
  return element_count(Dims(dims.begin() + begin, dims.begin() + end));
}

/// The runs: `groups` that never touch the same element, each of `each` runs of `length` elements.
class Positions {
 public:
  explicit Positions(Indexing indexing) : x_(std::move(indexing)), strides_(row_major_strides(x_.data)) {
    const auto rank = static_cast<int64_t>(x_.data.size()), indices = static_cast<int64_t>(x_.indices.size());
    const int64_t index_count = element_count(x_.indices);
    if (x_.kind == Indexing::Kind::axis) {
      groups = product(x_.data, 0, x_.axis);
      each = index_count;
      length = product(x_.data, x_.axis + 1, rank);
      group_step_ = length * x_.data[static_cast<size_t>(x_.axis)];
    } else if (x_.kind == Indexing::Kind::elements) {
      groups = product(x_.indices, 0, x_.axis);
      each = groups ? index_count / groups : 0;
    } else {
      width_ = x_.indices.back();
      groups = product(x_.data, 0, x_.batch_dims);
      const int64_t tuples = product(x_.indices, 0, indices - 1);
      each = groups ? tuples / groups : 0;
      length = product(x_.data, x_.batch_dims + width_, rank);
    }
    at_.resize(static_cast<size_t>(x_.kind == Indexing::Kind::axis ? each : groups * each));
  }

  int64_t groups = 1, each = 0, length = 1;

  /// Reads the indices.
  void find(const void* indices) {
    if (x_.int64_indices) find_typed(static_cast<const int64_t*>(indices));
    else find_typed(static_cast<const int32_t*>(indices));
  }
  /// Where run i of group g begins.
  int64_t operator()(int64_t g, int64_t i) const {
    return x_.kind == Indexing::Kind::axis ? g * group_step_ + at_[static_cast<size_t>(i)] : at_[static_cast<size_t>(g * each + i)];
  }
  int64_t data_size() const { return element_count(x_.data); }

 private:
  template <class I>
  void find_typed(const I* indices) {
    parallel_for(static_cast<int64_t>(at_.size()), 4096, [&](int64_t begin, int64_t end) {
      switch (x_.kind) {
        case Indexing::Kind::axis:
          for (int64_t i = begin; i < end; ++i) at_[static_cast<size_t>(i)] = checked(indices[i], x_.axis) * length;
          break;
        case Indexing::Kind::elements: find_elements(indices, begin, end); break;
        default: find_tuples(indices, begin, end);
      }
    });
  }

  template <class I>
  void find_elements(const I* indices, int64_t begin, int64_t end) {
    const size_t rank = x_.indices.size(), axis = static_cast<size_t>(x_.axis);
    int64_t at[64], rest = begin, base = 0;
    for (size_t a = rank; a-- > 0;) {
      at[a] = rest % x_.indices[a];
      rest /= x_.indices[a];
      if (a != axis) base += at[a] * strides_[a];
    }
    for (int64_t i = begin; i < end; ++i) {
      at_[static_cast<size_t>(i)] = base + checked(indices[i], x_.axis) * strides_[axis];
      for (size_t a = rank; a-- > 0;) {
        if (a != axis) base += strides_[a];
        if (++at[a] < x_.indices[a]) break;
        if (a != axis) base -= at[a] * strides_[a];
        at[a] = 0;
      }
    }
  }

  template <class I>
  void find_tuples(const I* indices, int64_t begin, int64_t end) {
    int64_t group_size = 1;
    for (size_t a = static_cast<size_t>(x_.batch_dims); a < x_.data.size(); ++a) group_size *= x_.data[a];
    for (int64_t i = begin; i < end; ++i) {
      int64_t position = i / each * group_size;
      for (int64_t k = 0; k < width_; ++k) {
        const int64_t axis = x_.batch_dims + k;
        position += checked(indices[i * width_ + k], axis) * strides_[static_cast<size_t>(axis)];
      }
      at_[static_cast<size_t>(i)] = position;
    }
  }

  int64_t checked(int64_t index, int64_t axis) const {
    const int64_t size = x_.data[static_cast<size_t>(axis)];
    if (index < -size || index >= size) {
      throw Error(ErrorKind::bad_data, x_.where + ": index " + std::to_string(index) + " is out of range for an axis of size " +
                                           std::to_string(size));
    }
    return index < 0 ? index + size : index;
  }

  Indexing x_;
  Dims strides_;
  std::vector<int64_t> at_;
  int64_t group_step_ = 0, width_ = 1;
};

template <class T>
class Gather : public Kernel {
 public:
  explicit Gather(Indexing indexing) : runs_(std::move(indexing)) {}

  void bind(std::span<void* const> args) override {
    data_ = static_cast<const T*>(args[0]);
    indices_ = args[1];
    to_ = static_cast<T*>(args[2]);
  }

  void run() override {
    runs_.find(indices_);
    const int64_t length = runs_.length, each = runs_.each;
    const int64_t grain = std::max<int64_t>(1, kBytesPerPiece / (static_cast<int64_t>(sizeof(T)) * std::max<int64_t>(1, length)));
    parallel_for(runs_.groups * each, grain, [&](int64_t begin, int64_t end) {
      int64_t g = begin / each, i = begin % each;
      for (int64_t k = begin; k < end; ++k) {
        const T* from = data_ + runs_(g, i);
        if (length == 1) to_[k] = *from;
        else std::memcpy(to_ + k * length, from, static_cast<size_t>(length) * sizeof(T));
        if (++i == each) i = 0, ++g;
      }
    });
  }

 private:
  Positions runs_;
  const T* data_ = nullptr;
  const void* indices_ = nullptr;
  T* to_ = nullptr;
};

/// Groups, or slices of long runs, go to different threads; within them the updates follow each other.
template <class T, Combine kCombine>
class Scatter : public Kernel {
 public:
  Scatter(Indexing indexing, bool from_zero) : runs_(std::move(indexing)), from_zero_(from_zero) {}

  void bind(std::span<void* const> args) override {
    const size_t first = from_zero_ ? 0 : 1;
    data_ = from_zero_ ? nullptr : static_cast<const T*>(args[0]);
    indices_ = args[first];
    updates_ = static_cast<const T*>(args[first + 1]);
    to_ = static_cast<T*>(args[first + 2]);
  }

  void run() override {
    runs_.find(indices_);
    parallel_for(runs_.data_size(), kBytesPerPiece, [&](int64_t begin, int64_t end) {
      const size_t bytes = static_cast<size_t>(end - begin) * sizeof(T);
      if (from_zero_) std::memset(static_cast<void*>(to_ + begin), 0, bytes);
      else if (data_ != to_) std::memcpy(to_ + begin, data_ + begin, bytes);
    });
    const int64_t length = runs_.length;
    if (runs_.groups >= thread_count() || length < 64) {
      const int64_t work = std::max<int64_t>(1, runs_.each * length * static_cast<int64_t>(sizeof(T)));
      parallel_for(runs_.groups, std::max<int64_t>(1, kBytesPerPiece / work), [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g) apply(g, 0, length);
      });
    } else {
      parallel_for(length, 64, [&](int64_t begin, int64_t end) {
        for (int64_t g = 0; g < runs_.groups; ++g) apply(g, begin, end);
      });
    }
  }

 private:
  void apply(int64_t g, int64_t begin, int64_t end) {
    for (int64_t i = 0; i < runs_.each; ++i) {
      const T* from = updates_ + (g * runs_.each + i) * runs_.length;
      T* to = to_ + runs_(g, i);
      if constexpr (kCombine == Combine::replace) {
        std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin) * sizeof(T));
      } else {
        for (int64_t k = begin; k < end; ++k) to[k] = combined(to[k], from[k]);
      }
    }
  }

  static T combined(T here, T update) {
    if constexpr (kCombine == Combine::add) return here + update;
    else if constexpr (kCombine == Combine::mul) return here * update;
    else if constexpr (kCombine == Combine::max) return update > here || update != update ? update : here;
    else return update < here || update != update ? update : here;
  }

  Positions runs_;
  bool from_zero_;
  const T* data_ = nullptr;
  const void* indices_ = nullptr;
  const T* updates_ = nullptr;
  T* to_ = nullptr;
};

/// Calls make with a type of that many bytes.
template <class Make>
std::unique_ptr<Kernel> by_width(size_t width, Make&& make) {
  switch (width) {
    case 1: return make.template operator()<uint8_t>();
    case 2: return make.template operator()<uint16_t>();
    case 4: return make.template operator()<uint32_t>();
    case 8: return make.template operator()<uint64_t>();
    case 16: return make.template operator()<Bytes16>();
    default: throw Error(ErrorKind::internal, "cannot move elements of " + std::to_string(width) + " bytes");
  }
}

}  // namespace

std::unique_ptr<Kernel> gather_runs(Indexing indexing, size_t width) {
  return by_width(width, [&]<class T>() -> std::unique_ptr<Kernel> { return std::make_unique<Gather<T>>(std::move(indexing)); });
}

std::unique_ptr<Kernel> scatter_runs(Indexing indexing, size_t width) {
  return by_width(width, [&]<class T>() -> std::unique_ptr<Kernel> {
    return std::make_unique<Scatter<T, Combine::replace>>(std::move(indexing), false);
  });
}

std::unique_ptr<Kernel> scatter_combined(Indexing indexing, Combine combine, bool from_zero) {
  switch (combine) {
    case Combine::add: return std::make_unique<Scatter<float, Combine::add>>(std::move(indexing), from_zero);
    case Combine::mul: return std::make_unique<Scatter<float, Combine::mul>>(std::move(indexing), from_zero);
    case Combine::max: return std::make_unique<Scatter<float, Combine::max>>(std::move(indexing), from_zero);
    case Combine::min: return std::make_unique<Scatter<float, Combine::min>>(std::move(indexing), from_zero);
    case Combine::replace: break;
  }
  throw Error(ErrorKind::internal, "updates that replace are not combined");
}

}  // namespace espalier
