#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/kernels/kernel.h"
#include "lib/kernels/layout.h"
#include "lib/graph/graph.h"

namespace espalier {

/// What an optimizer sees of one trainable parameter: its raw memory, padding included (padding is zero in `value` and
/// in `grad`, and stays so under every elementwise rule).
struct ParameterBlock {
  const std::string* name;
  const Dims* dims;        ///< logical
  float* value;            ///< the f32 master
  float* grad;             ///< in the master's layout; filled by a training plan's run()
  int64_t count;           ///< floats in `value` and `grad`, padding included
};

/// Parameters, running statistics and counters, outside every plan's arena and shared by all plans of a run.
/// The master of a trained weight has the layout of its gradient; other layouts that plans read are copies, which
/// refresh() makes anew after an update. Names are those of the graph's initialisers.
class ParameterStore {
 public:
  ParameterStore();
  ~ParameterStore();
  ParameterStore(ParameterStore&&) noexcept;
  ParameterStore& operator=(ParameterStore&&) noexcept;

  /// Takes every initialiser of `graph` that is not yet held, in plain layout.
  void add(const Graph& graph);
  bool contains(const std::string& name) const;

  /// A plain copy of the present value. Throws Error(internal) for an unknown name.
  Tensor get(const std::string& name) const;
  /// Replaces the value (same type and dims). Call refresh() afterwards.
  void set(const std::string& name, const Tensor& value);

  /// All parameters for which a compiled plan delivers a gradient, in order of name.
  std::vector<ParameterBlock> trained();
  /// Brings all copies up to date with the masters: after an optimizer's update or set().
  void refresh();

  // For plans.
  /// Memory that holds `name` in `layout`, kept up to date by refresh(). Stable for the store's life.
  void* copy(const std::string& name, const Layout& layout);
  /// The gradient's memory; the first call fixes the master's layout to `layout`. Later calls may get another layout
  /// back: that of the master, into which the caller brings its gradient.
  std::pair<void*, Layout> gradient(const std::string& name, const Layout& layout);
  /// The master itself, plain: for states that plans update.
  void* state(const std::string& name);
  int64_t weight_reorders() const;  ///< reorders that one refresh() makes

 private:
  struct Entry;
  Entry& entry(const std::string& name) const;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
};

}  // namespace espalier
