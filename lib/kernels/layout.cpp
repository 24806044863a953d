#include "lib/kernels/layout.h"

#include "lib/base/error.h"
#include "lib/kernels/dnnl_api.h"

namespace espalier {
namespace {

using dnnl_api::Desc;

/// What both generations say of a blocked descriptor.
struct Blocking {
  Dims dims, padded, strides;
  std::vector<int64_t> inner_blocks, inner_axes;
};

Blocking blocking_of(const Desc& desc) {
  Blocking b;
#if DNNL_VERSION_MAJOR >= 3
  b.dims = desc.get_dims();
  b.padded = desc.get_padded_dims();
  b.strides = desc.get_strides();
  b.inner_blocks = desc.get_inner_blks();
  b.inner_axes = desc.get_inner_idxs();
#else
  const auto& d = desc.data;
  b.dims.assign(d.dims, d.dims + d.ndims);
  b.padded.assign(d.padded_dims, d.padded_dims + d.ndims);
  const auto& f = d.format_desc.blocking;
  b.strides.assign(f.strides, f.strides + d.ndims);
  b.inner_blocks.assign(f.inner_blks, f.inner_blks + f.inner_nblks);
  b.inner_axes.assign(f.inner_idxs, f.inner_idxs + f.inner_nblks);
#endif
  return b;
}

/// Strides of the axes from 2 on are row-major with `unit` floats an element.
bool dense_spatial(const Blocking& b, int64_t unit) {
  int64_t expected = unit;
  for (size_t i = b.dims.size(); i-- > 2;) {
    if (b.dims[i] != 1 && b.strides[i] != expected) return false;
    expected *= b.dims[i];
  }
  return true;
}

std::optional<Layout::Channels> channels_of(const Blocking& b) {
  if (b.dims.size() < 2) return std::nullopt;
  int64_t inner = 1;
  for (size_t i = 2; i < b.dims.size(); ++i) inner *= b.dims[i];
  const int64_t n = b.dims[0], c = b.dims[1];
  const auto batch_dense = [&](int64_t size) { return n == 1 || b.strides[0] == size; };
  if (b.inner_blocks.empty()) {
    const bool last = (c == 1 || b.strides[1] == 1) && dense_spatial(b, c) && batch_dense(c * inner);
    if (last && (inner == 1 || c > 1)) return Layout::Channels{n, 1, inner, c, c};
    if ((c == 1 || b.strides[1] == inner) && dense_spatial(b, 1) && batch_dense(c * inner)) {
      return Layout::Channels{n, c, inner, 1, c};
    }
    return std::nullopt;
  }
  if (b.inner_blocks.size() != 1 || b.inner_axes[0] != 1) return std::nullopt;
  const int64_t block = b.inner_blocks[0], blocks = b.padded[1] / block;
  if (b.padded[0] != n || !dense_spatial(b, block) || (blocks > 1 && b.strides[1] != inner * block) ||
      !batch_dense(blocks * inner * block)) {
    return std::nullopt;
  }
  return Layout::Channels{n, blocks, inner, block, c};
}

bool is_row_major(const Blocking& b, const std::optional<Layout::Channels>& channels) {
  if (channels && channels->inner == 1 && channels->blocks * channels->block == channels->channels) return true;
  if (!b.inner_blocks.empty() || b.padded != b.dims) return false;
  const Dims strides = row_major_strides(b.dims);
  for (size_t i = 0; i < b.dims.size(); ++i) {
    if (b.dims[i] != 1 && b.strides[i] != strides[i]) return false;
  }
  return true;
}

DataType from_dnnl(dnnl::memory::data_type type) {
  switch (type) {
    case dnnl::memory::data_type::f32: return DataType::float32;
    case dnnl::memory::data_type::bf16: return DataType::bfloat16;
    case dnnl::memory::data_type::s32: return DataType::int32;
    case dnnl::memory::data_type::u8: return DataType::uint8;
    case dnnl::memory::data_type::s8: return DataType::int8;
    default: throw Error(ErrorKind::internal, "a oneDNN data type that we do not use");
  }
}

}  // namespace

Layout dnnl_api::to_layout(const Desc& desc) {
  const Blocking b = blocking_of(desc);
#if DNNL_VERSION_MAJOR >= 3
  const DataType type = from_dnnl(desc.get_data_type());
#else
  const DataType type = from_dnnl(desc.data_type());
#endif
  const auto channels = channels_of(b);
  if (is_row_major(b, channels)) return Layout::plain(type, b.dims);
  return Layout(std::make_shared<Layout::Impl>(Layout::Impl{desc, type, b.dims, channels, false}));
}

Layout Layout::plain(DataType type, Dims dims) {
  Impl impl{{}, type, std::move(dims), std::nullopt, true};
  const Dims& d = impl.dims;
  if (d.size() >= 2) {
    int64_t inner = 1;
    for (size_t i = 2; i < d.size(); ++i) inner *= d[i];
    impl.channels = inner == 1 ? Channels{d[0], 1, 1, d[1], d[1]} : Channels{d[0], d[1], inner, 1, d[1]};
  }
  return Layout(std::make_shared<Impl>(std::move(impl)));
}

DataType Layout::type() const { return impl_->type; }
const Dims& Layout::dims() const { return impl_->dims; }
bool Layout::is_plain() const { return impl_->plain; }
std::optional<Layout::Channels> Layout::channels() const { return impl_->channels; }

size_t Layout::bytes() const {
  return impl_->plain ? static_cast<size_t>(byte_count(impl_->type, impl_->dims)) : impl_->desc.get_size();
}

std::string Layout::str() const {
  if (!impl_) return "none";
  std::string text = std::string(name(impl_->type)) + to_string(impl_->dims);
  if (impl_->plain) return text;
  if (!impl_->channels) return text + " blocked";
  if (impl_->channels->blocks == 1) return text + " channels last";
  return text + " blocked " + std::to_string(impl_->channels->block) + " on axis 1";
}

std::optional<Layout> Layout::reshaped(const Dims& dims) const {
  if (dims == impl_->dims) return *this;
  if (element_count(dims) != element_count(impl_->dims)) return std::nullopt;
  if (impl_->plain) return plain(impl_->type, dims);
  const size_t common = std::min(dims.size(), impl_->dims.size());
  for (size_t i = 0; i < std::max(dims.size(), impl_->dims.size()); ++i) {
    const int64_t a = i < dims.size() ? dims[i] : 1, b = i < impl_->dims.size() ? impl_->dims[i] : 1;
    if (a != b) return std::nullopt;
  }
  if (common < 2) return std::nullopt;
  try {
    return dnnl_api::to_layout(impl_->desc.reshape(dims));
  } catch (const dnnl::error&) {
    return std::nullopt;
  }
}

std::optional<Layout> Layout::like(const Dims& dims) const {
  if (!impl_->channels || dims.size() != impl_->dims.size()) return std::nullopt;
  if (impl_->plain) return plain(impl_->type, dims);
  using Tag = dnnl_api::Tag;
  const size_t rank = dims.size();
  const auto pick = [&](Tag three, Tag four, Tag five) { return rank == 3 ? three : rank == 4 ? four : five; };
  if (rank < 3 || rank > 5) return std::nullopt;
  Tag tag = Tag::undef;
  if (impl_->channels->blocks == 1 && impl_->channels->block == impl_->channels->channels) {
    tag = pick(Tag::nwc, Tag::nhwc, Tag::ndhwc);
  }
  if (impl_->desc == Desc(impl_->dims, dnnl_api::to_dnnl(impl_->type), pick(Tag::nCw16c, Tag::nChw16c, Tag::nCdhw16c))) {
    tag = pick(Tag::nCw16c, Tag::nChw16c, Tag::nCdhw16c);
  } else if (impl_->desc == Desc(impl_->dims, dnnl_api::to_dnnl(impl_->type), pick(Tag::nCw8c, Tag::nChw8c, Tag::nCdhw8c))) {
    tag = pick(Tag::nCw8c, Tag::nChw8c, Tag::nCdhw8c);
  } else if (impl_->desc == Desc(impl_->dims, dnnl_api::to_dnnl(impl_->type), pick(Tag::nCw4c, Tag::nChw4c, Tag::nCdhw4c))) {
    tag = pick(Tag::nCw4c, Tag::nChw4c, Tag::nCdhw4c);
  }
  if (tag == Tag::undef) return std::nullopt;
  return dnnl_api::to_layout(Desc(dims, dnnl_api::to_dnnl(impl_->type), tag));
}

bool operator==(const Layout& a, const Layout& b) {
  if (a.impl_ == b.impl_) return true;
  if (!a.impl_ || !b.impl_ || a.impl_->type != b.impl_->type || a.impl_->dims != b.impl_->dims ||
      a.impl_->plain != b.impl_->plain) {
    return false;
  }
  return a.impl_->plain || a.impl_->desc == b.impl_->desc;
}

}  // namespace espalier
