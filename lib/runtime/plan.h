#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "lib/runtime/parameter_store.h"

namespace espalier {

struct CompileOptions {
  /// Sizes of graph inputs by name; inputs whose declared sizes are all known may be absent.
  std::map<std::string, Dims> input_shapes;
  /// Of a training graph: name of the gradient's value -> name of the parameter. These outputs go to the parameter
  /// store (ParameterBlock::grad) instead of output().
  std::map<std::string, std::string> gradients;
  /// The weights will not change while the plan lives: they are taken from the graph itself, not from the store, and
  /// what follows from them alone is calculated now. For evaluation and timing.
  bool frozen = false;
  /// Of a part of a larger graph: the names of exactly those initialisers that are parameters, which the part alone cannot tell.
  std::optional<std::set<std::string>> parameters = std::nullopt;
  /// It is known to be one program: no stages.
  bool single = false;
};

/// What a plan consists of; counted once when it is compiled.
struct PlanCounters {
  int64_t steps = 0;                ///< kernel calls a run
  int64_t activation_reorders = 0;  ///< steps that only change a layout of an activation or of its gradient
  int64_t inner_reorders = 0;       ///< those of them between the first convolution's output and the logits
  int64_t weight_reorders = 0;      ///< steps that only change a layout of a parameter's gradient
  int64_t fallback_steps = 0;       ///< steps that run the plain reference, for want of a fast one
  size_t arena_bytes = 0;
};

/// Time of one step, for `bench --profile`.
struct StepProfile {
  std::string node, op, implementation;
  double milliseconds = 0;  ///< mean over the runs since profiling was switched on
  int64_t macs = 0;
};

/// A graph compiled for fixed input sizes: one arena, every primitive made, every argument bound. Inference, calibration,
/// evaluation and training are all plans. States (Graph::state_pairs) live in the store and are updated by run().
/// A node whose op has no fast step runs its reference; an opaque node is an Error(bad_data) that names it.
/// A graph with control flow, or with sizes that depend on data, is run in stages (Session): these plans allocate, and
/// sizes of their outputs may change from run to run.
class Plan {
 public:
  /// The store must outlive the plan; initialisers that it does not hold yet are added to it.
  Plan(const Graph& graph, ParameterStore& store, const CompileOptions& options);
  ~Plan();
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;

  /// Memory of a graph input, row-major, to be filled before run(). Throws Error(usage) for an unknown name.
  std::span<std::byte> input(std::string_view name);
  template <class T>
  std::span<T> input_as(std::string_view name) {
    const auto bytes = input(name);
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  const Dims& input_dims(std::string_view name) const;
  /// Copies a tensor in; throws Error(bad_data) unless type and dims are the input's.
  void feed(std::string_view name, const Tensor& tensor);

  /// Whether all sizes are known before it runs. Otherwise the memory of outputs, and dims that depend on data, are there
  /// after run() only.
  bool is_static() const;

  /// Runs all steps. Allocates and creates nothing (fallback steps apart).
  void run();

  /// Memory of a graph output, row-major, valid until the next run().
  std::span<const std::byte> output(std::string_view name) const;
  template <class T>
  std::span<const T> output_as(std::string_view name) const {
    const auto bytes = output(name);
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  const Dims& output_dims(std::string_view name) const;
  Tensor output_tensor(std::string_view name) const;  ///< a copy

  PlanCounters counters() const;
  void set_profiling(bool on);
  std::vector<StepProfile> profile() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace espalier
