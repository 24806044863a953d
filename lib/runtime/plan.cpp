#include "lib/runtime/plan.h"

#include <cstring>

#include "lib/analysis/run_seed.h"
#include "lib/base/error.h"
#include "lib/runtime/compiler.h"
#include "lib/runtime/session.h"

namespace espalier {

namespace {

using Tensors = std::map<std::string, Tensor, std::less<>>;

template <class Map>
auto& find(Map& places, std::string_view name, const char* what) {
  const auto found = places.find(name);
  if (found != places.end()) return found->second;
  throw Error(ErrorKind::usage, "the model has no " + std::string(what) + " '" + std::string(name) + "'");
}

/// A graph that is run in stages, behind the same interface.
struct Staged {
  Session session;
  Tensors inputs, outputs;
  std::map<std::string, Dims, std::less<>> promised;  // of outputs whose sizes do not depend on data after all

  Staged(const Graph& graph, ParameterStore& store, const CompileOptions& options, const FactTable& facts)
      : session(graph, store, options) {
    for (const ValueId v : graph.inputs) {
      if (graph.initializer(v) && !options.input_shapes.contains(graph.value(v).name)) continue;
      const auto dims = facts.type(v).known_dims();
      if (!dims || !facts.type(v).is_tensor()) {
        throw Error(ErrorKind::bad_data, "value '" + graph.value(v).name + "' has type " + facts.type(v).str() +
                                             ", but a plan needs known sizes")
            .hint("give the sizes of all inputs");
      }
      inputs[graph.value(v).name] = Tensor(facts.type(v).elem_type, *dims);
    }
    for (const ValueId v : graph.outputs) {
      const auto dims = facts.type(v).is_tensor() ? facts.type(v).known_dims() : std::nullopt;
      if (dims) promised[graph.value(v).name] = *dims;
    }
  }

  void run() {
    std::map<std::string, HostValue> feeds;
    for (const auto& [name, tensor] : inputs) {
      // A view, so that memory that was handed out by input() stays the input's.
      const bool text = tensor.type() == DataType::string;
      feeds[name] = text ? tensor : Tensor(tensor.type(), tensor.dims(), tensor.bytes(), nullptr);
    }
    for (auto& [name, value] : session.run(feeds)) {
      if (!value.defined()) continue;
      if (!value.is_tensor()) throw Error(ErrorKind::bad_data, "output '" + name + "' is " + value.type().str() + ", expected a tensor");
      outputs[name] = value.tensor();
    }
  }

  const Tensor& output(std::string_view name) const { return find(outputs, name, "output (that has been made)"); }
  const Dims& output_dims(std::string_view name) const {
    const auto known = promised.find(name);
    return known != promised.end() ? known->second : output(name).dims();
  }
};

}  // namespace

struct Plan::Impl {
  std::optional<Compiler> compiler;  // one program ...
  std::optional<Staged> staged;      // ... or this
  bool profiling = false;
  int64_t profiled_runs = 0;
  std::vector<int64_t> spent;

  Impl(const Graph& graph, ParameterStore& store, const CompileOptions& options) {
    if (!needs_run_seed(graph)) {
      make(graph, store, options);
    } else {
      Graph seeded = graph;
      set_run_seed(seeded, 0);
      make(seeded, store, options);
    }
  }

  void make(const Graph& graph, ParameterStore& store, const CompileOptions& options) {
    compiler.emplace(graph, store, options);
    if (options.single || compiler->is_static()) {
      compiler->run();
    } else {
      staged.emplace(graph, store, options, compiler->facts());
      compiler.reset();
    }
  }

  std::span<std::byte> memory(const Place& place) const {
    return {compiler->program.address(place.buffer), place.layout.bytes()};
  }
  const Place& input(std::string_view name) const { return find(compiler->inputs, name, "input"); }
  const Place& output(std::string_view name) const { return find(compiler->outputs, name, "output"); }
};

Plan::Plan(const Graph& graph, ParameterStore& store, const CompileOptions& options)
    : impl_(std::make_unique<Impl>(graph, store, options)) {}
Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

bool Plan::is_static() const { return impl_->compiler.has_value(); }

std::span<std::byte> Plan::input(std::string_view name) {
  if (impl_->staged) return find(impl_->staged->inputs, name, "input").mutable_bytes();
  return impl_->memory(impl_->input(name));
}

const Dims& Plan::input_dims(std::string_view name) const {
  if (impl_->staged) return find(impl_->staged->inputs, name, "input").dims();
  return impl_->input(name).layout.dims();
}

void Plan::feed(std::string_view name, const Tensor& tensor) {
  if (impl_->staged && tensor.type() == DataType::string) {
    find(impl_->staged->inputs, name, "input") = tensor;
    return;
  }
  const Dims& dims = input_dims(name);
  const DataType type = impl_->staged ? find(impl_->staged->inputs, name, "input").type() : impl_->input(name).layout.type();
  if (tensor.type() != type || tensor.dims() != dims) {
    throw Error(ErrorKind::bad_data, "input '" + std::string(name) + "' is fed " + std::string(espalier::name(tensor.type())) +
                                         to_string(tensor.dims()) + ", expected " + std::string(espalier::name(type)) +
                                         to_string(dims));
  }
  if (!tensor.bytes().empty()) std::memcpy(input(name).data(), tensor.bytes().data(), tensor.bytes().size());
}

void Plan::run() {
  if (impl_->staged) return impl_->staged->run();
  if (!impl_->profiling) return impl_->compiler->program.run();
  impl_->compiler->program.run_timed(impl_->spent);
  ++impl_->profiled_runs;
}

std::span<const std::byte> Plan::output(std::string_view name) const {
  if (impl_->staged) return impl_->staged->output(name).bytes();
  return impl_->memory(impl_->output(name));
}

const Dims& Plan::output_dims(std::string_view name) const {
  if (impl_->staged) return impl_->staged->output_dims(name);
  return impl_->output(name).layout.dims();
}

Tensor Plan::output_tensor(std::string_view name) const {
  if (impl_->staged) {
    const Tensor& made = impl_->staged->output(name);
    if (made.type() == DataType::string) return made;
    Tensor copy(made.type(), made.dims());  // what was made may be a view of an input's memory
    if (!made.bytes().empty()) std::memcpy(copy.mutable_bytes().data(), made.bytes().data(), made.bytes().size());
    return copy;
  }
  const Layout& layout = impl_->output(name).layout;
  Tensor result(layout.type(), layout.dims());
  const auto bytes = output(name);
  if (!bytes.empty()) std::memcpy(result.mutable_bytes().data(), bytes.data(), bytes.size());
  return result;
}

PlanCounters Plan::counters() const { return impl_->staged ? impl_->staged->session.counters() : impl_->compiler->counters; }

void Plan::set_profiling(bool on) {
  if (impl_->staged) return impl_->staged->session.set_profiling(on);
  impl_->profiling = on;
  impl_->profiled_runs = 0;
  impl_->spent.clear();
}

std::vector<StepProfile> Plan::profile() const {
  if (impl_->staged) return impl_->staged->session.profile();
  std::vector<StepProfile> result;
  const Program& program = impl_->compiler->program;
  for (size_t i = 0; i < program.step_count(); ++i) {
    const StepLabel& label = program.label(i);
    const double spent = i < impl_->spent.size() ? static_cast<double>(impl_->spent[i]) * 1e-6 / static_cast<double>(impl_->profiled_runs) : 0;
    result.push_back({label.node, label.op, label.implementation, spent, label.macs});
  }
  return result;
}

}  // namespace espalier
