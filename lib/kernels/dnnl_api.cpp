#include "lib/kernels/dnnl_api.h"

#include <algorithm>
#include <atomic>

#include "lib/base/error.h"

namespace espalier {
namespace {

std::atomic<int64_t> created{0};
std::atomic<int> inside{0};  // calls under way, whose worker threads allocate too

/// A oneDNN primitive with its arguments made ready.
class DnnlKernel : public Kernel {
 public:
  DnnlKernel(dnnl::primitive primitive, std::vector<std::pair<int, dnnl_api::Desc>> args)
      : primitive_(std::move(primitive)) {
    for (auto& [index, desc] : args) {
      memories_.emplace_back(desc, dnnl_api::engine(), nullptr);
      args_.push_back({index, memories_.back().get()});
    }
  }

  void bind(std::span<void* const> args) override {
    check(args.size() == memories_.size(), "as many addresses as arguments");
    for (size_t i = 0; i < args.size(); ++i) memories_[i].set_data_handle(args[i]);
  }

  void run() override {
    ++inside;
    const auto status = dnnl_primitive_execute(primitive_.get(), dnnl_api::stream().get(),
                                               static_cast<int>(args_.size()), args_.data());
    --inside;
    check(status == dnnl_success, "oneDNN executes what it built");
  }

 private:
  dnnl::primitive primitive_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> args_;
};

void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm, alpha, beta);
#else
  ops.append_eltwise(1.0f, algorithm, alpha, beta);
#endif
}

void append(dnnl::post_ops& ops, const ElementOp& op) {
  using A = dnnl::algorithm;
  switch (op.kind) {
    case ElementKind::relu: return append_eltwise(ops, A::eltwise_relu, 0, 0);
    case ElementKind::leaky_relu: return append_eltwise(ops, A::eltwise_relu, op.alpha, 0);
    case ElementKind::clip: return append_eltwise(ops, A::eltwise_clip, op.alpha, op.beta);
    case ElementKind::sigmoid: return append_eltwise(ops, A::eltwise_logistic, 0, 0);
    case ElementKind::tanh: return append_eltwise(ops, A::eltwise_tanh, 0, 0);
    case ElementKind::scale_shift: return append_eltwise(ops, A::eltwise_linear, op.alpha, op.beta);
    case ElementKind::hard_swish:  // the parameters are 3.x's; 2.x ignores them
      return append_eltwise(ops, A::eltwise_hardswish, dnnl_api::kVersion3 ? 1.0f / 6 : 0, dnnl_api::kVersion3 ? 0.5f : 0);
    case ElementKind::gelu: return append_eltwise(ops, A::eltwise_gelu_erf, 0, 0);
    case ElementKind::gelu_tanh: return append_eltwise(ops, A::eltwise_gelu_tanh, 0, 0);
    case ElementKind::hard_sigmoid:
      append_eltwise(ops, A::eltwise_linear, op.alpha, op.beta);
      return append_eltwise(ops, A::eltwise_clip, 0, 1);
    default: throw Error(ErrorKind::internal, "an activation that is no post-op");
  }
}

/// oneDNN's names for the operation; none where it is no post-op.
std::vector<dnnl::algorithm> algorithms(const ElementOp& op) {
  using A = dnnl::algorithm;
  switch (op.kind) {
    case ElementKind::relu: case ElementKind::leaky_relu: return {A::eltwise_relu};
    case ElementKind::clip: return {A::eltwise_clip};
    case ElementKind::sigmoid: return {A::eltwise_logistic};
    case ElementKind::tanh: return {A::eltwise_tanh};
    case ElementKind::scale_shift: return {A::eltwise_linear};
    case ElementKind::hard_swish: return {A::eltwise_hardswish};
    case ElementKind::gelu: return {A::eltwise_gelu_erf};
    case ElementKind::gelu_tanh: return {A::eltwise_gelu_tanh};
    case ElementKind::hard_sigmoid: return {A::eltwise_linear, A::eltwise_clip};
    default: return {};
  }
}

}  // namespace

int64_t primitives_created() { return created; }
bool inside_library() { return inside > 0; }

bool can_fuse(const ElementOp& op, std::span<const ElementOp> before) {
  const auto wanted = algorithms(op);
  if (wanted.empty()) return false;
  // oneDNN 2.6 calculates all post-ops of one algorithm with the parameters of the first.
  return std::none_of(before.begin(), before.end(), [&](const ElementOp& b) {
    const auto present = algorithms(b);
    return std::find_first_of(wanted.begin(), wanted.end(), present.begin(), present.end()) != wanted.end();
  });
}

namespace dnnl_api {

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  static dnnl::stream one(engine());
  return one;
}

dnnl::primitive_attr base_attr() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

dnnl::primitive_attr fused_attr(bool residual, const std::vector<ElementOp>& activations, float scale, const Desc* addend) {
  dnnl::primitive_attr attr = base_attr();
  dnnl::post_ops ops;
  if (addend) ops.append_binary(dnnl::algorithm::binary_add, *addend);
  // As a power and not as a linear function, which an activation may be: see can_fuse.
  if (scale != 1) append_eltwise(ops, dnnl::algorithm::eltwise_pow, scale, 1);
  if (residual) ops.append_sum(1.0f);
  for (const ElementOp& op : activations) append(ops, op);
  attr.set_post_ops(ops);
  return attr;
}

dnnl::memory::data_type to_dnnl(DataType type) {
  switch (type) {
    case DataType::float32: return dnnl::memory::data_type::f32;
    case DataType::bfloat16: return dnnl::memory::data_type::bf16;
    case DataType::int32: return dnnl::memory::data_type::s32;
    case DataType::uint8: return dnnl::memory::data_type::u8;
    case DataType::int8: return dnnl::memory::data_type::s8;
    default: throw Error(ErrorKind::internal, "oneDNN has no type " + std::string(name(type)));
  }
}

Desc any(DataType type, const Dims& dims) { return Desc(dims, to_dnnl(type), Tag::any); }
Desc plain_desc(DataType type, const Dims& dims) {
  return Desc(dims.empty() ? Dims{1} : dims, to_dnnl(type), row_major_strides(dims.empty() ? Dims{1} : dims));
}

bool is_slow(const std::string& implementation) {
  const auto begins = [&](const char* name) { return implementation.rfind(name, 0) == 0; };
  return begins("ref") || begins("gemm") || begins("x64:gemm") || begins("simple");
}

Primitive make_primitive(const dnnl::primitive& primitive, std::vector<std::pair<int, Desc>> args,
                         const Desc& scratchpad, std::string implementation) {
  ++created;
  Primitive result;
  for (const auto& [index, desc] : args) result.args.push_back(to_layout(desc));
  result.scratch_bytes = scratchpad.get_size();
  if (result.scratch_bytes > 0) args.emplace_back(DNNL_ARG_SCRATCHPAD, scratchpad);
  result.implementation = std::move(implementation);
  result.kernel = std::make_unique<DnnlKernel>(primitive, std::move(args));
  return result;
}

}  // namespace dnnl_api
}  // namespace espalier
