#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/analysis/infer.h"
#include "lib/runtime/fusion.h"
#include "lib/runtime/plan.h"
#include "lib/runtime/program.h"

namespace espalier {

/// Where a value lies in a plan.
struct Place {
  int buffer = -1;
  Layout layout;
};

/// Turns a graph with known sizes into a Program, group by group. Used once.
class Compiler {
 public:
  Compiler(const Graph& graph, ParameterStore& store, const CompileOptions& options);
  /// Whether it can be one program: no bodies, only tensors of numbers and known sizes (opaque nodes apart, which run() refuses).
  bool is_static() const;
  void run();

  // The result.
  Program program;
  PlanCounters counters;
  std::map<std::string, Place, std::less<>> inputs, outputs;  ///< plain

  // What lowering a group asks for (lowering.cpp, chain.cpp).
  const Graph& graph() const { return graph_; }
  const FactTable& facts() const { return facts_; }
  bool is_weight(ValueId v) const { return is_parameter(v) || facts_.constant(v) != nullptr; }
  bool has_backward(NodeId id) const { return forward_nodes_.contains(id); }
  Layout layout_of(ValueId v) const;
  /// Memory that holds the value in `as`; a reorder is added where it lies otherwise.
  int read(ValueId v, const Layout& as);
  int write(ValueId v, const Layout& as);
  /// Memory of `buffer`, in which `read_by` found one of its inputs, for its output v where no other group reads it later.
  int write_over(ValueId v, int buffer, const Layout& as);
  void alias(ValueId v, ValueId of, const Layout& as);
  void step(std::unique_ptr<Kernel> kernel, std::vector<int> args, const std::string& implementation);
  void step(Primitive primitive, std::vector<int> args);

  struct Kept {
    std::optional<int> buffer;
    ForwardHint hint;
    bool fast = false;
  };
  std::map<NodeId, Kept> kept;  ///< by forward node

 private:
  bool is_parameter(ValueId v) const { return parameters_.contains(v); }
  void choose_parameters(const Graph& original);
  void replace_names();
  std::vector<NodeId> live_nodes() const;
  std::set<ValueId> wanted() const;
  void place_inputs();
  void count_reads(const Group& group, int by);
  std::set<ValueId> reads_of(const Group& group) const;
  void emit(const Group& group);
  void emit_apart(const Group& group);
  bool is_small(const Group& group) const;
  void emit_fallback(NodeId id);
  void finish_outputs();
  void finish_gradient(ValueId v, const std::string& parameter);
  void finish_states();
  bool needed_later(int buffer) const;
  int constant_buffer(ValueId v, const Layout& as);
  void label(NodeId id);

  Graph graph_;
  ParameterStore& store_;
  const CompileOptions& options_;
  FactTable facts_;
  std::set<ValueId> parameters_;
  std::map<ValueId, std::string> gradients_;
  std::set<NodeId> forward_nodes_;
  std::map<ValueId, std::vector<Place>> places_;  ///< the first is where it was made
  std::map<ValueId, int> reads_left_;             ///< groups that have still to read it
  std::set<ValueId> reading_;                     ///< of the group being lowered
  std::set<ValueId> lasting_;
  std::map<int, std::set<ValueId>> held_by_;      ///< buffer -> values
  StepLabel label_;
  bool serial_ = false;  ///< what is being lowered runs on one thread
};

/// Lowers a chain of elementwise nodes (chain.cpp).
void lower_chain(Compiler& compiler, const Group& group);
/// Lowers an anchor through its op (lowering.cpp); false where the op has no fast step for it.
bool lower_anchor(Compiler& compiler, const Group& group);
/// A step that runs a node's reference on plain memory (fallback.cpp).
std::unique_ptr<Kernel> fallback_kernel(const Graph& graph, const FactTable& facts, NodeId id);

}  // namespace espalier
