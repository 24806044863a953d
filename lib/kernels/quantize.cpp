#include "lib/kernels/quantize.h"

#include <algorithm>
#include <array>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/kernels/dnnl_api.h"
#include "lib/kernels/vector_loops.h"

namespace espalier {
namespace {

constexpr int64_t kGrain = 16384;  // elements

QuantizedAs as(DataType type) {
  switch (type) {
    case DataType::uint8: return QuantizedAs::u8;
    case DataType::int8: return QuantizedAs::s8;
    case DataType::uint16: return QuantizedAs::u16;
    default: break;
  }
  check(type == DataType::int16, "a type that has quantizing loops");
  return QuantizedAs::s16;
}

class Rows : public Kernel {
 public:
  Rows(DataType type, QuantizeRows rows)
      : type_(as(type)), width_(bit_width(type) / 8), rows_(std::move(rows)), loops_(vector_loops()) {
    check(rows_.scales.size() == rows_.zero_points.size() && static_cast<int64_t>(rows_.scales.size()) == rows_.length,
          "a scale and a zero point for each row");
  }

  void bind(std::span<void* const> args) override { from_ = static_cast<std::byte*>(args[0]), to_ = static_cast<std::byte*>(args[1]); }

  /// Pieces of rows, so that one long row is shared too.
  void run() override {
    const int64_t each = std::min(rows_.inner, kGrain), pieces = rows_.inner == 0 ? 0 : (rows_.inner + each - 1) / each;
    parallel_for(rows_.outer * rows_.length * pieces, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, each)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / pieces, at = i % pieces * each;
        const auto scale = static_cast<size_t>(row % rows_.length);
        piece(row * rows_.inner + at, std::min(each, rows_.inner - at), rows_.scales[scale], rows_.zero_points[scale]);
      }
    });
  }

 protected:
  virtual void piece(int64_t first, int64_t n, float scale, int32_t zero_point) = 0;

  QuantizedAs type_;
  int64_t width_;
  QuantizeRows rows_;
  const VectorLoops& loops_;
  std::byte *from_ = nullptr, *to_ = nullptr;
};

class Quantize final : public Rows {
  using Rows::Rows;
  void piece(int64_t first, int64_t n, float scale, int32_t zero_point) override {
    loops_.quantize(reinterpret_cast<const float*>(from_) + first, to_ + first * width_, type_, n, scale, zero_point);
  }
};

class Dequantize final : public Rows {
  using Rows::Rows;
  void piece(int64_t first, int64_t n, float scale, int32_t zero_point) override {
    loops_.dequantize(from_ + first * width_, reinterpret_cast<float*>(to_) + first, type_, n, scale, zero_point);
  }
};

}  // namespace

std::unique_ptr<Kernel> quantize(DataType type, QuantizeRows rows) { return std::make_unique<Quantize>(type, std::move(rows)); }
std::unique_ptr<Kernel> dequantize(DataType type, QuantizeRows rows) { return std::make_unique<Dequantize>(type, std::move(rows)); }

std::optional<Layout> retyped(const Layout& layout, DataType type) {
  if (layout.is_plain()) return Layout::plain(type, layout.dims());
  using Tag = dnnl_api::Tag;
  constexpr std::array<std::array<Tag, 3>, 3> kTags = {{{Tag::nwc, Tag::nCw16c, Tag::nCw8c},
                                                        {Tag::nhwc, Tag::nChw16c, Tag::nChw8c},
                                                        {Tag::ndhwc, Tag::nCdhw16c, Tag::nCdhw8c}}};
  const size_t rank = layout.dims().size();
  const bool bytes = type == DataType::uint8 || type == DataType::int8 || type == DataType::float32;
  if (rank < 3 || rank > 5 || !bytes) return std::nullopt;
  for (const Tag tag : kTags[rank - 3]) {
    const dnnl_api::Desc same(layout.dims(), dnnl_api::to_dnnl(layout.type()), tag);
    if (layout.impl().desc == same) return dnnl_api::to_layout({layout.dims(), dnnl_api::to_dnnl(type), tag});
  }
  return std::nullopt;
}

}  // namespace espalier
