#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/tensor/shape.h"

namespace espalier {

/// How a tensor's elements lie in memory: plain row-major, or one of oneDNN's blocked forms. A value.
/// A layout's dims may split or merge the axes of the value it serves as long as the row-major order of the elements is
/// the same: a flattened [N, C*H*W] may lie as blocked [N, C, H, W].
class Layout {
 public:
  Layout() = default;  ///< no layout
  static Layout plain(DataType type, Dims dims);

  bool defined() const { return impl_ != nullptr; }
  DataType type() const;
  const Dims& dims() const;
  bool is_plain() const;    ///< row-major without gaps
  size_t bytes() const;     ///< padding included
  int64_t padded_count() const { return static_cast<int64_t>(bytes()) * 8 / bit_width(type()); }
  /// "float[16,64,8,8] blocked 16 on axis 1", "float[16,10]".
  std::string str() const;

  /// Memory seen as [batch][blocks][inner][block]: element (n, c, s) of a tensor [N, C, spatial...] lies at
  /// ((n * blocks + c / block) * inner + s) * block + c % block. Plain: block 1; channels-last: one block of C;
  /// oneDNN's nChw16c: block 16. Nothing where the memory has another form or rank is below 2.
  struct Channels {
    int64_t batch, blocks, inner, block, channels;
  };
  std::optional<Channels> channels() const;

  /// The layout of the same memory under other dims, where that can be said: any dims for a plain layout; for others
  /// only dims that drop or add trailing axes of size 1.
  std::optional<Layout> reshaped(const Dims& dims) const;

  /// A layout of the same form for other dims of the same rank: [N, C, 1, 1] or [N, D, H, W] beside [N, C, H, W].
  /// Nothing where channels() is nothing.
  std::optional<Layout> like(const Dims& dims) const;

  friend bool operator==(const Layout& a, const Layout& b);

  struct Impl;  ///< lib/kernels only
  explicit Layout(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace espalier
