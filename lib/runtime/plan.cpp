#include "lib/runtime/plan.h"

#include <cstring>

#include "lib/base/error.h"
#include "lib/runtime/compiler.h"

namespace espalier {

struct Plan::Impl {
  Compiler compiler;
  bool profiling = false;
  int64_t profiled_runs = 0;
  std::vector<int64_t> spent;

  Impl(const Graph& graph, ParameterStore& store, const CompileOptions& options) : compiler(graph, store, options) {
    compiler.run();
  }

  static const Place& find(const std::map<std::string, Place, std::less<>>& places, std::string_view name,
                           const char* what) {
    const auto found = places.find(name);
    if (found != places.end()) return found->second;
    throw Error(ErrorKind::usage, "the model has no " + std::string(what) + " '" + std::string(name) + "'");
  }

  std::span<std::byte> memory(const Place& place) const {
    return {compiler.program.address(place.buffer), place.layout.bytes()};
  }
};

Plan::Plan(const Graph& graph, ParameterStore& store, const CompileOptions& options)
    : impl_(std::make_unique<Impl>(graph, store, options)) {}
Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

std::span<std::byte> Plan::input(std::string_view name) {
  return impl_->memory(Impl::find(impl_->compiler.inputs, name, "input"));
}

const Dims& Plan::input_dims(std::string_view name) const {
  return Impl::find(impl_->compiler.inputs, name, "input").layout.dims();
}

void Plan::feed(std::string_view name, const Tensor& tensor) {
  const Layout& layout = Impl::find(impl_->compiler.inputs, name, "input").layout;
  if (tensor.type() != layout.type() || tensor.dims() != layout.dims()) {
    throw Error(ErrorKind::bad_data, "input '" + std::string(name) + "' is fed " +
                                         std::string(espalier::name(tensor.type())) + to_string(tensor.dims()) +
                                         ", expected " + layout.str());
  }
  std::memcpy(input(name).data(), tensor.bytes().data(), tensor.bytes().size());
}

void Plan::run() {
  if (!impl_->profiling) return impl_->compiler.program.run();
  impl_->compiler.program.run_timed(impl_->spent);
  ++impl_->profiled_runs;
}

std::span<const std::byte> Plan::output(std::string_view name) const {
  return impl_->memory(Impl::find(impl_->compiler.outputs, name, "output"));
}

const Dims& Plan::output_dims(std::string_view name) const {
  return Impl::find(impl_->compiler.outputs, name, "output").layout.dims();
}

Tensor Plan::output_tensor(std::string_view name) const {
  const Layout& layout = Impl::find(impl_->compiler.outputs, name, "output").layout;
  Tensor result(layout.type(), layout.dims());
  const auto bytes = output(name);
  std::memcpy(result.mutable_bytes().data(), bytes.data(), bytes.size());
  return result;
}

const PlanCounters& Plan::counters() const { return impl_->compiler.counters; }

void Plan::set_profiling(bool on) {
  impl_->profiling = on;
  impl_->profiled_runs = 0;
  impl_->spent.clear();
}

std::vector<StepProfile> Plan::profile() const {
  std::vector<StepProfile> result;
  const Program& program = impl_->compiler.program;
  for (size_t i = 0; i < impl_->spent.size(); ++i) {
    const StepLabel& label = program.label(i);
    result.push_back({label.node, label.op, label.implementation,
                      static_cast<double>(impl_->spent[i]) * 1e-6 / static_cast<double>(impl_->profiled_runs), label.macs});
  }
  return result;
}

}  // namespace espalier
