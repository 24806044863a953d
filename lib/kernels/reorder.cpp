#include "lib/kernels/reorder.h"

#include "lib/base/error.h"
#include "lib/kernels/dnnl_api.h"

namespace espalier {
namespace {

using namespace dnnl_api;

Desc desc_of(const Layout& layout) {
  return layout.is_plain() ? plain_desc(layout.type(), layout.dims()) : layout.impl().desc;
}

Primitive copy(const Desc& from, const Desc& to, const char* what) {
  return guarded(what, [&] {
    const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, base_attr());
    return make_primitive(dnnl::reorder(pd), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, pd.scratchpad_desc(),
                          pd.impl_info_str());
  });
}

/// Both sides under the same dims, if there are any.
std::optional<std::pair<Layout, Layout>> matched(const Layout& from, const Layout& to) {
  if (from.dims() == to.dims()) return std::pair(from, to);
  if (auto other = from.reshaped(to.dims())) return std::pair(*other, to);
  if (auto other = to.reshaped(from.dims())) return std::pair(from, *other);
  return std::nullopt;
}

/// Two reorders by way of a plain copy that belongs to the kernel.
class TwoReorders : public Kernel {
 public:
  TwoReorders(std::unique_ptr<Kernel> first, std::unique_ptr<Kernel> second, size_t bytes)
      : first_(std::move(first)), second_(std::move(second)), between_(bytes) {}

  void bind(std::span<void* const> args) override {
    void* const to_plain[] = {args[0], between_.data()};
    void* const from_plain[] = {between_.data(), args[1]};
    first_->bind(to_plain);
    second_->bind(from_plain);
  }
  void run() override {
    first_->run();
    second_->run();
  }

 private:
  std::unique_ptr<Kernel> first_, second_;
  AlignedBuffer between_;
};

Primitive by_plain_copy(const Layout& from, const Layout& to) {
  const Layout plain_from = Layout::plain(from.type(), from.dims()), plain_to = Layout::plain(to.type(), to.dims());
  check(plain_from.bytes() == plain_to.bytes(), "a reorder of as many elements: " + from.str() + " and " + to.str());
  Primitive first = copy(desc_of(from), desc_of(plain_from), "a reorder");
  Primitive second = copy(desc_of(plain_to), desc_of(to), "a reorder");
  check(first.scratch_bytes + second.scratch_bytes == 0, "reorders that need no scratchpad");
  Primitive result;
  result.args = {from, to};
  result.implementation = "two reorders";
  result.kernel = std::make_unique<TwoReorders>(std::move(first.kernel), std::move(second.kernel), plain_from.bytes());
  return result;
}

}  // namespace

Primitive reorder(const Layout& from, const Layout& to) {
  const auto pair = matched(from, to);
  if (!pair) return by_plain_copy(from, to);
  return copy(desc_of(pair->first), desc_of(pair->second), "a reorder");
}

Primitive copy_box_out(const Layout& whole, const Layout& part, const Dims& offsets) {
  return guarded("a slice", [&] {
    return copy(desc_of(whole).submemory_desc(part.dims(), offsets), desc_of(part), "a slice");
  });
}

Primitive copy_box_in(const Layout& part, const Layout& whole, const Dims& offsets) {
  return guarded("a slice", [&] {
    return copy(desc_of(part), desc_of(whole).submemory_desc(part.dims(), offsets), "a slice");
  });
}

Primitive transpose_copy(const Layout& from, const Layout& to, const Dims& perm) {
  return guarded("a transposition", [&] {
    // permute_axes(p)[p[i]] = axis i: axis perm[i] of `from` becomes axis i.
    std::vector<int> target(perm.size());
    for (size_t i = 0; i < perm.size(); ++i) target[static_cast<size_t>(perm[i])] = static_cast<int>(i);
    return copy(desc_of(from).permute_axes(target), desc_of(to), "a transposition");
  });
}

Primitive concat(const std::vector<Layout>& sources, const Layout& result, int64_t axis) {
  return guarded("a concatenation", [&] {
    std::vector<Desc> descs;
    for (const Layout& source : sources) descs.push_back(desc_of(source));
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::concat::primitive_desc pd(engine(), desc_of(result), static_cast<int>(axis), descs, base_attr());
#else
    const dnnl::concat::primitive_desc pd(desc_of(result), static_cast<int>(axis), descs, engine(), base_attr());
#endif
    std::vector<std::pair<int, Desc>> args;
    for (size_t i = 0; i < descs.size(); ++i) args.emplace_back(DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i), descs[i]);
    args.emplace_back(DNNL_ARG_DST, desc_of(result));
    return make_primitive(dnnl::concat(pd), args, pd.scratchpad_desc(), pd.impl_info_str());
  });
}

}  // namespace espalier
